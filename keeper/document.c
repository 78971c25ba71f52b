#include "keeper/document.h"

#include <stdio.h>
#include <stdlib.h>

#include "wire/cursor.h"

#define DEPTH_MAX 32

/* ---- walking: each skips one thing and fails the cursor if it is not there ---- */

static void skip_space(struct mr_cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static uint8_t peek(const struct mr_cursor *c)
{
    return c->at < c->end ? *c->at : 0;
}

static bool take(struct mr_cursor *c, uint8_t wanted)
{
    if (peek(c) != wanted || c->at == c->end)
        return false;
    c->at++;
    return true;
}

static void want(struct mr_cursor *c, uint8_t wanted)
{
    if (!take(c, wanted))
        mr_cursor_fail(c, MR_E_WIRE_SHORT);
}

static bool is_hex(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || ((byte | 32) >= 'a' && (byte | 32) <= 'f');
}

static void skip_string(struct mr_cursor *c)
{
    want(c, '"');
    while (c->at < c->end && *c->at != '"') {
        uint8_t byte = *c->at++;
        if (byte < 0x20)
            mr_cursor_fail(c, MR_E_WIRE_SHORT);
        if (byte != '\\')
            continue;
        uint8_t escape = mr_cursor_u8(c);
        if (!escape || !strchr("\"\\/bfnrtu", escape))
            mr_cursor_fail(c, MR_E_WIRE_SHORT);
        for (int i = 0; escape == 'u' && i < 4; i++)
            if (!is_hex(mr_cursor_u8(c)))
                mr_cursor_fail(c, MR_E_WIRE_SHORT);
    }
    want(c, '"');
}

static void skip_digits(struct mr_cursor *c)
{
    if (peek(c) < '0' || peek(c) > '9')
        mr_cursor_fail(c, MR_E_WIRE_SHORT);
    while (peek(c) >= '0' && peek(c) <= '9')
        c->at++;
}

static void skip_number(struct mr_cursor *c)
{
    take(c, '-');
    if (!take(c, '0'))
        skip_digits(c);
    if (take(c, '.'))
        skip_digits(c);
    if (take(c, 'e') || take(c, 'E')) {
        if (!take(c, '+'))
            take(c, '-');
        skip_digits(c);
    }
}

static void skip_word(struct mr_cursor *c)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < MR_COUNT(words); i++) {
        size_t bytes = strlen(words[i]);
        if (mr_cursor_left(c) >= bytes && memcmp(c->at, words[i], bytes) == 0) {
            c->at += bytes;
            return;
        }
    }
    mr_cursor_fail(c, MR_E_WIRE_SHORT);
}

static enum mr_value_kind skip_value(struct mr_cursor *c, uint32_t depth);

static void skip_list(struct mr_cursor *c, uint32_t depth, bool object)
{
    uint8_t end = object ? '}' : ']';

    c->at++;
    skip_space(c);
    if (take(c, end))
        return;
    do {
        if (object) {
            skip_space(c);
            skip_string(c);
            skip_space(c);
            want(c, ':');
        }
        skip_value(c, depth + 1);
        skip_space(c);
    } while (take(c, ','));
    want(c, end);
}

static enum mr_value_kind skip_value(struct mr_cursor *c, uint32_t depth)
{
    skip_space(c);
    if (depth > DEPTH_MAX)
        mr_cursor_fail(c, MR_E_WIRE_RANGE);
    switch (peek(c)) {
    case '{':
        skip_list(c, depth, true);
        return MR_VALUE_OBJECT;
    case '[':
        skip_list(c, depth, false);
        return MR_VALUE_ARRAY;
    case '"':
        skip_string(c);
        return MR_VALUE_STRING;
    case 't':
    case 'f':
    case 'n':
        skip_word(c);
        return MR_VALUE_WORD;
    default:
        skip_number(c);
        return MR_VALUE_NUMBER;
    }
}

bool mr_document_is_valid(struct mr_span document)
{
    struct mr_cursor c = mr_cursor_of(document);

    skip_value(&c, 0);
    skip_space(&c);
    return c.err == MR_OK && mr_cursor_done(&c);
}

/* ---- finding: the document is valid from here on ---- */

static struct mr_value value_here(struct mr_cursor *c)
{
    skip_space(c);
    const uint8_t *from = c->at;
    enum mr_value_kind kind = skip_value(c, 0);
    return (struct mr_value){kind, mr_span_of(from, (size_t)(c->at - from))};
}

/* The member or item called `name` of an object or array. */
static struct mr_value child_of(struct mr_value parent, struct mr_span name)
{
    struct mr_cursor c = mr_cursor_of(parent.text);
    bool object = parent.kind == MR_VALUE_OBJECT;
    uint64_t index = 0;

    if (!object && parent.kind != MR_VALUE_ARRAY)
        return (struct mr_value){MR_VALUE_NONE, {NULL, 0}};
    c.at++;
    skip_space(&c);
    while (peek(&c) != ']' && peek(&c) != '}' && !mr_cursor_done(&c)) {
        char number[24];
        snprintf(number, sizeof number, "%llu", (unsigned long long)index++);
        struct mr_span called = mr_span_text(number);
        if (object) {
            struct mr_value key = value_here(&c);
            called = mr_span_of(key.text.data + 1, key.text.bytes - 2);
            skip_space(&c);
            want(&c, ':');
        }
        struct mr_value value = value_here(&c);
        if (mr_span_equal(called, name))
            return value;
        skip_space(&c);
        take(&c, ',');
        skip_space(&c);
    }
    return (struct mr_value){MR_VALUE_NONE, {NULL, 0}};
}

struct mr_value mr_document_get(struct mr_span document, const char *path)
{
    struct mr_cursor c = mr_cursor_of(document);

    if (!mr_document_is_valid(document))
        return (struct mr_value){MR_VALUE_NONE, {NULL, 0}};
    struct mr_value value = value_here(&c);
    while (*path && value.kind != MR_VALUE_NONE) {
        size_t bytes = strcspn(path, ".");
        value = child_of(value, mr_span_of(path, bytes));
        path += bytes + (path[bytes] == '.');
    }
    return value;
}

/* ---- values ---- */

static uint32_t hex4(const uint8_t *at)
{
    char text[5] = {(char)at[0], (char)at[1], (char)at[2], (char)at[3], 0};
    return (uint32_t)strtoul(text, NULL, 16);
}

static void put_utf8(struct mr_pen *pen, uint32_t point)
{
    if (point < 0x80) {
        mr_pen_u8(pen, (uint8_t)point);
    } else if (point < 0x800) {
        mr_pen_u8(pen, (uint8_t)(0xC0 | point >> 6));
        mr_pen_u8(pen, (uint8_t)(0x80 | (point & 63)));
    } else if (point < 0x10000) {
        mr_pen_u8(pen, (uint8_t)(0xE0 | point >> 12));
        mr_pen_u8(pen, (uint8_t)(0x80 | (point >> 6 & 63)));
        mr_pen_u8(pen, (uint8_t)(0x80 | (point & 63)));
    } else {
        mr_pen_u8(pen, (uint8_t)(0xF0 | point >> 18));
        mr_pen_u8(pen, (uint8_t)(0x80 | (point >> 12 & 63)));
        mr_pen_u8(pen, (uint8_t)(0x80 | (point >> 6 & 63)));
        mr_pen_u8(pen, (uint8_t)(0x80 | (point & 63)));
    }
}

/* `c` stands behind "\u"; a surrogate without its partner becomes U+FFFD. */
static uint32_t escaped_point(struct mr_cursor *c)
{
    uint32_t point = hex4(mr_cursor_take(c, 4).data);

    if (point < 0xD800 || point > 0xDFFF)
        return point;
    if (point < 0xDC00 && mr_cursor_left(c) >= 6 && c->at[0] == '\\' && c->at[1] == 'u') {
        uint32_t low = hex4(c->at + 2);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            c->at += 6;
            return 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return 0xFFFD;
}

int64_t mr_document_text(struct mr_span document, const char *path, char *text, size_t limit)
{
    static const char escapes[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    struct mr_value value = mr_document_get(document, path);
    struct mr_pen pen = mr_pen_of(text, limit - 1);

    if (value.kind != MR_VALUE_STRING)
        return -1;
    struct mr_cursor c = mr_cursor_of(mr_span_of(value.text.data + 1, value.text.bytes - 2));
    while (!mr_cursor_done(&c)) {
        uint8_t byte = mr_cursor_u8(&c);
        if (byte == '\\') {
            byte = mr_cursor_u8(&c);
            const char *known = strchr(escapes, byte);
            if (byte == 'u') {
                put_utf8(&pen, escaped_point(&c));
                continue;
            }
            byte = known ? (uint8_t)meanings[known - escapes] : byte;
        }
        mr_pen_u8(&pen, byte);
    }
    if (pen.err != MR_OK || memchr(text, 0, pen.bytes))
        return -1;
    text[pen.bytes] = '\0';
    return (int64_t)pen.bytes;
}

bool mr_document_int(struct mr_span document, const char *path, int64_t *number)
{
    struct mr_value value = mr_document_get(document, path);
    char text[24], *end;

    if (value.kind == MR_VALUE_STRING)
        value.text = mr_span_of(value.text.data + 1, value.text.bytes - 2);
    else if (value.kind != MR_VALUE_NUMBER)
        return false;
    if (value.text.bytes == 0 || value.text.bytes >= sizeof text)
        return false;
    memcpy(text, value.text.data, value.text.bytes);
    text[value.text.bytes] = '\0';
    *number = strtoll(text, &end, 10);
    return *end == '\0';
}
