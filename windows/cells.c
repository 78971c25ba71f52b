#include "windows/cells.h"

#define SPARSE_SLOTS_MIN 16
#define SLOT_KEY_BYTES   8 /* key id + 1; 0: free */

static size_t slot_bytes(const struct mr_cells *cells)
{
    return SLOT_KEY_BYTES + cells->cell_bytes;
}

static size_t total_bytes(const struct mr_cells *cells)
{
    return cells->capacity * (cells->dense ? (size_t)cells->cell_bytes : slot_bytes(cells));
}

void mr_cells_finish(struct mr_cells *cells, struct mr_pool *pool)
{
    mr_pool_return(pool, cells->base, total_bytes(cells));
    *cells = (struct mr_cells){.cell_bytes = cells->cell_bytes};
}

/* Key ids are dense and arrive in no helpful order: spread them by a multiplication. */
static uint32_t slot_of(uint32_t key, uint32_t capacity)
{
    return (uint32_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (capacity - 1);
}

static uint8_t *sparse_slot(const struct mr_cells *cells, uint32_t key, bool *found)
{
    uint32_t slot = slot_of(key, cells->capacity);

    for (;;) {
        uint8_t *at = cells->base + slot * slot_bytes(cells);
        uint64_t holder = mr_load64(at);
        *found = holder == (uint64_t)key + 1;
        if (*found || holder == 0)
            return at;
        slot = (slot + 1) & (cells->capacity - 1);
    }
}

static bool is_used(const void *cell)
{
    return mr_load64(cell) != 0;
}

static void copy_into(struct mr_cells *to, const struct mr_cells *from)
{
    uint32_t at = 0, key;
    const void *cell;

    while ((cell = mr_cells_next(from, &at, &key)) != NULL) {
        uint8_t *place;
        if (to->dense) {
            place = to->base + (size_t)key * to->cell_bytes;
        } else {
            bool found;
            place = sparse_slot(to, key, &found);
            mr_store64(place, (uint64_t)key + 1);
            place += SLOT_KEY_BYTES;
            to->used++;
        }
        memcpy(place, cell, to->cell_bytes);
    }
}

static bool rebuild(struct mr_cells *cells, struct mr_pool *pool, bool dense, uint32_t capacity)
{
    struct mr_cells next = {.cell_bytes = cells->cell_bytes, .dense = dense, .capacity = capacity};

    next.base = mr_pool_take(pool, total_bytes(&next));
    if (!next.base)
        return false;
    if (cells->base)
        copy_into(&next, cells);
    mr_cells_finish(cells, pool);
    *cells = next;
    return true;
}

/* Called when a key does not fit as things are: the next size, dense as soon as the array over
 * all keys takes no more than the sparse table would. */
static bool grow(struct mr_cells *cells, struct mr_pool *pool, uint32_t key_count)
{
    uint32_t slots = cells->dense ? 0 : MR_MAX(cells->capacity * 2, (uint32_t)SPARSE_SLOTS_MIN);
    uint32_t keys = (uint32_t)mr_pow2_at_least(MR_MAX(key_count, (uint32_t)SPARSE_SLOTS_MIN));

    if (cells->dense || (size_t)keys * cells->cell_bytes <= slots * slot_bytes(cells))
        return rebuild(cells, pool, true, keys);
    return rebuild(cells, pool, false, slots);
}

void *mr_cells_make(struct mr_cells *cells, struct mr_pool *pool, uint32_t key, uint32_t key_count)
{
    MR_ASSERT(key < key_count);
    for (;;) {
        if (cells->dense && key < cells->capacity)
            return cells->base + (size_t)key * cells->cell_bytes;
        if (!cells->dense && cells->base) {
            bool found;
            uint8_t *slot = sparse_slot(cells, key, &found);
            if (found)
                return slot + SLOT_KEY_BYTES;
            if (cells->used < cells->capacity / 2) {
                mr_store64(slot, (uint64_t)key + 1);
                cells->used++;
                return slot + SLOT_KEY_BYTES;
            }
        }
        if (!grow(cells, pool, key_count))
            return NULL;
    }
}

void *mr_cells_find(const struct mr_cells *cells, uint32_t key)
{
    uint8_t *cell = NULL;

    if (!cells->base)
        return NULL;
    if (cells->dense) {
        if (key < cells->capacity)
            cell = cells->base + (size_t)key * cells->cell_bytes;
    } else {
        bool found;
        uint8_t *slot = sparse_slot(cells, key, &found);
        if (found)
            cell = slot + SLOT_KEY_BYTES;
    }
    return cell && is_used(cell) ? cell : NULL;
}

void *mr_cells_next(const struct mr_cells *cells, uint32_t *at, uint32_t *key)
{
    while (*at < cells->capacity) {
        uint32_t slot = (*at)++;
        if (cells->dense) {
            uint8_t *cell = cells->base + (size_t)slot * cells->cell_bytes;
            *key = slot;
            if (is_used(cell))
                return cell;
        } else {
            uint8_t *place = cells->base + slot * slot_bytes(cells);
            *key = (uint32_t)mr_load64(place) - 1;
            if (mr_load64(place) != 0 && is_used(place + SLOT_KEY_BYTES))
                return place + SLOT_KEY_BYTES;
        }
    }
    return NULL;
}
