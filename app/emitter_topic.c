#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/emitter.h"
#include "core/clock.h"
#include "core/retry.h"
#include "wire/channel.h"
#include "wire/pubsub.h"

#define REQUESTS         8
#define REQUEST_BYTES    ((size_t)1 << 20)
#define REQUEST_MESSAGES 1000 /* the service's limit */
#define ANSWER_BYTES     (64u << 10)
#define TURN_NS          UINT64_C(10000000)
#define PATIENCE_NS      UINT64_C(30000000000) /* without any answer */

struct topic;

struct request {
    struct mr_call call;
    struct topic *owner;
    struct mr_pen pen;
    uint32_t messages;
    enum { FREE, FILLING, FLYING, WAITING } state;
    struct mr_retry retry;
    uint8_t *buffer;
    uint8_t answer[ANSWER_BYTES];
};

struct topic {
    struct mr_emitter emitter;
    struct mr_io *io;
    struct mr_channel channel;
    struct mr_retry reconnect;
    char endpoint[256], name[300];
    struct request requests[REQUESTS];
    struct request *filling;
    uint64_t now_ns, answered_ns;
    int error;
    uint8_t *send_buffer;
};

static const struct mr_retry_policy policy = {
    .base_ns = 100000000, .cap_ns = 5000000000, .factor_percent = 200};

static void fail(struct topic *topic, const char *what)
{
    if (topic->error)
        return;
    topic->error = EIO;
    snprintf(topic->emitter.why, sizeof topic->emitter.why, "%s", what);
}

static void answered(struct mr_call *call, const struct mr_call_status *status)
{
    struct request *request = MR_CONTAINER(call, struct request, call);
    struct topic *topic = request->owner;
    char text[200];

    switch (status->code) {
    case MR_GRPC_OK:
        topic->answered_ns = topic->now_ns;
        mr_retry_succeeded(&request->retry);
        request->state = FREE;
        break;
    case MR_GRPC_UNAVAILABLE:
    case MR_GRPC_ABORTED:
    case MR_GRPC_CANCELLED:
    case MR_GRPC_INTERNAL:
    case MR_GRPC_RESOURCE_EXHAUSTED:
    case MR_GRPC_UNKNOWN:
    case MR_GRPC_DEADLINE_EXCEEDED:
        request->state = WAITING;
        mr_retry_failed(&request->retry, topic->now_ns, 0);
        break;
    default:
        snprintf(text, sizeof text, "%s: %.*s", mr_grpc_code_name(status->code),
                 (int)MR_MIN(status->message.bytes, (size_t)150),
                 (const char *)status->message.data);
        request->state = WAITING;
        request->retry.due_ns = UINT64_MAX;
        fail(topic, text);
    }
}

static void ignore(struct mr_call *call, struct mr_span message)
{
    (void)call, (void)message;
}

static const struct mr_call_events call_events = {.message = ignore, .done = answered};

static void send_request(struct request *request)
{
    struct topic *topic = request->owner;

    request->state = WAITING;
    if (mr_call_start(&request->call, &topic->channel, mr_pubsub_path(MR_PUBSUB_PUBLISH),
                      mr_pubsub_routing_key(MR_PUBSUB_PUBLISH), mr_span_text(topic->name),
                      "60S") != MR_OK)
        return;
    request->state = FLYING;
    mr_call_send(&request->call, mr_pen_span(&request->pen), NULL);
    mr_call_end(&request->call);
}

static void channel_down(struct mr_channel *channel, const char *why)
{
    struct topic *topic = MR_CONTAINER(channel, struct topic, channel);
    (void)why;
    mr_retry_failed(&topic->reconnect, topic->now_ns, 0);
}

static const struct mr_channel_events channel_events = {.down = channel_down};

/* One turn of the I/O, with what is due before it. */
static void turn(struct topic *topic, uint64_t wait_ns)
{
    struct mr_channel *channel = &topic->channel;

    topic->now_ns = mr_now_ns();
    if (!channel->open && !channel->link && mr_retry_is_due(&topic->reconnect, topic->now_ns) &&
        mr_channel_open(channel) != MR_OK)
        mr_retry_failed(&topic->reconnect, topic->now_ns, 0);
    for (uint32_t i = 0; i < REQUESTS && mr_channel_is_usable(channel); i++)
        if (topic->requests[i].state == WAITING &&
            mr_retry_is_due(&topic->requests[i].retry, topic->now_ns))
            send_request(&topic->requests[i]);
    mr_io_turn(topic->io, wait_ns);
    if (topic->now_ns - topic->answered_ns > PATIENCE_NS)
        fail(topic, channel->why[0] ? channel->why : "no answer for 30 seconds");
}

static uint32_t busy(const struct topic *topic)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < REQUESTS; i++)
        count += topic->requests[i].state == FLYING || topic->requests[i].state == WAITING;
    return count;
}

static struct request *filling(struct topic *topic)
{
    while (!topic->filling && !topic->error) {
        for (uint32_t i = 0; i < REQUESTS && !topic->filling; i++)
            if (topic->requests[i].state == FREE)
                topic->filling = &topic->requests[i];
        if (!topic->filling)
            turn(topic, TURN_NS);
    }
    if (topic->filling && topic->filling->state == FREE) {
        struct request *request = topic->filling;
        request->state = FILLING;
        request->messages = 0;
        request->pen = mr_pen_of(request->buffer, REQUEST_BYTES);
        mr_pb_put_bytes(&request->pen, 1, mr_span_text(topic->name));
    }
    return topic->filling;
}

static void send_filling(struct topic *topic)
{
    struct request *request = topic->filling;

    topic->filling = NULL;
    topic->answered_ns = busy(topic) == 0 ? mr_now_ns() : topic->answered_ns;
    send_request(request);
}

static int topic_put(struct mr_emitter *emitter, const char *payload, size_t bytes)
{
    struct topic *topic = MR_CONTAINER(emitter, struct topic, emitter);
    struct mr_pubsub_message message = {.data = mr_span_of(payload, bytes)};
    struct request *request = filling(topic);

    if (request && (request->messages == REQUEST_MESSAGES ||
                    (request->messages > 0 && mr_pen_room(&request->pen) < bytes + 32))) {
        send_filling(topic);
        turn(topic, 0);
        request = filling(topic);
    }
    if (!request)
        return topic->error;
    mr_pubsub_message_nest(&request->pen, 2, &message);
    if (request->pen.err != MR_OK) {
        fail(topic, "a payload is larger than a request of 1 MiB");
        return topic->error;
    }
    request->messages++;
    return topic->error;
}

static int topic_flush(struct mr_emitter *emitter)
{
    struct topic *topic = MR_CONTAINER(emitter, struct topic, emitter);

    if (topic->filling && topic->filling->messages > 0)
        send_filling(topic);
    turn(topic, 0);
    return topic->error;
}

static int topic_finish(struct mr_emitter *emitter)
{
    struct topic *topic = MR_CONTAINER(emitter, struct topic, emitter);

    topic_flush(emitter);
    while (!topic->error && busy(topic) > 0)
        turn(topic, TURN_NS);
    return topic->error;
}

static void topic_destroy(struct mr_emitter *emitter)
{
    struct topic *topic = MR_CONTAINER(emitter, struct topic, emitter);

    mr_channel_close(&topic->channel, "all is said");
    for (uint32_t tries = 0; topic->io && mr_io_pending(topic->io) > 0 && tries < 1000; tries++)
        mr_io_turn(topic->io, 1000000);
    mr_io_destroy(topic->io);
    for (uint32_t i = 0; i < REQUESTS; i++)
        free(topic->requests[i].buffer);
    free(topic->send_buffer);
    free(topic);
}

static bool prepare(struct topic *topic, char why[256])
{
    struct mr_channel_options options = {.host_port = topic->endpoint, .host = topic->endpoint};
    uint32_t count;
    int err = mr_resolve(topic->endpoint, &options.address, 1, &count);

    if (err == MR_OK)
        err = mr_io_create(&topic->io, MR_IO_AUTO, NULL);
    topic->send_buffer = malloc(MR_CHANNEL_SEND_BYTES);
    if (err == MR_OK && !topic->send_buffer)
        err = MR_E_MEMORY;
    if (err != MR_OK) {
        snprintf(why, 256, "%.180s: %s", topic->endpoint, mr_err_cause(err));
        return false;
    }
    mr_channel_init(&topic->channel, topic->io, &options, &channel_events, topic->send_buffer);
    mr_retry_init(&topic->reconnect, &policy, 1);
    topic->answered_ns = mr_now_ns();
    return true;
}

struct mr_emitter *mr_emitter_topic(const char *endpoint, const char *name, char why[256])
{
    struct topic *topic = calloc(1, sizeof *topic);

    if (!topic) {
        snprintf(why, 256, "%s", mr_err_cause(MR_E_MEMORY));
        return NULL;
    }
    topic->emitter = (struct mr_emitter){topic_put, topic_flush, topic_finish, topic_destroy, ""};
    snprintf(topic->endpoint, sizeof topic->endpoint, "%s", endpoint);
    snprintf(topic->name, sizeof topic->name, "%s", name);
    bool made = true;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        struct request *request = &topic->requests[i];
        request->owner = topic;
        request->call.events = &call_events;
        request->call.carry = request->answer;
        request->call.message_bytes_max = ANSWER_BYTES;
        request->buffer = malloc(REQUEST_BYTES);
        mr_retry_init(&request->retry, &policy, i + 2);
        made = made && request->buffer;
    }
    if (made && prepare(topic, why))
        return &topic->emitter;
    topic_destroy(&topic->emitter);
    return NULL;
}
