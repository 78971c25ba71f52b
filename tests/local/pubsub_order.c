/* Ordering keys of the local Pub/Sub. */
#include "tests/local/pubsub_kit.h"

static struct kit ordered(bool exactly_once)
{
    struct kit k = kit();

    subscribe(&k, (struct mr_pubsub_subscription_settings){.ordering = true,
                                                           .exactly_once = exactly_once});
    return k;
}

static void one_batch_of_a_key_is_out_at_a_time_and_in_order(void **state)
{
    struct kit k = ordered(false);
    (void)state;

    publish_key(&k, "a", "k");
    publish_key(&k, "b", "k");
    assert_int_equal(pull(&k), 2);
    assert_true(data_is(&k.got[0], "a") && data_is(&k.got[1], "b"));
    publish_key(&k, "c", "k");
    assert_int_equal(pull(&k), 0);
    struct mr_span a = k.acks[0];
    ack(&k, k.acks[1]);
    assert_int_equal(pull(&k), 0);
    ack(&k, a);
    assert_int_equal(pull(&k), 1);
    assert_true(data_is(&k.got[0], "c"));
    finish(&k);
}

static void keys_do_not_wait_for_each_other(void **state)
{
    struct kit k = ordered(false);
    (void)state;

    publish_key(&k, "a", "k");
    assert_int_equal(pull(&k), 1);
    publish_key(&k, "b", "other");
    publish(&k, "c");
    assert_int_equal(pull(&k), 2);
    finish(&k);
}

static void nack_sends_all_later_ones_again_even_acked(void **state)
{
    struct kit k = ordered(false);
    (void)state;

    publish_key(&k, "a", "k");
    publish_key(&k, "b", "k");
    publish_key(&k, "c", "k");
    assert_int_equal(pull(&k), 3);
    struct mr_span c = k.acks[2];
    assert_int_equal(ack(&k, k.acks[1]), MR_PUBSUB_ACK_DONE);
    modify(&k, k.acks[0], 0);
    assert_int_equal(ack(&k, c), MR_PUBSUB_ACK_STALE);
    assert_int_equal(pull(&k), 3);
    assert_true(data_is(&k.got[0], "a") && data_is(&k.got[1], "b") && data_is(&k.got[2], "c"));
    finish(&k);
}

static void earlier_ones_are_not_sent_again(void **state)
{
    struct kit k = ordered(false);
    (void)state;

    publish_key(&k, "a", "k");
    publish_key(&k, "b", "k");
    assert_int_equal(pull(&k), 2);
    struct mr_span a = k.acks[0];
    modify(&k, k.acks[1], 0);
    assert_int_equal(pull(&k), 0);
    assert_int_equal(ack(&k, a), MR_PUBSUB_ACK_DONE);
    assert_int_equal(pull(&k), 1);
    assert_true(data_is(&k.got[0], "b"));
    finish(&k);
}

static void with_exactly_once_an_acked_later_one_stays_acked(void **state)
{
    struct kit k = ordered(true);
    (void)state;

    publish_key(&k, "a", "k");
    publish_key(&k, "b", "k");
    publish_key(&k, "c", "k");
    pull(&k);
    ack(&k, k.acks[1]);
    modify(&k, k.acks[0], 0);
    assert_int_equal(pull(&k), 2);
    assert_true(data_is(&k.got[0], "a") && data_is(&k.got[1], "c"));
    finish(&k);
}

static void expiry_of_the_first_sends_the_batch_again(void **state)
{
    struct kit k = ordered(false);
    (void)state;

    publish_key(&k, "a", "k");
    publish_key(&k, "b", "k");
    pull(&k);
    modify(&k, k.acks[1], 600);
    k.now += 11 * S;
    assert_int_equal(pull(&k), 2);
    assert_true(data_is(&k.got[0], "a"));
    finish(&k);
}

static void backoff_holds_the_whole_key(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){.ordering = true,
                                                           .retry = true,
                                                           .backoff_min_us = 20 * S,
                                                           .backoff_max_us = 20 * S});
    publish_key(&k, "a", "k");
    publish_key(&k, "b", "k");
    pull(&k);
    modify(&k, k.acks[0], 0);
    k.now += 20 * S - 1;
    assert_int_equal(pull(&k), 0);
    k.now += MR_PUBSUB_TICK_US + 1;
    assert_int_equal(pull(&k), 2);
    finish(&k);
}

static void backoff_of_a_later_one_outlives_the_earlier_ones(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){.ordering = true,
                                                           .retry = true,
                                                           .backoff_min_us = 20 * S,
                                                           .backoff_max_us = 600 * S});
    publish_key(&k, "a", "k");
    publish_key(&k, "b", "k");
    pull(&k);
    struct mr_span a = k.acks[0];
    modify(&k, k.acks[1], 0);
    k.now += 5 * S;
    ack(&k, a);
    k.now += 15 * S - 1;
    assert_int_equal(pull(&k), 0);
    k.now += 5 * S + MR_PUBSUB_TICK_US + 1;
    assert_int_equal(pull(&k), 1);
    assert_true(data_is(&k.got[0], "b"));
    finish(&k);
}

static void a_batch_stops_before_a_message_in_backoff(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){.ordering = true,
                                                           .retry = true,
                                                           .backoff_min_us = 20 * S,
                                                           .backoff_max_us = 600 * S});
    publish_key(&k, "z", "k");
    publish_key(&k, "a", "k");
    publish_key(&k, "b", "k");
    assert_int_equal(pull(&k), 3);
    modify(&k, k.acks[2], 0);
    modify(&k, k.acks[0], 0);
    k.now += 26 * S;
    assert_int_equal(pull(&k), 3);
    modify(&k, k.acks[2], 0); /* its second time: 40 s at least */
    modify(&k, k.acks[1], 0);
    ack(&k, k.acks[0]);
    k.now += 26 * S;
    assert_int_equal(pull(&k), 1);
    assert_true(data_is(&k.got[0], "a"));
    ack(&k, k.acks[0]);
    assert_int_equal(pull(&k), 0);
    k.now += 26 * S;
    assert_int_equal(pull(&k), 1);
    assert_true(data_is(&k.got[0], "b"));
    finish(&k);
}

static void a_key_stays_on_one_stream_while_it_is_out(void **state)
{
    struct mr_pubsub_puller_settings small = {
        .stream = true, .ack_deadline_s = 10, .messages_max = 1};
    struct kit k = ordered(false);
    struct mr_pubsub_puller *a = open_with(&k, SUB, small), *b = open_with(&k, SUB, small);
    (void)state;

    publish_key(&k, "a", "k");
    publish_key(&k, "b", "k");
    assert_int_equal(next(&k, a), 1);
    assert_int_equal(next(&k, b), 0);
    ack(&k, k.acks[0]);
    finish(&k);
}

static void dead_letter_lets_the_key_go_on(void **state)
{
    struct kit k = kit();
    (void)state;

    topic(&k, DEAD);
    subscribe(
        &k, (struct mr_pubsub_subscription_settings){.ordering = true, .dead_letter = text(DEAD)});
    publish_key(&k, "a", "k");
    publish_key(&k, "b", "k");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(pull(&k), 2);
        modify(&k, k.acks[0], 0);
    }
    assert_int_equal(mr_pubsub_figures(k.store).dead_lettered, 1);
    assert_int_equal(pull(&k), 0); /* b is still out */
    ack(&k, k.acks[1]);
    publish_key(&k, "c", "k");
    k.now += 11 * S;
    assert_true(pull(&k) > 0);
    assert_false(data_is(&k.got[0], "a"));
    finish(&k);
}

static void keys_of_a_request_must_agree(void **state)
{
    struct mr_pubsub_post posts[2] = {
        {.data = mr_span_text("a"), .ordering_key = mr_span_text("k")},
        {.data = mr_span_text("b"), .ordering_key = mr_span_text("l")}};
    struct kit k = kit();
    uint64_t ids[2];
    (void)state;

    assert_int_equal(mr_pubsub_publish(k.store, text(TOPIC), posts, 2, k.now, ids).code,
                     MR_PUBSUB_INVALID_ARGUMENT);
    finish(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_batch_of_a_key_is_out_at_a_time_and_in_order),
        cmocka_unit_test(keys_do_not_wait_for_each_other),
        cmocka_unit_test(nack_sends_all_later_ones_again_even_acked),
        cmocka_unit_test(earlier_ones_are_not_sent_again),
        cmocka_unit_test(with_exactly_once_an_acked_later_one_stays_acked),
        cmocka_unit_test(expiry_of_the_first_sends_the_batch_again),
        cmocka_unit_test(backoff_holds_the_whole_key),
        cmocka_unit_test(backoff_of_a_later_one_outlives_the_earlier_ones),
        cmocka_unit_test(a_batch_stops_before_a_message_in_backoff),
        cmocka_unit_test(a_key_stays_on_one_stream_while_it_is_out),
        cmocka_unit_test(dead_letter_lets_the_key_go_on),
        cmocka_unit_test(keys_of_a_request_must_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
