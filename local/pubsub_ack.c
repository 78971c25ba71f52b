#include "local/pubsub_state.h"

#include <stdlib.h>

/* An ack id on the wire has a tag byte and a length of two. */
#define ID_EXTRA_BYTES 3

const char *mr_pubsub_ack_reason(enum mr_pubsub_ack result)
{
    switch (result) {
    case MR_PUBSUB_ACK_INVALID:
        return "PERMANENT_FAILURE_INVALID_ACK_ID";
    case MR_PUBSUB_ACK_RETRY:
        return "TRANSIENT_FAILURE_SERVICE_UNAVAILABLE";
    case MR_PUBSUB_ACK_DONE:
    case MR_PUBSUB_ACK_STALE:
    case MR_PUBSUB_ACK_MALFORMED:
        break;
    }
    return NULL;
}

static bool lives(const struct mr_pubsub_store *s, uint32_t uid)
{
    struct resource *r;

    TAILQ_FOREACH(r, &s->subscriptions.list, link)
    if (r->uid == uid)
        return true;
    return false;
}

/* Stale ids decode to entry 0, which is none. */
static bool decode(struct mr_pubsub_store *s, const struct subscription *sub, struct mr_span id,
                   struct late_ack *out)
{
    uint32_t uid;
    enum token token = mr_pubsub_token_read(s, id, &uid, &out->entry, &out->stamp);

    if (token == TOKEN_BAD || (uid != sub->resource.uid && lives(s, uid)))
        return false;
    if (token == TOKEN_OLD || uid != sub->resource.uid)
        out->entry = out->stamp = 0;
    return true;
}

/* The whole request is read before any of it takes effect. */
static struct mr_pubsub_status read_ids(struct mr_pubsub_store *s, struct subscription *sub,
                                        const struct mr_span *ids, uint32_t count,
                                        enum mr_pubsub_ack *results)
{
    uint64_t bytes = sub->resource.name.bytes + ID_EXTRA_BYTES;
    uint32_t bad = 0;

    for (uint32_t i = 0; i < count; i++)
        bytes += ids[i].bytes + ID_EXTRA_BYTES;
    if (count == 0)
        return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT, "No ack ids specified.");
    if (bytes > MR_PUBSUB_ACK_BYTES)
        return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT,
                              "Request payload size exceeds the limit: 524288 bytes.");
    if (count > s->decoded_room) {
        s->decoded_room = (uint32_t)mr_pow2_at_least(count);
        s->decoded = realloc(s->decoded, s->decoded_room * sizeof *s->decoded);
        MR_ASSERT(s->decoded);
    }
    for (uint32_t i = 0; i < count; i++) {
        bool good = decode(s, sub, ids[i], &s->decoded[i]);
        if (results)
            results[i] = good ? MR_PUBSUB_ACK_STALE : MR_PUBSUB_ACK_MALFORMED;
        bad += !good;
    }
    if (bad > 0)
        return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT,
                              "You have passed an invalid ack ID to the service (%u of %u).", bad,
                              count);
    return mr_pubsub_ok();
}

/* The entry that an id of `sub` names, if it is still the newest one of that entry. */
static struct entry *holder(struct mr_pubsub_store *s, const struct subscription *sub,
                            const struct late_ack *id)
{
    struct entry *e = id->stamp ? mr_pubsub_entry_find(s, id->entry) : NULL;

    return e && e->subscription == sub->slot && e->stamp == id->stamp ? e : NULL;
}

static void put_off(struct mr_pubsub_store *s, struct late_ack id)
{
    if (s->late_count == s->late_room) {
        size_t room = s->late_room ? s->late_room * 2 : 64;
        struct late_ack *late = mr_pubsub_memory(room * sizeof *late);
        for (size_t i = 0; i < s->late_count; i++)
            late[i] = s->late[(s->late_head + i) & (s->late_room - 1)];
        free(s->late);
        s->late = late;
        s->late_head = 0;
        s->late_room = room;
    }
    id.due_us = s->now_us + s->options.faults.ack_delay_us;
    s->late[(s->late_head + s->late_count++) & (s->late_room - 1)] = id;
}

static enum mr_pubsub_ack too_late(const struct subscription *sub)
{
    return sub->settings.exactly_once ? MR_PUBSUB_ACK_INVALID : MR_PUBSUB_ACK_STALE;
}

static enum mr_pubsub_ack acknowledge(struct mr_pubsub_store *s, struct subscription *sub,
                                      const struct late_ack *id)
{
    const struct mr_pubsub_faults *faults = &s->options.faults;
    struct entry *e = holder(s, sub, id);

    if (!e)
        return too_late(sub);
    if (e->state != LEASED)
        return MR_PUBSUB_ACK_DONE;
    if (sub->settings.exactly_once) {
        if (mr_pubsub_chance(s, faults->ack_unavailable))
            return MR_PUBSUB_ACK_RETRY;
    } else if (mr_pubsub_chance(s, faults->ack_lost)) {
        return MR_PUBSUB_ACK_DONE;
    } else if (mr_pubsub_chance(s, faults->ack_delayed)) {
        put_off(s, *id);
        return MR_PUBSUB_ACK_DONE;
    }
    mr_pubsub_lease_done(s, id->entry);
    return MR_PUBSUB_ACK_DONE;
}

static enum mr_pubsub_ack extend(struct mr_pubsub_store *s, struct subscription *sub,
                                 const struct late_ack *id, int32_t seconds)
{
    struct entry *e = holder(s, sub, id);

    if (!e || e->state != LEASED)
        return too_late(sub);
    if (sub->settings.exactly_once && mr_pubsub_chance(s, s->options.faults.ack_unavailable))
        return MR_PUBSUB_ACK_RETRY;
    mr_pubsub_wheel_remove(s, id->entry);
    if (seconds == 0) {
        s->figures.nacked++;
        mr_pubsub_lease_fail(s, id->entry);
    } else {
        mr_pubsub_wheel_add(s, id->entry, s->now_us + INT64_C(1000000) * seconds);
    }
    return MR_PUBSUB_ACK_DONE;
}

struct tally {
    uint32_t invalid, retry;
};

static void note(struct tally *tally, enum mr_pubsub_ack result, enum mr_pubsub_ack *at)
{
    tally->invalid += result == MR_PUBSUB_ACK_INVALID;
    tally->retry += result == MR_PUBSUB_ACK_RETRY;
    if (at)
        *at = result;
}

static struct mr_pubsub_status verdict(struct mr_pubsub_store *s, struct tally tally)
{
    if (tally.invalid > 0)
        return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT,
                              "Some acknowledgement ids in the request were invalid. This could be "
                              "because the ids have expired or were malformed.");
    if (tally.retry > 0)
        return mr_pubsub_fail(s, MR_PUBSUB_UNAVAILABLE, "Some ids could not be processed now.");
    return mr_pubsub_ok();
}

struct mr_pubsub_status mr_pubsub_ack(struct mr_pubsub_store *s, struct mr_span name,
                                      const struct mr_span *ids, uint32_t count, int64_t now_us,
                                      enum mr_pubsub_ack *results)
{
    struct subscription *sub = mr_pubsub_subscription_find(s, name);
    struct mr_pubsub_status status;
    struct tally tally = {0, 0};

    if (!sub)
        return mr_pubsub_missing(s, name);
    status = read_ids(s, sub, ids, count, results);
    if (status.code != MR_PUBSUB_OK)
        return status;
    mr_pubsub_advance(s, now_us);
    for (uint32_t i = 0; i < count; i++)
        note(&tally, acknowledge(s, sub, &s->decoded[i]), results ? &results[i] : NULL);
    return verdict(s, tally);
}

struct mr_pubsub_status mr_pubsub_modify(struct mr_pubsub_store *s, struct mr_span name,
                                         const struct mr_span *ids, uint32_t count,
                                         const int32_t *seconds, uint32_t seconds_count,
                                         int64_t now_us, enum mr_pubsub_ack *results)
{
    struct subscription *sub = mr_pubsub_subscription_find(s, name);
    struct mr_pubsub_status status;
    struct tally tally = {0, 0};

    if (!sub)
        return mr_pubsub_missing(s, name);
    if (seconds_count != count && seconds_count != 1)
        return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT,
                              "There are %u deadlines for %u ack ids.", seconds_count, count);
    for (uint32_t i = 0; i < seconds_count; i++)
        if (seconds[i] < 0 || seconds[i] > 600)
            return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT,
                                  "Invalid ack deadline: %d (0 to 600 seconds).", seconds[i]);
    status = read_ids(s, sub, ids, count, results);
    if (status.code != MR_PUBSUB_OK)
        return status;
    mr_pubsub_advance(s, now_us);
    for (uint32_t i = 0; i < count; i++) {
        int32_t s_of_id = seconds[seconds_count == 1 ? 0 : i];
        note(&tally, extend(s, sub, &s->decoded[i], s_of_id), results ? &results[i] : NULL);
    }
    return verdict(s, tally);
}
