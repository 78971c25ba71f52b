/* A file (or standard input) as text blocks: whole lines, in order, the blocks numbered.
 * The reader fills a block from its descriptor, ends it at the last line end, and carries the rest
 * over. A line longer than a block gets memory of its own, up to the largest payload; of one that
 * is longer still the first MR_TEXT_KEPT_BYTES are kept, and its true length is told.
 *
 * Owns    a slab of blocks; they come back through mr_reader_return.
 * Thread  one: the puller that reads. */
#ifndef MR_SOURCES_LINES_H
#define MR_SOURCES_LINES_H

#include "core/arena.h"
#include "core/fault.h"
#include "core/io.h"

#define MR_TEXT_BLOCK_BYTES ((uint32_t)256 << 10)
#define MR_TEXT_KEPT_BYTES  ((uint32_t)64 << 10)

enum mr_text_flag {
    MR_TEXT_END = 1,     /* nothing follows; the block is empty */
    MR_TEXT_LONG = 2,    /* one line, in memory of its own */
    MR_TEXT_TOO_LONG = 4 /* as LONG, but only the beginning is there */
};

struct mr_text {
    uint64_t number;     /* blocks from 0 */
    uint32_t flags;      /* enum mr_text_flag */
    uint64_t bytes;      /* at `data`; every line but the file's last ends in a line feed */
    uint64_t line_bytes; /* of a LONG line, its true length */
    uint8_t *data;
};

struct mr_reader {
    int fd;
    const char *path;
    struct mr_io *io;
    struct mr_io_op op;
    struct mr_fault *fault;
    struct mr_slab slab;
    struct mr_text *filling; /* lines not yet cut: [0, filled) of it */
    uint32_t filled;
    uint8_t *carry; /* of a long line that is growing; NULL: none */
    uint64_t carry_bytes, carry_kept, carry_capacity;
    uint64_t payload_bytes_max;
    struct mr_text *ready[4]; /* cut, to be taken: a read makes at most three */
    uint32_t ready_count;
    uint64_t next_number;
    bool reading, ended;
    uint64_t bytes_read;
};

/* `fd` is read from its present position. Errors: MR_E_MEMORY. */
int mr_reader_init(struct mr_reader *reader, struct mr_arena *arena, struct mr_io *io,
                   struct mr_fault *fault, int fd, const char *path, uint32_t blocks,
                   uint64_t payload_bytes_max);

/* Starts a read if there is room for one. */
void mr_reader_poll(struct mr_reader *reader);

/* The next block, or NULL: none yet. The last one has MR_TEXT_END. */
struct mr_text *mr_reader_take(struct mr_reader *reader);
void mr_reader_return(struct mr_reader *reader, struct mr_text *text);

#endif
