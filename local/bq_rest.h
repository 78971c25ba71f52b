/* One REST request under way; only bq_rest*.c include this. */
#ifndef MR_LOCAL_BQ_REST_H
#define MR_LOCAL_BQ_REST_H

#include <jansson.h>

#include "local/bq_state.h"

#define MR_BQ_REST_PARTS_MAX 12

struct mr_bq_rest {
    struct mr_bq *store;
    int64_t now_us;
    const struct mr_bq_request *request;
    struct mr_bq_reply *reply;
    const char *parts[MR_BQ_REST_PARTS_MAX]; /* of the path, from "projects", decoded */
    uint32_t part_count;
    struct mr_span query; /* behind `?`, encoded */
    json_t *body;         /* an object, or NULL */
};

/* ---- bq_rest_json.c ---- */

/* Takes over `json`. */
void mr_bq_rest_reply(struct mr_bq_rest *rest, int status, json_t *json);
void mr_bq_rest_error(struct mr_bq_rest *rest, int status, const char *reason, const char *format,
                      ...) MR_PRINTF(4, 5);
/* The last complaint of SQLite as an error body. */
void mr_bq_rest_broken(struct mr_bq_rest *rest, int status, const char *reason);
/* A string of an object, "" when it is absent or no string. */
const char *mr_bq_rest_text(const json_t *object, const char *name);
/* A number that may be a JSON string. */
int64_t mr_bq_rest_number(const json_t *object, const char *name, int64_t otherwise);
/* A parameter of the query string, decoded, or NULL. */
const char *mr_bq_rest_parameter(struct mr_bq_rest *rest, const char *name);
int64_t mr_bq_rest_parameter_number(struct mr_bq_rest *rest, const char *name, int64_t otherwise);
/* Sets a 64-bit number as its decimal string. */
void mr_bq_rest_set_number(json_t *object, const char *name, int64_t value);
json_t *mr_bq_rest_parse(struct mr_span text);
struct mr_span mr_bq_rest_dump(struct mr_bq *store, const json_t *json);
char *mr_bq_rest_decode(struct mr_bq_heap *heap, struct mr_span text); /* percent-decoding */

/* ---- bq_rest_schema.c ---- */

/* fields[] of a schema. */
json_t *mr_bq_rest_fields(const struct mr_bq_column *columns, uint32_t count);
/* Writes each type of a schema's fields by the one name that the service answers with: INT64
 * becomes INTEGER. NULL is accepted. */
void mr_bq_rest_rename_types(json_t *fields);
int32_t mr_bq_rest_type(const char *name); /* enum mr_bigquery_type, 0: unknown */
const char *mr_bq_rest_type_name(int32_t type);

/* ---- bq_rest_tables.c ---- */

void mr_bq_rest_datasets(struct mr_bq_rest *rest);
void mr_bq_rest_tables(struct mr_bq_rest *rest);
/* The table of the path, or NULL with the reply made. */
struct mr_bq_table *mr_bq_rest_table(struct mr_bq_rest *rest);

/* ---- bq_rest_rows.c ---- */

void mr_bq_rest_insert_all(struct mr_bq_rest *rest);
void mr_bq_rest_data(struct mr_bq_rest *rest);
/* A JSON value of a REST call for a column; `wrong` or NULL. */
const char *mr_bq_rest_cell(struct mr_bq *store, const struct mr_bq_column *column,
                            const json_t *value, struct mr_bq_cell *cell);
/* The value of a result column in f/v form. `integers`: timestamps as microseconds. */
json_t *mr_bq_rest_value(struct mr_bq *store, const struct mr_bq_column *column, sqlite3_stmt *row,
                         int index, bool integers);
/* One row, {"f": [{"v": ...}, ...]}. */
json_t *mr_bq_rest_row(struct mr_bq *store, const struct mr_bq_column *columns, uint32_t count,
                       sqlite3_stmt *row, bool integers);

/* ---- bq_rest_query.c ---- */

void mr_bq_rest_queries(struct mr_bq_rest *rest);
void mr_bq_rest_jobs(struct mr_bq_rest *rest);
/* What the columns of a statement are: by the column of the table behind it, else by the value in
 * the row it stands on. */
struct mr_bq_column *mr_bq_rest_columns(struct mr_bq *store, sqlite3_stmt *row);

#endif
