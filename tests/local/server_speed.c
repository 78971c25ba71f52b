/* How many small messages a second go through the local cloud, publish to pull to ack, over
 * plaintext: printed, not asserted. Also asserts that all that went in came out. */
#include "tests/local/server_kit.h"

#define BATCH      1000
#define IN_FLIGHT  8 /* publish requests */
#define DATA_BYTES 184

struct load {
    struct cloud cloud;
    uint64_t messages;
};

static void *publisher(void *self)
{
    struct load *load = self;
    char data[DATA_BYTES];
    struct answer answers[IN_FLIGHT];
    struct mr_span request;
    struct client c;

    memset(data, 'x', sizeof data);
    request = publish_request(BATCH, mr_span_of(data, sizeof data));
    client_open(&c, &load->cloud);
    memset(answers, 0, sizeof answers);
    for (uint64_t i = 0; i < load->messages / BATCH; i++) {
        struct answer *a = &answers[i % IN_FLIGHT];
        if (i >= IN_FLIGHT) {
            wait_closed(&c, a);
            assert_int_equal(a->code, 0);
            answer_finish(a);
        }
        call_start(&c, a, mr_pubsub_path(MR_PUBSUB_PUBLISH), "");
        call_send(&c, a, request);
        call_half_close(&c, a);
        client_turn(&c, 0);
    }
    for (uint64_t i = 0; i < MR_MIN((uint64_t)IN_FLIGHT, load->messages / BATCH); i++) {
        wait_closed(&c, &answers[i]);
        answer_finish(&answers[i]);
    }
    free((void *)(uintptr_t)request.data);
    client_close(&c);
    return NULL;
}

/* Copies the ack ids of one response into Acknowledge requests and sends them. */
static uint32_t acknowledge(struct client *c, struct mr_span message)
{
    static uint8_t memory[300000];
    struct mr_pubsub_streaming_pull_response response = stream_response(message);
    struct mr_pb_each each = mr_pb_list_each(&response.received);
    struct mr_pubsub_received received;
    struct mr_pubsub_ids ids;
    struct mr_span bytes;
    uint32_t count = 0;

    mr_pubsub_ack_begin(&ids, memory, sizeof memory, text(SUB));
    while (mr_pb_each_span(&each, &bytes)) {
        assert_int_equal(mr_pubsub_received_parse(&received, bytes), MR_OK);
        assert_true(mr_pubsub_ids_add(&ids, received.ack_id));
        count++;
    }
    if (count > 0)
        assert_int_equal(code_of(c, MR_PUBSUB_ACKNOWLEDGE, mr_pubsub_ids_span(&ids)), 0);
    return count;
}

static uint64_t thread_cpu_ns(pthread_t thread)
{
    struct timespec time;
    clockid_t clock;

    assert_int_equal(pthread_getcpuclockid(thread, &clock), 0);
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void through_and_out(void **state)
{
    struct load load = {.messages = getenv("MR_BENCH") ? 2000000 : 50000};
    struct mr_server_options options = cloud_options();
    struct client acks, pulls;
    struct answer stream;
    pthread_t thread;
    uint64_t got = 0, responses = 0, cpu_ns, wall_ns;
    (void)state;

    cloud_start(&load.cloud, &options);
    client_open(&acks, &load.cloud);
    client_open(&pulls, &load.cloud);
    make_names(&acks, NULL);
    stream_open(&pulls, &stream, (struct mr_pubsub_streaming_pull){0});
    client_turn(&pulls, 10);
    cpu_ns = thread_cpu_ns(load.cloud.thread);
    wall_ns = mr_now_ns();
    assert_int_equal(pthread_create(&thread, NULL, publisher, &load), 0);
    while (got < load.messages) {
        struct mr_span message = wait_message(&pulls, &stream, 0);
        size_t used = message.bytes + MR_GRPC_PREFIX_BYTES;
        got += acknowledge(&acks, message);
        memmove(stream.bytes, stream.bytes + used, stream.count - used);
        stream.count -= used;
        responses++;
    }
    pthread_join(thread, NULL);
    cpu_ns = thread_cpu_ns(load.cloud.thread) - cpu_ns;
    wall_ns = mr_now_ns() - wall_ns;
    print_message("%.0f messages/s a server core (%.0f ns each), %.0f/s by the wall, "
                  "%.0f messages a response\n",
                  (double)got * 1e9 / (double)cpu_ns, (double)cpu_ns / (double)got,
                  (double)got * 1e9 / (double)wall_ns, (double)got / (double)responses);
    assert_int_equal(got, load.messages);
    answer_finish(&stream);
    client_close(&pulls);
    client_close(&acks);
    cloud_stop(&load.cloud);
    assert_int_equal(mr_server_figures(load.cloud.server).pubsub.acked, load.messages);
    mr_server_destroy(load.cloud.server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(through_and_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
