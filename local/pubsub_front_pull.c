/* Delivering: a Pull that waits and a StreamingPull are both a puller of the store. */
#include <stdlib.h>

#include "local/pubsub_front_parts.h"

#define STREAM_QUEUE_BYTES   (1u << 20) /* beyond it a stream waits until its client reads */
#define DELIVERY_EXTRA_BYTES 96         /* tags, lengths, id, time, attempt */
#define PAIR_EXTRA_BYTES     20         /* tags and lengths of an attribute */

static size_t bound(const struct mr_pubsub_delivery *d)
{
    size_t bytes = d->ack_id.bytes + d->data.bytes + d->ordering_key.bytes + DELIVERY_EXTRA_BYTES;

    for (uint32_t i = 0; i < d->pair_count; i++)
        bytes += d->pairs[i].key.bytes + d->pairs[i].value.bytes + PAIR_EXTRA_BYTES;
    return bytes;
}

static void put_delivery(struct mr_pen *pen, const struct mr_pubsub_delivery *d)
{
    struct mr_pb_time time = mr_pb_time_from_us(d->publish_us);
    char text[MR_PUBSUB_FRONT_ID_BYTES];
    size_t received = mr_pb_open_wide(pen, 1), message;

    mr_pb_put_bytes(pen, 1, d->ack_id);
    message = mr_pb_open_wide(pen, 2);
    mr_pb_add_bytes(pen, 1, d->data);
    for (uint32_t i = 0; i < d->pair_count; i++)
        mr_pb_put_pair(pen, 2, d->pairs[i].key, d->pairs[i].value);
    mr_pb_put_bytes(pen, 3, mr_pubsub_front_id(d->message_id, text));
    mr_pb_put_time(pen, 4, &time);
    mr_pb_add_bytes(pen, 5, d->ordering_key);
    mr_pb_close_wide(pen, message);
    mr_pb_add_int(pen, 3, d->attempt);
    mr_pb_close_wide(pen, received);
}

/* Straight from the store's memory into the response: the only copy before the socket's own. */
static void send(struct mr_pubsub_pull_state *pull, const struct mr_pubsub_delivery *deliveries,
                 uint32_t count)
{
    size_t bytes = DELIVERY_EXTRA_BYTES;
    struct mr_served_buffer *buffer;
    struct mr_pen pen;

    for (uint32_t i = 0; i < count; i++)
        bytes += bound(&deliveries[i]);
    buffer = mr_served_buffer_create(bytes);
    pen = mr_pen_of(buffer->data, bytes);
    for (uint32_t i = 0; i < count; i++)
        put_delivery(&pen, &deliveries[i]);
    if (pull->stream) {
        struct mr_pubsub_properties properties = {true, mr_pubsub_puller_exactly_once(pull->puller),
                                                  mr_pubsub_puller_ordering(pull->puller)};
        mr_pubsub_properties_nest(&pen, 4, &properties);
    }
    MR_ASSERT(pen.err == MR_OK);
    mr_served_give(pull->call, buffer, pen.bytes);
}

static void close(struct mr_pubsub_pull_state *pull)
{
    if (pull->puller)
        mr_pubsub_puller_close(mr_pubsub_front_of(pull->call)->store, pull->puller);
    pull->puller = NULL;
    pull->held = false;
}

void mr_pubsub_front_serve(struct mr_pubsub_pull_state *pull, int64_t now_us)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(pull->call);
    const struct mr_pubsub_delivery *deliveries;
    struct mr_pubsub_status status;
    uint32_t count;

    if (pull->call->ended) {
        close(pull);
        return;
    }
    if (mr_served_queued_bytes(pull->call) >= STREAM_QUEUE_BYTES) {
        pull->held = true;
        return;
    }
    status = mr_pubsub_next(f->store, pull->puller, now_us, MR_PUBSUB_RESPONSE_COUNT,
                            pull->stream ? MR_PUBSUB_FRONT_RESPONSE_BYTES
                                         : MR_PUBSUB_FRONT_PULL_BYTES,
                            &deliveries, &count);
    if (!mr_pubsub_front_went(pull->call, status)) {
        close(pull);
        return;
    }
    if (count == 0)
        return;
    send(pull, deliveries, count);
    if (!pull->stream) {
        close(pull);
        mr_served_end(pull->call, MR_GRPC_OK, "");
    }
}

bool mr_pubsub_front_open(struct mr_served *call, struct mr_span subscription,
                          struct mr_pubsub_puller_settings settings)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    struct mr_pubsub_pull_state *pull = calloc(1, sizeof *pull + subscription.bytes);

    MR_ASSERT(pull);
    pull->call = call;
    pull->stream = settings.stream;
    pull->wait_us = INT64_MAX;
    pull->name_bytes = subscription.bytes;
    if (subscription.bytes)
        memcpy(pull->name, subscription.data, subscription.bytes);
    call->state = pull;
    settings.context = pull;
    return mr_pubsub_front_went(call, mr_pubsub_puller_open(f->store, subscription, &settings,
                                                            call->now_us, &pull->puller));
}

void mr_pubsub_front_pull_closed(struct mr_served *call)
{
    struct mr_pubsub_pull_state *pull = call->state;

    if (!pull)
        return;
    close(pull);
    free(pull);
    call->state = NULL;
}

void mr_pubsub_front_stream_room(struct mr_served *call)
{
    struct mr_pubsub_pull_state *pull = call->state;

    if (!pull || !pull->held)
        return;
    pull->held = false;
    mr_pubsub_front_serve(pull, call->now_us);
}

/* ---- unary Pull ---- */

void mr_pubsub_front_pull(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_puller_settings settings = {0};
    struct mr_pubsub_pull_state *pull;
    struct mr_pubsub_pull request;

    if (!mr_pubsub_front_parsed(call, mr_pubsub_pull_parse(&request, message)))
        return;
    settings.messages_max = MR_MIN(request.max_messages, MR_PUBSUB_RESPONSE_COUNT);
    if (!mr_pubsub_front_open(call, request.subscription, settings))
        return;
    pull = call->state;
    mr_pubsub_front_serve(pull, call->now_us);
    if (call->ended)
        return;
    if (request.return_immediately) {
        close(pull);
        mr_served_reply(call, mr_span_of(NULL, 0));
        return;
    }
    pull->wait_us = call->now_us + MR_PUBSUB_FRONT_PULL_WAIT_US;
    mr_served_wait_until(call, pull->wait_us);
}

void mr_pubsub_front_pull_due(struct mr_served *call)
{
    struct mr_pubsub_pull_state *pull = call->state;

    if (pull)
        close(pull);
    if (call->now_us >= call->deadline_us)
        mr_served_end(call, MR_GRPC_DEADLINE_EXCEEDED, "Deadline exceeded.");
    else
        mr_served_reply(call, mr_span_of(NULL, 0));
}
