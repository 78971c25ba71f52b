#include "core/text.h"

#define DAY_US   INT64_C(86400000000)
#define ERA_DAYS 146097 /* days of 400 Gregorian years */

char *mr_text_put(char *at, struct mr_span text)
{
    if (text.bytes > 0)
        memcpy(at, text.data, text.bytes);
    return at + text.bytes;
}

static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

/* At least so many digits, with zeros before the number. */
static char *put_digits(char *at, mr_u128 number, uint32_t at_least)
{
    char digits[40], *end = digits + sizeof digits, *first = end;

    for (; number > UINT64_MAX; number /= 10)
        *--first = (char)('0' + (int)(number % 10));
    uint64_t small = (uint64_t)number;
    for (; small >= 100; small /= 100)
        memcpy(first -= 2, &pairs[small % 100 * 2], 2);
    if (small >= 10)
        memcpy(first -= 2, &pairs[small * 2], 2);
    else if (small > 0)
        *--first = (char)('0' + (int)small);
    while (end - first < (ptrdiff_t)at_least)
        *--first = '0';
    memcpy(at, first, (size_t)(end - first));
    return at + (end - first);
}

static char *put_two(char *at, uint32_t number)
{
    memcpy(at, &pairs[number * 2], 2);
    return at + 2;
}

char *mr_text_put_u64(char *at, uint64_t number)
{
    return put_digits(at, number, 1);
}

char *mr_text_put_decimal(char *at, mr_i128 number, uint32_t scale)
{
    mr_u128 size = number < 0 ? -(mr_u128)number : (mr_u128)number;

    if (number < 0)
        *at++ = '-';
    char *end = put_digits(at, size, scale + 1);
    if (scale == 0)
        return end;
    memmove(end - scale + 1, end - scale, scale);
    end[-(int)scale] = '.';
    return end + 1;
}

/* Days since 1970 to year, month, day: years begin in March, so that the leap day ends one. */
static void civil(int64_t days, int64_t *year, uint32_t *month, uint32_t *day)
{
    days += 719468; /* 1 March of year 0 */
    int64_t era = mr_floor_div(days, ERA_DAYS);
    uint32_t of_era = (uint32_t)(days - era * ERA_DAYS);
    uint32_t of_era_year = (of_era - of_era / 1460 + of_era / 36524 - of_era / (ERA_DAYS - 1)) /
                           365;
    uint32_t of_year = of_era - (365 * of_era_year + of_era_year / 4 - of_era_year / 100);
    uint32_t from_march = (5 * of_year + 2) / 153;

    *day = of_year - (153 * from_march + 2) / 5 + 1;
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = era * 400 + of_era_year + (*month <= 2);
}

static char *put_fraction(char *at, uint32_t us)
{
    if (us == 0)
        return at;
    *at = '.';
    char *end = put_digits(at + 1, us, 6);
    while (end[-1] == '0')
        end--;
    return end;
}

char *mr_text_put_time(char *at, int64_t time_us)
{
    int64_t days = mr_floor_div(time_us, DAY_US), year;
    uint64_t of_day = (uint64_t)(time_us - days * DAY_US);
    uint32_t month, day, seconds = (uint32_t)(of_day / 1000000);

    civil(days, &year, &month, &day);
    if (year < 0)
        *at++ = '-';
    at = put_digits(at, (mr_u128)(year < 0 ? -year : year), 4);
    *at++ = '-';
    at = put_two(at, month);
    *at++ = '-';
    at = put_two(at, day);
    *at++ = 'T';
    at = put_two(at, seconds / 3600);
    *at++ = ':';
    at = put_two(at, seconds / 60 % 60);
    *at++ = ':';
    at = put_two(at, seconds % 60);
    at = put_fraction(at, (uint32_t)(of_day % 1000000));
    *at++ = 'Z';
    return at;
}

/* The byte needs an escape in a JSON string. */
static bool is_special(uint8_t c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

static char *put_escape(char *at, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";

    *at++ = '\\';
    if (c == '"' || c == '\\') {
        *at++ = (char)c;
    } else if (c == '\n') {
        *at++ = 'n';
    } else {
        memcpy(at, "u00", 3);
        at[3] = hex[c >> 4];
        at[4] = hex[c & 15];
        at += 5;
    }
    return at;
}

char *mr_text_put_json(char *at, struct mr_span text)
{
    *at++ = '"';
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t c = text.data[i];
        if (MR_UNLIKELY(is_special(c)))
            at = put_escape(at, c);
        else
            *at++ = (char)c;
    }
    *at++ = '"';
    return at;
}

mr_i128 mr_divide_rounded(mr_i128 numerator, uint64_t divisor)
{
    mr_u128 size = numerator < 0 ? -(mr_u128)numerator : (mr_u128)numerator, quotient, rest;

    if (size <= UINT64_MAX) { /* nearly always, and ten times as fast */
        quotient = (uint64_t)size / divisor;
        rest = (uint64_t)size % divisor;
    } else {
        quotient = size / divisor;
        rest = size % divisor;
    }
    quotient += 2 * rest >= divisor;
    return numerator < 0 ? -(mr_i128)quotient : (mr_i128)quotient;
}
