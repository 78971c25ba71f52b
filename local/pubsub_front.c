#include "local/pubsub_front.h"

#include <stdlib.h>

#include "local/pubsub_front_parts.h"

#define SERVED_A_TURN     64 /* responses; then the sockets get their turn */
#define ACK_REQUEST_BYTES (MR_PUBSUB_ACK_BYTES + (64u << 10)) /* the store tells those between */

struct mr_pubsub_front *mr_pubsub_front_create(struct mr_pubsub_store *store)
{
    struct mr_pubsub_front *front = calloc(1, sizeof *front);

    if (front)
        front->store = store;
    return front;
}

void mr_pubsub_front_destroy(struct mr_pubsub_front *front)
{
    if (!front)
        return;
    free(front->extra);
    free(front->ids);
    free(front->results);
    free(front->seconds);
    free(front->pairs);
    free(front);
}

/* ---- words for all ---- */

bool mr_pubsub_front_went(struct mr_served *call, struct mr_pubsub_status status)
{
    if (status.code != MR_PUBSUB_OK)
        mr_served_end(call, (int32_t)status.code, status.text);
    return status.code == MR_PUBSUB_OK;
}

bool mr_pubsub_front_parsed(struct mr_served *call, int err)
{
    if (err != MR_OK)
        mr_served_end(call, MR_GRPC_INVALID_ARGUMENT, "The request is not a well-formed message.");
    return err == MR_OK;
}

struct mr_span mr_pubsub_front_id(uint64_t id, char text[MR_PUBSUB_FRONT_ID_BYTES])
{
    size_t at = MR_PUBSUB_FRONT_ID_BYTES;

    do {
        text[--at] = (char)('0' + id % 10);
        id /= 10;
    } while (id > 0);
    return mr_span_of(text + at, MR_PUBSUB_FRONT_ID_BYTES - at);
}

void mr_pubsub_front_ids(struct mr_pubsub_front *f, uint32_t count)
{
    if (count <= f->id_room)
        return;
    f->id_room = (uint32_t)mr_pow2_at_least(count);
    f->ids = realloc(f->ids, f->id_room * sizeof *f->ids);
    f->results = realloc(f->results, f->id_room * sizeof *f->results);
    f->seconds = realloc(f->seconds, f->id_room * sizeof *f->seconds);
    MR_ASSERT(f->ids && f->results && f->seconds);
}

uint32_t mr_pubsub_front_list(struct mr_pubsub_front *f, const struct mr_pb_list *list)
{
    struct mr_pb_each each = mr_pb_list_each(list);
    uint32_t count = 0;

    mr_pubsub_front_ids(f, list->found);
    while (count < list->found && mr_pb_each_span(&each, &f->ids[count]))
        count++;
    return count;
}

/* ---- acks ---- */

static void put_failed_ids(struct mr_pen *pen, const struct mr_pubsub_front *f,
                           struct mr_pubsub_status status, struct mr_pb_pair *pairs, uint32_t count)
{
    uint8_t *info = malloc(pen->limit);
    struct mr_pen info_pen = mr_pen_of(info, pen->limit);
    struct mr_rpc_error_info error = {.reason = mr_span_text("EXACTLY_ONCE_ACKID_FAILURE"),
                                      .domain = mr_span_text("pubsub.googleapis.com"),
                                      .metadata.pairs = pairs};
    size_t mark;

    MR_ASSERT(info);
    for (uint32_t i = 0; i < count; i++) {
        const char *reason = mr_pubsub_ack_reason(f->results[i]);
        if (reason)
            pairs[error.metadata.count++] = (struct mr_pb_pair){f->ids[i], mr_span_text(reason)};
    }
    mr_rpc_error_info_put(&info_pen, &error);
    MR_ASSERT(info_pen.err == MR_OK);
    mr_pb_add_int(pen, 1, (int64_t)status.code);
    mr_pb_add_bytes(pen, 2, mr_span_text(status.text));
    mark = mr_pb_open_wide(pen, 3);
    mr_rpc_any_put_typed(pen, MR_RPC_ERROR_INFO, mr_pen_span(&info_pen));
    mr_pb_close_wide(pen, mark);
    free(info);
}

void mr_pubsub_front_failed_ids(struct mr_served *call, struct mr_pubsub_status status,
                                uint32_t count)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    size_t bytes = 1024 + strlen(status.text);
    struct mr_pb_pair *pairs = calloc(count + 1, sizeof *pairs);
    struct mr_pen pen;
    uint8_t *memory;

    for (uint32_t i = 0; i < count; i++)
        bytes += f->ids[i].bytes + 64;
    memory = malloc(bytes);
    MR_ASSERT(memory && pairs);
    pen = mr_pen_of(memory, bytes);
    put_failed_ids(&pen, f, status, pairs, count);
    MR_ASSERT(pen.err == MR_OK);
    mr_served_end_details(call, (int32_t)status.code, mr_span_text(status.text), mr_pen_span(&pen));
    free(pairs);
    free(memory);
}

/* A malformed id fails the request as a whole; only exactly-once failures have reasons. */
static bool has_reasons(const struct mr_pubsub_front *f, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (mr_pubsub_ack_reason(f->results[i]))
            return true;
    return false;
}

static void tell_acks(struct mr_served *call, struct mr_pubsub_status status, uint32_t count)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);

    if (status.code == MR_PUBSUB_OK)
        mr_served_reply(call, mr_span_of(NULL, 0));
    else if (status.code != MR_PUBSUB_NOT_FOUND && has_reasons(f, count))
        mr_pubsub_front_failed_ids(call, status, count);
    else
        mr_pubsub_front_went(call, status);
}

static void acknowledge(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    struct mr_pubsub_acknowledge request;
    uint32_t count;

    if (!mr_pubsub_front_parsed(call, mr_pubsub_acknowledge_parse(&request, message)))
        return;
    count = mr_pubsub_front_list(f, &request.ack_ids);
    memset(f->results, 0, count * sizeof *f->results);
    tell_acks(
        call,
        mr_pubsub_ack(f->store, request.subscription, f->ids, count, call->now_us, f->results),
        count);
}

static void modify_ack_deadline(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    struct mr_pubsub_modify_ack_deadline request;
    uint32_t count;

    if (!mr_pubsub_front_parsed(call, mr_pubsub_modify_ack_deadline_parse(&request, message)))
        return;
    count = mr_pubsub_front_list(f, &request.ack_ids);
    memset(f->results, 0, count * sizeof *f->results);
    tell_acks(call,
              mr_pubsub_modify(f->store, request.subscription, f->ids, count,
                               &request.ack_deadline_seconds, 1, call->now_us, f->results),
              count);
}

/* ---- publish ---- */

/* The last of equal keys wins, as in any map. */
static void add_pair(struct mr_pubsub_front *f, uint32_t first, uint32_t *used, struct mr_span key,
                     struct mr_span value)
{
    for (uint32_t i = first; i < *used; i++)
        if (mr_span_equal(f->pairs[i].key, key)) {
            f->pairs[i].value = value;
            return;
        }
    f->pairs[(*used)++] = (struct mr_pubsub_pair){key, value};
}

static bool read_post(struct mr_pubsub_front *f, uint32_t at, struct mr_span bytes, uint32_t *used)
{
    struct mr_pubsub_message message;
    struct mr_span key, value;
    struct mr_pb_each each;

    if (mr_pubsub_message_parse(&message, bytes) != MR_OK ||
        mr_pubsub_message_check(&message) != MR_OK)
        return false;
    if (*used + message.attributes.found > f->pair_room) {
        f->pair_room = (uint32_t)mr_pow2_at_least(*used + message.attributes.found);
        f->pairs = realloc(f->pairs, f->pair_room * sizeof *f->pairs);
        MR_ASSERT(f->pairs);
    }
    f->first_pairs[at] = *used;
    each = mr_pb_map_each(&message.attributes);
    while (mr_pb_each_pair(&each, &key, &value))
        /* More distinct keys than the limit are refused anyway, so only so many are compared. */
        if (*used - f->first_pairs[at] <= MR_PUBSUB_PAIRS_MAX)
            add_pair(f, f->first_pairs[at], used, key, value);
    f->posts[at] = (struct mr_pubsub_post){.data = message.data,
                                           .pair_count = *used - f->first_pairs[at],
                                           .ordering_key = message.ordering_key};
    return true;
}

static bool read_posts(struct mr_served *call, const struct mr_pubsub_publish *request)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    struct mr_pb_each each = mr_pb_list_each(&request->messages);
    uint32_t count = request->messages.found, used = 0;
    struct mr_span bytes;

    if (count > MR_PUBSUB_REQUEST_POSTS) {
        mr_served_end(call, MR_GRPC_INVALID_ARGUMENT,
                      "The value for message_count is too large: at most 1000 messages a request.");
        return false;
    }
    for (uint32_t i = 0; i < count && mr_pb_each_span(&each, &bytes); i++)
        if (!read_post(f, i, bytes, &used))
            return mr_pubsub_front_parsed(call, MR_E_PROTOBUF);
    /* Only now, since the array moves while it grows. */
    for (uint32_t i = 0; i < count; i++)
        f->posts[i].pairs = f->pairs ? f->pairs + f->first_pairs[i] : NULL;
    return true;
}

static void publish(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    struct mr_pubsub_publish request;
    char text[MR_PUBSUB_FRONT_ID_BYTES];
    struct mr_served_buffer *buffer;
    struct mr_pen pen;
    size_t bytes;

    if (!mr_pubsub_front_parsed(call, mr_pubsub_publish_parse(&request, message)) ||
        !read_posts(call, &request) ||
        !mr_pubsub_front_went(call, mr_pubsub_publish(f->store, request.topic, f->posts,
                                                      request.messages.found, call->now_us,
                                                      f->message_ids)))
        return;
    bytes = request.messages.found * (size_t)(MR_PUBSUB_FRONT_ID_BYTES + 2);
    buffer = mr_served_buffer_create(bytes);
    pen = mr_pen_of(buffer->data, bytes);
    for (uint32_t i = 0; i < request.messages.found; i++)
        mr_pb_put_bytes(&pen, 1, mr_pubsub_front_id(f->message_ids[i], text));
    MR_ASSERT(pen.err == MR_OK);
    mr_served_give(call, buffer, pen.bytes);
    mr_served_end(call, MR_GRPC_OK, "");
}

/* ---- seek, and what is not there ---- */

static void seek(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_seek request;

    if (!mr_pubsub_front_parsed(call, mr_pubsub_seek_parse(&request, message)))
        return;
    if (request.snapshot.bytes)
        mr_served_end(call, MR_GRPC_UNIMPLEMENTED, "The local cloud does not offer snapshots.");
    else if (!request.time.present)
        mr_served_end(call, MR_GRPC_INVALID_ARGUMENT, "A seek needs a time.");
    else if (mr_pubsub_front_went(call, mr_pubsub_seek(mr_pubsub_front_of(call)->store,
                                                       request.subscription,
                                                       mr_pb_time_us(&request.time), call->now_us)))
        mr_served_reply(call, mr_span_of(NULL, 0));
}

/* There are no snapshots, so an empty list is the truth. */
static void list_snapshots(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_list request;

    if (mr_pubsub_front_parsed(call, mr_pubsub_list_parse(&request, message)))
        mr_served_reply(call, mr_span_of(NULL, 0));
}

/* ---- the table ---- */

#define SMALL_BYTES (1u << 20)
#define UNARY(name, handler)                                                                       \
    [MR_PUBSUB_##name] = {.request_bytes_max = SMALL_BYTES, .message = handler}

static const struct mr_method methods[MR_PUBSUB_METHOD_COUNT] = {
    UNARY(CREATE_TOPIC, mr_pubsub_front_create_topic),
    UNARY(UPDATE_TOPIC, mr_pubsub_front_update_topic),
    [MR_PUBSUB_PUBLISH] = {.request_bytes_max = MR_PUBSUB_FRONT_REQUEST_BYTES,
                           .too_large_code = MR_GRPC_INVALID_ARGUMENT,
                           .too_large = "Request payload size exceeds the limit: 10485760 bytes.",
                           .message = publish},
    UNARY(GET_TOPIC, mr_pubsub_front_get_topic),
    UNARY(LIST_TOPICS, mr_pubsub_front_list_topics),
    UNARY(LIST_TOPIC_SUBSCRIPTIONS, mr_pubsub_front_list_topic_subscriptions),
    UNARY(LIST_TOPIC_SNAPSHOTS, list_snapshots),
    UNARY(DELETE_TOPIC, mr_pubsub_front_delete_topic),
    UNARY(DETACH_SUBSCRIPTION, mr_pubsub_front_detach),
    UNARY(CREATE_SUBSCRIPTION, mr_pubsub_front_create_subscription),
    UNARY(GET_SUBSCRIPTION, mr_pubsub_front_get_subscription),
    UNARY(UPDATE_SUBSCRIPTION, mr_pubsub_front_update_subscription),
    UNARY(LIST_SUBSCRIPTIONS, mr_pubsub_front_list_subscriptions),
    UNARY(DELETE_SUBSCRIPTION, mr_pubsub_front_delete_subscription),
    [MR_PUBSUB_MODIFY_ACK_DEADLINE] = {.request_bytes_max = ACK_REQUEST_BYTES,
                                       .too_large_code = MR_GRPC_INVALID_ARGUMENT,
                                       .too_large =
                                           "Request payload size exceeds the limit: 524288 bytes.",
                                       .message = modify_ack_deadline},
    [MR_PUBSUB_ACKNOWLEDGE] = {.request_bytes_max = ACK_REQUEST_BYTES,
                               .too_large_code = MR_GRPC_INVALID_ARGUMENT,
                               .too_large = "Request payload size exceeds the limit: 524288 bytes.",
                               .message = acknowledge},
    [MR_PUBSUB_PULL] = {.request_bytes_max = SMALL_BYTES,
                        .message = mr_pubsub_front_pull,
                        .due = mr_pubsub_front_pull_due,
                        .closed = mr_pubsub_front_pull_closed},
    [MR_PUBSUB_STREAMING_PULL] = {.request_bytes_max = ACK_REQUEST_BYTES,
                                  .streams = true,
                                  .too_large_code = MR_GRPC_INVALID_ARGUMENT,
                                  .too_large =
                                      "Request payload size exceeds the limit: 524288 bytes.",
                                  .message = mr_pubsub_front_stream,
                                  .room = mr_pubsub_front_stream_room,
                                  .closed = mr_pubsub_front_pull_closed},
    UNARY(MODIFY_PUSH_CONFIG, mr_pubsub_front_modify_push),
    UNARY(LIST_SNAPSHOTS, list_snapshots),
    UNARY(SEEK, seek),
};

static const struct mr_method *find(void *self, struct mr_span path)
{
    enum mr_pubsub_method method = mr_pubsub_method_of(path);

    (void)self;
    return method < MR_PUBSUB_METHOD_COUNT && methods[method].message ? &methods[method] : NULL;
}

struct mr_front mr_pubsub_front_service(struct mr_pubsub_front *front)
{
    return (struct mr_front){front, find};
}

uint32_t mr_pubsub_front_turn(struct mr_pubsub_front *f, int64_t now_us)
{
    struct mr_pubsub_puller *puller;
    uint32_t served = 0;

    if (mr_pubsub_due_us(f->store) <= now_us)
        mr_pubsub_tick(f->store, now_us);
    while (served < SERVED_A_TURN && (puller = mr_pubsub_ready(f->store))) {
        mr_pubsub_front_serve(mr_pubsub_puller_context(puller), now_us);
        served++;
    }
    return served;
}
