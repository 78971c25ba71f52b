#include "windows/watermark.h"

int64_t mr_watermark_advance(struct mr_watermark *watermark, uint32_t clock, int64_t to_us)
{
    int64_t lowest = MR_TIME_MAX;
    bool any = false;

    MR_ASSERT(clock < watermark->clock_count);
    if (to_us > watermark->clocks_us[clock])
        watermark->clocks_us[clock] = to_us;
    for (uint32_t c = 0; c < watermark->clock_count; c++)
        if (!watermark->idle[c]) {
            lowest = MR_MIN(lowest, watermark->clocks_us[c]);
            any = true;
        }
    if (any && lowest > watermark->now_us)
        watermark->now_us = lowest;
    return watermark->now_us;
}
