/* Blocks of records that leave an aggregator: rows to a writer, letters to the keeper. A block is
 * taken from the aggregator's slab, filled, sent down a ring, and comes back by the return ring.
 *
 *   struct mr_block | records, each 8-aligned and starting with its own length
 *
 * An outlet is the filling end: one open block, and full ones that wait for their ring.
 * Thread  one: the aggregator that owns slab and outlet. */
#ifndef MR_CORE_BLOCK_H
#define MR_CORE_BLOCK_H

#include "core/arena.h"

enum mr_block_flag { MR_BLOCK_END = 1 }; /* the last block of its aggregator */

struct mr_block {
    uint16_t share, flags;
    uint32_t count;        /* records */
    uint32_t bytes;        /* of them, after this header */
    uint32_t capacity;     /* bytes after this header */
    uint64_t first_number; /* sequence of the first record within its share */
    uint64_t cause_seq;    /* input record of the share, from 1, that caused the last of these */
} MR_ALIGNED(MR_CACHE_LINE);

static inline void *mr_block_first(struct mr_block *block)
{
    return block + 1;
}

/* Every record starts with its whole length, a multiple of 8. */
static inline void *mr_block_next(void *record)
{
    return (uint8_t *)record + mr_load32(record);
}

#define MR_OUTLET_FULL_MAX 8

struct mr_outlet {
    struct mr_slab *slab;
    struct mr_block *open;
    struct mr_block *full[MR_OUTLET_FULL_MAX];
    uint32_t full_count;
    uint16_t share;
    uint64_t next_number, cause_seq;
};

/* mr_outlet_reserve returns room for a record of `bytes` (<= capacity of a block), or NULL when
 * the slab is empty or too many full blocks wait: the caller keeps its place and asks again.
 * mr_outlet_commit makes the record part of the open block. */
void *mr_outlet_reserve(struct mr_outlet *outlet, uint32_t bytes);
void mr_outlet_commit(struct mr_outlet *outlet, uint32_t bytes);

/* Closes the open block, if it holds anything, so that it can be sent; false when the list of full
 * blocks has no room. mr_outlet_end sends a block flagged MR_BLOCK_END, empty if need be. */
bool mr_outlet_flush(struct mr_outlet *outlet);
bool mr_outlet_end(struct mr_outlet *outlet);

#endif
