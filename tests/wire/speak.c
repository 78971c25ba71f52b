/* The C side of tests/wire/protobuf.py. Lines "Message hex" on standard input are parsed and put
 * again, and answered by the hex of the result, or "error <number>". "Message build" is answered by
 * the hex of a message made here, whose values are the names of its members. */
#include <stdio.h>
#include <stdlib.h>

#include "wire/bigquery.h"
#include "wire/pubsub.h"

#define TEXT(x) mr_span_text(x)

static uint8_t in[1 << 20], out[1 << 20];

struct speaker {
    const char *name;
    int (*again)(struct mr_pen *pen, struct mr_span bytes);
    void (*build)(struct mr_pen *pen);
};

#define AGAIN(type)                                                                                \
    static int again_##type(struct mr_pen *pen, struct mr_span bytes)                              \
    {                                                                                              \
        struct type message;                                                                       \
        int err = type##_parse(&message, bytes);                                                   \
        if (err == MR_OK)                                                                          \
            type##_put(pen, &message);                                                             \
        return err;                                                                                \
    }

AGAIN(mr_rpc_status)
AGAIN(mr_rpc_error_info)
AGAIN(mr_rpc_retry_info)
AGAIN(mr_pubsub_streaming_pull_response)
AGAIN(mr_pubsub_acknowledge)
AGAIN(mr_pubsub_modify_ack_deadline)
AGAIN(mr_pubsub_publish)
AGAIN(mr_pubsub_publish_response)
AGAIN(mr_pubsub_pull)
AGAIN(mr_pubsub_seek)
AGAIN(mr_pubsub_topic)
AGAIN(mr_pubsub_subscription)
AGAIN(mr_pubsub_snapshot)
AGAIN(mr_pubsub_create_snapshot)
AGAIN(mr_pubsub_update_topic)
AGAIN(mr_pubsub_update_subscription)
AGAIN(mr_pubsub_modify_push_config)
AGAIN(mr_pubsub_list)
AGAIN(mr_pubsub_list_response)
AGAIN(mr_bigquery_append_request)
AGAIN(mr_bigquery_append_response)
AGAIN(mr_bigquery_row_error)
AGAIN(mr_bigquery_storage_error)
AGAIN(mr_bigquery_write_stream)
AGAIN(mr_bigquery_column)
AGAIN(mr_bigquery_create_write_stream)
AGAIN(mr_bigquery_get_write_stream)
AGAIN(mr_bigquery_finalize_response)
AGAIN(mr_bigquery_batch_commit)
AGAIN(mr_bigquery_batch_commit_response)
AGAIN(mr_bigquery_flush)
AGAIN(mr_bigquery_flush_response)

/* Pull responses and received messages go by hand through the hot structs. */
static int again_pull_response(struct mr_pen *pen, struct mr_span bytes)
{
    struct mr_pubsub_pull_response response;
    struct mr_pubsub_received received;
    struct mr_span item;
    int err = mr_pubsub_pull_response_parse(&response, bytes);
    struct mr_pb_each each = mr_pb_list_each(&response.received);

    while (err == MR_OK && mr_pb_each_span(&each, &item)) {
        err = mr_pubsub_received_parse(&received, item);
        if (err == MR_OK)
            mr_pubsub_received_nest(pen, 1, &received);
    }
    return err;
}

static int again_streaming_pull(struct mr_pen *pen, struct mr_span bytes)
{
    struct mr_pubsub_streaming_pull pull;
    int err = mr_pubsub_streaming_pull_parse(&pull, bytes);
    struct mr_pb_each each = mr_pb_each_of(pull.bytes, 3);
    uint64_t seconds;

    mr_pubsub_streaming_pull_put(pen, &pull);
    while (mr_pb_each_varint(&each, &seconds))
        mr_pb_put_int(pen, 3, (int64_t)seconds);
    return err;
}

static int again_descriptor(struct mr_pen *pen, struct mr_span bytes)
{
    static struct mr_bigquery_message messages[64];
    static struct mr_bigquery_field fields[256];
    static struct mr_bigquery_enum enums[16];
    struct mr_bigquery_descriptor descriptor = {messages, fields, enums, 64, 256, 16};
    int err = mr_bigquery_descriptor_parse(&descriptor, bytes);

    if (err == MR_OK)
        mr_bigquery_descriptor_put(pen, &descriptor);
    return err;
}

/* ---- messages made here ---- */

static void build_received(struct mr_pen *pen)
{
    struct mr_pb_pair pair = {TEXT("key"), TEXT("value")};
    struct mr_pubsub_received received = {.ack_id = TEXT("ack_id"),
                                          .delivery_attempt = 3,
                                          .message = {.data = TEXT("data"),
                                                      .message_id = TEXT("message_id"),
                                                      .ordering_key = TEXT("ordering_key"),
                                                      .publish_us = 1500000,
                                                      .attributes = {.pairs = &pair, .count = 1}}};
    mr_pubsub_received_nest(pen, 1, &received);
}

static void build_subscription(struct mr_pen *pen)
{
    struct mr_pubsub_subscription s = {
        .name = TEXT("name"),
        .topic = TEXT("topic"),
        .filter = TEXT("filter"),
        .push_config = {.present = true, .push_endpoint = TEXT("push_endpoint")},
        .ack_deadline_seconds = 5,
        .retain_acked_messages = true,
        .message_retention_duration = {.present = true, .seconds = 8},
        .enable_message_ordering = true,
        .expiration_policy = {.present = true, .ttl = {.present = true, .seconds = 11}},
        .dead_letter_policy = {.present = true,
                               .dead_letter_topic = TEXT("dead_letter_topic"),
                               .max_delivery_attempts = 13},
        .retry_policy = {.present = true,
                         .minimum_backoff = {.present = true, .seconds = 1},
                         .maximum_backoff = {.present = true, .seconds = 2}},
        .enable_exactly_once_delivery = true,
        .topic_message_retention_duration = {.present = true, .seconds = 17},
        .state = 19};
    mr_pubsub_subscription_put(pen, &s);
}

static void build_streaming_pull(struct mr_pen *pen)
{
    struct mr_pubsub_streaming_pull pull = {.subscription = TEXT("subscription"),
                                            .client_id = TEXT("client_id"),
                                            .stream_ack_deadline_seconds = 5,
                                            .max_outstanding_messages = 7,
                                            .max_outstanding_bytes = 8,
                                            .protocol_version = 10};
    mr_pubsub_streaming_pull_put(pen, &pull);
}

static void build_modify(struct mr_pen *pen)
{
    struct mr_pubsub_ids ids;
    mr_pubsub_modify_begin(&ids, pen->data, pen->limit, TEXT("subscription"), 3);
    mr_pubsub_ids_add(&ids, TEXT("ack_ids"));
    pen->bytes = ids.pen.bytes;
}

static void build_append(struct mr_pen *pen)
{
    struct mr_bigquery_append append;
    struct mr_bigquery_append_head head = {.write_stream = TEXT("write_stream"),
                                           .offset = {.present = true, .value = 0},
                                           .descriptor = {true, TEXT("\x0A\x04name")},
                                           .trace_id = TEXT("trace_id"),
                                           .default_missing_value_interpretation = 2};
    mr_bigquery_append_begin(&append, pen->data, pen->limit, &head);
    mr_bigquery_append_row(&append, TEXT("row"));
    mr_bigquery_append_row(&append, TEXT(""));
    pen->bytes = mr_bigquery_append_finish(&append).bytes;
}

static void build_write_stream(struct mr_pen *pen)
{
    struct mr_bigquery_write_stream stream = {.name = TEXT("name"),
                                              .type = 2,
                                              .create_time = {.present = true, .seconds = 3},
                                              .commit_time = {.present = true, .seconds = 4},
                                              .write_mode = 1,
                                              .location = TEXT("location")};
    mr_bigquery_write_stream_put(pen, &stream);
}

static void build_column(struct mr_pen *pen)
{
    struct mr_bigquery_column column = {
        .name = TEXT("name"),
        .type = 2,
        .mode = 3,
        .description = TEXT("description"),
        .max_length = 7,
        .precision = 8,
        .scale = 9,
        .default_value_expression = TEXT("default_value_expression"),
        .timestamp_precision = {.present = true, .value = 12}};
    mr_bigquery_column_put(pen, &column);
}

static void build_storage_error(struct mr_pen *pen)
{
    struct mr_bigquery_storage_error error = {
        .code = 8, .entity = TEXT("entity"), .error_message = TEXT("error_message")};
    mr_bigquery_storage_error_put(pen, &error);
}

static const struct speaker speakers[] = {
    {"Status", again_mr_rpc_status, NULL},
    {"ErrorInfo", again_mr_rpc_error_info, NULL},
    {"RetryInfo", again_mr_rpc_retry_info, NULL},
    {"StreamingPullRequest", again_streaming_pull, build_streaming_pull},
    {"StreamingPullResponse", again_mr_pubsub_streaming_pull_response, NULL},
    {"AcknowledgeRequest", again_mr_pubsub_acknowledge, NULL},
    {"ModifyAckDeadlineRequest", again_mr_pubsub_modify_ack_deadline, build_modify},
    {"PublishRequest", again_mr_pubsub_publish, NULL},
    {"PublishResponse", again_mr_pubsub_publish_response, NULL},
    {"PullRequest", again_mr_pubsub_pull, NULL},
    {"PullResponse", again_pull_response, build_received},
    {"SeekRequest", again_mr_pubsub_seek, NULL},
    {"Topic", again_mr_pubsub_topic, NULL},
    {"Subscription", again_mr_pubsub_subscription, build_subscription},
    {"Snapshot", again_mr_pubsub_snapshot, NULL},
    {"CreateSnapshotRequest", again_mr_pubsub_create_snapshot, NULL},
    {"UpdateTopicRequest", again_mr_pubsub_update_topic, NULL},
    {"UpdateSubscriptionRequest", again_mr_pubsub_update_subscription, NULL},
    {"ModifyPushConfigRequest", again_mr_pubsub_modify_push_config, NULL},
    {"ListTopicsRequest", again_mr_pubsub_list, NULL},
    {"ListTopicSubscriptionsResponse", again_mr_pubsub_list_response, NULL},
    {"AppendRowsRequest", again_mr_bigquery_append_request, build_append},
    {"AppendRowsResponse", again_mr_bigquery_append_response, NULL},
    {"RowError", again_mr_bigquery_row_error, NULL},
    {"StorageError", again_mr_bigquery_storage_error, build_storage_error},
    {"WriteStream", again_mr_bigquery_write_stream, build_write_stream},
    {"TableFieldSchema", again_mr_bigquery_column, build_column},
    {"CreateWriteStreamRequest", again_mr_bigquery_create_write_stream, NULL},
    {"GetWriteStreamRequest", again_mr_bigquery_get_write_stream, NULL},
    {"FinalizeWriteStreamResponse", again_mr_bigquery_finalize_response, NULL},
    {"BatchCommitWriteStreamsRequest", again_mr_bigquery_batch_commit, NULL},
    {"BatchCommitWriteStreamsResponse", again_mr_bigquery_batch_commit_response, NULL},
    {"FlushRowsRequest", again_mr_bigquery_flush, NULL},
    {"FlushRowsResponse", again_mr_bigquery_flush_response, NULL},
    {"DescriptorProto", again_descriptor, NULL},
};

static size_t unhex(const char *text)
{
    size_t bytes = 0;
    unsigned value;

    for (; sscanf(text, "%2x", &value) == 1; text += 2)
        in[bytes++] = (uint8_t)value;
    return bytes;
}

static void answer(const struct speaker *speaker, const char *text)
{
    struct mr_pen pen = mr_pen_of(out, sizeof out);
    int err = MR_OK;

    if (strcmp(text, "build") == 0)
        speaker->build(&pen);
    else
        err = speaker->again(&pen, mr_span_of(in, unhex(text)));
    if (err != MR_OK) {
        printf("error %d\n", -err);
        return;
    }
    for (size_t i = 0; i < pen.bytes; i++)
        printf("%02x", out[i]);
    printf("\n");
}

int main(void)
{
    static char line[1 << 20], name[64], text[1 << 20];

    while (fgets(line, sizeof line, stdin)) {
        text[0] = 0;
        const struct speaker *found = NULL;
        if (sscanf(line, "%63s %1048575s", name, text) >= 1)
            for (size_t i = 0; i < MR_COUNT(speakers); i++)
                if (strcmp(speakers[i].name, name) == 0)
                    found = &speakers[i];
        if (found)
            answer(found, text);
        else
            printf("unknown\n");
        fflush(stdout);
    }
    return 0;
}
