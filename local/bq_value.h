/* Values on their way into SQLite: what the types of BigQuery look like in a cell, from proto
 * values and from text, with the range checks of each type. Pure; knows no database.
 * Errors  a complaint (static text, without the column's name), NULL when all is well.
 * Source  BigQuery "Data types", "Supported protocol buffer and Arrow data types". */
#ifndef MR_LOCAL_BQ_VALUE_H
#define MR_LOCAL_BQ_VALUE_H

#include "wire/bigquery.h"

/* Scratch that lives until it is cleared; blocks are kept for the next round. */
struct mr_bq_heap {
    struct mr_bq_heap_block *first, *at;
    size_t used;
};

void *mr_bq_heap_take(struct mr_bq_heap *heap, size_t bytes);
char *mr_bq_heap_print(struct mr_bq_heap *heap, const char *format, ...) MR_PRINTF(2, 3);
char *mr_bq_heap_copy(struct mr_bq_heap *heap, struct mr_span span); /* with a zero behind it */
/* Encoded messages that go into a list one by one; `into` grows. */
struct mr_bq_spans {
    struct mr_span *items;
    uint32_t count, room;
};
void mr_bq_heap_add(struct mr_bq_heap *heap, struct mr_bq_spans *into, struct mr_span item);
void mr_bq_heap_clear(struct mr_bq_heap *heap);
void mr_bq_heap_finish(struct mr_bq_heap *heap);

struct mr_bq_column {
    const char *name;
    int32_t type, mode;           /* enum mr_bigquery_type, mr_bigquery_mode */
    int32_t range_type;           /* of a RANGE */
    int64_t max_length;           /* 0: unlimited */
    int64_t precision, scale;     /* 0: those of the type */
    const char *default_text;     /* expression, or NULL */
    const char *description;      /* or NULL */
    struct mr_bq_column *columns; /* of a STRUCT */
    uint32_t column_count;
};

enum mr_bq_cell_kind {
    MR_BQ_ABSENT, /* the row does not say */
    MR_BQ_NULL,
    MR_BQ_INTEGER,
    MR_BQ_REAL,
    MR_BQ_TEXT,
    MR_BQ_BLOB,
};

struct mr_bq_cell {
    uint8_t kind;
    uint32_t bytes; /* of text and blob */
    union {
        int64_t integer;
        double real;
        const void *data;
    };
};

/* The value for a column of any mode: one element of a REPEATED column. */
const char *mr_bq_cell_of_int(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                              int64_t value, struct mr_bq_cell *cell);
const char *mr_bq_cell_of_uint(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                               uint64_t value, struct mr_bq_cell *cell);
const char *mr_bq_cell_of_double(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                                 double value, struct mr_bq_cell *cell);
const char *mr_bq_cell_of_bytes(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                                struct mr_span value, struct mr_bq_cell *cell);
/* A literal of the column's type. The text may stay referenced. BYTES are taken as they are. */
const char *mr_bq_cell_of_text(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                               struct mr_span value, struct mr_bq_cell *cell);

/* A default expression: a literal, NULL, or CURRENT_TIMESTAMP() and its like; complaint if it is
 * none of these. */
const char *mr_bq_cell_of_default(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                                  int64_t now_us, struct mr_bq_cell *cell);

/* Fixed-width text, zero-terminated, and back. */
#define MR_BQ_TIME_BYTES 28
void mr_bq_timestamp_print(int64_t us, bool zone, char text[MR_BQ_TIME_BYTES]);
bool mr_bq_timestamp_parse(struct mr_span text, bool zone, int64_t *us);

/* A decimal number, exact: `digits` without leading zeros, the last `scale` of them behind the
 * point; scale is not negative, and the last digit behind the point is not 0. */
#define MR_BQ_DIGITS_MAX  80
#define MR_BQ_DECIMAL_MAX 128
struct mr_bq_decimal {
    bool negative;
    int32_t count, scale;
    char digits[MR_BQ_DIGITS_MAX];
};
bool mr_bq_decimal_parse(struct mr_span text, struct mr_bq_decimal *decimal);
/* Returns how many bytes; zero-terminated. */
size_t mr_bq_decimal_print(const struct mr_bq_decimal *decimal, char text[MR_BQ_DECIMAL_MAX]);

#endif
