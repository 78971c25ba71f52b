/* Aim: numbers become integers of a unit exactly, by the short way and the long one alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "sources/number.h"

enum outcome { EXACT, ROUNDED, OUTSIDE };

struct spelling {
    const char *text;
    int scale;
    enum outcome outcome;
    int64_t value;
};

static const struct spelling decimals[] = {
    {"0", 2, EXACT, 0},
    {"-0", 2, EXACT, 0},
    {"12.5", 2, EXACT, 1250},
    {"1.25e1", 2, EXACT, 1250},
    {"1250E-2", 2, EXACT, 1250},
    {"12.50000", 2, EXACT, 1250},
    {"0.005", 2, ROUNDED, 1},
    {"-0.005", 2, ROUNDED, -1},
    {"0.0049999999999999999999", 2, ROUNDED, 0},
    {"0.015", 2, ROUNDED, 2},
    {"-0.015", 2, ROUNDED, -2},
    {"2.675", 2, ROUNDED, 268},
    {"1.005", 2, ROUNDED, 101},
    {"9.999", 2, ROUNDED, 1000},
    {"92233720368547758.07", 2, EXACT, INT64_MAX},
    {"92233720368547758.074", 2, ROUNDED, INT64_MAX},
    {"92233720368547758.075", 2, OUTSIDE, 0},
    {"92233720368547758.08", 2, OUTSIDE, 0},
    {"-92233720368547758.08", 2, EXACT, INT64_MIN},
    {"-92233720368547758.084", 2, ROUNDED, INT64_MIN},
    {"-92233720368547758.085", 2, OUTSIDE, 0},
    {"9223372036854775807", 0, EXACT, INT64_MAX},
    {"9223372036854775808", 0, OUTSIDE, 0},
    {"-9223372036854775808", 0, EXACT, INT64_MIN},
    {"9999999999999999999", 0, OUTSIDE, 0},
    {"18446744073709551617", 0, OUTSIDE, 0},
    {"1e18", 0, EXACT, 1000000000000000000},
    {"1e19", 0, OUTSIDE, 0},
    {"1e999999999", 0, OUTSIDE, 0},
    {"1e99999999999999999999999999", 0, OUTSIDE, 0},
    {"1e-999999999", 0, ROUNDED, 0},
    {"-1e-99999999999999999999999999", 0, ROUNDED, 0},
    {"0e999999999", 9, EXACT, 0},
    {"0.000e-999999999", 9, EXACT, 0},
    {"1000000000000000000000000000000e-30", 0, EXACT, 1},
    {"0.0000000000000000000000000000001e31", 0, EXACT, 1},
    {"1.5", 0, ROUNDED, 2},
    {"0.5", 0, ROUNDED, 1},
    {"0.4999999999999999999999999999999999", 0, ROUNDED, 0},
    {"0.05", 0, ROUNDED, 0},
    {"0.123456789", 9, EXACT, 123456789},
    {"0.1234567895", 9, ROUNDED, 123456790},
    {"9.2233720368547758071", 9, ROUNDED, 9223372037},
    {"9223372036.854775807", 9, EXACT, INT64_MAX},
    {"9223372036.8547758075", 9, OUTSIDE, 0},
    {"99999999999999999.5", 0, ROUNDED, 100000000000000000},
    {"999999999999999999.5", 0, ROUNDED, 1000000000000000000},
};

static void decimals_are_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < MR_COUNT(decimals); i++) {
        const struct spelling *s = &decimals[i];
        struct mr_number number;
        int64_t value;
        bool inexact;
        assert_true(mr_number_read(mr_span_text(s->text), MR_NUMBER_JSON, &number));
        bool fits = mr_number_scale(&number, s->scale, MR_ROUND_HALF_AWAY, &value, &inexact);
        if (fits != (s->outcome != OUTSIDE) ||
            (fits && (value != s->value || inexact != (s->outcome == ROUNDED))))
            fail_msg("%s at scale %d: fits %d, %lld, inexact %d", s->text, s->scale, fits,
                     (long long)value, inexact);
    }
}

/* The same number twice, once with so many zeros behind that the short way cannot take it. */
static void both_ways_agree(void **state)
{
    (void)state;
    uint64_t seed = 1;

    for (int i = 0; i < 100000; i++) {
        char brief[64], lengthy[96];
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint64_t whole = (seed >> 20) % 1000000 >> (seed >> 60), part = (seed >> 8) % 100000;
        snprintf(brief, sizeof brief, "%s%llu.%05llu", seed >> 63 ? "-" : "",
                 (unsigned long long)whole, (unsigned long long)part);
        snprintf(lengthy, sizeof lengthy, "%s000000000000000000000", brief);
        struct mr_number a, b;
        int64_t x, y;
        bool a_inexact, b_inexact;
        int shift = (int)(seed >> 40) % 12 - 2;
        enum mr_round round = seed >> 33 & 1 ? MR_ROUND_FLOOR : MR_ROUND_HALF_AWAY;
        assert_true(mr_number_read(mr_span_text(brief), MR_NUMBER_JSON, &a));
        assert_true(mr_number_read(mr_span_text(lengthy), MR_NUMBER_JSON, &b));
        assert_true(mr_number_scale(&a, shift, round, &x, &a_inexact));
        assert_true(mr_number_scale(&b, shift, round, &y, &b_inexact));
        if (x != y || a_inexact != b_inexact)
            fail_msg("%s shifted by %d: %lld and %lld", brief, shift, (long long)x, (long long)y);
        assert_int_equal(mr_number_magnitude(&a), mr_number_magnitude(&b));
    }
}

static bool reads(const char *text, enum mr_number_form form)
{
    struct mr_number number;

    return mr_number_read(mr_span_text(text), form, &number);
}

static void spellings(void **state)
{
    static const char *const good[] = {"0",    "-0",   "10",  "1.0",    "1e5",       "1E+5",
                                       "1e-5", "0.10", "0e0", "-1.5e3", "123456789", "1e00"};
    static const char *const bad[] = {
        "",   "-",  "+1",  "01",  "-01", "00",       "1.", ".5",  "1e",    "1e+",   "1.e1",
        "1 ", " 1", "0x1", "1_0", "NaN", "Infinity", "1a", "--1", "1.2.3", "1e1.5", "1e--1"};

    (void)state;
    for (size_t i = 0; i < MR_COUNT(good); i++)
        assert_true(reads(good[i], MR_NUMBER_JSON));
    for (size_t i = 0; i < MR_COUNT(bad); i++)
        assert_false(reads(bad[i], MR_NUMBER_JSON));
    assert_true(reads("007.50", MR_NUMBER_PLAIN));
    assert_false(reads("1e5", MR_NUMBER_PLAIN));
}

static void magnitudes(void **state)
{
    static const struct {
        const char *text;
        int64_t magnitude;
    } table[] = {
        {"0", INT64_MIN}, {"0.00", INT64_MIN}, {"1", 1},     {"9.99", 1},           {"-10", 2},
        {"0.1", 0},       {"0.01", -1},        {"1e11", 12}, {"99999999999.9", 11}, {"0.001e3", 1}};

    (void)state;
    for (size_t i = 0; i < MR_COUNT(table); i++) {
        struct mr_number number;
        assert_true(mr_number_read(mr_span_text(table[i].text), MR_NUMBER_JSON, &number));
        assert_int_equal(mr_number_magnitude(&number), table[i].magnitude);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_are_exact),
        cmocka_unit_test(both_ways_agree),
        cmocka_unit_test(spellings),
        cmocka_unit_test(magnitudes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
