#include "windows/keys.h"

#define SLOTS_MIN   256
#define CHUNK_BYTES ((size_t)64 << 10)

void mr_keys_init(struct mr_keys *keys, uint32_t count_max)
{
    *keys = (struct mr_keys){.count_max = count_max};
}

static uint64_t slot_word(uint64_t hash, uint32_t id)
{
    return (hash & UINT64_C(0xFFFFFFFF00000000)) | (uint64_t)(id + 1);
}

static bool grow_slots(struct mr_keys *keys, struct mr_pool *pool)
{
    uint32_t count = MR_MAX(keys->slot_count * 2, (uint32_t)SLOTS_MIN);
    uint64_t *slots = mr_pool_take(pool, count * sizeof *slots);

    if (!slots)
        return false;
    for (uint32_t id = 0; id < keys->count; id++) {
        uint64_t hash = keys->keys[id].hash;
        uint32_t at = (uint32_t)hash & (count - 1);
        while (slots[at] != 0)
            at = (at + 1) & (count - 1);
        slots[at] = slot_word(hash, id);
    }
    mr_pool_return(pool, keys->slots, keys->slot_count * sizeof *slots);
    keys->slots = slots;
    keys->slot_count = count;
    return true;
}

static bool grow_keys(struct mr_keys *keys, struct mr_pool *pool)
{
    uint32_t capacity = MR_MAX(keys->capacity * 2, (uint32_t)SLOTS_MIN / 2);
    struct mr_key *next = mr_pool_take(pool, capacity * sizeof *next);

    if (!next)
        return false;
    if (keys->count > 0)
        memcpy(next, keys->keys, keys->count * sizeof *next);
    mr_pool_return(pool, keys->keys, keys->capacity * sizeof *next);
    keys->keys = next;
    keys->capacity = capacity;
    return true;
}

static uint8_t *store_bytes(struct mr_keys *keys, struct mr_pool *pool, struct mr_span key)
{
    if (!keys->chunk || keys->chunk_left < key.bytes) {
        size_t bytes = MR_MAX(CHUNK_BYTES, key.bytes);
        keys->chunk = mr_pool_take(pool, bytes);
        if (!keys->chunk) {
            keys->chunk_left = 0;
            return NULL;
        }
        keys->chunk_left = bytes;
    }
    uint8_t *place = keys->chunk;
    memcpy(place, key.data, key.bytes);
    keys->chunk += key.bytes;
    keys->chunk_left -= key.bytes;
    return place;
}

static uint32_t add(struct mr_keys *keys, struct mr_pool *pool, uint64_t hash, struct mr_span key)
{
    if (keys->count == keys->capacity && !grow_keys(keys, pool))
        return MR_KEY_NONE;
    uint8_t *data = store_bytes(keys, pool, key);
    if (!data)
        return MR_KEY_NONE;
    uint32_t id = keys->count++;
    keys->keys[id] = (struct mr_key){hash, data, (uint32_t)key.bytes};
    uint32_t at = (uint32_t)hash & (keys->slot_count - 1);
    while (keys->slots[at] != 0)
        at = (at + 1) & (keys->slot_count - 1);
    keys->slots[at] = slot_word(hash, id);
    return id;
}

uint32_t mr_keys_id(struct mr_keys *keys, struct mr_pool *pool, uint64_t hash, struct mr_span key,
                    bool *full)
{
    *full = false;
    if (keys->count >= keys->slot_count / 2 && !grow_slots(keys, pool))
        return MR_KEY_NONE;
    uint32_t at = (uint32_t)hash & (keys->slot_count - 1);
    for (; keys->slots[at] != 0; at = (at + 1) & (keys->slot_count - 1)) {
        if ((keys->slots[at] ^ hash) >> 32 != 0)
            continue;
        uint32_t id = (uint32_t)keys->slots[at] - 1;
        const struct mr_key *known = &keys->keys[id];
        if (known->bytes == key.bytes && memcmp(known->data, key.data, key.bytes) == 0)
            return id;
    }
    if (keys->count == keys->count_max) {
        *full = true;
        return MR_KEY_NONE;
    }
    return add(keys, pool, hash, key);
}
