#include "sources/json.h"

#define REPLACEMENT 0xFFFDu

bool mr_json_fail(struct mr_json *json, const uint8_t *at, const char *wrong)
{
    json->at = at;
    json->wrong = wrong;
    return false;
}

static bool continues(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Bytes of the well-formed UTF-8 sequence at `at` (Unicode table 3-7), 0 if there is none. The
 * second byte alone tells overlong forms, surrogates and what lies beyond U+10FFFF. */
static size_t utf8_sequence(const uint8_t *at, const uint8_t *end)
{
    size_t left = (size_t)(end - at);
    uint8_t lead = at[0];

    if (lead < 0xC2 || lead > 0xF4 || left < 2 || !continues(at[1]))
        return 0;
    if (lead < 0xE0)
        return 2;
    if (left < 3 || !continues(at[2]))
        return 0;
    if (lead < 0xF0)
        return (lead == 0xE0 && at[1] < 0xA0) || (lead == 0xED && at[1] > 0x9F) ? 0 : 3;
    if (left < 4 || !continues(at[3]))
        return 0;
    return (lead == 0xF0 && at[1] < 0x90) || (lead == 0xF4 && at[1] > 0x8F) ? 0 : 4;
}

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes of the escape at `at`; 0 if it is none, with *wrong at the offending byte. */
static size_t escape(const uint8_t *at, const uint8_t *end, const uint8_t **wrong)
{
    *wrong = at + 1;
    if (end - at < 2)
        return 0;
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;
    case 'u':
        for (*wrong = at + 2; *wrong < at + 6; ++*wrong)
            if (*wrong == end || hex(**wrong) < 0)
                return 0;
        return 6;
    default:
        return 0;
    }
}

bool mr_json_string_rest(struct mr_json *json, const uint8_t *at, struct mr_json_text *out)
{
    const uint8_t *first = json->at + 1, *wrong;

    out->escaped = false;
    for (;; at = mr_json_plain_end(json->start, at, json->end)) {
        size_t bytes;
        if (at == json->end)
            return mr_json_fail(json, at, "a string has no end");
        if (MR_LIKELY(*at == '"'))
            break;
        if (*at == '\\') {
            out->escaped = true;
            bytes = escape(at, json->end, &wrong);
            if (bytes == 0)
                return mr_json_fail(json, wrong, "no such escape in a string");
        } else if (*at < 0x20) {
            return mr_json_fail(json, at, "a control character in a string");
        } else {
            bytes = utf8_sequence(at, json->end);
            if (bytes == 0)
                return mr_json_fail(json, at, "bytes that are no UTF-8");
        }
        at += bytes;
    }
    out->raw = mr_span_of(first, (size_t)(at - first));
    json->at = at + 1;
    return true;
}

bool mr_json_number(struct mr_json *json, struct mr_number *out)
{
    const uint8_t *wrong;
    const uint8_t *behind = mr_number_scan(json->at, json->end, MR_NUMBER_JSON, out, &wrong);

    if (behind == NULL)
        return mr_json_fail(json, wrong, "a number is misspelt");
    json->at = behind;
    return true;
}

bool mr_json_word(struct mr_json *json, const char *word)
{
    for (; *word != '\0'; word++, json->at++)
        if (json->at == json->end || *json->at != (uint8_t)*word)
            return mr_json_fail(json, json->at, "no JSON value begins so");
    return true;
}

static uint32_t hex4(const uint8_t *at)
{
    return (uint32_t)(hex(at[0]) << 12 | hex(at[1]) << 8 | hex(at[2]) << 4 | hex(at[3]));
}

static size_t utf8_put(uint8_t *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xC0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xE0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (code & 0x3F));
    return 4;
}

/* The code point of the \u escape at `at`; *used is 6, or 12 for a pair. */
static uint32_t code_point(const uint8_t *at, const uint8_t *end, size_t *used)
{
    uint32_t code = hex4(at + 2);

    *used = 6;
    if (code < 0xD800 || code > 0xDFFF)
        return code;
    if (code < 0xDC00 && end - at >= 12 && at[6] == '\\' && at[7] == 'u') {
        uint32_t low = hex4(at + 8);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *used = 12;
            return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return REPLACEMENT;
}

static uint8_t short_escape(uint8_t c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

size_t mr_json_unescape(struct mr_span raw, uint8_t *out)
{
    const uint8_t *at = raw.data, *end = raw.data + raw.bytes;
    uint8_t *to = out;

    while (at < end) {
        if (*at != '\\') {
            *to++ = *at++;
        } else if (at[1] != 'u') {
            *to++ = short_escape(at[1]);
            at += 2;
        } else {
            size_t used;
            to += utf8_put(to, code_point(at, end, &used));
            at += used;
        }
    }
    return (size_t)(to - out);
}
