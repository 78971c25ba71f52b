/* Aim: the local cloud, which keeps the service's limits, takes every letter that we send over TLS:
 * many, large, with all the attributes a message may have; and a missing topic is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include "core/clock.h"
#include "keeper/deadletter.h"
#include "local/server.h"

#define TOPIC     "projects/p/topics/orders-dlq"
#define LETTERS   2500u
#define LARGE     9900000u
#define TURNS_MAX 200000u

static struct mr_server *server;
static pthread_t thread;
static char ca_path[] = "/tmp/millrace-ca-XXXXXX";
static struct mr_io *io;
static struct mr_arena arena;
static struct mr_fault fault;
static struct mr_deadletters letters;
static struct mr_tls_context *tls;
static uint32_t safe_count;

static void write_pem(char *path, const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void *run(void *self)
{
    assert_int_equal(mr_server_run(self), MR_OK);
    return NULL;
}

static int setup(void **state)
{
    char certificate[] = "/tmp/millrace-cert-XXXXXX", key[] = "/tmp/millrace-key-XXXXXX";
    char why[MR_SERVER_WHY_BYTES];
    struct mr_tls_made made;
    (void)state;

    assert_int_equal(mr_tls_make(&made, "127.0.0.1"), MR_OK);
    write_pem(ca_path, made.ca);
    write_pem(certificate, made.certificate);
    write_pem(key, made.key);
    mr_tls_made_finish(&made);
    struct mr_server_options options = {
        .listen = "127.0.0.1",
        .certificate = certificate,
        .key = key,
        .ports = {MR_SERVER_CLOSED, MR_SERVER_CLOSED, 0, MR_SERVER_CLOSED}};
    assert_int_equal(mr_server_create(&server, &options, why), MR_OK);
    unlink(certificate);
    unlink(key);
    struct mr_pubsub_topic_settings topic = {.name = mr_span_text(TOPIC)};
    mr_pubsub_topic_create(mr_server_pubsub(server), &topic, &topic);
    assert_int_equal(pthread_create(&thread, NULL, run, server), 0);
    tls = mr_tls_client_context(ca_path, why);
    assert_non_null(tls);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mr_tls_context_destroy(tls);
    mr_server_destroy(server);
    unlink(ca_path);
    return 0;
}

static bool on_safe(void *self, uint16_t puller, uint64_t position)
{
    (void)self, (void)puller, (void)position;
    safe_count++;
    return true;
}

static void begin(const char *topic)
{
    static char host_port[32];
    struct mr_deadletters_options options = {
        .topic = topic,
        .channel = {.host_port = host_port, .host = "127.0.0.1", .tls = tls},
        .safe = on_safe,
        .fault = &fault};

    snprintf(host_port, sizeof host_port, "127.0.0.1:%u",
             mr_server_port(server, MR_SERVER_PUBSUB_TLS));
    fault = (struct mr_fault){0};
    safe_count = 0;
    assert_int_equal(mr_io_create(&io, MR_IO_AUTO, NULL), MR_OK);
    options.io = io;
    assert_int_equal(mr_arena_init(&arena, mr_deadletters_bytes(&options) + 4096), MR_OK);
    assert_int_equal(mr_deadletters_init(&letters, &arena, &options), MR_OK);
}

static void turn(bool dry)
{
    mr_deadletters_turn(&letters, mr_now_ns(), dry);
    mr_io_turn(io, 1000000);
}

static void end(void)
{
    mr_deadletters_close(&letters);
    for (uint32_t turns = 0; mr_io_pending(io) > 0 && turns < TURNS_MAX; turns++)
        mr_io_turn(io, 1000000);
    assert_true(mr_deadletters_are_closed(&letters));
    mr_io_destroy(io);
    mr_arena_finish(&arena);
}

static void test_all_are_taken(void **state)
{
    static uint8_t attributes[200000];
    struct mr_pen pen = mr_pen_of(attributes, sizeof attributes);
    uint8_t *large = calloc(LARGE, 1);
    char key[32], value[1024];
    (void)state;

    memset(value, 'v', sizeof value);
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "key%d", i);
        mr_pb_put_pair(&pen, 2, mr_span_text(key), mr_span_of(value, sizeof value));
    }
    begin(TOPIC);
    for (uint32_t i = 0; i < LETTERS; i++) {
        struct mr_deadletter letter = {.body = mr_span_of(large, i % 500 == 0 ? LARGE : i % 100),
                                       .reason = "bad_type",
                                       .stage = "decode",
                                       .detail = mr_span_text("x")};
        if (i % 50 == 0)
            letter.attributes = (struct mr_pb_map){.message = mr_pen_span(&pen), .number = 2};
        for (uint32_t turns = 0; mr_deadletters_add(&letters, &letter) == MR_AGAIN; turns++) {
            assert_true(turns < TURNS_MAX);
            turn(false);
        }
    }
    for (uint32_t turns = 0; safe_count < LETTERS && mr_fault_err(&fault) == MR_OK; turns++) {
        assert_true(turns < TURNS_MAX);
        turn(true);
    }
    assert_string_equal(fault.text, "");
    assert_int_equal(safe_count, LETTERS);
    assert_int_equal(letters.refused, 0);
    assert_int_equal(letters.published, LETTERS);
    end();
    free(large);
}

static void test_a_missing_topic(void **state)
{
    struct mr_deadletter letter = {
        .body = mr_span_text("x"), .reason = "bad_type", .stage = "decode"};
    (void)state;

    begin("projects/p/topics/nowhere");
    assert_int_equal(mr_deadletters_add(&letters, &letter), MR_OK);
    for (uint32_t turns = 0; mr_fault_err(&fault) == MR_OK; turns++) {
        assert_true(turns < TURNS_MAX);
        turn(true);
    }
    assert_int_equal(mr_fault_err(&fault), MR_E_DEAD_LETTERS);
    assert_non_null(strstr(fault.text, "projects/p/topics/nowhere: NOT_FOUND"));
    end();
}

static void test_what_arrived(void **state)
{
    (void)state;
    mr_server_stop(server);
    pthread_join(thread, NULL);
    assert_int_equal(mr_server_figures(server).pubsub.published, LETTERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_are_taken),
                                       cmocka_unit_test(test_a_missing_topic),
                                       cmocka_unit_test(test_what_arrived)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
