/* A Pub/Sub topic over loopback, scripted by the test, on the same mr_io as the publisher: it keeps
 * every message that it said yes to, and says no as told. */
#ifndef MR_TESTS_KEEPER_TOPIC_KIT_H
#define MR_TESTS_KEEPER_TOPIC_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/socket.h"
#include "keeper/deadletter.h"

#define TOPIC        "projects/p/topics/orders-dlq"
#define KEPT_MAX     20000
#define REQUESTS_MAX 4096
#define SEND_BYTES   (1u << 20)

struct topic_call {
    struct mr_h2_stream *stream;
    uint8_t *body;
    size_t bytes, room;
    bool whole;
    struct topic_call *next;
};

struct topic {
    struct mr_io *io;
    struct mr_listener listener;
    struct mr_socket socket;
    struct mr_link *link;
    uint8_t *send_buffer;
    bool connected, hold, short_answer;
    /* The next `no_count` requests are refused with `no`; and any with a body of `poison`. */
    enum mr_grpc_code no;
    uint32_t no_count;
    uint32_t retry_s; /* told as RetryInfo */
    const char *poison;
    struct topic_call *calls;
    /* What was accepted, in order; bodies and whole messages are malloc'ed. */
    struct mr_span kept[KEPT_MAX];
    uint32_t kept_count;
    size_t request_bytes[REQUESTS_MAX];
    uint32_t request_messages[REQUESTS_MAX];
    uint32_t requests, connections, under_way_max;
    uint64_t refused_ns, again_ns; /* when it last said no, and the next request after it */
};

static struct topic topic;

static void topic_pump(void)
{
    size_t room;
    uint8_t *place;

    while (topic.connected && (place = mr_socket_room(&topic.socket, &room), room > 0)) {
        int64_t taken = mr_link_take(topic.link, place, room);
        if (taken <= 0)
            return;
        mr_socket_commit(&topic.socket, (size_t)taken);
    }
}

static void topic_forget(struct topic_call *call)
{
    struct topic_call **at = &topic.calls;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    call->stream->user = NULL;
    free(call->body);
    free(call);
}

static void topic_refuse(struct topic_call *call, enum mr_grpc_code code, const char *text)
{
    struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];
    uint8_t place[1024], details[256], value[64], any[128];
    struct mr_pen pen = mr_pen_of(place, sizeof place), detail = mr_pen_of(details, sizeof details);
    struct mr_pen info = mr_pen_of(value, sizeof value), packed = mr_pen_of(any, sizeof any);

    if (topic.retry_s > 0) {
        struct mr_rpc_retry_info retry = {.delay = {.present = true, .seconds = topic.retry_s}};
        mr_rpc_retry_info_put(&info, &retry);
        mr_rpc_any_put_typed(&packed, MR_RPC_RETRY_INFO, mr_pen_span(&info));
        struct mr_span item = mr_pen_span(&packed);
        struct mr_rpc_status status = {.code = (int32_t)code,
                                       .details = {.number = 3, .items = &item, .count = 1}};
        mr_rpc_status_put(&detail, &status);
    }
    size_t count = mr_grpc_trailers(headers, &pen, true, (int32_t)code, mr_span_text(text),
                                    mr_pen_span(&detail));
    assert_int_equal(mr_h2_respond(mr_link_h2(topic.link), call->stream, headers, count, true),
                     MR_OK);
}

static void topic_accept(struct topic_call *call, const struct mr_pubsub_publish *publish)
{
    struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];
    struct mr_h2 *h2 = mr_link_h2(topic.link);
    static uint8_t place[1 << 17], trailers[512];
    struct mr_pen pen = mr_pen_of(place + MR_GRPC_PREFIX_BYTES, sizeof place - 8);
    struct mr_pen tail = mr_pen_of(trailers, sizeof trailers);
    struct mr_pb_each each = mr_pb_list_each(&publish->messages);
    struct mr_span message;

    while (mr_pb_each_span(&each, &message)) {
        uint8_t *copy = malloc(message.bytes ? message.bytes : 1);
        memcpy(copy, message.data, message.bytes);
        assert_true(topic.kept_count < KEPT_MAX);
        topic.kept[topic.kept_count++] = mr_span_of(copy, message.bytes);
        if (!topic.short_answer)
            mr_pb_put_bytes(&pen, 1, mr_span_text("12345678901234567"));
    }
    topic.short_answer = false;
    mr_grpc_prefix(place, (uint32_t)pen.bytes);
    size_t count = mr_grpc_response_headers(headers);
    assert_int_equal(mr_h2_respond(h2, call->stream, headers, count, false), MR_OK);
    mr_h2_send_copy(h2, call->stream, mr_span_of(place, pen.bytes + MR_GRPC_PREFIX_BYTES));
    count = mr_grpc_trailers(headers, &tail, false, 0, mr_span_of(NULL, 0), mr_span_of(NULL, 0));
    mr_h2_trailers(h2, call->stream, headers, count);
}

static bool is_poisoned(const struct mr_pubsub_publish *publish)
{
    struct mr_pb_each each = mr_pb_list_each(&publish->messages);
    struct mr_pubsub_message message;
    struct mr_span bytes;

    while (topic.poison && mr_pb_each_span(&each, &bytes)) {
        assert_int_equal(mr_pubsub_message_parse(&message, bytes), MR_OK);
        if (mr_span_equal(message.data, mr_span_text(topic.poison)))
            return true;
    }
    return false;
}

static void topic_answer(struct topic_call *call)
{
    struct mr_pubsub_publish publish;
    struct mr_span bytes = mr_span_of(call->body + MR_GRPC_PREFIX_BYTES,
                                      call->bytes - MR_GRPC_PREFIX_BYTES);

    assert_int_equal(mr_pubsub_publish_parse(&publish, bytes), MR_OK);
    assert_true(mr_span_equal(publish.topic, mr_span_text(TOPIC)));
    assert_in_range(publish.messages.found, 1, 1000);
    assert_in_range(bytes.bytes, 1, MR_PUBLISH_BYTES_MAX);
    if (topic.refused_ns && !topic.again_ns)
        topic.again_ns = mr_now_ns();
    assert_true(topic.requests < REQUESTS_MAX);
    topic.request_bytes[topic.requests] = bytes.bytes;
    topic.request_messages[topic.requests++] = publish.messages.found;
    if (topic.no_count > 0) {
        topic.no_count--;
        topic.refused_ns = mr_now_ns();
        topic.again_ns = 0;
        topic_refuse(call, topic.no, "as the test wants it");
    } else if (is_poisoned(&publish)) {
        topic_refuse(call, MR_GRPC_INVALID_ARGUMENT, "a poisoned message");
    } else {
        topic_accept(call, &publish);
    }
    topic_forget(call);
}

static void topic_answer_held(void)
{
    for (struct topic_call *call = topic.calls, *next; call; call = next) {
        next = call->next;
        if (call->whole)
            topic_answer(call);
    }
    topic_pump();
}

static void topic_headers(void *self, struct mr_h2_stream *stream, enum mr_h2_block block,
                          const struct mr_h2_header *headers, size_t count, bool end)
{
    (void)self, (void)block, (void)end;
    uint32_t under_way = 0;
    bool path = false;

    for (size_t i = 0; i < count; i++)
        path |= mr_span_equal(headers[i].value,
                              mr_span_text("/google.pubsub.v1.Publisher/Publish"));
    assert_true(path);
    struct topic_call *call = calloc(1, sizeof *call);
    call->stream = stream;
    call->next = topic.calls;
    topic.calls = call;
    stream->user = call;
    for (call = topic.calls; call; call = call->next)
        under_way++;
    topic.under_way_max = MR_MAX(topic.under_way_max, under_way);
}

static void topic_data(void *self, struct mr_h2_stream *stream, struct mr_span bytes)
{
    struct topic_call *call = stream->user;
    (void)self;

    if (call) {
        if (call->bytes + bytes.bytes > call->room) {
            call->room = 2 * (call->bytes + bytes.bytes);
            call->body = realloc(call->body, call->room);
        }
        memcpy(call->body + call->bytes, bytes.data, bytes.bytes);
        call->bytes += bytes.bytes;
    }
    mr_h2_consume_connection(mr_link_h2(topic.link), bytes.bytes);
    mr_h2_consume_stream(mr_link_h2(topic.link), stream, bytes.bytes);
}

static void topic_end(void *self, struct mr_h2_stream *stream)
{
    struct topic_call *call = stream->user;
    (void)self;

    call->whole = true;
    if (!topic.hold)
        topic_answer(call);
}

static void topic_stream_closed(void *self, struct mr_h2_stream *stream, uint32_t code)
{
    (void)self, (void)code;
    if (stream->user)
        topic_forget(stream->user);
}

static const struct mr_h2_events topic_events = {
    .headers = topic_headers, .data = topic_data, .end = topic_end, .closed = topic_stream_closed};

static void topic_bytes(struct mr_socket *socket, struct mr_span bytes)
{
    (void)socket;
    assert_int_equal(mr_link_feed(topic.link, bytes), MR_OK);
    topic_pump();
}

static void topic_room(struct mr_socket *socket)
{
    (void)socket;
    topic_pump();
}

static void topic_closed(struct mr_socket *socket, int error)
{
    (void)socket, (void)error;
    topic.connected = false;
    while (topic.calls)
        topic_forget(topic.calls);
    mr_link_destroy(topic.link);
    topic.link = NULL;
}

static const struct mr_socket_calls topic_socket_calls = {
    .bytes = topic_bytes, .room = topic_room, .closed = topic_closed};

static void topic_accepted(struct mr_listener *listener, int fd)
{
    struct mr_link_options options = {.h2 = {.server = true}};
    (void)listener;

    assert_false(topic.connected);
    topic.link = mr_link_create(&options, &topic_events, NULL);
    mr_socket_init(&topic.socket, topic.io, &topic_socket_calls, topic.send_buffer, SEND_BYTES);
    topic.connected = mr_socket_adopt(&topic.socket, fd, NULL) == 0;
    assert_true(topic.connected);
    topic.connections++;
}

static void topic_failed(struct mr_listener *listener, int error)
{
    (void)listener, (void)error;
    fail();
}

static uint16_t topic_open(struct mr_io *io)
{
    struct mr_address address;
    uint32_t count;

    topic = (struct topic){.io = io, .send_buffer = malloc(SEND_BYTES)};
    topic.listener.accepted = topic_accepted;
    topic.listener.failed = topic_failed;
    assert_int_equal(mr_resolve("127.0.0.1:0", &address, 1, &count), MR_OK);
    assert_int_equal(mr_listener_open(&topic.listener, io, &address), 0);
    return topic.listener.port;
}

static void topic_hang_up(void)
{
    mr_socket_close(&topic.socket, 0);
}

static void topic_close(void)
{
    if (topic.connected)
        topic_hang_up();
    mr_listener_close(&topic.listener);
    for (uint32_t tries = 0; mr_io_pending(topic.io) > 0 && tries < 1000; tries++)
        mr_io_turn(topic.io, 1000000);
    assert_int_equal(mr_io_pending(topic.io), 0);
    for (uint32_t i = 0; i < topic.kept_count; i++)
        free((void *)(uintptr_t)topic.kept[i].data);
    free(topic.send_buffer);
}

#endif
