#include "wire/channel.h"

#include <stdio.h>
#include <stdlib.h>

/* A quiet connection is pinged after this long and given up after that long without an answer. */
#define PING_AFTER_NS UINT64_C(30000000000)
#define GIVE_UP_NS    UINT64_C(20000000000)
#define ROUTING_BYTES 1024
#define USER_AGENT    "grpc-c-millrace/" MR_VERSION
#define API_CLIENT    "gl-c/11 gccl/" MR_VERSION

static void close_with(struct mr_channel *channel, const char *why);

/* ---- bytes between link and socket ---- */

static void pump(struct mr_channel *channel)
{
    while (channel->open) {
        size_t room;
        uint8_t *place = mr_socket_room(&channel->socket, &room);
        if (room == 0)
            return;
        int64_t taken = mr_link_take(channel->link, place, room);
        if (taken < 0) {
            channel->err = (int)taken;
            close_with(channel, mr_link_why(channel->link));
            return;
        }
        if (taken == 0)
            break;
        mr_socket_commit(&channel->socket, (size_t)taken);
        channel->bytes_sent += (uint64_t)taken;
    }
    if (channel->open && (mr_link_done(channel->link) || (channel->draining && !channel->calls)))
        close_with(channel, channel->draining ? "the peer asked to go away" : "the peer ended");
}

static void flush_now(struct mr_io_op *op, int32_t result)
{
    struct mr_channel *channel = MR_CONTAINER(op, struct mr_channel, flush);
    (void)result;
    channel->flush_due = false;
    pump(channel);
}

/* What calls have queued leaves together at the head of the next turn. */
static void flush_soon(struct mr_channel *channel)
{
    if (channel->flush_due || !channel->open)
        return;
    channel->flush_due = true;
    mr_io_defer(channel->io, &channel->flush);
}

static struct mr_channel *of_socket(struct mr_socket *socket)
{
    return MR_CONTAINER(socket, struct mr_channel, socket);
}

static void tell_up(struct mr_channel *channel)
{
    if (channel->is_up || !channel->open || !mr_link_ready(channel->link))
        return;
    channel->is_up = true;
    if (channel->events->up)
        channel->events->up(channel);
}

static void socket_opened(struct mr_socket *socket)
{
    struct mr_channel *channel = of_socket(socket);
    pump(channel);
    tell_up(channel);
}

static void socket_bytes(struct mr_socket *socket, struct mr_span bytes)
{
    struct mr_channel *channel = of_socket(socket);

    if (!channel->open)
        return;
    channel->heard_ns = 0; /* chores put the time: a turn reads the clock once */
    channel->pinged_ns = 0;
    channel->bytes_received += bytes.bytes;
    int err = mr_link_feed(channel->link, bytes);
    if (err != MR_OK) {
        char why[MR_TLS_WHY_BYTES];
        channel->err = err;
        snprintf(why, sizeof why, "%s", mr_link_why(channel->link));
        pump(channel); /* the goodbye */
        close_with(channel, why);
        return;
    }
    tell_up(channel);
    flush_soon(channel);
}

static void socket_room(struct mr_socket *socket)
{
    pump(of_socket(socket));
}

/* ---- calls ---- */

static void unlink_call(struct mr_call *call)
{
    struct mr_channel *channel = call->channel;

    if (call->previous)
        call->previous->next = call->next;
    else
        channel->calls = call->next;
    if (call->next)
        call->next->previous = call->previous;
}

static void finish(struct mr_call *call, enum mr_grpc_code code, struct mr_span message,
                   bool unprocessed)
{
    uint8_t *details = call->details;
    struct mr_call_status status = {
        .code = code,
        .message = message,
        .details = mr_span_of(details, call->details_bytes),
        .unprocessed = unprocessed,
    };

    unlink_call(call);
    call->stream = NULL;
    call->details = NULL;
    call->events->done(call, &status);
    free(details);
}

static void socket_closed(struct mr_socket *socket, int error)
{
    struct mr_channel *channel = of_socket(socket);

    if (channel->why[0] == '\0')
        snprintf(channel->why, sizeof channel->why, "%s",
                 error ? strerror(-error) : "the peer closed the connection");
    if (channel->err == MR_OK && error != 0)
        channel->err = MR_E_CONNECT;
    channel->open = channel->is_up = channel->draining = false;
    mr_link_destroy(channel->link);
    channel->link = NULL;
    while (channel->calls)
        finish(channel->calls, MR_GRPC_UNAVAILABLE, mr_span_text(channel->why), false);
    channel->events->down(channel, channel->why);
}

static const struct mr_socket_calls socket_calls = {
    .opened = socket_opened,
    .bytes = socket_bytes,
    .room = socket_room,
    .closed = socket_closed,
};

static void keep_details(struct mr_call *call, struct mr_span encoded)
{
    free(call->details);
    call->details_bytes = 0;
    call->details = encoded.bytes > 0 ? malloc(encoded.bytes) : NULL;
    if (!call->details)
        return;
    int64_t bytes = mr_grpc_base64_decode(call->details, encoded.bytes, encoded);
    call->details_bytes = bytes > 0 ? (size_t)bytes : 0;
}

static void on_headers(void *self, struct mr_h2_stream *stream, enum mr_h2_block block,
                       const struct mr_h2_header *headers, size_t count, bool end)
{
    struct mr_call *call = stream->user;
    struct mr_grpc_outcome outcome;
    (void)self, (void)block, (void)end;

    if (!call)
        return;
    mr_grpc_outcome_read(&outcome, headers, count);
    if (outcome.http_status != 0)
        call->outcome.http_status = outcome.http_status;
    if (outcome.code < 0)
        return;
    size_t bytes = mr_grpc_message_decode(call->text, sizeof call->text - 1, outcome.message);
    call->text[bytes] = '\0';
    keep_details(call, outcome.details);
    call->outcome.code = outcome.code;
}

/* A broken answer: remember why and reset the stream; `closed` follows. */
static void refuse(struct mr_call *call, int err)
{
    call->failed = err;
    mr_h2_reset(mr_link_h2(call->channel->link), call->stream, MR_H2_CANCEL);
}

static void hand_on(struct mr_call *call, struct mr_span bytes)
{
    int err = MR_OK;

    while (call->stream && call->failed == MR_OK) {
        if (call->events->message) {
            struct mr_span message;
            err = mr_grpc_whole_next(&call->whole, &bytes, &message);
            if (err == MR_OK)
                call->events->message(call, message);
        } else {
            struct mr_grpc_piece piece;
            err = mr_grpc_next(&call->whole.cursor, &bytes, &piece);
            if (err == MR_OK)
                call->events->piece(call, &piece);
        }
        if (err != MR_OK)
            break;
    }
    if (err != MR_OK && err != MR_PARTIAL)
        refuse(call, err);
}

static void on_data(void *self, struct mr_h2_stream *stream, struct mr_span bytes)
{
    struct mr_channel *channel = self;
    struct mr_call *call = stream->user;
    size_t received = bytes.bytes;

    if (call && call->failed == MR_OK)
        hand_on(call, bytes);
    mr_h2_consume_connection(mr_link_h2(channel->link), received);
    if (!call || !call->manual_flow || call->failed != MR_OK)
        mr_h2_consume_stream(mr_link_h2(channel->link), stream, received);
}

static void on_sent(void *self, struct mr_h2_stream *stream, void *token)
{
    struct mr_call *call = stream->user;
    (void)self;
    if (call && call->events->sent)
        call->events->sent(call, token);
}

static void on_closed(void *self, struct mr_h2_stream *stream, uint32_t code)
{
    struct mr_call *call = stream->user;
    struct mr_span message;
    (void)self;

    if (!call)
        return;
    stream->user = NULL;
    message = mr_span_text(call->text);
    if (call->failed != MR_OK)
        finish(call, MR_GRPC_INTERNAL, mr_span_text(mr_err_cause(call->failed)), false);
    else if (call->outcome.code >= 0)
        finish(call, (enum mr_grpc_code)call->outcome.code, message, false);
    else if (code != MR_H2_NO_ERROR)
        finish(call, mr_grpc_code_of_reset(code), mr_span_text("the stream was reset"),
               code == MR_H2_REFUSED_STREAM);
    else
        finish(call, mr_grpc_code_of_http(call->outcome.http_status),
               mr_span_text("the stream ended without a status"), false);
}

static void on_goaway(void *self, int32_t last, uint32_t code, struct mr_span debug)
{
    struct mr_channel *channel = self;
    (void)last, (void)code, (void)debug;

    if (channel->draining)
        return;
    channel->draining = true;
    if (channel->events->draining)
        channel->events->draining(channel);
    flush_soon(channel);
}

static void on_settings(void *self)
{
    struct mr_channel *channel = self;
    channel->answered = true;
}

static const struct mr_h2_events h2_events = {
    .headers = on_headers,
    .data = on_data,
    .sent = on_sent,
    .closed = on_closed,
    .goaway = on_goaway,
    .settings = on_settings,
};

int mr_call_start(struct mr_call *call, struct mr_channel *channel, const char *path,
                  const char *routing_key, struct mr_span routing_value, const char *timeout)
{
    uint8_t routing[ROUTING_BYTES];
    struct mr_pen pen = mr_pen_of(routing, sizeof routing);
    struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];

    if (!mr_channel_is_usable(channel) || mr_bearer_is_missing(channel->options.bearer))
        return MR_AGAIN;
    if (routing_key)
        mr_grpc_routing(&pen, routing_key, routing_value);
    MR_ASSERT(pen.err == MR_OK);
    struct mr_grpc_request request = {
        .plaintext = channel->options.tls == NULL,
        .authority = mr_span_text(channel->options.host_port),
        .path = mr_span_text(path),
        .authorization = mr_bearer_now(channel->options.bearer),
        .request_params = mr_pen_span(&pen),
        .api_client = mr_span_text(API_CLIENT),
        .user_agent = mr_span_text(USER_AGENT),
        .timeout = mr_span_text(timeout ? timeout : ""),
    };
    size_t count = mr_grpc_request_headers(headers, &request);
    struct mr_h2_stream *stream = mr_h2_open(mr_link_h2(channel->link), headers, count);
    if (!stream)
        return MR_AGAIN;
    stream->user = call;
    call->channel = channel;
    call->stream = stream;
    call->whole = (struct mr_grpc_whole){.cursor = mr_grpc_cursor_of(call->message_bytes_max),
                                         .carry = call->carry};
    call->outcome = (struct mr_grpc_outcome){.code = -1};
    call->text[0] = '\0';
    call->details = NULL;
    call->details_bytes = 0;
    call->failed = MR_OK;
    call->previous = NULL;
    call->next = channel->calls;
    if (call->next)
        call->next->previous = call;
    channel->calls = call;
    flush_soon(channel);
    return MR_OK;
}

void mr_call_send(struct mr_call *call, struct mr_span message, void *token)
{
    uint8_t prefix[MR_GRPC_PREFIX_BYTES];

    mr_grpc_prefix(prefix, (uint32_t)message.bytes);
    if (!call->stream || mr_h2_send(mr_link_h2(call->channel->link), call->stream,
                                    mr_span_of(prefix, sizeof prefix), message, token) != MR_OK) {
        if (call->events->sent)
            call->events->sent(call, token);
        return;
    }
    flush_soon(call->channel);
}

void mr_call_send_copy(struct mr_call *call, struct mr_span message)
{
    uint8_t prefix[MR_GRPC_PREFIX_BYTES];
    struct mr_h2 *h2;

    if (!call->stream)
        return;
    h2 = mr_link_h2(call->channel->link);
    mr_grpc_prefix(prefix, (uint32_t)message.bytes);
    if (mr_h2_send_copy(h2, call->stream, mr_span_of(prefix, sizeof prefix)) == MR_OK &&
        message.bytes > 0)
        mr_h2_send_copy(h2, call->stream, message);
    flush_soon(call->channel);
}

void mr_call_end(struct mr_call *call)
{
    if (!call->stream)
        return;
    mr_h2_end(mr_link_h2(call->channel->link), call->stream);
    flush_soon(call->channel);
}

void mr_call_cancel(struct mr_call *call)
{
    if (!call->stream)
        return;
    mr_h2_reset(mr_link_h2(call->channel->link), call->stream, MR_H2_CANCEL);
    flush_soon(call->channel);
}

void mr_call_consume(struct mr_call *call, size_t bytes)
{
    if (!call->stream || bytes == 0)
        return;
    mr_h2_consume_stream(mr_link_h2(call->channel->link), call->stream, bytes);
    flush_soon(call->channel);
}

/* ---- the channel ---- */

void mr_channel_init(struct mr_channel *channel, struct mr_io *io,
                     const struct mr_channel_options *options,
                     const struct mr_channel_events *events, uint8_t *send_buffer)
{
    *channel = (struct mr_channel){
        .io = io, .options = *options, .events = events, .send_buffer = send_buffer};
    channel->flush.done = flush_now;
    mr_socket_init(&channel->socket, io, &socket_calls, send_buffer, MR_CHANNEL_SEND_BYTES);
}

int mr_channel_open(struct mr_channel *channel)
{
    struct mr_link_options options = {
        .tls = channel->options.tls,
        .host = channel->options.host,
        .h2 = {.stream_window = channel->options.stream_window,
               .connection_window = channel->options.connection_window},
    };

    MR_ASSERT(!channel->open && !channel->link);
    channel->link = mr_link_create(&options, &h2_events, channel);
    if (!channel->link)
        return MR_E_MEMORY;
    mr_socket_init(&channel->socket, channel->io, &socket_calls, channel->send_buffer,
                   MR_CHANNEL_SEND_BYTES);
    channel->why[0] = '\0';
    channel->heard_ns = channel->pinged_ns = 0;
    channel->answered = false;
    channel->err = MR_OK;
    channel->open = true;
    if (mr_socket_connect(&channel->socket, &channel->options.address, NULL) == 0)
        return MR_OK;
    mr_link_destroy(channel->link);
    channel->link = NULL;
    channel->open = false;
    return MR_E_CONNECT;
}

static void close_with(struct mr_channel *channel, const char *why)
{
    if (!channel->open)
        return;
    channel->open = channel->is_up = false;
    if (why != channel->why)
        snprintf(channel->why, sizeof channel->why, "%s", why);
    mr_socket_close(&channel->socket, 0);
}

void mr_channel_close(struct mr_channel *channel, const char *why)
{
    close_with(channel, why);
}

void mr_channel_chores(struct mr_channel *channel, uint64_t now_ns)
{
    if (!channel->open)
        return;
    if (channel->heard_ns == 0)
        channel->heard_ns = now_ns;
    bool greeting = !channel->answered && now_ns - channel->heard_ns > GIVE_UP_NS;
    if (greeting || (channel->pinged_ns != 0 && now_ns - channel->pinged_ns > GIVE_UP_NS)) {
        channel->err = MR_E_CONNECT;
        close_with(channel, channel->is_up ? "the peer does not answer" : "no connection");
    } else if (channel->pinged_ns == 0 && now_ns - channel->heard_ns > PING_AFTER_NS) {
        channel->pinged_ns = now_ns;
        if (channel->is_up)
            mr_h2_ping(mr_link_h2(channel->link), now_ns);
        flush_soon(channel);
    }
}
