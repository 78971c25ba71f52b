#include "local/pubsub_state.h"

#include <stdlib.h>

/* A delivery's share of a response besides its message: tags, lengths, id and time. */
#define DELIVERY_EXTRA_BYTES 64

/* IDLE pullers lack room; WAITING ones have it and nothing to take; QUEUED ones were (or will be)
 * named by mr_pubsub_ready; SERVED is the state between that and mr_pubsub_next, and the last one
 * of a unary pull. */
static void leave(struct mr_pubsub_store *s, struct mr_pubsub_puller *p)
{
    if (p->state == PULLER_WAITING) {
        TAILQ_REMOVE(&p->subscription->waiting, p, queue);
    } else if (p->state == PULLER_QUEUED) {
        TAILQ_REMOVE(&s->queued, p, queue);
        if (p->subscription)
            p->subscription->queued--;
    }
    p->state = PULLER_IDLE;
}

static void enqueue(struct mr_pubsub_store *s, struct mr_pubsub_puller *p)
{
    leave(s, p);
    p->state = PULLER_QUEUED;
    TAILQ_INSERT_TAIL(&s->queued, p, queue);
    if (p->subscription)
        p->subscription->queued++;
}

static void await(struct mr_pubsub_store *s, struct mr_pubsub_puller *p)
{
    leave(s, p);
    p->state = PULLER_WAITING;
    TAILQ_INSERT_TAIL(&p->subscription->waiting, p, queue);
}

/* As many pullers are told as there is something to take: one message does not wake a hundred. */
void mr_pubsub_wake(struct mr_pubsub_store *s, struct subscription *sub)
{
    while (sub->queued < sub->ready_count && !TAILQ_EMPTY(&sub->waiting))
        enqueue(s, TAILQ_FIRST(&sub->waiting));
}

static bool has_room(const struct mr_pubsub_puller *p)
{
    const struct mr_pubsub_puller_settings *t = &p->settings;

    if (!t->stream)
        return true;
    return (t->messages_max <= 0 || p->messages < t->messages_max) &&
           (t->bytes_max <= 0 || p->bytes < t->bytes_max);
}

static bool fits(const struct mr_pubsub_puller *p, const struct entry *e)
{
    int64_t bytes = p->bytes + e->message->size_bytes;

    return has_room(p) && (!p->settings.stream || p->settings.bytes_max <= 0 || p->messages == 0 ||
                           bytes <= p->settings.bytes_max);
}

static void release(struct mr_pubsub_store *s, struct mr_pubsub_puller *p)
{
    mr_pubsub_slot_return(&s->puller_slots, p->slot);
    free(p);
}

void mr_pubsub_puller_room(struct mr_pubsub_store *s, struct mr_pubsub_puller *p)
{
    if (p->state == PULLER_CLOSED) {
        if (p->messages == 0)
            release(s, p);
    } else if (p->state == PULLER_IDLE && p->end == MR_PUBSUB_OK && has_room(p)) {
        await(s, p);
        mr_pubsub_wake(s, p->subscription);
    }
}

void mr_pubsub_puller_end(struct mr_pubsub_store *s, struct mr_pubsub_puller *p,
                          enum mr_pubsub_code code)
{
    p->end = code;
    if (p->state == PULLER_IDLE || p->state == PULLER_WAITING)
        enqueue(s, p);
}

void mr_pubsub_puller_orphan(struct mr_pubsub_puller *p)
{
    TAILQ_REMOVE(&p->subscription->pullers, p, link);
    p->subscription = NULL;
}

static struct mr_pubsub_status check(struct mr_pubsub_store *s, const struct subscription *sub,
                                     const struct mr_pubsub_puller_settings *t)
{
    if (sub->settings.detached)
        return mr_pubsub_fail(s, MR_PUBSUB_FAILED_PRECONDITION, "The subscription is detached.");
    if (sub->settings.push)
        return mr_pubsub_fail(s, MR_PUBSUB_FAILED_PRECONDITION,
                              "This method is not supported for this subscription type.");
    if (!t->stream && t->messages_max <= 0)
        return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT, "max_messages must be positive.");
    if (!t->stream)
        return mr_pubsub_ok();
    if (t->ack_deadline_s == 0)
        return mr_pubsub_fail(s, MR_PUBSUB_INTERNAL, "A service error has occurred.");
    if (t->ack_deadline_s < 10 || t->ack_deadline_s > 600)
        return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT,
                              "Invalid stream ack deadline: %d (10 to 600 seconds).",
                              t->ack_deadline_s);
    return mr_pubsub_ok();
}

struct mr_pubsub_status mr_pubsub_puller_open(struct mr_pubsub_store *s, struct mr_span name,
                                              const struct mr_pubsub_puller_settings *settings,
                                              int64_t now_us, struct mr_pubsub_puller **out)
{
    struct subscription *sub = mr_pubsub_subscription_find(s, name);
    struct mr_pubsub_status status;
    struct mr_pubsub_puller *p;

    if (!sub)
        return mr_pubsub_missing(s, name);
    status = check(s, sub, settings);
    if (status.code != MR_PUBSUB_OK)
        return status;
    mr_pubsub_advance(s, now_us);
    p = mr_pubsub_memory(sizeof *p);
    p->subscription = sub;
    p->settings = *settings;
    p->ends_us = INT64_MAX;
    if (!settings->stream)
        p->settings.ack_deadline_s = sub->settings.ack_deadline_s;
    else if (s->options.stream_age_us > 0)
        p->ends_us = s->now_us + s->options.stream_age_us;
    s->pullers_due_us = MR_MIN(s->pullers_due_us, p->ends_us);
    p->slot = mr_pubsub_slot_take(&s->puller_slots, p);
    TAILQ_INSERT_TAIL(&sub->pullers, p, link);
    s->figures.pullers++;
    await(s, p);
    mr_pubsub_wake(s, sub);
    *out = p;
    return mr_pubsub_ok();
}

void mr_pubsub_puller_close(struct mr_pubsub_store *s, struct mr_pubsub_puller *p)
{
    struct subscription *sub = p->subscription;

    leave(s, p);
    s->figures.pullers--;
    p->state = PULLER_CLOSED;
    if (sub)
        mr_pubsub_puller_orphan(p);
    if (p->messages == 0)
        release(s, p);
    if (sub)
        mr_pubsub_wake(s, sub);
}

struct mr_pubsub_status mr_pubsub_puller_deadline(struct mr_pubsub_store *s,
                                                  struct mr_pubsub_puller *p, int32_t seconds)
{
    if (seconds < 10 || seconds > 600)
        return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT,
                              "Invalid stream ack deadline: %d (10 to 600 seconds).", seconds);
    p->settings.ack_deadline_s = seconds;
    return mr_pubsub_ok();
}

void *mr_pubsub_puller_context(const struct mr_pubsub_puller *p)
{
    return p->settings.context;
}

bool mr_pubsub_puller_exactly_once(const struct mr_pubsub_puller *p)
{
    return p->subscription && p->subscription->settings.exactly_once;
}

bool mr_pubsub_puller_ordering(const struct mr_pubsub_puller *p)
{
    return p->subscription && p->subscription->settings.ordering;
}

/* Those whose messages went to another meanwhile go back to waiting. */
struct mr_pubsub_puller *mr_pubsub_ready(struct mr_pubsub_store *s)
{
    struct mr_pubsub_puller *p;

    while ((p = TAILQ_FIRST(&s->queued)) != NULL) {
        leave(s, p);
        if (p->end == MR_PUBSUB_OK && p->subscription->ready_count == 0) {
            await(s, p);
            continue;
        }
        p->state = PULLER_SERVED;
        return p;
    }
    return NULL;
}

struct response {
    struct mr_pubsub_puller *puller;
    uint32_t count, count_max;
    uint64_t bytes, bytes_max;
};

static bool response_fits(const struct response *r, const struct entry *e)
{
    uint64_t bytes = e->message->size_bytes + UNARY_ACK_CHARS + DELIVERY_EXTRA_BYTES;

    return r->count < r->count_max && (r->count == 0 || r->bytes + bytes <= r->bytes_max) &&
           fits(r->puller, e);
}

static void deliver(struct mr_pubsub_store *s, struct response *r, uint32_t index)
{
    struct subscription *sub = r->puller->subscription;
    struct entry *e = mr_pubsub_entry(s, index);
    const struct message *m = e->message;
    char *text = s->ack_texts[r->count];
    uint32_t chars;

    chars = mr_pubsub_token_write(s, sub->resource.uid, index, e->stamp, r->puller->settings.stream,
                                  text);
    s->deliveries[r->count++] = (struct mr_pubsub_delivery){
        .ack_id = mr_span_of(text, chars),
        .message_id = m->id,
        .publish_us = m->publish_us,
        .data = m->data,
        .ordering_key = m->ordering_key,
        .pairs = m->pairs,
        .pair_count = m->pair_count,
        .attempt = sub->settings.dead_letter.bytes > 0 ? (int32_t)e->failures + 1 : 0,
    };
    r->bytes += m->size_bytes + chars + DELIVERY_EXTRA_BYTES;
}

/* The copy is an entry of its own: each of the two wants its ack. */
static void duplicate(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index)
{
    struct entry *e = mr_pubsub_entry(s, index), *copy;
    uint32_t copy_index;

    if (e->key || e->copied || sub->settings.exactly_once ||
        !mr_pubsub_chance(s, s->options.faults.duplicate))
        return;
    copy_index = mr_pubsub_entry_take(s);
    copy = mr_pubsub_entry(s, copy_index);
    e->copied = copy->copied = true;
    copy->message = e->message;
    copy->message->refs++;
    copy->subscription = e->subscription;
    copy->failures = e->failures;
    mr_pubsub_list_insert(s, &sub->all, LINK_ALL, index, copy_index);
    mr_pubsub_entry_ready(s, sub, copy_index);
}

/* One unordered message, or what fits of one key's. */
static void take_head(struct mr_pubsub_store *s, struct response *r)
{
    struct subscription *sub = r->puller->subscription;
    uint32_t index = sub->ready.head;

    mr_pubsub_entry_unready(s, sub, index);
    if (mr_pubsub_entry(s, index)->key) {
        do {
            uint32_t next = mr_pubsub_order_lease(s, r->puller, index);
            deliver(s, r, index);
            index = next;
        } while (index && response_fits(r, mr_pubsub_entry(s, index)));
    } else {
        mr_pubsub_lease_begin(s, r->puller, index);
        deliver(s, r, index);
        duplicate(s, sub, index);
    }
}

static void settle(struct mr_pubsub_store *s, struct mr_pubsub_puller *p, bool full, uint32_t count)
{
    struct subscription *sub = p->subscription;

    if (!p->settings.stream && count > 0)
        p->state = PULLER_SERVED;
    else if (full || !has_room(p))
        p->state = PULLER_IDLE;
    else if (sub->ready_count > 0)
        enqueue(s, p);
    else
        await(s, p);
    mr_pubsub_wake(s, sub);
}

static struct mr_pubsub_status ending(struct mr_pubsub_store *s, const struct mr_pubsub_puller *p)
{
    static const char *const texts[] = {
        [MR_PUBSUB_UNAVAILABLE] = "The service was unable to fulfill your request. Please try "
                                  "again.",
        [MR_PUBSUB_NOT_FOUND] = "The subscription was deleted.",
        [MR_PUBSUB_FAILED_PRECONDITION] = "The subscription was detached.",
    };
    return mr_pubsub_fail(s, p->end, "%s", texts[p->end]);
}

/* A share is reckoned once for all who are queued, not anew for each of them: else the first would
 * have the most. Who left in between cuts the round short. */
static uint64_t share_of(struct subscription *sub)
{
    uint32_t pullers = sub->queued + 1;

    if (sub->sharers == 0 || sub->sharers > pullers) {
        sub->share = (sub->ready_count + pullers - 1) / pullers;
        sub->sharers = pullers;
    }
    sub->sharers--;
    return MR_MAX(sub->share, 1);
}

struct mr_pubsub_status mr_pubsub_next(struct mr_pubsub_store *s, struct mr_pubsub_puller *p,
                                       int64_t now_us, uint32_t count_max, uint64_t bytes_max,
                                       const struct mr_pubsub_delivery **out, uint32_t *count)
{
    struct response r = {.puller = p, .count_max = count_max, .bytes_max = bytes_max};
    struct subscription *sub;
    uint64_t share;
    bool full = false;

    MR_ASSERT(count_max > 0 && count_max <= MR_PUBSUB_RESPONSE_COUNT);
    mr_pubsub_advance(s, now_us);
    leave(s, p);
    *out = s->deliveries;
    *count = 0;
    if (p->end != MR_PUBSUB_OK)
        return ending(s, p);
    sub = p->subscription;
    if (!p->settings.stream)
        r.count_max = (uint32_t)MR_MIN(p->settings.messages_max, (int64_t)count_max);
    share = share_of(sub);
    for (; share > 0 && sub->ready.head && r.count < r.count_max; share--) {
        if (!response_fits(&r, mr_pubsub_entry(s, sub->ready.head))) {
            full = !fits(p, mr_pubsub_entry(s, sub->ready.head));
            break;
        }
        take_head(s, &r);
    }
    *count = r.count;
    settle(s, p, full, r.count);
    return mr_pubsub_ok();
}
