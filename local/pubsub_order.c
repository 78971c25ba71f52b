#include "core/hash.h"
#include "local/pubsub_state.h"

#include <stdlib.h>

/* A key's entries in order of publication:
 *
 *     out (LEASED, HELD) ... out | cursor (READY, WAITING or BLOCKED), BLOCKED, BLOCKED ...
 *
 * The cursor becomes ready when nothing before it is left. HELD is acked while an earlier one is
 * still out: should that one fail, the service sends the later ones again, acked or not (not with
 * exactly-once, where an ack is final). */

static struct key *key_of(const struct mr_pubsub_store *s, const struct entry *e)
{
    return s->key_slots.items[e->key];
}

static void grow(struct subscription *sub)
{
    uint32_t count = sub->key_buckets ? sub->key_buckets * 2 : 16;
    struct key **buckets = mr_pubsub_memory(count * sizeof(struct key *));

    for (uint32_t i = 0; i < sub->key_buckets; i++) {
        while (sub->keys[i]) {
            struct key *k = sub->keys[i];
            sub->keys[i] = k->chain;
            k->chain = buckets[k->hash & (count - 1)];
            buckets[k->hash & (count - 1)] = k;
        }
    }
    free(sub->keys);
    sub->keys = buckets;
    sub->key_buckets = count;
}

static struct key *key_find_or_create(struct mr_pubsub_store *s, struct subscription *sub,
                                      struct mr_span text)
{
    uint64_t hash = mr_hash64(text.data, text.bytes, s->secret);
    struct key *k;

    if (sub->key_count >= sub->key_buckets)
        grow(sub);
    for (k = sub->keys[hash & (sub->key_buckets - 1)]; k; k = k->chain)
        if (k->hash == hash && mr_span_equal(mr_span_of(k->text, k->bytes), text))
            return k;
    k = mr_pubsub_memory(sizeof *k + text.bytes);
    k->hash = hash;
    k->bytes = (uint32_t)text.bytes;
    memcpy(k->text, text.data, text.bytes);
    k->slot = mr_pubsub_slot_take(&s->key_slots, k);
    k->chain = sub->keys[hash & (sub->key_buckets - 1)];
    sub->keys[hash & (sub->key_buckets - 1)] = k;
    sub->key_count++;
    s->figures.memory_bytes += sizeof *k + text.bytes;
    return k;
}

static void key_free(struct mr_pubsub_store *s, struct subscription *sub, struct key *k)
{
    struct key **at = &sub->keys[k->hash & (sub->key_buckets - 1)];

    while (*at != k)
        at = &(*at)->chain;
    *at = k->chain;
    sub->key_count--;
    s->figures.memory_bytes -= sizeof *k + k->bytes;
    mr_pubsub_slot_return(&s->key_slots, k->slot);
    free(k);
}

void mr_pubsub_order_add(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index)
{
    struct entry *e = mr_pubsub_entry(s, index);
    struct key *k = key_find_or_create(s, sub, e->message->ordering_key);

    e->key = k->slot;
    e->state = BLOCKED;
    mr_pubsub_list_push(s, &k->entries, LINK_KEY, index);
    if (!k->cursor)
        k->cursor = index;
    mr_pubsub_order_settle(s, sub, k->slot);
}

void mr_pubsub_order_remove(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index)
{
    struct entry *e = mr_pubsub_entry(s, index);
    struct key *k = key_of(s, e);

    if (k->cursor == index)
        k->cursor = e->next[LINK_KEY];
    mr_pubsub_list_remove(s, &k->entries, LINK_KEY, index);
    e->key = 0;
    if (!k->entries.head)
        key_free(s, sub, k);
}

/* Nothing of its key is out: a blocked cursor may go, once its back-off is over. */
static void offer(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index)
{
    struct entry *e = mr_pubsub_entry(s, index);

    if (e->state != BLOCKED)
        return;
    if (e->due_us > s->now_us) {
        e->state = WAITING;
        mr_pubsub_wheel_add(s, index, e->due_us);
    } else {
        mr_pubsub_entry_ready(s, sub, index);
    }
}

void mr_pubsub_order_settle(struct mr_pubsub_store *s, struct subscription *sub, uint32_t key)
{
    struct key *k = s->key_slots.items[key];

    while (k && k->entries.head != k->cursor) {
        uint32_t head = k->entries.head;
        if (mr_pubsub_entry(s, head)->state != HELD)
            return;
        mr_pubsub_order_remove(s, sub, head);
        mr_pubsub_entry_retire(s, sub, head);
        k = s->key_slots.items[key];
    }
    if (k && k->cursor)
        offer(s, sub, k->cursor);
}

void mr_pubsub_order_done(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index,
                          bool final)
{
    struct entry *e = mr_pubsub_entry(s, index);
    uint32_t key = e->key;

    if (!final && !sub->settings.exactly_once && key_of(s, e)->entries.head != index) {
        e->state = HELD;
        return;
    }
    mr_pubsub_order_remove(s, sub, index);
    mr_pubsub_entry_retire(s, sub, index);
    mr_pubsub_order_settle(s, sub, key);
}

void mr_pubsub_order_fail(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index,
                          int64_t delay_us)
{
    struct entry *e = mr_pubsub_entry(s, index);
    struct key *k = key_of(s, e);

    for (uint32_t i = e->next[LINK_KEY]; i && i != k->cursor;
         i = mr_pubsub_entry(s, i)->next[LINK_KEY])
        mr_pubsub_entry_withdraw(s, sub, i);
    if (k->cursor)
        mr_pubsub_entry_withdraw(s, sub, k->cursor);
    k->cursor = index;
    e->due_us = s->now_us + delay_us;
    mr_pubsub_order_settle(s, sub, k->slot);
}

void mr_pubsub_order_resume(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index)
{
    struct entry *e = mr_pubsub_entry(s, index);

    e->state = BLOCKED;
    mr_pubsub_order_settle(s, sub, e->key);
}

uint32_t mr_pubsub_order_lease(struct mr_pubsub_store *s, struct mr_pubsub_puller *p,
                               uint32_t index)
{
    struct entry *e = mr_pubsub_entry(s, index);
    uint32_t next;

    key_of(s, e)->cursor = e->next[LINK_KEY];
    mr_pubsub_lease_begin(s, p, index);
    next = e->next[LINK_KEY];
    return next && mr_pubsub_entry(s, next)->due_us <= s->now_us ? next : 0;
}
