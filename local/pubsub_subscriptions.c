#include "local/pubsub_state.h"

#include <inttypes.h>
#include <stdlib.h>

#define DAY_US (INT64_C(86400) * 1000000)

struct subscription *mr_pubsub_subscription_find(struct mr_pubsub_store *s, struct mr_span name)
{
    struct resource *r = mr_pubsub_directory_find(&s->subscriptions, name);

    return r ? MR_CONTAINER(r, struct subscription, resource) : NULL;
}

static struct mr_pubsub_status invalid(struct mr_pubsub_store *s, const char *what, int64_t value)
{
    return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT, "Invalid %s: %" PRId64 ".", what, value);
}

static void fill_defaults(struct mr_pubsub_subscription_settings *t)
{
    if (t->ack_deadline_s == 0)
        t->ack_deadline_s = 10;
    if (t->retention_us == 0)
        t->retention_us = RETENTION_US;
    if (t->expiration_us == 0)
        t->expiration_us = 31 * DAY_US;
    if (t->dead_letter.bytes > 0 && t->attempts_max == 0)
        t->attempts_max = 5;
}

static struct mr_pubsub_status check_times(struct mr_pubsub_store *s,
                                           const struct mr_pubsub_subscription_settings *t)
{
    if (t->ack_deadline_s < 10 || t->ack_deadline_s > 600)
        return invalid(s, "ack deadline (10 to 600 seconds)", t->ack_deadline_s);
    if (t->retention_us < RETENTION_MIN_US || t->retention_us > RETENTION_MAX_US)
        return invalid(s, "message retention (10 minutes to 31 days, in us)", t->retention_us);
    if (t->expiration_us > 0 && t->expiration_us < DAY_US)
        return invalid(s, "expiration ttl (at least a day, in us)", t->expiration_us);
    if (!t->retry)
        return mr_pubsub_ok();
    if (t->backoff_min_us < 0 || t->backoff_min_us > MR_PUBSUB_BACKOFF_MAX_US)
        return invalid(s, "minimum backoff (0 to 600 s, in us)", t->backoff_min_us);
    if (t->backoff_max_us < t->backoff_min_us || t->backoff_max_us > MR_PUBSUB_BACKOFF_MAX_US)
        return invalid(s, "maximum backoff (minimum backoff to 600 s, in us)", t->backoff_max_us);
    return mr_pubsub_ok();
}

static struct mr_pubsub_status check_dead_letter(struct mr_pubsub_store *s,
                                                 const struct mr_pubsub_subscription_settings *t)
{
    if (t->dead_letter.bytes == 0)
        return mr_pubsub_ok();
    if (t->attempts_max < 5 || t->attempts_max > 100)
        return invalid(s, "max delivery attempts (5 to 100)", t->attempts_max);
    if (!mr_pubsub_name_valid(t->dead_letter, "topics"))
        return mr_pubsub_misnamed(s, "topics", t->dead_letter);
    return mr_pubsub_ok();
}

/* All rules that hold at creation and at every update. */
static struct mr_pubsub_status check(struct mr_pubsub_store *s,
                                     const struct mr_pubsub_subscription_settings *t)
{
    struct mr_pubsub_status status = check_times(s, t);

    if (status.code == MR_PUBSUB_OK)
        status = check_dead_letter(s, t);
    return status;
}

static struct mr_pubsub_status answer(const struct subscription *sub,
                                      struct mr_pubsub_subscription_settings *out)
{
    if (out)
        *out = sub->settings;
    return mr_pubsub_ok();
}

static struct mr_pubsub_status compile(struct mr_pubsub_store *s, struct mr_span text,
                                       struct mr_pubsub_filter **filter)
{
    uint32_t position;
    const char *why;

    *filter = NULL;
    if (text.bytes == 0)
        return mr_pubsub_ok();
    *filter = mr_pubsub_filter_create(text, &position, &why);
    if (!*filter)
        return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT, "Invalid filter at position %u: %s.",
                              position, why);
    return mr_pubsub_ok();
}

static void own_spans(struct mr_pubsub_subscription_settings *t)
{
    t->name = mr_pubsub_span_copy(t->name);
    t->topic = mr_pubsub_span_copy(t->topic);
    t->filter = mr_pubsub_span_copy(t->filter);
    t->dead_letter = mr_pubsub_span_copy(t->dead_letter);
    t->extra = mr_pubsub_span_copy(t->extra);
}

struct subscription *
mr_pubsub_subscription_add(struct mr_pubsub_store *s,
                           const struct mr_pubsub_subscription_settings *settings,
                           struct mr_pubsub_filter *filter, uint32_t uid)
{
    struct subscription *sub = mr_pubsub_memory(sizeof *sub);

    sub->settings = *settings;
    own_spans(&sub->settings);
    sub->filter = filter;
    sub->resource.name = sub->settings.name;
    sub->resource.uid = uid;
    sub->slot = mr_pubsub_slot_take(&s->subscription_slots, sub);
    TAILQ_INIT(&sub->pullers);
    TAILQ_INIT(&sub->waiting);
    sub->topic = settings->detached ? NULL : mr_pubsub_topic_find(s, settings->topic);
    if (sub->topic)
        TAILQ_INSERT_TAIL(&sub->topic->subscriptions, sub, link);
    mr_pubsub_directory_add(&s->subscriptions, &sub->resource);
    return sub;
}

struct mr_pubsub_status
mr_pubsub_subscription_create(struct mr_pubsub_store *s,
                              const struct mr_pubsub_subscription_settings *settings,
                              struct mr_pubsub_subscription_settings *out)
{
    struct mr_pubsub_subscription_settings t = *settings;
    struct mr_pubsub_filter *filter;
    struct mr_pubsub_status status;

    fill_defaults(&t);
    t.detached = false;
    if (!mr_pubsub_name_valid(t.name, "subscriptions"))
        return mr_pubsub_misnamed(s, "subscriptions", t.name);
    status = check(s, &t);
    if (status.code != MR_PUBSUB_OK)
        return status;
    if (mr_pubsub_subscription_find(s, t.name))
        return mr_pubsub_taken(s, t.name);
    if (!mr_pubsub_topic_find(s, t.topic))
        return mr_pubsub_missing(s, t.topic);
    if (t.dead_letter.bytes > 0 && !mr_pubsub_topic_find(s, t.dead_letter))
        return mr_pubsub_missing(s, t.dead_letter);
    status = compile(s, t.filter, &filter);
    if (status.code != MR_PUBSUB_OK)
        return status;
    return answer(mr_pubsub_subscription_add(s, &t, filter, s->next_uid++), out);
}

struct mr_pubsub_status mr_pubsub_subscription_get(struct mr_pubsub_store *s, struct mr_span name,
                                                   struct mr_pubsub_subscription_settings *out)
{
    struct subscription *sub = mr_pubsub_subscription_find(s, name);

    return sub ? answer(sub, out) : mr_pubsub_missing(s, name);
}

static const char *fixed_field(const struct mr_pubsub_subscription_settings *old,
                               const struct mr_pubsub_subscription_settings *new)
{
    if (!mr_span_equal(old->topic, new->topic))
        return "topic";
    if (!mr_span_equal(old->filter, new->filter))
        return "filter";
    return old->ordering != new->ordering ? "enable_message_ordering" : NULL;
}

/* The new spans may be the old ones' own bytes: copy, then free. */
static void replace(struct mr_pubsub_subscription_settings *at,
                    const struct mr_pubsub_subscription_settings *with)
{
    struct mr_pubsub_subscription_settings old = *at;

    *at = *with;
    at->name = old.name;
    at->topic = old.topic;
    at->filter = old.filter;
    at->detached = old.detached;
    at->dead_letter = mr_pubsub_span_copy(with->dead_letter);
    at->extra = mr_pubsub_span_copy(with->extra);
    mr_pubsub_span_free(old.dead_letter);
    mr_pubsub_span_free(old.extra);
}

struct mr_pubsub_status
mr_pubsub_subscription_update(struct mr_pubsub_store *s,
                              const struct mr_pubsub_subscription_settings *settings,
                              struct mr_pubsub_subscription_settings *out)
{
    struct subscription *sub = mr_pubsub_subscription_find(s, settings->name);
    struct mr_pubsub_subscription_settings t = *settings;
    struct mr_pubsub_status status;
    const char *fixed;

    if (!sub)
        return mr_pubsub_missing(s, settings->name);
    fill_defaults(&t);
    status = check(s, &t);
    if (status.code != MR_PUBSUB_OK)
        return status;
    fixed = fixed_field(&sub->settings, &t);
    if (fixed)
        return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT,
                              "The field %s cannot be changed after creation.", fixed);
    if (t.dead_letter.bytes > 0 && !mr_span_equal(t.dead_letter, sub->settings.dead_letter) &&
        !mr_pubsub_topic_find(s, t.dead_letter))
        return mr_pubsub_missing(s, t.dead_letter);
    replace(&sub->settings, &t);
    /* A shorter retention may already be over for the oldest messages. */
    s->retention_us = MR_MIN(s->retention_us, s->now_us);
    return answer(sub, out);
}

static void drop_entries(struct mr_pubsub_store *s, struct subscription *sub)
{
    while (sub->all.head) {
        uint32_t index = sub->all.head;
        mr_pubsub_entry_withdraw(s, sub, index);
        if (mr_pubsub_entry(s, index)->key)
            mr_pubsub_order_remove(s, sub, index);
        mr_pubsub_entry_free(s, sub, index);
    }
}

static void end_pullers(struct mr_pubsub_store *s, struct subscription *sub,
                        enum mr_pubsub_code code)
{
    struct mr_pubsub_puller *p;

    TAILQ_FOREACH(p, &sub->pullers, link)
    mr_pubsub_puller_end(s, p, code);
}

struct mr_pubsub_status mr_pubsub_detach(struct mr_pubsub_store *s, struct mr_span name)
{
    struct subscription *sub = mr_pubsub_subscription_find(s, name);

    if (!sub)
        return mr_pubsub_missing(s, name);
    if (sub->topic)
        TAILQ_REMOVE(&sub->topic->subscriptions, sub, link);
    sub->topic = NULL;
    sub->settings.detached = true;
    drop_entries(s, sub);
    end_pullers(s, sub, MR_PUBSUB_FAILED_PRECONDITION);
    return mr_pubsub_ok();
}

struct mr_pubsub_status mr_pubsub_subscription_delete(struct mr_pubsub_store *s,
                                                      struct mr_span name)
{
    struct subscription *sub = mr_pubsub_subscription_find(s, name);
    struct mr_pubsub_puller *p;

    if (!sub)
        return mr_pubsub_missing(s, name);
    if (sub->topic)
        TAILQ_REMOVE(&sub->topic->subscriptions, sub, link);
    drop_entries(s, sub);
    end_pullers(s, sub, MR_PUBSUB_NOT_FOUND);
    while ((p = TAILQ_FIRST(&sub->pullers)) != NULL)
        mr_pubsub_puller_orphan(p);
    mr_pubsub_directory_remove(&s->subscriptions, &sub->resource);
    mr_pubsub_slot_return(&s->subscription_slots, sub->slot);
    mr_pubsub_span_free(sub->settings.name);
    mr_pubsub_span_free(sub->settings.topic);
    mr_pubsub_span_free(sub->settings.filter);
    mr_pubsub_span_free(sub->settings.dead_letter);
    mr_pubsub_span_free(sub->settings.extra);
    free(sub->filter);
    free(sub->keys);
    free(sub);
    return mr_pubsub_ok();
}

/* All entries leave their places first, so that the keys are empty when the rest comes back. */
struct mr_pubsub_status mr_pubsub_seek(struct mr_pubsub_store *s, struct mr_span name,
                                       int64_t time_us, int64_t now_us)
{
    struct subscription *sub = mr_pubsub_subscription_find(s, name);
    uint32_t next;

    if (!sub)
        return mr_pubsub_missing(s, name);
    if (sub->settings.detached)
        return mr_pubsub_fail(s, MR_PUBSUB_FAILED_PRECONDITION, "The subscription is detached.");
    mr_pubsub_advance(s, now_us);
    for (uint32_t i = sub->all.head; i; i = mr_pubsub_entry(s, i)->next[LINK_ALL]) {
        mr_pubsub_entry_withdraw(s, sub, i);
        if (mr_pubsub_entry(s, i)->key)
            mr_pubsub_order_remove(s, sub, i);
    }
    for (uint32_t i = sub->all.head; i; i = next) {
        struct entry *e = mr_pubsub_entry(s, i);
        next = e->next[LINK_ALL];
        if (e->message->publish_us < time_us)
            mr_pubsub_entry_retire(s, sub, i);
        else
            mr_pubsub_entry_arrive(s, sub, i);
    }
    mr_pubsub_wake(s, sub);
    return mr_pubsub_ok();
}
