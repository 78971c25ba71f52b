#include "sources/number.h"

/* An integer of so many digits fits int64 whatever they are. */
#define SAFE_DIGITS 18
/* 10^19 - 1 is the longest run of nines in 64 unsigned bits. */
#define UNSIGNED_DIGITS 19

static const uint64_t power_of_ten[UNSIGNED_DIGITS + 1] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
    10000000000000000u,
    100000000000000000u,
    1000000000000000000u,
    10000000000000000000u,
};

static const uint8_t *digits(const uint8_t *at, const uint8_t *end, uint64_t *mantissa)
{
    uint64_t value = *mantissa;

    for (; at < end && (uint8_t)(*at - '0') <= 9; at++)
        value = value * 10 + (uint8_t)(*at - '0');
    *mantissa = value;
    return at;
}

static const uint8_t *exponent(const uint8_t *at, const uint8_t *end, int64_t *out)
{
    bool negative = false;
    int64_t value = 0;
    const uint8_t *first;

    if (at < end && (*at == '+' || *at == '-'))
        negative = *at++ == '-';
    for (first = at; at < end && (uint8_t)(*at - '0') <= 9; at++)
        if (value < MR_EXPONENT_MAX)
            value = value * 10 + (*at - '0');
    value = MR_MIN(value, MR_EXPONENT_MAX);
    *out = negative ? -value : value;
    return at == first ? NULL : at;
}

/* The largest prefix that could still be an exponent, to name the byte that is wrong. */
static const uint8_t *behind_sign(const uint8_t *at, const uint8_t *end)
{
    return at < end && (*at == '+' || *at == '-') ? at + 1 : at;
}

/* A number that ends within the eight bytes at `at` and has no exponent, all without a loop, as its
 * count of digits varies from order to order. NULL: not one of these, or not seen to be one. */
static const uint8_t *scan_short(const uint8_t *at, struct mr_number *out)
{
    uint64_t text = mr_load64(at) ^ MR_EVERY_BYTE * '0'; /* a digit is now 0 to 9 */
    uint64_t other = ((text + MR_EVERY_BYTE * 0x76) | text) & MR_EVERY_BYTE * 0x80;
    uint32_t whole, fraction = 0;

    if (other == 0)
        return NULL;
    whole = (uint32_t)__builtin_ctzll(other) / 8;
    if (whole == 0 || (whole > 1 && at[0] == '0'))
        return NULL;
    out->whole = at;
    out->whole_count = whole;
    if (at[whole] == '.') {
        uint64_t below = (UINT64_C(1) << 8 * whole) - 1;
        other &= other - 1; /* a carry out of a byte spoils those behind it; '.' has none */
        if (other == 0)
            return NULL;
        fraction = (uint32_t)__builtin_ctzll(other) / 8 - whole - 1;
        if (fraction == 0)
            return NULL;
        text = (text & below) | (text >> 8 & ~below);
        at++;
    }
    at += whole + fraction;
    if ((*at | 0x20) == 'e')
        return NULL;
    out->fraction = at - fraction;
    out->fraction_count = fraction;
    out->mantissa = mr_eight_digits(text << (64 - 8 * (whole + fraction)));
    return at;
}

const uint8_t *mr_number_scan(const uint8_t *at, const uint8_t *end, enum mr_number_form form,
                              struct mr_number *out, const uint8_t **wrong)
{
    const uint8_t *behind;

    out->mantissa = 0;
    out->exponent = 0;
    out->negative = at < end && *at == '-';
    at += out->negative;
    *wrong = at;
    if (MR_LIKELY(end - at >= 8) && (behind = scan_short(at, out)) != NULL)
        return behind;
    behind = digits(at, end, &out->mantissa);
    out->whole = at;
    out->whole_count = (size_t)(behind - at);
    if (out->whole_count == 0)
        return NULL;
    if (form == MR_NUMBER_JSON && *at == '0' && out->whole_count > 1) {
        *wrong = at + 1;
        return NULL;
    }
    out->fraction = behind;
    out->fraction_count = 0;
    if (behind < end && *behind == '.') {
        *wrong = out->fraction = behind + 1;
        behind = digits(out->fraction, end, &out->mantissa);
        out->fraction_count = (size_t)(behind - out->fraction);
        if (out->fraction_count == 0)
            return NULL;
    }
    if (form == MR_NUMBER_JSON && behind < end && (*behind | 0x20) == 'e') {
        *wrong = behind_sign(behind + 1, end);
        behind = exponent(behind + 1, end, &out->exponent);
    }
    return behind;
}

bool mr_number_read(struct mr_span text, enum mr_number_form form, struct mr_number *out)
{
    const uint8_t *end = mr_span_end(text), *wrong;

    return text.bytes > 0 && mr_number_scan(text.data, end, form, out, &wrong) == end;
}

static uint8_t digit(const struct mr_number *n, size_t i)
{
    return (uint8_t)((i < n->whole_count ? n->whole[i] : n->fraction[i - n->whole_count]) - '0');
}

static size_t leading_zeros(const struct mr_number *n)
{
    size_t i = 0, count = n->whole_count + n->fraction_count;

    while (i < count && digit(n, i) == 0)
        i++;
    return i;
}

int64_t mr_number_magnitude(const struct mr_number *number)
{
    size_t zeros = leading_zeros(number);

    if (zeros == number->whole_count + number->fraction_count)
        return INT64_MIN;
    return (int64_t)number->whole_count - (int64_t)zeros + number->exponent;
}

static bool signed_of(uint64_t magnitude, bool negative, int64_t *out)
{
    uint64_t limit = (uint64_t)INT64_MAX + negative;

    *out = (int64_t)(negative ? 0 - magnitude : magnitude);
    return magnitude <= limit;
}

/* Whether dropping `rest` of `unit` moves the magnitude up by one. */
static bool rounds_up(enum mr_round round, bool negative, bool half_or_more, bool inexact)
{
    return round == MR_ROUND_HALF_AWAY ? half_or_more : negative && inexact;
}

/* Every usual number: at most 18 digits, no exponent. */
static bool scale_short(const struct mr_number *n, int64_t shift, enum mr_round round, int64_t *out,
                        bool *inexact)
{
    uint64_t magnitude = n->mantissa;
    int64_t places = shift - (int64_t)n->fraction_count;

    *inexact = false;
    if (places >= 0) {
        magnitude *= power_of_ten[places];
    } else if (places >= -SAFE_DIGITS) {
        uint64_t unit = power_of_ten[-places], rest = magnitude % unit;
        *inexact = rest != 0;
        magnitude = magnitude / unit + rounds_up(round, n->negative, rest >= unit / 2, *inexact);
    } else {
        *inexact = magnitude != 0;
        magnitude = rounds_up(round, n->negative, false, *inexact);
    }
    return signed_of(magnitude, n->negative, out);
}

/* Any number, digit by digit: the result keeps the first `kept` significant digits. */
static bool scale_long(const struct mr_number *n, int64_t shift, enum mr_round round, int64_t *out,
                       bool *inexact)
{
    size_t first = leading_zeros(n), last = n->whole_count + n->fraction_count;
    uint64_t magnitude = 0;
    int64_t significant, kept;

    *inexact = false;
    *out = 0;
    if (first == last)
        return true;
    kept = (int64_t)n->whole_count - (int64_t)first + n->exponent + shift;
    while (digit(n, last - 1) == 0)
        last--;
    significant = (int64_t)(last - first);
    *inexact = significant > kept;
    if (kept > UNSIGNED_DIGITS)
        return false;
    for (int64_t i = 0; i < kept; i++)
        magnitude = magnitude * 10 + (i < significant ? digit(n, first + (size_t)i) : 0);
    if (*inexact) {
        bool half = kept >= 0 && digit(n, first + (size_t)kept) >= 5;
        magnitude += rounds_up(round, n->negative, half, true);
    }
    return signed_of(magnitude, n->negative, out);
}

bool mr_number_scale(const struct mr_number *number, int64_t shift, enum mr_round round,
                     int64_t *out, bool *inexact)
{
    size_t count = number->whole_count + number->fraction_count;

    if (MR_LIKELY(number->exponent == 0 && count <= SAFE_DIGITS &&
                  (int64_t)count + shift - (int64_t)number->fraction_count <= SAFE_DIGITS))
        return scale_short(number, shift, round, out, inexact);
    return scale_long(number, shift, round, out, inexact);
}
