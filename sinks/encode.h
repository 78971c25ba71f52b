/* A window row as BigQuery takes it: the columns of its table, the writer's descriptor, and the row
 * itself as a protobuf message. All three follow one list, mr_row_columns, so they cannot disagree.
 *
 * Columns  window, window_start, window_end, the group fields, the aggregates in their configured
 *          order, timing, index, is_first, is_last, instance, lineage, share, emitted_at; field n
 *          of the message is column n, from 1.
 * Numbers  count and the min and max of an int are INT64. All else is NUMERIC: a sum or an average
 *          may leave 64 bits, and decimals have a scale. NUMERIC has nine digits after the point;
 *          an average with more (a field of scale 6 and beyond) is rounded half away from zero.
 * Nulls    only group fields and aggregates of optional fields; every zero is written, since to
 *          proto2 a zero that is left out is missing.
 * Thread   pure.
 * Source   the field types that Google's clients choose: TIMESTAMP int64 (us), NUMERIC bytes. */
#ifndef MR_SINKS_ENCODE_H
#define MR_SINKS_ENCODE_H

#include "core/plan.h"
#include "core/row.h"
#include "wire/bigquery.h"

#define MR_ROW_COLUMNS_MAX (12 + MR_GROUP_FIELDS_MAX + MR_AGGREGATES_MAX)
#define MR_COLUMN_BYTES    320 /* a column name has at most 300 characters */

struct mr_row_column {
    char name[MR_COLUMN_BYTES];
    enum mr_bigquery_type type;
    enum mr_bigquery_mode mode; /* NULLABLE or REQUIRED */
};

/* The columns of a definition's table: for whoever makes the table, and for the descriptor.
 * Shapes  columns[MR_ROW_COLUMNS_MAX]; returns how many. */
uint32_t mr_row_columns(const struct mr_plan *plan, uint32_t definition,
                        struct mr_row_column *columns);

/* Writes the DescriptorProto of a definition's rows; ask pen->err. */
void mr_row_descriptor_put(struct mr_pen *pen, const struct mr_plan *plan, uint32_t definition);

/* What a row says beside its window: who emitted it, and when. */
struct mr_row_origin {
    struct mr_span instance;
    int64_t lineage;
    uint16_t share;
    int64_t emitted_us;
};

/* Writes the fields of the row, bare. Ask pen->err: MR_E_WIRE_ROOM, or MR_E_WIRE_RANGE when a
 * number exceeds NUMERIC's 29 digits before the point. */
void mr_row_encode(struct mr_pen *pen, const struct mr_plan *plan, struct mr_row *row,
                   const struct mr_row_origin *origin);

/* The number that NUMERIC stores: `number` of `scale` digits, times 10^9. MR_OK or
 * MR_E_WIRE_RANGE. */
int mr_numeric_of(mr_i128 number, uint32_t scale, mr_i128 *scaled);

#endif
