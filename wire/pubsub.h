/* The messages of google.pubsub.v1, both directions.
 *
 * Three ways in, by heat:
 *   mr_pubsub_walk      StreamingPullResponse as it arrives, split anywhere (the puller);
 *   mr_pubsub_ids       ack ids copied once, in wire form, into a request buffer (the puller);
 *   structs with _parse, _put and _nest (wire/shape.h) for all else, as the local cloud needs.
 *
 * Owns    spans point into the input or are the caller's.   Thread  plain memory.
 * Allocates never.   Errors  MR_E_PROTOBUF unless said otherwise.
 * Source  google/pubsub/v1/pubsub.proto. */
#ifndef MR_WIRE_PUBSUB_H
#define MR_WIRE_PUBSUB_H

#include "wire/shape.h"

/* ---- methods ---- */

/* X(NAME, service, method, key of x-goog-request-params) */
#define MR_PUBSUB_METHODS(X)                                                                       \
    X(CREATE_TOPIC, "Publisher", "CreateTopic", "name")                                            \
    X(UPDATE_TOPIC, "Publisher", "UpdateTopic", "topic.name")                                      \
    X(PUBLISH, "Publisher", "Publish", "topic")                                                    \
    X(GET_TOPIC, "Publisher", "GetTopic", "topic")                                                 \
    X(LIST_TOPICS, "Publisher", "ListTopics", "project")                                           \
    X(LIST_TOPIC_SUBSCRIPTIONS, "Publisher", "ListTopicSubscriptions", "topic")                    \
    X(LIST_TOPIC_SNAPSHOTS, "Publisher", "ListTopicSnapshots", "topic")                            \
    X(DELETE_TOPIC, "Publisher", "DeleteTopic", "topic")                                           \
    X(DETACH_SUBSCRIPTION, "Publisher", "DetachSubscription", "subscription")                      \
    X(CREATE_SUBSCRIPTION, "Subscriber", "CreateSubscription", "name")                             \
    X(GET_SUBSCRIPTION, "Subscriber", "GetSubscription", "subscription")                           \
    X(UPDATE_SUBSCRIPTION, "Subscriber", "UpdateSubscription", "subscription.name")                \
    X(LIST_SUBSCRIPTIONS, "Subscriber", "ListSubscriptions", "project")                            \
    X(DELETE_SUBSCRIPTION, "Subscriber", "DeleteSubscription", "subscription")                     \
    X(MODIFY_ACK_DEADLINE, "Subscriber", "ModifyAckDeadline", "subscription")                      \
    X(ACKNOWLEDGE, "Subscriber", "Acknowledge", "subscription")                                    \
    X(PULL, "Subscriber", "Pull", "subscription")                                                  \
    X(STREAMING_PULL, "Subscriber", "StreamingPull", "subscription")                               \
    X(MODIFY_PUSH_CONFIG, "Subscriber", "ModifyPushConfig", "subscription")                        \
    X(LIST_SNAPSHOTS, "Subscriber", "ListSnapshots", "project")                                    \
    X(GET_SNAPSHOT, "Subscriber", "GetSnapshot", "snapshot")                                       \
    X(CREATE_SNAPSHOT, "Subscriber", "CreateSnapshot", "name")                                     \
    X(UPDATE_SNAPSHOT, "Subscriber", "UpdateSnapshot", "snapshot.name")                            \
    X(DELETE_SNAPSHOT, "Subscriber", "DeleteSnapshot", "snapshot")                                 \
    X(SEEK, "Subscriber", "Seek", "subscription")

enum mr_pubsub_method {
#define MR_PUBSUB_METHOD(name, service, method, key) MR_PUBSUB_##name,
    MR_PUBSUB_METHODS(MR_PUBSUB_METHOD)
#undef MR_PUBSUB_METHOD
        MR_PUBSUB_METHOD_COUNT
};

/* "/google.pubsub.v1.Subscriber/StreamingPull" and "subscription"; static. */
const char *mr_pubsub_path(enum mr_pubsub_method method);
const char *mr_pubsub_routing_key(enum mr_pubsub_method method);
/* MR_PUBSUB_METHOD_COUNT for a path that names no method. */
enum mr_pubsub_method mr_pubsub_method_of(struct mr_span path);

/* ---- messages ---- */

/* PubsubMessage. Text is not checked for UTF-8 when parsed here (hot); servers call
 * mr_pubsub_message_check. */
struct mr_pubsub_message {
    struct mr_span data, message_id, ordering_key;
    int64_t publish_us; /* microseconds since 1970; 0: absent */
    struct mr_pb_map attributes;
};

/* ReceivedMessage. */
struct mr_pubsub_received {
    struct mr_span ack_id;
    int32_t delivery_attempt; /* 0 without a dead-letter policy */
    struct mr_pubsub_message message;
};

int mr_pubsub_message_parse(struct mr_pubsub_message *message, struct mr_span bytes);
void mr_pubsub_message_nest(struct mr_pen *pen, uint32_t number,
                            const struct mr_pubsub_message *message);
/* Text fields and attributes are UTF-8, attribute entries well formed. */
int mr_pubsub_message_check(const struct mr_pubsub_message *message);

/* One ReceivedMessage as the bytes of field 1 of a StreamingPullResponse or PullResponse. */
int mr_pubsub_received_parse(struct mr_pubsub_received *received, struct mr_span bytes);
void mr_pubsub_received_nest(struct mr_pen *pen, uint32_t number,
                             const struct mr_pubsub_received *received);

/* ---- StreamingPullResponse, as it arrives ---- */

/* Who lends the walker memory for a part that came in pieces. */
struct mr_pubsub_lender {
    void *self;
    uint8_t *(*borrow)(void *self, size_t bytes); /* NULL: none free now */
    void (*give_back)(void *self, uint8_t *carry, size_t bytes);
};

enum mr_pubsub_part {
    MR_PUBSUB_RECEIVED = 1,
    MR_PUBSUB_MODIFY_CONFIRMATION = 3,
    MR_PUBSUB_PROPERTIES = 4,
    MR_PUBSUB_ACK_CONFIRMATION = 5,
};

/* What the walker hands on; spans live until the next call on the same walker or the end of the
 * input's life, whichever is first. */
struct mr_pubsub_event {
    enum mr_pubsub_part part;
    struct mr_pubsub_received received; /* MR_PUBSUB_RECEIVED */
    struct mr_span bytes;               /* the part as it stood on the wire, any kind */
};

/* A resumable cursor over one response after another; with a gRPC cursor (wire/grpc.h) it stays
 * within 128 bytes a stream. Zero it or use mr_pubsub_walk_init. */
struct mr_pubsub_walk {
    const struct mr_pubsub_lender *lender;
    uint8_t *carry;       /* borrowed; NULL when nothing straddles */
    uint32_t carry_bytes; /* of the part under way, all of it */
    uint32_t carry_used;
    uint32_t response_left; /* bytes of the response not yet consumed */
    uint32_t skip_left;     /* of an unknown field */
    uint32_t part_bytes_max;
    uint8_t part;    /* field number of the carried part */
    uint8_t emitted; /* the carry was handed on and goes back at the next call */
    uint8_t head_bytes;
    uint8_t head[2 * MR_PB_VARINT_BYTES_MAX]; /* a tag and length that came in pieces */
};

/* `lender` outlives the walk; a part larger than `part_bytes_max` is MR_E_GRPC_TOO_LARGE. */
void mr_pubsub_walk_init(struct mr_pubsub_walk *walk, const struct mr_pubsub_lender *lender,
                         uint32_t part_bytes_max);
/* Gives a borrowed carry back; for a stream that ends early. Accepts zeroes. */
void mr_pubsub_walk_finish(struct mr_pubsub_walk *walk);

/* A response of `bytes` bytes begins (0 for a pong). */
void mr_pubsub_walk_begin(struct mr_pubsub_walk *walk, uint32_t bytes);

/* mr_pubsub_walk_next takes bytes off the front of `input` (the next piece of the response) up to
 * and including the next complete part.
 * Returns MR_OK with *event; MR_PARTIAL when input is used up (a carry that was handed on is then
 *         given back); MR_AGAIN when the lender had nothing: call again with the rest of `input`;
 *         or an error, after which the stream is to be reset and the walk finished.
 * Cost    a part whole in `input` is not copied. */
int mr_pubsub_walk_next(struct mr_pubsub_walk *walk, struct mr_span *input,
                        struct mr_pubsub_event *event);

/* The response ended: MR_OK, or MR_E_PROTOBUF if a part is incomplete. */
int mr_pubsub_walk_end(struct mr_pubsub_walk *walk);

/* AcknowledgeConfirmation and ModifyAckDeadlineConfirmation (the latter has no `unordered`). */
struct mr_pubsub_ack_confirmation {
    bool present;
    struct mr_pb_list ack_ids, invalid, unordered, temporary_failed;
};
MR_SHAPE_MESSAGE(mr_pubsub_ack_confirmation);

struct mr_pubsub_modify_confirmation {
    bool present;
    struct mr_pb_list ack_ids, invalid, temporary_failed;
};
MR_SHAPE_MESSAGE(mr_pubsub_modify_confirmation);

struct mr_pubsub_properties {
    bool present;
    bool exactly_once, ordering;
};
MR_SHAPE_MESSAGE(mr_pubsub_properties);

/* The whole response, for servers and for small ones: `received` are encoded ReceivedMessages. */
struct mr_pubsub_streaming_pull_response {
    struct mr_pb_list received;
    struct mr_pubsub_modify_confirmation modify_confirmation;
    struct mr_pubsub_properties properties;
    struct mr_pubsub_ack_confirmation ack_confirmation;
};
MR_SHAPE_MESSAGE(mr_pubsub_streaming_pull_response);

/* ---- requests about ack ids ---- */

/* AcknowledgeRequest or ModifyAckDeadlineRequest under construction in the caller's buffer.
 * To frame it in place begin at buffer + MR_GRPC_PREFIX_BYTES. */
struct mr_pubsub_ids {
    struct mr_pen pen;
    size_t head_bytes; /* before the first id */
    uint32_t count;
    uint8_t tag; /* of an id */
};

/* `limit` is the byte cap of the message (the service's is 512 KiB). The subscription's name must
 * fit (asserted). mr_pubsub_modify_begin writes the deadline first, so that ids can follow; 0
 * seconds is a nack. */
void mr_pubsub_ack_begin(struct mr_pubsub_ids *ids, void *buffer, size_t limit,
                         struct mr_span subscription);
void mr_pubsub_modify_begin(struct mr_pubsub_ids *ids, void *buffer, size_t limit,
                            struct mr_span subscription, int32_t deadline_seconds);

/* False: it does not fit and nothing was written. Ids of 16 KiB and more never fit. */
static inline bool mr_pubsub_ids_add(struct mr_pubsub_ids *ids, struct mr_span ack_id)
{
    size_t head = ack_id.bytes < 128 ? 2 : 3;
    uint8_t *place;

    if (ack_id.bytes >= 1u << 14 || mr_pen_room(&ids->pen) < head + ack_id.bytes ||
        !mr_pen_claim(&ids->pen, head + ack_id.bytes, &place))
        return false;
    place[0] = ids->tag;
    place[1] = (uint8_t)(ack_id.bytes | (head == 3 ? 128 : 0));
    if (head == 3)
        place[2] = (uint8_t)(ack_id.bytes >> 7);
    if (ack_id.bytes)
        memcpy(place + head, ack_id.data, ack_id.bytes);
    ids->count++;
    return true;
}

static inline struct mr_span mr_pubsub_ids_span(const struct mr_pubsub_ids *ids)
{
    return mr_pen_span(&ids->pen);
}

/* Back to no ids, same subscription and deadline. */
void mr_pubsub_ids_clear(struct mr_pubsub_ids *ids);

struct mr_pubsub_acknowledge {
    struct mr_span subscription;
    struct mr_pb_list ack_ids;
};
MR_SHAPE_MESSAGE(mr_pubsub_acknowledge);

struct mr_pubsub_modify_ack_deadline {
    struct mr_span subscription;
    int32_t ack_deadline_seconds;
    struct mr_pb_list ack_ids;
};
MR_SHAPE_MESSAGE(mr_pubsub_modify_ack_deadline);

/* StreamingPullRequest. A keepalive is the empty message: zero bytes, nothing to build.
 * `modify_deadlines` is parsed only, and walked by mr_pb_each_varint(mr_pb_each_of(bytes, 3)):
 * `bytes` is the whole request. */
struct mr_pubsub_streaming_pull {
    struct mr_span bytes; /* parsed only */
    struct mr_span subscription, client_id;
    struct mr_pb_list ack_ids, modify_ack_ids;
    uint32_t modify_deadlines; /* how many; parsed only */
    int32_t stream_ack_deadline_seconds;
    int64_t max_outstanding_messages, max_outstanding_bytes, protocol_version;
};
int mr_pubsub_streaming_pull_parse(struct mr_pubsub_streaming_pull *message, struct mr_span bytes);
void mr_pubsub_streaming_pull_put(struct mr_pen *pen,
                                  const struct mr_pubsub_streaming_pull *message);

/* ---- publish, pull, seek ---- */

/* PublishRequest: `messages` are encoded PubsubMessages. To build one without encoding twice: put
 * the topic by mr_pb_put_bytes(pen, 1, ...), then mr_pubsub_message_nest(pen, 2, ...) for each. */
struct mr_pubsub_publish {
    struct mr_span topic;
    struct mr_pb_list messages;
};
MR_SHAPE_MESSAGE(mr_pubsub_publish);

struct mr_pubsub_publish_response {
    struct mr_pb_list message_ids;
};
MR_SHAPE_MESSAGE(mr_pubsub_publish_response);

struct mr_pubsub_pull {
    struct mr_span subscription;
    bool return_immediately;
    int32_t max_messages;
};
MR_SHAPE_MESSAGE(mr_pubsub_pull);

struct mr_pubsub_pull_response {
    struct mr_pb_list received;
};
MR_SHAPE_MESSAGE(mr_pubsub_pull_response);

struct mr_pubsub_seek {
    struct mr_span subscription;
    struct mr_pb_time time;  /* either this */
    struct mr_span snapshot; /* or that */
};
MR_SHAPE_MESSAGE(mr_pubsub_seek);

/* ---- resources ---- */

/* Parts that an emulator keeps and gives back unread are struct mr_pb_part. */
struct mr_pubsub_topic {
    bool present;
    struct mr_span name;
    struct mr_pb_map labels;
    struct mr_pb_part message_storage_policy;
    struct mr_span kms_key_name;
    struct mr_pb_part schema_settings;
    bool satisfies_pzs;
    struct mr_pb_time message_retention_duration;
    int32_t state; /* 1 ACTIVE */
    struct mr_pb_part ingestion_data_source_settings;
    struct mr_pb_list message_transforms;
    struct mr_pb_map tags;
};
MR_SHAPE_MESSAGE(mr_pubsub_topic);

struct mr_pubsub_push_config {
    bool present;
    struct mr_span push_endpoint;
    struct mr_pb_map attributes;
    struct mr_pb_part oidc_token, pubsub_wrapper, no_wrapper;
};
MR_SHAPE_MESSAGE(mr_pubsub_push_config);

struct mr_pubsub_dead_letter_policy {
    bool present;
    struct mr_span dead_letter_topic;
    int32_t max_delivery_attempts;
};
MR_SHAPE_MESSAGE(mr_pubsub_dead_letter_policy);

struct mr_pubsub_retry_policy {
    bool present;
    struct mr_pb_time minimum_backoff, maximum_backoff;
};
MR_SHAPE_MESSAGE(mr_pubsub_retry_policy);

struct mr_pubsub_expiration_policy {
    bool present;
    struct mr_pb_time ttl; /* policy present, ttl absent: never */
};
MR_SHAPE_MESSAGE(mr_pubsub_expiration_policy);

struct mr_pubsub_subscription {
    bool present;
    struct mr_span name, topic;
    struct mr_pubsub_push_config push_config;
    int32_t ack_deadline_seconds;
    bool retain_acked_messages;
    struct mr_pb_time message_retention_duration;
    struct mr_pb_map labels;
    bool enable_message_ordering;
    struct mr_pubsub_expiration_policy expiration_policy;
    struct mr_span filter;
    struct mr_pubsub_dead_letter_policy dead_letter_policy;
    struct mr_pubsub_retry_policy retry_policy;
    bool detached, enable_exactly_once_delivery;
    struct mr_pb_time topic_message_retention_duration;
    struct mr_pb_part bigquery_config;
    int32_t state; /* 1 ACTIVE */
    struct mr_pb_part cloud_storage_config, analytics_hub_subscription_info;
    struct mr_pb_list message_transforms;
    struct mr_pb_map tags;
    struct mr_pb_part bigtable_config;
};
MR_SHAPE_MESSAGE(mr_pubsub_subscription);

struct mr_pubsub_snapshot {
    bool present;
    struct mr_span name, topic;
    struct mr_pb_time expire_time;
    struct mr_pb_map labels;
};
MR_SHAPE_MESSAGE(mr_pubsub_snapshot);

struct mr_pubsub_create_snapshot {
    struct mr_span name, subscription;
    struct mr_pb_map labels, tags;
};
MR_SHAPE_MESSAGE(mr_pubsub_create_snapshot);

/* GetTopic, DeleteTopic, GetSubscription, DeleteSubscription, DetachSubscription, GetSnapshot,
 * DeleteSnapshot: {1 name}. */
struct mr_pubsub_named {
    struct mr_span name;
};
MR_SHAPE_MESSAGE(mr_pubsub_named);

/* FieldMask {1 repeated paths}. */
struct mr_pubsub_mask {
    bool present;
    struct mr_pb_list paths;
};
MR_SHAPE_MESSAGE(mr_pubsub_mask);

struct mr_pubsub_update_topic {
    struct mr_pubsub_topic topic;
    struct mr_pubsub_mask update_mask;
};
MR_SHAPE_MESSAGE(mr_pubsub_update_topic);

struct mr_pubsub_update_subscription {
    struct mr_pubsub_subscription subscription;
    struct mr_pubsub_mask update_mask;
};
MR_SHAPE_MESSAGE(mr_pubsub_update_subscription);

struct mr_pubsub_update_snapshot {
    struct mr_pubsub_snapshot snapshot;
    struct mr_pubsub_mask update_mask;
};
MR_SHAPE_MESSAGE(mr_pubsub_update_snapshot);

struct mr_pubsub_modify_push_config {
    struct mr_span subscription;
    struct mr_pubsub_push_config push_config;
};
MR_SHAPE_MESSAGE(mr_pubsub_modify_push_config);

/* ListTopics, ListSubscriptions and ListSnapshots of a project; ListTopicSubscriptions and
 * ListTopicSnapshots of a topic. */
struct mr_pubsub_list {
    struct mr_span parent;
    int32_t page_size;
    struct mr_span page_token;
};
MR_SHAPE_MESSAGE(mr_pubsub_list);

/* `items` are encoded resources, or names for the two lists of a topic. */
struct mr_pubsub_list_response {
    struct mr_pb_list items;
    struct mr_span next_page_token;
};
MR_SHAPE_MESSAGE(mr_pubsub_list_response);

#endif
