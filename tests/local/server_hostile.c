/* Whatever a client sends, or does not read, the local cloud goes on serving the others. */
#include "tests/local/server_kit.h"

#define ROUNDS 200

static uint64_t dice = 88172645463325252u;

static uint32_t roll(uint32_t sides)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (uint32_t)(dice >> 32) % sides;
}

static void send_all(int fd, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;

    while (count > 0) {
        ssize_t now = send(fd, at, count, MSG_NOSIGNAL);
        if (now <= 0)
            return; /* the server hung up, as it may */
        at += now;
        count -= (size_t)now;
    }
}

static void assert_serves(const struct cloud *cloud)
{
    struct client c;

    client_open(&c, cloud);
    publish(&c, 10, text("still here"));
    client_close(&c);
}

static void start(struct cloud *cloud)
{
    struct mr_server_options options = cloud_options();
    struct client c;

    cloud_start(cloud, &options);
    client_open(&c, cloud);
    make_names(&c, NULL);
    client_close(&c);
}

static void random_bytes(void **state)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    uint8_t bytes[4096];
    struct cloud cloud;
    (void)state;

    start(&cloud);
    for (int round = 0; round < ROUNDS; round++) {
        int fd = client_socket(mr_server_port(cloud.server, MR_SERVER_PUBSUB));
        uint32_t count = roll(sizeof bytes);
        for (uint32_t i = 0; i < count; i++)
            bytes[i] = (uint8_t)roll(256);
        if (round & 1)
            send_all(fd, preface, sizeof preface - 1);
        send_all(fd, bytes, count);
        close(fd);
    }
    assert_serves(&cloud);
    cloud_finish(&cloud);
}

/* What a real client said, with some bytes changed, and cut somewhere. */
static void bent_conversations(void **state)
{
    struct mr_link_options options = {0};
    struct answer answers[3];
    static uint8_t said[1 << 16], bent[1 << 16];
    struct mr_span request = publish_request(50, text("payload"));
    struct cloud cloud;
    struct client c = {.fd = -1};
    int64_t bytes;
    (void)state;

    start(&cloud);
    c.link = mr_link_create(&options, &client_events, &c);
    for (int i = 0; i < 3; i++) {
        call_start(&c, &answers[i], mr_pubsub_path(MR_PUBSUB_PUBLISH), "1S");
        call_send(&c, &answers[i], request);
        call_half_close(&c, &answers[i]);
    }
    bytes = mr_link_take(c.link, said, sizeof said);
    assert_true(bytes > 1000);
    for (int round = 0; round < ROUNDS; round++) {
        int fd = client_socket(mr_server_port(cloud.server, MR_SERVER_PUBSUB));
        memcpy(bent, said, (size_t)bytes);
        for (uint32_t i = roll(8) + 1; i > 0; i--)
            bent[roll((uint32_t)bytes)] = (uint8_t)roll(256);
        send_all(fd, bent, roll((uint32_t)bytes) + 1);
        close(fd);
    }
    assert_serves(&cloud);
    mr_link_destroy(c.link);
    free((void *)(uintptr_t)request.data);
    cloud_finish(&cloud);
}

static void streams_opened_and_dropped(void **state)
{
    struct answer a;
    struct cloud cloud;
    struct client c;
    (void)state;

    start(&cloud);
    client_open(&c, &cloud);
    for (int round = 0; round < ROUNDS; round++) {
        stream_open(&c, &a, (struct mr_pubsub_streaming_pull){0});
        client_turn(&c, 0);
        mr_h2_reset(mr_link_h2(c.link), a.stream, MR_H2_CANCEL);
        wait_closed(&c, &a);
        answer_finish(&a);
        if (c.ended) { /* it may take this for an attack */
            client_close(&c);
            client_open(&c, &cloud);
        }
    }
    client_close(&c);
    assert_serves(&cloud);
    cloud_stop(&cloud);
    assert_int_equal(mr_server_figures(cloud.server).pubsub.pullers, 0);
    mr_server_destroy(cloud.server);
}

/* Announced lengths cost nothing; many idle connections neither. */
static void requests_that_never_end(void **state)
{
    static const uint8_t announced[] = {0, 0, 0x90, 0, 0, 1, 2, 3};
    struct answer answers[50];
    struct client clients[20];
    struct cloud cloud;
    (void)state;

    start(&cloud);
    for (size_t i = 0; i < MR_COUNT(clients); i++) {
        client_open(&clients[i], &cloud);
        for (size_t k = 0; k < MR_COUNT(answers); k++) {
            call_start(&clients[i], &answers[k], mr_pubsub_path(MR_PUBSUB_PUBLISH), "");
            mr_h2_send_copy(mr_link_h2(clients[i].link), answers[k].stream,
                            mr_span_of(announced, sizeof announced));
        }
        client_turn(&clients[i], 0);
    }
    assert_serves(&cloud);
    for (size_t i = 0; i < MR_COUNT(clients); i++)
        client_close(&clients[i]);
    cloud_finish(&cloud);
}

/* Pings without end, and nothing read. */
static void pongs_that_nobody_reads(void **state)
{
    struct mr_pubsub_streaming_pull request = {.protocol_version = 1};
    static const uint8_t empty[MR_GRPC_PREFIX_BYTES];
    static uint8_t buffer[1 << 16];
    struct answer a;
    struct cloud cloud;
    struct client c;
    (void)state;

    start(&cloud);
    client_open(&c, &cloud);
    stream_open(&c, &a, request);
    client_turn(&c, 50);
    for (int i = 0; i < 20000; i++)
        mr_h2_send_copy(mr_link_h2(c.link), a.stream, mr_span_of(empty, sizeof empty));
    for (int64_t bytes; (bytes = mr_link_take(c.link, buffer, sizeof buffer)) > 0;)
        for (int64_t sent = 0; sent < bytes;) {
            ssize_t now = send(c.fd, buffer + sent, (size_t)(bytes - sent), MSG_NOSIGNAL);
            struct pollfd out = {.fd = c.fd, .events = POLLOUT};
            if (now < 0)
                assert_true(poll(&out, 1, WAIT_MS) > 0);
            else
                sent += now;
        }
    assert_serves(&cloud);
    answer_finish(&a);
    client_close(&c);
    cloud_finish(&cloud);
}

static void many_silent_connections(void **state)
{
    int fds[100];
    struct cloud cloud;
    (void)state;

    start(&cloud);
    for (size_t i = 0; i < MR_COUNT(fds); i++)
        fds[i] = client_socket(mr_server_port(cloud.server, MR_SERVER_PUBSUB));
    assert_serves(&cloud);
    for (size_t i = 0; i < MR_COUNT(fds); i++)
        close(fds[i]);
    assert_serves(&cloud);
    cloud_finish(&cloud);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(bent_conversations),
        cmocka_unit_test(streams_opened_and_dropped),
        cmocka_unit_test(requests_that_never_end),
        cmocka_unit_test(pongs_that_nobody_reads),
        cmocka_unit_test(many_silent_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
