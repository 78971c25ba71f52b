/* The watermark of a share: the minimum over the clocks (one a puller; one in all for a file)
 * that are active, latched to its maximum. It never goes back.
 * A clock that has not spoken yet holds the share at MR_TIME_MIN. An idle clock is left out; once
 * active again it counts only after it has caught up with the share's watermark, so that it holds
 * nobody back for what is late anyhow. When none counts, the watermark stands.
 * Source  Flink's valve over several inputs (its published sequences are in
 * tests/windows/watermark.c). */
#ifndef MR_WINDOWS_WATERMARK_H
#define MR_WINDOWS_WATERMARK_H

#include "core/order.h"

struct mr_watermark {
    int64_t clocks_us[MR_WORKERS_MAX];
    bool idle[MR_WORKERS_MAX];
    bool behind[MR_WORKERS_MAX]; /* was idle and has not caught up yet */
    uint32_t clock_count;
    int64_t now_us; /* the share's watermark */
};

static inline void mr_watermark_init(struct mr_watermark *watermark, uint32_t clock_count)
{
    MR_ASSERT(clock_count > 0 && clock_count <= MR_WORKERS_MAX);
    *watermark = (struct mr_watermark){.clock_count = clock_count, .now_us = MR_TIME_MIN};
    for (uint32_t c = 0; c < clock_count; c++)
        watermark->clocks_us[c] = MR_TIME_MIN;
}

/* Each returns the share's watermark from now on.
 * mr_watermark_advance tells what `clock` has reached; what an idle clock tells is ignored.
 * mr_watermark_idle takes the clock out, mr_watermark_active takes it back in; both may be
 * repeated. */
int64_t mr_watermark_advance(struct mr_watermark *watermark, uint32_t clock, int64_t to_us);
int64_t mr_watermark_idle(struct mr_watermark *watermark, uint32_t clock);
int64_t mr_watermark_active(struct mr_watermark *watermark, uint32_t clock);

#endif
