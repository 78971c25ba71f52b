/* Aim: durations, sizes and counts are read exactly, slips are refused, and printing reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/units.h"

static void durations_are_exact(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } cases[] = {{"0", 0},
                 {"0s", 0},
                 {"10us", 10},
                 {"250ms", 250000},
                 {"10s", 10000000},
                 {"5m", 300000000},
                 {"1h30m", 5400000000},
                 {"7d", INT64_C(604800000000)},
                 {"1d2h3m4s5ms6us", INT64_C(93784005006)},
                 {"-1m", -60000000},
                 {"1_000s", 1000000000}};
    (void)state;
    for (size_t i = 0; i < MR_COUNT(cases); i++) {
        int64_t us = -1;
        assert_null(mr_duration_parse(cases[i].text, &us));
        assert_int_equal(us, cases[i].us);
    }
}

static void slips_are_refused(void **state)
{
    static const char *const durations[] = {"",
                                            "5",
                                            "m",
                                            "5 m",
                                            "1.5h",
                                            "5M",
                                            "1m1h",
                                            "1m1m",
                                            "05m",
                                            "--5m",
                                            "5m ",
                                            "1__0s",
                                            "+5s",
                                            "99999999999999999999s",
                                            "9999999999999d"};
    static const char *const sizes[] = {"",     "5",    "KB",  "1kb",           "1.5GB",
                                        "1GBx", "012B", "-1B", "99999999999TiB"};
    static const char *const counts[] = {"", "k", "1K", "1_", "0x10", "012", "-1", "1e3", "5kM"};
    int64_t value;

    (void)state;
    for (size_t i = 0; i < MR_COUNT(durations); i++)
        assert_non_null(mr_duration_parse(durations[i], &value));
    for (size_t i = 0; i < MR_COUNT(sizes); i++)
        assert_non_null(mr_size_parse(sizes[i], &value));
    for (size_t i = 0; i < MR_COUNT(counts); i++)
        assert_non_null(mr_count_parse(counts[i], &value));
}

static void sizes_and_counts_are_exact(void **state)
{
    int64_t value;

    (void)state;
    assert_null(mr_size_parse("64KiB", &value));
    assert_int_equal(value, 65536);
    assert_null(mr_size_parse("1MB", &value));
    assert_int_equal(value, 1000000);
    assert_null(mr_size_parse("4GiB", &value));
    assert_int_equal(value, INT64_C(4) << 30);
    assert_null(mr_count_parse("10M", &value));
    assert_int_equal(value, 10000000);
    assert_null(mr_count_parse("1_000", &value));
    assert_int_equal(value, 1000);
    assert_null(mr_count_parse("5k", &value));
    assert_int_equal(value, 5000);
}

static void printing_reads_back(void **state)
{
    char text[MR_UNITS_TEXT_BYTES];
    uint64_t seed = 88172645463325252u;

    (void)state;
    for (uint32_t i = 0; i < 20000; i++) {
        int64_t read = -1;
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        int64_t value = (int64_t)(seed >> 1 >> (i % 63));
        assert_null(mr_duration_parse(mr_duration_print(-value, text), &read));
        assert_int_equal(read, -value);
        assert_null(mr_size_parse(mr_size_print(value, text), &read));
        assert_int_equal(read, value);
        assert_null(mr_count_parse(mr_count_print(value, text), &read));
        assert_int_equal(read, value);
    }
    assert_string_equal(mr_duration_print(5400000000, text), "1h30m");
    assert_string_equal(mr_size_print(INT64_C(4) << 30, text), "4GiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_exact),
        cmocka_unit_test(slips_are_refused),
        cmocka_unit_test(sizes_and_counts_are_exact),
        cmocka_unit_test(printing_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
