#include "windows/watermark.h"

static int64_t least_of_active(struct mr_watermark *watermark)
{
    int64_t lowest = MR_TIME_MAX;
    bool any = false;

    for (uint32_t c = 0; c < watermark->clock_count; c++)
        if (!watermark->idle[c] && !watermark->behind[c]) {
            lowest = MR_MIN(lowest, watermark->clocks_us[c]);
            any = true;
        }
    if (any && lowest > watermark->now_us)
        watermark->now_us = lowest;
    return watermark->now_us;
}

int64_t mr_watermark_advance(struct mr_watermark *watermark, uint32_t clock, int64_t to_us)
{
    MR_ASSERT(clock < watermark->clock_count);
    if (watermark->idle[clock])
        return watermark->now_us;
    if (to_us > watermark->clocks_us[clock])
        watermark->clocks_us[clock] = to_us;
    if (watermark->clocks_us[clock] >= watermark->now_us)
        watermark->behind[clock] = false;
    return least_of_active(watermark);
}

int64_t mr_watermark_idle(struct mr_watermark *watermark, uint32_t clock)
{
    MR_ASSERT(clock < watermark->clock_count);
    watermark->idle[clock] = true;
    return least_of_active(watermark);
}

int64_t mr_watermark_active(struct mr_watermark *watermark, uint32_t clock)
{
    MR_ASSERT(clock < watermark->clock_count);
    if (!watermark->idle[clock])
        return watermark->now_us;
    watermark->idle[clock] = false;
    watermark->behind[clock] = watermark->clocks_us[clock] < watermark->now_us;
    return least_of_active(watermark);
}
