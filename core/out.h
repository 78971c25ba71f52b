/* A file being written: two buffers, one filling while the other is in flight.
 * Thread  one, the owner of the io. */
#ifndef MR_CORE_OUT_H
#define MR_CORE_OUT_H

#include "core/arena.h"
#include "core/fault.h"
#include "core/io.h"

struct mr_out {
    int fd;
    const char *path;
    struct mr_io *io;
    struct mr_io_op op;
    struct mr_fault *fault;
    char *filling, *flying;
    size_t filled, capacity;
    bool busy;
    uint64_t bytes_written;
};

/* Writes at the descriptor's own position, so pipes will do. Errors: MR_E_MEMORY. */
int mr_out_init(struct mr_out *out, struct mr_arena *arena, struct mr_io *io,
                struct mr_fault *fault, int fd, const char *path, size_t buffer_bytes);

/* Room for `bytes` (at most the buffer's), or NULL: both buffers are full, ask again later.
 * mr_out_commit says how many were written there. */
char *mr_out_reserve(struct mr_out *out, size_t bytes);
void mr_out_commit(struct mr_out *out, size_t bytes);

/* Starts writing what is there, if no write is in flight. */
void mr_out_push(struct mr_out *out);

/* Everything committed has been written. */
bool mr_out_is_clean(const struct mr_out *out);

#endif
