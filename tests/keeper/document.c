/* Aim: documents are read by path as RFC 8259 has them, and nothing that is not JSON is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "keeper/document.h"

static bool valid(const char *text)
{
    /* In memory of its very size, so that the address sanitizer sees a byte read too many. */
    size_t bytes = strlen(text);
    char *copy = malloc(bytes ? bytes : 1);
    memcpy(copy, text, bytes);
    bool is = mr_document_is_valid(mr_span_of(copy, bytes));
    free(copy);
    return is;
}

static void test_validity(void **state)
{
    static const char *const good[] = {"{}", " [1, -0.5e+3, 0] ", "\"a\\u00e9\\n\"", "true",
                                       "{\"a\":{\"b\":[null,false]}}"};
    static const char *const bad[] = {"",       "{",     "{\"a\"}",    "[1,]",  "01", "\"\\x\"",
                                      "\"\n\"", "tru",   "{} {}",      "{a:1}", "1.", "\"\\u12\"",
                                      "-",      "[1 2]", "{\"a\":1,}", "\"",    "1e", "nul"};
    char deep[200];
    (void)state;

    for (size_t i = 0; i < MR_COUNT(good); i++)
        assert_true(valid(good[i]));
    for (size_t i = 0; i < MR_COUNT(bad); i++)
        assert_false(valid(bad[i]));
    for (size_t depth = 1; depth < 100; depth++) {
        memset(deep, '[', depth);
        memset(deep + depth, ']', depth);
        deep[2 * depth] = '\0';
        assert_int_equal(valid(deep), depth <= 33);
    }
    for (size_t i = 0; i < strlen(good[4]); i++) { /* every prefix */
        char prefix[64];
        snprintf(prefix, sizeof prefix, "%.*s", (int)i, good[4]);
        assert_false(valid(prefix));
    }
}

static void test_paths(void **state)
{
    struct mr_span document = mr_span_text(
        "{ \"a\" : [ 10 , {\"b\":\"x\\u00e9\\ud83d\\ude00\\\"\"} ] , \"n\":\"-7\", "
        "\"z\":\"\\u0000\","
        " \"a\": 3 }");
    char text[32];
    int64_t number;
    (void)state;

    assert_true(mr_document_int(document, "a.0", &number));
    assert_int_equal(number, 10);
    assert_true(mr_document_int(document, "n", &number));
    assert_int_equal(number, -7);
    assert_int_equal(mr_document_text(document, "a.1.b", text, sizeof text), 8);
    assert_string_equal(text, "x\xC3\xA9\xF0\x9F\x98\x80\"");
    assert_int_equal(mr_document_text(document, "a.1.b", text, 8), -1);
    assert_int_equal(mr_document_text(document, "z", text, sizeof text), -1);
    assert_int_equal(mr_document_get(document, "a.2").kind, MR_VALUE_NONE);
    assert_int_equal(mr_document_get(document, "a.0.x").kind, MR_VALUE_NONE);
    assert_int_equal(mr_document_get(document, "b").kind, MR_VALUE_NONE);
    assert_int_equal(mr_document_get(document, "").kind, MR_VALUE_OBJECT);
    assert_int_equal(mr_document_get(mr_span_text("[] x"), "").kind, MR_VALUE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_validity),
                                       cmocka_unit_test(test_paths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
