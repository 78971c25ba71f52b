/* Event times, in every spelling that is understood, as microseconds since 1970-01-01T00:00:00 UTC.
 *
 *   2025-07-22T11:52:03.123456   date, T, t or a space, time; no zone means UTC
 *   2025-07-22 11:52Z            seconds may be left out, a fraction has 1 to 9 digits
 *   ...+05:30 ...-1200 ...+05    offsets up to 18:00 either way
 *   ...:59:60                    a leap second is the last microsecond of its minute
 *   1753185123.25                seconds, ms, us or ns since 1970, told apart by size
 *
 * Years 1 to 9999 UTC. What is finer than a microsecond is rounded down.
 * Thread  pure functions; the host's time zone is never asked. */
#ifndef MR_SOURCES_EVENT_TIME_H
#define MR_SOURCES_EVENT_TIME_H

#include "core/config.h"
#include "sources/number.h"

#define MR_EVENT_US_MIN INT64_C(-62135596800000000) /* 0001-01-01T00:00:00 */
#define MR_EVENT_US_MAX INT64_C(253402300799999999) /* 9999-12-31T23:59:59.999999 */

/* Both return false for a time that is not understood or does not exist. MR_UNIT_AUTO takes the
 * unit from the absolute value x: below 1e11 s, below 1e14 ms, below 1e17 us, else ns. */
bool mr_time_from_text(struct mr_span text, enum mr_time_unit unit, int64_t *us);
bool mr_time_from_number(const struct mr_number *number, enum mr_time_unit unit, int64_t *us);

#endif
