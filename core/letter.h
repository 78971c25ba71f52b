/* A letter: an event (or row) that we gave up on, with its reason. It travels in the heap of its
 * order batch, is copied into a block (core/block.h) by the aggregator, and is published by the
 * keeper.
 *
 *   struct mr_letter | detail text | payload      (8-aligned; `bytes` is the whole)
 *
 * A payload too large for the heap lives in memory of its own (`jumbo`), taken from a bounded
 * budget by the puller and freed by the keeper. */
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
    uint8_t *jumbo; /* NULL: the payload is inline */
};

static inline uint32_t mr_letter_bytes(uint32_t detail_bytes, uint32_t inline_payload_bytes)
{
    return (uint32_t)mr_round_up(sizeof(struct mr_letter) + detail_bytes + inline_payload_bytes, 8);
}

static inline struct mr_span mr_letter_detail(const struct mr_letter *letter)
{
    return mr_span_of(letter + 1, letter->detail_bytes);
}

static inline struct mr_span mr_letter_payload(const struct mr_letter *letter)
{
    if (letter->jumbo)
        return mr_span_of(letter->jumbo, letter->payload_bytes);
    return mr_span_of((const uint8_t *)(letter + 1) + letter->detail_bytes, letter->payload_bytes);
}

#endif
