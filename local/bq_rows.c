#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "local/bq_state.h"

/* ---- JSON text ---- */

void mr_bq_json_put(struct mr_bq_json *json, const char *data, size_t bytes)
{
    if (json->room - json->bytes < bytes) {
        size_t room = MR_MAX(2 * json->room, json->bytes + bytes + 64);
        char *larger = mr_bq_heap_take(json->heap, room);
        if (json->bytes)
            memcpy(larger, json->data, json->bytes);
        json->data = larger;
        json->room = room;
    }
    memcpy(json->data + json->bytes, data, bytes);
    json->bytes += bytes;
}

static void put_text(struct mr_bq_json *json, const char *text)
{
    mr_bq_json_put(json, text, strlen(text));
}

void mr_bq_json_string(struct mr_bq_json *json, struct mr_span text)
{
    char escape[8];

    put_text(json, "\"");
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\' || c < 32) {
            int bytes = c < 32 ? sprintf(escape, "\\u%04x", c) : sprintf(escape, "\\%c", c);
            mr_bq_json_put(json, escape, (size_t)bytes);
        } else {
            mr_bq_json_put(json, (const char *)&text.data[i], 1);
        }
    }
    put_text(json, "\"");
}

static void put_base64(struct mr_bq_json *json, const uint8_t *data, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    put_text(json, "\"");
    for (size_t i = 0; i < bytes; i += 3) {
        size_t left = bytes - i;
        uint32_t word = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (left > 2 ? data[i + 2] : 0);
        char four[4] = {digits[word >> 18], digits[word >> 12 & 63],
                        left > 1 ? digits[word >> 6 & 63] : '=',
                        left > 2 ? digits[word & 63] : '='};
        mr_bq_json_put(json, four, 4);
    }
    put_text(json, "\"");
}

void mr_bq_json_cell(struct mr_bq_json *json, const struct mr_bq_column *column,
                     const struct mr_bq_cell *cell)
{
    char text[40];

    switch (cell->kind) {
    case MR_BQ_INTEGER:
        if (column->type == MR_BIGQUERY_BOOL)
            put_text(json, cell->integer ? "true" : "false");
        else
            mr_bq_json_put(json, text, (size_t)sprintf(text, "%lld", (long long)cell->integer));
        break;
    case MR_BQ_REAL:
        if (isinf(cell->real))
            put_text(json, cell->real > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        else
            mr_bq_json_put(json, text,
                           (size_t)sprintf(text,
                                           column->type == MR_BIGQUERY_DOUBLE ? "%.17g" : "%.15g",
                                           cell->real));
        break;
    case MR_BQ_TEXT:
        if (column->mode == MR_BIGQUERY_REPEATED || column->type == MR_BIGQUERY_STRUCT)
            mr_bq_json_put(json, cell->data, cell->bytes);
        else
            mr_bq_json_string(json, mr_span_of(cell->data, cell->bytes));
        break;
    case MR_BQ_BLOB:
        put_base64(json, cell->data, cell->bytes);
        break;
    default:
        put_text(json, "null");
    }
}

/* ---- values ---- */

struct reader {
    struct mr_bq_heap *heap;
    const char *wrong; /* the first complaint, with the field's name */
};

static void complain(struct reader *r, const struct mr_bq_column *column, const char *what)
{
    if (!r->wrong)
        r->wrong = mr_bq_heap_print(r->heap, "Invalid value: %s. Field: %s", what, column->name);
}

static enum mr_pb_wire wire_of(int32_t proto)
{
    switch (proto) {
    case MR_PROTO_DOUBLE:
    case MR_PROTO_FIXED64:
    case MR_PROTO_SFIXED64:
        return MR_PB_FIXED64;
    case MR_PROTO_FLOAT:
    case MR_PROTO_FIXED32:
    case MR_PROTO_SFIXED32:
        return MR_PB_FIXED32;
    case MR_PROTO_STRING:
    case MR_PROTO_BYTES:
    case MR_PROTO_MESSAGE:
        return MR_PB_BYTES;
    default:
        return MR_PB_VARINT;
    }
}

static const char *scalar(struct mr_bq_heap *heap, const struct mr_bq_slot *slot,
                          const struct mr_bq_column *column, const struct mr_pb_field *field,
                          struct mr_bq_cell *cell)
{
    struct mr_span name;
    double real;
    float half;

    if ((field->tag & 7) != (uint32_t)wire_of(slot->proto))
        return "the wire type is not that of the proto field";
    switch (slot->proto) {
    case MR_PROTO_INT64:
        return mr_bq_cell_of_int(heap, column, (int64_t)field->value, cell);
    case MR_PROTO_INT32:
        return mr_bq_cell_of_int(heap, column, (int32_t)field->value, cell);
    case MR_PROTO_UINT32:
        return mr_bq_cell_of_int(heap, column, (uint32_t)field->value, cell);
    case MR_PROTO_UINT64:
        return mr_bq_cell_of_uint(heap, column, field->value, cell);
    case MR_PROTO_BOOL:
        return mr_bq_cell_of_int(heap, column, field->value != 0, cell);
    case MR_PROTO_ENUM:
        if (column->type == MR_BIGQUERY_INT64)
            return mr_bq_cell_of_int(heap, column, (int32_t)field->value, cell);
        if (!mr_bigquery_enum_name(slot->enumeration, (int32_t)field->value, &name))
            return "the number is none of the enum's values";
        return mr_bq_cell_of_text(heap, column, name, cell);
    case MR_PROTO_DOUBLE:
        memcpy(&real, &field->value, 8);
        return mr_bq_cell_of_double(heap, column, real, cell);
    case MR_PROTO_FLOAT:
        memcpy(&half, &field->value, 4);
        return mr_bq_cell_of_double(heap, column, half, cell);
    case MR_PROTO_STRING:
        if (!mr_utf8_valid(field->bytes))
            return "the text is not UTF-8";
        if (column->type == MR_BIGQUERY_JSON && !mr_bq_rest_json_valid(field->bytes))
            return "the text is not JSON";
        return mr_bq_cell_of_text(heap, column, field->bytes, cell);
    default:
        return mr_bq_cell_of_bytes(heap, column, field->bytes, cell);
    }
}

/* The last field 1 of a wrapper; none: zero, as proto3 leaves it out. */
static const char *wrapped(struct mr_bq_heap *heap, const struct mr_bq_slot *slot,
                           const struct mr_bq_column *column, struct mr_span message,
                           struct mr_bq_cell *cell)
{
    struct mr_pb_field value = {.tag = MR_PB_TAG(1, wire_of(slot->proto))}, field;
    struct mr_cursor cursor = mr_cursor_of(message);

    while (mr_pb_next(&cursor, &field))
        if (mr_pb_number(&field) == 1)
            value = field;
    if (cursor.err != MR_OK)
        return "the wrapper is malformed";
    return scalar(heap, slot, column, &value, cell);
}

static const char *timed(struct mr_bq_heap *heap, const struct mr_bq_slot *slot,
                         const struct mr_bq_column *column, struct mr_span message,
                         struct mr_bq_cell *cell)
{
    struct mr_pb_time time;

    if (mr_pb_time_parse(&time, message) != MR_OK)
        return "the time is malformed";
    int64_t us = mr_pb_time_us(&time);
    if (slot->wrap == MR_BQ_TIMESTAMP)
        return mr_bq_cell_of_int(heap, column, us, cell);
    int64_t seconds = us / 1000000, rest = us % 1000000;
    const char *text = mr_bq_heap_print(heap, "0-0 0 %s%lld:%lld:%lld.%06lld", us < 0 ? "-" : "",
                                        llabs(seconds / 3600), llabs(seconds / 60 % 60),
                                        llabs(seconds % 60), llabs(rest));
    return mr_bq_cell_of_text(heap, column, mr_span_text(text), cell);
}

static void message_json(struct reader *r, const struct mr_bq_layout *layout, struct mr_span bytes,
                         struct mr_bq_json *json);

static void range_cell(struct reader *r, const struct mr_bq_slot *slot, struct mr_span bytes,
                       struct mr_bq_cell *cell);

/* One value of a field, whatever its kind. */
static void value(struct reader *r, const struct mr_bq_slot *slot,
                  const struct mr_bq_column *column, const struct mr_pb_field *field,
                  struct mr_bq_cell *cell)
{
    const char *wrong = NULL;

    if ((slot->wrap != MR_BQ_PLAIN || slot->layout) && (field->tag & 7) != MR_PB_BYTES) {
        wrong = "the wire type is not that of the proto field";
    } else if (slot->wrap == MR_BQ_RANGE) {
        range_cell(r, slot, field->bytes, cell);
    } else if (slot->layout) {
        struct mr_bq_json json = {.heap = r->heap};
        message_json(r, slot->layout, field->bytes, &json);
        *cell = (struct mr_bq_cell){
            .kind = MR_BQ_TEXT, .bytes = (uint32_t)json.bytes, .data = json.data};
    } else if (slot->wrap == MR_BQ_WRAPPED) {
        wrong = wrapped(r->heap, slot, column, field->bytes, cell);
    } else if (slot->wrap != MR_BQ_PLAIN) {
        wrong = timed(r->heap, slot, column, field->bytes, cell);
    } else {
        wrong = scalar(r->heap, slot, column, field, cell);
    }
    if (wrong)
        complain(r, column, wrong);
}

/* ---- REPEATED, STRUCT, RANGE ---- */

static void element(struct reader *r, const struct mr_bq_slot *slot,
                    const struct mr_bq_column *column, const struct mr_pb_field *field,
                    struct mr_bq_json *json)
{
    struct mr_bq_column one = *column;
    struct mr_bq_cell cell = {.kind = MR_BQ_NULL};

    one.mode = MR_BIGQUERY_NULLABLE;
    if (json->bytes > 1)
        put_text(json, ",");
    value(r, slot, &one, field, &cell);
    mr_bq_json_cell(json, &one, &cell);
}

static void packed(struct reader *r, const struct mr_bq_slot *slot,
                   const struct mr_bq_column *column, struct mr_span run, struct mr_bq_json *json)
{
    struct mr_cursor cursor = mr_cursor_of(run);
    enum mr_pb_wire wire = wire_of(slot->proto);
    struct mr_pb_field field = {.tag = MR_PB_TAG(slot->number, wire)};

    while (!mr_cursor_done(&cursor)) {
        field.value = wire == MR_PB_VARINT    ? mr_pb_varint(&cursor)
                      : wire == MR_PB_FIXED64 ? mr_cursor_le64(&cursor)
                                              : mr_cursor_le32(&cursor);
        if (cursor.err == MR_OK)
            element(r, slot, column, &field, json);
    }
    if (cursor.err != MR_OK)
        complain(r, column, "a packed field is malformed");
}

/* All occurrences of the field in `message`, which may stand apart. */
static void array_cell(struct reader *r, const struct mr_bq_slot *slot,
                       const struct mr_bq_column *column, struct mr_span message,
                       struct mr_bq_cell *cell)
{
    struct mr_cursor cursor = mr_cursor_of(message);
    struct mr_bq_json json = {.heap = r->heap};
    struct mr_pb_field field;

    put_text(&json, "[");
    while (mr_pb_next(&cursor, &field)) {
        if (mr_pb_number(&field) != slot->number)
            continue;
        if ((field.tag & 7) == MR_PB_BYTES && slot->wrap == MR_BQ_PLAIN &&
            wire_of(slot->proto) != MR_PB_BYTES)
            packed(r, slot, column, field.bytes, &json);
        else
            element(r, slot, column, &field, &json);
    }
    put_text(&json, "]");
    *cell = (struct mr_bq_cell){
        .kind = MR_BQ_TEXT, .bytes = (uint32_t)json.bytes, .data = json.data};
}

/* The last occurrence of the slot's field; false: there is none. */
static bool last_field(struct reader *r, const struct mr_bq_slot *slot, struct mr_span message,
                       struct mr_pb_field *out)
{
    struct mr_cursor cursor = mr_cursor_of(message);
    struct mr_pb_field field;
    bool found = false;

    while (mr_pb_next(&cursor, &field)) {
        if (mr_pb_number(&field) == slot->number) {
            *out = field;
            found = true;
        }
    }
    if (cursor.err != MR_OK && !r->wrong)
        r->wrong = "Invalid value: a nested message is malformed";
    return found;
}

static void message_json(struct reader *r, const struct mr_bq_layout *layout, struct mr_span bytes,
                         struct mr_bq_json *json)
{
    put_text(json, "{");
    for (uint32_t i = 0; i < layout->column_count; i++) {
        const struct mr_bq_column *column = &layout->columns[i];
        const struct mr_bq_slot *slot = layout->by_column[i];
        struct mr_bq_cell cell = {.kind = MR_BQ_NULL};
        struct mr_pb_field field;

        if (slot && slot->repeated)
            array_cell(r, slot, column, bytes, &cell);
        else if (slot && last_field(r, slot, bytes, &field))
            value(r, slot, column, &field, &cell);
        if (cell.kind == MR_BQ_NULL && column->mode == MR_BIGQUERY_REPEATED)
            cell = (struct mr_bq_cell){.kind = MR_BQ_TEXT, .bytes = 2, .data = "[]"};
        if (cell.kind == MR_BQ_NULL && column->mode == MR_BIGQUERY_REQUIRED)
            complain(r, column, "a required field is missing");
        if (i)
            put_text(json, ",");
        mr_bq_json_string(json, mr_span_text(column->name));
        put_text(json, ":");
        mr_bq_json_cell(json, column, &cell);
    }
    put_text(json, "}");
}

static void range_cell(struct reader *r, const struct mr_bq_slot *slot, struct mr_span bytes,
                       struct mr_bq_cell *cell)
{
    struct mr_bq_json text = {.heap = r->heap};

    for (uint32_t i = 0; i < 2; i++) {
        const struct mr_bq_slot *end = slot->layout->by_column[i];
        struct mr_bq_cell one = {.kind = MR_BQ_NULL};
        struct mr_pb_field field;

        put_text(&text, i ? ", " : "[");
        if (end && last_field(r, end, bytes, &field))
            value(r, end, &slot->layout->columns[i], &field, &one);
        if (one.kind == MR_BQ_TEXT)
            mr_bq_json_put(&text, one.data, one.bytes);
        else
            put_text(&text, "UNBOUNDED");
    }
    put_text(&text, ")");
    *cell = (struct mr_bq_cell){
        .kind = MR_BQ_TEXT, .bytes = (uint32_t)text.bytes, .data = text.data};
}

/* ---- rows ---- */

static const struct mr_bq_slot *slot_find(const struct mr_bq_layout *layout, uint32_t number,
                                          uint32_t *hint)
{
    /* Writers go by ascending number: the next slot is nearly always the right one. */
    uint32_t low = 0, high = layout->slot_count;

    if (*hint < high && layout->slots[*hint].number == number)
        return &layout->slots[(*hint)++];
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (layout->slots[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == layout->slot_count || layout->slots[low].number != number)
        return NULL;
    *hint = low + 1;
    return &layout->slots[low];
}

static void pseudo(struct reader *r, const struct mr_bq_slot *slot, struct mr_span text,
                   struct mr_bq_row *row, bool *typed)
{
    if (slot->column == MR_BQ_CHANGE_SEQUENCE) {
        row->sequenced = mr_bq_sequence_parse(text, row->sequence);
        if (!row->sequenced && !r->wrong)
            r->wrong = "The given value is not a valid CHANGE_SEQUENCE_NUMBER. "
                       "Field: _CHANGE_SEQUENCE_NUMBER";
        return;
    }
    *typed = true;
    if (mr_span_equal(text, mr_span_text("UPSERT")))
        row->change = MR_BQ_UPSERT;
    else if (mr_span_equal(text, mr_span_text("DELETE")))
        row->change = MR_BQ_DELETE;
    else
        *typed = false;
}

const char *mr_bq_row_decode(const struct mr_bq_decoder *decoder, struct mr_span bytes,
                             struct mr_bq_row *row)
{
    const struct mr_bq_layout *root = decoder->binding->root;
    struct reader r = {.heap = &decoder->table->store->heap};
    struct mr_cursor cursor = mr_cursor_of(bytes);
    struct mr_pb_field field;
    uint32_t hint = 0;
    bool typed = false;

    while (mr_pb_next(&cursor, &field)) {
        const struct mr_bq_slot *slot = slot_find(root, mr_pb_number(&field), &hint);
        if (!slot)
            continue;
        if (slot->column >= MR_BQ_CHANGE_SEQUENCE) {
            pseudo(&r, slot, field.bytes, row, &typed);
            continue;
        }
        const struct mr_bq_column *column = &root->columns[slot->column];
        struct mr_bq_cell *cell = &row->cells[slot->column];
        if (!slot->repeated)
            value(&r, slot, column, &field, cell);
        else if (cell->kind == MR_BQ_ABSENT)
            array_cell(&r, slot, column, bytes, cell);
    }
    if (cursor.err != MR_OK)
        return "The row is no protobuf message.";
    if (decoder->binding->changes && !typed && !r.wrong)
        r.wrong = "The given value is not a valid CHANGE_TYPE. Field: _CHANGE_TYPE";
    return r.wrong ? r.wrong : mr_bq_row_complete(decoder, row);
}

static bool is_key(const struct mr_bq_table *table, uint32_t column)
{
    for (uint32_t i = 0; i < table->key_count; i++)
        if (table->keys[i] == column)
            return true;
    return false;
}

const char *mr_bq_row_complete(const struct mr_bq_decoder *decoder, struct mr_bq_row *row)
{
    struct mr_bq_table *table = decoder->table;
    struct reader r = {.heap = &table->store->heap};

    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct mr_bq_column *column = &table->columns[i];
        struct mr_bq_cell *cell = &row->cells[i];

        if (cell->kind == MR_BQ_ABSENT && column->default_text &&
            decoder->missing[i] == MR_BIGQUERY_MISSING_DEFAULT) {
            const char *wrong = mr_bq_cell_of_default(r.heap, column, decoder->now_us, cell);
            if (wrong)
                complain(&r, column, wrong);
        }
        if (cell->kind > MR_BQ_NULL)
            continue;
        *cell = (struct mr_bq_cell){.kind = MR_BQ_NULL};
        if (column->mode == MR_BIGQUERY_REPEATED)
            *cell = (struct mr_bq_cell){.kind = MR_BQ_TEXT, .bytes = 2, .data = "[]"};
        bool needed = row->change == MR_BQ_DELETE ? is_key(table, i)
                                                  : column->mode == MR_BIGQUERY_REQUIRED;
        if (needed)
            complain(&r, column, "a required field is missing");
    }
    return r.wrong;
}
