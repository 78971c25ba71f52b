/* All memory, reckoned and taken once. An arena is one reservation; slabs and pools live in it.
 * Pages are touched when first used, so a reservation costs address space only.
 * Thread  each object belongs to one thread; arenas are cut up before the workers start. */
#ifndef MR_CORE_ARENA_H
#define MR_CORE_ARENA_H

#include "core/base.h"
#include "core/err.h"

struct mr_arena {
    uint8_t *base;
    size_t bytes, used;
};

/* mr_arena_init reserves `bytes` (rounded up to 2 MiB), asking for huge pages.
 * Errors  MR_E_MEMORY. mr_arena_finish accepts a zeroed arena. */
int mr_arena_init(struct mr_arena *arena, size_t bytes);
void mr_arena_finish(struct mr_arena *arena);

/* mr_arena_take returns zeroed memory aligned to `align` (a power of two), or NULL when the arena
 * is used up. There is no give-back: what comes and goes lives in a slab or a pool. */
void *mr_arena_take(struct mr_arena *arena, size_t bytes, size_t align);

/* A slab hands out blocks of one size, first in, first out: a block just returned is the last to
 * be reused, so its lines have left the other core's cache by then (1.2 ns a line against 8). */
struct mr_slab {
    void **blocks;
    uint32_t head, count, capacity;
    size_t block_bytes;
};

/* Takes `count` blocks of `block_bytes`, each aligned to MR_FALSE_SHARING. Errors: MR_E_MEMORY. */
int mr_slab_init(struct mr_slab *slab, struct mr_arena *arena, uint32_t count, size_t block_bytes);

/* Contents of a block are whatever its last holder left. NULL when all blocks are out. */
void *mr_slab_take(struct mr_slab *slab);
void mr_slab_return(struct mr_slab *slab, void *block);

/* A pool hands out blocks of any size, rounded up to a power of two, and keeps what is given back
 * in one list a size. Bounded by its reservation; never returns memory to the system while
 * running (an unmap would interrupt every pinned worker). */
#define MR_POOL_CLASSES   40
#define MR_POOL_BYTES_MIN 64

struct mr_pool {
    struct mr_arena *arena;
    void *free[MR_POOL_CLASSES];
    size_t used_bytes; /* handed out now */
};

void mr_pool_init(struct mr_pool *pool, struct mr_arena *arena);

/* Returns memory aligned to 64 bytes, zeroed; NULL when the reservation is used up. */
void *mr_pool_take(struct mr_pool *pool, size_t bytes);
/* `bytes` as asked for at mr_pool_take; a NULL block is accepted. */
void mr_pool_return(struct mr_pool *pool, void *block, size_t bytes);

#endif
