#include "core/order.h"

void mr_order_layout_init(struct mr_order_layout *layout, uint32_t rows_max, uint32_t groupings,
                          uint32_t measures, uint32_t nullable, bool ids, bool leases,
                          uint32_t heap_bytes)
{
    uint32_t groups = (rows_max + MR_GROUP_ROWS - 1) / MR_GROUP_ROWS;
    uint32_t at = MR_GROUP_ROWS * (uint32_t)sizeof(int64_t);

    MR_ASSERT(rows_max > 0 && rows_max <= MR_BATCH_ROWS_MAX);
    MR_ASSERT(groupings <= MR_GROUPINGS_MAX && measures <= MR_MEASURES_MAX);
    *layout = (struct mr_order_layout){
        .rows_max = rows_max, .groupings = groupings, .measures = measures};
    if (ids) {
        layout->id_offset = at;
        at += MR_GROUP_ROWS * (uint32_t)sizeof(struct mr_id);
    }
    if (leases) {
        layout->lease_offset = at;
        at += MR_GROUP_ROWS * (uint32_t)sizeof(uint32_t);
    }
    for (uint32_t m = 0; m < measures; m++) {
        layout->measure_offset[m] = at;
        at += MR_GROUP_ROWS * (uint32_t)sizeof(int64_t);
    }
    for (uint32_t m = 0; m < measures; m++)
        if (nullable >> m & 1) {
            layout->valid_offset[m] = at;
            at += (uint32_t)sizeof(uint64_t);
        }
    for (uint32_t g = 0; g < groupings; g++) {
        layout->key_offset[g] = at;
        at += MR_GROUP_ROWS * (uint32_t)sizeof(uint16_t);
    }
    layout->group_bytes = (uint32_t)mr_round_up(at, MR_CACHE_LINE);

    at = (uint32_t)sizeof(struct mr_order_batch) + groups * layout->group_bytes;
    for (uint32_t g = 0; g < groupings; g++) {
        layout->refs_offset[g] = at;
        at += rows_max * (uint32_t)sizeof(struct mr_key_ref);
    }
    layout->heap_offset = (uint32_t)mr_round_up(at, MR_CACHE_LINE);
    layout->heap_bytes = heap_bytes;
    layout->block_bytes = (uint32_t)mr_round_up(layout->heap_offset + heap_bytes, MR_FALSE_SHARING);
}

void mr_order_batch_clear(struct mr_order_batch *batch)
{
    memset(batch, 0, sizeof *batch);
    batch->watermark_us = MR_TIME_MIN;
    batch->event_us_min = INT64_MAX;
    batch->event_us_max = INT64_MIN;
}
