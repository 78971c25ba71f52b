/* The order batch: what crosses from puller to aggregator, the journal's record and the unit of
 * acknowledgement. One block of a slab, self-contained:
 *
 *   header | row groups of 64 rows | key refs, a table a grouping | heap: key bytes, letters
 *
 * A row group holds its columns one after another (event_us[64], id[64], one key index column a
 * grouping, one measure column each, one validity word a nullable measure), so that a part-filled
 * batch is one dense prefix and a kernel sees plain arrays of at most 64.
 *
 * Owns    the puller fills it and sends it down; the aggregator reads it and sends it back.
 * Thread  whoever holds the pointer; the rings hand it over. */
#ifndef MR_CORE_ORDER_H
#define MR_CORE_ORDER_H

#include "core/base.h"
#include "core/config.h"
#include "core/id.h"
#include "core/letter.h"

#define MR_GROUP_ROWS    64
#define MR_GROUPINGS_MAX 8  /* distinct group_by lists in one run */
#define MR_MEASURES_MAX  16 /* distinct aggregated fields */
#define MR_KEY_BYTES_MAX 4096

#define MR_TIME_MIN INT64_MIN /* a watermark that has not moved */
#define MR_TIME_MAX INT64_MAX /* the end of time: nothing more is expected */

/* Where the columns of a batch lie; the same for every batch of a run. */
struct mr_order_layout {
    uint32_t rows_max;
    uint32_t groupings, measures;
    uint32_t group_bytes;                     /* one row group */
    uint32_t id_offset;                       /* within a group; 0: no ids are kept */
    uint32_t lease_offset;                    /* uint32_t[64], the puller's own; 0: none */
    uint32_t key_offset[MR_GROUPINGS_MAX];    /* uint16_t[64] */
    uint32_t measure_offset[MR_MEASURES_MAX]; /* int64_t[64] */
    uint32_t valid_offset[MR_MEASURES_MAX];   /* uint64_t; 0: never null */
    uint32_t refs_offset[MR_GROUPINGS_MAX];   /* within the block */
    uint32_t heap_offset, heap_bytes;         /* within the block */
    uint32_t block_bytes;
};

/* One distinct key of a batch, in order of first appearance. */
struct mr_key_ref {
    uint64_t hash;   /* mr_hash64 of the key bytes, seeded by the run */
    uint32_t offset; /* of the key bytes in the heap */
    uint32_t bytes;
};

enum mr_batch_flag {
    MR_BATCH_HANDOVER = 1, /* last of its file block: the next comes from the next puller */
    MR_BATCH_END = 2,      /* last of its puller: the source is drained */
};

struct mr_order_batch {
    uint32_t rows, letters;
    uint32_t heap_used;
    uint32_t first_letter, last_letter; /* heap offset + 1; 0: none; chained by mr_letter.next */
    uint32_t keys[MR_GROUPINGS_MAX];    /* distinct keys a grouping */
    uint16_t puller, share, clock;      /* clock: which watermark this batch advances */
    uint16_t flags;                     /* enum mr_batch_flag */
    int64_t watermark_us;               /* of `clock`, after this batch */
    int64_t event_us_min, event_us_max; /* over the rows */
    uint64_t number;                    /* per puller and share, from 0 */
    uint64_t due_ns;                    /* when the first of its rows was received */
} MR_ALIGNED(MR_FALSE_SHARING);

/* Lays out batches of `rows_max` rows; `heap_bytes` bounds key bytes and letters together.
 * `nullable` has a bit a measure. */
void mr_order_layout_init(struct mr_order_layout *layout, uint32_t rows_max, uint32_t groupings,
                          uint32_t measures, uint32_t nullable, bool ids, bool leases,
                          uint32_t heap_bytes);

void mr_order_batch_clear(struct mr_order_batch *batch);

static inline uint8_t *mr_order_group(struct mr_order_batch *batch,
                                      const struct mr_order_layout *layout, uint32_t row)
{
    return (uint8_t *)(batch + 1) + (size_t)(row / MR_GROUP_ROWS) * layout->group_bytes;
}

static inline int64_t *mr_order_event_us(struct mr_order_batch *batch,
                                         const struct mr_order_layout *layout, uint32_t row)
{
    return (int64_t *)mr_order_group(batch, layout, row) + row % MR_GROUP_ROWS;
}

static inline struct mr_id *mr_order_id(struct mr_order_batch *batch,
                                        const struct mr_order_layout *layout, uint32_t row)
{
    return (struct mr_id *)(mr_order_group(batch, layout, row) + layout->id_offset) +
           row % MR_GROUP_ROWS;
}

static inline uint32_t *mr_order_lease(struct mr_order_batch *batch,
                                       const struct mr_order_layout *layout, uint32_t row)
{
    return (uint32_t *)(mr_order_group(batch, layout, row) + layout->lease_offset) +
           row % MR_GROUP_ROWS;
}

static inline uint16_t *mr_order_key(struct mr_order_batch *batch,
                                     const struct mr_order_layout *layout, uint32_t grouping,
                                     uint32_t row)
{
    return (uint16_t *)(mr_order_group(batch, layout, row) + layout->key_offset[grouping]) +
           row % MR_GROUP_ROWS;
}

static inline int64_t *mr_order_measure(struct mr_order_batch *batch,
                                        const struct mr_order_layout *layout, uint32_t measure,
                                        uint32_t row)
{
    return (int64_t *)(mr_order_group(batch, layout, row) + layout->measure_offset[measure]) +
           row % MR_GROUP_ROWS;
}

/* Bit row%64 tells that the measure is present; only where valid_offset is not 0. */
static inline uint64_t *mr_order_valid(struct mr_order_batch *batch,
                                       const struct mr_order_layout *layout, uint32_t measure,
                                       uint32_t row)
{
    return (uint64_t *)(mr_order_group(batch, layout, row) + layout->valid_offset[measure]);
}

static inline struct mr_key_ref *
mr_order_refs(struct mr_order_batch *batch, const struct mr_order_layout *layout, uint32_t grouping)
{
    return (struct mr_key_ref *)((uint8_t *)batch + layout->refs_offset[grouping]);
}

static inline uint8_t *mr_order_heap(struct mr_order_batch *batch,
                                     const struct mr_order_layout *layout)
{
    return (uint8_t *)batch + layout->heap_offset;
}

static inline struct mr_letter *mr_order_letter(struct mr_order_batch *batch,
                                                const struct mr_order_layout *layout,
                                                uint32_t offset_plus_one)
{
    return (struct mr_letter *)(mr_order_heap(batch, layout) + offset_plus_one - 1);
}

#endif
