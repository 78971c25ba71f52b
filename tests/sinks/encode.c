/* Aim: a row that BigQuery gets says what the row says, in the columns that its descriptor names:
 * every type, null, zero, negative and huge, read back by an independent walk of the message. */
#include "tests/sinks/kit.h"

#include "sinks/append.h"
#include "sinks/encode.h"

static const char yaml[] =
    "source: { file: orders.ndjson }\n"
    "decode:\n"
    "  fields: { region: { type: string, optional: true }, shop: { type: int, optional: true },\n"
    "            new: { type: bool, optional: true }, amount: { decimal: 2 }, n: int,\n"
    "            fine: { type: decimal, scale: 9, optional: true }, ts: event_time }\n"
    "windows:\n"
    "  - { name: sales, group_by: [region, shop, new], size: 1m, aggregates: [count, sum(amount),\n"
    "      min(amount), max(amount), avg(amount), sum(n), min(n), max(n), avg(n), sum(fine),\n"
    "      avg(fine)] }\n"
    "sinks: { bigquery: { dataset: demo.realtime } }\n";

#define FIELDS_MAX 64

static const struct expected {
    const char *name;
    enum mr_bigquery_type type;
    enum mr_bigquery_mode mode;
} columns[] = {
    {"window", MR_BIGQUERY_STRING, MR_BIGQUERY_REQUIRED},
    {"window_start", MR_BIGQUERY_TIMESTAMP, MR_BIGQUERY_REQUIRED},
    {"window_end", MR_BIGQUERY_TIMESTAMP, MR_BIGQUERY_REQUIRED},
    {"region", MR_BIGQUERY_STRING, MR_BIGQUERY_NULLABLE},
    {"shop", MR_BIGQUERY_INT64, MR_BIGQUERY_NULLABLE},
    {"new", MR_BIGQUERY_BOOL, MR_BIGQUERY_NULLABLE},
    {"count", MR_BIGQUERY_INT64, MR_BIGQUERY_REQUIRED},
    {"amount_sum", MR_BIGQUERY_NUMERIC, MR_BIGQUERY_NULLABLE},
    {"amount_min", MR_BIGQUERY_NUMERIC, MR_BIGQUERY_NULLABLE},
    {"amount_max", MR_BIGQUERY_NUMERIC, MR_BIGQUERY_NULLABLE},
    {"amount_avg", MR_BIGQUERY_NUMERIC, MR_BIGQUERY_NULLABLE},
    {"n_sum", MR_BIGQUERY_NUMERIC, MR_BIGQUERY_NULLABLE},
    {"n_min", MR_BIGQUERY_INT64, MR_BIGQUERY_NULLABLE},
    {"n_max", MR_BIGQUERY_INT64, MR_BIGQUERY_NULLABLE},
    {"n_avg", MR_BIGQUERY_NUMERIC, MR_BIGQUERY_NULLABLE},
    {"fine_sum", MR_BIGQUERY_NUMERIC, MR_BIGQUERY_NULLABLE},
    {"fine_avg", MR_BIGQUERY_NUMERIC, MR_BIGQUERY_NULLABLE},
    {"timing", MR_BIGQUERY_STRING, MR_BIGQUERY_REQUIRED},
    {"index", MR_BIGQUERY_INT64, MR_BIGQUERY_REQUIRED},
    {"is_first", MR_BIGQUERY_BOOL, MR_BIGQUERY_REQUIRED},
    {"is_last", MR_BIGQUERY_BOOL, MR_BIGQUERY_REQUIRED},
    {"instance", MR_BIGQUERY_STRING, MR_BIGQUERY_REQUIRED},
    {"lineage", MR_BIGQUERY_INT64, MR_BIGQUERY_REQUIRED},
    {"share", MR_BIGQUERY_INT64, MR_BIGQUERY_REQUIRED},
    {"emitted_at", MR_BIGQUERY_TIMESTAMP, MR_BIGQUERY_REQUIRED},
};

/* ---- a row, and what was read of it, by column name ---- */

static uint64_t memory[1024];
static uint8_t key[256], encoded[4096];
static struct mr_span bytes;

static struct mr_bigquery_field described[FIELDS_MAX];
static uint32_t described_count;

static void describe(void)
{
    static uint8_t descriptor[8192];
    struct mr_pen pen = mr_pen_of(descriptor, sizeof descriptor);
    struct mr_bigquery_message messages[4];
    struct mr_bigquery_enum enums[1];
    struct mr_bigquery_descriptor tree = {.messages = messages,
                                          .fields = described,
                                          .enums = enums,
                                          .message_max = 4,
                                          .field_max = FIELDS_MAX,
                                          .enum_max = 1};

    mr_row_descriptor_put(&pen, &kit_plan, 0);
    assert_int_equal(pen.err, MR_OK);
    assert_int_equal(mr_bigquery_descriptor_parse(&tree, mr_pen_span(&pen)), MR_OK);
    assert_int_equal(tree.message_count, 1);
    described_count = tree.field_count;
}

static bool look_up(const char *name, struct mr_pb_field *found)
{
    struct mr_cursor cursor = mr_cursor_of(bytes);
    uint32_t number = 0, times = 0;
    struct mr_pb_field field;

    for (uint32_t i = 0; i < described_count; i++)
        if (mr_span_equal(described[i].name, mr_span_text(name)))
            number = described[i].number;
    assert_int_not_equal(number, 0);
    while (mr_pb_next(&cursor, &field))
        if (mr_pb_number(&field) == number) {
            *found = field;
            times++;
        }
    assert_int_equal(cursor.err, MR_OK);
    assert_true(times <= 1);
    return times == 1;
}

static void expect_int(const char *name, int64_t value)
{
    struct mr_pb_field field;
    assert_true(look_up(name, &field));
    assert_int_equal(field.tag & 7, MR_PB_VARINT);
    assert_int_equal((int64_t)field.value, value);
}

static void expect_text(const char *name, const char *text)
{
    struct mr_pb_field field;
    assert_true(look_up(name, &field));
    assert_int_equal(field.tag & 7, MR_PB_BYTES);
    assert_true(mr_span_equal(field.bytes, mr_span_text(text)));
}

static void expect_numeric(const char *name, mr_i128 billionths)
{
    struct mr_pb_field field;
    mr_i128 scaled;
    assert_true(look_up(name, &field));
    assert_int_equal(mr_numeric_decode(field.bytes, &scaled), MR_OK);
    assert_true(scaled == billionths);
}

static void expect_null(const char *name)
{
    struct mr_pb_field field;
    assert_false(look_up(name, &field));
}

/* "amount", "n", "fine": the cell's place of what is kept of it. */
static uint8_t *kept(struct mr_row *row, const char *name, char what)
{
    for (uint32_t f = 0; f < kit_config.decode.field_count; f++) {
        if (strcmp(kit_config.decode.fields[f].name, name) != 0)
            continue;
        uint32_t m = kit_plan.measure_of[f];
        const struct mr_cell_layout *cell = &kit_plan.groupings[0].cell;
        uint16_t at = what == 's'   ? cell->measures[m].sum
                      : what == '<' ? cell->measures[m].min
                      : what == '>' ? cell->measures[m].max
                                    : cell->measures[m].present;
        assert_int_not_equal(at, MR_NOT_KEPT);
        return mr_row_cell(row) + at;
    }
    fail();
    return NULL;
}

static void set_sum(struct mr_row *row, const char *name, mr_i128 sum)
{
    memcpy(kept(row, name, 's'), &sum, sizeof sum);
}

static int encode(struct mr_row *row)
{
    struct mr_row_origin origin = {mr_span_text("one"), 0, 0, 1};
    struct mr_pen pen = mr_pen_of(encoded, sizeof encoded);

    mr_row_encode(&pen, &kit_plan, row, &origin);
    bytes = mr_pen_span(&pen);
    return pen.err;
}

static int setup(void **state)
{
    (void)state;
    kit_plan_make(yaml);
    describe();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mr_config_finish(&kit_config);
    return 0;
}

/* ---- the tests ---- */

static void columns_are_these(void **state)
{
    struct mr_row_column found[MR_ROW_COLUMNS_MAX];
    (void)state;
    assert_int_equal(mr_row_columns(&kit_plan, 0, found), MR_COUNT(columns));
    assert_int_equal(described_count, MR_COUNT(columns));
    for (uint32_t i = 0; i < MR_COUNT(columns); i++) {
        assert_string_equal(found[i].name, columns[i].name);
        assert_int_equal(found[i].type, columns[i].type);
        assert_int_equal(found[i].mode, columns[i].mode);
        assert_true(mr_span_equal(described[i].name, mr_span_text(columns[i].name)));
        assert_int_equal(described[i].label, columns[i].mode == MR_BIGQUERY_REQUIRED
                                                 ? MR_PROTO_REQUIRED
                                                 : MR_PROTO_OPTIONAL);
        int32_t type = columns[i].type == MR_BIGQUERY_STRING    ? MR_PROTO_STRING
                       : columns[i].type == MR_BIGQUERY_NUMERIC ? MR_PROTO_BYTES
                       : columns[i].type == MR_BIGQUERY_BOOL    ? MR_PROTO_BOOL
                                                                : MR_PROTO_INT64;
        assert_int_equal(described[i].type, type);
    }
}

static void a_row_says_all(void **state)
{
    (void)state;
    uint8_t *end = mr_key_put_string(key, mr_span_text("köln"));
    end = mr_key_put_tag(mr_key_put_int(end, -7), MR_KEY_TRUE);
    struct mr_row *row = kit_row(memory, 0, key, (uint32_t)(end - key));
    row->window_start_us = -60000000;
    row->window_end_us = INT64_C(1763836800000000);
    row->timing = MR_LATE;
    row->flags = MR_ROW_LAST;
    row->index = UINT32_MAX;
    mr_store64(mr_row_cell(row), 3);
    set_sum(row, "amount", -1000);
    mr_store64(kept(row, "amount", '<'), (uint64_t)INT64_MIN);
    mr_store64(kept(row, "amount", '>'), 150);
    set_sum(row, "n", (mr_i128)INT64_MAX * 3);
    mr_store64(kept(row, "n", '<'), (uint64_t)INT64_MIN);
    mr_store64(kept(row, "n", '>'), INT64_MAX);
    mr_store64(kept(row, "fine", 'p'), 2);
    set_sum(row, "fine", 1);
    assert_int_equal(encode(row), MR_OK);
    expect_text("window", "sales");
    expect_int("window_start", -60000000);
    expect_int("window_end", INT64_C(1763836800000000));
    expect_text("region", "köln");
    expect_int("shop", -7);
    expect_int("new", 1);
    expect_int("count", 3);
    expect_numeric("amount_sum", -(mr_i128)10 * 1000000000);
    expect_numeric("amount_min", (mr_i128)INT64_MIN * 10000000);
    expect_numeric("amount_max", 1500000000);
    expect_numeric("amount_avg", -3333333000); /* -3.333333, of scale 2 + 4 */
    expect_numeric("n_sum", (mr_i128)INT64_MAX * 3 * 1000000000);
    expect_int("n_min", INT64_MIN);
    expect_int("n_max", INT64_MAX);
    expect_numeric("n_avg", (mr_i128)INT64_MAX * 1000000000);
    expect_numeric("fine_sum", 1);
    expect_numeric("fine_avg", 1); /* half of a billionth: away from zero */
    expect_text("timing", "late");
    expect_int("index", UINT32_MAX);
    expect_int("is_first", 0);
    expect_int("is_last", 1);
    expect_text("instance", "one");
    expect_int("emitted_at", 1);
}

static void zeroes_are_said_and_nulls_are_not(void **state)
{
    (void)state;
    uint8_t *end = mr_key_put_string(key, mr_span_text(""));
    end = mr_key_put_tag(mr_key_put_int(end, 0), MR_KEY_FALSE);
    struct mr_row *row = kit_row(memory, 0, key, (uint32_t)(end - key));
    mr_store64(mr_row_cell(row), 1);
    assert_int_equal(encode(row), MR_OK);
    expect_text("region", "");
    expect_int("shop", 0);
    expect_int("new", 0);
    expect_numeric("amount_sum", 0);
    expect_numeric("amount_avg", 0);
    expect_int("n_min", 0);
    expect_null("fine_sum");
    expect_null("fine_avg");
    expect_int("window_start", 0);
    expect_int("index", 0);
    expect_int("is_last", 0);
    expect_int("lineage", 0);
    expect_int("share", 0);
    end = mr_key_put_tag(mr_key_put_tag(mr_key_put_tag(key, MR_KEY_ABSENT), MR_KEY_ABSENT),
                         MR_KEY_ABSENT);
    row = kit_row(memory, 0, key, (uint32_t)(end - key));
    assert_int_equal(encode(row), MR_OK);
    expect_null("region");
    expect_null("shop");
    expect_null("new");
    expect_int("count", 0);
    expect_null("amount_sum");
    expect_null("n_max");
}

static void a_number_beyond_numeric_is_refused(void **state)
{
    (void)state;
    uint8_t *end = mr_key_put_tag(mr_key_put_tag(mr_key_put_tag(key, 0), 0), 0);
    struct mr_row *row = kit_row(memory, 0, key, (uint32_t)(end - key));
    mr_i128 largest = 1;
    for (uint32_t i = 0; i < 29; i++)
        largest *= 10;
    mr_store64(mr_row_cell(row), 1);
    set_sum(row, "n", largest - 1);
    /* The average has four digits more on the way, which still fit. */
    assert_int_equal(encode(row), MR_OK);
    expect_numeric("n_sum", (largest - 1) * 1000000000);
    set_sum(row, "n", -largest);
    assert_int_equal(encode(row), MR_E_WIRE_RANGE);
    set_sum(row, "n", largest * 100000);
    assert_int_equal(encode(row), MR_E_WIRE_RANGE);
}

static void numbers_are_rounded_half_away(void **state)
{
    static const struct {
        int64_t number;
        uint32_t scale;
        int64_t billionths;
    } cases[] = {{5, 0, 5000000000}, {-5, 9, -5},         {14999, 13, 1}, {15000, 13, 2},
                 {-15000, 13, -2},   {-14999, 13, -1},    {4, 10, 0},     {5, 10, 1},
                 {-5, 10, -1},       {123, 2, 1230000000}};
    mr_i128 scaled;
    (void)state;
    for (uint32_t i = 0; i < MR_COUNT(cases); i++) {
        assert_int_equal(mr_numeric_of(cases[i].number, cases[i].scale, &scaled), MR_OK);
        assert_true(scaled == cases[i].billionths);
    }
    assert_int_equal(mr_numeric_of((mr_i128)1 << 120, 0, &scaled), MR_E_WIRE_RANGE);
    assert_int_equal(mr_numeric_of(-((mr_i128)1 << 120), 0, &scaled), MR_E_WIRE_RANGE);
}

/* Rows in an append: what is taken off, and what the message then holds. */
static void an_append_keeps_its_rows(void **state)
{
    static uint8_t buffer[65536];
    static const uint8_t schema[] = "descriptor";
    struct mr_append *append = mr_append_init(buffer, sizeof buffer, 256);
    struct mr_bigquery_append_head head = {
        .write_stream = mr_span_text("a/stream"),
        .offset = {true, 0},
        .descriptor = {true, mr_span_of(schema, 10)},
    };
    uint64_t bad[MR_APPEND_ROWS_MAX / 64] = {1 | 1 << 5};
    struct mr_append_row place;
    struct mr_bigquery_append_request request;
    struct mr_span row = {0};
    uint32_t put = 0;
    (void)state;

    for (;; put++) { /* rows of growing length, until no more fit */
        mr_append_row_begin(append, &place);
        mr_pb_put_int(&place.pen, 1, put);
        for (uint32_t i = 0; i < put; i++)
            mr_pb_put_int(&place.pen, 2, 0);
        if (mr_append_row_end(append, &place) != MR_OK)
            break;
    }
    assert_true(put > 200 && append->row_count == put);
    mr_append_drop_front(append, 3);    /* 3 4 5 6 7 8 9 ... */
    mr_append_drop_marked(append, bad); /* 4 5 6 7 9 ... */
    assert_int_equal(append->row_count, put - 5);
    struct mr_span message = mr_append_message(append, 5, &head);
    assert_int_equal(mr_bigquery_append_request_parse(&request, message), MR_OK);
    assert_true(mr_span_equal(request.write_stream, head.write_stream));
    assert_true(request.offset.present);
    assert_true(
        mr_span_equal(request.proto_rows.writer_schema.descriptor.bytes, head.descriptor.bytes));
    static const uint64_t left[] = {4, 5, 6, 7, 9};
    struct mr_pb_each each = mr_pb_list_each(&request.proto_rows.rows.serialized_rows);
    for (uint32_t i = 0; i < MR_COUNT(left); i++) {
        assert_true(mr_pb_each_span(&each, &row));
        struct mr_cursor cursor = mr_cursor_of(row);
        struct mr_pb_field field;
        assert_true(mr_pb_next(&cursor, &field));
        assert_int_equal(field.value, left[i]);
        assert_true(mr_span_equal(row, mr_append_row_at(append, i)));
    }
    assert_false(mr_pb_each_span(&each, &row));
    head = (struct mr_bigquery_append_head){0}; /* a later sending has a shorter head */
    message = mr_append_message(append, append->row_count, &head);
    assert_int_equal(mr_bigquery_append_request_parse(&request, message), MR_OK);
    assert_int_equal(request.proto_rows.rows.serialized_rows.found, put - 5);
    assert_false(request.offset.present || request.proto_rows.writer_schema.present);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_these),
        cmocka_unit_test(a_row_says_all),
        cmocka_unit_test(zeroes_are_said_and_nulls_are_not),
        cmocka_unit_test(a_number_beyond_numeric_is_refused),
        cmocka_unit_test(numbers_are_rounded_half_away),
        cmocka_unit_test(an_append_keeps_its_rows),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
