/* The key table of a grouping: exact key bytes to dense ids in order of first appearance.
 * Open addressing on the hash that the puller computed; bytes are compared, so equal hashes of
 * different keys are harmless.
 * Owns    memory of the share's pool. Thread: the aggregator's. */
#ifndef MR_WINDOWS_KEYS_H
#define MR_WINDOWS_KEYS_H

#include "core/arena.h"

#define MR_KEY_NONE UINT32_MAX

struct mr_key {
    uint64_t hash;
    const uint8_t *data;
    uint32_t bytes;
};

struct mr_keys {
    uint64_t *slots; /* high half: hash bits; low half: id + 1; 0: free */
    uint32_t slot_count;
    struct mr_key *keys;
    uint32_t count, capacity, count_max;
    uint8_t *chunk; /* where the next key's bytes go */
    size_t chunk_left;
};

void mr_keys_init(struct mr_keys *keys, uint32_t count_max);

/* The id of a key, given one if it is new. MR_KEY_NONE: count_max is reached or the pool is used
 * up (`*full` tells the first from the second). */
uint32_t mr_keys_id(struct mr_keys *keys, struct mr_pool *pool, uint64_t hash, struct mr_span key,
                    bool *full);

/* Asks the cache for the slot of a hash; a burst of these hides the misses of the lookups. */
static inline void mr_keys_prefetch(const struct mr_keys *keys, uint64_t hash)
{
    if (keys->slot_count > 0)
        __builtin_prefetch(&keys->slots[hash & (keys->slot_count - 1)]);
}

#endif
