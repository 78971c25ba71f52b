/* Topics and subscriptions: between the messages of the API and the settings of the store. What the
 * store does not know (labels, tags, ...) travels in its `extra`, as an encoded message. */
#include <stdio.h>
#include <stdlib.h>

#include "local/pubsub_front_parts.h"

#define ACTIVE 1

static bool refused(struct mr_served *call, const char *what)
{
    char text[128];

    snprintf(text, sizeof text, "The local cloud does not offer %s.", what);
    mr_served_end(call, MR_GRPC_UNIMPLEMENTED, text);
    return true;
}

/* ---- topics ---- */

static bool topic_refused(struct mr_served *call, const struct mr_pubsub_topic *t)
{
    if (t->schema_settings.present)
        return refused(call, "schemas");
    if (t->ingestion_data_source_settings.present)
        return refused(call, "ingestion from other sources");
    return t->message_transforms.found > 0 && refused(call, "message transforms");
}

static struct mr_span topic_extra(struct mr_pubsub_front *f, const struct mr_pubsub_topic *t)
{
    struct mr_pubsub_topic kept = {.labels = t->labels,
                                   .message_storage_policy = t->message_storage_policy,
                                   .kms_key_name = t->kms_key_name,
                                   .tags = t->tags};
    struct mr_pen pen = mr_pen_measure();
    size_t bytes;

    mr_pubsub_topic_put(&pen, &kept);
    bytes = pen.bytes;
    free(f->extra);
    f->extra = malloc(bytes + 1);
    MR_ASSERT(f->extra);
    pen = mr_pen_of(f->extra, bytes);
    mr_pubsub_topic_put(&pen, &kept);
    return mr_pen_span(&pen);
}

static struct mr_pubsub_topic_settings topic_settings(struct mr_pubsub_front *f,
                                                      const struct mr_pubsub_topic *t)
{
    return (struct mr_pubsub_topic_settings){
        .name = t->name,
        .retention_us = t->message_retention_duration.present
                            ? mr_pb_time_us(&t->message_retention_duration)
                            : 0,
        .extra = topic_extra(f, t),
    };
}

static struct mr_pubsub_topic topic_of(const struct mr_pubsub_topic_settings *settings)
{
    struct mr_pubsub_topic t;
    int err = mr_pubsub_topic_parse(&t, settings->extra);

    MR_ASSERT(err == MR_OK);
    t.name = settings->name;
    t.state = ACTIVE;
    if (settings->retention_us > 0)
        t.message_retention_duration = mr_pb_time_from_us(settings->retention_us);
    return t;
}

static void reply_topic(struct mr_served *call, const struct mr_pubsub_topic_settings *settings)
{
    struct mr_pubsub_topic t = topic_of(settings);
    struct mr_pen pen = mr_pen_measure();
    struct mr_served_buffer *buffer;

    mr_pubsub_topic_put(&pen, &t);
    buffer = mr_served_buffer_create(pen.bytes);
    pen = mr_pen_of(buffer->data, pen.bytes);
    mr_pubsub_topic_put(&pen, &t);
    mr_served_give(call, buffer, pen.bytes);
    mr_served_end(call, MR_GRPC_OK, "");
}

void mr_pubsub_front_create_topic(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    struct mr_pubsub_topic_settings settings, made;
    struct mr_pubsub_topic t;

    if (!mr_pubsub_front_parsed(call, mr_pubsub_topic_parse(&t, message)) ||
        topic_refused(call, &t))
        return;
    settings = topic_settings(f, &t);
    if (mr_pubsub_front_went(call, mr_pubsub_topic_create(f->store, &settings, &made)))
        reply_topic(call, &made);
}

void mr_pubsub_front_get_topic(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    struct mr_pubsub_topic_settings settings;
    struct mr_pubsub_named request;

    if (mr_pubsub_front_parsed(call, mr_pubsub_named_parse(&request, message)) &&
        mr_pubsub_front_went(call, mr_pubsub_topic_get(f->store, request.name, &settings)))
        reply_topic(call, &settings);
}

void mr_pubsub_front_delete_topic(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_named request;

    if (mr_pubsub_front_parsed(call, mr_pubsub_named_parse(&request, message)) &&
        mr_pubsub_front_went(call,
                             mr_pubsub_topic_delete(mr_pubsub_front_of(call)->store, request.name)))
        mr_served_reply(call, mr_span_of(NULL, 0));
}

/* ---- subscriptions ---- */

static bool subscription_refused(struct mr_served *call, const struct mr_pubsub_subscription *s)
{
    if (s->push_config.push_endpoint.bytes > 0)
        return refused(call, "push delivery");
    if (s->bigquery_config.present || s->cloud_storage_config.present || s->bigtable_config.present)
        return refused(call, "export subscriptions");
    return s->message_transforms.found > 0 && refused(call, "message transforms");
}

static struct mr_span subscription_extra(struct mr_pubsub_front *f,
                                         const struct mr_pubsub_subscription *s)
{
    struct mr_pubsub_subscription kept = {.labels = s->labels, .tags = s->tags};
    struct mr_pen pen = mr_pen_measure();
    size_t bytes;

    mr_pubsub_subscription_put(&pen, &kept);
    bytes = pen.bytes;
    free(f->extra);
    f->extra = malloc(bytes + 1);
    MR_ASSERT(f->extra);
    pen = mr_pen_of(f->extra, bytes);
    mr_pubsub_subscription_put(&pen, &kept);
    return mr_pen_span(&pen);
}

static int64_t time_or(const struct mr_pb_time *time, int64_t us)
{
    return time->present ? mr_pb_time_us(time) : us;
}

static struct mr_pubsub_subscription_settings
subscription_settings(struct mr_pubsub_front *f, const struct mr_pubsub_subscription *s)
{
    struct mr_pubsub_subscription_settings t = {
        .name = s->name,
        .topic = s->topic,
        .ack_deadline_s = s->ack_deadline_seconds,
        .retention_us = time_or(&s->message_retention_duration, 0),
        .retain_acked = s->retain_acked_messages,
        .ordering = s->enable_message_ordering,
        .exactly_once = s->enable_exactly_once_delivery,
        .filter = s->filter,
        .dead_letter = s->dead_letter_policy.dead_letter_topic,
        .attempts_max = s->dead_letter_policy.max_delivery_attempts,
        .retry = s->retry_policy.present,
        .expiration_us = s->expiration_policy.present ? time_or(&s->expiration_policy.ttl, -1) : 0,
        .extra = subscription_extra(f, s),
    };

    if (t.retry) {
        t.backoff_min_us = time_or(&s->retry_policy.minimum_backoff, MR_PUBSUB_BACKOFF_MIN_US);
        t.backoff_max_us = time_or(&s->retry_policy.maximum_backoff, MR_PUBSUB_BACKOFF_MAX_US);
    }
    return t;
}

static struct mr_pubsub_subscription
subscription_of(const struct mr_pubsub_subscription_settings *t)
{
    struct mr_pubsub_subscription s;
    int err = mr_pubsub_subscription_parse(&s, t->extra);

    MR_ASSERT(err == MR_OK);
    s.name = t->name;
    s.topic = t->topic;
    s.push_config.present = true; /* empty, as the service echoes it */
    s.ack_deadline_seconds = t->ack_deadline_s;
    s.retain_acked_messages = t->retain_acked;
    s.message_retention_duration = mr_pb_time_from_us(t->retention_us);
    s.enable_message_ordering = t->ordering;
    s.expiration_policy.present = true;
    if (t->expiration_us >= 0)
        s.expiration_policy.ttl = mr_pb_time_from_us(t->expiration_us);
    s.filter = t->filter;
    s.dead_letter_policy.present = t->dead_letter.bytes > 0;
    s.dead_letter_policy.dead_letter_topic = t->dead_letter;
    s.dead_letter_policy.max_delivery_attempts = t->attempts_max;
    s.retry_policy.present = t->retry;
    if (t->retry) {
        s.retry_policy.minimum_backoff = mr_pb_time_from_us(t->backoff_min_us);
        s.retry_policy.maximum_backoff = mr_pb_time_from_us(t->backoff_max_us);
    }
    s.detached = t->detached;
    s.enable_exactly_once_delivery = t->exactly_once;
    s.state = ACTIVE;
    return s;
}

static void reply_subscription(struct mr_served *call,
                               const struct mr_pubsub_subscription_settings *settings)
{
    struct mr_pubsub_subscription s = subscription_of(settings);
    struct mr_pen pen = mr_pen_measure();
    struct mr_served_buffer *buffer;

    mr_pubsub_subscription_put(&pen, &s);
    buffer = mr_served_buffer_create(pen.bytes);
    pen = mr_pen_of(buffer->data, pen.bytes);
    mr_pubsub_subscription_put(&pen, &s);
    mr_served_give(call, buffer, pen.bytes);
    mr_served_end(call, MR_GRPC_OK, "");
}

void mr_pubsub_front_create_subscription(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    struct mr_pubsub_subscription_settings settings, made;
    struct mr_pubsub_subscription s;

    if (!mr_pubsub_front_parsed(call, mr_pubsub_subscription_parse(&s, message)) ||
        subscription_refused(call, &s))
        return;
    settings = subscription_settings(f, &s);
    if (mr_pubsub_front_went(call, mr_pubsub_subscription_create(f->store, &settings, &made)))
        reply_subscription(call, &made);
}

void mr_pubsub_front_get_subscription(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    struct mr_pubsub_subscription_settings settings;
    struct mr_pubsub_named request;

    if (mr_pubsub_front_parsed(call, mr_pubsub_named_parse(&request, message)) &&
        mr_pubsub_front_went(call, mr_pubsub_subscription_get(f->store, request.name, &settings)))
        reply_subscription(call, &settings);
}

void mr_pubsub_front_delete_subscription(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_named request;

    if (mr_pubsub_front_parsed(call, mr_pubsub_named_parse(&request, message)) &&
        mr_pubsub_front_went(
            call, mr_pubsub_subscription_delete(mr_pubsub_front_of(call)->store, request.name)))
        mr_served_reply(call, mr_span_of(NULL, 0));
}

void mr_pubsub_front_detach(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_named request;

    if (mr_pubsub_front_parsed(call, mr_pubsub_named_parse(&request, message)) &&
        mr_pubsub_front_went(call, mr_pubsub_detach(mr_pubsub_front_of(call)->store, request.name)))
        mr_served_reply(call, mr_span_of(NULL, 0));
}

/* Becoming a pull subscription is what each of ours already is. */
void mr_pubsub_front_modify_push(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    struct mr_pubsub_subscription_settings settings;
    struct mr_pubsub_modify_push_config request;

    if (!mr_pubsub_front_parsed(call, mr_pubsub_modify_push_config_parse(&request, message)) ||
        !mr_pubsub_front_went(
            call, mr_pubsub_subscription_get(f->store, request.subscription, &settings)))
        return;
    if (request.push_config.push_endpoint.bytes > 0)
        refused(call, "push delivery");
    else
        mr_served_reply(call, mr_span_of(NULL, 0));
}

/* ---- updates ---- */

struct path {
    const char *name;
    size_t offset, bytes;
};

#define PATH(type, member)                                                                         \
    {                                                                                              \
#member, offsetof(struct type, member), sizeof(((struct type *)0)->member)                 \
    }

static const struct path topic_paths[] = {
    PATH(mr_pubsub_topic, labels),
    PATH(mr_pubsub_topic, message_storage_policy),
    PATH(mr_pubsub_topic, kms_key_name),
    PATH(mr_pubsub_topic, schema_settings),
    PATH(mr_pubsub_topic, message_retention_duration),
    PATH(mr_pubsub_topic, ingestion_data_source_settings),
    PATH(mr_pubsub_topic, message_transforms),
    PATH(mr_pubsub_topic, tags),
};

/* What is fixed at creation is let through: the store refuses it by name if it would change. */
static const struct path subscription_paths[] = {
    PATH(mr_pubsub_subscription, topic),
    PATH(mr_pubsub_subscription, push_config),
    PATH(mr_pubsub_subscription, ack_deadline_seconds),
    PATH(mr_pubsub_subscription, retain_acked_messages),
    PATH(mr_pubsub_subscription, message_retention_duration),
    PATH(mr_pubsub_subscription, labels),
    PATH(mr_pubsub_subscription, enable_message_ordering),
    PATH(mr_pubsub_subscription, expiration_policy),
    PATH(mr_pubsub_subscription, filter),
    PATH(mr_pubsub_subscription, dead_letter_policy),
    PATH(mr_pubsub_subscription, retry_policy),
    PATH(mr_pubsub_subscription, enable_exactly_once_delivery),
    PATH(mr_pubsub_subscription, bigquery_config),
    PATH(mr_pubsub_subscription, cloud_storage_config),
    PATH(mr_pubsub_subscription, message_transforms),
    PATH(mr_pubsub_subscription, tags),
    PATH(mr_pubsub_subscription, bigtable_config),
};

static bool apply_path(void *to, const void *from, const struct path *paths, size_t count,
                       struct mr_span name)
{
    for (size_t i = 0; i < count; i++) {
        if (!mr_span_equal(name, mr_span_text(paths[i].name)))
            continue;
        memcpy((uint8_t *)to + paths[i].offset, (const uint8_t *)from + paths[i].offset,
               paths[i].bytes);
        return true;
    }
    return false;
}

/* Copies the members that the mask names; false: the call has ended. */
static bool apply(struct mr_served *call, void *to, const void *from, const struct path *paths,
                  size_t count, const struct mr_pubsub_mask *mask)
{
    struct mr_pb_each each = mr_pb_list_each(&mask->paths);
    struct mr_span name;
    char text[256];

    if (mask->paths.found == 0) {
        mr_served_end(call, MR_GRPC_INVALID_ARGUMENT,
                      "The update_mask in the request must be set and name at least one field.");
        return false;
    }
    while (mr_pb_each_span(&each, &name)) {
        if (apply_path(to, from, paths, count, name))
            continue;
        snprintf(text, sizeof text, "Invalid update_mask provided: '%.*s' cannot be updated.",
                 (int)MR_MIN(name.bytes, 100), (const char *)name.data);
        mr_served_end(call, MR_GRPC_INVALID_ARGUMENT, text);
        return false;
    }
    return true;
}

void mr_pubsub_front_update_topic(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    struct mr_pubsub_topic_settings settings;
    struct mr_pubsub_update_topic request;
    struct mr_pubsub_topic t;

    if (!mr_pubsub_front_parsed(call, mr_pubsub_update_topic_parse(&request, message)) ||
        !mr_pubsub_front_went(call, mr_pubsub_topic_get(f->store, request.topic.name, &settings)))
        return;
    t = topic_of(&settings);
    if (!apply(call, &t, &request.topic, topic_paths, MR_COUNT(topic_paths),
               &request.update_mask) ||
        topic_refused(call, &t))
        return;
    settings = topic_settings(f, &t);
    if (mr_pubsub_front_went(call, mr_pubsub_topic_update(f->store, &settings, &settings)))
        reply_topic(call, &settings);
}

void mr_pubsub_front_update_subscription(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    struct mr_pubsub_subscription_settings settings;
    struct mr_pubsub_update_subscription request;
    struct mr_pubsub_subscription s;

    if (!mr_pubsub_front_parsed(call, mr_pubsub_update_subscription_parse(&request, message)) ||
        !mr_pubsub_front_went(
            call, mr_pubsub_subscription_get(f->store, request.subscription.name, &settings)))
        return;
    s = subscription_of(&settings);
    if (!apply(call, &s, &request.subscription, subscription_paths, MR_COUNT(subscription_paths),
               &request.update_mask) ||
        subscription_refused(call, &s))
        return;
    settings = subscription_settings(f, &s);
    if (mr_pubsub_front_went(call, mr_pubsub_subscription_update(f->store, &settings, &settings)))
        reply_subscription(call, &settings);
}

/* ---- lists ---- */

static void put_item(struct mr_pubsub_front *f, struct mr_pen *pen, enum mr_pubsub_listing list,
                     struct mr_span name)
{
    if (list == MR_PUBSUB_TOPICS) {
        struct mr_pubsub_topic_settings settings;
        mr_pubsub_topic_get(f->store, name, &settings);
        struct mr_pubsub_topic t = topic_of(&settings);
        mr_pubsub_topic_nest(pen, 1, &t);
    } else if (list == MR_PUBSUB_SUBSCRIPTIONS) {
        struct mr_pubsub_subscription_settings settings;
        mr_pubsub_subscription_get(f->store, name, &settings);
        struct mr_pubsub_subscription s = subscription_of(&settings);
        mr_pubsub_subscription_nest(pen, 1, &s);
    } else {
        mr_pb_put_bytes(pen, 1, name);
    }
}

/* Names of a page stay good while it is only read from. */
static void put_page(struct mr_pubsub_front *f, struct mr_pen *pen, enum mr_pubsub_listing list)
{
    for (uint32_t i = 0; i < f->page.count; i++)
        put_item(f, pen, list, f->page.names[i]);
    mr_pb_add_bytes(pen, 2, mr_span_text(f->page.next_token));
}

static void reply_list(struct mr_served *call, struct mr_span message, enum mr_pubsub_listing list)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    struct mr_pen pen = mr_pen_measure();
    struct mr_pubsub_list request;
    struct mr_served_buffer *buffer;

    if (!mr_pubsub_front_parsed(call, mr_pubsub_list_parse(&request, message)) ||
        !mr_pubsub_front_went(call,
                              mr_pubsub_page_get(f->store, list, request.parent, request.page_size,
                                                 request.page_token, &f->page)))
        return;
    put_page(f, &pen, list);
    buffer = mr_served_buffer_create(pen.bytes);
    pen = mr_pen_of(buffer->data, pen.bytes);
    put_page(f, &pen, list);
    mr_served_give(call, buffer, pen.bytes);
    mr_served_end(call, MR_GRPC_OK, "");
}

void mr_pubsub_front_list_topics(struct mr_served *call, struct mr_span message)
{
    reply_list(call, message, MR_PUBSUB_TOPICS);
}

void mr_pubsub_front_list_subscriptions(struct mr_served *call, struct mr_span message)
{
    reply_list(call, message, MR_PUBSUB_SUBSCRIPTIONS);
}

void mr_pubsub_front_list_topic_subscriptions(struct mr_served *call, struct mr_span message)
{
    reply_list(call, message, MR_PUBSUB_TOPIC_SUBSCRIPTIONS);
}
