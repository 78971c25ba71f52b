/* Decimal numbers as text, turned exactly into 64-bit integers of a chosen unit: no floating point.
 * Thread  pure functions.
 * Bounds  reads only the text given; work is linear in its length, whatever the exponent says. */
#ifndef MR_SOURCES_NUMBER_H
#define MR_SOURCES_NUMBER_H

#include "core/base.h"

/* A scanned spelling: (-1)^negative * whole.fraction * 10^exponent.
 * Lives as long as the text it points into. */
struct mr_number {
    const uint8_t *whole, *fraction; /* digits */
    size_t whole_count, fraction_count;
    uint64_t mantissa; /* all digits as one integer, modulo 2^64 */
    int64_t exponent;  /* clamped to +-MR_EXPONENT_MAX */
    bool negative;
};

/* Far beyond any payload's count of digits, so a clamped exponent still means "huge" or "tiny". */
#define MR_EXPONENT_MAX INT64_C(1000000000000000)

/* The spelling admitted. */
enum mr_number_form {
    MR_NUMBER_JSON,  /* RFC 8259 section 6: no leading zeros, exponent allowed */
    MR_NUMBER_PLAIN, /* optional minus, digits, optional fraction; leading zeros, no exponent */
};

/* Takes the longest number at `at`.
 * Returns the first byte behind it, or NULL if none begins there; then *wrong is the byte that
 * cannot stand where it stands (it may be `end`). */
const uint8_t *mr_number_scan(const uint8_t *at, const uint8_t *end, enum mr_number_form form,
                              struct mr_number *out, const uint8_t **wrong);

/* True if all of `text` is one number. */
bool mr_number_read(struct mr_span text, enum mr_number_form form, struct mr_number *out);

/* How many digits stand before the decimal point of the absolute value, without leading zeros:
 * |x| < 10^k exactly when the result is <= k. Zero or less below 1; INT64_MIN for 0. */
int64_t mr_number_magnitude(const struct mr_number *number);

#define MR_EVERY_BYTE UINT64_C(0x0101010101010101)

/* Eight digits, each a byte of value 0 to 9, the first in the lowest: pairs, then fours, then all.
 */
static inline uint64_t mr_eight_digits(uint64_t digit)
{
    digit = digit * 10 + (digit >> 8);
    digit = (digit & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x000F424000000064) +
            (digit >> 16 & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x0000271000000001);
    return digit >> 32;
}

enum mr_round { MR_ROUND_HALF_AWAY, MR_ROUND_FLOOR };

/* *out = number * 10^shift, rounded. *inexact tells whether digits were lost; it is set even when
 * the result is false, which means outside int64. */
bool mr_number_scale(const struct mr_number *number, int64_t shift, enum mr_round round,
                     int64_t *out, bool *inexact);

#endif
