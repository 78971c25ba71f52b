/* Aim: client and server understand each other over a link, with and without TLS, in calm and in
 * trouble: resets, GOAWAY, trailers-only, large bodies and trailers, stalled windows, bad
 * certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/wire/loop.h"

#define PIECE (1 << 14)

static struct mr_tls_context *trusting, *strange, *serving;
static struct side client, server;

static void write_file(char *path, const char *text)
{
    int file = mkstemp(path);

    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
}

static int make_contexts(void **state)
{
    struct mr_tls_made made, other;
    char ca[] = "/tmp/mr-ca-XXXXXX", stranger[] = "/tmp/mr-ca-XXXXXX";
    char certificate[] = "/tmp/mr-crt-XXXXXX", key[] = "/tmp/mr-key-XXXXXX";
    char why[MR_TLS_WHY_BYTES];

    (void)state;
    assert_int_equal(mr_tls_make(&made, "localhost"), MR_OK);
    assert_int_equal(mr_tls_make(&other, "localhost"), MR_OK);
    write_file(ca, made.ca);
    write_file(stranger, other.ca);
    write_file(certificate, made.certificate);
    write_file(key, made.key);
    trusting = mr_tls_client_context(ca, why);
    strange = mr_tls_client_context(stranger, why);
    serving = mr_tls_server_context(certificate, key, why);
    unlink(ca), unlink(stranger), unlink(certificate), unlink(key);
    mr_tls_made_finish(&made);
    mr_tls_made_finish(&other);
    return trusting && strange && serving ? 0 : -1;
}

static int drop_contexts(void **state)
{
    (void)state;
    mr_tls_context_destroy(trusting);
    mr_tls_context_destroy(strange);
    mr_tls_context_destroy(serving);
    return 0;
}

static void join(struct mr_tls_context *tls, const char *host, uint32_t window)
{
    struct mr_link_options ours = {.tls = tls, .host = host, .h2 = {.stream_window = window}};
    struct mr_link_options theirs = {.tls = tls ? serving : NULL,
                                     .h2 = {.server = true, .stream_window = window}};

    client = (struct side){.link = mr_link_create(&ours, &loop_events, &client)};
    server = (struct side){.link = mr_link_create(&theirs, &loop_events, &server)};
    assert_non_null(client.link);
    assert_non_null(server.link);
}

static void part(void)
{
    mr_link_destroy(client.link);
    mr_link_destroy(server.link);
}

static struct mr_h2_stream *call(const char *path)
{
    struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];
    struct mr_grpc_request request = {.authority = mr_span_text("localhost"),
                                      .path = mr_span_text(path),
                                      .authorization = mr_span_text("Bearer secret")};
    size_t count = mr_grpc_request_headers(headers, &request);

    return mr_h2_open(mr_link_h2(client.link), headers, count);
}

static void respond(struct side *side, struct mr_h2_stream *stream)
{
    struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];
    size_t count = mr_grpc_response_headers(headers);

    assert_int_equal(mr_h2_respond(mr_link_h2(side->link), stream, headers, count, false), MR_OK);
}

static void finish(struct side *side, struct mr_h2_stream *stream, int32_t code, const char *text)
{
    struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];
    uint8_t memory[512];
    struct mr_pen pen = mr_pen_of(memory, sizeof memory);
    size_t count = mr_grpc_trailers(headers, &pen, false, code, mr_span_text(text),
                                    mr_span_of(NULL, 0));

    assert_int_equal(mr_h2_trailers(mr_link_h2(side->link), stream, headers, count), MR_OK);
}

/* Echo: as many bytes as came, once the client has ended. */
static uint8_t echo_bytes[1 << 22];

static void echo(struct side *side, struct mr_h2_stream *stream)
{
    struct heard *heard = heard_of(side, stream);

    respond(side, stream);
    assert_true(heard->bytes <= sizeof echo_bytes);
    assert_int_equal(mr_h2_send(mr_link_h2(side->link), stream, mr_span_of(NULL, 0),
                                mr_span_of(echo_bytes, (size_t)heard->bytes), NULL),
                     MR_OK);
    finish(side, stream, MR_GRPC_NOT_FOUND, "no such thing: 100%\n\xC3\xBC");
}

static uint64_t checksum(const uint8_t *bytes, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum = sum * 31 + bytes[i];
    return sum;
}

static void unary_of(struct mr_tls_context *tls, size_t bytes, size_t step)
{
    uint8_t prefix[MR_GRPC_PREFIX_BYTES];

    for (size_t i = 0; i < sizeof echo_bytes; i++)
        echo_bytes[i] = (uint8_t)(i * 7 + (i >> 9));
    join(tls, "localhost", 0);
    server.on_end = echo;
    struct mr_h2_stream *stream = call("/a.B/C");
    assert_non_null(stream);
    struct heard *ours = heard_of(&client, stream), *theirs = heard_of(&server, stream);
    mr_grpc_prefix(prefix, (uint32_t)bytes);
    struct mr_h2 *h2 = mr_link_h2(client.link);
    assert_int_equal(mr_h2_send(h2, stream, mr_span_of(prefix, sizeof prefix),
                                mr_span_of(echo_bytes, bytes), NULL),
                     MR_OK);
    assert_int_equal(mr_h2_queued_bytes(stream), bytes + 5);
    assert_int_equal(mr_h2_end(h2, stream), MR_OK);
    assert_int_equal(mr_h2_end(h2, stream), MR_E_HTTP2_STREAM);
    loop_run(&client, &server, step);
    assert_int_equal(client.err, MR_OK);
    assert_int_equal(server.err, MR_OK);
    assert_string_equal(theirs->path, "/a.B/C");
    assert_true(theirs->bytes == bytes + 5 && ours->bytes == bytes + 5);
    assert_true(ours->checksum == checksum(echo_bytes, bytes + 5));
    assert_true(ours->sents == 1 && theirs->sents == 1);
    assert_true(ours->responses == 1 && ours->trailers == 1 && ours->ends == 1);
    assert_true(ours->closes == 1 && theirs->closes == 1);
    assert_int_equal(ours->reset_code, 0);
    assert_int_equal(ours->outcome.http_status, 200);
    assert_int_equal(ours->outcome.code, MR_GRPC_NOT_FOUND);
    assert_string_equal(ours->message, "no such thing: 100%\n\xC3\xBC");
    assert_int_equal(mr_h2_open_count(h2), 0);
    part();
}

static void unary_calls_pass(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 16379, 16384, 100000, 3000000};
    for (size_t i = 0; i < MR_COUNT(sizes); i++) {
        unary_of(NULL, sizes[i], PIECE);
        unary_of(trusting, sizes[i], PIECE);
    }
    unary_of(NULL, 300, 1);
    unary_of(trusting, 300, 1);
}

static void a_strange_authority_is_refused(void **state)
{
    (void)state;
    join(strange, "localhost", 0);
    loop_run(&client, &server, PIECE);
    assert_int_equal(client.err, MR_E_TLS_CERTIFICATE);
    assert_non_null(strstr(mr_link_why(client.link), "unable to get local issuer certificate"));
    assert_false(mr_link_ready(client.link));
    assert_int_equal(server.err, MR_E_TLS); /* it heard the alert */
    assert_non_null(strstr(mr_link_why(server.link), "unknown ca"));
    part();
}

static void a_wrong_name_is_refused(void **state)
{
    (void)state;
    join(trusting, "other.example", 0);
    loop_run(&client, &server, PIECE);
    assert_int_equal(client.err, MR_E_TLS_CERTIFICATE);
    assert_non_null(strstr(mr_link_why(client.link), "hostname mismatch"));
    part();
    join(trusting, "127.0.0.1", 0);
    loop_run(&client, &server, PIECE);
    assert_int_equal(client.err, MR_E_TLS_CERTIFICATE);
    assert_non_null(strstr(mr_link_why(client.link), "IP address mismatch"));
    part();
}

static void files_that_are_no_pem_are_named(void **state)
{
    char why[MR_TLS_WHY_BYTES];

    (void)state;
    assert_null(mr_tls_client_context("/nonexistent/ca.pem", why));
    assert_non_null(strstr(why, "/nonexistent/ca.pem"));
    assert_null(mr_tls_server_context("/dev/null", "/dev/null", why));
    assert_non_null(strstr(why, "/dev/null"));
}

/* An HTTP/1 answer where TLS or HTTP/2 is expected. */
static void other_protocols_are_refused(void **state)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

    (void)state;
    join(trusting, "localhost", 0);
    assert_int_equal(mr_link_feed(client.link, mr_span_text(text)), MR_E_TLS);
    assert_true(strlen(mr_link_why(client.link)) > 0);
    part();
    join(NULL, NULL, 0);
    assert_int_equal(mr_link_feed(server.link, mr_span_text("GET / HTTP/1.1\r\n\r\n")), MR_E_HTTP2);
    assert_true(strlen(mr_link_why(server.link)) > 0);
    assert_int_equal(mr_link_feed(client.link, mr_span_text(text)), MR_OK);
    loop_run(&client, &server, PIECE);
    assert_int_equal(client.err, MR_E_HTTP2);
    assert_true(strlen(mr_link_why(client.link)) > 0);
    part();
}

static void reset_by_client(struct side *side, struct mr_h2_stream *stream)
{
    respond(side, stream);
    assert_int_equal(mr_h2_send_copy(mr_link_h2(side->link), stream, mr_span_text("partial")),
                     MR_OK);
}

static void resets_carry_their_code(void **state)
{
    (void)state;
    join(trusting, "localhost", 0);
    server.on_request = reset_by_client;
    struct mr_h2_stream *stream = call("/a.B/C");
    struct heard *ours = heard_of(&client, stream), *theirs = heard_of(&server, stream);
    static const char borrowed[] = "never sent";
    loop_run(&client, &server, PIECE);
    assert_true(ours->bytes == 7);
    assert_int_equal(mr_h2_send(mr_link_h2(client.link), stream, mr_span_of(NULL, 0),
                                mr_span_text(borrowed), NULL),
                     MR_OK);
    mr_h2_reset(mr_link_h2(client.link), stream, MR_H2_CANCEL);
    assert_int_equal(mr_h2_send_copy(mr_link_h2(client.link), stream, mr_span_text("x")),
                     MR_E_HTTP2_STREAM);
    loop_run(&client, &server, PIECE);
    assert_true(ours->closes == 1 && theirs->closes == 1);
    assert_int_equal(theirs->reset_code, MR_H2_CANCEL);
    assert_int_equal(mr_grpc_code_of_reset(theirs->reset_code), MR_GRPC_CANCELLED);
    assert_int_equal(ours->sents, 1); /* what was borrowed came back */
    part();
}

static void only_trailers(struct side *side, struct mr_h2_stream *stream)
{
    struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];
    uint8_t memory[512];
    struct mr_pen pen = mr_pen_of(memory, sizeof memory);
    size_t count = mr_grpc_trailers(headers, &pen, true, MR_GRPC_PERMISSION_DENIED,
                                    mr_span_text("no"), mr_span_text("\x08\x07"));

    assert_int_equal(mr_h2_respond(mr_link_h2(side->link), stream, headers, count, true), MR_OK);
}

/* The client still sends: it is to reset with NO_ERROR, and the call is over on both sides. */
static void trailers_only_ends_the_call(void **state)
{
    (void)state;
    join(NULL, NULL, 0);
    server.on_request = only_trailers;
    struct mr_h2_stream *stream = call("/a.B/C");
    struct heard *ours = heard_of(&client, stream), *theirs = heard_of(&server, stream);
    loop_run(&client, &server, PIECE);
    assert_true(ours->responses == 1 && ours->trailers == 0 && ours->ends == 1);
    assert_int_equal(ours->outcome.code, MR_GRPC_PERMISSION_DENIED);
    assert_true(ours->closes == 1 && theirs->closes == 1);
    assert_int_equal(ours->reset_code, 0);
    part();
}

static void goaway_drains(void **state)
{
    (void)state;
    join(trusting, "localhost", 0);
    server.on_end = echo;
    struct mr_h2_stream *stream = call("/a.B/C");
    loop_run(&client, &server, PIECE);
    mr_h2_goaway(mr_link_h2(server.link), MR_H2_NO_ERROR, mr_span_text("max_age"));
    loop_run(&client, &server, PIECE);
    assert_int_equal(client.goaways, 1);
    assert_int_equal(client.goaway_last, 1);
    assert_null(call("/a.B/D"));
    assert_false(mr_link_done(client.link));
    struct heard *ours = heard_of(&client, stream);
    assert_int_equal(mr_h2_end(mr_link_h2(client.link), stream), MR_OK);
    loop_run(&client, &server, PIECE);
    assert_int_equal(ours->outcome.code, MR_GRPC_NOT_FOUND); /* the open call finished */
    assert_true(mr_link_done(client.link));
    part();
}

static void pings_come_back(void **state)
{
    (void)state;
    join(NULL, NULL, 0);
    mr_h2_ping(mr_link_h2(client.link), UINT64_C(0x0123456789ABCDEF));
    loop_run(&client, &server, PIECE);
    assert_int_equal(client.pongs, 1);
    assert_true(client.pong == UINT64_C(0x0123456789ABCDEF));
    assert_true(client.settings == 1 && server.settings == 1);
    part();
}

/* Without stream windows given back the sender stalls at the window; others are not hindered. */
static void a_stalled_window_resumes(void **state)
{
    enum { WINDOW = 70000, BYTES = 1000000 };

    (void)state;
    join(trusting, "localhost", WINDOW);
    server.hoard = true;
    struct mr_h2_stream *slow = call("/a.B/Slow");
    struct heard *theirs = heard_of(&server, slow);
    struct mr_h2 *h2 = mr_link_h2(client.link);
    assert_int_equal(mr_h2_send(h2, slow, mr_span_of(NULL, 0), mr_span_of(echo_bytes, BYTES), NULL),
                     MR_OK);
    loop_run(&client, &server, PIECE);
    assert_int_equal(theirs->bytes, WINDOW);
    assert_int_equal(mr_h2_queued_bytes(slow), BYTES - WINDOW);

    server.hoard = false;
    struct mr_h2_stream *quick = call("/a.B/Quick");
    assert_int_equal(
        mr_h2_send(h2, quick, mr_span_of(NULL, 0), mr_span_of(echo_bytes, BYTES), NULL), MR_OK);
    loop_run(&client, &server, PIECE);
    assert_int_equal(heard_of(&server, quick)->bytes, BYTES);
    assert_int_equal(theirs->bytes, WINDOW);

    mr_h2_consume_stream(mr_link_h2(server.link), theirs->stream, WINDOW);
    loop_run(&client, &server, PIECE);
    assert_int_equal(theirs->bytes, BYTES);
    part();
}

static void many_streams_share_a_link(void **state)
{
    enum { STREAMS = 80, BYTES = 50000 };

    (void)state;
    join(trusting, "localhost", 0);
    loop_run(&client, &server, PIECE); /* so that the server's limit is known */
    server.on_end = echo;
    struct mr_h2 *h2 = mr_link_h2(client.link);
    struct mr_h2_stream *streams[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        streams[i] = call("/a.B/C");
        assert_non_null(streams[i]);
        assert_int_equal(mr_h2_send(h2, streams[i], mr_span_of(NULL, 0),
                                    mr_span_of(echo_bytes, BYTES + (size_t)i), NULL),
                         MR_OK);
        assert_int_equal(mr_h2_end(h2, streams[i]), MR_OK);
    }
    for (int i = STREAMS; i < MR_H2_STREAMS_MAX; i++)
        assert_non_null(call("/a.B/Idle"));
    assert_null(call("/a.B/TooMany"));
    loop_run(&client, &server, PIECE);
    assert_int_equal(mr_h2_open_count(h2), MR_H2_STREAMS_MAX - STREAMS);
    for (uint64_t i = 0; i < STREAMS; i++) {
        assert_true(client.heard[i].bytes == BYTES + i);
        assert_true(client.heard[i].checksum == checksum(echo_bytes, BYTES + i));
        assert_int_equal(client.heard[i].outcome.code, MR_GRPC_NOT_FOUND);
    }
    part();
}

static void long_trailers(struct side *side, struct mr_h2_stream *stream)
{
    enum { COUNT = 60, BYTES = 60000 };
    static char value[BYTES];
    struct mr_h2_header headers[COUNT + 1];

    memset(value, 'A', sizeof value);
    respond(side, stream);
    headers[0] = (struct mr_h2_header){mr_span_text("grpc-status"), mr_span_text("3")};
    for (int i = 0; i < COUNT; i++) {
        value[0] = (char)('A' + i % 26);
        headers[i + 1] = (struct mr_h2_header){mr_span_text("x-part-bin"),
                                               mr_span_of(value, BYTES)};
    }
    assert_int_equal(mr_h2_trailers(mr_link_h2(side->link), stream, headers, COUNT + 1), MR_OK);
}

/* 3.6 MB of trailers in one block: CONTINUATION frames beyond any default. */
static void trailers_may_be_megabytes(void **state)
{
    (void)state;
    join(trusting, "localhost", 0);
    server.on_end = long_trailers;
    struct mr_h2_stream *stream = call("/a.B/C");
    struct heard *ours = heard_of(&client, stream);
    mr_h2_end(mr_link_h2(client.link), stream);
    loop_run(&client, &server, PIECE);
    assert_int_equal(client.err, MR_OK);
    assert_int_equal(ours->outcome.code, 3);
    assert_true(client.headers_bytes > 3600000);
    part();
}

static void one_long_trailer(struct side *side, struct mr_h2_stream *stream)
{
    static char value[2 * MR_H2_HEADER_VALUE_BYTES];
    struct mr_h2_header trailer = {mr_span_text("x-part-bin"), mr_span_of(value, sizeof value)};

    memset(value, '~', sizeof value);
    respond(side, stream);
    assert_int_equal(mr_h2_trailers(mr_link_h2(side->link), stream, &trailer, 1), MR_OK);
}

/* A limit that is not ours, held here so that a library without it is noticed. */
static void one_value_beyond_its_limit_ends_the_connection(void **state)
{
    (void)state;
    join(NULL, NULL, 0);
    server.on_end = one_long_trailer;
    struct mr_h2_stream *stream = call("/a.B/C");
    mr_h2_end(mr_link_h2(client.link), stream);
    loop_run(&client, &server, PIECE);
    assert_int_equal(client.err, MR_E_HTTP2);
    assert_int_equal(server.goaways, 1);
    assert_int_equal(server.goaway_code, 9); /* COMPRESSION_ERROR */
    part();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_calls_pass),
        cmocka_unit_test(a_strange_authority_is_refused),
        cmocka_unit_test(a_wrong_name_is_refused),
        cmocka_unit_test(files_that_are_no_pem_are_named),
        cmocka_unit_test(other_protocols_are_refused),
        cmocka_unit_test(resets_carry_their_code),
        cmocka_unit_test(trailers_only_ends_the_call),
        cmocka_unit_test(goaway_drains),
        cmocka_unit_test(pings_come_back),
        cmocka_unit_test(a_stalled_window_resumes),
        cmocka_unit_test(many_streams_share_a_link),
        cmocka_unit_test(trailers_may_be_megabytes),
        cmocka_unit_test(one_value_beyond_its_limit_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, make_contexts, drop_contexts);
}
