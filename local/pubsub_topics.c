#include "local/pubsub_state.h"

#include <stdlib.h>

struct mr_span mr_pubsub_span_copy(struct mr_span span)
{
    uint8_t *copy = mr_pubsub_memory(span.bytes + 1);

    if (span.bytes > 0)
        memcpy(copy, span.data, span.bytes);
    return mr_span_of(copy, span.bytes);
}

void mr_pubsub_span_free(struct mr_span span)
{
    free((void *)(uintptr_t)span.data);
}

struct mr_pubsub_status mr_pubsub_missing(struct mr_pubsub_store *s, struct mr_span name)
{
    struct mr_span id = mr_pubsub_name_short(name);

    return mr_pubsub_fail(s, MR_PUBSUB_NOT_FOUND, "Resource not found (resource=%.*s).",
                          (int)MR_MIN(id.bytes, 255), (const char *)id.data);
}

struct mr_pubsub_status mr_pubsub_taken(struct mr_pubsub_store *s, struct mr_span name)
{
    struct mr_span id = mr_pubsub_name_short(name);

    return mr_pubsub_fail(s, MR_PUBSUB_ALREADY_EXISTS,
                          "Resource already exists in the project (resource=%.*s).",
                          (int)MR_MIN(id.bytes, 255), (const char *)id.data);
}

struct mr_pubsub_status mr_pubsub_misnamed(struct mr_pubsub_store *s, const char *kind,
                                           struct mr_span name)
{
    return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT, "Invalid [%s] name: (name=%.*s)", kind,
                          (int)MR_MIN(name.bytes, 300), (const char *)name.data);
}

struct topic *mr_pubsub_topic_find(struct mr_pubsub_store *s, struct mr_span name)
{
    struct resource *r = mr_pubsub_directory_find(&s->topics, name);

    return r ? MR_CONTAINER(r, struct topic, resource) : NULL;
}

static struct mr_pubsub_status check(struct mr_pubsub_store *s,
                                     const struct mr_pubsub_topic_settings *t)
{
    if (!mr_pubsub_name_valid(t->name, "topics"))
        return mr_pubsub_misnamed(s, "topics", t->name);
    if (t->retention_us != 0 &&
        (t->retention_us < RETENTION_MIN_US || t->retention_us > RETENTION_MAX_US))
        return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT,
                              "message_retention_duration must be between 10 minutes and 31 days.");
    return mr_pubsub_ok();
}

static struct mr_pubsub_status answer(const struct topic *topic,
                                      struct mr_pubsub_topic_settings *out)
{
    if (out)
        *out = topic->settings;
    return mr_pubsub_ok();
}

struct mr_pubsub_status mr_pubsub_topic_create(struct mr_pubsub_store *s,
                                               const struct mr_pubsub_topic_settings *settings,
                                               struct mr_pubsub_topic_settings *out)
{
    struct mr_pubsub_status status = check(s, settings);
    struct topic *topic;

    if (status.code != MR_PUBSUB_OK)
        return status;
    if (mr_pubsub_topic_find(s, settings->name))
        return mr_pubsub_taken(s, settings->name);
    topic = mr_pubsub_memory(sizeof *topic);
    topic->settings = *settings;
    topic->settings.name = mr_pubsub_span_copy(settings->name);
    topic->settings.extra = mr_pubsub_span_copy(settings->extra);
    topic->resource.name = topic->settings.name;
    topic->resource.uid = s->next_uid++;
    TAILQ_INIT(&topic->subscriptions);
    mr_pubsub_directory_add(&s->topics, &topic->resource);
    return answer(topic, out);
}

struct mr_pubsub_status mr_pubsub_topic_get(struct mr_pubsub_store *s, struct mr_span name,
                                            struct mr_pubsub_topic_settings *out)
{
    struct topic *topic = mr_pubsub_topic_find(s, name);

    return topic ? answer(topic, out) : mr_pubsub_missing(s, name);
}

struct mr_pubsub_status mr_pubsub_topic_update(struct mr_pubsub_store *s,
                                               const struct mr_pubsub_topic_settings *settings,
                                               struct mr_pubsub_topic_settings *out)
{
    struct mr_pubsub_status status = check(s, settings);
    struct topic *topic = mr_pubsub_topic_find(s, settings->name);
    struct mr_span old;

    if (status.code != MR_PUBSUB_OK)
        return status;
    if (!topic)
        return mr_pubsub_missing(s, settings->name);
    /* The new value may be the old one's own bytes: copy, then free. */
    old = topic->settings.extra;
    topic->settings.extra = mr_pubsub_span_copy(settings->extra);
    topic->settings.retention_us = settings->retention_us;
    mr_pubsub_span_free(old);
    return answer(topic, out);
}

struct mr_pubsub_status mr_pubsub_topic_delete(struct mr_pubsub_store *s, struct mr_span name)
{
    struct topic *topic = mr_pubsub_topic_find(s, name);
    struct subscription *sub;

    if (!topic)
        return mr_pubsub_missing(s, name);
    while ((sub = TAILQ_FIRST(&topic->subscriptions)) != NULL) {
        TAILQ_REMOVE(&topic->subscriptions, sub, link);
        sub->topic = NULL;
        mr_pubsub_span_free(sub->settings.topic);
        sub->settings.topic = mr_pubsub_span_copy(mr_span_text(MR_PUBSUB_DELETED_TOPIC));
    }
    mr_pubsub_directory_remove(&s->topics, &topic->resource);
    mr_pubsub_span_free(topic->settings.name);
    mr_pubsub_span_free(topic->settings.extra);
    free(topic);
    return mr_pubsub_ok();
}
