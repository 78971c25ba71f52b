/* Aim: the Storage Write API's messages have the bytes of the public definition, zeroes included,
 * and a writer's descriptor is laid flat with every type found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/wire/edge.h"
#include "wire/bigquery.h"

static void zero_wrappers_are_sent(void **state)
{
    (void)state;
    uint8_t buffer[64];
    struct mr_pen pen = mr_pen_of(buffer, sizeof buffer);
    struct mr_bigquery_append_response response = {.append_result = {.present = true}};
    mr_bigquery_append_response_put(&pen, &response);
    assert_true(mr_span_equal(mr_pen_span(&pen), mr_span_of("\x0A\x00", 2)));
    response.append_result.offset.present = true;
    pen = mr_pen_of(buffer, sizeof buffer);
    mr_bigquery_append_response_put(&pen, &response);
    assert_true(mr_span_equal(mr_pen_span(&pen), mr_span_of("\x0A\x02\x0A\x00", 4)));
    assert_int_equal(mr_bigquery_append_response_parse(&response, mr_span_of("\x0A\x00", 2)),
                     MR_OK);
    assert_true(response.append_result.present && !response.append_result.offset.present);
    assert_false(response.error.present);
    assert_int_equal(
        mr_bigquery_append_response_parse(&response, mr_span_of("\x0A\x04\x0A\x02\x08\x05", 6)),
        MR_OK);
    assert_true(response.append_result.offset.present && response.append_result.offset.value == 5);
}

static void rows_fill_a_request_to_its_cap(void **state)
{
    (void)state;
    uint8_t buffer[96];
    const struct mr_bigquery_append_head head = {
        .write_stream = mr_span_text("stream"),
        .offset = {.present = true},
        .descriptor = {true, mr_span_text("\x0A\x01R")},
        .trace_id = mr_span_text("t"),
        .default_missing_value_interpretation = MR_BIGQUERY_MISSING_DEFAULT};
    struct mr_bigquery_append append;
    for (size_t limit = 0; limit <= sizeof buffer; limit++) {
        struct mr_bigquery_append_request got;
        if (mr_bigquery_append_begin(&append, buffer, limit, &head) != MR_OK) {
            assert_true(limit < 34);
            continue;
        }
        uint32_t rows = 0;
        for (;; rows++) { /* by turns encoded in place and copied in */
            size_t mark;
            if (rows % 2
                    ? !mr_bigquery_append_row(&append, mr_span_text("\x08\x01\x10\x02"))
                    : (mark = mr_bigquery_row_open(&append), mr_pb_put_int(&append.pen, 1, 1),
                       mr_pb_put_int(&append.pen, 2, 2), !mr_bigquery_row_close(&append, mark)))
                break;
        }
        assert_int_equal(rows, append.row_count);
        struct mr_span request = mr_bigquery_append_finish(&append);
        assert_int_equal(append.pen.err, MR_OK);
        assert_true(request.bytes <= limit && request.bytes + 6 > limit);
        assert_int_equal(mr_bigquery_append_request_parse(&got, edge_copy(request)), MR_OK);
        assert_true(mr_span_equal(got.write_stream, head.write_stream));
        assert_true(got.offset.present && got.offset.value == 0);
        assert_true(
            mr_span_equal(got.proto_rows.writer_schema.descriptor.bytes, head.descriptor.bytes));
        assert_true(got.proto_rows.rows.present);
        assert_int_equal(got.proto_rows.rows.serialized_rows.found, rows);
        assert_int_equal(got.default_missing_value_interpretation, 2);
        struct mr_pb_each each = mr_pb_list_each(&got.proto_rows.rows.serialized_rows);
        struct mr_span row;
        while (mr_pb_each_span(&each, &row))
            assert_true(mr_span_equal(row, mr_span_text("\x08\x01\x10\x02")));
        for (size_t bytes = 0; bytes < request.bytes; bytes++) {
            struct mr_span prefix = edge_copy(mr_span_of(buffer, bytes));
            assert_int_equal(mr_bigquery_append_request_parse(&got, prefix), mr_pb_check(prefix));
        }
    }
}

static void storage_errors_travel_in_a_status(void **state)
{
    (void)state;
    uint8_t error_bytes[64], any_bytes[128], buffer[256];
    struct mr_bigquery_storage_error error = {.code = MR_BIGQUERY_OFFSET_ALREADY_EXISTS,
                                              .error_message = mr_span_text("within stream")};
    struct mr_pen error_pen = mr_pen_of(error_bytes, sizeof error_bytes);
    struct mr_pen any_pen = mr_pen_of(any_bytes, sizeof any_bytes);
    struct mr_pen pen = mr_pen_of(buffer, sizeof buffer);
    mr_bigquery_storage_error_put(&error_pen, &error);
    mr_rpc_any_put_typed(&any_pen, MR_BIGQUERY_STORAGE_ERROR, mr_pen_span(&error_pen));
    struct mr_span item = mr_pen_span(&any_pen);
    struct mr_bigquery_append_response response = {
        .error = {.present = true,
                  .code = MR_GRPC_ALREADY_EXISTS,
                  .message = mr_span_text("m"),
                  .details = {.items = &item, .count = 1}}};
    mr_bigquery_append_response_put(&pen, &response);
    assert_int_equal(mr_bigquery_append_response_parse(&response, edge_copy(mr_pen_span(&pen))),
                     MR_OK);
    assert_true(response.error.present && response.error.code == MR_GRPC_ALREADY_EXISTS);
    assert_true(mr_bigquery_storage_error_of(&response.error, &error));
    assert_int_equal(error.code, MR_BIGQUERY_OFFSET_ALREADY_EXISTS);
    response.error.details.found = 0, response.error.details.message.bytes = 0;
    assert_false(mr_bigquery_storage_error_of(&response.error, &error));
}

static void numerics_have_their_bytes(void **state)
{
    (void)state;
    mr_i128 limit = 1;
    for (int i = 0; i < 38; i++)
        limit *= 10;
    const struct {
        mr_i128 scaled;
        const char *bytes;
        int count;
    } vectors[] = {
        {0, "\x00", 1},
        {1000000000, "\x00\xCA\x9A\x3B", 4},
        {-1500000000, "\x00\xD1\x97\xA6", 4},
        {19990000000, "\x80\x31\x7F\xA7\x04", 5},
        {-1, "\xFF", 1},
        {127, "\x7F", 1},
        {128, "\x80\x00", 2},
        {-128, "\x80", 1},
        {-129, "\x7F\xFF", 2},
    };
    uint8_t bytes[MR_NUMERIC_BYTES_MAX];
    mr_i128 back;
    for (size_t i = 0; i < MR_COUNT(vectors); i++) {
        assert_int_equal(mr_numeric_encode(bytes, vectors[i].scaled), vectors[i].count);
        assert_memory_equal(bytes, vectors[i].bytes, (size_t)vectors[i].count);
        struct mr_span span = edge_copy(mr_span_of(bytes, (size_t)vectors[i].count));
        assert_int_equal(mr_numeric_decode(span, &back), MR_OK);
        assert_true(back == vectors[i].scaled);
    }
    assert_int_equal(mr_numeric_encode(bytes, limit), MR_E_WIRE_RANGE);
    assert_int_equal(mr_numeric_encode(bytes, -limit), MR_E_WIRE_RANGE);
    assert_int_equal(mr_numeric_encode(bytes, limit - 1), 16);
    assert_int_equal(mr_numeric_decode(mr_span_of(bytes, 16), &back), MR_OK);
    assert_true(back == limit - 1);
    assert_int_equal(mr_numeric_decode(mr_span_of(bytes, 0), &back), MR_E_WIRE_RANGE);
    assert_int_equal(mr_numeric_decode(mr_span_of("\x05\x00\x00", 3), &back), MR_OK);
    assert_true(back == 5); /* not the shortest, still five */
}

/* ---- descriptors ---- */

static struct mr_bigquery_message messages[8];
static struct mr_bigquery_field fields[16];
static struct mr_bigquery_enum enums[4];

static struct mr_bigquery_descriptor room(void)
{
    return (struct mr_bigquery_descriptor){.messages = messages,
                                           .fields = fields,
                                           .enums = enums,
                                           .message_max = MR_COUNT(messages),
                                           .field_max = MR_COUNT(fields),
                                           .enum_max = MR_COUNT(enums)};
}

static void put_field(struct mr_pen *pen, const char *name, int number, int type,
                      const char *type_name, const char *column)
{
    size_t mark = mr_pb_open(pen, 2);
    mr_pb_put_bytes(pen, 1, mr_span_text(name));
    mr_pb_put_int(pen, 3, number);
    mr_pb_put_int(pen, 4, MR_PROTO_OPTIONAL);
    mr_pb_put_int(pen, 5, type);
    mr_pb_add_bytes(pen, 6, mr_span_text(type_name));
    if (*column) {
        size_t options = mr_pb_open(pen, 8);
        mr_pb_put_bytes(pen, 454943157, mr_span_text(column));
        mr_pb_close(pen, options);
    }
    mr_pb_close(pen, mark);
}

/* Row { id; A a; Row.A.B b; Kind kind; A { B deep; B {} } B {} enum Kind { NONE = 0; BIG = 7 } } */
static struct mr_span build_descriptor(uint8_t *buffer, size_t bytes, const char *reference)
{
    struct mr_pen pen = mr_pen_of(buffer, bytes);
    mr_pb_put_bytes(&pen, 1, mr_span_text("Row"));
    size_t a = mr_pb_open(&pen, 3);
    mr_pb_put_bytes(&pen, 1, mr_span_text("A"));
    put_field(&pen, "deep", 1, MR_PROTO_MESSAGE, reference, "");
    size_t b = mr_pb_open(&pen, 3);
    mr_pb_put_bytes(&pen, 1, mr_span_text("B"));
    mr_pb_close(&pen, b);
    mr_pb_close(&pen, a);
    b = mr_pb_open(&pen, 3);
    mr_pb_put_bytes(&pen, 1, mr_span_text("B"));
    put_field(&pen, "x", 1, MR_PROTO_INT64, "", "");
    mr_pb_close(&pen, b);
    size_t kind = mr_pb_open(&pen, 4);
    mr_pb_put_bytes(&pen, 1, mr_span_text("Kind"));
    for (int i = 0; i < 2; i++) {
        size_t value = mr_pb_open(&pen, 2);
        mr_pb_put_bytes(&pen, 1, mr_span_text(i ? "BIG" : "NONE"));
        mr_pb_put_int(&pen, 2, i * 7);
        mr_pb_close(&pen, value);
    }
    mr_pb_close(&pen, kind);
    put_field(&pen, "col_1", 1, MR_PROTO_INT64, "", "\xC3\xBC-name");
    put_field(&pen, "a", 2, MR_PROTO_MESSAGE, "A", "");
    put_field(&pen, "b", 3, MR_PROTO_MESSAGE, "Row.A.B", "");
    put_field(&pen, "kind", 4, MR_PROTO_ENUM, ".Row.Kind", "");
    assert_int_equal(pen.err, MR_OK);
    return mr_pen_span(&pen);
}

static void descriptors_are_laid_flat(void **state)
{
    (void)state;
    uint8_t buffer[512], again[512];
    struct mr_bigquery_descriptor d = room();
    struct mr_span bytes = edge_copy(build_descriptor(buffer, sizeof buffer, "B")), name;
    assert_int_equal(mr_bigquery_descriptor_parse(&d, bytes), MR_OK);
    assert_true(d.message_count == 4 && d.field_count == 6 && d.enum_count == 1);
    assert_true(messages[0].field_first == 0 && messages[0].field_count == 4);
    assert_true(mr_span_equal(mr_bigquery_field_column(&fields[0]), mr_span_text("\xC3\xBC-name")));
    assert_int_equal(fields[1].message, 1);
    assert_int_equal(fields[2].message, 2); /* Row.A.B, not Row.B */
    assert_int_equal(fields[3].enumeration, 0);
    assert_int_equal(fields[messages[1].field_first].message, 2); /* the nearer B */
    assert_true(messages[2].parent == 1 && messages[3].parent == 0);
    assert_true(mr_bigquery_enum_name(&enums[0], 7, &name));
    assert_true(mr_span_equal(name, mr_span_text("BIG")));
    assert_false(mr_bigquery_enum_name(&enums[0], 8, &name));
    assert_false(mr_bigquery_descriptor_recursive(&d));

    struct mr_pen pen = mr_pen_of(again, sizeof again);
    mr_bigquery_descriptor_put(&pen, &d);
    struct mr_bigquery_message first[4];
    memcpy(first, messages, sizeof first);
    assert_int_equal(mr_bigquery_descriptor_parse(&d, mr_pen_span(&pen)), MR_OK);
    assert_true(d.message_count == 4 && d.field_count == 6 && d.enum_count == 1);
    assert_true(mr_span_equal(first[3].name, messages[3].name));
    assert_int_equal(fields[2].message, 2);
}

static void bad_descriptors_are_refused(void **state)
{
    (void)state;
    uint8_t buffer[512];
    struct mr_bigquery_descriptor d = room();
    struct mr_span bytes = build_descriptor(buffer, sizeof buffer, "Missing");
    assert_int_equal(mr_bigquery_descriptor_parse(&d, bytes), MR_E_BIGQUERY_TYPE_NAME);
    bytes = build_descriptor(buffer, sizeof buffer, "Row");
    assert_int_equal(mr_bigquery_descriptor_parse(&d, bytes), MR_OK);
    assert_true(mr_bigquery_descriptor_recursive(&d));
    d = room();
    d.field_max = 5;
    assert_int_equal(mr_bigquery_descriptor_parse(&d, bytes), MR_E_WIRE_ROOM);
    d = room();
    d.message_max = 3;
    assert_int_equal(mr_bigquery_descriptor_parse(&d, bytes), MR_E_WIRE_ROOM);
    d = room();
    struct mr_pen pen = mr_pen_of(buffer, sizeof buffer);
    put_field(&pen, "g", 1, MR_PROTO_GROUP, "", "");
    assert_int_equal(mr_bigquery_descriptor_parse(&d, mr_pen_span(&pen)), MR_E_PROTOBUF);
    bytes = build_descriptor(buffer, sizeof buffer, "B");
    for (size_t cut = 0; cut < bytes.bytes; cut++) {
        int err = mr_bigquery_descriptor_parse(&d, edge_copy(mr_span_of(buffer, cut)));
        assert_true(err == MR_OK || err == MR_E_PROTOBUF || err == MR_E_BIGQUERY_TYPE_NAME);
        if (mr_pb_check(mr_span_of(buffer, cut)) != MR_OK)
            assert_int_not_equal(err, MR_OK);
    }
}

static void columns_and_streams_round_trip(void **state)
{
    (void)state;
    uint8_t buffer[256];
    struct mr_pen pen = mr_pen_of(buffer, sizeof buffer);
    struct mr_bigquery_column column = {.name = mr_span_text("ts"),
                                        .type = MR_BIGQUERY_TIMESTAMP,
                                        .mode = MR_BIGQUERY_REQUIRED,
                                        .timestamp_precision = {.present = true, .value = 12}};
    mr_bigquery_column_put(&pen, &column);
    assert_true(mr_span_equal(mr_pen_span(&pen),
                              mr_span_of("\x0A\x02ts\x10\x07\x18\x02\xDA\x01\x02\x08\x0C", 13)));
    struct mr_bigquery_create_write_stream create = {
        .parent = mr_span_text("t"),
        .write_stream = {.present = true, .type = MR_BIGQUERY_COMMITTED}};
    pen = mr_pen_of(buffer, sizeof buffer);
    mr_bigquery_create_write_stream_put(&pen, &create);
    assert_true(mr_span_equal(mr_pen_span(&pen), mr_span_of("\x0A\x01t\x12\x02\x10\x01", 7)));
    assert_string_equal(mr_bigquery_path(MR_BIGQUERY_APPEND_ROWS),
                        "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows");
    for (int i = 0; i < MR_BIGQUERY_METHOD_COUNT; i++)
        assert_int_equal(mr_bigquery_method_of(mr_span_text(mr_bigquery_path(i))), i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_wrappers_are_sent),
        cmocka_unit_test(rows_fill_a_request_to_its_cap),
        cmocka_unit_test(storage_errors_travel_in_a_status),
        cmocka_unit_test(numerics_have_their_bytes),
        cmocka_unit_test(descriptors_are_laid_flat),
        cmocka_unit_test(bad_descriptors_are_refused),
        cmocka_unit_test(columns_and_streams_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
