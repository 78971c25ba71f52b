/* Taking one scalar of a payload into its slot: the step that the complete parser and the predicted
 * path share, inline in both. */
#ifndef MR_SOURCES_SCALAR_H
#define MR_SOURCES_SCALAR_H

#include "sources/walk.h"

/* Makes `walk` stand before `payload`, with no slot present. */
static inline void mr_walk_begin(struct mr_walk *walk, struct mr_span payload)
{
    walk->json = (struct mr_json){payload.data, payload.data, payload.data + payload.bytes, NULL};
    walk->present = 0;
    walk->scratch_used = 0;
    walk->depth = 0;
    walk->scalar_count = 0;
}

/* A string as its value: in place, or decoded at the scratch's end (kept only if `keep`). */
static inline struct mr_span mr_scalar_text(struct mr_walk *walk, const struct mr_json_text *text,
                                            bool keep)
{
    uint8_t *to = walk->scratch + walk->scratch_used;
    size_t bytes;

    if (MR_LIKELY(!text->escaped))
        return text->raw;
    bytes = mr_json_unescape(text->raw, to);
    if (keep)
        walk->scratch_used += bytes;
    return mr_span_of(to, bytes);
}

static inline struct mr_slot *mr_scalar_slot(struct mr_walk *walk, uint16_t leaf,
                                             enum mr_found found, const uint8_t *at)
{
    struct mr_slot *slot = &walk->slots[leaf];

    slot->found = found;
    slot->at = at;
    slot->scalar = (uint16_t)MR_MIN(walk->scalar_count, MR_SCALARS_MAX);
    walk->present |= UINT64_C(1) << leaf;
    return slot;
}

static inline bool mr_scalar_string(struct mr_walk *walk, uint16_t leaf)
{
    struct mr_json_text text;

    if (leaf == MR_NONE)
        return mr_json_string(&walk->json, &text);
    struct mr_slot *slot = mr_scalar_slot(walk, leaf, MR_FOUND_STRING, walk->json.at);
    if (!mr_json_string(&walk->json, &text))
        return false;
    slot->text = mr_scalar_text(walk, &text, true);
    return true;
}

static inline bool mr_scalar_number(struct mr_walk *walk, uint16_t leaf)
{
    struct mr_number unwanted;

    if (leaf == MR_NONE)
        return mr_json_number(&walk->json, &unwanted);
    return mr_json_number(&walk->json,
                          &mr_scalar_slot(walk, leaf, MR_FOUND_NUMBER, walk->json.at)->number);
}

static inline bool mr_scalar_word(struct mr_walk *walk, uint16_t leaf, enum mr_found found,
                                  const char *spelling)
{
    if (leaf != MR_NONE)
        mr_scalar_slot(walk, leaf, found, walk->json.at);
    return mr_json_word(&walk->json, spelling);
}

/* Takes the string, number or word at json.at, into the slot `leaf` unless that is MR_NONE.
 * False if none begins there or it is misspelt. */
static inline bool mr_scalar_take(struct mr_walk *walk, uint16_t leaf)
{
    struct mr_json *json = &walk->json;

    if (json->at == json->end)
        return mr_json_fail(json, json->at, "a value is missing at the end");
    switch (*json->at) {
    case '"':
        return mr_scalar_string(walk, leaf);
    case 't':
        return mr_scalar_word(walk, leaf, MR_FOUND_TRUE, "true");
    case 'f':
        return mr_scalar_word(walk, leaf, MR_FOUND_FALSE, "false");
    case 'n':
        return mr_scalar_word(walk, leaf, MR_FOUND_NULL, "null");
    case '-':
    case '0' ... '9':
        return mr_scalar_number(walk, leaf);
    default:
        return mr_json_fail(json, json->at, "no JSON value begins so");
    }
}

#endif
