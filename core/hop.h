/* Which windows hold a time. Windows of a definition are [e - size, e) for every end e on the
 * lattice offset + size + k * hop. All times in microseconds; event times lie in years 1..9999 and
 * sizes under 366 days, so nothing here overflows.
 * Source  floor modulo, as Beam Python assigns; a truncating remainder is wrong below zero. */
#ifndef MR_CORE_HOP_H
#define MR_CORE_HOP_H

#include "core/config.h"

/* The first window end after t, whether or not that window holds t (there may be gaps). */
static inline int64_t mr_hop_end_after(const struct mr_window *window, int64_t t)
{
    int64_t phase = window->offset_us + window->size_us;
    return t + window->hop_us - mr_floor_mod(t - phase, window->hop_us);
}

/* The last end of a window that holds t; below mr_hop_end_after(t) when none does. */
static inline int64_t mr_hop_last_end(const struct mr_window *window, int64_t t)
{
    int64_t start = t - mr_floor_mod(t - window->offset_us, window->hop_us);
    return start + window->size_us;
}

/* How many windows hold t. */
static inline uint32_t mr_hop_count(const struct mr_window *window, int64_t t)
{
    int64_t first = mr_hop_end_after(window, t), last = mr_hop_last_end(window, t);
    return last < first ? 0 : (uint32_t)((last - first) / window->hop_us + 1);
}

/* The smallest deadline, a window end or its expiry, after the watermark. */
static inline int64_t mr_hop_deadline_after(const struct mr_window *window, int64_t watermark_us)
{
    int64_t end = mr_hop_end_after(window, watermark_us);
    int64_t expiry = mr_hop_end_after(window, watermark_us - window->lateness_us) +
                     window->lateness_us;
    return MR_MIN(end, expiry);
}

#endif
