/* Aim: descriptors bound to columns, rows decoded into cells, bad rows refused together. */
#include "tests/local/bq_kit.h"

static const char *DEFAULT = TABLE "/streams/_default";

static struct mr_bq_connection *connect(struct kit *kit)
{
    return mr_bq_connection_create(kit->store, NULL, kit->now);
}

/* A table with column `v` of this type, nullable unless `more` says otherwise. */
static struct kit *column(const char *type, const char *more)
{
    struct kit *kit = kit_open(NULL);
    char fields[512];

    snprintf(fields, sizeof fields, "{\"name\":\"v\",\"type\":\"%s\"%s}", type, more);
    make_table(kit, fields, "");
    return kit;
}

/* Appends a row whose field 1, of the proto type, holds what `write` wrote. */
static int32_t append_one(struct kit *kit, int32_t proto, struct mr_span row)
{
    struct mr_bigquery_append append = begin(kit, DEFAULT, FIELDS({"V", proto, 0, 0}), NO_OFFSET);
    struct mr_bq_connection *c = connect(kit);

    assert_true(mr_bigquery_append_row(&append, row));
    int32_t code = finish(kit, c, &append);
    mr_bq_connection_destroy(c);
    return code;
}

static int32_t append_int(struct kit *kit, int32_t proto, int64_t value)
{
    uint8_t row[32];
    struct mr_pen pen = mr_pen_of(row, sizeof row);
    mr_pb_put_int(&pen, 1, value);
    return append_one(kit, proto, mr_pen_span(&pen));
}

static int32_t append_text(struct kit *kit, int32_t proto, const char *text, size_t bytes)
{
    uint8_t row[256];
    struct mr_pen pen = mr_pen_of(row, sizeof row);
    mr_pb_put_bytes(&pen, 1, mr_span_of(text, bytes));
    return append_one(kit, proto, mr_pen_span(&pen));
}

static const char *stored(struct kit *kit)
{
    return sql(kit, "select v from \"d.t\" order by rowid desc limit 1");
}

static const char *row_error(struct kit *kit)
{
    static char text[1024];
    struct mr_pb_each each = mr_pb_list_each(&kit->response.row_errors);
    struct mr_bigquery_row_error error;
    struct mr_span bytes;

    if (!mr_pb_each_span(&each, &bytes))
        return "";
    mr_bigquery_row_error_parse(&error, bytes);
    assert_int_equal(error.code, 1);
    snprintf(text, sizeof text, "%d %.*s", (int)error.index, (int)error.message.bytes,
             (const char *)error.message.data);
    return text;
}

static void times_are_text_of_fixed_width(void **state)
{
    struct kit *kit = column("TIMESTAMP", "");

    (void)state;
    append_int(kit, MR_PROTO_INT64, 1714475984123456);
    assert_string_equal(stored(kit), "2024-04-30T11:19:44.123456Z");
    append_int(kit, MR_PROTO_INT64, -1);
    assert_string_equal(stored(kit), "1969-12-31T23:59:59.999999Z");
    assert_int_equal(append_int(kit, MR_PROTO_INT64, INT64_C(253402300800000000)),
                     MR_GRPC_INVALID_ARGUMENT);
    assert_non_null(strstr(row_error(kit), "Field: v"));
    kit_close(kit);
    kit = column("DATE", "");
    append_int(kit, MR_PROTO_INT32, 19843);
    assert_string_equal(stored(kit), "2024-04-30");
    append_int(kit, MR_PROTO_INT32, -719162);
    assert_string_equal(stored(kit), "0001-01-01");
    append_text(kit, MR_PROTO_STRING, "2000-02-29", 10);
    assert_string_equal(stored(kit), "2000-02-29");
    assert_int_equal(append_text(kit, MR_PROTO_STRING, "1900-02-29", 10), MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(append_int(kit, MR_PROTO_INT32, 2932897), MR_GRPC_INVALID_ARGUMENT);
    kit_close(kit);
    kit = column("TIME", "");
    append_int(kit, MR_PROTO_INT64, 48565969472);
    assert_string_equal(stored(kit), "11:19:44.123456");
    assert_int_equal(append_int(kit, MR_PROTO_INT64, INT64_C(25) << 32), MR_GRPC_INVALID_ARGUMENT);
    kit_close(kit);
    kit = column("DATETIME", "");
    append_int(kit, MR_PROTO_INT64, 142448102136209984);
    assert_string_equal(stored(kit), "2024-04-30T11:19:44.123456");
    append_text(kit, MR_PROTO_STRING, "2024-04-30 11:19:44", 19);
    assert_string_equal(stored(kit), "2024-04-30T11:19:44.000000");
    kit_close(kit);
}

static void numerics_are_exact_and_sort_as_numbers(void **state)
{
    struct kit *kit = column("NUMERIC", "");

    (void)state;
    append_text(kit, MR_PROTO_BYTES, "\x80\x31\x7f\xa7\x04", 5);
    assert_string_equal(stored(kit), "19.99");
    append_text(kit, MR_PROTO_BYTES, "\x00\xd1\x97\xa6", 4);
    assert_string_equal(stored(kit), "-1.5");
    append_text(kit, MR_PROTO_BYTES, "\x00\xca\x9a\x3b", 4);
    assert_string_equal(stored(kit), "1");
    append_text(kit, MR_PROTO_BYTES, "\x00", 1);
    assert_string_equal(stored(kit), "0");
    append_text(kit, MR_PROTO_STRING, "100.50", 6);
    assert_string_equal(sql(kit, "select group_concat(v) from (select v from \"d.t\" order by v)"),
                        "-1.5,0,1,19.99,100.5");
    assert_string_equal(sql(kit, "select count(*) from \"d.t\" where v > 19.5"), "2");
    assert_string_equal(sql(kit, "select sum(v) from \"d.t\""), "119.99");
    append_text(kit, MR_PROTO_STRING, "12345678901234567890123456789.123456789", 39);
    assert_string_equal(stored(kit), "12345678901234567890123456789.123456789");
    assert_int_equal(append_text(kit, MR_PROTO_STRING, "0.0000000001", 12),
                     MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(append_text(kit, MR_PROTO_STRING, "1e29", 4), MR_GRPC_INVALID_ARGUMENT);
    append_int(kit, MR_PROTO_INT64, -7);
    assert_string_equal(stored(kit), "-7");
    kit_close(kit);
    kit = column("BIGNUMERIC", "");
    append_text(kit, MR_PROTO_STRING, "0.00000000000000000000000000000000000001", 40);
    assert_string_equal(stored(kit), "1.0e-38");
    append_text(kit, MR_PROTO_BYTES, "\x01", 1);
    assert_string_equal(stored(kit), "1.0e-38");
    kit_close(kit);
}

static void zero_is_not_absent(void **state)
{
    struct kit *kit = column("INTEGER", "");

    (void)state;
    append_int(kit, MR_PROTO_INT64, 0);
    assert_string_equal(stored(kit), "0");
    append_one(kit, MR_PROTO_INT64, mr_span_of("", 0));
    assert_string_equal(stored(kit), "NULL");
    kit_close(kit);
    kit = column("BYTES", "");
    append_text(kit, MR_PROTO_BYTES, "", 0);
    assert_string_equal(sql(kit, "select typeof(v) from \"d.t\""), "blob");
    assert_int_equal(append_text(kit, MR_PROTO_STRING, "\xff", 1), MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(append_text(kit, MR_PROTO_BYTES, "\xff", 1), MR_GRPC_OK);
    kit_close(kit);
}

/* Which proto types a column takes, one row a column type, one bit a proto type. */
static void type_pairs_are_those_of_the_service(void **state)
{
    static const struct {
        const char *type;
        const char *taken; /* by number of the proto type, from 1 */
    } pairs[] = {
        /* D F i U I 6 4 B S G M Y u E s s s s */
        {"BOOLEAN", "001110010000100000"},   {"INTEGER", "001010000000100000"},
        {"FLOAT", "110000000000000000"},     {"STRING", "000000001000000000"},
        {"BYTES", "000000001001000000"},     {"TIMESTAMP", "001010000000100000"},
        {"DATE", "001010001000000000"},      {"TIME", "001000001000000000"},
        {"DATETIME", "001000001000000000"},  {"NUMERIC", "111110001001100000"},
        {"GEOGRAPHY", "000000001000000000"}, {"JSON", "000000001000000000"},
    };

    (void)state;
    for (size_t i = 0; i < MR_COUNT(pairs); i++) {
        struct kit *kit = column(pairs[i].type, "");
        for (int32_t proto = 1; proto <= 18; proto++) {
            if (proto == MR_PROTO_GROUP || proto == MR_PROTO_MESSAGE || proto == MR_PROTO_ENUM)
                continue;
            bool taken = append_one(kit, proto, mr_span_of("", 0)) == MR_GRPC_OK;
            if (taken != (pairs[i].taken[proto - 1] == '1'))
                fail_msg("%s and proto type %d", pairs[i].type, proto);
        }
        kit_close(kit);
    }
}

static void an_unknown_field_is_a_schema_mismatch(void **state)
{
    struct kit *kit = column("INTEGER", "");
    struct mr_bq_connection *c = connect(kit);

    (void)state;
    assert_int_equal(append_ids(kit, c, DEFAULT, id_schema(), NO_OFFSET, 0, 1),
                     MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(storage_code(kit), MR_BIGQUERY_SCHEMA_MISMATCH_EXTRA_FIELDS);
    assert_int_equal(
        append_ids(kit, c, DEFAULT, FIELDS({"V", MR_PROTO_INT64, 0, 0}), NO_OFFSET, 0, 1),
        MR_GRPC_OK);
    kit_close(kit);
}

static void one_bad_row_keeps_all_out(void **state)
{
    struct kit *kit = column("STRING", ",\"maxLength\":\"3\",\"mode\":\"REQUIRED\"");
    struct mr_bigquery_append append = begin(kit, DEFAULT, FIELDS({"v", MR_PROTO_STRING, 0, 0}),
                                             NO_OFFSET);
    struct mr_bq_connection *c = connect(kit);

    (void)state;
    mr_bigquery_append_row(&append, mr_span_text("\x0a\x02ok"));
    mr_bigquery_append_row(&append, mr_span_text("\x0a\x04long"));
    mr_bigquery_append_row(&append, mr_span_of("", 0));
    mr_bigquery_append_row(&append, mr_span_text("\x0a\x01\xff"));
    assert_int_equal(finish(kit, c, &append), MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(kit->response.row_errors.found, 3);
    assert_memory_equal(row_error(kit), "1 ", 2);
    assert_int_equal(rows_of(kit), 0);
    append = begin(kit, "", mr_span_of(NULL, 0), NO_OFFSET);
    mr_bigquery_append_row(&append, mr_span_text("\x0a\x02ok"));
    assert_int_equal(finish(kit, c, &append), MR_GRPC_OK);
    assert_int_equal(rows_of(kit), 1);
    kit_close(kit);
}

static void structs_and_arrays_are_json(void **state)
{
    struct kit *kit = kit_open(NULL);
    const struct field root[] = {{"s", MR_PROTO_MESSAGE, 0, 1},
                                 {"a", MR_PROTO_INT64, MR_PROTO_REPEATED, 0},
                                 {"r", MR_PROTO_MESSAGE, MR_PROTO_REPEATED, 1}};
    const struct field inner[] = {{"x", MR_PROTO_INT64, 0, 0}, {"y", MR_PROTO_STRING, 0, 0}};
    const struct message messages[] = {{"root", root, 3}, {"inner", inner, 2}};

    (void)state;
    make_table(kit,
               "{\"name\":\"s\",\"type\":\"RECORD\",\"fields\":[{\"name\":\"x\",\"type\":"
               "\"INTEGER\"},{\"name\":\"y\",\"type\":\"STRING\"}]},"
               "{\"name\":\"a\",\"type\":\"INTEGER\",\"mode\":\"REPEATED\"},"
               "{\"name\":\"r\",\"type\":\"RECORD\",\"mode\":\"REPEATED\",\"fields\":[{\"name\":"
               "\"x\",\"type\":\"INTEGER\"},{\"name\":\"y\",\"type\":\"STRING\"}]}",
               "");
    struct mr_bigquery_append append = begin(kit, DEFAULT, descriptor(messages, 2), NO_OFFSET);
    size_t mark = mr_bigquery_row_open(&append);
    mr_pb_put_bytes(&append.pen, 1, mr_span_text("\x08\x05\x12\x03q\"z"));
    mr_pb_put_int(&append.pen, 2, 1);
    mr_pb_put_bytes(&append.pen, 3, mr_span_text("\x08\x07"));
    mr_pb_put_bytes(&append.pen, 2, mr_span_text("\x02\x03")); /* packed, and apart */
    mr_bigquery_row_close(&append, mark);
    mr_bigquery_append_row(&append, mr_span_of("", 0));
    assert_int_equal(finish(kit, connect(kit), &append), MR_GRPC_OK);
    assert_string_equal(sql(kit, "select s from \"d.t\""), "{\"x\":5,\"y\":\"q\\\"z\"}");
    assert_string_equal(sql(kit, "select a from \"d.t\""), "[1,2,3]");
    assert_string_equal(sql(kit, "select r from \"d.t\""), "[{\"x\":7,\"y\":null}]");
    assert_string_equal(sql(kit, "select a || coalesce(s, '-') from \"d.t\" where rowid=2"), "[]-");
    rest(kit, "GET", "/projects/p/datasets/d/tables/t/data?maxResults=1", "");
    assert_non_null(strstr(kit->reply,
                           "{\"f\":[{\"v\":{\"f\":[{\"v\":\"5\"},{\"v\":\"q\\\"z\"}]}},{\"v\":[{"
                           "\"v\":\"1\"},{\"v\":\"2\"},{\"v\":\"3\"}]},{\"v\":[{\"v\":{\"f\":[{"
                           "\"v\":\"7\"},{\"v\":null}]}}]}]}"));
    kit_close(kit);
}

static void wrappers_and_well_known_types_are_taken(void **state)
{
    const struct field root[] = {{"v", MR_PROTO_MESSAGE, 0, 1}};
    const struct field wrapper[] = {{"value", MR_PROTO_INT64, 0, 0}};
    const struct field time[] = {{"seconds", MR_PROTO_INT64, 0, 0},
                                 {"nanos", MR_PROTO_INT32, 0, 0}};
    const struct message wrapped[] = {{"root", root, 1},
                                      {"google_protobuf_Int64Value", wrapper, 1}};
    const struct message stamped[] = {{"root", root, 1}, {"google_protobuf_Timestamp", time, 2}};
    struct kit *kit = column("INTEGER", "");

    (void)state;
    struct mr_bigquery_append append = begin(kit, DEFAULT, descriptor(wrapped, 2), NO_OFFSET);
    mr_bigquery_append_row(&append, mr_span_text("\x0a\x02\x08\x2a"));
    mr_bigquery_append_row(&append, mr_span_of("\x0a\x00", 2)); /* zero, as a wrapper says it */
    assert_int_equal(finish(kit, connect(kit), &append), MR_GRPC_OK);
    assert_string_equal(sql(kit, "select group_concat(v) from \"d.t\""), "42,0");
    append = begin(kit, DEFAULT, descriptor(stamped, 2), NO_OFFSET);
    mr_bigquery_append_row(&append, mr_span_of("", 0));
    assert_int_equal(finish(kit, connect(kit), &append), MR_GRPC_INVALID_ARGUMENT);
    kit_close(kit);
    kit = column("TIMESTAMP", "");
    append = begin(kit, DEFAULT, descriptor(stamped, 2), NO_OFFSET);
    mr_bigquery_append_row(&append, mr_span_text("\x0a\x02\x08\x01"));
    assert_int_equal(finish(kit, connect(kit), &append), MR_GRPC_OK);
    assert_string_equal(stored(kit), "1970-01-01T00:00:01.000000Z");
    kit_close(kit);
}

static void defaults_come_where_the_rules_say(void **state)
{
    struct kit *kit = kit_open(NULL);
    struct mr_bq_connection *c = connect(kit);

    (void)state;
    make_table(kit,
               "{\"name\":\"v\",\"type\":\"INTEGER\",\"defaultValueExpression\":\"7\"},"
               "{\"name\":\"w\",\"type\":\"TIMESTAMP\",\"defaultValueExpression\":"
               "\"CURRENT_TIMESTAMP()\"}",
               "");
    /* Not in the descriptor: default. In it but not in the row: NULL, unless told otherwise. */
    append_one(kit, MR_PROTO_INT64, mr_span_of("", 0));
    assert_string_equal(stored(kit), "NULL");
    assert_string_equal(sql(kit, "select w from \"d.t\""), "2024-11-22T18:26:40.000000Z");
    struct mr_bigquery_append_head head = {
        .write_stream = mr_span_text(DEFAULT),
        .descriptor = {true, FIELDS({"v", MR_PROTO_INT64, 0, 0})},
        .default_missing_value_interpretation = MR_BIGQUERY_MISSING_DEFAULT};
    struct mr_bigquery_append append;
    mr_bigquery_append_begin(&append, kit->buffer, sizeof kit->buffer, &head);
    mr_bigquery_append_row(&append, mr_span_of("", 0));
    assert_int_equal(finish(kit, c, &append), MR_GRPC_OK);
    assert_string_equal(stored(kit), "7");
    append = begin(kit, "", mr_span_of(NULL, 0), NO_OFFSET); /* it sticks */
    mr_bigquery_append_row(&append, mr_span_of("", 0));
    finish(kit, c, &append);
    assert_string_equal(stored(kit), "7");
    append = begin(kit, "", mr_span_of(NULL, 0), NO_OFFSET);
    mr_bigquery_append_row(&append, mr_span_of("", 0));
    struct mr_span request = mr_bigquery_append_finish(&append);
    memcpy(kit->buffer + request.bytes, "\x3a\x05\x0a\x01v\x10\x01", 7); /* v: NULL_VALUE, once */
    assert_int_equal(send_bytes(kit, c, mr_span_of(request.data, request.bytes + 7)), MR_GRPC_OK);
    assert_string_equal(stored(kit), "NULL");
    kit_close(kit);
}

static void a_patched_schema_is_told_and_taken_later(void **state)
{
    struct kit *kit = kit_open(&(struct mr_bq_options){.schema_delay_us = 1000000});
    struct mr_bq_connection *c = connect(kit);
    const char *patch = "{\"schema\":{\"fields\":[{\"name\":\"id\",\"type\":\"INTEGER\"},"
                        "{\"name\":\"extra\",\"type\":\"STRING\"}]}}";

    (void)state;
    make_table(kit, "{\"name\":\"id\",\"type\":\"INTEGER\"}", "");
    assert_int_equal(append_ids(kit, c, DEFAULT, id_schema(), NO_OFFSET, 0, 1), MR_GRPC_OK);
    rest(kit, "PATCH", "/projects/p/datasets/d/tables/t", patch);
    assert_int_equal(kit->status, 200);
    assert_int_equal(append_ids(kit, c, "", mr_span_of(NULL, 0), NO_OFFSET, 1, 1), MR_GRPC_OK);
    assert_false(kit->response.updated_schema.present);
    struct mr_span wider = FIELDS({"id", MR_PROTO_INT64, 0, 0}, {"extra", MR_PROTO_STRING, 0, 0});
    assert_int_equal(append_ids(kit, c, DEFAULT, wider, NO_OFFSET, 2, 1), MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(storage_code(kit), MR_BIGQUERY_SCHEMA_MISMATCH_EXTRA_FIELDS);
    kit->now += 1000000;
    assert_int_equal(append_ids(kit, c, "", mr_span_of(NULL, 0), NO_OFFSET, 2, 1), MR_GRPC_OK);
    assert_true(kit->response.updated_schema.present);
    assert_true(says(kit->response.updated_schema.bytes, "extra"));
    assert_int_equal(append_ids(kit, c, "", mr_span_of(NULL, 0), NO_OFFSET, 3, 1), MR_GRPC_OK);
    assert_false(kit->response.updated_schema.present);
    wider = FIELDS({"id", MR_PROTO_INT64, 0, 0}, {"extra", MR_PROTO_STRING, 0, 0});
    assert_int_equal(append_ids(kit, c, DEFAULT, wider, NO_OFFSET, 4, 1), MR_GRPC_OK);
    assert_int_equal(rows_of(kit), 5);
    kit_close(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_text_of_fixed_width),
        cmocka_unit_test(numerics_are_exact_and_sort_as_numbers),
        cmocka_unit_test(zero_is_not_absent),
        cmocka_unit_test(type_pairs_are_those_of_the_service),
        cmocka_unit_test(an_unknown_field_is_a_schema_mismatch),
        cmocka_unit_test(one_bad_row_keeps_all_out),
        cmocka_unit_test(structs_and_arrays_are_json),
        cmocka_unit_test(wrappers_and_well_known_types_are_taken),
        cmocka_unit_test(defaults_come_where_the_rules_say),
        cmocka_unit_test(a_patched_schema_is_told_and_taken_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
