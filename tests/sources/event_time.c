/* Aim: every spelling of an event time means the same microsecond in any time zone of the host, and
 * what is no time is refused. Run under several values of TZ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "sources/event_time.h"

#define REFUSED INT64_MIN

struct spelling {
    const char *text;
    int64_t us;
};

static const struct spelling texts[] = {
    {"2025-07-22T11:52:03.123456", 1753185123123456},
    {"2025-07-22T11:52:03", 1753185123000000},
    {"2025-07-22T11:52:03Z", 1753185123000000},
    {"2025-07-22t11:52:03z", 1753185123000000},
    {"2025-07-22T11:52:03.5z", 1753185123500000},
    {"2025-07-22 11:52:03.1Z", 1753185123100000},
    {"2025-07-22 11:52:03", 1753185123000000},
    {"2025-07-22T11:52", 1753185120000000},
    {"2025-07-22T11:52Z", 1753185120000000},
    {"2025-07-22T11:52+01:00", 1753181520000000},
    {"2025-07-22T17:22:03+05:30", 1753185123000000},
    {"2025-07-22T17:22:03+0530", 1753185123000000},
    {"2025-07-22T16:52:03+05", 1753185123000000},
    {"2025-07-21T23:52:03-12:00", 1753185123000000},
    {"2025-07-23T01:52:03+14:00", 1753185123000000},
    {"2025-07-22T11:52:03-00:00", 1753185123000000},
    {"2025-07-23T05:52:03+18:00", 1753185123000000},
    {"2025-07-21T17:52:03-18:00", 1753185123000000},
    {"2025-07-22T11:52:03.123456789", 1753185123123456},
    {"2025-07-22T11:52:03.1234567", 1753185123123456},
    {"2025-07-22T11:52:03.000000999", 1753185123000000},
    {"2025-07-22T11:52:03.12", 1753185123120000},
    {"1969-12-31T23:59:59.9999999", -1},
    {"1970-01-01T00:00:00", 0},
    {"1969-12-31T23:59:59.999999", -1},
    {"0001-01-01T00:00:00Z", MR_EVENT_US_MIN},
    {"9999-12-31T23:59:59.999999Z", MR_EVENT_US_MAX},
    {"9999-12-31T23:59:60Z", MR_EVENT_US_MAX},
    {"2016-12-31T23:59:60Z", 1483228799999999},
    {"2016-12-31T23:59:60.25Z", 1483228799999999},
    {"2016-12-31T18:59:60-05:00", 1483228799999999},
    {"2024-02-29T00:00:00", 1709164800000000},
    {"2000-02-29T00:00:00", 951782400000000},
    {"2024-03-01T00:00:00", 1709251200000000},
    {"1753185123", 1753185123000000},
    {"1753185123.25", 1753185123250000},
    {"1753185123.1234569", 1753185123123456},
    {"1753185123123", 1753185123123000},
    {"1753185123123456", 1753185123123456},
    {"1753185123123456789", 1753185123123456},
    {"-1", -1000000},
    {"-1.0000001", -1000001},
    {"0", 0},
    {"-0", 0},
    {"007", 7000000},
    {"99999999999", 99999999999000000},
    {"100000000000", 100000000000000},
    {"99999999999999", 99999999999999000},
    {"100000000000000", 100000000000000},
    {"99999999999999999", 99999999999999999},
    {"100000000000000000", 100000000000000},
    {"-62135596800", MR_EVENT_US_MIN},
    {"", REFUSED},
    {"now", REFUSED},
    {"2025-07-22", REFUSED},
    {"2025-07-22T11", REFUSED},
    {"2025-07-22T11:5", REFUSED},
    {"2025-07-22T11:52:", REFUSED},
    {"2025-07-22T11:52:3", REFUSED},
    {"2025-07-22T11:52:03.", REFUSED},
    {"2025-07-22T11:52:03.Z", REFUSED},
    {"2025-07-22T11:52:03.1234567890", REFUSED},
    {"2025-07-22T11:52:03,5", REFUSED},
    {"2025-07-22T11:52.5", REFUSED},
    {"2025-7-22T11:52:03", REFUSED},
    {"2025-07-22_11:52:03", REFUSED},
    {"2025-07-22T115203", REFUSED},
    {"20250722T115203Z", REFUSED},
    {" 2025-07-22T11:52:03", REFUSED},
    {"2025-07-22T11:52:03 ", REFUSED},
    {"2025-07-22T11:52:03 Z", REFUSED},
    {"2025-07-22T11:52:03ZZ", REFUSED},
    {"2025-07-22T11:52:03+", REFUSED},
    {"2025-07-22T11:52:03+5", REFUSED},
    {"2025-07-22T11:52:03+053", REFUSED},
    {"2025-07-22T11:52:03+05:", REFUSED},
    {"2025-07-22T11:52:03+05:3", REFUSED},
    {"2025-07-22T11:52:03+05:60", REFUSED},
    {"2025-07-22T11:52:03+18:01", REFUSED},
    {"2025-07-22T11:52:03-19", REFUSED},
    {"2025-07-22T11:52:03+05-30", REFUSED},
    {"2025-02-30T00:00:00", REFUSED},
    {"2025-02-29T00:00:00", REFUSED},
    {"1900-02-29T00:00:00", REFUSED},
    {"2025-13-01T00:00:00", REFUSED},
    {"2025-00-01T00:00:00", REFUSED},
    {"2025-01-00T00:00:00", REFUSED},
    {"2025-04-31T00:00:00", REFUSED},
    {"2025-07-22T24:00:00", REFUSED},
    {"2025-07-22T25:00:00", REFUSED},
    {"2025-07-22T11:60:00", REFUSED},
    {"2025-07-22T11:52:60", REFUSED},
    {"2016-12-31T18:59:60Z", REFUSED},
    {"2016-12-31T23:59:60+05:30", REFUSED},
    {"2025-07-22T11:59:61", REFUSED},
    {"0000-01-01T00:00:00", REFUSED},
    {"0001-01-01T00:00:00+00:01", REFUSED},
    {"9999-12-31T23:59:59-00:01", REFUSED},
    {"-2025-07-22T11:52:03", REFUSED},
    {"12025-07-22T11:52:03", REFUSED},
    {"253402300800", 253402300800000},
    {"-62135596801", REFUSED},
    {"-99999999999", REFUSED},
    {"99999999999999999999999999", REFUSED},
    {"1e9", REFUSED},
    {"+5", REFUSED},
    {"1.", REFUSED},
    {".5", REFUSED},
    {"--5", REFUSED},
    {"-", REFUSED},
    {"1 ", REFUSED},
    {"0x10", REFUSED},
};

static int64_t of_text(const char *text, enum mr_time_unit unit)
{
    int64_t us;

    return mr_time_from_text(mr_span_text(text), unit, &us) ? us : REFUSED;
}

static int64_t of_number(const char *text, enum mr_time_unit unit)
{
    struct mr_number number;
    int64_t us;

    assert_true(mr_number_read(mr_span_text(text), MR_NUMBER_JSON, &number));
    return mr_time_from_number(&number, unit, &us) ? us : REFUSED;
}

static void spellings(void **state)
{
    (void)state;
    for (size_t i = 0; i < MR_COUNT(texts); i++) {
        if (of_text(texts[i].text, MR_UNIT_AUTO) != texts[i].us)
            fail_msg("%s gave %lld, not %lld", texts[i].text,
                     (long long)of_text(texts[i].text, MR_UNIT_AUTO), (long long)texts[i].us);
    }
}

static void fixed_units(void **state)
{
    (void)state;
    assert_int_equal(of_text("5", MR_UNIT_S), 5000000);
    assert_int_equal(of_text("5", MR_UNIT_MS), 5000);
    assert_int_equal(of_text("5", MR_UNIT_US), 5);
    assert_int_equal(of_text("5999", MR_UNIT_NS), 5);
    assert_int_equal(of_text("-1", MR_UNIT_NS), -1);
    assert_int_equal(of_text("1753185123123", MR_UNIT_S), REFUSED);
    assert_int_equal(of_text("2025-07-22T11:52:03", MR_UNIT_MS), 1753185123000000);
}

static void json_numbers(void **state)
{
    (void)state;
    assert_int_equal(of_number("1.753185123e9", MR_UNIT_AUTO), 1753185123000000);
    assert_int_equal(of_number("1753185123.9999999", MR_UNIT_AUTO), 1753185123999999);
    assert_int_equal(of_number("-0.0000001", MR_UNIT_AUTO), -1);
    assert_int_equal(of_number("-1e-999999999", MR_UNIT_AUTO), -1);
    assert_int_equal(of_number("0e999999999", MR_UNIT_AUTO), 0);
    assert_int_equal(of_number("1e999999999", MR_UNIT_AUTO), REFUSED);
    assert_int_equal(of_number("99999999999.9999999", MR_UNIT_AUTO), 99999999999999999);
    assert_int_equal(of_number("1e11", MR_UNIT_AUTO), 100000000000000);
    assert_int_equal(of_number("0.00001e16", MR_UNIT_AUTO), 100000000000000);
}

static int64_t days_by_counting(int year, int month, int day)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t days = 0;

    for (int y = 1; y < year; y++)
        days += 365 + (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
    for (int m = 1; m < month; m++)
        days += lengths[m - 1] + (m == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    return days + day - 1 - 719162;
}

static void every_century_counts_its_days(void **state)
{
    (void)state;
    for (int year = 1; year <= 9999; year += year % 100 < 4 || year % 100 > 95 ? 1 : 7) {
        for (int month = 1; month <= 12; month++) {
            char text[32];
            snprintf(text, sizeof text, "%04d-%02d-28T00:00", year, month);
            assert_int_equal(of_text(text, MR_UNIT_AUTO),
                             days_by_counting(year, month, 28) * INT64_C(86400000000));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings),
        cmocka_unit_test(fixed_units),
        cmocka_unit_test(json_numbers),
        cmocka_unit_test(every_century_counts_its_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
