#include "wire/pubsub.h"

/* ---- methods ---- */

static const struct {
    const char *path, *key;
} methods[MR_PUBSUB_METHOD_COUNT] = {
#define ROW(name, service, method, key) {"/google.pubsub.v1." service "/" method, key},
    MR_PUBSUB_METHODS(ROW)
#undef ROW
};

const char *mr_pubsub_path(enum mr_pubsub_method method)
{
    MR_ASSERT(method < MR_PUBSUB_METHOD_COUNT);
    return methods[method].path;
}

const char *mr_pubsub_routing_key(enum mr_pubsub_method method)
{
    MR_ASSERT(method < MR_PUBSUB_METHOD_COUNT);
    return methods[method].key;
}

enum mr_pubsub_method mr_pubsub_method_of(struct mr_span path)
{
    for (uint32_t i = 0; i < MR_PUBSUB_METHOD_COUNT; i++)
        if (mr_span_equal(path, mr_span_text(methods[i].path)))
            return (enum mr_pubsub_method)i;
    return MR_PUBSUB_METHOD_COUNT;
}

/* ---- messages with data ---- */

void mr_pubsub_message_nest(struct mr_pen *pen, uint32_t number,
                            const struct mr_pubsub_message *message)
{
    struct mr_pb_time publish = mr_pb_time_from_us(message->publish_us);
    size_t mark = mr_pb_open(pen, number);

    publish.present = message->publish_us != 0;
    mr_pb_add_bytes(pen, 1, message->data);
    mr_pb_put_map(pen, 2, &message->attributes);
    mr_pb_add_bytes(pen, 3, message->message_id);
    mr_pb_put_time(pen, 4, &publish);
    mr_pb_add_bytes(pen, 5, message->ordering_key);
    mr_pb_close(pen, mark);
}

int mr_pubsub_message_check(const struct mr_pubsub_message *message)
{
    struct mr_pb_each each = mr_pb_map_each(&message->attributes);
    struct mr_span key, value;

    if (!mr_utf8_valid(message->message_id) || !mr_utf8_valid(message->ordering_key))
        return MR_E_PROTOBUF;
    while (mr_pb_each_pair(&each, &key, &value))
        if (!mr_utf8_valid(key) || !mr_utf8_valid(value))
            return MR_E_PROTOBUF;
    return each.cursor.err;
}

void mr_pubsub_received_nest(struct mr_pen *pen, uint32_t number,
                             const struct mr_pubsub_received *received)
{
    size_t mark = mr_pb_open(pen, number);

    mr_pb_add_bytes(pen, 1, received->ack_id);
    mr_pubsub_message_nest(pen, 2, &received->message);
    mr_pb_add_int(pen, 3, received->delivery_attempt);
    mr_pb_close(pen, mark);
}

/* ---- requests about ack ids ---- */

static void begin(struct mr_pubsub_ids *ids, void *buffer, size_t limit,
                  struct mr_span subscription)
{
    *ids = (struct mr_pubsub_ids){.pen = mr_pen_of(buffer, limit)};
    mr_pb_put_bytes(&ids->pen, 1, subscription);
}

static void begun(struct mr_pubsub_ids *ids, uint32_t number)
{
    MR_ASSERT(ids->pen.err == MR_OK);
    ids->head_bytes = ids->pen.bytes;
    ids->tag = (uint8_t)MR_PB_TAG(number, MR_PB_BYTES);
}

void mr_pubsub_ack_begin(struct mr_pubsub_ids *ids, void *buffer, size_t limit,
                         struct mr_span subscription)
{
    begin(ids, buffer, limit, subscription);
    begun(ids, 2);
}

void mr_pubsub_modify_begin(struct mr_pubsub_ids *ids, void *buffer, size_t limit,
                            struct mr_span subscription, int32_t deadline_seconds)
{
    begin(ids, buffer, limit, subscription);
    mr_pb_add_int(&ids->pen, 3, deadline_seconds);
    begun(ids, 4);
}

void mr_pubsub_ids_clear(struct mr_pubsub_ids *ids)
{
    mr_pen_rewind(&ids->pen, ids->head_bytes);
    ids->count = 0;
}

/* StreamingPullRequest is the one message with repeated numbers, hence by hand around its shape. */
#define SLOT(type, number, kind, member)                                                           \
    {                                                                                              \
        number, MR_SHAPE_##kind, offsetof(struct type, member)                                     \
    }
#define NEST(type, number, member, nested)                                                         \
    {                                                                                              \
        number, MR_SHAPE_NESTED, offsetof(struct type, member), &nested##_shape                    \
    }

#define PULL_SLOT(number, kind, member) SLOT(mr_pubsub_streaming_pull, number, kind, member)
static const struct mr_shape_slot streaming_pull_slots[] = {
    PULL_SLOT(1, TEXT, subscription),
    PULL_SLOT(2, TEXTS, ack_ids),
    PULL_SLOT(4, TEXTS, modify_ack_ids),
    PULL_SLOT(5, INT32, stream_ack_deadline_seconds),
    PULL_SLOT(6, TEXT, client_id),
    PULL_SLOT(7, INT64, max_outstanding_messages),
    PULL_SLOT(8, INT64, max_outstanding_bytes),
    PULL_SLOT(10, INT64, protocol_version),
};
static const struct mr_shape streaming_pull_shape = {
    streaming_pull_slots, MR_COUNT(streaming_pull_slots), sizeof(struct mr_pubsub_streaming_pull),
    false};

int mr_pubsub_streaming_pull_parse(struct mr_pubsub_streaming_pull *message, struct mr_span bytes)
{
    struct mr_pb_each each = mr_pb_each_of(bytes, 3);
    uint64_t seconds;
    int err = mr_shape_parse(&streaming_pull_shape, message, bytes);

    message->bytes = bytes;
    while (err == MR_OK && mr_pb_each_varint(&each, &seconds))
        message->modify_deadlines++;
    return err == MR_OK ? each.cursor.err : err;
}

void mr_pubsub_streaming_pull_put(struct mr_pen *pen,
                                  const struct mr_pubsub_streaming_pull *message)
{
    mr_shape_put(&streaming_pull_shape, pen, message);
}

/* ---- tables ---- */

#define S1(type, ...) MR_SHAPE_DEFINE(type, true, __VA_ARGS__)
#define S0(type, ...) MR_SHAPE_DEFINE(type, false, __VA_ARGS__)

#define T mr_pubsub_ack_confirmation
S1(mr_pubsub_ack_confirmation, SLOT(T, 1, TEXTS, ack_ids), SLOT(T, 2, TEXTS, invalid),
   SLOT(T, 3, TEXTS, unordered), SLOT(T, 4, TEXTS, temporary_failed));
#undef T
#define T mr_pubsub_modify_confirmation
S1(mr_pubsub_modify_confirmation, SLOT(T, 1, TEXTS, ack_ids), SLOT(T, 2, TEXTS, invalid),
   SLOT(T, 3, TEXTS, temporary_failed));
#undef T
#define T mr_pubsub_properties
S1(mr_pubsub_properties, SLOT(T, 1, BOOL, exactly_once), SLOT(T, 2, BOOL, ordering));
#undef T
#define T mr_pubsub_streaming_pull_response
S0(mr_pubsub_streaming_pull_response, SLOT(T, 1, LIST, received),
   NEST(T, 3, modify_confirmation, mr_pubsub_modify_confirmation),
   NEST(T, 4, properties, mr_pubsub_properties),
   NEST(T, 5, ack_confirmation, mr_pubsub_ack_confirmation));
#undef T
#define T mr_pubsub_acknowledge
S0(mr_pubsub_acknowledge, SLOT(T, 1, TEXT, subscription), SLOT(T, 2, TEXTS, ack_ids));
#undef T
#define T mr_pubsub_modify_ack_deadline
S0(mr_pubsub_modify_ack_deadline, SLOT(T, 1, TEXT, subscription),
   SLOT(T, 3, INT32, ack_deadline_seconds), SLOT(T, 4, TEXTS, ack_ids));
#undef T
#define T mr_pubsub_publish
S0(mr_pubsub_publish, SLOT(T, 1, TEXT, topic), SLOT(T, 2, LIST, messages));
#undef T
#define T mr_pubsub_publish_response
S0(mr_pubsub_publish_response, SLOT(T, 1, TEXTS, message_ids));
#undef T
#define T mr_pubsub_pull
S0(mr_pubsub_pull, SLOT(T, 1, TEXT, subscription), SLOT(T, 2, BOOL, return_immediately),
   SLOT(T, 3, INT32, max_messages));
#undef T
#define T mr_pubsub_pull_response
S0(mr_pubsub_pull_response, SLOT(T, 1, LIST, received));
#undef T
#define T mr_pubsub_seek
S0(mr_pubsub_seek, SLOT(T, 1, TEXT, subscription), SLOT(T, 2, TIME, time),
   SLOT(T, 3, TEXT, snapshot));
#undef T
#define T mr_pubsub_topic
S1(mr_pubsub_topic, SLOT(T, 1, TEXT, name), SLOT(T, 2, MAP, labels),
   SLOT(T, 3, PART, message_storage_policy), SLOT(T, 5, TEXT, kms_key_name),
   SLOT(T, 6, PART, schema_settings), SLOT(T, 7, BOOL, satisfies_pzs),
   SLOT(T, 8, TIME, message_retention_duration), SLOT(T, 9, INT32, state),
   SLOT(T, 10, PART, ingestion_data_source_settings), SLOT(T, 13, LIST, message_transforms),
   SLOT(T, 14, MAP, tags));
#undef T
#define T mr_pubsub_push_config
S1(mr_pubsub_push_config, SLOT(T, 1, TEXT, push_endpoint), SLOT(T, 2, MAP, attributes),
   SLOT(T, 3, PART, oidc_token), SLOT(T, 4, PART, pubsub_wrapper), SLOT(T, 5, PART, no_wrapper));
#undef T
#define T mr_pubsub_dead_letter_policy
S1(mr_pubsub_dead_letter_policy, SLOT(T, 1, TEXT, dead_letter_topic),
   SLOT(T, 2, INT32, max_delivery_attempts));
#undef T
#define T mr_pubsub_retry_policy
S1(mr_pubsub_retry_policy, SLOT(T, 1, TIME, minimum_backoff), SLOT(T, 2, TIME, maximum_backoff));
#undef T
#define T mr_pubsub_expiration_policy
S1(mr_pubsub_expiration_policy, SLOT(T, 1, TIME, ttl));
#undef T
#define T mr_pubsub_subscription
S1(mr_pubsub_subscription, SLOT(T, 1, TEXT, name), SLOT(T, 2, TEXT, topic),
   NEST(T, 4, push_config, mr_pubsub_push_config), SLOT(T, 5, INT32, ack_deadline_seconds),
   SLOT(T, 7, BOOL, retain_acked_messages), SLOT(T, 8, TIME, message_retention_duration),
   SLOT(T, 9, MAP, labels), SLOT(T, 10, BOOL, enable_message_ordering),
   NEST(T, 11, expiration_policy, mr_pubsub_expiration_policy), SLOT(T, 12, TEXT, filter),
   NEST(T, 13, dead_letter_policy, mr_pubsub_dead_letter_policy),
   NEST(T, 14, retry_policy, mr_pubsub_retry_policy), SLOT(T, 15, BOOL, detached),
   SLOT(T, 16, BOOL, enable_exactly_once_delivery),
   SLOT(T, 17, TIME, topic_message_retention_duration), SLOT(T, 18, PART, bigquery_config),
   SLOT(T, 19, INT32, state), SLOT(T, 22, PART, cloud_storage_config),
   SLOT(T, 23, PART, analytics_hub_subscription_info), SLOT(T, 25, LIST, message_transforms),
   SLOT(T, 26, MAP, tags), SLOT(T, 27, PART, bigtable_config));
#undef T
#define T mr_pubsub_snapshot
S1(mr_pubsub_snapshot, SLOT(T, 1, TEXT, name), SLOT(T, 2, TEXT, topic),
   SLOT(T, 3, TIME, expire_time), SLOT(T, 4, MAP, labels));
#undef T
#define T mr_pubsub_create_snapshot
S0(mr_pubsub_create_snapshot, SLOT(T, 1, TEXT, name), SLOT(T, 2, TEXT, subscription),
   SLOT(T, 3, MAP, labels), SLOT(T, 4, MAP, tags));
#undef T
S0(mr_pubsub_named, SLOT(mr_pubsub_named, 1, TEXT, name));
S1(mr_pubsub_mask, SLOT(mr_pubsub_mask, 1, TEXTS, paths));
#define T mr_pubsub_update_topic
S0(mr_pubsub_update_topic, NEST(T, 1, topic, mr_pubsub_topic),
   NEST(T, 2, update_mask, mr_pubsub_mask));
#undef T
#define T mr_pubsub_update_subscription
S0(mr_pubsub_update_subscription, NEST(T, 1, subscription, mr_pubsub_subscription),
   NEST(T, 2, update_mask, mr_pubsub_mask));
#undef T
#define T mr_pubsub_update_snapshot
S0(mr_pubsub_update_snapshot, NEST(T, 1, snapshot, mr_pubsub_snapshot),
   NEST(T, 2, update_mask, mr_pubsub_mask));
#undef T
#define T mr_pubsub_modify_push_config
S0(mr_pubsub_modify_push_config, SLOT(T, 1, TEXT, subscription),
   NEST(T, 2, push_config, mr_pubsub_push_config));
#undef T
#define T mr_pubsub_list
S0(mr_pubsub_list, SLOT(T, 1, TEXT, parent), SLOT(T, 2, INT32, page_size),
   SLOT(T, 3, TEXT, page_token));
#undef T
#define T mr_pubsub_list_response
S0(mr_pubsub_list_response, SLOT(T, 1, LIST, items), SLOT(T, 2, TEXT, next_page_token));
#undef T
