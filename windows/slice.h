/* How event time is cut into panes: at every window start and end of the definitions that share
 * them. The cuts repeat with a period (the least common multiple of the hops), so the pane of a
 * time is arithmetic plus a look at a small table; size over hop plays no part.
 * Definitions whose common period would need more than MR_SLICE_CUTS_MAX cuts do not share. */
#ifndef MR_WINDOWS_SLICE_H
#define MR_WINDOWS_SLICE_H

#include "core/config.h"

#define MR_SLICE_CUTS_MAX 64

struct mr_slice {
    int64_t period_us;
    uint32_t cut_count;
    int64_t cuts[MR_SLICE_CUTS_MAX]; /* ascending, in [0, period) */
};

/* The cuts of one definition. */
void mr_slice_init(struct mr_slice *slice, const struct mr_window *window);

/* Adds another definition's cuts; false, and nothing changed, when they would be too many. */
bool mr_slice_merge(struct mr_slice *slice, const struct mr_window *window);

/* The pane that holds t, numbered along the time axis, and where pane `index` starts. */
int64_t mr_slice_index(const struct mr_slice *slice, int64_t t);
int64_t mr_slice_start(const struct mr_slice *slice, int64_t index);

#endif
