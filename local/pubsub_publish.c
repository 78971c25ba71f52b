#include "local/pubsub_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SOURCE_PREFIX "CloudPubSubDeadLetterSource"
#define SOURCE_PAIRS  4

static uint32_t varint_bytes(uint64_t n)
{
    return (70 - (uint32_t)__builtin_clzll(n | 1)) / 7;
}

/* A length-delimited protobuf field of one tag byte. */
static uint64_t field_bytes(uint64_t content)
{
    return 1 + varint_bytes(content) + content;
}

/* What the post takes inside a PublishRequest on the wire. */
static uint64_t post_bytes(const struct mr_pubsub_post *post)
{
    uint64_t bytes = post->data.bytes ? field_bytes(post->data.bytes) : 0;

    for (uint32_t i = 0; i < post->pair_count; i++)
        bytes += field_bytes(field_bytes(post->pairs[i].key.bytes) +
                             field_bytes(post->pairs[i].value.bytes));
    if (post->ordering_key.bytes > 0)
        bytes += field_bytes(post->ordering_key.bytes);
    return field_bytes(bytes);
}

static const char *post_fault(const struct mr_pubsub_post *post)
{
    if (post->data.bytes == 0 && post->pair_count == 0)
        return "A message must have non-empty data or at least one attribute";
    if (post->pair_count > MR_PUBSUB_PAIRS_MAX)
        return "A message has at most 100 attributes";
    if (post->ordering_key.bytes > MR_PUBSUB_ORDER_KEY_BYTES)
        return "An ordering key has at most 1024 bytes";
    for (uint32_t i = 0; i < post->pair_count; i++) {
        if (post->pairs[i].key.bytes == 0 || post->pairs[i].key.bytes > MR_PUBSUB_KEY_BYTES)
            return "An attribute key has 1 to 256 bytes";
        if (post->pairs[i].value.bytes > MR_PUBSUB_VALUE_BYTES)
            return "An attribute value has at most 1024 bytes";
    }
    return NULL;
}

static struct mr_pubsub_status check(struct mr_pubsub_store *s, struct mr_span topic,
                                     const struct mr_pubsub_post *posts, uint32_t count)
{
    uint64_t bytes = field_bytes(topic.bytes);

    if (count == 0 || count > MR_PUBSUB_REQUEST_POSTS)
        return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT,
                              "The value for message_count is invalid: %u (1 to 1000).", count);
    for (uint32_t i = 0; i < count; i++) {
        const char *fault = post_fault(&posts[i]);
        if (fault)
            return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT, "%s (message %u).", fault, i);
        if (!mr_span_equal(posts[i].ordering_key, posts[0].ordering_key))
            return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT,
                                  "All messages of a request must have the same ordering key.");
        bytes += post_bytes(&posts[i]);
    }
    if (bytes > MR_PUBSUB_REQUEST_BYTES)
        return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT,
                              "The value for request_size is too large: %" PRIu64
                              ", the maximum is 10000000.",
                              bytes);
    if (s->options.memory_bytes_limit > 0 &&
        s->figures.memory_bytes + bytes > s->options.memory_bytes_limit)
        return mr_pubsub_fail(s, MR_PUBSUB_RESOURCE_EXHAUSTED,
                              "The store is full (%" PRIu64 " bytes are held).",
                              s->figures.memory_bytes);
    return mr_pubsub_ok();
}

static struct mr_span put(uint8_t **at, struct mr_span from)
{
    struct mr_span kept = mr_span_of(*at, from.bytes);

    if (from.bytes > 0)
        memcpy(*at, from.data, from.bytes);
    *at += from.bytes;
    return kept;
}

struct message *mr_pubsub_message_create(struct mr_pubsub_store *s,
                                         const struct mr_pubsub_post *post, uint64_t id,
                                         int64_t publish_us)
{
    size_t size = post->data.bytes + post->ordering_key.bytes, block;
    struct message *m;
    uint8_t *at;

    for (uint32_t i = 0; i < post->pair_count; i++)
        size += post->pairs[i].key.bytes + post->pairs[i].value.bytes;
    block = sizeof *m + post->pair_count * sizeof m->pairs[0] + size;
    m = malloc(block);
    MR_ASSERT(m);
    *m = (struct message){.id = id,
                          .publish_us = publish_us,
                          .pair_count = post->pair_count,
                          .block_bytes = (uint32_t)block,
                          .size_bytes = (uint32_t)size};
    at = (uint8_t *)&m->pairs[post->pair_count];
    m->data = put(&at, post->data);
    m->ordering_key = put(&at, post->ordering_key);
    for (uint32_t i = 0; i < post->pair_count; i++) {
        m->pairs[i].key = put(&at, post->pairs[i].key);
        m->pairs[i].value = put(&at, post->pairs[i].value);
    }
    s->figures.messages++;
    s->figures.memory_bytes += block;
    return m;
}

void mr_pubsub_message_drop(struct mr_pubsub_store *s, struct message *m)
{
    if (m->refs > 0 && --m->refs > 0)
        return;
    s->figures.messages--;
    s->figures.memory_bytes -= m->block_bytes;
    free(m);
}

/* One copy for all subscriptions; none if nobody wants it. */
static uint64_t store_post(struct mr_pubsub_store *s, struct topic *topic,
                           const struct mr_pubsub_post *post)
{
    uint64_t id = s->next_id++;
    struct message *m = NULL;
    struct subscription *sub;

    TAILQ_FOREACH(sub, &topic->subscriptions, link)
    {
        if (sub->filter && !mr_pubsub_filter_matches(sub->filter, post->pairs, post->pair_count))
            continue;
        if (!m)
            m = mr_pubsub_message_create(s, post, id, s->now_us / 1000 * 1000);
        mr_pubsub_entry_add(s, sub, m);
    }
    s->figures.published++;
    return id;
}

struct mr_pubsub_status mr_pubsub_publish(struct mr_pubsub_store *s, struct mr_span topic_name,
                                          const struct mr_pubsub_post *posts, uint32_t count,
                                          int64_t now_us, uint64_t *ids_out)
{
    struct topic *topic = mr_pubsub_topic_find(s, topic_name);
    struct mr_pubsub_status status;

    if (!topic)
        return mr_pubsub_missing(s, topic_name);
    status = check(s, topic_name, posts, count);
    if (status.code != MR_PUBSUB_OK)
        return status;
    mr_pubsub_advance(s, now_us);
    for (uint32_t i = 0; i < count; i++)
        ids_out[i] = store_post(s, topic, &posts[i]);
    return mr_pubsub_ok();
}

/* 2026-01-31T12:00:00.123+00:00 */
static void write_time(int64_t us, char *out, size_t room)
{
    time_t seconds = (time_t)mr_floor_div(us, 1000000);
    struct tm tm;
    size_t bytes;

    gmtime_r(&seconds, &tm);
    bytes = strftime(out, room, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + bytes, room - bytes, ".%03d+00:00", (int)(mr_floor_mod(us, 1000000) / 1000));
}

static struct mr_span project_of(struct mr_span name)
{
    size_t skip = strlen("projects/");
    const uint8_t *end = memchr(name.data + skip, '/', name.bytes - skip);

    return mr_span_of(name.data + skip, (size_t)(end - name.data) - skip);
}

static bool is_source(struct mr_span key)
{
    size_t bytes = strlen(SOURCE_PREFIX);

    return key.bytes >= bytes && memcmp(key.data, SOURCE_PREFIX, bytes) == 0;
}

/* The attributes of an earlier forwarding are replaced; the limit of 100 does not hold here. */
bool mr_pubsub_dead_letter(struct mr_pubsub_store *s, struct subscription *sub, struct entry *e)
{
    struct topic *topic = mr_pubsub_topic_find(s, sub->settings.dead_letter);
    struct mr_pubsub_pair pairs[MR_PUBSUB_PAIRS_MAX + SOURCE_PAIRS];
    const struct message *m = e->message;
    char attempts[16], time[64];
    uint32_t count = 0;

    if (!topic)
        return false;
    for (uint32_t i = 0; i < m->pair_count; i++)
        if (!is_source(m->pairs[i].key))
            pairs[count++] = m->pairs[i];
    MR_ASSERT(count <= MR_PUBSUB_PAIRS_MAX);
    snprintf(attempts, sizeof attempts, "%u", e->failures);
    write_time(m->publish_us, time, sizeof time);
    pairs[count++] = (struct mr_pubsub_pair){mr_span_text(SOURCE_PREFIX "DeliveryCount"),
                                             mr_span_text(attempts)};
    pairs[count++] = (struct mr_pubsub_pair){mr_span_text(SOURCE_PREFIX "Subscription"),
                                             mr_pubsub_name_short(sub->resource.name)};
    pairs[count++] = (struct mr_pubsub_pair){mr_span_text(SOURCE_PREFIX "SubscriptionProject"),
                                             project_of(sub->resource.name)};
    pairs[count++] = (struct mr_pubsub_pair){mr_span_text(SOURCE_PREFIX "TopicPublishTime"),
                                             mr_span_text(time)};
    store_post(s, topic, &(struct mr_pubsub_post){m->data, pairs, count, m->ordering_key});
    s->figures.dead_lettered++;
    return true;
}
