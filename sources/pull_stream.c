#include "sources/pull_stream.h"

#include <stdlib.h>

#include "sources/lease.h"

#define SECOND_NS       UINT64_C(1000000000)
#define KEEP_ALIVE_NS   (30 * SECOND_NS)
#define UNANSWERED_NS   (15 * SECOND_NS)
#define LONG_LIFE_NS    (30 * SECOND_NS) /* a stream that lived so long did not fail */
#define SHORT_LIFE_NS   (SECOND_NS / 2)  /* one that ends sooner, having told nothing, did */
#define FIRST_BYTES_MAX 2048

static const struct mr_retry_policy policy = {
    .base_ns = 100000000, .cap_ns = 60000000000, .factor_percent = 400};

static struct mr_pull_stream *of_call(struct mr_call *call)
{
    return MR_CONTAINER(call, struct mr_pull_stream, call);
}

/* Carries are lent for the one message in a chunk that straddles its end: rare and short-lived. */
static uint8_t *borrow(void *self, size_t bytes)
{
    (void)self;
    return malloc(bytes);
}

static void give_back(void *self, uint8_t *carry, size_t bytes)
{
    (void)self, (void)bytes;
    free(carry);
}

static void hand_on(struct mr_pull_stream *stream, const struct mr_pubsub_event *event)
{
    const struct mr_pull_settings *settings = stream->settings;
    struct mr_pubsub_properties properties;

    if (event->part == MR_PUBSUB_RECEIVED) {
        stream->received++;
        if (!settings->received(settings->self, stream, event)) {
            stream->credit -= (int64_t)event->bytes.bytes;
            stream->withheld += event->bytes.bytes;
        }
    } else if (event->part == MR_PUBSUB_PROPERTIES &&
               mr_pubsub_properties_parse(&properties, event->bytes) == MR_OK) {
        settings->properties(settings->self, &properties);
    }
}

static void give_back_credit(struct mr_pull_stream *stream)
{
    if (stream->credit <= 0)
        return;
    mr_call_consume(&stream->call, (size_t)stream->credit);
    stream->credit = 0;
}

static void piece(struct mr_call *call, const struct mr_grpc_piece *piece)
{
    struct mr_pull_stream *stream = of_call(call);
    struct mr_span input = piece->bytes;
    struct mr_pubsub_event event;
    int err = MR_OK;

    stream->heard = true;
    stream->heard_ns = stream->now_ns;
    stream->pinged_ns = 0;
    if (piece->begin)
        mr_pubsub_walk_begin(&stream->walk, piece->message_bytes);
    while ((err = mr_pubsub_walk_next(&stream->walk, &input, &event)) == MR_OK)
        hand_on(stream, &event);
    if (err == MR_PARTIAL && piece->end)
        err = mr_pubsub_walk_end(&stream->walk);
    if (err != MR_OK && err != MR_PARTIAL) {
        mr_call_cancel(call);
        return;
    }
    /* All but what is withheld goes back at once; a message that came in several pieces may be
     * withheld when most of it has been given back already. */
    stream->credit += (int64_t)piece->bytes.bytes + (piece->begin ? MR_GRPC_PREFIX_BYTES : 0);
    give_back_credit(stream);
}

static bool is_for_the_operator(enum mr_grpc_code code)
{
    switch (code) {
    case MR_GRPC_NOT_FOUND:
    case MR_GRPC_PERMISSION_DENIED:
    case MR_GRPC_UNAUTHENTICATED:
    case MR_GRPC_INVALID_ARGUMENT:
    case MR_GRPC_FAILED_PRECONDITION:
    case MR_GRPC_UNIMPLEMENTED:
        return true;
    default:
        return false;
    }
}

static void done(struct mr_call *call, const struct mr_call_status *status)
{
    struct mr_pull_stream *stream = of_call(call);
    const struct mr_pull_settings *settings = stream->settings;

    stream->active = false;
    if (!call->channel->open || status->code == MR_GRPC_CANCELLED)
        stream->cut_ns = stream->now_ns;
    mr_pubsub_walk_finish(&stream->walk);
    if (!stream->wanted)
        return;
    if (is_for_the_operator(status->code)) {
        stream->wanted = false;
        mr_fault_raise(settings->fault, MR_E_PUBSUB_REFUSED, "%.*s: %s: %.*s",
                       (int)settings->subscription.bytes, (const char *)settings->subscription.data,
                       mr_grpc_code_name(status->code), (int)status->message.bytes,
                       (const char *)status->message.data);
        return;
    }
    uint64_t life_ns = stream->now_ns - stream->opened_ns;
    stream->reopened++;
    if (stream->heard || life_ns >= SHORT_LIFE_NS)
        mr_retry_succeeded(&stream->retry);
    if (life_ns < LONG_LIFE_NS)
        mr_retry_failed(&stream->retry, stream->now_ns, 0);
}

static const struct mr_call_events call_events = {.piece = piece, .done = done};

void mr_pull_stream_init(struct mr_pull_stream *stream, const struct mr_pull_settings *settings,
                         struct mr_pull_connection *connection, uint32_t number)
{
    *stream = (struct mr_pull_stream){.settings = settings,
                                      .connection = connection,
                                      .number = number,
                                      .lender = {NULL, borrow, give_back},
                                      .wanted = true};
    mr_retry_init(&stream->retry, &policy, (uint64_t)(uintptr_t)stream);
    stream->call.events = &call_events;
    stream->call.message_bytes_max = UINT32_MAX;
    stream->call.manual_flow = true;
}

static void open_stream(struct mr_pull_stream *stream)
{
    const struct mr_pull_settings *settings = stream->settings;
    uint8_t bytes[FIRST_BYTES_MAX];
    struct mr_pen pen = mr_pen_of(bytes, sizeof bytes);
    struct mr_pubsub_streaming_pull first = {
        .subscription = settings->subscription,
        .client_id = settings->client_id,
        .stream_ack_deadline_seconds = MR_LEASE_SECONDS,
        .max_outstanding_messages = settings->outstanding_messages,
        .max_outstanding_bytes = settings->outstanding_bytes,
        .protocol_version = 1,
    };

    if (mr_call_start(&stream->call, mr_pull_connection_channel(stream->connection),
                      mr_pubsub_path(MR_PUBSUB_STREAMING_PULL),
                      mr_pubsub_routing_key(MR_PUBSUB_STREAMING_PULL), settings->subscription,
                      NULL) != MR_OK)
        return;
    mr_pubsub_streaming_pull_put(&pen, &first);
    MR_ASSERT(pen.err == MR_OK);
    mr_call_send_copy(&stream->call, mr_pen_span(&pen));
    mr_pubsub_walk_init(&stream->walk, &stream->lender, settings->message_bytes_max);
    stream->active = true;
    stream->incarnation++;
    stream->credit = 0;
    stream->heard = false;
    stream->opened_ns = stream->heard_ns = stream->now_ns;
    stream->pinged_ns = 0;
}

void mr_pull_stream_chores(struct mr_pull_stream *stream, uint64_t now_ns)
{
    stream->now_ns = now_ns;
    if (!stream->active) {
        if (stream->wanted && stream->withheld == 0 && mr_retry_is_due(&stream->retry, now_ns))
            open_stream(stream);
    } else if (stream->pinged_ns != 0 && now_ns - stream->pinged_ns > UNANSWERED_NS) {
        /* An answer needs room in the window: while we withhold it, silence tells nothing. */
        stream->pinged_ns = 0;
        stream->heard_ns = now_ns;
        if (stream->withheld == 0)
            mr_call_cancel(&stream->call);
    } else if (stream->pinged_ns == 0 && now_ns - stream->heard_ns > KEEP_ALIVE_NS) {
        stream->pinged_ns = now_ns;
        mr_call_send_copy(&stream->call, mr_span_of(NULL, 0));
    }
}

void mr_pull_stream_consume(struct mr_pull_stream *stream, uint32_t incarnation, size_t bytes)
{
    MR_ASSERT(stream->withheld >= bytes);
    stream->withheld -= bytes;
    if (!stream->active || stream->incarnation != incarnation)
        return;
    stream->credit += (int64_t)bytes;
    give_back_credit(stream);
}

bool mr_pull_stream_is_ready(const struct mr_pull_stream *stream)
{
    return stream->active && stream->call.channel->open && stream->call.channel->answered;
}

void mr_pull_stream_stop(struct mr_pull_stream *stream)
{
    stream->wanted = false;
    if (stream->active)
        mr_call_cancel(&stream->call);
}
