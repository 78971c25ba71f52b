/* The time seam. Monotonic time is `_ns`, wall and event time `_us` since 1970 UTC.
 * Read once per turn and passed on; the simulation links its own body. */
#ifndef MR_CORE_CLOCK_H
#define MR_CORE_CLOCK_H

#include <stdint.h>

uint64_t mr_now_ns(void);
int64_t mr_wall_us(void);

/* CPU time of the calling thread; about half a microsecond a read, so never in a turn. */
uint64_t mr_thread_cpu_ns(void);

#endif
