#include "core/id.h"

#include <smmintrin.h>

#include "core/hash.h"

#define VERSION_SHIFT 12 /* of the version nibble within the high word, as RFC 9562 places it */

static bool decimal(struct mr_span text, struct mr_id *id)
{
    uint64_t value = 0;

    if (text.bytes == 0 || text.bytes > 20 || (text.data[0] == '0' && text.bytes > 1))
        return false;
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t digit = (uint8_t)(text.data[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return false;
    }
    *id = (struct mr_id){0, value};
    return true;
}

/* Sixteen hexadecimal digits, lower case, as one number; false if one of them is none. */
static bool sixteen_digits(__m128i text, uint64_t *word)
{
    __m128i digit = _mm_sub_epi8(text, _mm_set1_epi8('0'));
    __m128i letter = _mm_sub_epi8(text, _mm_set1_epi8('a'));
    __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
    __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
    __m128i nibbles = _mm_or_si128(
        _mm_and_si128(is_digit, digit),
        _mm_and_si128(is_letter, _mm_add_epi8(letter, _mm_set1_epi8(10))));
    __m128i bytes = _mm_maddubs_epi16(nibbles, _mm_set1_epi16(0x0110)); /* 16 * first + second */

    bytes = _mm_packus_epi16(bytes, bytes);
    *word = __builtin_bswap64((uint64_t)_mm_cvtsi128_si64(bytes));
    return _mm_movemask_epi8(_mm_or_si128(is_digit, is_letter)) == 0xFFFF;
}

static __m128i load16(const uint8_t *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static bool uuid(struct mr_span text, struct mr_id *id)
{
    /* Eight, four and four digits, then four and twelve, each followed by a hyphen but the last.
     * Where two loads meet, the second brings the digits that the first one lacks. */
    const __m128i first = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, -1, -1);
    const __m128i second = _mm_setr_epi8(0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, -1);
    const uint8_t *at = text.data;

    if (text.bytes != 36 || at[8] != '-' || at[13] != '-' || at[18] != '-' || at[23] != '-')
        return false;
    __m128i high = _mm_shuffle_epi8(load16(at), first);
    high = _mm_insert_epi16(high, at[16] | at[17] << 8, 7);
    __m128i low = _mm_insert_epi8(_mm_shuffle_epi8(load16(at + 19), second), at[35], 15);
    if (!sixteen_digits(high, &id->high) || !sixteen_digits(low, &id->low))
        return false;
    uint64_t version = id->high >> VERSION_SHIFT & 15;
    return version >= 1 && version <= 8;
}

struct mr_id mr_id_from_text(struct mr_span text, uint64_t seed)
{
    struct mr_id id;

    if (decimal(text, &id) || uuid(text, &id))
        return id;
    id.high = mr_hash64(text.data, text.bytes, seed ^ MR_HASH_K1);
    id.low = mr_hash64(text.data, text.bytes, seed ^ MR_HASH_K2);
    id.high |= UINT64_C(15) << VERSION_SHIFT;
    return id;
}
