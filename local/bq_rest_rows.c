#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "local/bq_rest.h"

#define PAGE_ROWS 10000

/* ---- JSON to cells ---- */

static const char *cell_of_base64(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                                  const char *text, struct mr_bq_cell *cell)
{
    size_t bytes = strlen(text), out = 0;
    uint8_t *data = mr_bq_heap_take(heap, bytes + 1);
    uint32_t word = 0, bits = 0;

    for (size_t i = 0; i < bytes; i++) {
        static const char digits[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        char c = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
        const char *digit = strchr(digits, c);
        if (c == '=')
            continue;
        if (!digit)
            return "the text is not base64";
        word = word << 6 | (uint32_t)(digit - digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            data[out++] = (uint8_t)(word >> bits);
        }
    }
    return mr_bq_cell_of_bytes(heap, column, mr_span_of(data, out), cell);
}

static void cell_set_text(struct mr_bq_cell *cell, struct mr_span text)
{
    *cell = (struct mr_bq_cell){
        .kind = MR_BQ_TEXT, .bytes = (uint32_t)text.bytes, .data = text.data};
}

static const char *cell_of_struct(struct mr_bq *store, const struct mr_bq_column *column,
                                  const json_t *value, struct mr_bq_cell *cell)
{
    struct mr_bq_json json = {.heap = &store->heap};
    const char *wrong = NULL;

    if (!json_is_object(value))
        return "the value is no JSON object";
    mr_bq_json_put(&json, "{", 1);
    for (uint32_t i = 0; i < column->column_count && !wrong; i++) {
        const struct mr_bq_column *field = &column->columns[i];
        struct mr_bq_cell one = {.kind = MR_BQ_NULL};
        wrong = mr_bq_rest_cell(store, field, json_object_get(value, field->name), &one);
        if (i)
            mr_bq_json_put(&json, ",", 1);
        mr_bq_json_string(&json, mr_span_text(field->name));
        mr_bq_json_put(&json, ":", 1);
        mr_bq_json_cell(&json, field, &one);
    }
    mr_bq_json_put(&json, "}", 1);
    cell_set_text(cell, mr_span_of(json.data, json.bytes));
    return wrong;
}

static const char *cell_of_array(struct mr_bq *store, const struct mr_bq_column *column,
                                 const json_t *value, struct mr_bq_cell *cell)
{
    struct mr_bq_json json = {.heap = &store->heap};
    struct mr_bq_column one = *column;
    const char *wrong = NULL;
    size_t index;
    json_t *item;

    one.mode = MR_BIGQUERY_REQUIRED;
    if (!json_is_array(value))
        return "the value is no JSON array";
    mr_bq_json_put(&json, "[", 1);
    json_array_foreach(value, index, item)
    {
        struct mr_bq_cell element = {.kind = MR_BQ_NULL};
        wrong = wrong ? wrong : mr_bq_rest_cell(store, &one, item, &element);
        if (index)
            mr_bq_json_put(&json, ",", 1);
        mr_bq_json_cell(&json, &one, &element);
    }
    mr_bq_json_put(&json, "]", 1);
    cell_set_text(cell, mr_span_of(json.data, json.bytes));
    return wrong;
}

/* Numbers, and text that stands for one: seconds since 1970 for a TIMESTAMP. */
static const char *cell_of_number(struct mr_bq *store, const struct mr_bq_column *column,
                                  const json_t *value, struct mr_bq_cell *cell)
{
    char text[40];

    if (column->type == MR_BIGQUERY_TIMESTAMP) {
        double us = json_number_value(value) * 1e6;
        if (us < -1e17 || us > 1e18)
            return "the time lies outside the years 1 to 9999";
        return mr_bq_cell_of_int(&store->heap, column, (int64_t)(us + (us < 0 ? -0.5 : 0.5)), cell);
    }
    int bytes = json_is_integer(value)
                    ? snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT,
                               json_integer_value(value))
                    : snprintf(text, sizeof text, "%.17g", json_real_value(value));
    if (json_is_real(value) && column->type == MR_BIGQUERY_NUMERIC)
        bytes = snprintf(text, sizeof text, "%.15g", json_real_value(value));
    const char *copy = mr_bq_heap_copy(&store->heap, mr_span_of(text, (size_t)bytes));
    return mr_bq_cell_of_text(&store->heap, column, mr_span_text(copy), cell);
}

const char *mr_bq_rest_cell(struct mr_bq *store, const struct mr_bq_column *column,
                            const json_t *value, struct mr_bq_cell *cell)
{
    if (!value || json_is_null(value)) {
        *cell = (struct mr_bq_cell){.kind = MR_BQ_NULL};
        if (column->mode == MR_BIGQUERY_REPEATED)
            cell_set_text(cell, mr_span_text("[]"));
        return column->mode == MR_BIGQUERY_REQUIRED ? "a required field is missing" : NULL;
    }
    if (column->mode == MR_BIGQUERY_REPEATED)
        return cell_of_array(store, column, value, cell);
    if (column->type == MR_BIGQUERY_STRUCT)
        return cell_of_struct(store, column, value, cell);
    if (column->type == MR_BIGQUERY_JSON && !json_is_string(value)) {
        cell_set_text(cell, mr_bq_rest_dump(store, value));
        return NULL;
    }
    if (json_is_number(value))
        return cell_of_number(store, column, value, cell);
    if (json_is_boolean(value))
        return mr_bq_cell_of_text(&store->heap, column,
                                  mr_span_text(json_is_true(value) ? "true" : "false"), cell);
    if (!json_is_string(value))
        return "the value does not fit the type of the column";
    const char *text = mr_bq_heap_copy(&store->heap, mr_span_text(json_string_value(value)));
    if (column->type == MR_BIGQUERY_BYTES)
        return cell_of_base64(&store->heap, column, text, cell);
    if (column->type == MR_BIGQUERY_JSON && !mr_bq_rest_json_valid(mr_span_text(text)))
        return "the text is not JSON";
    char *end;
    double seconds = strtod(text, &end);
    if (column->type == MR_BIGQUERY_TIMESTAMP && *text && !*end) {
        json_t *number = json_real(seconds);
        const char *wrong = cell_of_number(store, column, number, cell);
        json_decref(number);
        return wrong;
    }
    return mr_bq_cell_of_text(&store->heap, column, mr_span_text(text), cell);
}

/* ---- tabledata.insertAll ---- */

struct insert {
    struct mr_bq_rest *rest;
    struct mr_bq_table *table;
    struct mr_bq_row *rows;
    uint32_t count;
    json_t *errors;
};

static void insert_error(struct insert *in, size_t index, const char *reason, const char *location,
                         const char *message)
{
    json_array_append_new(in->errors, json_pack("{si s[{ssssssss}]}", "index", (int)index, "errors",
                                                "reason", reason, "location", location, "debugInfo",
                                                "", "message", message));
}

static void insert_row(struct insert *in, size_t index, const json_t *json, bool unknown,
                       struct mr_bq_row *row)
{
    struct mr_bq_table *table = in->table;
    struct mr_bq *store = table->store;
    uint32_t known = 0;

    if (!json_is_object(json)) {
        insert_error(in, index, "invalid", "", "The row is no JSON object.");
        return;
    }
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct mr_bq_column *column = &table->columns[i];
        const json_t *value = json_object_get(json, column->name);
        const char *wrong = !value && column->default_text
                                ? mr_bq_cell_of_default(&store->heap, column, in->rest->now_us,
                                                        &row->cells[i])
                                : mr_bq_rest_cell(store, column, value, &row->cells[i]);
        known += value != NULL;
        if (wrong) {
            insert_error(in, index, "invalid", column->name, wrong);
            return;
        }
    }
    if (known < json_object_size(json) && !unknown) {
        insert_error(in, index, "invalid", "", "no such field.");
        return;
    }
    in->count++;
}

void mr_bq_rest_insert_all(struct mr_bq_rest *rest)
{
    struct insert in = {.rest = rest, .table = mr_bq_rest_table(rest)};
    const json_t *rows = json_object_get(rest->body, "rows");
    bool skip = json_is_true(json_object_get(rest->body, "skipInvalidRows"));
    bool unknown = json_is_true(json_object_get(rest->body, "ignoreUnknownValues"));
    size_t index;
    json_t *item;

    if (!in.table)
        return;
    if (!json_array_size(rows) || json_array_size(rows) > 50000 || in.table->view) {
        mr_bq_rest_error(rest, 400, "invalid", "insertAll takes 1 to 50000 rows for a table.");
        return;
    }
    in.errors = json_array();
    in.rows = mr_bq_heap_take(&rest->store->heap, json_array_size(rows) * sizeof *in.rows);
    json_array_foreach(rows, index, item)
    {
        size_t bytes = in.table->column_count * sizeof(struct mr_bq_cell);
        struct mr_bq_row *row = &in.rows[in.count];
        *row = (struct mr_bq_row){.cells = mr_bq_heap_take(&rest->store->heap, bytes)};
        insert_row(&in, index, json_object_get(item, "json"), unknown, row);
    }
    /* One bad row stops the others, unless told to skip it. */
    if (json_array_size(in.errors) && !skip) {
        size_t bad = 0;
        json_t *all = json_array(), *mine = in.errors;
        in.errors = all;
        for (index = 0; index < json_array_size(rows); index++) {
            json_t *error = json_array_get(mine, bad);
            if (error && mr_bq_rest_number(error, "index", -1) == (int64_t)index) {
                json_array_append(all, error);
                bad++;
            } else {
                insert_error(&in, index, "stopped", "", "");
            }
        }
        json_decref(mine);
        in.count = 0;
    }
    if (in.count && mr_bq_rows_write(in.table, NULL, in.rows, in.count, rest->now_us) != MR_OK) {
        json_decref(in.errors);
        mr_bq_rest_broken(rest, 500, "backendError");
        return;
    }
    json_t *out = json_pack("{ss}", "kind", "bigquery#tableDataInsertAllResponse");
    if (json_array_size(in.errors))
        json_object_set(out, "insertErrors", in.errors);
    json_decref(in.errors);
    mr_bq_rest_reply(rest, 200, out);
}

/* ---- cells to f/v ---- */

static json_t *text_value(const struct mr_bq_column *column, const char *text, bool integers)
{
    char out[40];
    int64_t us;

    if (column->type != MR_BIGQUERY_TIMESTAMP ||
        !mr_bq_timestamp_parse(mr_span_text(text), true, &us))
        return json_string(text);
    if (integers)
        snprintf(out, sizeof out, "%" PRId64, us);
    else
        snprintf(out, sizeof out, "%s%lld.%06lld", us < 0 ? "-" : "", llabs(us / 1000000),
                 llabs(us % 1000000));
    return json_string(out);
}

/* JSON as it is stored into f/v form. */
static json_t *nested(const struct mr_bq_column *column, const json_t *value, bool integers)
{
    char text[40];

    if (!value || json_is_null(value))
        return json_null();
    if (column->mode == MR_BIGQUERY_REPEATED) {
        struct mr_bq_column one = *column;
        json_t *out = json_array(), *item;
        size_t index;
        one.mode = MR_BIGQUERY_NULLABLE;
        json_array_foreach(value, index, item)
            json_array_append_new(out, json_pack("{so}", "v", nested(&one, item, integers)));
        return out;
    }
    if (column->type == MR_BIGQUERY_STRUCT) {
        json_t *fields = json_array();
        for (uint32_t i = 0; i < column->column_count; i++) {
            const struct mr_bq_column *field = &column->columns[i];
            json_array_append_new(
                fields, json_pack("{so}", "v",
                                  nested(field, json_object_get(value, field->name), integers)));
        }
        return json_pack("{so}", "f", fields);
    }
    if (json_is_boolean(value))
        return json_string(json_is_true(value) ? "true" : "false");
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, sizeof text, column->type == MR_BIGQUERY_DOUBLE ? "%.17g" : "%.15g",
                 json_real_value(value));
    else
        return text_value(column, json_string_value(value), integers);
    return json_string(text);
}

static json_t *number_value(const struct mr_bq_column *column, sqlite3_stmt *row, int index)
{
    bool decimal = column->type == MR_BIGQUERY_NUMERIC || column->type == MR_BIGQUERY_BIGNUMERIC;
    char text[MR_BQ_DECIMAL_MAX];
    struct mr_bq_decimal exact;

    if (sqlite3_column_type(row, index) == SQLITE_INTEGER) {
        int64_t value = sqlite3_column_int64(row, index);
        if (column->type == MR_BIGQUERY_BOOL)
            return json_string(value ? "true" : "false");
        return json_sprintf("%" PRId64, value);
    }
    double value = sqlite3_column_double(row, index);
    snprintf(text, sizeof text, "%.15g", value);
    if (decimal && mr_bq_decimal_parse(mr_span_text(text), &exact))
        mr_bq_decimal_print(&exact, text);
    else if (strtod(text, NULL) != value)
        snprintf(text, sizeof text, "%.17g", value);
    return json_string(text);
}

json_t *mr_bq_rest_value(struct mr_bq *store, const struct mr_bq_column *column, sqlite3_stmt *row,
                         int index, bool integers)
{
    const char *text;

    switch (sqlite3_column_type(row, index)) {
    case SQLITE_NULL:
        return json_null();
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
        return number_value(column, row, index);
    case SQLITE_BLOB: {
        struct mr_bq_json json = {.heap = &store->heap};
        struct mr_bq_cell cell = {.kind = MR_BQ_BLOB,
                                  .bytes = (uint32_t)sqlite3_column_bytes(row, index),
                                  .data = sqlite3_column_blob(row, index)};
        mr_bq_json_cell(&json, column, &cell);
        return json_stringn(json.data + 1, json.bytes - 2); /* without its quotes */
    }
    default:
        text = (const char *)sqlite3_column_text(row, index);
        if (column->mode != MR_BIGQUERY_REPEATED && column->type != MR_BIGQUERY_STRUCT)
            return text_value(column, text, integers);
        json_t *value = mr_bq_rest_parse(mr_span_text(text));
        json_t *out = nested(column, value, integers);
        json_decref(value);
        return out;
    }
}

json_t *mr_bq_rest_row(struct mr_bq *store, const struct mr_bq_column *columns, uint32_t count,
                       sqlite3_stmt *row, bool integers)
{
    json_t *fields = json_array();
    for (uint32_t i = 0; i < count; i++) {
        json_t *value = mr_bq_rest_value(store, &columns[i], row, (int)i, integers);
        json_array_append_new(fields, json_pack("{so}", "v", value ? value : json_string("")));
    }
    return json_pack("{so}", "f", fields);
}

/* ---- tabledata.list ---- */

void mr_bq_rest_data(struct mr_bq_rest *rest)
{
    struct mr_bq *store = rest->store;
    struct mr_bq_table *table = mr_bq_rest_table(rest);
    const char *integers = mr_bq_rest_parameter(rest, "formatOptions.useInt64Timestamp");
    int64_t first = mr_bq_rest_parameter_number(rest, "pageToken",
                                                mr_bq_rest_parameter_number(rest, "startIndex", 0));
    int64_t most = mr_bq_rest_parameter_number(rest, "maxResults", PAGE_ROWS);
    int64_t total = 0, count = 0;

    if (!table)
        return;
    if (table->view) {
        mr_bq_rest_error(rest, 400, "invalid", "Cannot list a table of type VIEW.");
        return;
    }
    first = MR_MAX(first, 0);
    most = MR_MIN(MR_MAX(most, 0), PAGE_ROWS);
    const char *name = mr_bq_quote(store, table->sql_name, "");
    sqlite3_stmt *size = mr_bq_prepare(store, "select count(*) from %s", name);
    sqlite3_stmt *rows = mr_bq_prepare(store,
                                       "select * from %s order by rowid limit %lld offset %lld",
                                       name, (long long)most, (long long)first);
    if (!size || !rows) {
        sqlite3_finalize(size);
        sqlite3_finalize(rows);
        mr_bq_rest_broken(rest, 500, "internalError");
        return;
    }
    if (sqlite3_step(size) == SQLITE_ROW)
        total = sqlite3_column_int64(size, 0);
    json_t *list = json_array();
    for (; sqlite3_step(rows) == SQLITE_ROW; count++)
        json_array_append_new(list, mr_bq_rest_row(store, table->columns, table->column_count, rows,
                                                   integers && strcasecmp(integers, "true") == 0));
    sqlite3_finalize(size);
    sqlite3_finalize(rows);
    json_t *out = json_pack("{ss}", "kind", "bigquery#tableDataList");
    mr_bq_rest_set_number(out, "totalRows", total);
    json_object_set_new(out, "rows", list);
    if (count && first + count < total)
        mr_bq_rest_set_number(out, "pageToken", first + count);
    mr_bq_rest_reply(rest, 200, out);
}
