#include "sources/lines.h"

#include <errno.h>
#include <stdlib.h>

/* A read may end a long line, cut whole lines behind it and leave a rest: three blocks. */
#define BLOCKS_A_READ 3

static uint8_t *own_bytes(struct mr_text *text)
{
    return (uint8_t *)(text + 1);
}

static void read_done(struct mr_io_op *op, int32_t result);

int mr_reader_init(struct mr_reader *reader, struct mr_arena *arena, struct mr_io *io,
                   struct mr_fault *fault, int fd, const char *path, uint32_t blocks,
                   uint64_t payload_bytes_max)
{
    MR_ASSERT(blocks > BLOCKS_A_READ);
    *reader = (struct mr_reader){
        .fd = fd,
        .path = path,
        .io = io,
        .fault = fault,
        .payload_bytes_max = payload_bytes_max,
    };
    reader->op.done = read_done;
    return mr_slab_init(&reader->slab, arena, blocks, sizeof(struct mr_text) + MR_TEXT_BLOCK_BYTES);
}

static struct mr_text *take_block(struct mr_reader *reader)
{
    struct mr_text *text = mr_slab_take(&reader->slab);
    MR_ASSERT(text != NULL);
    *text = (struct mr_text){.data = own_bytes(text)};
    return text;
}

static void make_ready(struct mr_reader *reader, struct mr_text *text)
{
    MR_ASSERT(reader->ready_count < MR_COUNT(reader->ready));
    text->number = reader->next_number++;
    reader->ready[reader->ready_count++] = text;
}

/* Appends to the long line what the largest payload leaves room for; counts the rest. */
static void carry(struct mr_reader *reader, const uint8_t *data, uint64_t bytes)
{
    uint64_t kept = MR_MIN(bytes, reader->payload_bytes_max + 1 - reader->carry_kept);

    if (reader->carry_kept + kept > reader->carry_capacity) {
        uint64_t capacity = MR_MAX(2 * reader->carry_capacity, (uint64_t)MR_TEXT_BLOCK_BYTES * 2);
        uint8_t *grown = realloc(reader->carry, capacity);
        if (!grown) {
            mr_fault_raise(reader->fault, MR_E_MEMORY, "%s: a line of over %llu bytes",
                           reader->path, (unsigned long long)reader->carry_kept);
            return;
        }
        reader->carry = grown;
        reader->carry_capacity = capacity;
    }
    memcpy(reader->carry + reader->carry_kept, data, kept);
    reader->carry_kept += kept;
    reader->carry_bytes += bytes;
}

static void end_long_line(struct mr_reader *reader)
{
    struct mr_text *text = take_block(reader);
    bool too_long = reader->carry_bytes > reader->payload_bytes_max;

    text->flags = MR_TEXT_LONG | (too_long ? MR_TEXT_TOO_LONG : 0);
    text->data = reader->carry;
    text->line_bytes = reader->carry_bytes;
    text->bytes = too_long ? MR_MIN(reader->carry_kept, (uint64_t)MR_TEXT_KEPT_BYTES)
                           : reader->carry_bytes;
    reader->carry = NULL;
    reader->carry_bytes = reader->carry_kept = reader->carry_capacity = 0;
    make_ready(reader, text);
}

/* Cuts the whole lines off what has been filled and carries the rest into the next block. */
static void cut_lines(struct mr_reader *reader)
{
    struct mr_text *text = reader->filling;
    const uint8_t *last = memrchr(text->data, '\n', reader->filled);

    if (last) {
        struct mr_text *next = take_block(reader);
        text->bytes = (uint64_t)(last + 1 - text->data);
        reader->filled -= (uint32_t)text->bytes;
        memcpy(next->data, last + 1, reader->filled);
        make_ready(reader, text);
        reader->filling = next;
    } else if (reader->filled == MR_TEXT_BLOCK_BYTES) {
        carry(reader, text->data, reader->filled);
        reader->filled = 0;
    }
}

static void take_bytes(struct mr_reader *reader, uint32_t bytes)
{
    struct mr_text *text = reader->filling;

    reader->bytes_read += bytes;
    reader->filled += bytes;
    if (reader->carry_bytes > 0) {
        uint8_t *end = memchr(text->data, '\n', reader->filled);
        uint32_t line = end ? (uint32_t)(end - text->data) : reader->filled;
        uint32_t passed = end ? line + 1 : line;
        carry(reader, text->data, line);
        reader->filled -= passed;
        memmove(text->data, text->data + passed, reader->filled);
        if (!end)
            return;
        end_long_line(reader);
    }
    if (reader->filled > 0)
        cut_lines(reader);
}

static void end_of_file(struct mr_reader *reader)
{
    struct mr_text *text = reader->filling;

    if (reader->carry_bytes > 0)
        end_long_line(reader);
    if (reader->filled > 0) {
        text->bytes = reader->filled;
        make_ready(reader, text);
        text = take_block(reader);
    }
    text->flags = MR_TEXT_END;
    make_ready(reader, text);
    reader->filling = NULL;
    reader->ended = true;
}

static void read_done(struct mr_io_op *op, int32_t result)
{
    struct mr_reader *reader = MR_CONTAINER(op, struct mr_reader, op);

    reader->reading = false;
    if (result < 0) {
        reader->ended = true;
        if (result != -ECANCELED)
            mr_fault_raise(reader->fault, MR_E_FILE_READ, "%s: %s", reader->path,
                           strerror(-result));
    } else if (result == 0) {
        end_of_file(reader);
    } else {
        take_bytes(reader, (uint32_t)result);
    }
}

void mr_reader_poll(struct mr_reader *reader)
{
    if (reader->reading || reader->ended || reader->ready_count > 0 ||
        reader->slab.count < BLOCKS_A_READ + (reader->filling == NULL))
        return;
    if (!reader->filling)
        reader->filling = take_block(reader);
    reader->reading = true;
    mr_io_read(reader->io, &reader->op, reader->fd, reader->filling->data + reader->filled,
               MR_TEXT_BLOCK_BYTES - reader->filled, -1);
}

struct mr_text *mr_reader_take(struct mr_reader *reader)
{
    if (reader->ready_count == 0)
        return NULL;
    struct mr_text *text = reader->ready[0];
    reader->ready_count--;
    memmove(&reader->ready[0], &reader->ready[1], reader->ready_count * sizeof(void *));
    return text;
}

void mr_reader_return(struct mr_reader *reader, struct mr_text *text)
{
    if (text->flags & MR_TEXT_LONG)
        free(text->data);
    mr_slab_return(&reader->slab, text);
}
