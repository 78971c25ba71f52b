/* Strict scanning of JSON (RFC 8259) and UTF-8 in place: the pieces, without any idea of a
 * document. A scanner stops for good at the first wrong byte: `at` stays there and `wrong` says
 * why. Bounds  reads only [start, end), so a text may end at a forbidden page. Thread  one scanner,
 * one thread. */
#ifndef MR_SOURCES_JSON_H
#define MR_SOURCES_JSON_H

#include <emmintrin.h>

#include "core/base.h"
#include "sources/number.h"

struct mr_json {
    const uint8_t *start, *at, *end;
    const char *wrong; /* static; NULL while all is well */
};

/* A string between its quotes, as written. */
struct mr_json_text {
    struct mr_span raw;
    bool escaped;
};

/* Skips space, tab, line feed and carriage return. Returns the byte now at `at`, or -1 at the end.
 */
static inline int mr_json_space(struct mr_json *json)
{
    const uint8_t *at = json->at, *end = json->end;

    while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
    json->at = at;
    return at < end ? *at : -1;
}

/* One bit for each of 16 bytes that ends a plain run: quote, backslash, control or not ASCII. The
 * last two are one signed comparison, as bytes from 0x80 on are negative. */
static inline uint32_t mr_json_stops(const uint8_t *at)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    __m128i other = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));

    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), other));
}

/* The first byte from `at` on that is no plain one, or the end. */
static inline const uint8_t *mr_json_plain_end(const uint8_t *start, const uint8_t *at,
                                               const uint8_t *end)
{
    for (; end - at >= 16; at += 16) {
        uint32_t mask = mr_json_stops(at);
        if (mask != 0)
            return at + __builtin_ctz(mask);
    }
    if (end - start >= 16 && at < end) {
        /* The last 16 bytes once more; those before `at` are shifted out. */
        uint32_t mask = mr_json_stops(end - 16) >> (16 - (end - at));
        return mask != 0 ? at + __builtin_ctz(mask) : end;
    }
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* The rest of a string whose plain run ends at `at`: escapes, what is not ASCII, what is wrong. */
bool mr_json_string_rest(struct mr_json *json, const uint8_t *at, struct mr_json_text *out);

/* Each stands on the first byte of its kind and, if true, leaves `at` behind the last.
 * mr_json_word takes `word` alone: true, false or null. */
static inline bool mr_json_string(struct mr_json *json, struct mr_json_text *out)
{
    const uint8_t *first = json->at + 1, *at = mr_json_plain_end(json->start, first, json->end);

    if (MR_UNLIKELY(at == json->end || *at != '"'))
        return mr_json_string_rest(json, at, out);
    *out = (struct mr_json_text){mr_span_of(first, (size_t)(at - first)), false};
    json->at = at + 1;
    return true;
}
bool mr_json_number(struct mr_json *json, struct mr_number *out);
bool mr_json_word(struct mr_json *json, const char *word);

/* Marks the byte at `at` as wrong; returns false, for the caller's return. */
bool mr_json_fail(struct mr_json *json, const uint8_t *at, const char *wrong);

/* Decodes the escapes of a string that mr_json_string accepted. Surrogate pairs combine; a lone
 * surrogate becomes U+FFFD.
 * Shapes  out[raw.bytes] always suffices; returns the bytes written. `out` may not overlap. */
size_t mr_json_unescape(struct mr_span raw, uint8_t *out);

#endif
