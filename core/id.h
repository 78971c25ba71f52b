/* The identity of an event for de-duplication, exact where its spelling allows.
 * A canonical decimal (no leading zero, fits 64 bits) is {0, value}; a lower-case UUID of version
 * 1 to 8 is its 128 bits; anything else is a keyed 128-bit hash with version nibble 15, so that
 * the three kinds never meet.
 * Stable  part of the journal's format, as core/hash.h. */
#ifndef MR_CORE_ID_H
#define MR_CORE_ID_H

#include "core/base.h"

struct mr_id {
    uint64_t high, low;
};

/* No identity: never a duplicate. */
#define MR_ID_NONE ((struct mr_id){UINT64_MAX, UINT64_MAX})

static inline bool mr_id_is_none(struct mr_id id)
{
    return id.high == UINT64_MAX && id.low == UINT64_MAX;
}

struct mr_id mr_id_from_text(struct mr_span text, uint64_t seed);

#endif
