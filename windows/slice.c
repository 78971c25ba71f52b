#include "windows/slice.h"

/* False: there is no room for one more. A cut that is there already needs none. */
static bool insert_cut(struct mr_slice *slice, int64_t cut)
{
    uint32_t at = 0;

    while (at < slice->cut_count && slice->cuts[at] < cut)
        at++;
    if (at < slice->cut_count && slice->cuts[at] == cut)
        return true;
    if (slice->cut_count == MR_SLICE_CUTS_MAX)
        return false;
    memmove(&slice->cuts[at + 1], &slice->cuts[at],
            (slice->cut_count - at) * sizeof slice->cuts[0]);
    slice->cuts[at] = cut;
    slice->cut_count++;
    return true;
}

void mr_slice_init(struct mr_slice *slice, const struct mr_window *window)
{
    *slice = (struct mr_slice){.period_us = window->hop_us};
    insert_cut(slice, mr_floor_mod(window->offset_us, window->hop_us));
    insert_cut(slice, mr_floor_mod(window->offset_us + window->size_us, window->hop_us));
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Repeats the cuts of `from` over a period that its own divides. */
static bool spread(struct mr_slice *into, const struct mr_slice *from)
{
    for (int64_t base = 0; base < into->period_us; base += from->period_us)
        for (uint32_t c = 0; c < from->cut_count; c++)
            if (!insert_cut(into, base + from->cuts[c]))
                return false;
    return true;
}

bool mr_slice_merge(struct mr_slice *slice, const struct mr_window *window)
{
    struct mr_slice own, merged = {0};

    mr_slice_init(&own, window);
    int64_t divisor = common_divisor(slice->period_us, own.period_us);
    if (__builtin_mul_overflow(slice->period_us / divisor, own.period_us, &merged.period_us) ||
        merged.period_us / own.period_us > MR_SLICE_CUTS_MAX ||
        merged.period_us / slice->period_us > MR_SLICE_CUTS_MAX)
        return false;
    if (!spread(&merged, slice) || !spread(&merged, &own))
        return false;
    *slice = merged;
    return true;
}

int64_t mr_slice_index(const struct mr_slice *slice, int64_t t)
{
    int64_t period = mr_floor_div(t, slice->period_us);
    int64_t rest = t - period * slice->period_us;
    uint32_t passed = 0;

    while (passed < slice->cut_count && slice->cuts[passed] <= rest)
        passed++;
    return period * slice->cut_count + passed - 1;
}

int64_t mr_slice_start(const struct mr_slice *slice, int64_t index)
{
    int64_t period = mr_floor_div(index, slice->cut_count);
    return period * slice->period_us + slice->cuts[index - period * slice->cut_count];
}
