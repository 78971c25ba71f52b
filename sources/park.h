/* Where messages wait that arrived while no batch had room: a queue of bytes in a ring. Each entry
 * is the message as it stood on the wire, with its lease and its arrival.
 * Its size is what the streams may have outstanding plus what their windows may hold, so that with
 * stream windows withheld it cannot overflow.
 * Thread  the puller's. */
#ifndef MR_SOURCES_PARK_H
#define MR_SOURCES_PARK_H

#include "core/arena.h"

struct mr_parked {
    uint32_t bytes; /* of the message, which follows */
    uint32_t lease;
    uint32_t stream, incarnation; /* whose window the bytes are to be given back to */
};

struct mr_park {
    uint8_t *ring;
    size_t capacity; /* a multiple of 16 */
    size_t head, tail, used;
    uint32_t count;
};

int mr_park_init(struct mr_park *park, struct mr_arena *arena, size_t capacity);

/* `head` but for its length. False: no room. */
bool mr_park_put(struct mr_park *park, const struct mr_parked *head, struct mr_span message);

/* The oldest entry, or NULL; it stays until mr_park_drop. */
const struct mr_parked *mr_park_first(const struct mr_park *park);
void mr_park_drop(struct mr_park *park);

static inline struct mr_span mr_parked_message(const struct mr_parked *parked)
{
    return mr_span_of(parked + 1, parked->bytes);
}

#endif
