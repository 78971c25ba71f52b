/* Pullers of the local Pub/Sub: limits, fairness, readiness, unary pulls, age and end. */
#include "tests/local/pubsub_kit.h"

static struct mr_pubsub_puller_settings limited(int64_t messages, int64_t bytes)
{
    return (struct mr_pubsub_puller_settings){
        .stream = true, .ack_deadline_s = 10, .messages_max = messages, .bytes_max = bytes};
}

static void publish_many(struct kit *k, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        publish(k, "0123456789");
}

static void outstanding_messages_are_limited(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    k.puller = open_with(&k, SUB, limited(3, 0));
    publish_many(&k, 10);
    assert_int_equal(pull(&k), 3);
    assert_int_equal(mr_pubsub_ready(k.store) == NULL, true);
    ack(&k, k.acks[0]);
    assert_ptr_equal(mr_pubsub_ready(k.store), k.puller);
    assert_int_equal(pull(&k), 1);
    modify(&k, k.acks[0], 0);
    assert_int_equal(pull(&k), 1);
    finish(&k);
}

static void outstanding_bytes_are_limited_but_one_message_always_fits(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish_many(&k, 10);
    assert_int_equal(next(&k, open_with(&k, SUB, limited(0, 25))), 2);
    assert_int_equal(next(&k, open_with(&k, SUB, limited(0, 5))), 1);
    k.puller = open_with(&k, SUB, limited(0, 20));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pull(&k), 2);
        ack(&k, k.acks[0]);
        ack(&k, k.acks[1]);
    }
    finish(&k);
}

static void an_expired_lease_frees_its_place(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    k.puller = open_with(&k, SUB, limited(1, 0));
    publish_many(&k, 2);
    pull(&k);
    assert_null(mr_pubsub_ready(k.store));
    mr_pubsub_tick(k.store, k.now += 11 * S);
    assert_ptr_equal(mr_pubsub_ready(k.store), k.puller);
    finish(&k);
}

static void responses_carry_many_messages_up_to_their_caps(void **state)
{
    const struct mr_pubsub_delivery *got;
    struct mr_pubsub_puller *p;
    struct kit k = kit();
    uint32_t count;
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish_many(&k, 100);
    p = open_stream(&k, SUB);
    mr_pubsub_next(k.store, p, k.now, 40, 10000000, &got, &count);
    assert_int_equal(count, 40);
    mr_pubsub_next(k.store, p, k.now, 40, 1, &got, &count);
    assert_int_equal(count, 1);
    mr_pubsub_next(k.store, p, k.now, 1000, 10000000, &got, &count);
    assert_int_equal(count, 59);
    finish(&k);
}

static void streams_share_a_backlog_evenly(void **state)
{
    struct mr_pubsub_puller *p;
    uint32_t counts[4] = {0};
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    for (int i = 0; i < 4; i++) {
        struct mr_pubsub_puller_settings t = limited(0, 0);
        t.context = &counts[i];
        open_with(&k, SUB, t);
    }
    publish_many(&k, 400);
    while ((p = mr_pubsub_ready(k.store)) != NULL)
        *(uint32_t *)mr_pubsub_puller_context(p) += next(&k, p);
    for (int i = 0; i < 4; i++)
        assert_in_range(counts[i], 95, 105);
    finish(&k);
}

static void one_message_wakes_one_stream(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    for (int i = 0; i < 3; i++)
        open_stream(&k, SUB);
    assert_null(mr_pubsub_ready(k.store));
    publish(&k, "a");
    struct mr_pubsub_puller *p = mr_pubsub_ready(k.store);
    assert_non_null(p);
    assert_null(mr_pubsub_ready(k.store));
    mr_pubsub_puller_close(k.store, p); /* unserved: another is told */
    assert_non_null(mr_pubsub_ready(k.store));
    finish(&k);
}

static void unary_pull_answers_once_with_the_subscriptions_deadline(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){.ack_deadline_s = 20});
    struct mr_pubsub_puller *p = open_with(&k, SUB,
                                           (struct mr_pubsub_puller_settings){.messages_max = 2});
    assert_int_equal(next(&k, p), 0);
    publish_many(&k, 3);
    assert_ptr_equal(mr_pubsub_ready(k.store), p);
    assert_int_equal(next(&k, p), 2);
    assert_null(mr_pubsub_ready(k.store));
    mr_pubsub_puller_close(k.store, p);
    k.now += 20 * S - 1;
    assert_int_equal(pull(&k), 1);
    k.now += MR_PUBSUB_TICK_US + 1;
    assert_int_equal(pull(&k), 2);
    finish(&k);
}

static void settings_of_a_puller_are_checked(void **state)
{
    static const struct {
        struct mr_pubsub_puller_settings settings;
        enum mr_pubsub_code code;
    } cases[] = {
        {{.stream = true, .ack_deadline_s = 0}, MR_PUBSUB_INTERNAL},
        {{.stream = true, .ack_deadline_s = 9}, MR_PUBSUB_INVALID_ARGUMENT},
        {{.stream = true, .ack_deadline_s = 601}, MR_PUBSUB_INVALID_ARGUMENT},
        {{.messages_max = 0}, MR_PUBSUB_INVALID_ARGUMENT},
        {{.messages_max = -1}, MR_PUBSUB_INVALID_ARGUMENT},
    };
    struct mr_pubsub_puller *p;
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    for (size_t i = 0; i < MR_COUNT(cases); i++)
        assert_int_equal(
            mr_pubsub_puller_open(k.store, text(SUB), &cases[i].settings, k.now, &p).code,
            cases[i].code);
    assert_int_equal(
        mr_pubsub_puller_open(k.store, text(DEAD_SUB), &cases[0].settings, k.now, &p).code,
        MR_PUBSUB_NOT_FOUND);
    p = open_stream(&k, SUB);
    assert_int_equal(mr_pubsub_puller_deadline(k.store, p, 9).code, MR_PUBSUB_INVALID_ARGUMENT);
    assert_int_equal(mr_pubsub_puller_deadline(k.store, p, 60).code, 0);
    publish(&k, "a");
    next(&k, p);
    k.now += 59 * S;
    assert_int_equal(next(&k, p), 0);
    finish(&k);
}

static void an_old_stream_ends_unavailable(void **state)
{
    struct kit k = kit_with((struct mr_pubsub_options){.stream_age_us = 1800 * S});
    const struct mr_pubsub_delivery *got;
    uint32_t count;
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    struct mr_pubsub_puller *p = open_stream(&k, SUB);
    assert_int_equal(mr_pubsub_due_us(k.store), k.now + 1800 * S);
    mr_pubsub_tick(k.store, k.now += 1800 * S - 1);
    assert_null(mr_pubsub_ready(k.store));
    mr_pubsub_tick(k.store, k.now += 1);
    assert_ptr_equal(mr_pubsub_ready(k.store), p);
    assert_int_equal(mr_pubsub_next(k.store, p, k.now, 10, 1000, &got, &count).code,
                     MR_PUBSUB_UNAVAILABLE);
    mr_pubsub_puller_close(k.store, p);
    assert_int_equal(mr_pubsub_figures(k.store).pullers, 0);
    finish(&k);
}

static void leases_outlive_their_stream(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    struct mr_pubsub_puller *p = open_stream(&k, SUB);
    next(&k, p);
    mr_pubsub_puller_close(k.store, p);
    assert_int_equal(mr_pubsub_figures(k.store).leased, 1);
    assert_int_equal(ack(&k, k.acks[0]), MR_PUBSUB_ACK_DONE);
    assert_int_equal(mr_pubsub_figures(k.store).messages, 0);
    finish(&k);
}

static void deleting_or_detaching_ends_the_streams(void **state)
{
    for (int detach = 0; detach < 2; detach++) {
        const struct mr_pubsub_delivery *got;
        struct kit k = kit();
        uint32_t count;

        subscribe(&k, (struct mr_pubsub_subscription_settings){0});
        publish_many(&k, 2);
        struct mr_pubsub_puller *p = open_with(&k, SUB, limited(1, 0));
        next(&k, p);
        if (detach)
            mr_pubsub_detach(k.store, text(SUB));
        else
            mr_pubsub_subscription_delete(k.store, text(SUB));
        assert_int_equal(mr_pubsub_figures(k.store).messages, 0);
        assert_ptr_equal(mr_pubsub_ready(k.store), p);
        assert_int_equal(mr_pubsub_next(k.store, p, k.now, 10, 1000, &got, &count).code,
                         detach ? MR_PUBSUB_FAILED_PRECONDITION : MR_PUBSUB_NOT_FOUND);
        mr_pubsub_puller_close(k.store, p);
        finish(&k);
    }
    (void)state;
}

static void push_and_detached_subscriptions_refuse_pullers(void **state)
{
    struct mr_pubsub_puller_settings t = limited(0, 0);
    struct mr_pubsub_puller *p;
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){.push = true});
    assert_int_equal(mr_pubsub_puller_open(k.store, text(SUB), &t, k.now, &p).code,
                     MR_PUBSUB_FAILED_PRECONDITION);
    subscribe(&k, (struct mr_pubsub_subscription_settings){.name = text(DEAD_SUB)});
    mr_pubsub_detach(k.store, text(DEAD_SUB));
    assert_int_equal(mr_pubsub_puller_open(k.store, text(DEAD_SUB), &t, k.now, &p).code,
                     MR_PUBSUB_FAILED_PRECONDITION);
    finish(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outstanding_messages_are_limited),
        cmocka_unit_test(outstanding_bytes_are_limited_but_one_message_always_fits),
        cmocka_unit_test(an_expired_lease_frees_its_place),
        cmocka_unit_test(responses_carry_many_messages_up_to_their_caps),
        cmocka_unit_test(streams_share_a_backlog_evenly),
        cmocka_unit_test(one_message_wakes_one_stream),
        cmocka_unit_test(unary_pull_answers_once_with_the_subscriptions_deadline),
        cmocka_unit_test(settings_of_a_puller_are_checked),
        cmocka_unit_test(an_old_stream_ends_unavailable),
        cmocka_unit_test(leases_outlive_their_stream),
        cmocka_unit_test(deleting_or_detaching_ends_the_streams),
        cmocka_unit_test(push_and_detached_subscriptions_refuse_pullers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
