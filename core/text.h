/* Text for people and files: JSON strings, decimals, times, into a buffer with room for them.
 * Each function appends at `at` and returns the new end; the caller has reserved the most it can
 * write. Thread: pure. */
#ifndef MR_CORE_TEXT_H
#define MR_CORE_TEXT_H

#include "core/base.h"

#define MR_TEXT_INT_MAX           41 /* a signed 128-bit integer with its point and sign */
#define MR_TEXT_TIME_MAX          40 /* a time, the widest year included */
#define MR_TEXT_STRING_MAX(bytes) (6 * (bytes) + 2) /* a JSON string of that many bytes */

char *mr_text_put(char *at, struct mr_span text);
char *mr_text_put_u64(char *at, uint64_t number);

/* 12345 at scale 2 is 123.45; at scale 0, 12345. */
char *mr_text_put_decimal(char *at, mr_i128 number, uint32_t scale);

/* 2025-07-22T11:52:00Z; the fraction only if it is not zero, without trailing zeros. */
char *mr_text_put_time(char *at, int64_t time_us);

/* A JSON string, quoted: quote, backslash and control characters are escaped, all else is copied
 * (it must be UTF-8 already). */
char *mr_text_put_json(char *at, struct mr_span text);

/* numerator / divisor, rounded half away from zero; divisor > 0. */
mr_i128 mr_divide_rounded(mr_i128 numerator, uint64_t divisor);

#endif
