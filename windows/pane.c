#include "windows/pane.h"

#include "core/hop.h"

#define PANES_MIN 16

static bool share_slice(struct mr_slicing *slicing, uint32_t grouping, uint32_t definition)
{
    if (slicing->grouping != grouping ||
        !mr_slice_merge(&slicing->slice, &slicing->plan->config->windows[definition]))
        return false;
    slicing->definitions[slicing->definition_count++] = definition;
    return true;
}

uint32_t mr_slicing_plan(struct mr_slicing *slicings, const struct mr_plan *plan)
{
    uint32_t count = 0;

    for (uint32_t d = 0; d < plan->config->window_count; d++) {
        uint32_t s = 0;
        while (s < count && !share_slice(&slicings[s], plan->grouping_of[d], d))
            s++;
        if (s < count)
            continue;
        slicings[count] = (struct mr_slicing){.plan = plan,
                                              .grouping = plan->grouping_of[d],
                                              .definitions = {d},
                                              .definition_count = 1};
        mr_slice_init(&slicings[count].slice, &plan->config->windows[d]);
        count++;
    }
    return count;
}

uint32_t mr_slicing_from(const struct mr_slicing *slicing, int64_t t)
{
    uint32_t low = 0, high = slicing->pane_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (slicing->panes[middle]->start_us < t)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void describe(const struct mr_slicing *slicing, struct mr_pane *pane, int64_t t)
{
    int64_t index = mr_slice_index(&slicing->slice, t);
    const struct mr_cell_layout *cell = &slicing->plan->groupings[slicing->grouping].cell;

    *pane = (struct mr_pane){
        .start_us = mr_slice_start(&slicing->slice, index),
        .end_us = mr_slice_start(&slicing->slice, index + 1),
        .first_end_us = INT64_MAX,
        .expiry_us = INT64_MIN,
    };
    mr_cells_init(&pane->cells, cell->bytes);
    for (uint32_t i = 0; i < slicing->definition_count; i++) {
        const struct mr_window *window = &slicing->plan->config->windows[slicing->definitions[i]];
        uint32_t windows = mr_hop_count(window, pane->start_us);
        if (windows == 0) {
            pane->gaps++;
            continue;
        }
        int64_t first = mr_hop_end_after(window, pane->start_us);
        int64_t expiry = mr_hop_last_end(window, pane->start_us) + window->lateness_us;
        pane->pairs += windows;
        pane->first_end_us = MR_MIN(pane->first_end_us, first);
        pane->expiry_us = MR_MAX(pane->expiry_us, expiry);
    }
}

struct mr_pane *mr_slicing_search(struct mr_slicing *slicing, int64_t t)
{
    uint32_t after = mr_slicing_from(slicing, t + 1);
    if (after > 0 && t < slicing->panes[after - 1]->end_us)
        return slicing->recent = slicing->panes[after - 1];
    describe(slicing, &slicing->gap, t);
    return slicing->recent = &slicing->gap;
}

struct mr_pane *mr_slicing_enliven(struct mr_slicing *slicing, struct mr_pool *pool)
{
    if (slicing->pane_count == slicing->pane_capacity) {
        uint32_t capacity = MR_MAX(slicing->pane_capacity * 2, (uint32_t)PANES_MIN);
        struct mr_pane **panes = mr_pool_take(pool, capacity * sizeof(void *));
        if (!panes)
            return NULL;
        if (slicing->pane_count > 0)
            memcpy(panes, slicing->panes, slicing->pane_count * sizeof(void *));
        mr_pool_return(pool, slicing->panes, slicing->pane_capacity * sizeof(void *));
        slicing->panes = panes;
        slicing->pane_capacity = capacity;
    }
    struct mr_pane *live = mr_pool_take(pool, sizeof *live);
    if (!live)
        return NULL;
    *live = slicing->gap;
    uint32_t at = mr_slicing_from(slicing, live->start_us);
    memmove(&slicing->panes[at + 1], &slicing->panes[at],
            (slicing->pane_count - at) * sizeof(void *));
    slicing->panes[at] = live;
    slicing->pane_count++;
    return slicing->recent = live;
}

void mr_slicing_expire(struct mr_slicing *slicing, struct mr_pool *pool, int64_t watermark_us)
{
    uint32_t kept = 0;

    for (uint32_t p = 0; p < slicing->pane_count; p++) {
        struct mr_pane *pane = slicing->panes[p];
        if (pane->expiry_us > watermark_us) {
            slicing->panes[kept++] = pane;
            continue;
        }
        mr_cells_finish(&pane->cells, pool);
        mr_pool_return(pool, pane, sizeof *pane);
    }
    if (kept < slicing->pane_count)
        slicing->recent = NULL;
    slicing->pane_count = kept;
}

static void merge_measure(const struct mr_cell_layout *layout, uint32_t m, uint8_t *into,
                          const uint8_t *from, bool first)
{
    uint16_t present = layout->measures[m].present, sum = layout->measures[m].sum;
    uint16_t min = layout->measures[m].min, max = layout->measures[m].max;

    if (present != MR_NOT_KEPT) {
        uint64_t have = mr_load64(into + present), more = mr_load64(from + present);
        if (more == 0)
            return;
        first = have == 0;
        mr_store64(into + present, have + more);
    }
    if (sum != MR_NOT_KEPT) {
        mr_i128 a, b;
        memcpy(&a, into + sum, sizeof a);
        memcpy(&b, from + sum, sizeof b);
        a += b;
        memcpy(into + sum, &a, sizeof a);
    }
    if (min != MR_NOT_KEPT) {
        int64_t a = (int64_t)mr_load64(into + min), b = (int64_t)mr_load64(from + min);
        mr_store64(into + min, (uint64_t)(first || b < a ? b : a));
    }
    if (max != MR_NOT_KEPT) {
        int64_t a = (int64_t)mr_load64(into + max), b = (int64_t)mr_load64(from + max);
        mr_store64(into + max, (uint64_t)(first || b > a ? b : a));
    }
}

void mr_cell_merge(const struct mr_cell_layout *layout, void *into, const void *from)
{
    uint64_t count = mr_load64(into);

    for (uint32_t m = 0; m < layout->measure_count; m++)
        merge_measure(layout, m, into, from, count == 0);
    mr_store64(into, count + mr_load64(from));
}
