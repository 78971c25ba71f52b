/* The pipeline that a configuration asks for, worked out once: which groupings exist (definitions
 * with the same group_by share one, and so their panes), which fields are measured, and what a
 * cell of accumulators holds. Read-only while running. */
#ifndef MR_CORE_PLAN_H
#define MR_CORE_PLAN_H

#include "core/config.h"
#include "core/order.h"

#define MR_NOT_KEPT UINT16_MAX
/* Fixed, so that every run routes alike; a journal names the seed it was written with. */
#define MR_PLAN_HASH_SEED UINT64_C(0x6D696C6C72616365)

/* A cell: the exact accumulators of one (key, pane), 8-aligned words:
 * count u64, then per measure what the definitions need: present u64 (nullable measures only),
 * sum i128 as low and high word, min i64, max i64. All zero is the empty cell; min and max are
 * meaningful only where count (present) is not 0. */
struct mr_cell_layout {
    uint32_t bytes;
    uint32_t measure_count; /* of measures; beyond it nothing is kept */
    struct {
        uint16_t present, sum, min, max; /* byte offsets, or MR_NOT_KEPT */
    } measures[MR_MEASURES_MAX];
};

struct mr_grouping {
    uint32_t fields[MR_GROUP_FIELDS_MAX];
    uint32_t field_count;
    uint32_t definitions[MR_WINDOWS_MAX]; /* indices into config.windows, ascending */
    uint32_t definition_count;
    struct mr_cell_layout cell;
};

struct mr_plan {
    const struct mr_config *config;
    struct mr_grouping groupings[MR_GROUPINGS_MAX];
    uint32_t grouping_count;
    uint32_t grouping_of[MR_WINDOWS_MAX]; /* by definition */
    uint32_t measures[MR_MEASURES_MAX];   /* field of each */
    uint32_t measure_count;
    uint32_t measure_of[MR_FIELDS_MAX]; /* by field; MR_NOT_KEPT: not measured */
    uint32_t nullable;                  /* bit a measure */
    bool dedup;
    struct mr_order_layout order;
    uint64_t hash_seed;
};

/* Returns NULL, or a sentence that says which limit the configuration exceeds. */
const char *mr_plan_init(struct mr_plan *plan, const struct mr_config *config);

#endif
