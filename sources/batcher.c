#include "sources/batcher.h"

#include <stdlib.h>

#include "core/hash.h"
#include "core/hop.h"

/* Slots of a dictionary: at most half are in use. Stamped, so that a new batch needs no clearing.
 */
struct slot {
    uint32_t stamp;
    uint16_t index;
};

struct mr_open_keys {
    uint32_t stamp, mask;
    struct slot *slots[MR_GROUPINGS_MAX];
};

static int init_keys(struct mr_batcher *b, struct mr_arena *arena, uint32_t share)
{
    uint32_t count = (uint32_t)mr_pow2_at_least(2 * b->plan->order.rows_max);
    struct mr_open_keys *keys = mr_arena_take(arena, sizeof *keys, MR_CACHE_LINE);

    if (!keys)
        return MR_E_MEMORY;
    keys->mask = count - 1;
    for (uint32_t g = 0; g < b->plan->grouping_count; g++) {
        keys->slots[g] = mr_arena_take(arena, count * sizeof(struct slot), MR_CACHE_LINE);
        if (!keys->slots[g])
            return MR_E_MEMORY;
    }
    b->keys[share] = keys;
    return MR_OK;
}

int mr_batcher_init(struct mr_batcher *b, const struct mr_plan *plan, struct mr_arena *arena,
                    uint32_t batches, uint32_t share_count, uint16_t puller, uint16_t clock,
                    atomic_size_t *jumbo_bytes)
{
    MR_ASSERT(batches > 2 * share_count);
    *b = (struct mr_batcher){
        .plan = plan,
        .share_count = share_count,
        .puller = puller,
        .clock = clock,
        .event_us_max = MR_TIME_MIN,
        .publish_us_max = MR_TIME_MIN,
        .watermark_us = MR_TIME_MIN,
        .deadline_us = MR_TIME_MIN,
        .jumbo_bytes = jumbo_bytes,
    };
    for (uint32_t s = 0; s < share_count; s++)
        if (init_keys(b, arena, s) != MR_OK)
            return MR_E_MEMORY;
    return mr_slab_init(&b->slab, arena, batches, plan->order.block_bytes);
}

/* A new batch knows no key: a new stamp. When the stamps run over, slots of long ago would count
 * again (and free ones never written look taken), so all are cleared. */
static void forget_keys(const struct mr_batcher *b, struct mr_open_keys *keys)
{
    if (++keys->stamp != 0)
        return;
    for (uint32_t g = 0; g < b->plan->grouping_count; g++)
        memset(keys->slots[g], 0, (keys->mask + 1) * sizeof(struct slot));
    keys->stamp = 1;
}

static void open_batch(struct mr_batcher *b, uint32_t share)
{
    struct mr_order_batch *batch = mr_slab_take(&b->slab);

    MR_ASSERT(batch != NULL);
    mr_order_batch_clear(batch);
    batch->puller = b->puller;
    batch->clock = b->clock;
    batch->share = (uint16_t)share;
    batch->number = b->numbers[share]++;
    b->open[share] = batch;
    forget_keys(b, b->keys[share]);
}

static void cut(struct mr_batcher *b, uint32_t share, uint16_t flags)
{
    struct mr_order_batch *batch = b->open[share];

    batch->watermark_us = b->watermark_us;
    batch->flags = flags;
    MR_ASSERT(b->cut_count < MR_COUNT(b->cut));
    b->cut[b->cut_count++] = batch;
    b->open[share] = NULL;
}

static void cut_all(struct mr_batcher *b, uint16_t flags)
{
    for (uint32_t s = 0; s < b->share_count; s++) {
        if (!b->open[s])
            open_batch(b, s);
        cut(b, s, flags);
    }
}

/* Blocks that cutting every share now would take from the slab. */
static uint32_t closed_shares(const struct mr_batcher *b)
{
    uint32_t closed = 0;
    for (uint32_t s = 0; s < b->share_count; s++)
        closed += b->open[s] == NULL;
    return closed;
}

static int64_t deadline_after(const struct mr_plan *plan, int64_t watermark_us)
{
    int64_t deadline_us = MR_TIME_MAX;

    if (watermark_us == MR_TIME_MAX)
        return MR_TIME_MAX;
    for (uint32_t w = 0; w < plan->config->window_count; w++) {
        int64_t next = mr_hop_deadline_after(&plan->config->windows[w], watermark_us);
        deadline_us = MR_MIN(deadline_us, next);
    }
    return deadline_us;
}

void mr_batcher_set_watermark(struct mr_batcher *b, int64_t watermark_us)
{
    b->watermark_us = watermark_us;
    b->deadline_us = watermark_us == MR_TIME_MIN ? MR_TIME_MIN
                                                 : deadline_after(b->plan, watermark_us);
}

static size_t heap_left(const struct mr_batcher *b, const struct mr_order_batch *batch)
{
    return b->plan->order.heap_bytes - mr_round_up(batch->heap_used, 8);
}

static size_t key_bytes(const struct mr_batcher *b, const struct mr_event *event)
{
    size_t bytes = 0;
    for (uint32_t g = 0; g < b->plan->grouping_count; g++)
        bytes += event->keys[g].bytes.bytes;
    return bytes;
}

/* Makes sure that the share has an open batch with room, cutting a full one. */
static bool make_room(struct mr_batcher *b, uint32_t share, size_t heap_bytes, bool row,
                      bool crossing)
{
    struct mr_order_batch *batch = b->open[share];
    bool full = batch && ((row && batch->rows == b->plan->order.rows_max) ||
                          heap_left(b, batch) < heap_bytes);
    uint32_t needed = !batch || full;

    /* A crossing cuts every share: those without a batch need one to be told by. */
    if (crossing)
        needed = closed_shares(b) + full;
    if (b->slab.count < needed)
        return false;
    if (full)
        cut(b, share, 0);
    if (!b->open[share])
        open_batch(b, share);
    return true;
}

/* The index of a key in the batch's dictionary, added if it is new. */
static uint16_t dictionary_index(struct mr_batcher *b, struct mr_order_batch *batch, uint32_t g,
                                 const struct mr_event_key *key)
{
    struct mr_open_keys *keys = b->keys[batch->share];
    struct mr_key_ref *refs = mr_order_refs(batch, &b->plan->order, g);
    uint8_t *heap = mr_order_heap(batch, &b->plan->order);
    uint32_t at = (uint32_t)key->hash & keys->mask;
    uint32_t bytes = (uint32_t)key->bytes.bytes;

    for (; keys->slots[g][at].stamp == keys->stamp; at = (at + 1) & keys->mask) {
        const struct mr_key_ref *ref = &refs[keys->slots[g][at].index];
        if (ref->hash == key->hash && ref->bytes == bytes &&
            (bytes == 0 || memcmp(heap + ref->offset, key->bytes.data, bytes) == 0))
            return keys->slots[g][at].index;
    }
    uint16_t index = (uint16_t)batch->keys[g]++;
    refs[index] = (struct mr_key_ref){key->hash, batch->heap_used, bytes};
    if (bytes > 0)
        memcpy(heap + batch->heap_used, key->bytes.data, bytes);
    batch->heap_used += bytes;
    keys->slots[g][at] = (struct slot){keys->stamp, index};
    return index;
}

static void write_row(struct mr_batcher *b, struct mr_order_batch *batch,
                      const struct mr_event *event)
{
    const struct mr_order_layout *layout = &b->plan->order;
    uint32_t row = batch->rows++, bit = row % MR_GROUP_ROWS;

    *mr_order_event_us(batch, layout, row) = event->event_us;
    if (layout->id_offset != 0)
        *mr_order_id(batch, layout, row) = event->id;
    if (layout->lease_offset != 0)
        *mr_order_lease(batch, layout, row) = event->lease;
    for (uint32_t m = 0; m < layout->measures; m++) {
        *mr_order_measure(batch, layout, m, row) = event->measures[m];
        if (layout->valid_offset[m] == 0)
            continue;
        uint64_t *valid = mr_order_valid(batch, layout, m, row);
        if (bit == 0)
            *valid = 0;
        *valid |= (uint64_t)(event->valid >> m & 1) << bit;
    }
    for (uint32_t g = 0; g < layout->groupings; g++)
        *mr_order_key(batch, layout, g, row) = dictionary_index(b, batch, g, &event->keys[g]);
    batch->event_us_min = MR_MIN(batch->event_us_min, event->event_us);
    batch->event_us_max = MR_MAX(batch->event_us_max, event->event_us);
}

/* The route's high bits choose the share: the low ones place the key in its table. */
static uint32_t share_of(const struct mr_batcher *b, uint64_t route)
{
    return (uint32_t)(((mr_u128)route * b->share_count) >> 64);
}

bool mr_batcher_add(struct mr_batcher *b, const struct mr_event *event)
{
    uint32_t share = share_of(b, event->route);
    int64_t event_us_max = MR_MAX(b->event_us_max, event->event_us);
    int64_t publish_us_max = MR_MAX(b->publish_us_max, event->publish_us);
    int64_t reached_us = MR_MIN(event_us_max, publish_us_max) -
                         b->plan->config->watermark.max_disorder_us;
    bool crossing = reached_us > b->watermark_us && reached_us >= b->deadline_us;

    MR_ASSERT(b->cut_count == 0);
    if (!make_room(b, share, key_bytes(b, event), true, crossing))
        return false;
    write_row(b, b->open[share], event);
    b->event_us_max = event_us_max;
    b->publish_us_max = publish_us_max;
    if (reached_us > b->watermark_us)
        b->watermark_us = reached_us;
    if (crossing) {
        b->deadline_us = deadline_after(b->plan, b->watermark_us);
        cut_all(b, 0);
    }
    return true;
}

static size_t body_bytes(const struct mr_letter_source *source)
{
    return source->message_id.bytes + source->attributes.bytes + source->payload.bytes;
}

static void copy_body(uint8_t *at, const struct mr_letter_source *source)
{
    const struct mr_span parts[] = {source->message_id, source->attributes, source->payload};

    for (size_t i = 0; i < MR_COUNT(parts); i++) {
        if (parts[i].bytes > 0)
            memcpy(at, parts[i].data, parts[i].bytes);
        at += parts[i].bytes;
    }
}

/* Memory for a letter that no batch can hold, within the budget of all pullers together. */
static uint8_t *take_jumbo(struct mr_batcher *b, size_t bytes)
{
    size_t before = atomic_fetch_add(b->jumbo_bytes, bytes);
    uint8_t *memory = NULL;

    if (before == 0 || before + bytes <= MR_JUMBO_BYTES_MAX)
        memory = malloc(bytes);
    if (!memory)
        atomic_fetch_sub(b->jumbo_bytes, bytes);
    return memory;
}

static void give_jumbo(struct mr_batcher *b, uint8_t *jumbo, size_t bytes)
{
    if (jumbo)
        atomic_fetch_sub(b->jumbo_bytes, bytes);
    free(jumbo);
}

static void chain_letter(struct mr_order_batch *batch, const struct mr_order_layout *layout,
                         uint32_t offset, uint32_t bytes)
{
    if (batch->last_letter != 0)
        mr_order_letter(batch, layout, batch->last_letter)->next = offset + 1;
    else
        batch->first_letter = offset + 1;
    batch->last_letter = offset + 1;
    batch->heap_used = offset + bytes;
    batch->letters++;
}

bool mr_batcher_letter(struct mr_batcher *b, const struct mr_letter_source *source)
{
    const struct mr_order_layout *layout = &b->plan->order;
    uint32_t share = share_of(b, mr_hash_mix(source->position ^ MR_HASH_K0, MR_HASH_K1));
    uint32_t detail = (uint32_t)MR_MIN(strlen(source->detail), (size_t)MR_LETTER_DETAIL_MAX);
    size_t body = body_bytes(source);
    bool large = sizeof(struct mr_letter) + detail + body + 8 > layout->heap_bytes;
    uint8_t *jumbo = large ? take_jumbo(b, body) : NULL;
    uint32_t bytes = mr_letter_bytes(detail, large ? 0 : (uint32_t)body);

    MR_ASSERT(b->cut_count == 0);
    if ((large && !jumbo) || !make_room(b, share, bytes, false, false)) {
        give_jumbo(b, jumbo, body);
        return false;
    }
    struct mr_order_batch *batch = b->open[share];
    uint32_t offset = (uint32_t)mr_round_up(batch->heap_used, 8);
    struct mr_letter *letter = (struct mr_letter *)(mr_order_heap(batch, layout) + offset);
    *letter = (struct mr_letter){
        .bytes = bytes,
        .reason = (uint16_t)source->reason,
        .field = source->field,
        .puller = b->puller,
        .detail_bytes = (uint16_t)detail,
        .position = source->position,
        .error_offset = source->error_offset,
        .payload_bytes = (uint32_t)source->payload.bytes,
        .attributes_bytes = (uint32_t)source->attributes.bytes,
        .message_id_bytes = (uint16_t)source->message_id.bytes,
        .jumbo = jumbo,
    };
    memcpy(letter + 1, source->detail, detail);
    copy_body(jumbo ? jumbo : (uint8_t *)(letter + 1) + detail, source);
    chain_letter(batch, layout, offset, bytes);
    return true;
}

void mr_batcher_flush(struct mr_batcher *b)
{
    for (uint32_t s = 0; s < b->share_count; s++)
        if (b->open[s] && b->open[s]->rows + b->open[s]->letters > 0)
            cut(b, s, 0);
}

bool mr_batcher_close(struct mr_batcher *b, uint16_t flags)
{
    if (b->slab.count < closed_shares(b))
        return false;
    if (flags & MR_BATCH_END)
        b->watermark_us = MR_TIME_MAX;
    cut_all(b, flags);
    return true;
}

void mr_batcher_return(struct mr_batcher *b, struct mr_order_batch *batch)
{
    mr_slab_return(&b->slab, batch);
}
