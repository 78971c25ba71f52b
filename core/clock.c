#include "core/clock.h"

#include <time.h>

static uint64_t read_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t mr_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t mr_wall_us(void)
{
    return (int64_t)(read_ns(CLOCK_REALTIME) / 1000u);
}

uint64_t mr_thread_cpu_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}
