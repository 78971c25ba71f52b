#include "core/out.h"

static void written(struct mr_io_op *op, int32_t result)
{
    struct mr_out *out = MR_CONTAINER(op, struct mr_out, op);

    out->busy = false;
    out->bytes_written += op->moved;
    if (result < 0)
        mr_fault_raise(out->fault, MR_E_FILE_WRITE, "%s: %s", out->path, strerror(-result));
}

int mr_out_init(struct mr_out *out, struct mr_arena *arena, struct mr_io *io,
                struct mr_fault *fault, int fd, const char *path, size_t buffer_bytes)
{
    *out = (struct mr_out){
        .fd = fd, .path = path, .io = io, .fault = fault, .capacity = buffer_bytes};
    out->op.done = written;
    out->filling = mr_arena_take(arena, buffer_bytes, MR_FALSE_SHARING);
    out->flying = mr_arena_take(arena, buffer_bytes, MR_FALSE_SHARING);
    return out->filling && out->flying ? MR_OK : MR_E_MEMORY;
}

void mr_out_push(struct mr_out *out)
{
    if (out->busy || out->filled == 0)
        return;
    char *full = out->filling;
    out->busy = true;
    mr_io_write(out->io, &out->op, out->fd, full, (uint32_t)out->filled, -1, 0);
    out->filling = out->flying;
    out->flying = full;
    out->filled = 0;
}

char *mr_out_reserve(struct mr_out *out, size_t bytes)
{
    MR_ASSERT(bytes <= out->capacity);
    if (out->capacity - out->filled < bytes)
        mr_out_push(out);
    return out->capacity - out->filled < bytes ? NULL : out->filling + out->filled;
}

void mr_out_commit(struct mr_out *out, size_t bytes)
{
    out->filled += bytes;
}

bool mr_out_is_clean(const struct mr_out *out)
{
    return !out->busy && out->filled == 0;
}
