/* A local cloud in a thread of this process, and a small blocking client over wire/link. Waits are
 * bounded by WAIT_MS and fail the test. */
#ifndef MR_TESTS_LOCAL_SERVER_KIT_H
#define MR_TESTS_LOCAL_SERVER_KIT_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "local/server.h"
#include "wire/grpc.h"
#include "wire/link.h"
#include "wire/pubsub.h"

#define WAIT_MS 20000
#define TOPIC   "projects/p/topics/orders"
#define SUB     "projects/p/subscriptions/orders-sub"

static inline struct mr_span text(const char *s)
{
    return mr_span_text(s);
}

/* ---- the server ---- */

struct cloud {
    struct mr_server *server;
    pthread_t thread;
    int result;
};

static void *cloud_run(void *self)
{
    struct cloud *cloud = self;

    cloud->result = mr_server_run(cloud->server);
    return NULL;
}

static inline struct mr_server_options cloud_options(void)
{
    struct mr_server_options options = {.listen = "127.0.0.1", .pubsub.seed = 7};

    for (int door = 0; door < MR_SERVER_DOORS; door++)
        options.ports[door] = MR_SERVER_CLOSED;
    options.ports[MR_SERVER_PUBSUB] = 0;
    return options;
}

static inline void cloud_start(struct cloud *cloud, const struct mr_server_options *options)
{
    char why[MR_SERVER_WHY_BYTES];
    int err = mr_server_create(&cloud->server, options, why);

    if (err != MR_OK)
        print_error("%s: %s\n", mr_err_code(err), why);
    assert_int_equal(err, MR_OK);
    assert_int_equal(pthread_create(&cloud->thread, NULL, cloud_run, cloud), 0);
}

static inline void cloud_stop(struct cloud *cloud)
{
    mr_server_stop(cloud->server);
    pthread_join(cloud->thread, NULL);
    assert_int_equal(cloud->result, MR_OK);
}

static inline void cloud_finish(struct cloud *cloud)
{
    cloud_stop(cloud);
    mr_server_destroy(cloud->server);
}

/* ---- the client ---- */

struct answer {
    struct mr_h2_stream *stream; /* NULL once closed */
    int32_t code, http_status;   /* code -1: not ended */
    bool headers, closed;
    char message[512];
    uint8_t *bytes; /* DATA as it came, gRPC prefixes and all */
    size_t count, room;
    bool hoard; /* windows are not given back */
    uint8_t details[8192];
    size_t details_bytes;
};

struct client {
    int fd;
    struct mr_link *link;
    bool goaway, ended;
};

static void client_headers(void *self, struct mr_h2_stream *stream, enum mr_h2_block block,
                           const struct mr_h2_header *headers, size_t count, bool end)
{
    struct answer *a = stream->user;
    struct mr_grpc_outcome outcome;

    (void)self, (void)block, (void)end;
    a->headers = true;
    mr_grpc_outcome_read(&outcome, headers, count);
    if (outcome.http_status)
        a->http_status = outcome.http_status;
    if (outcome.code < 0)
        return;
    a->code = outcome.code;
    a->message[mr_grpc_message_decode(a->message, sizeof a->message - 1, outcome.message)] = 0;
    int64_t bytes = mr_grpc_base64_decode(a->details, sizeof a->details, outcome.details);
    a->details_bytes = bytes > 0 ? (size_t)bytes : 0;
}

static void client_data(void *self, struct mr_h2_stream *stream, struct mr_span bytes)
{
    struct client *c = self;
    struct answer *a = stream->user;

    if (a->count + bytes.bytes > a->room) {
        a->room = mr_pow2_at_least(a->count + bytes.bytes);
        a->bytes = realloc(a->bytes, a->room);
        assert_non_null(a->bytes);
    }
    memcpy(a->bytes + a->count, bytes.data, bytes.bytes);
    a->count += bytes.bytes;
    mr_h2_consume_connection(mr_link_h2(c->link), bytes.bytes);
    if (!a->hoard)
        mr_h2_consume_stream(mr_link_h2(c->link), stream, bytes.bytes);
}

static void client_closed(void *self, struct mr_h2_stream *stream, uint32_t code)
{
    struct answer *a = stream->user;

    (void)self;
    a->closed = true;
    a->stream = NULL;
    if (a->code < 0 && code != 0)
        a->code = (int32_t)mr_grpc_code_of_reset(code);
}

static void client_goaway(void *self, int32_t last, uint32_t code, struct mr_span debug)
{
    (void)last, (void)code, (void)debug;
    ((struct client *)self)->goaway = true;
}

static const struct mr_h2_events client_events = {.headers = client_headers,
                                                  .data = client_data,
                                                  .closed = client_closed,
                                                  .goaway = client_goaway};

static inline int client_socket(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline void client_open_tls(struct client *c, uint16_t port, struct mr_tls_context *tls)
{
    struct mr_link_options options = {.tls = tls, .host = tls ? "127.0.0.1" : NULL};

    *c = (struct client){.fd = client_socket(port)};
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->link = mr_link_create(&options, &client_events, c);
    assert_non_null(c->link);
}

static inline void client_open(struct client *c, const struct cloud *cloud)
{
    client_open_tls(c, mr_server_port(cloud->server, MR_SERVER_PUBSUB), NULL);
}

static inline void client_close(struct client *c)
{
    mr_link_destroy(c->link);
    close(c->fd);
}

/* Sends all there is to say, then reads what comes within wait_ms; false: nothing came. */
static inline bool client_turn(struct client *c, int wait_ms)
{
    static _Thread_local uint8_t buffer[1 << 16];
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    int64_t bytes;

    while ((bytes = mr_link_take(c->link, buffer, sizeof buffer)) > 0)
        for (int64_t sent = 0; sent < bytes;) {
            ssize_t now = send(c->fd, buffer + sent, (size_t)(bytes - sent), MSG_NOSIGNAL);
            struct pollfd out = {.fd = c->fd, .events = POLLOUT};
            if (now < 0 && errno == EAGAIN)
                assert_true(poll(&out, 1, WAIT_MS) > 0);
            else if (now < 0)
                return false;
            else
                sent += now;
        }
    if (c->ended || poll(&p, 1, wait_ms) <= 0)
        return false;
    ssize_t got = read(c->fd, buffer, sizeof buffer);
    if (got <= 0) {
        c->ended = true;
        return false;
    }
    mr_link_feed(c->link, mr_span_of(buffer, (size_t)got));
    return true;
}

static inline void answer_finish(struct answer *a)
{
    if (a->stream)
        a->stream->user = NULL;
    free(a->bytes);
    memset(a, 0, sizeof *a);
}

static inline void call_start(struct client *c, struct answer *a, const char *path,
                              const char *timeout)
{
    struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];
    struct mr_grpc_request request = {.plaintext = true,
                                      .authority = text("127.0.0.1"),
                                      .path = text(path),
                                      .timeout = text(timeout)};

    memset(a, 0, sizeof *a);
    a->code = -1;
    a->stream = mr_h2_open(mr_link_h2(c->link), headers,
                           mr_grpc_request_headers(headers, &request));
    assert_non_null(a->stream);
    a->stream->user = a;
}

static inline void call_send(struct client *c, struct answer *a, struct mr_span message)
{
    uint8_t prefix[MR_GRPC_PREFIX_BYTES];

    if (!a->stream)
        return;
    mr_grpc_prefix(prefix, (uint32_t)message.bytes);
    mr_h2_send_copy(mr_link_h2(c->link), a->stream, mr_span_of(prefix, sizeof prefix));
    mr_h2_send_copy(mr_link_h2(c->link), a->stream, message);
}

static inline void call_half_close(struct client *c, struct answer *a)
{
    mr_h2_end(mr_link_h2(c->link), a->stream);
}

/* How many whole messages have come, and the one at `index`. */
static inline uint32_t answer_messages(const struct answer *a, uint32_t index,
                                       struct mr_span *message)
{
    uint32_t count = 0;

    for (size_t at = 0; a->count - at >= MR_GRPC_PREFIX_BYTES; count++) {
        uint32_t bytes = __builtin_bswap32(mr_load32(a->bytes + at + 1));
        at += MR_GRPC_PREFIX_BYTES;
        if (a->count - at < bytes)
            break;
        if (message && count == index)
            *message = mr_span_of(a->bytes + at, bytes);
        at += bytes;
    }
    return count;
}

static inline void wait_closed(struct client *c, struct answer *a)
{
    uint64_t until_ns = mr_now_ns() + (uint64_t)WAIT_MS * 1000000;

    while (!a->closed && !c->ended && mr_now_ns() < until_ns)
        client_turn(c, 100);
    assert_true(a->closed || c->ended);
}

static inline struct mr_span wait_message(struct client *c, struct answer *a, uint32_t index)
{
    uint64_t until_ns = mr_now_ns() + (uint64_t)WAIT_MS * 1000000;
    struct mr_span message = {NULL, 0};

    while (answer_messages(a, index, &message) <= index && !a->closed && mr_now_ns() < until_ns)
        client_turn(c, 100);
    if (a->closed && answer_messages(a, index, NULL) <= index)
        print_error("ended %d: %s\n", a->code, a->message);
    assert_true(answer_messages(a, index, NULL) > index);
    return message;
}

/* Nothing comes for a while. */
static inline void assert_silent(struct client *c, struct answer *a, uint32_t messages)
{
    for (int i = 0; i < 10; i++)
        client_turn(c, 20);
    assert_int_equal(answer_messages(a, 0, NULL), messages);
    assert_false(a->closed);
}

/* One unary call to its end; the answer is the caller's to finish. */
static inline int32_t unary(struct client *c, struct answer *a, enum mr_pubsub_method method,
                            struct mr_span request)
{
    call_start(c, a, mr_pubsub_path(method), "");
    call_send(c, a, request);
    call_half_close(c, a);
    wait_closed(c, a);
    return a->code;
}

static inline int32_t code_of(struct client *c, enum mr_pubsub_method method,
                              struct mr_span request)
{
    struct answer a;
    int32_t code = unary(c, &a, method, request);

    answer_finish(&a);
    return code;
}

/* ---- Pub/Sub ---- */

static inline void make_names(struct client *c, const struct mr_pubsub_subscription *settings)
{
    struct mr_pubsub_subscription s = settings ? *settings : (struct mr_pubsub_subscription){0};
    uint8_t memory[1024];
    struct mr_pen pen = mr_pen_of(memory, sizeof memory);

    mr_pubsub_topic_put(&pen, &(struct mr_pubsub_topic){.name = text(TOPIC)});
    assert_int_equal(code_of(c, MR_PUBSUB_CREATE_TOPIC, mr_pen_span(&pen)), 0);
    pen = mr_pen_of(memory, sizeof memory);
    s.name = text(SUB);
    s.topic = text(TOPIC);
    mr_pubsub_subscription_put(&pen, &s);
    assert_int_equal(code_of(c, MR_PUBSUB_CREATE_SUBSCRIPTION, mr_pen_span(&pen)), 0);
}

/* A PublishRequest of `count` equal messages; free the span's data. */
static inline struct mr_span publish_request(uint32_t count, struct mr_span data)
{
    size_t limit = 100 + count * (data.bytes + 100);
    uint8_t *memory = malloc(limit);
    struct mr_pen pen = mr_pen_of(memory, limit);
    struct mr_pubsub_message message = {.data = data};

    mr_pb_put_bytes(&pen, 1, text(TOPIC));
    for (uint32_t i = 0; i < count; i++)
        mr_pubsub_message_nest(&pen, 2, &message);
    assert_int_equal(pen.err, MR_OK);
    return mr_pen_span(&pen);
}

static inline void publish(struct client *c, uint32_t count, struct mr_span data)
{
    struct mr_span request = publish_request(count, data);

    assert_int_equal(code_of(c, MR_PUBSUB_PUBLISH, request), 0);
    free((void *)(uintptr_t)request.data);
}

static inline void stream_send(struct client *c, struct answer *a,
                               const struct mr_pubsub_streaming_pull *request)
{
    uint8_t memory[4096];
    struct mr_pen pen = mr_pen_of(memory, sizeof memory);

    mr_pubsub_streaming_pull_put(&pen, request);
    assert_int_equal(pen.err, MR_OK);
    call_send(c, a, mr_pen_span(&pen));
}

static inline void stream_open(struct client *c, struct answer *a,
                               struct mr_pubsub_streaming_pull request)
{
    request.subscription = text(SUB);
    if (request.stream_ack_deadline_seconds == 0)
        request.stream_ack_deadline_seconds = 60;
    call_start(c, a, mr_pubsub_path(MR_PUBSUB_STREAMING_PULL), "");
    stream_send(c, a, &request);
}

static inline struct mr_pubsub_streaming_pull_response stream_response(struct mr_span message)
{
    struct mr_pubsub_streaming_pull_response response;

    assert_int_equal(mr_pubsub_streaming_pull_response_parse(&response, message), MR_OK);
    return response;
}

/* The ack id of the first message of a response. */
static inline struct mr_span first_ack_id(const struct mr_pubsub_streaming_pull_response *response)
{
    struct mr_pb_each each = mr_pb_list_each(&response->received);
    struct mr_pubsub_received received;
    struct mr_span bytes;

    assert_true(mr_pb_each_span(&each, &bytes));
    assert_int_equal(mr_pubsub_received_parse(&received, bytes), MR_OK);
    return received.ack_id;
}

#endif
