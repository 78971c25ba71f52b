#include "sources/event_time.h"

#include <tmmintrin.h>

#define US_PER_S            1000000
#define S_PER_DAY           86400
#define OFFSET_MINUTES_MAX  (18 * 60)
#define FRACTION_DIGITS_MAX 9
/* "2025-07-22T11:52", the shortest calendar spelling. */
#define SHORTEST 16

bool mr_time_from_number(const struct mr_number *number, enum mr_time_unit unit, int64_t *us)
{
    static const int8_t shifts[] = {
        [MR_UNIT_S] = 6, [MR_UNIT_MS] = 3, [MR_UNIT_US] = 0, [MR_UNIT_NS] = -3};
    bool inexact;

    if (unit == MR_UNIT_AUTO) {
        int64_t magnitude = mr_number_magnitude(number);
        unit = magnitude <= 11   ? MR_UNIT_S
               : magnitude <= 14 ? MR_UNIT_MS
               : magnitude <= 17 ? MR_UNIT_US
                                 : MR_UNIT_NS;
    }
    return mr_number_scale(number, shifts[unit], MR_ROUND_FLOOR, us, &inexact) &&
           *us >= MR_EVENT_US_MIN && *us <= MR_EVENT_US_MAX;
}

/* Two digits as a number; anything above 99 if they are not digits. */
static uint32_t two(const uint8_t *at)
{
    uint32_t high = (uint32_t)at[0] - '0', low = (uint32_t)at[1] - '0';

    return high > 9 || low > 9 ? 1000 : high * 10 + low;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar. Years are counted from March, so that
 * the leap day is the last of its year: 153 days make five months from March or August on. */
static int64_t days_since_1970(uint32_t year, uint32_t month, uint32_t day)
{
    uint32_t y = month > 2 ? year : year - 1;
    uint32_t from_march = month > 2 ? month - 3 : month + 9;
    uint32_t leap_days = y / 4 - y / 100 + y / 400;

    return (int64_t)y * 365 + leap_days + (153 * from_march + 2) / 5 + day - 1 - 719468;
}

static uint32_t month_days(uint32_t year, uint32_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
}

static bool date(const uint8_t *at, int64_t *days)
{
    uint32_t century = two(at), rest = two(at + 2), month = two(at + 5), day = two(at + 8);
    uint32_t year = century * 100 + rest;

    if (century > 99 || rest > 99 || at[4] != '-' || at[7] != '-' || year == 0)
        return false;
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, month))
        return false;
    *days = days_since_1970(year, month, day);
    return true;
}

/* Z, z, +hh:mm, +hhmm, +hh or nothing, up to the end. */
static bool offset(const uint8_t *at, const uint8_t *end, int64_t *seconds)
{
    size_t bytes = (size_t)(end - at);
    uint32_t hours, minutes = 0;

    *seconds = 0;
    if (bytes == 0 || (bytes == 1 && (*at | 0x20) == 'z'))
        return true;
    if ((*at != '+' && *at != '-') || (bytes != 3 && bytes != 5 && bytes != 6))
        return false;
    hours = two(at + 1);
    if (bytes == 6 && at[3] != ':')
        return false;
    if (bytes > 3)
        minutes = two(end - 2);
    if (hours > 99 || minutes > 59 || hours * 60 + minutes > OFFSET_MINUTES_MAX)
        return false;
    *seconds = (int64_t)(hours * 60 + minutes) * (*at == '-' ? -60 : 60);
    return true;
}

/* ".1" to ".123456789" in microseconds, the rest cut; returns the byte behind it or NULL. */
static const uint8_t *fraction(const uint8_t *at, const uint8_t *end, uint32_t *us)
{
    uint32_t digits = 0, value = 0;

    for (at++; at < end && (uint8_t)(*at - '0') <= 9; at++, digits++)
        if (digits < 6)
            value = value * 10 + (uint32_t)(*at - '0');
    for (uint32_t i = digits; i < 6; i++)
        value *= 10;
    *us = value;
    return digits < 1 || digits > FRACTION_DIGITS_MAX ? NULL : at;
}

/* "2025-07-22T11:52" as {20, 25, 7, 22, 11, 52}; false if it is not of this shape. */
static bool sixteen(const uint8_t *at, uint16_t parts[8])
{
    const __m128i shape = _mm_setr_epi8('0', '0', '0', '0', '-', '0', '0', '-', '0', '0', 'T', '0',
                                        '0', ':', '0', '0');
    const __m128i most = _mm_setr_epi8(9, 9, 9, 9, 0, 9, 9, 0, 9, 9, 0, 9, 9, 0, 9, 9);
    const __m128i pairs = _mm_setr_epi8(0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, -128, -128, -128,
                                        -128);
    __m128i text = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)at), shape);
    __m128i over = _mm_subs_epu8(text, most);

    if (_mm_movemask_epi8(_mm_cmpeq_epi8(over, _mm_setzero_si128())) != 0xFFFF)
        return false;
    text = _mm_maddubs_epi16(_mm_shuffle_epi8(text, pairs), _mm_set1_epi16(0x010A));
    _mm_storeu_si128((__m128i *)(void *)parts, text);
    return true;
}

/* The spellings that nearly all producers use, seconds with no fraction or six digits of it, in
 * UTC: true and *us as calendar() has it. False says nothing. */
static bool usual(const uint8_t *at, size_t bytes, int64_t *us)
{
    uint16_t parts[8];
    uint32_t second;
    uint64_t part_us = 0;

    bytes -= bytes > 0 && at[bytes - 1] == 'Z';
    if ((bytes != 19 && bytes != 26) || !sixteen(at, parts) || at[16] != ':')
        return false;
    second = two(at + 17);
    uint32_t year = parts[0] * 100u + parts[1], month = parts[2], day = parts[3];
    if (year == 0 || month < 1 || month > 12 || day < 1 || day > month_days(year, month) ||
        parts[4] > 23 || parts[5] > 59 || second > 59)
        return false;
    if (bytes == 26) {
        /* From the last digit of the seconds on; that and the point make way for zeros. */
        uint64_t text = (mr_load64(at + 18) ^ MR_EVERY_BYTE * '0') & ~UINT64_C(0xFFFF);
        if (at[19] != '.' || (((text + MR_EVERY_BYTE * 0x76) | text) & MR_EVERY_BYTE * 0x80) != 0)
            return false;
        part_us = mr_eight_digits(text);
    }
    *us = (days_since_1970(year, month, day) * S_PER_DAY + parts[4] * 3600 + parts[5] * 60 +
           second) *
              US_PER_S +
          (int64_t)part_us;
    return true;
}

static bool calendar(const uint8_t *at, const uint8_t *end, int64_t *us)
{
    int64_t days, zone_s;
    uint32_t hour, minute, second = 0, part_us = 0;

    if (end - at < SHORTEST || !date(at, &days) || ((at[10] | 0x20) != 't' && at[10] != ' '))
        return false;
    hour = two(at + 11);
    minute = two(at + 14);
    if (at[13] != ':' || hour > 23 || minute > 59)
        return false;
    at += SHORTEST;
    if (end - at >= 3 && *at == ':') {
        second = two(at + 1);
        at += 3;
        if (at < end && *at == '.')
            at = fraction(at, end, &part_us);
    }
    if (at == NULL || second > 60 || !offset(at, end, &zone_s))
        return false;
    int64_t time_s = days * S_PER_DAY + hour * 3600 + minute * 60 + second - zone_s;
    if (second == 60) { /* leap seconds end a UTC day, wherever the clock that shows them hangs */
        if (mr_floor_mod(time_s, S_PER_DAY) != 0)
            return false;
        time_s--;
        part_us = US_PER_S - 1;
    }
    *us = time_s * US_PER_S + part_us;
    return *us >= MR_EVENT_US_MIN && *us <= MR_EVENT_US_MAX;
}

bool mr_time_from_text(struct mr_span text, enum mr_time_unit unit, int64_t *us)
{
    struct mr_number number;

    if (MR_LIKELY(usual(text.data, text.bytes, us)))
        return true;
    if (text.bytes > 4 && text.data[4] == '-')
        return calendar(text.data, text.data + text.bytes, us);
    return mr_number_read(text, MR_NUMBER_PLAIN, &number) && mr_time_from_number(&number, unit, us);
}
