/* Panes: slices of event time between two neighbouring window starts or ends. Each event is folded
 * once, into the cell of its key in the pane of its time, however many windows hold it. Panes are
 * the truth, kept until the last window over them expires.
 *
 * A slicing is a set of definitions that share their panes. Its live panes stand in time order.
 * Owns    memory of the share's pool. Thread: the aggregator's. */
#ifndef MR_WINDOWS_PANE_H
#define MR_WINDOWS_PANE_H

#include "core/plan.h"
#include "windows/cells.h"
#include "windows/slice.h"

struct mr_pane {
    int64_t start_us, end_us; /* [start, end) */
    int64_t first_end_us;     /* earliest end of a window over it: before, nothing is late */
    int64_t expiry_us;        /* when its last window expires */
    uint32_t pairs;           /* windows over it, of all the slicing's definitions */
    uint32_t gaps;            /* definitions that have no window over it */
    struct mr_cells cells;
};

struct mr_slicing {
    const struct mr_plan *plan;
    uint32_t grouping;
    uint32_t definitions[MR_WINDOWS_MAX];
    uint32_t definition_count;
    struct mr_slice slice;
    struct mr_pane **panes; /* live, ascending by start */
    uint32_t pane_count, pane_capacity;
    struct mr_pane *recent; /* last one looked up, live or `gap` */
    struct mr_pane gap;     /* stands for any pane without live cells: see mr_slicing_look */
};

/* Spreads the definitions of `plan` over slicings[MR_WINDOWS_MAX]; returns how many. */
uint32_t mr_slicing_plan(struct mr_slicing *slicings, const struct mr_plan *plan);

/* What mr_slicing_look and mr_slicing_open do when the last pane looked up is not the one. */
struct mr_pane *mr_slicing_search(struct mr_slicing *slicing, int64_t t);
struct mr_pane *mr_slicing_enliven(struct mr_slicing *slicing, struct mr_pool *pool);

/* The pane that holds t, for reading its bounds: the live one, or the slicing's `gap` filled in
 * with the bounds of a pane that has no cells. Valid until the next look. */
static inline struct mr_pane *mr_slicing_look(struct mr_slicing *slicing, int64_t t)
{
    struct mr_pane *recent = slicing->recent;

    if (MR_LIKELY(recent && t >= recent->start_us && t < recent->end_us))
        return recent;
    return mr_slicing_search(slicing, t);
}

/* Makes the pane just looked at live. NULL: the pool is used up. */
static inline struct mr_pane *mr_slicing_open(struct mr_slicing *slicing, struct mr_pool *pool,
                                              struct mr_pane *pane)
{
    return MR_LIKELY(pane != &slicing->gap) ? pane : mr_slicing_enliven(slicing, pool);
}

/* Index of the first live pane with start_us >= t; pane_count if none. */
uint32_t mr_slicing_from(const struct mr_slicing *slicing, int64_t t);

/* Gives back the panes whose expiry_us <= watermark. */
void mr_slicing_expire(struct mr_slicing *slicing, struct mr_pool *pool, int64_t watermark_us);

/* Adds `from` to `into`: counts and sums add, minima and maxima compare. */
void mr_cell_merge(const struct mr_cell_layout *layout, void *into, const void *from);

#endif
