/* Aim: fields come out of a payload exactly, in any order and nesting, and the reason of a refusal
 * is the first failing rule over all fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sources/fixture.h"

static struct mr_config config;
static struct mr_decoder *decoder;
static struct mr_decoded decoded;

static void prepare(void)
{
    mr_decoder_destroy(decoder);
    assert_int_equal(mr_decoder_create(&decoder, &config), MR_OK);
}

static enum mr_reason decode(const char *text)
{
    mr_decoder_forget(decoder);
    return mr_decode(decoder, mr_fixture_edge(text, strlen(text)), &decoded);
}

static void assert_text(uint32_t field, const char *text)
{
    assert_int_equal(decoded.values[field].kind, MR_VALUE_PRESENT);
    assert_int_equal(decoded.values[field].text.bytes, strlen(text));
    assert_memory_equal(decoded.values[field].text.data, text, strlen(text));
}

static const char *const orders[] = {
    "{\"order_id\":\"a\",\"product_id\":\"P001\",\"timestamp\":\"2025-07-22T11:52:03.123456\","
    "\"amount\":12.5,\"region\":\"europe\"}",
    "{ \"region\" : \"caf\xc3\xa9\", \"amount\" : 125e-1 , \"extra\" : [ { \"amount\" : 1 } , "
    "null ], \"timestamp\" : 1753185123.123456, \"product_id\" : \"\\u0050001\", \"order_id\" : "
    "\"\\ud83d\\ude00\" } ",
    "{\"order_id\":\"6f1d0f6e-3b3f-4c39-9d5f-0d1f0a1b2c3d\",\"product_id\":\"P004\","
    "\"timestamp\":\"2025-07-22T11:52:03\",\"amount\":499.99,\"region\":\"asia\",\"n\":{\"a\":{}}}",
};

static void seed_order(void **state)
{
    (void)state;
    mr_fixture_order(&config);
    prepare();
    assert_int_equal(decode(orders[0]), MR_REASON_NONE);
    assert_int_equal(decoded.event_us, 1753185123123456);
    assert_text(0, "a");
    assert_text(1, "P001");
    assert_int_equal(decoded.values[2].number, decoded.event_us);
    assert_int_equal(decoded.values[3].number, 1250);
    assert_text(4, "europe");
    assert_int_equal(decoded.decimals_rounded, 0);
    assert_int_equal(decode(orders[1]), MR_REASON_NONE);
    assert_int_equal(decoded.event_us, 1753185123123456);
    assert_text(0, "\xf0\x9f\x98\x80");
    assert_text(1, "P001");
    assert_int_equal(decoded.values[3].number, 1250);
    assert_text(4, "caf\xc3\xa9");
}

/* No proper prefix of an object is JSON; each ends at a forbidden page. */
static void every_prefix(void **state)
{
    (void)state;
    mr_fixture_order(&config);
    prepare();
    for (size_t i = 0; i < MR_COUNT(orders); i++) {
        size_t whole = (size_t)(strrchr(orders[i], '}') - orders[i]) + 1;
        assert_int_equal(decode(orders[i]), MR_REASON_NONE);
        for (size_t bytes = 0; bytes <= strlen(orders[i]); bytes++) {
            struct mr_span prefix = mr_fixture_edge(orders[i], bytes);
            enum mr_reason wanted = bytes < whole ? MR_REASON_MALFORMED_JSON : MR_REASON_NONE;
            assert_int_equal(mr_decode(decoder, prefix, &decoded), wanted);
            if (bytes < whole) /* at the cut, or where the UTF-8 or the number cut there begins */
                assert_in_range(decoded.error_offset, bytes < 3 ? 0 : bytes - 3, bytes);
            mr_decoder_forget(decoder);
            assert_int_equal(mr_decode(decoder, prefix, &decoded), wanted);
        }
    }
}

static void nested_paths(void **state)
{
    (void)state;
    mr_fixture_order(&config);
    config.decode.field_count = 0;
    mr_fixture_field(&config, "at", MR_TYPE_EVENT_TIME);
    struct mr_field *city = mr_fixture_field(&config, "city", MR_TYPE_STRING);
    city->path[0] = "shop", city->path[1] = "city", city->path_count = 2;
    struct mr_field *count = mr_fixture_field(&config, "count", MR_TYPE_INT);
    count->path[0] = "shop", count->path[1] = "n", count->path_count = 2;
    count->optional = true;
    struct mr_field *again = mr_fixture_field(&config, "again", MR_TYPE_STRING);
    again->path[0] = "shop", again->path[1] = "city", again->path_count = 2;
    prepare();
    assert_int_equal(decode("{\"shop\":{\"n\":3,\"city\":\"\\u0041\"},\"at\":0}"), MR_REASON_NONE);
    assert_text(1, "A");
    assert_int_equal(decoded.values[2].number, 3);
    assert_text(3, "A");
    /* The last occurrence of the outer key stands alone. */
    assert_int_equal(decode("{\"shop\":{\"n\":3},\"at\":0,\"shop\":{\"city\":\"B\"}}"),
                     MR_REASON_NONE);
    assert_text(1, "B");
    assert_int_equal(decoded.values[2].kind, MR_VALUE_ABSENT);
    assert_int_equal(decode("{\"shop\":{\"city\":\"B\"},\"at\":0,\"shop\":null}"),
                     MR_REASON_MISSING_FIELD);
    assert_int_equal(decode("{\"shop\":{\"city\":\"B\"},\"at\":0,\"sh\\u006fp\":{}}"),
                     MR_REASON_MISSING_FIELD);
    assert_int_equal(decode("{\"shop\":[{\"city\":\"B\"}],\"at\":0}"), MR_REASON_MISSING_FIELD);
    assert_int_equal(decode("{\"shop\":\"city\",\"at\":0}"), MR_REASON_MISSING_FIELD);
    assert_int_equal(decode("{\"city\":\"B\",\"at\":0}"), MR_REASON_MISSING_FIELD);
    assert_int_equal(decode("{\"x\":{\"shop\":{\"city\":\"B\"}},\"at\":0}"),
                     MR_REASON_MISSING_FIELD);
    assert_int_equal(decode("{\"shop\":{\"city\":\"B\",\"city\":null},\"at\":0}"),
                     MR_REASON_MISSING_FIELD);
    assert_int_equal(decode("{\"shop\":{\"city\":5,\"city\":\"C\"},\"at\":true,\"at\":1}"),
                     MR_REASON_NONE);
    assert_text(1, "C");
}

/* One field of a kind beside the event time; gives its reason and leaves it in values[1]. */
static enum mr_reason one(enum mr_type type, bool from_string, const char *value)
{
    char text[128];

    mr_fixture_order(&config);
    config.decode.field_count = 0;
    mr_fixture_field(&config, "at", MR_TYPE_EVENT_TIME);
    mr_fixture_field(&config, "x", type)->from_string = from_string;
    config.decode.fields[1].scale = type == MR_TYPE_DECIMAL ? 2 : 0;
    prepare();
    snprintf(text, sizeof text, "{\"at\":0,\"x\":%s}", value);
    return decode(text);
}

static void types(void **state)
{
    static const struct {
        enum mr_type type;
        bool from_string;
        const char *value;
        enum mr_reason reason;
        int64_t number;
    } table[] = {
        {MR_TYPE_INT, false, "3", MR_REASON_NONE, 3},
        {MR_TYPE_INT, false, "3.0", MR_REASON_NONE, 3},
        {MR_TYPE_INT, false, "3e0", MR_REASON_NONE, 3},
        {MR_TYPE_INT, false, "30e-1", MR_REASON_NONE, 3},
        {MR_TYPE_INT, false, "-0", MR_REASON_NONE, 0},
        {MR_TYPE_INT, false, "3.5", MR_REASON_BAD_TYPE, 0},
        {MR_TYPE_INT, false, "1e-999999999", MR_REASON_BAD_TYPE, 0},
        {MR_TYPE_INT, false, "99999999999999999999.5", MR_REASON_BAD_TYPE, 0},
        {MR_TYPE_INT, false, "9223372036854775807", MR_REASON_NONE, INT64_MAX},
        {MR_TYPE_INT, false, "9223372036854775808", MR_REASON_OUT_OF_RANGE, 0},
        {MR_TYPE_INT, false, "-9223372036854775808", MR_REASON_NONE, INT64_MIN},
        {MR_TYPE_INT, false, "1e999999999", MR_REASON_OUT_OF_RANGE, 0},
        {MR_TYPE_INT, false, "\"3\"", MR_REASON_BAD_TYPE, 0},
        {MR_TYPE_INT, true, "\"3\"", MR_REASON_NONE, 3},
        {MR_TYPE_INT, true, "\"\\u0033\"", MR_REASON_NONE, 3},
        {MR_TYPE_INT, true, "3", MR_REASON_NONE, 3},
        {MR_TYPE_INT, true, "\"03\"", MR_REASON_BAD_TYPE, 0},
        {MR_TYPE_INT, true, "\" 3\"", MR_REASON_BAD_TYPE, 0},
        {MR_TYPE_INT, true, "\"\"", MR_REASON_BAD_TYPE, 0},
        {MR_TYPE_INT, true, "\"9223372036854775808\"", MR_REASON_OUT_OF_RANGE, 0},
        {MR_TYPE_INT, false, "true", MR_REASON_BAD_TYPE, 0},
        {MR_TYPE_INT, false, "[]", MR_REASON_BAD_TYPE, 0},
        {MR_TYPE_INT, false, "null", MR_REASON_MISSING_FIELD, 0},
        {MR_TYPE_BOOL, false, "true", MR_REASON_NONE, 1},
        {MR_TYPE_BOOL, false, "false", MR_REASON_NONE, 0},
        {MR_TYPE_BOOL, false, "1", MR_REASON_BAD_TYPE, 0},
        {MR_TYPE_BOOL, true, "\"true\"", MR_REASON_BAD_TYPE, 0},
        {MR_TYPE_DECIMAL, false, "12.345", MR_REASON_NONE, 1235},
        {MR_TYPE_DECIMAL, false, "-12.345", MR_REASON_NONE, -1235},
        {MR_TYPE_DECIMAL, false, "1e17", MR_REASON_OUT_OF_RANGE, 0},
        {MR_TYPE_DECIMAL, false, "\"1\"", MR_REASON_BAD_TYPE, 0},
        {MR_TYPE_DECIMAL, true, "\"-1.5e1\"", MR_REASON_NONE, -1500},
        {MR_TYPE_DECIMAL, false, "{}", MR_REASON_BAD_TYPE, 0},
        {MR_TYPE_STRING, false, "\"\"", MR_REASON_NONE, 0},
        {MR_TYPE_STRING, false, "5", MR_REASON_BAD_TYPE, 0},
        {MR_TYPE_STRING, false, "{\"x\":\"y\"}", MR_REASON_BAD_TYPE, 0},
    };

    (void)state;
    for (size_t i = 0; i < MR_COUNT(table); i++) {
        enum mr_reason reason = one(table[i].type, table[i].from_string, table[i].value);
        if (reason != table[i].reason)
            fail_msg("%s: %s", table[i].value, mr_reason_name(reason));
        if (reason == MR_REASON_NONE)
            assert_int_equal(decoded.values[1].number, table[i].number);
        else
            assert_int_equal(decoded.field, 1);
    }
}

static void rounding_is_counted(void **state)
{
    (void)state;
    assert_int_equal(one(MR_TYPE_DECIMAL, false, "0.005"), MR_REASON_NONE);
    assert_int_equal(decoded.decimals_rounded, 1);
    assert_int_equal(one(MR_TYPE_DECIMAL, false, "0.0500"), MR_REASON_NONE);
    assert_int_equal(decoded.decimals_rounded, 0);
    assert_int_equal(one(MR_TYPE_DECIMAL, false, "1e-999999999"), MR_REASON_NONE);
    assert_int_equal(decoded.decimals_rounded, 1);
}

/* The offset is that of the value at fault, the event time not being asked for its type first. */
static void precedence(void **state)
{
    static const struct {
        const char *text;
        enum mr_reason reason;
        uint32_t field, offset;
    } table[] = {
        {"{\"a\":1e99,\"t\":\"x\",\"b\":5,\"c\":null}x", MR_REASON_MALFORMED_JSON, MR_FIELDS_MAX,
         33},
        {"{\"a\":1e99,\"t\":\"x\",\"b\":5,\"c\":null}", MR_REASON_MISSING_FIELD, 3, 0},
        {"{\"a\":1e99,\"t\":\"x\",\"b\":5,\"c\":\"\"}", MR_REASON_BAD_TYPE, 2, 22},
        {"{\"a\":1e99,\"t\":true,\"b\":\"\",\"c\":\"\"}", MR_REASON_BAD_TYPE, 1, 14},
        {"{\"a\":1e99,\"t\":\"x\",\"b\":\"\",\"c\":\"\"}", MR_REASON_BAD_TIMESTAMP, 1, 14},
        {"{\"a\":1e99,\"t\":1e99,\"b\":\"\",\"c\":\"\"}", MR_REASON_BAD_TIMESTAMP, 1, 14},
        {"{\"a\":1e99,\"t\":1,\"b\":\"\",\"c\":\"\"}", MR_REASON_OUT_OF_RANGE, 0, 5},
        {"[]", MR_REASON_MISSING_FIELD, 0, 0},
        {"\"a\"", MR_REASON_MISSING_FIELD, 0, 0},
    };

    (void)state;
    mr_fixture_order(&config);
    config.decode.field_count = 0;
    mr_fixture_field(&config, "a", MR_TYPE_INT);
    mr_fixture_field(&config, "t", MR_TYPE_EVENT_TIME);
    mr_fixture_field(&config, "b", MR_TYPE_STRING);
    mr_fixture_field(&config, "c", MR_TYPE_STRING);
    config.decode.payload_bytes_max = 40;
    prepare();
    for (size_t i = 0; i < MR_COUNT(table); i++) {
        assert_int_equal(decode(table[i].text), table[i].reason);
        assert_int_equal(decoded.field, table[i].field);
        assert_int_equal(decoded.error_offset, table[i].offset);
    }
    for (int bytes = 40; bytes <= 41; bytes++) {
        char padded[64];
        snprintf(padded, sizeof padded, "%-*s", bytes, "{\"a\":1,\"t\":1,\"b\":\"\",\"c\":\"\"}");
        assert_int_equal(decode(padded), bytes == 40 ? MR_REASON_NONE : MR_REASON_TOO_LARGE);
    }
    assert_int_equal(decode("not JSON, but too large all the same, and so"), MR_REASON_TOO_LARGE);
}

static void time_from_elsewhere(void **state)
{
    int64_t us;

    (void)state;
    mr_fixture_order(&config);
    config.decode.fields[2].time_from = MR_TIME_FROM_ATTRIBUTE;
    prepare();
    assert_int_equal(
        decode("{\"order_id\":\"a\",\"product_id\":\"b\",\"amount\":1,\"region\":\"c\","
               "\"timestamp\":\"no time\"}"),
        MR_REASON_NONE);
    assert_int_equal(decoded.values[2].kind, MR_VALUE_ABSENT);
    assert_int_equal(mr_decode_event_time(mr_span_text("1753185123"), MR_UNIT_AUTO, &us),
                     MR_REASON_NONE);
    assert_int_equal(us, 1753185123000000);
    assert_int_equal(mr_decode_event_time(mr_span_text("yesterday"), MR_UNIT_AUTO, &us),
                     MR_REASON_BAD_TIMESTAMP);
    assert_int_equal(mr_decode_event_time(mr_span_of(NULL, 0), MR_UNIT_AUTO, &us),
                     MR_REASON_BAD_TIMESTAMP);
}

/* All fields there can be, each an escaped string, so that decoded texts fill their room. */
static void many_escaped_strings(void **state)
{
    static char names[MR_FIELDS_MAX][8], text[8192];
    char *at = text;

    (void)state;
    mr_fixture_order(&config);
    config.decode.field_count = 0;
    mr_fixture_field(&config, "at", MR_TYPE_EVENT_TIME);
    at += sprintf(at, "{\"at\":0");
    for (int i = 1; i < MR_FIELDS_MAX; i++) {
        sprintf(names[i], "f%d", i);
        mr_fixture_field(&config, names[i], MR_TYPE_STRING);
        at += sprintf(at, ",\"\\u0066%d\":\"\\u20ac%d\\n\"", i, i);
    }
    sprintf(at, "}");
    config.decode.payload_bytes_max = strlen(text);
    prepare();
    assert_int_equal(decode(text), MR_REASON_NONE);
    for (uint32_t i = 1; i < MR_FIELDS_MAX; i++) {
        char wanted[16];
        sprintf(wanted, "\xe2\x82\xac%u\n", i);
        assert_text(i, wanted);
    }
}

static int finish(void **state)
{
    (void)state;
    mr_decoder_destroy(decoder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seed_order),          cmocka_unit_test(every_prefix),
        cmocka_unit_test(nested_paths),        cmocka_unit_test(types),
        cmocka_unit_test(rounding_is_counted), cmocka_unit_test(precedence),
        cmocka_unit_test(time_from_elsewhere), cmocka_unit_test(many_escaped_strings),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}
