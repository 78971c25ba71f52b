#include "local/bq_time.h"

#define DAY_US INT64_C(86400000000)

/* Days since 1970-01-01 of a date of the Gregorian calendar, counted from 1 March, so that the
 * leap day ends the year. */
int64_t mr_bq_days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t y = year - (month <= 2), m = month > 2 ? month - 3 : month + 9;
    return 365 * y + mr_floor_div(y, 4) - mr_floor_div(y, 100) + mr_floor_div(y, 400) +
           (153 * m + 2) / 5 + day - 1 - 719468;
}

void mr_bq_date_of(int64_t days, struct mr_bq_civil *civil)
{
    int64_t since = days + 719468; /* 0000-03-01 */
    int64_t era = mr_floor_div(since, 146097), of_era = since - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;

    civil->day = (int32_t)(of_year - (153 * month + 2) / 5 + 1);
    civil->month = (int32_t)(month < 10 ? month + 3 : month - 9);
    civil->year = (int32_t)(year + era * 400 + (civil->month <= 2));
}

bool mr_bq_civil_valid(const struct mr_bq_civil *civil)
{
    static const int8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = civil->year % 4 == 0 && (civil->year % 100 != 0 || civil->year % 400 == 0);

    return civil->year >= 1 && civil->year <= 9999 && civil->month >= 1 && civil->month <= 12 &&
           civil->day >= 1 && civil->day <= days[civil->month - 1] &&
           (civil->month != 2 || civil->day < 29 || leap) && civil->hour < 24 &&
           civil->minute < 60 && civil->second < 60 && civil->us < 1000000;
}

static char *put_digits(char *at, uint32_t value, int count)
{
    for (int i = count - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + count;
}

char *mr_bq_date_put(char *at, const struct mr_bq_civil *civil)
{
    at = put_digits(at, (uint32_t)civil->year, 4);
    *at++ = '-';
    at = put_digits(at, (uint32_t)civil->month, 2);
    *at++ = '-';
    return put_digits(at, (uint32_t)civil->day, 2);
}

char *mr_bq_time_put(char *at, const struct mr_bq_civil *civil)
{
    at = put_digits(at, civil->hour, 2);
    *at++ = ':';
    at = put_digits(at, civil->minute, 2);
    *at++ = ':';
    at = put_digits(at, civil->second, 2);
    *at++ = '.';
    return put_digits(at, civil->us, 6);
}

int64_t mr_bq_civil_us(const struct mr_bq_civil *civil)
{
    int64_t seconds = civil->hour * 3600 + civil->minute * 60 + civil->second;
    return mr_bq_days_of(civil->year, civil->month, civil->day) * DAY_US + seconds * 1000000 +
           civil->us;
}

void mr_bq_civil_of(int64_t us, struct mr_bq_civil *civil)
{
    int64_t rest = mr_floor_mod(us, DAY_US);

    mr_bq_date_of(mr_floor_div(us, DAY_US), civil);
    civil->us = (uint32_t)(rest % 1000000);
    uint32_t seconds = (uint32_t)(rest / 1000000);
    civil->second = seconds % 60;
    civil->minute = seconds / 60 % 60;
    civil->hour = seconds / 3600;
}

void mr_bq_timestamp_print(int64_t us, bool zone, char text[MR_BQ_TIME_BYTES])
{
    struct mr_bq_civil civil;

    mr_bq_civil_of(us, &civil);
    char *at = mr_bq_date_put(text, &civil);
    *at++ = 'T';
    at = mr_bq_time_put(at, &civil);
    if (zone)
        *at++ = 'Z';
    *at = 0;
}

/* ---- reading ---- */

/* Exactly `count` digits. */
static bool take_digits(struct mr_cursor *cursor, int count, uint32_t *value)
{
    *value = 0;
    for (int i = 0; i < count; i++) {
        uint8_t c = mr_cursor_u8(cursor);
        if (c < '0' || c > '9')
            return false;
        *value = *value * 10 + (c - '0');
    }
    return true;
}

static bool take(struct mr_cursor *cursor, char c)
{
    if (mr_cursor_done(cursor) || *cursor->at != (uint8_t)c)
        return false;
    cursor->at++;
    return true;
}

bool mr_bq_date_take(struct mr_cursor *cursor, struct mr_bq_civil *civil)
{
    uint32_t year, month, day;

    if (!take_digits(cursor, 4, &year) || !take(cursor, '-') || !take_digits(cursor, 2, &month) ||
        !take(cursor, '-') || !take_digits(cursor, 2, &day))
        return false;
    civil->year = (int32_t)year;
    civil->month = (int32_t)month;
    civil->day = (int32_t)day;
    return mr_bq_civil_valid(civil);
}

bool mr_bq_time_take(struct mr_cursor *cursor, struct mr_bq_civil *civil)
{
    if (!take_digits(cursor, 2, &civil->hour) || !take(cursor, ':') ||
        !take_digits(cursor, 2, &civil->minute))
        return false;
    if (take(cursor, ':')) {
        if (!take_digits(cursor, 2, &civil->second))
            return false;
        if (take(cursor, '.')) {
            uint32_t unit = 100000, digit;
            if (mr_cursor_done(cursor))
                return false;
            for (; unit && !mr_cursor_done(cursor) && *cursor->at >= '0' && *cursor->at <= '9';
                 unit /= 10) {
                take_digits(cursor, 1, &digit);
                civil->us += digit * unit;
            }
        }
    }
    return mr_bq_civil_valid(civil);
}

/* "", "Z", " UTC", "+05:30", "+05"; minutes east of Greenwich. */
static bool zone_take(struct mr_cursor *cursor, int32_t *east)
{
    uint32_t hours, minutes = 0;

    *east = 0;
    take(cursor, ' ');
    if (mr_cursor_done(cursor) || take(cursor, 'Z') || take(cursor, 'z'))
        return true;
    if (mr_cursor_left(cursor) == 3 && memcmp(cursor->at, "UTC", 3) == 0) {
        cursor->at += 3;
        return true;
    }
    bool west = take(cursor, '-');
    if ((!west && !take(cursor, '+')) || !take_digits(cursor, 2, &hours))
        return false;
    if (!mr_cursor_done(cursor)) {
        take(cursor, ':');
        if (!take_digits(cursor, 2, &minutes))
            return false;
    }
    *east = (int32_t)(hours * 60 + minutes) * (west ? -1 : 1);
    return hours <= 14 && minutes < 60;
}

bool mr_bq_timestamp_parse(struct mr_span text, bool zone, int64_t *us)
{
    struct mr_cursor cursor = mr_cursor_of(text);
    struct mr_bq_civil civil = {0};
    int32_t east = 0;

    if (!mr_bq_date_take(&cursor, &civil))
        return false;
    if (take(&cursor, 'T') || take(&cursor, 't') || take(&cursor, ' ')) {
        if (!mr_bq_time_take(&cursor, &civil))
            return false;
    }
    if (zone && !zone_take(&cursor, &east))
        return false;
    *us = mr_bq_civil_us(&civil) - east * INT64_C(60000000);
    return mr_cursor_done(&cursor) && *us >= MR_BQ_TIME_US_MIN && *us <= MR_BQ_TIME_US_MAX;
}
