#include "windows/dedup.h"

#include "core/hash.h"

#define SLOTS_MIN 1024
/* An id costs its slot at half load and its place in the log: two slots and one entry. */
#define BYTES_AN_ID (3 * sizeof(struct mr_id))

void mr_dedup_init(struct mr_dedup *dedup, uint64_t bytes_max)
{
    uint64_t count = MR_MAX(bytes_max / BYTES_AN_ID, (uint64_t)SLOTS_MIN / 2);
    /* Rounded down to a power of two, as the table will be. */
    count = mr_pow2_at_least(count + 1) / 2;
    *dedup = (struct mr_dedup){.count_max = (uint32_t)MR_MIN(count, UINT64_C(1) << 30)};
}

static bool same(struct mr_id a, struct mr_id b)
{
    return a.high == b.high && a.low == b.low;
}

static bool is_free(struct mr_id id)
{
    return id.high == 0 && id.low == 0;
}

static uint32_t home(const struct mr_dedup *dedup, struct mr_id id)
{
    return (uint32_t)mr_hash_mix(id.low ^ MR_HASH_K0, id.high ^ MR_HASH_K1) &
           (dedup->slot_count - 1);
}

static uint32_t find(const struct mr_dedup *dedup, struct mr_id id)
{
    uint32_t at = home(dedup, id);
    while (!is_free(dedup->slots[at]) && !same(dedup->slots[at], id))
        at = (at + 1) & (dedup->slot_count - 1);
    return at;
}

/* Frees a slot and moves later entries of its run back, so that no tombstones are needed. */
static void erase(struct mr_dedup *dedup, uint32_t hole)
{
    uint32_t mask = dedup->slot_count - 1;
    uint32_t at = hole;

    for (;;) {
        at = (at + 1) & mask;
        if (is_free(dedup->slots[at]))
            break;
        uint32_t from = home(dedup, dedup->slots[at]);
        if (((at - from) & mask) >= ((at - hole) & mask)) {
            dedup->slots[hole] = dedup->slots[at];
            hole = at;
        }
    }
    dedup->slots[hole] = (struct mr_id){0, 0};
}

static bool grow(struct mr_dedup *dedup, struct mr_pool *pool)
{
    uint32_t old_count = dedup->slot_count;
    uint32_t count = MR_MAX(old_count * 2, (uint32_t)SLOTS_MIN);
    struct mr_id *slots = mr_pool_take(pool, count * sizeof *slots);
    struct mr_id *log = mr_pool_take(pool, count / 2 * sizeof *log);

    if (!slots || !log)
        return false;
    struct mr_id *old_slots = dedup->slots, *old_log = dedup->log;
    dedup->slots = slots;
    dedup->slot_count = count;
    for (uint32_t i = 0; i < dedup->count; i++) {
        struct mr_id id = old_log[(dedup->log_head + i) & (old_count / 2 - 1)];
        log[i] = id;
        slots[find(dedup, id)] = id;
    }
    dedup->log = log;
    dedup->log_head = 0;
    mr_pool_return(pool, old_slots, old_count * sizeof *slots);
    mr_pool_return(pool, old_log, old_count / 2 * sizeof *log);
    return true;
}

static void forget_oldest(struct mr_dedup *dedup)
{
    struct mr_id oldest = dedup->log[dedup->log_head];
    erase(dedup, find(dedup, oldest));
    dedup->log_head = (dedup->log_head + 1) & (dedup->slot_count / 2 - 1);
    dedup->count--;
    dedup->forgotten++;
}

enum mr_dedup_result mr_dedup_add(struct mr_dedup *dedup, struct mr_pool *pool, struct mr_id id)
{
    if (is_free(id)) {
        bool seen = dedup->zero_seen;
        dedup->zero_seen = true;
        return seen ? MR_DEDUP_SEEN : MR_DEDUP_NEW;
    }
    if (dedup->count == dedup->slot_count / 2 && dedup->count < dedup->count_max &&
        !grow(dedup, pool))
        return MR_DEDUP_NO_MEMORY;
    uint32_t at = find(dedup, id);
    if (!is_free(dedup->slots[at]))
        return MR_DEDUP_SEEN;
    if (dedup->count == dedup->count_max) {
        forget_oldest(dedup);
        at = find(dedup, id);
    }
    dedup->slots[at] = id;
    dedup->log[(dedup->log_head + dedup->count) & (dedup->slot_count / 2 - 1)] = id;
    dedup->count++;
    return MR_DEDUP_NEW;
}
