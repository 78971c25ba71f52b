/* Strict scanning of JSON (RFC 8259) and UTF-8 in place: the pieces, without any idea of a
 * document. A scanner stops for good at the first wrong byte: `at` stays there and `wrong` says
 * why. Bounds  reads only [start, end), so a text may end at a forbidden page. Thread  one scanner,
 * one thread. */
#ifndef MR_SOURCES_JSON_H
#define MR_SOURCES_JSON_H

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

/* Each stands on the first byte of its kind and, if true, leaves `at` behind the last.
 * mr_json_word takes `word` alone: true, false or null. */
bool mr_json_string(struct mr_json *json, struct mr_json_text *out);
bool mr_json_number(struct mr_json *json, struct mr_number *out);
bool mr_json_word(struct mr_json *json, const char *word);

/* Marks the byte at `at` as wrong; returns false, for the caller's return. */
bool mr_json_fail(struct mr_json *json, const uint8_t *at, const char *wrong);

/* Decodes the escapes of a string that mr_json_string accepted. Surrogate pairs combine; a lone
 * surrogate becomes U+FFFD.
 * Shapes  out[raw.bytes] always suffices; returns the bytes written. `out` may not overlap. */
size_t mr_json_unescape(struct mr_span raw, uint8_t *out);

#endif
