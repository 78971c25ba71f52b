/* A window row as one line of JSON: window, its bounds, the group fields, the aggregates in their
 * configured order, timing, index, is_first, is_last. Times are UTC with Z, the fraction only if it
 * is not zero; decimals are numbers with all digits of their scale, avg with four more.
 * Thread  pure. */
#ifndef MR_SINKS_ROW_JSON_H
#define MR_SINKS_ROW_JSON_H

#include "core/plan.h"
#include "core/row.h"

/* The most that mr_row_json_put can write for this row. */
size_t mr_row_json_bytes_max(const struct mr_plan *plan, const struct mr_row *row);

/* Appends the line, with its line feed; returns the new end. */
char *mr_row_json_put(char *at, const struct mr_plan *plan, struct mr_row *row);

#endif
