#include "sources/park.h"

/* An entry never wraps: one that does not fit before the end of the ring starts at its beginning,
 * and an entry of this length says so. */
#define SKIP UINT32_MAX

int mr_park_init(struct mr_park *park, struct mr_arena *arena, size_t capacity)
{
    *park = (struct mr_park){.capacity = mr_round_up(capacity, sizeof(struct mr_parked))};
    park->ring = mr_arena_take(arena, park->capacity, MR_CACHE_LINE);
    return park->ring ? MR_OK : MR_E_MEMORY;
}

static size_t entry_bytes(size_t message_bytes)
{
    return sizeof(struct mr_parked) + mr_round_up(message_bytes, sizeof(struct mr_parked));
}

bool mr_park_put(struct mr_park *park, const struct mr_parked *head, struct mr_span message)
{
    size_t bytes = entry_bytes(message.bytes), to_end = park->capacity - park->tail;
    size_t skipped = to_end < bytes ? to_end : 0;

    if (park->capacity - park->used < bytes + skipped)
        return false;
    if (skipped > 0) {
        ((struct mr_parked *)(park->ring + park->tail))->bytes = SKIP;
        park->tail = 0;
    }
    struct mr_parked *entry = (struct mr_parked *)(park->ring + park->tail);
    *entry = *head;
    entry->bytes = (uint32_t)message.bytes;
    memcpy(entry + 1, message.data, message.bytes);
    park->tail = park->tail + bytes == park->capacity ? 0 : park->tail + bytes;
    park->used += bytes + skipped;
    park->count++;
    return true;
}

const struct mr_parked *mr_park_first(const struct mr_park *park)
{
    if (park->count == 0)
        return NULL;
    const struct mr_parked *entry = (const struct mr_parked *)(park->ring + park->head);
    return entry->bytes == SKIP ? (const struct mr_parked *)park->ring : entry;
}

void mr_park_drop(struct mr_park *park)
{
    const struct mr_parked *entry = (const struct mr_parked *)(park->ring + park->head);

    if (entry->bytes == SKIP) {
        park->used -= park->capacity - park->head;
        park->head = 0;
        entry = (const struct mr_parked *)park->ring;
    }
    size_t bytes = entry_bytes(entry->bytes);
    park->head = park->head + bytes == park->capacity ? 0 : park->head + bytes;
    park->used -= bytes;
    park->count--;
    /* Empty, it takes a message of its whole size again, wherever the last one stood. */
    if (park->count == 0)
        park->head = park->tail = park->used = 0;
}
