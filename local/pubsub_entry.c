#include "local/pubsub_state.h"

#include <stdlib.h>

static struct chunk *chunk_create(struct mr_pubsub_store *s)
{
    struct chunk *c = mr_pubsub_memory(sizeof *c);

    c->number = mr_pubsub_slot_take(&s->chunk_slots, c);
    MR_ASSERT(c->number < UINT32_MAX / CHUNK_ENTRIES);
    TAILQ_INSERT_HEAD(&s->roomy, c, link);
    for (uint32_t i = 0; i < CHUNK_ENTRIES; i++)
        mr_pubsub_list_push(s, &c->free, LINK_QUEUE, c->number * CHUNK_ENTRIES + i);
    s->empty_chunks++;
    s->figures.memory_bytes += sizeof *c;
    return c;
}

/* Oldest free entry first: an acked one keeps its stamp until then, so that an ack sent twice is
 * still known. */
uint32_t mr_pubsub_entry_take(struct mr_pubsub_store *s)
{
    struct chunk *c = TAILQ_FIRST(&s->roomy);
    uint32_t index;

    if (!c)
        c = chunk_create(s);
    index = c->free.head;
    mr_pubsub_list_remove(s, &c->free, LINK_QUEUE, index);
    if (c->used++ == 0)
        s->empty_chunks--;
    if (c->used == CHUNK_ENTRIES)
        TAILQ_REMOVE(&s->roomy, c, link);
    s->figures.entries++;
    memset(mr_pubsub_entry(s, index), 0, sizeof(struct entry));
    return index;
}

/* One empty chunk is kept, so that a store at the edge of one does not take and give all day. */
void mr_pubsub_entry_return(struct mr_pubsub_store *s, uint32_t index)
{
    struct chunk *c = s->chunk_slots.items[index / CHUNK_ENTRIES];

    mr_pubsub_entry(s, index)->state = FREE;
    mr_pubsub_list_push(s, &c->free, LINK_QUEUE, index);
    s->figures.entries--;
    if (c->used-- == CHUNK_ENTRIES)
        TAILQ_INSERT_TAIL(&s->roomy, c, link);
    if (c->used > 0)
        return;
    if (++s->empty_chunks > 1) {
        s->empty_chunks--;
        TAILQ_REMOVE(&s->roomy, c, link);
        mr_pubsub_slot_return(&s->chunk_slots, c->number);
        s->figures.memory_bytes -= sizeof *c;
        free(c);
    }
}

struct entry *mr_pubsub_entry_find(struct mr_pubsub_store *s, uint32_t index)
{
    uint32_t number = index / CHUNK_ENTRIES;

    if (number >= s->chunk_slots.count || !s->chunk_slots.items[number])
        return NULL;
    return mr_pubsub_entry(s, index);
}

void mr_pubsub_list_push(struct mr_pubsub_store *s, struct list *l, enum link k, uint32_t index)
{
    mr_pubsub_list_insert(s, l, k, l->tail, index);
}

void mr_pubsub_list_insert(struct mr_pubsub_store *s, struct list *l, enum link k, uint32_t after,
                           uint32_t index)
{
    struct entry *e = mr_pubsub_entry(s, index);
    uint32_t *before = after ? &mr_pubsub_entry(s, after)->next[k] : &l->head;

    e->prev[k] = after;
    e->next[k] = *before;
    *(e->next[k] ? &mr_pubsub_entry(s, e->next[k])->prev[k] : &l->tail) = index;
    *before = index;
}

void mr_pubsub_list_remove(struct mr_pubsub_store *s, struct list *l, enum link k, uint32_t index)
{
    struct entry *e = mr_pubsub_entry(s, index);

    *(e->prev[k] ? &mr_pubsub_entry(s, e->prev[k])->next[k] : &l->head) = e->next[k];
    *(e->next[k] ? &mr_pubsub_entry(s, e->next[k])->prev[k] : &l->tail) = e->prev[k];
    e->prev[k] = e->next[k] = 0;
}

/* Rounded up, so that nothing is due early. A slot already done would be found a lap later. */
static int64_t tick_of(const struct mr_pubsub_store *s, int64_t due_us)
{
    int64_t tick = -mr_floor_div(-due_us, MR_PUBSUB_TICK_US);

    tick = MR_MAX(tick, s->wheel_tick + 1);
    MR_ASSERT(tick - s->wheel_tick <= WHEEL_SLOTS);
    return tick;
}

static uint32_t slot_of(int64_t tick)
{
    return (uint32_t)mr_floor_mod(tick, WHEEL_SLOTS);
}

void mr_pubsub_wheel_add(struct mr_pubsub_store *s, uint32_t index, int64_t due_us)
{
    int64_t tick = tick_of(s, due_us);
    uint32_t slot = slot_of(tick);

    mr_pubsub_entry(s, index)->due_us = tick * MR_PUBSUB_TICK_US;
    mr_pubsub_list_push(s, &s->wheel[slot], LINK_QUEUE, index);
    s->occupied[slot / 64] |= UINT64_C(1) << slot % 64;
    s->next_tick = MR_MIN(s->next_tick, tick);
}

/* Entries taken out of their slots wait in the due list, and their tick is behind the wheel's. */
void mr_pubsub_wheel_remove(struct mr_pubsub_store *s, uint32_t index)
{
    int64_t tick = mr_pubsub_entry(s, index)->due_us / MR_PUBSUB_TICK_US;
    uint32_t slot = slot_of(tick);

    if (tick <= s->wheel_tick) {
        mr_pubsub_list_remove(s, &s->due, LINK_QUEUE, index);
        return;
    }
    mr_pubsub_list_remove(s, &s->wheel[slot], LINK_QUEUE, index);
    if (s->wheel[slot].head == 0)
        s->occupied[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

/* The first tick after `tick` whose slot is occupied, INT64_MAX for none within a lap. */
static int64_t next_occupied(const struct mr_pubsub_store *s, int64_t tick)
{
    for (int64_t t = tick + 1; t <= tick + WHEEL_SLOTS;) {
        uint32_t slot = slot_of(t);
        uint64_t word = s->occupied[slot / 64] >> slot % 64;
        if (word) {
            t += __builtin_ctzll(word);
            return t <= tick + WHEEL_SLOTS ? t : INT64_MAX;
        }
        t += 64 - slot % 64;
    }
    return INT64_MAX;
}

static void append_slot(struct mr_pubsub_store *s, uint32_t slot)
{
    struct list *from = &s->wheel[slot];

    s->occupied[slot / 64] &= ~(UINT64_C(1) << slot % 64);
    if (from->head == 0)
        return;
    if (s->due.tail) {
        mr_pubsub_entry(s, s->due.tail)->next[LINK_QUEUE] = from->head;
        mr_pubsub_entry(s, from->head)->prev[LINK_QUEUE] = s->due.tail;
    } else {
        s->due.head = from->head;
    }
    s->due.tail = from->tail;
    *from = (struct list){0, 0};
}

/* All due slots are emptied before the first entry is handled: what is added meanwhile may land in
 * the same slots, a lap later. */
uint32_t mr_pubsub_wheel_take(struct mr_pubsub_store *s, int64_t now_us)
{
    int64_t now_tick = mr_floor_div(now_us, MR_PUBSUB_TICK_US);
    uint32_t index;

    while (s->next_tick <= now_tick) {
        append_slot(s, slot_of(s->next_tick));
        s->next_tick = next_occupied(s, s->next_tick);
    }
    s->wheel_tick = MR_MAX(s->wheel_tick, now_tick);
    index = s->due.head;
    if (index)
        mr_pubsub_list_remove(s, &s->due, LINK_QUEUE, index);
    return index;
}

/* Of an emptied slot it tells too early, which costs one idle tick. */
int64_t mr_pubsub_wheel_due_us(const struct mr_pubsub_store *s)
{
    return s->next_tick == INT64_MAX ? INT64_MAX : s->next_tick * MR_PUBSUB_TICK_US;
}
