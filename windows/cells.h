/* Cells by key id: a small fixed-size value for each of some of the keys. Sparse (open addressing)
 * while few keys are present, an array over all key ids once that is no larger; the caller does
 * not see which. The first word of a cell is never 0 once it is in use: it tells presence.
 * Owns    memory of the share's pool, given back by mr_cells_finish.
 * Thread  the aggregator's. */
#ifndef MR_WINDOWS_CELLS_H
#define MR_WINDOWS_CELLS_H

#include "core/arena.h"

struct mr_cells {
    uint8_t *base;
    uint32_t capacity; /* dense: key ids; sparse: slots, a power of two */
    uint32_t used;     /* sparse: slots taken */
    uint32_t cell_bytes;
    bool dense;
};

static inline void mr_cells_init(struct mr_cells *cells, uint32_t cell_bytes)
{
    *cells = (struct mr_cells){.cell_bytes = cell_bytes};
}

void mr_cells_finish(struct mr_cells *cells, struct mr_pool *pool);

/* The cell of `key`, made (all zero) if need be; `key_count` is the number of keys that exist.
 * NULL: the pool is used up. Valid until the next mr_cells_at on the same cells. */
void *mr_cells_make(struct mr_cells *cells, struct mr_pool *pool, uint32_t key, uint32_t key_count);

static inline void *mr_cells_at(struct mr_cells *cells, struct mr_pool *pool, uint32_t key,
                                uint32_t key_count)
{
    if (MR_LIKELY(cells->dense && key < cells->capacity))
        return cells->base + (size_t)key * cells->cell_bytes;
    return mr_cells_make(cells, pool, key, key_count);
}

/* The cell of `key`, or NULL when it is not in use. */
void *mr_cells_find(const struct mr_cells *cells, uint32_t key);

/* Walks the cells in use: start with *at = 0; NULL at the end. Dense cells come in key order,
 * sparse ones in any. */
void *mr_cells_next(const struct mr_cells *cells, uint32_t *at, uint32_t *key);

#endif
