#include "core/units.h"

#include <stdio.h>

struct unit {
    const char *name;
    int64_t worth;
};

/* Falling order: a compound may only go down, and printing takes the first that divides. */
static const struct unit times[] = {{"d", INT64_C(86400000000)},
                                    {"h", INT64_C(3600000000)},
                                    {"m", 60000000},
                                    {"s", 1000000},
                                    {"ms", 1000},
                                    {"us", 1}};
static const struct unit sizes[] = {{"TiB", INT64_C(1) << 40},
                                    {"TB", INT64_C(1000000000000)},
                                    {"GiB", INT64_C(1) << 30},
                                    {"GB", 1000000000},
                                    {"MiB", 1 << 20},
                                    {"MB", 1000000},
                                    {"KiB", 1 << 10},
                                    {"KB", 1000},
                                    {"B", 1}};
static const struct unit counts[] = {{"G", 1000000000}, {"M", 1000000}, {"k", 1000}, {"", 1}};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits, with `_` between two of them; moves *text behind them. */
static const char *number(const char **text, int64_t *value)
{
    const char *at = *text;

    *value = 0;
    if (!is_digit(*at))
        return "it does not begin with a digit";
    if (at[0] == '0' && is_digit(at[1]))
        return "a leading zero means octal to some readers and decimal to others";
    for (; is_digit(*at) || (*at == '_' && is_digit(at[1])); at++)
        if (*at != '_' && (__builtin_mul_overflow(*value, INT64_C(10), value) ||
                           __builtin_add_overflow(*value, (int64_t)(*at - '0'), value)))
            return "it does not fit 64 bits";
    if (*at == '.')
        return "a fraction is not taken, a smaller unit is";
    *text = at;
    return NULL;
}

/* The unit written at `text`: letters up to a digit or the end. */
static int unit_at(const struct unit *units, uint32_t count, const char *text, size_t *bytes)
{
    *bytes = 0;
    while (text[*bytes] && !is_digit(text[*bytes]))
        (*bytes)++;
    for (uint32_t i = 0; i < count; i++)
        if (strlen(units[i].name) == *bytes && memcmp(units[i].name, text, *bytes) == 0)
            return (int)i;
    return -1;
}

static const char *scaled(int64_t value, int64_t worth, int64_t *sum)
{
    if (__builtin_mul_overflow(value, worth, &value) || __builtin_add_overflow(*sum, value, sum))
        return "it does not fit 64 bits";
    return NULL;
}

const char *mr_duration_parse(const char *text, int64_t *us)
{
    bool minus = *text == '-';
    int64_t sum = 0, value;
    int before = -1;

    text += minus;
    if (strcmp(text, "0") == 0) {
        *us = 0;
        return NULL;
    }
    do {
        size_t bytes;
        const char *wrong = number(&text, &value);
        if (wrong)
            return wrong;
        int unit = unit_at(times, MR_COUNT(times), text, &bytes);
        if (bytes == 0)
            return "it has no unit";
        if (unit < 0)
            return "its unit is none of us, ms, s, m, h, d";
        if (unit <= before)
            return "its units do not fall";
        wrong = scaled(value, times[unit].worth, &sum);
        if (wrong)
            return wrong;
        before = unit;
        text += bytes;
    } while (*text);
    *us = minus ? -sum : sum;
    return NULL;
}

const char *mr_size_parse(const char *text, int64_t *bytes)
{
    int64_t value, sum = 0;
    size_t letters;
    const char *wrong = number(&text, &value);

    if (wrong)
        return wrong;
    int unit = unit_at(sizes, MR_COUNT(sizes), text, &letters);
    if (letters == 0 && value != 0)
        return "it has no unit";
    if ((unit < 0 && letters) || text[letters])
        return "its unit is none of B, KB, MB, GB, TB, KiB, MiB, GiB, TiB";
    wrong = scaled(value, letters ? sizes[unit].worth : 1, &sum);
    *bytes = sum;
    return wrong;
}

const char *mr_count_parse(const char *text, int64_t *count)
{
    int64_t value, sum = 0;
    size_t letters;
    const char *wrong = number(&text, &value);

    if (wrong)
        return wrong;
    int unit = unit_at(counts, MR_COUNT(counts), text, &letters);
    if (unit < 0 || text[letters])
        return "behind its digits stands none of k, M, G";
    wrong = scaled(value, counts[unit].worth, &sum);
    *count = sum;
    return wrong;
}

const char *mr_duration_print(int64_t us, char text[MR_UNITS_TEXT_BYTES])
{
    uint64_t rest = us < 0 ? -(uint64_t)us : (uint64_t)us;
    int out = snprintf(text, MR_UNITS_TEXT_BYTES, "%s", us < 0 ? "-" : "");

    if (us == 0)
        snprintf(text, MR_UNITS_TEXT_BYTES, "0s");
    for (uint32_t i = 0; i < MR_COUNT(times) && rest; i++) {
        uint64_t worth = (uint64_t)times[i].worth;
        if (rest >= worth)
            out += snprintf(text + out, MR_UNITS_TEXT_BYTES - (size_t)out, "%llu%s",
                            (unsigned long long)(rest / worth), times[i].name);
        rest %= worth;
    }
    return text;
}

static const char *print_scaled(const struct unit *units, uint32_t count, int64_t value, char *text)
{
    uint32_t i = 0;

    while (i + 1 < count && (value == 0 || value % units[i].worth != 0))
        i++;
    snprintf(text, MR_UNITS_TEXT_BYTES, "%lld%s", (long long)(value / units[i].worth),
             units[i].name);
    return text;
}

const char *mr_size_print(int64_t bytes, char text[MR_UNITS_TEXT_BYTES])
{
    return print_scaled(sizes, MR_COUNT(sizes), bytes, text);
}

const char *mr_count_print(int64_t count, char text[MR_UNITS_TEXT_BYTES])
{
    return print_scaled(counts, MR_COUNT(counts), count, text);
}
