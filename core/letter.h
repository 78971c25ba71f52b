/* A letter: an event (or row) that we gave up on, with its reason. It travels in the heap of its
 * order batch, is copied into a block (core/block.h) by the aggregator, and is published by the
 * keeper.
 *
 *   struct mr_letter | detail text | message id | attributes | payload    (8-aligned)
 *
 * Attributes are the source message's own, each as key length, value length (u16), key, value.
 * What follows the detail may be too large for the heap: then it lives in memory of its own
 * (`jumbo`), taken from a bounded budget by the puller and freed by the keeper. */
#ifndef MR_CORE_LETTER_H
#define MR_CORE_LETTER_H

#include "core/base.h"
#include "core/reason.h"

#define MR_NO_FIELD          UINT16_MAX
#define MR_LETTER_DETAIL_MAX 120 /* bytes; a longer detail is cut */

struct mr_letter {
    uint32_t bytes; /* this struct, detail and inline payload, rounded up to 8 */
    uint32_t next;  /* within an order batch: heap offset + 1 of the next; 0: last */
    uint16_t reason;
    uint16_t field; /* index of the field at fault or MR_NO_FIELD */
    uint16_t puller;
    uint16_t detail_bytes;
    uint64_t position;     /* line number (file), or index into the puller's ack slab (Pub/Sub) */
    uint32_t error_offset; /* byte within the payload */
    uint32_t payload_bytes;
    uint32_t attributes_bytes;
    uint16_t message_id_bytes; /* 0: a file, which has lines */
    uint8_t *jumbo;            /* message id, attributes and payload; NULL: they are inline */
};

static inline uint32_t mr_letter_bytes(uint32_t detail_bytes, uint32_t inline_bytes)
{
    return (uint32_t)mr_round_up(sizeof(struct mr_letter) + detail_bytes + inline_bytes, 8);
}

/* Of message id, attributes and payload: what a jumbo holds. */
static inline uint32_t mr_letter_body_bytes(const struct mr_letter *letter)
{
    return letter->message_id_bytes + letter->attributes_bytes + letter->payload_bytes;
}

static inline struct mr_span mr_letter_detail(const struct mr_letter *letter)
{
    return mr_span_of(letter + 1, letter->detail_bytes);
}

static inline const uint8_t *mr_letter_body(const struct mr_letter *letter)
{
    return letter->jumbo ? letter->jumbo : (const uint8_t *)(letter + 1) + letter->detail_bytes;
}

static inline struct mr_span mr_letter_message_id(const struct mr_letter *letter)
{
    return mr_span_of(mr_letter_body(letter), letter->message_id_bytes);
}

static inline struct mr_span mr_letter_attributes(const struct mr_letter *letter)
{
    return mr_span_of(mr_letter_body(letter) + letter->message_id_bytes, letter->attributes_bytes);
}

static inline struct mr_span mr_letter_payload(const struct mr_letter *letter)
{
    return mr_span_of(mr_letter_body(letter) + letter->message_id_bytes + letter->attributes_bytes,
                      letter->payload_bytes);
}

/* Walks the attributes: takes the first off the front of `rest`; false at the end. */
static inline bool mr_letter_attribute_next(struct mr_span *rest, struct mr_span *key,
                                            struct mr_span *value)
{
    uint16_t bytes[2];

    if (rest->bytes < sizeof bytes)
        return false;
    memcpy(bytes, rest->data, sizeof bytes);
    *key = mr_span_of(rest->data + sizeof bytes, bytes[0]);
    *value = mr_span_of(key->data + bytes[0], bytes[1]);
    *rest = mr_span_of(value->data + bytes[1], rest->bytes - sizeof bytes - bytes[0] - bytes[1]);
    return true;
}

#endif
