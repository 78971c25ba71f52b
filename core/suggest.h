/* The nearest known name, for "did you mean". */
#ifndef MR_CORE_SUGGEST_H
#define MR_CORE_SUGGEST_H

#include "core/base.h"

#define MR_SUGGEST_BYTES_MAX 63 /* longer names are not compared */

/* Edits (insert, delete, replace, swap of neighbours; letter case is free) from `a` to `b`;
 * UINT32_MAX if either is too long. */
uint32_t mr_edit_distance(const char *a, const char *b);

/* The closest of names[count]; NULL if none is within a third of the word's length (at least one
 * edit, at most three). The first of equals wins. */
const char *mr_suggest(const char *word, const char *const *names, uint32_t count);

#endif
