/* Durations, sizes and counts as people write them: `1h30m`, `64KiB`, `10M`.
 * Each parser takes the whole text and returns NULL, or a sentence saying what is wrong with it. */
#ifndef MR_CORE_UNITS_H
#define MR_CORE_UNITS_H

#include "core/base.h"

#define MR_UNITS_TEXT_BYTES 48

/* Units us, ms, s, m, h, d, several in falling order; `0` needs none; a leading `-` is allowed. */
const char *mr_duration_parse(const char *text, int64_t *us);
/* Units B, KB, MB, GB, TB (1000) and KiB, MiB, GiB, TiB (1024); `0` needs none. */
const char *mr_size_parse(const char *text, int64_t *bytes);
/* Digits with `_` between them, and k, M or G behind. */
const char *mr_count_parse(const char *text, int64_t *count);

/* The shortest exact spelling that the parser above reads back; returns `text`. */
const char *mr_duration_print(int64_t us, char text[MR_UNITS_TEXT_BYTES]);
const char *mr_size_print(int64_t bytes, char text[MR_UNITS_TEXT_BYTES]);
const char *mr_count_print(int64_t count, char text[MR_UNITS_TEXT_BYTES]);

#endif
