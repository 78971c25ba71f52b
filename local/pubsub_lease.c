#include "local/pubsub_state.h"

uint32_t mr_pubsub_entry_add(struct mr_pubsub_store *s, struct subscription *sub, struct message *m)
{
    uint32_t index = mr_pubsub_entry_take(s);
    struct entry *e = mr_pubsub_entry(s, index);

    e->message = m;
    e->subscription = sub->slot;
    m->refs++;
    mr_pubsub_list_push(s, &sub->all, LINK_ALL, index);
    s->retention_us = MR_MIN(s->retention_us, m->publish_us + sub->settings.retention_us);
    mr_pubsub_entry_arrive(s, sub, index);
    return index;
}

void mr_pubsub_entry_arrive(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index)
{
    struct entry *e = mr_pubsub_entry(s, index);

    e->stamp = 0;
    e->failures = 0;
    e->due_us = 0;
    if (sub->settings.ordering && e->message->ordering_key.bytes > 0)
        mr_pubsub_order_add(s, sub, index);
    else
        mr_pubsub_entry_ready(s, sub, index);
}

void mr_pubsub_entry_ready(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index)
{
    mr_pubsub_entry(s, index)->state = READY;
    mr_pubsub_list_push(s, &sub->ready, LINK_QUEUE, index);
    sub->ready_count++;
    mr_pubsub_wake(s, sub);
}

void mr_pubsub_entry_unready(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index)
{
    mr_pubsub_list_remove(s, &sub->ready, LINK_QUEUE, index);
    sub->ready_count--;
}

void mr_pubsub_entry_withdraw(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index)
{
    struct entry *e = mr_pubsub_entry(s, index);

    if (e->state == READY)
        mr_pubsub_entry_unready(s, sub, index);
    if (e->state == WAITING || e->state == LEASED)
        mr_pubsub_wheel_remove(s, index);
    if (e->state == LEASED)
        mr_pubsub_lease_end(s, index);
    if (e->state != WAITING && e->state != BLOCKED)
        e->due_us = 0;
    e->state = BLOCKED;
    e->stamp = 0;
}

void mr_pubsub_entry_free(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index)
{
    mr_pubsub_list_remove(s, &sub->all, LINK_ALL, index);
    mr_pubsub_message_drop(s, mr_pubsub_entry(s, index)->message);
    mr_pubsub_entry_return(s, index);
}

void mr_pubsub_entry_retire(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index)
{
    if (sub->settings.retain_acked)
        mr_pubsub_entry(s, index)->state = ACKED;
    else
        mr_pubsub_entry_free(s, sub, index);
}

/* Stamps run over all entries of the store, so that the ids of a reused entry never meet. */
void mr_pubsub_lease_begin(struct mr_pubsub_store *s, struct mr_pubsub_puller *p, uint32_t index)
{
    struct entry *e = mr_pubsub_entry(s, index);

    e->state = LEASED;
    e->puller = p->slot;
    e->stamp = s->next_stamp = s->next_stamp == UINT32_MAX ? 1 : s->next_stamp + 1;
    mr_pubsub_wheel_add(s, index, s->now_us + INT64_C(1000000) * p->settings.ack_deadline_s);
    p->messages++;
    p->bytes += e->message->size_bytes;
    s->figures.leased++;
    s->figures.delivered++;
}

/* The entry is already out of the wheel; its stamp stays. */
void mr_pubsub_lease_end(struct mr_pubsub_store *s, uint32_t index)
{
    struct entry *e = mr_pubsub_entry(s, index);
    struct mr_pubsub_puller *p = s->puller_slots.items[e->puller];

    MR_ASSERT(e->state == LEASED && p && p->messages > 0);
    p->messages--;
    p->bytes -= e->message->size_bytes;
    e->puller = 0;
    s->figures.leased--;
    mr_pubsub_puller_room(s, p);
}

/* Doubles with each failure up to the maximum, then up to a quarter more by chance, so that what
 * failed together does not come back together; never outside the policy's bounds. */
static int64_t backoff_us(struct mr_pubsub_store *s,
                          const struct mr_pubsub_subscription_settings *t, uint32_t failures)
{
    int64_t most = t->backoff_max_us, delay;

    if (!t->retry || most == 0)
        return 0;
    delay = t->backoff_min_us;
    for (uint32_t i = 1; i < failures && delay < most; i++)
        delay *= 2;
    delay = MR_MIN(delay, most);
    delay += (int64_t)(mr_pubsub_random(s) % (uint64_t)(delay / 4 + 1));
    return MR_MIN(delay, most);
}

/* The entry is out of the wheel: its deadline passed, or it was given back. */
void mr_pubsub_lease_fail(struct mr_pubsub_store *s, uint32_t index)
{
    struct entry *e = mr_pubsub_entry(s, index);
    struct subscription *sub = mr_pubsub_owner(s, e);
    const struct mr_pubsub_subscription_settings *t = &sub->settings;
    int64_t delay_us;

    mr_pubsub_lease_end(s, index);
    e->state = BLOCKED;
    e->stamp = 0;
    e->failures++;
    if (t->dead_letter.bytes > 0 && e->failures >= (uint32_t)t->attempts_max &&
        mr_pubsub_dead_letter(s, sub, e)) {
        if (e->key)
            mr_pubsub_order_done(s, sub, index, true);
        else
            mr_pubsub_entry_retire(s, sub, index);
        return;
    }
    delay_us = backoff_us(s, t, e->failures);
    if (e->key) {
        mr_pubsub_order_fail(s, sub, index, delay_us);
    } else if (delay_us > 0) {
        e->state = WAITING;
        mr_pubsub_wheel_add(s, index, s->now_us + delay_us);
    } else {
        mr_pubsub_entry_ready(s, sub, index);
    }
}

void mr_pubsub_lease_done(struct mr_pubsub_store *s, uint32_t index)
{
    struct entry *e = mr_pubsub_entry(s, index);
    struct subscription *sub = mr_pubsub_owner(s, e);

    mr_pubsub_wheel_remove(s, index);
    mr_pubsub_lease_end(s, index);
    s->figures.acked++;
    if (e->key)
        mr_pubsub_order_done(s, sub, index, false);
    else
        mr_pubsub_entry_retire(s, sub, index);
}

static void fire(struct mr_pubsub_store *s, uint32_t index)
{
    struct entry *e = mr_pubsub_entry(s, index);
    struct subscription *sub = mr_pubsub_owner(s, e);

    if (e->state == LEASED) {
        s->figures.expired++;
        mr_pubsub_lease_fail(s, index);
    } else if (e->key) {
        mr_pubsub_order_resume(s, sub, index);
    } else {
        mr_pubsub_entry_ready(s, sub, index);
    }
}

static void advance_wheel(struct mr_pubsub_store *s, int64_t now_us)
{
    uint32_t index;

    s->now_us = MR_MAX(s->now_us, now_us);
    while ((index = mr_pubsub_wheel_take(s, s->now_us)) != 0)
        fire(s, index);
}

/* An ack that was held back finds its lease, or comes too late. */
static void advance_late_acks(struct mr_pubsub_store *s, int64_t now_us)
{
    while (s->late_count > 0 && s->late[s->late_head].due_us <= now_us) {
        struct late_ack late = s->late[s->late_head];
        struct entry *e;

        s->late_head = (s->late_head + 1) & (s->late_room - 1);
        s->late_count--;
        advance_wheel(s, late.due_us);
        e = mr_pubsub_entry_find(s, late.entry);
        if (e && e->state == LEASED && e->stamp == late.stamp)
            mr_pubsub_lease_done(s, late.entry);
    }
}

static void expire_oldest(struct mr_pubsub_store *s, struct subscription *sub)
{
    uint32_t index;

    while ((index = sub->all.head) != 0) {
        struct entry *e = mr_pubsub_entry(s, index);
        int64_t end_us = e->message->publish_us + sub->settings.retention_us;
        uint32_t key = e->key;

        if (end_us > s->now_us) {
            s->retention_us = MR_MIN(s->retention_us, end_us);
            return;
        }
        mr_pubsub_entry_withdraw(s, sub, index);
        if (key) {
            mr_pubsub_order_remove(s, sub, index);
            mr_pubsub_order_settle(s, sub, key);
        }
        mr_pubsub_entry_free(s, sub, index);
    }
}

static void advance_retention(struct mr_pubsub_store *s)
{
    struct resource *r;

    if (s->now_us < s->retention_us)
        return;
    s->retention_us = INT64_MAX;
    TAILQ_FOREACH(r, &s->subscriptions.list, link)
    expire_oldest(s, MR_CONTAINER(r, struct subscription, resource));
}

static void advance_pullers(struct mr_pubsub_store *s)
{
    if (s->now_us < s->pullers_due_us)
        return;
    s->pullers_due_us = INT64_MAX;
    for (uint32_t i = 1; i < s->puller_slots.count; i++) {
        struct mr_pubsub_puller *p = s->puller_slots.items[i];
        if (!p || p->state == PULLER_CLOSED || p->end != MR_PUBSUB_OK)
            continue;
        if (p->ends_us <= s->now_us)
            mr_pubsub_puller_end(s, p, MR_PUBSUB_UNAVAILABLE);
        else
            s->pullers_due_us = MR_MIN(s->pullers_due_us, p->ends_us);
    }
}

void mr_pubsub_advance(struct mr_pubsub_store *s, int64_t now_us)
{
    advance_late_acks(s, now_us);
    advance_wheel(s, now_us);
    advance_retention(s);
    advance_pullers(s);
}

void mr_pubsub_tick(struct mr_pubsub_store *s, int64_t now_us)
{
    mr_pubsub_advance(s, now_us);
}

int64_t mr_pubsub_due_us(const struct mr_pubsub_store *s)
{
    int64_t due_us = MR_MIN(mr_pubsub_wheel_due_us(s), MR_MIN(s->retention_us, s->pullers_due_us));

    return s->late_count > 0 ? MR_MIN(due_us, s->late[s->late_head].due_us) : due_us;
}
