/* Aim: exactly the texts of RFC 8259 in well-formed UTF-8 are accepted, and no byte outside them is
 * read: each ends at a forbidden page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sources/fixture.h"

/* Spans with their length, as some hold zero bytes. */
#define T(literal)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(literal), sizeof(literal) - 1                                            \
    }

static const struct mr_span good[] = {
    T("null"),
    T("true"),
    T("false"),
    T("0"),
    T("-0"),
    T("1.5e+300"),
    T("\"\""),
    T("[]"),
    T("{}"),
    T(" \t\r\n{ } \t\r\n"),
    T("[1 , 2]"),
    T("[[],{},[{}]]"),
    T("{\"a\":1,\"a\":2}"),
    T("{\"\":0}"),
    T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uABCD\\uabcd\""),
    T("\"\\ud800\""),
    T("\"\\udc00\""),
    T("\"\\ud83d\\ude00\""),
    T("\"\x7f\""),
    T("\"\xc2\x80\""),
    T("\"\xdf\xbf\""),
    T("\"\xe0\xa0\x80\""),
    T("\"\xed\x9f\xbf\""),
    T("\"\xee\x80\x80\""),
    T("\"\xef\xbf\xbf\""),
    T("\"\xf0\x90\x80\x80\""),
    T("\"\xf4\x8f\xbf\xbf\""),
    T("\"\xef\xbb\xbf\""),
    T("[1e1,1E1,1e-1,0e0,0.0,-0.0,10,1000000000000000000000000000000]"),
    T("[null,true,false]"),
    T("\"0123456789abcdef0123456789abcdef\""),
    T("{\"a\":{\"b\":[{\"c\":null}]}}"),
    T("\"/\""),
    T("\"\\u0022\""),
    T("\"\xe2\x80\xa8\xe2\x80\xa9\""),
};

static const struct mr_span bad[] = {
    T(""),
    T(" "),
    T("\xef\xbb\xbf{}"),
    T("nul"),
    T("nulll"),
    T("True"),
    T("NaN"),
    T("Infinity"),
    T("-Infinity"),
    T("undefined"),
    T("'a'"),
    T("+1"),
    T("-"),
    T("01"),
    T("-01"),
    T("1."),
    T(".1"),
    T("1e"),
    T("1e+"),
    T("1.e1"),
    T("0x1"),
    T("1 2"),
    T("{}{}"),
    T("{},"),
    T("[1,]"),
    T("[,1]"),
    T("[1 2]"),
    T("[1"),
    T("["),
    T("]"),
    T("{"),
    T("}"),
    T("{\"a\"}"),
    T("{\"a\":}"),
    T("{\"a\":1,}"),
    T("{,\"a\":1}"),
    T("{\"a\" 1}"),
    T("{\"a\":1 \"b\":2}"),
    T("{a:1}"),
    T("{1:1}"),
    T("{\"a\":1]"),
    T("[1}"),
    T("{null:1}"),
    T("\""),
    T("\"a"),
    T("\"\\"),
    T("\"\\\""),
    T("\"\\x\""),
    T("\"\\u\""),
    T("\"\\u12\""),
    T("\"\\u123g\""),
    T("\"\\u 123\""),
    T("\"\\'\""),
    T("\"\\U0041\""),
    T("\"a\nb\""),
    T("\"a\tb\""),
    T("\"\0\""),
    T("\"\x1f\""),
    T("{}\0"),
    T("\0{}"),
    T("/**/{}"),
    T("{}//"),
    T("\f{}"),
    T("\v{}"),
    T("\xc2\xa0{}"),
    T("{\"a\":1;}"),
    T("\"\x80\""),
    T("\"\xbf\""),
    T("\"\xc0\x80\""),
    T("\"\xc1\xbf\""),
    T("\"\xc2\""),
    T("\"\xc2"),
    T("\"\xc2\x7f\""),
    T("\"\xe0\x9f\xbf\""),
    T("\"\xed\xa0\x80\""),
    T("\"\xed\xbf\xbf\""),
    T("\"\xe2\x82\""),
    T("\"\xe2\x82"),
    T("\"\xe2"),
    T("\"\xe2\x28\xa1\""),
    T("\"\xf0\x8f\xbf\xbf\""),
    T("\"\xf4\x90\x80\x80\""),
    T("\"\xf5\x80\x80\x80\""),
    T("\"\xf0\x9f\x98\""),
    T("\"\xf0\x9f\x98"),
    T("\"\xf0\x9f"),
    T("\"\xf0\x9f\x28\x80\""),
    T("\"\xff\""),
    T("\"\xfe\""),
    T("[\"a\", \xc3\xa9]"),
    T("{\"\xff\":1}"),
    T("tru"),
    T("t"),
    T("fals"),
    T("n"),
    T("[true false]"),
    T("--1"),
    T("1e5.5"),
    T("[1,,2]"),
    T("{\"a\"::1}"),
    T("{\"a\":1,,\"b\":2}"),
    T("\xff"),
    T("{\"a\":tru}"),
    T("\"0123456789abcde\n\""),
};

/* The payload's publish time is the event's, so no field is wanted and only JSON is judged. */
static enum mr_reason judge(struct mr_span text)
{
    static struct mr_config config;
    static struct mr_decoder *decoder;
    struct mr_decoded decoded;

    if (decoder == NULL) {
        mr_fixture_order(&config);
        config.decode.field_count = 1;
        config.decode.fields[0] = (struct mr_field){.name = "at",
                                                    .type = MR_TYPE_EVENT_TIME,
                                                    .time_from = MR_TIME_FROM_PUBLISH,
                                                    .path_count = 0};
        assert_int_equal(mr_decoder_create(&decoder, &config), MR_OK);
    }
    mr_decoder_forget(decoder);
    enum mr_reason reason = mr_decode(decoder, mr_fixture_edge(text.data, text.bytes), &decoded);
    assert_true(decoded.error_offset <= text.bytes);
    assert_non_null(decoded.detail_static);
    return reason;
}

/* Also as a skipped member, a skipped item, and behind so many bytes that vectors are used. */
static enum mr_reason judge_inside(struct mr_span text, const char *before, const char *behind)
{
    char whole[256];
    size_t left = strlen(before), right = strlen(behind);

    memcpy(whole, before, left);
    memcpy(whole + left, text.data, text.bytes);
    memcpy(whole + left + text.bytes, behind, right);
    return judge(mr_span_of(whole, left + text.bytes + right));
}

static void accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < MR_COUNT(good); i++) {
        assert_int_equal(judge(good[i]), MR_REASON_NONE);
        assert_int_equal(judge_inside(good[i], "{\"skipped\":", "}"), MR_REASON_NONE);
        assert_int_equal(judge_inside(good[i], "[0,", ",\"sixteen bytes and more\"]"),
                         MR_REASON_NONE);
    }
}

static void refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < MR_COUNT(bad); i++) {
        if (judge(bad[i]) != MR_REASON_MALFORMED_JSON)
            fail_msg("text %zu was accepted: %.*s", i, (int)bad[i].bytes, bad[i].data);
    }
}

static void refused_inside(void **state)
{
    static const struct mr_span values[] = {
        T("\"\xc0\x80\""), T("\"\x1f\""),         T("NaN"), T("01"), T("\"\\x\""), T("[1,]"),
        T("{\"a\"}"),      T("\"\xed\xa0\x80\""), T("tru"), T("-"),
    };

    (void)state;
    for (size_t i = 0; i < MR_COUNT(values); i++) {
        assert_int_equal(judge_inside(values[i], "{\"skipped\":", "}"), MR_REASON_MALFORMED_JSON);
        assert_int_equal(judge_inside(values[i], "[[\"sixteen bytes and more\"],", "]"),
                         MR_REASON_MALFORMED_JSON);
    }
}

static enum mr_reason nested(uint32_t depth, const char *open, const char *close)
{
    static char text[4096];
    char *at = text;

    for (uint32_t i = 0; i < depth; i++)
        at = stpcpy(at, open);
    at = stpcpy(at, "0");
    for (uint32_t i = 0; i < depth; i++)
        at = stpcpy(at, close);
    return judge(mr_span_text(text));
}

static void depth(void **state)
{
    (void)state;
    assert_int_equal(nested(256, "[", "]"), MR_REASON_NONE);
    assert_int_equal(nested(257, "[", "]"), MR_REASON_MALFORMED_JSON);
    assert_int_equal(nested(256, "{\"a\":", "}"), MR_REASON_NONE);
    assert_int_equal(nested(257, "{\"a\":", "}"), MR_REASON_MALFORMED_JSON);
    assert_int_equal(nested(128, "[{\"a\":", "}]"), MR_REASON_NONE);
    assert_int_equal(nested(129, "[{\"a\":", "}]"), MR_REASON_MALFORMED_JSON);
}

/* A wrong byte at each place of strings of each length, so that each lane of a vector is asked. */
static void wrong_bytes_everywhere(void **state)
{
    static const uint8_t wrong[] = {0x00, 0x1f, 0x80, 0xff, '\n'};
    char text[64];

    (void)state;
    for (size_t bytes = 1; bytes < 50; bytes++) {
        for (size_t at = 0; at < bytes; at++) {
            for (size_t i = 0; i < MR_COUNT(wrong); i++) {
                memset(text, 'a', sizeof text);
                text[0] = text[bytes + 1] = '"';
                assert_int_equal(judge(mr_span_of(text, bytes + 2)), MR_REASON_NONE);
                text[1 + at] = (char)wrong[i];
                assert_int_equal(judge(mr_span_of(text, bytes + 2)), MR_REASON_MALFORMED_JSON);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted),
        cmocka_unit_test(refused),
        cmocka_unit_test(refused_inside),
        cmocka_unit_test(depth),
        cmocka_unit_test(wrong_bytes_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
