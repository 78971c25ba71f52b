/* The rules of the Pub/Sub front: what streams and calls may say, and what they are told. */
#include "tests/local/server_kit.h"

static struct mr_pubsub_streaming_pull later(void)
{
    return (struct mr_pubsub_streaming_pull){0};
}

struct place {
    struct cloud cloud;
    struct client client;
    struct answer stream;
};

static void begin_with(struct place *p, struct mr_server_options options,
                       const struct mr_pubsub_subscription *settings)
{
    memset(p, 0, sizeof *p);
    cloud_start(&p->cloud, &options);
    client_open(&p->client, &p->cloud);
    make_names(&p->client, settings);
}

static void begin(struct place *p)
{
    begin_with(p, cloud_options(), NULL);
}

static void finish(struct place *p)
{
    answer_finish(&p->stream);
    client_close(&p->client);
    cloud_finish(&p->cloud);
}

static void open_stream(struct place *p, struct mr_pubsub_streaming_pull request)
{
    answer_finish(&p->stream);
    stream_open(&p->client, &p->stream, request);
}

/* ---- calls ---- */

static void unknown_methods_are_unimplemented(void **state)
{
    static const char *const paths[] = {
        "/google.pubsub.v1.Publisher/Nothing",
        "/google.pubsub.v1.SchemaService/CreateSchema",
        "/google.pubsub.v1.Subscriber/CreateSnapshot",
        "/google.pubsub.v1.Subscriber/StreamingPullX",
        "/",
    };
    struct answer a;
    struct place p;
    (void)state;

    begin(&p);
    for (size_t i = 0; i < MR_COUNT(paths); i++) {
        call_start(&p.client, &a, paths[i], "");
        call_send(&p.client, &a, text(""));
        call_half_close(&p.client, &a);
        wait_closed(&p.client, &a);
        assert_int_equal(a.code, MR_GRPC_UNIMPLEMENTED);
        answer_finish(&a);
    }
    finish(&p);
}

static void other_requests_get_http_errors(void **state)
{
    struct mr_h2_header headers[] = {{text(":method"), text("GET")},
                                     {text(":scheme"), text("http")},
                                     {text(":authority"), text("here")},
                                     {text(":path"), text("/")},
                                     {text("content-type"), text("application/json")}};
    struct answer a = {.code = -1};
    struct place p;
    (void)state;

    begin(&p);
    for (int i = 0; i < 2; i++) {
        a = (struct answer){.code = -1};
        a.stream = mr_h2_open(mr_link_h2(p.client.link), headers, MR_COUNT(headers));
        a.stream->user = &a;
        call_half_close(&p.client, &a);
        wait_closed(&p.client, &a);
        assert_int_equal(a.http_status, i == 0 ? 405 : 415);
        headers[0].value = text("POST");
    }
    finish(&p);
}

static void bad_frames_end_the_call_only(void **state)
{
    static const uint8_t compressed[] = {1, 0, 0, 0, 1, 0}, huge[] = {0, 255, 255, 255, 255, 0};
    static const uint8_t cut[] = {0, 0, 0, 0, 9, 1};
    const struct {
        struct mr_span bytes;
        int32_t code;
    } cases[] = {
        {mr_span_of(compressed, sizeof compressed), MR_GRPC_UNIMPLEMENTED},
        {mr_span_of(huge, sizeof huge), MR_GRPC_INVALID_ARGUMENT},
        {mr_span_of(cut, sizeof cut), MR_GRPC_INTERNAL},
        {text(""), MR_GRPC_INTERNAL},
    };
    struct answer a;
    struct place p;
    (void)state;

    begin(&p);
    for (size_t i = 0; i < MR_COUNT(cases); i++) {
        call_start(&p.client, &a, mr_pubsub_path(MR_PUBSUB_PUBLISH), "");
        mr_h2_send_copy(mr_link_h2(p.client.link), a.stream, cases[i].bytes);
        call_half_close(&p.client, &a);
        wait_closed(&p.client, &a);
        assert_int_equal(a.code, cases[i].code);
        answer_finish(&a);
    }
    assert_int_equal(code_of(&p.client, MR_PUBSUB_GET_TOPIC, text("\xff\xff")),
                     MR_GRPC_INVALID_ARGUMENT);
    publish(&p.client, 1, text("still here"));
    finish(&p);
}

static void pulls_keep_their_deadline(void **state)
{
    uint8_t memory[200];
    struct mr_pen pen = mr_pen_of(memory, sizeof memory);
    struct answer a;
    struct place p;
    (void)state;

    begin(&p);
    mr_pubsub_pull_put(&pen,
                       &(struct mr_pubsub_pull){.subscription = text(SUB), .max_messages = 5});
    call_start(&p.client, &a, mr_pubsub_path(MR_PUBSUB_PULL), "50m");
    call_send(&p.client, &a, mr_pen_span(&pen));
    call_half_close(&p.client, &a);
    wait_closed(&p.client, &a);
    assert_int_equal(a.code, MR_GRPC_DEADLINE_EXCEEDED);
    answer_finish(&a);
    pen.bytes = 0;
    mr_pubsub_pull_put(&pen, &(struct mr_pubsub_pull){.subscription = text(SUB),
                                                      .max_messages = 5,
                                                      .return_immediately = true});
    assert_int_equal(unary(&p.client, &a, MR_PUBSUB_PULL, mr_pen_span(&pen)), 0);
    assert_int_equal(a.count, MR_GRPC_PREFIX_BYTES);
    answer_finish(&a);
    finish(&p);
}

static void a_waiting_pull_is_answered(void **state)
{
    uint8_t memory[200];
    struct mr_pen pen = mr_pen_of(memory, sizeof memory);
    struct mr_pubsub_pull_response response;
    struct answer a;
    struct place p;
    (void)state;

    begin(&p);
    mr_pubsub_pull_put(&pen,
                       &(struct mr_pubsub_pull){.subscription = text(SUB), .max_messages = 5});
    call_start(&p.client, &a, mr_pubsub_path(MR_PUBSUB_PULL), "");
    call_send(&p.client, &a, mr_pen_span(&pen));
    call_half_close(&p.client, &a);
    client_turn(&p.client, 50);
    assert_false(a.closed);
    publish(&p.client, 3, text("x"));
    wait_closed(&p.client, &a);
    assert_int_equal(mr_pubsub_pull_response_parse(&response, wait_message(&p.client, &a, 0)),
                     MR_OK);
    assert_int_equal(response.received.found, 3);
    answer_finish(&a);
    finish(&p);
}

/* ---- streams ---- */

static void properties_are_always_present(void **state)
{
    struct mr_pubsub_streaming_pull_response response;
    struct place p;
    (void)state;

    begin(&p);
    publish(&p.client, 2, text("x"));
    open_stream(&p, later());
    response = stream_response(wait_message(&p.client, &p.stream, 0));
    assert_int_equal(response.received.found, 2);
    assert_true(response.properties.present);
    assert_false(response.properties.exactly_once || response.properties.ordering);
    finish(&p);
}

static void pings_are_answered_by_version(void **state)
{
    struct mr_pubsub_streaming_pull request = {.protocol_version = 1};
    struct mr_pubsub_streaming_pull_response response;
    struct place p;
    (void)state;

    begin(&p);
    open_stream(&p, request);
    assert_silent(&p.client, &p.stream, 0);
    assert_false(p.stream.headers); /* none before the first response */
    call_send(&p.client, &p.stream, text(""));
    response = stream_response(wait_message(&p.client, &p.stream, 0));
    assert_true(response.properties.present);
    assert_int_equal(response.received.found, 0);
    mr_h2_reset(mr_link_h2(p.client.link), p.stream.stream, MR_H2_CANCEL);
    wait_closed(&p.client, &p.stream);
    open_stream(&p, later());
    call_send(&p.client, &p.stream, text(""));
    assert_silent(&p.client, &p.stream, 0);
    finish(&p);
}

static void half_closing_changes_nothing(void **state)
{
    struct place p;
    (void)state;

    begin(&p);
    open_stream(&p, later());
    call_half_close(&p.client, &p.stream);
    assert_silent(&p.client, &p.stream, 0);
    publish(&p.client, 1, text("x"));
    wait_message(&p.client, &p.stream, 0);
    finish(&p);
}

static void first_requests_are_checked(void **state)
{
    const struct {
        struct mr_pubsub_streaming_pull request;
        int32_t code;
    } cases[] = {
        {{.stream_ack_deadline_seconds = 10}, MR_GRPC_INVALID_ARGUMENT},
        {{.subscription = text(SUB)}, MR_GRPC_INTERNAL},
        {{.subscription = text(SUB), .stream_ack_deadline_seconds = 9}, MR_GRPC_INVALID_ARGUMENT},
        {{.subscription = text(SUB), .stream_ack_deadline_seconds = 601}, MR_GRPC_INVALID_ARGUMENT},
        {{.subscription = text("projects/p/subscriptions/none"), .stream_ack_deadline_seconds = 10},
         MR_GRPC_NOT_FOUND},
    };
    struct answer a;
    struct place p;
    (void)state;

    begin(&p);
    for (size_t i = 0; i < MR_COUNT(cases); i++) {
        call_start(&p.client, &a, mr_pubsub_path(MR_PUBSUB_STREAMING_PULL), "");
        stream_send(&p.client, &a, &cases[i].request);
        wait_closed(&p.client, &a);
        assert_int_equal(a.code, cases[i].code);
        answer_finish(&a);
    }
    finish(&p);
}

static void later_requests_are_checked(void **state)
{
    const struct mr_span malformed[] = {text("never made by us")};
    const struct mr_pb_list list = {.items = malformed, .count = 1};
    const struct mr_pubsub_streaming_pull cases[] = {
        {.subscription = text(SUB)},
        {.max_outstanding_messages = 5},
        {.max_outstanding_bytes = 5},
        {.protocol_version = 1},
        {.stream_ack_deadline_seconds = 9},
        {.modify_ack_ids = list}, /* without a deadline */
        {.ack_ids = list},
    };
    struct place p;
    (void)state;

    begin(&p);
    for (size_t i = 0; i < MR_COUNT(cases); i++) {
        open_stream(&p, later());
        stream_send(&p.client, &p.stream, &cases[i]);
        wait_closed(&p.client, &p.stream);
        assert_int_equal(p.stream.code, MR_GRPC_INVALID_ARGUMENT);
    }
    finish(&p);
}

/* An id and a deadline, as a StreamingPullRequest. */
static void modify(struct place *p, struct mr_span id, int32_t seconds)
{
    uint8_t memory[512];
    struct mr_pen pen = mr_pen_of(memory, sizeof memory);

    mr_pb_put_int(&pen, 3, seconds);
    mr_pb_put_bytes(&pen, 4, id);
    call_send(&p->client, &p->stream, mr_pen_span(&pen));
}

static void deadlines_move_on_the_stream(void **state)
{
    struct mr_pubsub_streaming_pull_response response;
    struct place p;
    (void)state;

    begin(&p);
    publish(&p.client, 1, text("x"));
    open_stream(&p, later());
    response = stream_response(wait_message(&p.client, &p.stream, 0));
    modify(&p, first_ack_id(&response), 600);
    assert_silent(&p.client, &p.stream, 1);
    response = stream_response(wait_message(&p.client, &p.stream, 0));
    modify(&p, first_ack_id(&response), 0);
    response = stream_response(wait_message(&p.client, &p.stream, 1)); /* given back, come again */
    modify(&p, first_ack_id(&response), -1);
    wait_closed(&p.client, &p.stream);
    assert_int_equal(p.stream.code, MR_GRPC_INVALID_ARGUMENT);
    finish(&p);
}

static void exactly_once_acks_are_confirmed(void **state)
{
    const struct mr_pubsub_subscription settings = {.enable_exactly_once_delivery = true};
    struct mr_pubsub_streaming_pull_response response;
    struct mr_pubsub_streaming_pull request = {0};
    uint8_t old[256];
    struct mr_span id;
    struct place p;
    (void)state;

    begin_with(&p, cloud_options(), &settings);
    publish(&p.client, 1, text("x"));
    open_stream(&p, later());
    response = stream_response(wait_message(&p.client, &p.stream, 0));
    assert_true(response.properties.exactly_once);
    id = first_ack_id(&response);
    memcpy(old, id.data, id.bytes);
    id.data = old;
    modify(&p, id, 0);
    response = stream_response(wait_message(&p.client, &p.stream, 1));
    assert_true(response.modify_confirmation.present);
    assert_int_equal(response.modify_confirmation.ack_ids.found, 1);
    response = stream_response(wait_message(&p.client, &p.stream, 2)); /* come again */
    request.ack_ids = (struct mr_pb_list){
        .items = (const struct mr_span[]){id, first_ack_id(&response)}, .count = 2};
    stream_send(&p.client, &p.stream, &request);
    response = stream_response(wait_message(&p.client, &p.stream, 3));
    assert_int_equal(response.ack_confirmation.ack_ids.found, 1);
    assert_int_equal(response.ack_confirmation.invalid.found, 1);
    finish(&p);
}

static void exactly_once_errors_name_the_ids(void **state)
{
    const struct mr_pubsub_subscription settings = {.enable_exactly_once_delivery = true};
    struct mr_pubsub_streaming_pull_response response;
    struct mr_rpc_error_info info;
    struct mr_rpc_status status;
    struct mr_span value, reason;
    struct mr_pubsub_ids ids;
    uint8_t memory[512];
    struct answer a;
    struct place p;
    (void)state;

    begin_with(&p, cloud_options(), &settings);
    publish(&p.client, 1, text("x"));
    open_stream(&p, later());
    response = stream_response(wait_message(&p.client, &p.stream, 0));
    mr_pubsub_ack_begin(&ids, memory, sizeof memory, text(SUB));
    mr_pubsub_ids_add(&ids, first_ack_id(&response));
    modify(&p, first_ack_id(&response), 0);
    wait_message(&p.client, &p.stream, 2);
    assert_int_equal(unary(&p.client, &a, MR_PUBSUB_ACKNOWLEDGE, mr_pubsub_ids_span(&ids)),
                     MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(mr_rpc_status_parse(&status, mr_span_of(a.details, a.details_bytes)), MR_OK);
    assert_int_equal(status.code, MR_GRPC_INVALID_ARGUMENT);
    assert_true(mr_rpc_detail(&status, MR_RPC_ERROR_INFO, &value));
    assert_int_equal(mr_rpc_error_info_parse(&info, value), MR_OK);
    response = stream_response(wait_message(&p.client, &p.stream, 0));
    assert_true(mr_pb_map_get(&info.metadata, first_ack_id(&response), &reason));
    assert_true(mr_span_equal(reason, text("PERMANENT_FAILURE_INVALID_ACK_ID")));
    answer_finish(&a);
    finish(&p);
}

static void streams_age(void **state)
{
    struct mr_server_options options = cloud_options();
    struct place p;
    (void)state;

    options.pubsub.stream_age_us = 100000;
    begin_with(&p, options, NULL);
    open_stream(&p, later());
    wait_closed(&p.client, &p.stream);
    assert_int_equal(p.stream.code, MR_GRPC_UNAVAILABLE);
    finish(&p);
}

static void deleting_ends_the_stream(void **state)
{
    uint8_t memory[128];
    struct mr_pen pen = mr_pen_of(memory, sizeof memory);
    struct place p;
    (void)state;

    begin(&p);
    open_stream(&p, later());
    client_turn(&p.client, 50);
    mr_pb_put_bytes(&pen, 1, text(SUB));
    assert_int_equal(code_of(&p.client, MR_PUBSUB_DELETE_SUBSCRIPTION, mr_pen_span(&pen)), 0);
    wait_closed(&p.client, &p.stream);
    assert_int_equal(p.stream.code, MR_GRPC_NOT_FOUND);
    finish(&p);
}

static void deliveries_come_in_batches(void **state)
{
    uint32_t found = 0, responses = 0;
    struct place p;
    (void)state;

    begin(&p);
    for (int i = 0; i < 5; i++)
        publish(&p.client, 1000, text("small"));
    open_stream(&p, later());
    for (; found < 5000; responses++)
        found += stream_response(wait_message(&p.client, &p.stream, responses)).received.found;
    assert_int_equal(found, 5000);
    assert_true(responses <= 10);
    finish(&p);
}

/* A client that does not read gets no more than windows and queues hold; others go on. */
static void a_slow_reader_holds_little(void **state)
{
    const size_t bytes = 1000000;
    char *data = calloc(1, bytes);
    struct mr_pubsub_figures figures;
    struct client other;
    struct place p;
    (void)state;

    begin(&p);
    client_open(&other, &p.cloud);
    open_stream(&p, later());
    p.stream.hoard = true;
    for (int i = 0; i < 60; i++) {
        publish(&other, 1, mr_span_of(data, bytes));
        client_turn(&p.client, 0);
    }
    for (int i = 0; i < 20; i++)
        client_turn(&p.client, 10);
    client_close(&other);
    cloud_stop(&p.cloud);
    figures = mr_server_figures(p.cloud.server).pubsub;
    assert_int_equal(figures.published, 60);
    assert_in_range(figures.delivered, 1, 8); /* a window of 1 MiB, and 1 MiB queued, rounded up */
    mr_server_destroy(p.cloud.server);
    answer_finish(&p.stream);
    client_close(&p.client);
    free(data);
}

static void shutting_down_says_goodbye(void **state)
{
    struct place p;
    (void)state;

    begin(&p);
    open_stream(&p, later());
    client_turn(&p.client, 50);
    mr_server_stop(p.cloud.server);
    wait_closed(&p.client, &p.stream);
    assert_int_equal(p.stream.code, MR_GRPC_UNAVAILABLE);
    assert_true(p.client.goaway);
    finish(&p);
}

static void tls_serves_the_same(void **state)
{
    char certificate[] = "/tmp/mr-cert-XXXXXX", key[] = "/tmp/mr-key-XXXXXX",
         ca[] = "/tmp/mr-ca-XXXXXX", why[MR_TLS_WHY_BYTES];
    struct mr_server_options options = cloud_options();
    struct mr_tls_context *context;
    struct mr_tls_made made;
    struct cloud cloud;
    struct client c;
    (void)state;

    assert_int_equal(mr_tls_make(&made, "127.0.0.1"), MR_OK);
    int fds[] = {mkstemp(certificate), mkstemp(key), mkstemp(ca)};
    assert_true(write(fds[0], made.certificate, strlen(made.certificate)) > 0);
    assert_true(write(fds[1], made.key, strlen(made.key)) > 0);
    assert_true(write(fds[2], made.ca, strlen(made.ca)) > 0);
    options.ports[MR_SERVER_PUBSUB_TLS] = 0;
    options.certificate = certificate;
    options.key = key;
    cloud_start(&cloud, &options);
    context = mr_tls_client_context(ca, why);
    assert_non_null(context);
    client_open_tls(&c, mr_server_port(cloud.server, MR_SERVER_PUBSUB_TLS), context);
    make_names(&c, NULL);
    publish(&c, 1000, text("secret"));
    client_close(&c);
    cloud_finish(&cloud);
    mr_tls_context_destroy(context);
    mr_tls_made_finish(&made);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    unlink(certificate), unlink(key), unlink(ca);
}

static void state_outlives_the_server(void **state)
{
    char directory[] = "/tmp/mr-cloud-XXXXXX", path[64], why[MR_SERVER_WHY_BYTES];
    struct mr_server_options options = cloud_options();
    struct mr_server *second;
    struct place p;
    (void)state;

    assert_non_null(mkdtemp(directory));
    options.data = directory;
    begin_with(&p, options, NULL);
    publish(&p.client, 3, text("kept"));
    assert_int_equal(mr_server_create(&second, &options, why), MR_E_LOCAL_BUSY);
    finish(&p);
    memset(&p, 0, sizeof p);
    cloud_start(&p.cloud, &options);
    client_open(&p.client, &p.cloud);
    open_stream(&p, later());
    assert_int_equal(stream_response(wait_message(&p.client, &p.stream, 0)).received.found, 3);
    finish(&p);
    snprintf(path, sizeof path, "rm -r %s", directory);
    assert_int_equal(system(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_methods_are_unimplemented),
        cmocka_unit_test(other_requests_get_http_errors),
        cmocka_unit_test(bad_frames_end_the_call_only),
        cmocka_unit_test(pulls_keep_their_deadline),
        cmocka_unit_test(a_waiting_pull_is_answered),
        cmocka_unit_test(properties_are_always_present),
        cmocka_unit_test(pings_are_answered_by_version),
        cmocka_unit_test(half_closing_changes_nothing),
        cmocka_unit_test(first_requests_are_checked),
        cmocka_unit_test(later_requests_are_checked),
        cmocka_unit_test(deadlines_move_on_the_stream),
        cmocka_unit_test(exactly_once_acks_are_confirmed),
        cmocka_unit_test(exactly_once_errors_name_the_ids),
        cmocka_unit_test(streams_age),
        cmocka_unit_test(deleting_ends_the_stream),
        cmocka_unit_test(deliveries_come_in_batches),
        cmocka_unit_test(a_slow_reader_holds_little),
        cmocka_unit_test(shutting_down_says_goodbye),
        cmocka_unit_test(tls_serves_the_same),
        cmocka_unit_test(state_outlives_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
