#include "core/text.h"

#define DAY_US   INT64_C(86400000000)
#define ERA_DAYS 146097 /* days of 400 Gregorian years */

char *mr_text_put(char *at, struct mr_span text)
{
    if (text.bytes > 0)
        memcpy(at, text.data, text.bytes);
    return at + text.bytes;
}

static char *put_digits(char *at, mr_u128 number, uint32_t at_least)
{
    char digits[40];
    uint32_t count = 0;

    while (number > UINT64_MAX) {
        digits[count++] = (char)('0' + (int)(number % 10));
        number /= 10;
    }
    for (uint64_t small = (uint64_t)number; small > 0 || count < at_least; small /= 10)
        digits[count++] = (char)('0' + (int)(small % 10));
    while (count > 0)
        *at++ = digits[--count];
    return at;
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
    at = put_digits(at, month, 2);
    *at++ = '-';
    at = put_digits(at, day, 2);
    *at++ = 'T';
    at = put_digits(at, seconds / 3600, 2);
    *at++ = ':';
    at = put_digits(at, seconds / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, seconds % 60, 2);
    at = put_fraction(at, (uint32_t)(of_day % 1000000));
    *at++ = 'Z';
    return at;
}

char *mr_text_put_json(char *at, struct mr_span text)
{
    static const char hex[] = "0123456789abcdef";

    *at++ = '"';
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c == '\n') {
            *at++ = '\\';
            *at++ = 'n';
        } else if (c < 0x20) {
            memcpy(at, "\\u00", 4);
            at[4] = hex[c >> 4];
            at[5] = hex[c & 15];
            at += 6;
        } else {
            *at++ = (char)c;
        }
    }
    *at++ = '"';
    return at;
}

mr_i128 mr_divide_rounded(mr_i128 numerator, uint64_t divisor)
{
    mr_i128 quotient = numerator / (mr_i128)divisor, rest = numerator % (mr_i128)divisor;
    mr_u128 twice = 2 * (mr_u128)(rest < 0 ? -rest : rest);

    if (twice >= divisor)
        quotient += numerator < 0 ? -1 : 1;
    return quotient;
}
