/* Keys as bytes: the values of a grouping's fields one after another, so that equal values and
 * equal bytes are the same thing. Each value is a tag byte and its body:
 *   0 absent · 1 string: u32 length, bytes · 2 integer: 8 bytes · 3 false · 4 true
 * Little-endian; part of the journal's format. */
#ifndef MR_CORE_KEY_H
#define MR_CORE_KEY_H

#include "core/base.h"

enum mr_key_tag { MR_KEY_ABSENT, MR_KEY_STRING, MR_KEY_INT, MR_KEY_FALSE, MR_KEY_TRUE };

struct mr_key_value {
    enum mr_key_tag tag;
    int64_t number;
    struct mr_span text;
};

/* Each returns the new end of the key. The caller has room for 9 bytes, plus the text's. */
static inline uint8_t *mr_key_put_tag(uint8_t *at, enum mr_key_tag tag)
{
    *at = (uint8_t)tag;
    return at + 1;
}

static inline uint8_t *mr_key_put_int(uint8_t *at, int64_t number)
{
    *at = MR_KEY_INT;
    mr_store64(at + 1, (uint64_t)number);
    return at + 9;
}

static inline uint8_t *mr_key_put_string(uint8_t *at, struct mr_span text)
{
    uint32_t bytes = (uint32_t)text.bytes;
    *at = MR_KEY_STRING;
    memcpy(at + 1, &bytes, sizeof bytes);
    if (bytes > 0)
        memcpy(at + 5, text.data, bytes);
    return at + 5 + bytes;
}

/* Reads the value at `at` of a key that we encoded; returns the start of the next. */
static inline const uint8_t *mr_key_get(const uint8_t *at, struct mr_key_value *value)
{
    *value = (struct mr_key_value){.tag = (enum mr_key_tag) * at++};
    switch (value->tag) {
    case MR_KEY_STRING:
        value->text = mr_span_of(at + 4, mr_load32(at));
        return at + 4 + value->text.bytes;
    case MR_KEY_INT:
        value->number = (int64_t)mr_load64(at);
        return at + 8;
    default:
        return at;
    }
}

#endif
