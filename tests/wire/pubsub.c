/* Aim: Pub/Sub's messages have the bytes of the public definition, and a StreamingPullResponse
 * gives the same events however it is split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/wire/edge.h"
#include "wire/pubsub.h"

/* ---- a lender that counts ---- */

static struct {
    uint32_t out, borrows, refusals; /* refusals: how many more are refused */
} lending;

static uint8_t *borrow(void *self, size_t bytes)
{
    (void)self;
    if (lending.refusals > 0) {
        lending.refusals--;
        return NULL;
    }
    lending.out++;
    lending.borrows++;
    return malloc(bytes);
}

static void give_back(void *self, uint8_t *carry, size_t bytes)
{
    (void)self, (void)bytes;
    lending.out--;
    free(carry);
}

static const struct mr_pubsub_lender lender = {NULL, borrow, give_back};

/* ---- what was heard, as one number ---- */

static uint64_t mix(uint64_t sum, struct mr_span span)
{
    sum = sum * 1099511628211u + span.bytes;
    for (size_t i = 0; i < span.bytes; i++)
        sum = sum * 1099511628211u + span.data[i];
    return sum;
}

static uint64_t sum_event(uint64_t sum, const struct mr_pubsub_event *event)
{
    const struct mr_pubsub_received *received = &event->received;

    sum = mix(sum * 31 + event->part, event->bytes);
    if (event->part != MR_PUBSUB_RECEIVED)
        return sum;
    sum = mix(mix(sum, received->ack_id), received->message.data);
    sum = mix(mix(sum, received->message.message_id), received->message.ordering_key);
    sum = sum * 31 + (uint64_t)received->delivery_attempt + received->message.attributes.found;
    return sum * 31 + (uint64_t)received->message.publish_us;
}

/* Returns MR_OK, MR_PARTIAL or the error; *sum and *count of the events. */
static int walk_in(struct mr_span whole, size_t cut, size_t second, uint64_t *sum, uint32_t *count)
{
    struct mr_pubsub_walk walk;
    size_t cuts[] = {0, cut, cut + second, whole.bytes};
    int err = MR_PARTIAL;

    *sum = *count = 0;
    mr_pubsub_walk_init(&walk, &lender, 1 << 20);
    mr_pubsub_walk_begin(&walk, (uint32_t)whole.bytes);
    for (int part = 0; part < 3 && err == MR_PARTIAL; part++) {
        struct mr_span input = edge_copy(
            mr_span_of(whole.data + cuts[part], cuts[part + 1] - cuts[part]));
        struct mr_pubsub_event event;
        do {
            err = mr_pubsub_walk_next(&walk, &input, &event);
            if (err == MR_OK) {
                *sum = sum_event(*sum, &event);
                ++*count;
            }
        } while (err == MR_OK || err == MR_AGAIN);
        if (err == MR_PARTIAL)
            assert_int_equal(input.bytes, 0);
    }
    if (err == MR_PARTIAL)
        err = mr_pubsub_walk_end(&walk);
    mr_pubsub_walk_finish(&walk);
    assert_int_equal(lending.out, 0);
    return err;
}

static uint8_t response[4096];

/* Messages of several shapes, an unknown field of every wire type, properties and confirmations. */
static struct mr_span build_response(void)
{
    struct mr_pen pen = mr_pen_of(response, sizeof response);
    struct mr_pb_pair pairs[] = {{mr_span_text("kind"), mr_span_text("order")},
                                 {mr_span_text("shard"), mr_span_text("")}};
    static char ack[190], data[300];
    memset(ack, 'a', sizeof ack);
    memset(data, 'd', sizeof data);
    struct mr_pubsub_received received = {
        .ack_id = mr_span_of(ack, sizeof ack),
        .message = {.data = mr_span_of(data, sizeof data),
                    .message_id = mr_span_text("12345678901234567"),
                    .publish_us = 1714475984123000},
    };
    mr_pubsub_received_nest(&pen, 1, &received);
    received.message.attributes = (struct mr_pb_map){.pairs = pairs, .count = 2};
    received.message.ordering_key = mr_span_text("key");
    received.delivery_attempt = 7;
    mr_pubsub_received_nest(&pen, 1, &received);
    mr_pb_put_int(&pen, 99, -1);
    mr_pb_put_fixed64(&pen, 98, 5);
    mr_pb_put_bytes(&pen, 97, mr_span_text("unknown"));
    mr_pb_put_tag(&pen, 96, MR_PB_FIXED32);
    mr_pen_le32(&pen, 1);
    mr_pb_put_bytes(&pen, 1, mr_span_of(NULL, 0)); /* an empty ReceivedMessage */
    struct mr_pubsub_streaming_pull_response tail = {
        .properties = {.present = true, .exactly_once = true},
        .modify_confirmation = {.present = true},
        .ack_confirmation = {.present = true}};
    struct mr_span ids[] = {mr_span_text("one"), mr_span_text("two")};
    tail.ack_confirmation.ack_ids = (struct mr_pb_list){.items = ids, .count = 2};
    mr_pubsub_streaming_pull_response_put(&pen, &tail);
    assert_int_equal(pen.err, MR_OK);
    return mr_pen_span(&pen);
}

static void every_split_gives_the_same_events(void **state)
{
    struct mr_span whole = build_response();
    uint64_t expected, sum;
    uint32_t count;

    (void)state;
    assert_int_equal(walk_in(whole, 0, 0, &expected, &count), MR_OK);
    assert_int_equal(count, 6);
    for (size_t cut = 0; cut <= whole.bytes; cut++) {
        for (size_t second = 0; second <= MR_MIN(whole.bytes - cut, 24u); second++) {
            lending.refusals = second == 5;
            assert_int_equal(walk_in(whole, cut, second, &sum, &count), MR_OK);
            assert_true(sum == expected && count == 6);
        }
    }
    assert_true(lending.borrows > 0);
}

static void a_whole_part_is_not_copied(void **state)
{
    struct mr_span whole = build_response();
    uint64_t sum;
    uint32_t count;

    (void)state;
    lending.borrows = 0;
    assert_int_equal(walk_in(whole, 0, 0, &sum, &count), MR_OK);
    assert_int_equal(lending.borrows, 0);
}

/* A prefix taken for a whole response is an error except at a border between fields. */
static void every_prefix_ends_well(void **state)
{
    struct mr_span whole = build_response();
    uint64_t sum;
    uint32_t count;

    (void)state;
    for (size_t bytes = 0; bytes < whole.bytes; bytes++) {
        struct mr_span prefix = mr_span_of(whole.data, bytes);
        int err = walk_in(prefix, bytes / 2, 1 * (bytes > 1), &sum, &count);
        assert_int_equal(err, mr_pb_check(prefix));
    }
}

static void a_response_that_goes_on_is_partial(void **state)
{
    struct mr_span whole = build_response(), input;
    struct mr_pubsub_walk walk;
    struct mr_pubsub_event event;
    int err;

    (void)state;
    mr_pubsub_walk_init(&walk, &lender, 1 << 20);
    mr_pubsub_walk_begin(&walk, (uint32_t)whole.bytes);
    input = edge_copy(mr_span_of(whole.data, 700));
    while ((err = mr_pubsub_walk_next(&walk, &input, &event)) == MR_OK)
        ;
    assert_int_equal(err, MR_PARTIAL);
    assert_int_equal(mr_pubsub_walk_end(&walk), MR_E_PROTOBUF);
    mr_pubsub_walk_finish(&walk);
    assert_int_equal(lending.out, 0);
}

static void a_part_beyond_the_limit_is_refused(void **state)
{
    struct mr_span whole = build_response(), input = whole;
    struct mr_pubsub_walk walk;
    struct mr_pubsub_event event;

    (void)state;
    mr_pubsub_walk_init(&walk, &lender, 100);
    mr_pubsub_walk_begin(&walk, (uint32_t)whole.bytes);
    assert_int_equal(mr_pubsub_walk_next(&walk, &input, &event), MR_E_GRPC_TOO_LARGE);
    mr_pubsub_walk_finish(&walk);
}

/* Neither a part nor a field may reach beyond the response, even if more bytes lie there. */
static void nothing_reaches_beyond_the_response(void **state)
{
    struct mr_span whole = build_response();
    struct mr_pubsub_walk walk;
    struct mr_pubsub_event event;

    (void)state;
    for (uint32_t bytes = 0; bytes < 100; bytes++) {
        struct mr_span input = whole;
        mr_pubsub_walk_init(&walk, &lender, 1 << 20);
        mr_pubsub_walk_begin(&walk, bytes);
        assert_int_equal(mr_pubsub_walk_next(&walk, &input, &event), MR_E_PROTOBUF);
        mr_pubsub_walk_finish(&walk);
    }
}

/* Ids around where their length takes a second byte, and those that never fit. */
static void ids_of_any_length_are_added(void **state)
{
    static uint8_t buffer[1 << 16], id[1 << 14];
    static const size_t lengths[] = {0, 1, 127, 128, 190, 500, (1 << 14) - 1};
    struct mr_pubsub_ids ids;
    struct mr_pubsub_acknowledge got;
    struct mr_span span;

    (void)state;
    memset(id, 'i', sizeof id);
    mr_pubsub_ack_begin(&ids, buffer, sizeof buffer, mr_span_text("s"));
    for (size_t i = 0; i < MR_COUNT(lengths); i++)
        assert_true(mr_pubsub_ids_add(&ids, mr_span_of(id, lengths[i])));
    assert_false(mr_pubsub_ids_add(&ids, mr_span_of(id, sizeof id)));
    assert_int_equal(mr_pubsub_acknowledge_parse(&got, mr_pubsub_ids_span(&ids)), MR_OK);
    assert_int_equal(got.ack_ids.found, MR_COUNT(lengths));
    struct mr_pb_each each = mr_pb_list_each(&got.ack_ids);
    for (size_t i = 0; mr_pb_each_span(&each, &span); i++)
        assert_true(mr_span_equal(span, mr_span_of(id, lengths[i])));
}

/* Fields in another order than servers write take the other path and mean the same. */
static void any_order_of_fields_is_understood(void **state)
{
    (void)state;
    static const uint8_t usual[] = {0x0A, 1, 'a',  0x12, 15,   0x0A, 1,   'd', 0x1A, 1,    '7',
                                    0x22, 2, 0x08, 5,    0x2A, 3,    'k', 'e', 'y',  0x18, 3};
    static const uint8_t other[] = {0x18, 3,    0x12, 16,   0x2A, 3,    'k',  'e',
                                    'y',  0x22, 3,    0x08, 0x85, 0x00, 0x1A, 1,
                                    '7',  0x0A, 1,    'd',  0x0A, 1,    'a'};
    struct mr_pubsub_received a, b;
    assert_int_equal(mr_pubsub_received_parse(&a, edge_copy(mr_span_of(usual, sizeof usual))),
                     MR_OK);
    assert_true(a.delivery_attempt == 3 && a.message.publish_us == 5000000);
    assert_int_equal(a.message.ordering_key.bytes, 3);
    assert_int_equal(mr_pubsub_received_parse(&b, edge_copy(mr_span_of(other, sizeof other))),
                     MR_OK);
    assert_true(b.delivery_attempt == 3 && b.message.publish_us == 5000000);
    assert_memory_equal(b.ack_id.data, "a", 1);
    assert_memory_equal(b.message.data.data, "d", 1);
    assert_memory_equal(b.message.message_id.data, "7", 1);
    assert_memory_equal(b.message.ordering_key.data, "key", 3);
    for (size_t bytes = 0; bytes < sizeof usual; bytes++) {
        struct mr_span prefix = edge_copy(mr_span_of(usual, bytes));
        assert_int_equal(mr_pubsub_received_parse(&a, prefix), mr_pb_check(prefix));
    }
}

static void ids_are_added_until_full(void **state)
{
    (void)state;
    uint8_t buffer[40];
    struct mr_pubsub_ids ids;
    mr_pubsub_modify_begin(&ids, buffer, sizeof buffer, mr_span_text("sub"), 60);
    assert_memory_equal(buffer, "\x0A\x03sub\x18\x3C", 7);
    while (mr_pubsub_ids_add(&ids, mr_span_text("ackid-x")))
        ;
    assert_int_equal(ids.count, 3); /* 7 + 3 * 9 = 34 */
    assert_int_equal(mr_pubsub_ids_span(&ids).bytes, 34);
    assert_memory_equal(buffer + 7,
                        "\x22\x07"
                        "ackid-x",
                        9);
    struct mr_pubsub_modify_ack_deadline got;
    assert_int_equal(mr_pubsub_modify_ack_deadline_parse(&got, mr_pubsub_ids_span(&ids)), MR_OK);
    assert_true(got.ack_deadline_seconds == 60 && got.ack_ids.found == 3);
    mr_pubsub_ids_clear(&ids);
    assert_int_equal(mr_pubsub_ids_span(&ids).bytes, 7);
    mr_pubsub_ack_begin(&ids, buffer, sizeof buffer, mr_span_text("sub"));
    assert_true(mr_pubsub_ids_add(&ids, mr_span_text("i")));
    assert_memory_equal(buffer, "\x0A\x03sub\x12\x01i", 8);
}

static void the_first_pull_request_has_its_bytes(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0x0A, 1,    's',  0x28, 60,   0x32, 1, 'c',
                                       0x38, 0xE8, 0x07, 0x40, 0x64, 0x50, 1};
    uint8_t buffer[64];
    struct mr_pen pen = mr_pen_of(buffer, sizeof buffer);
    struct mr_pubsub_streaming_pull pull = {.subscription = mr_span_text("s"),
                                            .client_id = mr_span_text("c"),
                                            .stream_ack_deadline_seconds = 60,
                                            .max_outstanding_messages = 1000,
                                            .max_outstanding_bytes = 100,
                                            .protocol_version = 1};
    mr_pubsub_streaming_pull_put(&pen, &pull);
    assert_true(mr_span_equal(mr_pen_span(&pen), mr_span_of(expected, sizeof expected)));
    static const uint8_t later[] = {0x22, 1, 'x', 0x22, 1, 'y', 0x1A, 2, 0, 10};
    assert_int_equal(mr_pubsub_streaming_pull_parse(&pull, mr_span_of(later, sizeof later)), MR_OK);
    assert_true(pull.modify_deadlines == 2 && pull.modify_ack_ids.found == 2);
    pen = mr_pen_of(buffer, sizeof buffer);
    pull = (struct mr_pubsub_streaming_pull){.protocol_version = 0};
    mr_pubsub_streaming_pull_put(&pen, &pull);
    assert_int_equal(pen.bytes, 0); /* the keepalive */
}

/* What is absent stays absent, what is empty stays present. */
static void a_subscription_keeps_presence(void **state)
{
    (void)state;
    uint8_t buffer[512], again[512];
    struct mr_pb_pair label = {mr_span_text("team"), mr_span_text("orders")};
    struct mr_pubsub_subscription sent = {
        .name = mr_span_text("projects/p/subscriptions/s"),
        .topic = mr_span_text("projects/p/topics/t"),
        .push_config = {.present = true},
        .ack_deadline_seconds = 10,
        .message_retention_duration = {.present = true, .seconds = 604800},
        .labels = {.pairs = &label, .count = 1},
        .expiration_policy = {.present = true},
        .dead_letter_policy = {.present = true,
                               .dead_letter_topic = mr_span_text("dead"),
                               .max_delivery_attempts = 5},
        .retry_policy = {.present = true, .minimum_backoff = {.present = true, .nanos = 500000000}},
        .filter = mr_span_text("attributes:x"),
        .bigtable_config = {.present = true},
        .state = 1,
    };
    struct mr_pen pen = mr_pen_of(buffer, sizeof buffer), copy = mr_pen_of(again, sizeof again);
    mr_pubsub_subscription_put(&pen, &sent);
    struct mr_pubsub_subscription got;
    assert_int_equal(mr_pubsub_subscription_parse(&got, edge_copy(mr_pen_span(&pen))), MR_OK);
    assert_true(got.push_config.present && got.expiration_policy.present);
    assert_false(got.expiration_policy.ttl.present);
    assert_true(got.retry_policy.minimum_backoff.present);
    assert_false(got.retry_policy.maximum_backoff.present);
    assert_int_equal(got.retry_policy.minimum_backoff.nanos, 500000000);
    assert_true(got.bigtable_config.present && !got.bigquery_config.present);
    assert_int_equal(got.dead_letter_policy.max_delivery_attempts, 5);
    mr_pubsub_subscription_put(&copy, &got);
    assert_true(mr_span_equal(mr_pen_span(&pen), mr_pen_span(&copy)));
    for (size_t bytes = 0; bytes < pen.bytes; bytes++) {
        struct mr_span prefix = edge_copy(mr_span_of(buffer, bytes));
        assert_int_equal(mr_pubsub_subscription_parse(&got, prefix), mr_pb_check(prefix));
    }
}

static void text_must_be_utf8(void **state)
{
    (void)state;
    struct mr_pubsub_named named;
    struct mr_pubsub_message message;
    assert_int_equal(mr_pubsub_named_parse(&named, mr_span_of("\x0A\x01\xFF", 3)), MR_E_PROTOBUF);
    assert_int_equal(mr_pubsub_message_parse(&message, mr_span_of("\x12\x03\x0A\x01\xFF", 5)),
                     MR_OK);
    assert_int_equal(mr_pubsub_message_check(&message), MR_E_PROTOBUF);
    assert_int_equal(mr_pubsub_message_parse(&message, mr_span_of("\x0A\x01\xFF", 3)), MR_OK);
    assert_int_equal(mr_pubsub_message_check(&message), MR_OK); /* data may be anything */
}

static void methods_have_paths(void **state)
{
    (void)state;
    const char *path = mr_pubsub_path(MR_PUBSUB_STREAMING_PULL);
    assert_string_equal(path, "/google.pubsub.v1.Subscriber/StreamingPull");
    assert_string_equal(mr_pubsub_routing_key(MR_PUBSUB_UPDATE_TOPIC), "topic.name");
    for (int i = 0; i < MR_PUBSUB_METHOD_COUNT; i++)
        assert_int_equal(mr_pubsub_method_of(mr_span_text(mr_pubsub_path(i))), i);
    assert_int_equal(mr_pubsub_method_of(mr_span_text("/x/y")), MR_PUBSUB_METHOD_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_split_gives_the_same_events),
        cmocka_unit_test(a_whole_part_is_not_copied),
        cmocka_unit_test(every_prefix_ends_well),
        cmocka_unit_test(a_response_that_goes_on_is_partial),
        cmocka_unit_test(a_part_beyond_the_limit_is_refused),
        cmocka_unit_test(nothing_reaches_beyond_the_response),
        cmocka_unit_test(ids_of_any_length_are_added),
        cmocka_unit_test(any_order_of_fields_is_understood),
        cmocka_unit_test(ids_are_added_until_full),
        cmocka_unit_test(the_first_pull_request_has_its_bytes),
        cmocka_unit_test(a_subscription_keeps_presence),
        cmocka_unit_test(text_must_be_utf8),
        cmocka_unit_test(methods_have_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
