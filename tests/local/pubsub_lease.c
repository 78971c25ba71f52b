/* Leases of the local Pub/Sub: deliver, ack, nack, expiry, back-off, dead letters, exactly-once. */
#include "tests/local/pubsub_kit.h"

static void delivers_what_was_published(void **state)
{
    struct mr_pubsub_pair pair = {mr_span_text("region"), mr_span_text("eu")};
    struct mr_pubsub_post post = {.data = mr_span_text("x"), .pairs = &pair, .pair_count = 1};
    struct kit k = kit();
    uint64_t id;
    (void)state;

    assert_int_equal(subscribe(&k, (struct mr_pubsub_subscription_settings){0}).code, 0);
    k.now += 1234567;
    mr_pubsub_publish(k.store, text(TOPIC), &post, 1, k.now, &id);
    assert_int_equal(pull(&k), 1);
    assert_true(data_is(&k.got[0], "x"));
    assert_true(mr_span_equal(k.got[0].pairs[0].key, pair.key));
    assert_true(mr_span_equal(k.got[0].pairs[0].value, pair.value));
    assert_int_equal(k.got[0].message_id, id);
    assert_int_equal(k.got[0].publish_us, START + 1234000);
    assert_int_equal(k.got[0].attempt, 0);
    assert_int_equal(pull(&k), 0);
    finish(&k);
}

static void message_ids_have_17_digits_and_differ(void **state)
{
    struct kit k = kit();
    uint64_t first = publish(&k, "a"), second = publish(&k, "b");
    (void)state;

    assert_in_range(first, UINT64_C(10000000000000000), UINT64_C(99999999999999999));
    assert_int_not_equal(first, second);
    finish(&k);
}

static void acked_message_is_gone(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    pull(&k);
    assert_int_equal(ack(&k, k.acks[0]), MR_PUBSUB_ACK_DONE);
    assert_int_equal(ack(&k, k.acks[0]), MR_PUBSUB_ACK_DONE);
    k.now += 1000 * S;
    assert_int_equal(pull(&k), 0);
    assert_int_equal(mr_pubsub_figures(k.store).messages, 0);
    finish(&k);
}

static void expired_lease_comes_again_with_a_new_ack_id(void **state)
{
    struct kit k = kit();
    struct mr_span old;
    char kept[200];
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    pull(&k);
    memcpy(kept, k.ids[0], 200);
    old = mr_span_of(kept, k.acks[0].bytes);
    k.now += 10 * S - 1;
    assert_int_equal(pull(&k), 0);
    k.now += MR_PUBSUB_TICK_US + 1;
    assert_int_equal(pull(&k), 1);
    assert_false(mr_span_equal(old, k.acks[0]));
    assert_int_equal(ack(&k, old), MR_PUBSUB_ACK_STALE);
    assert_int_equal(ack(&k, k.acks[0]), MR_PUBSUB_ACK_DONE);
    finish(&k);
}

static void extended_lease_lasts(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    pull(&k);
    assert_int_equal(modify(&k, k.acks[0], 600), MR_PUBSUB_ACK_DONE);
    k.now += 600 * S - 1;
    assert_int_equal(pull(&k), 0);
    k.now += MR_PUBSUB_TICK_US + 1;
    assert_int_equal(pull(&k), 1);
    finish(&k);
}

static void nack_brings_it_back_at_once_without_a_retry_policy(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    publish(&k, "b");
    assert_int_equal(pull(&k), 2);
    modify(&k, k.acks[0], 0);
    assert_int_equal(pull(&k), 1);
    assert_true(data_is(&k.got[0], "a"));
    finish(&k);
}

static void deadline_outside_0_to_600_is_refused(void **state)
{
    struct kit k = kit();
    int32_t wrong[] = {601, -1};
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    pull(&k);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            mr_pubsub_modify(k.store, text(SUB), k.acks, 1, &wrong[i], 1, k.now, NULL).code,
            MR_PUBSUB_INVALID_ARGUMENT);
    finish(&k);
}

static void deadlines_pair_with_ack_ids(void **state)
{
    struct kit k = kit();
    int32_t seconds[] = {0, 60, 60};
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    publish(&k, "b");
    pull(&k);
    assert_int_equal(mr_pubsub_modify(k.store, text(SUB), k.acks, 2, seconds, 3, k.now, NULL).code,
                     MR_PUBSUB_INVALID_ARGUMENT);
    assert_int_equal(mr_pubsub_modify(k.store, text(SUB), k.acks, 2, seconds, 2, k.now, NULL).code,
                     0);
    assert_int_equal(pull(&k), 1);
    assert_true(data_is(&k.got[0], "a"));
    finish(&k);
}

static void ack_ids_look_like_the_services(void **state)
{
    struct mr_pubsub_puller *unary;
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    pull(&k);
    assert_int_equal(k.acks[0].bytes, 190);
    for (size_t i = 0; i < 190; i++)
        assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
                               k.ids[0][i]));
    publish(&k, "b");
    unary = open_with(&k, SUB, (struct mr_pubsub_puller_settings){.messages_max = 1});
    assert_int_equal(next(&k, unary), 1);
    assert_int_equal(k.acks[0].bytes, 196);
    assert_int_equal(ack(&k, k.acks[0]), MR_PUBSUB_ACK_DONE);
    finish(&k);
}

static void tampered_ack_id_is_refused_and_nothing_is_acked(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    publish(&k, "b");
    pull(&k);
    for (size_t i = 0; i < 190; i++) {
        k.ids[1][i] = (char)(k.ids[1][i] == 'A' ? 'B' : 'A');
        enum mr_pubsub_ack results[2];
        assert_int_equal(mr_pubsub_ack(k.store, text(SUB), k.acks, 2, k.now, results).code,
                         MR_PUBSUB_INVALID_ARGUMENT);
        assert_int_equal(results[1], MR_PUBSUB_ACK_MALFORMED);
        memcpy(k.ids[1], k.got[1].ack_id.data, 190);
    }
    assert_int_equal(mr_pubsub_figures(k.store).leased, 2);
    assert_int_equal(ack(&k, mr_span_text("nonsense")), MR_PUBSUB_ACK_MALFORMED);
    finish(&k);
}

static void ack_id_of_another_subscription_is_refused(void **state)
{
    struct mr_pubsub_subscription_settings other = {.name = mr_span_text(DEAD_SUB)};
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    subscribe(&k, other);
    publish(&k, "a");
    pull(&k);
    assert_int_equal(mr_pubsub_ack(k.store, text(DEAD_SUB), k.acks, 1, k.now, NULL).code,
                     MR_PUBSUB_INVALID_ARGUMENT);
    finish(&k);
}

static void ack_request_above_512_kib_is_refused(void **state)
{
    static struct mr_span ids[3000];
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    pull(&k);
    for (int i = 0; i < 3000; i++)
        ids[i] = k.acks[0];
    assert_int_equal(mr_pubsub_ack(k.store, text(SUB), ids, 3000, k.now, NULL).code,
                     MR_PUBSUB_INVALID_ARGUMENT);
    assert_int_equal(mr_pubsub_ack(k.store, text(SUB), ids, 2700, k.now, NULL).code, 0);
    assert_int_equal(mr_pubsub_ack(k.store, text(SUB), ids, 0, k.now, NULL).code,
                     MR_PUBSUB_INVALID_ARGUMENT);
    finish(&k);
}

static void exactly_once_fails_the_ack_of_an_expired_lease(void **state)
{
    struct kit k = kit();
    enum mr_pubsub_ack results[1];
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){.exactly_once = true});
    publish(&k, "a");
    pull(&k);
    k.now += 11 * S;
    assert_int_equal(mr_pubsub_ack(k.store, text(SUB), k.acks, 1, k.now, results).code,
                     MR_PUBSUB_INVALID_ARGUMENT);
    assert_string_equal(mr_pubsub_ack_reason(results[0]), "PERMANENT_FAILURE_INVALID_ACK_ID");
    assert_int_equal(modify(&k, k.acks[0], 10), MR_PUBSUB_ACK_INVALID);
    assert_int_equal(pull(&k), 1);
    assert_int_equal(ack(&k, k.acks[0]), MR_PUBSUB_ACK_DONE);
    assert_int_equal(ack(&k, k.acks[0]), MR_PUBSUB_ACK_DONE);
    assert_int_equal(modify(&k, k.acks[0], 10), MR_PUBSUB_ACK_INVALID);
    finish(&k);
}

static void retry_policy_backs_off_exponentially_within_its_bounds(void **state)
{
    struct kit k = kit();
    int64_t base = 10 * S;
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){
                      .retry = true, .backoff_min_us = 10 * S, .backoff_max_us = 60 * S});
    publish(&k, "a");
    pull(&k);
    for (int i = 0; i < 6; i++, base = MR_MIN(base * 2, 60 * S)) {
        int64_t most = MR_MIN(base + base / 4, 60 * S);
        modify(&k, k.acks[0], 0);
        k.now += base - 1;
        assert_int_equal(pull(&k), 0);
        k.now += most - base + 1 + MR_PUBSUB_TICK_US;
        assert_int_equal(pull(&k), 1);
    }
    finish(&k);
}

static void dead_letter_after_max_attempts_carries_its_source(void **state)
{
    struct kit k = kit();
    uint64_t id;
    (void)state;

    topic(&k, DEAD);
    subscribe(
        &k, (struct mr_pubsub_subscription_settings){.name = text(DEAD_SUB), .topic = text(DEAD)});
    subscribe(&k, (struct mr_pubsub_subscription_settings){.dead_letter = text(DEAD)});
    k.now += 45000;
    id = publish(&k, "a");
    for (int attempt = 1; attempt <= 5; attempt++) {
        assert_int_equal(pull(&k), 1);
        assert_int_equal(k.got[0].attempt, attempt);
        if (attempt % 2)
            modify(&k, k.acks[0], 0);
        else
            k.now += 11 * S;
    }
    assert_int_equal(pull(&k), 0);
    assert_int_equal(next(&k, open_stream(&k, DEAD_SUB)), 1);
    assert_true(data_is(&k.got[0], "a"));
    assert_int_not_equal(k.got[0].message_id, id);
    assert_int_equal(k.got[0].pair_count, 4);
    const char *wanted[4][2] = {
        {"CloudPubSubDeadLetterSourceDeliveryCount", "5"},
        {"CloudPubSubDeadLetterSourceSubscription", "orders-sub"},
        {"CloudPubSubDeadLetterSourceSubscriptionProject", "p"},
        {"CloudPubSubDeadLetterSourceTopicPublishTime", "2023-11-14T22:13:20.045+00:00"},
    };
    for (int i = 0; i < 4; i++) {
        assert_true(mr_span_equal(k.got[0].pairs[i].key, text(wanted[i][0])));
        assert_true(mr_span_equal(k.got[0].pairs[i].value, text(wanted[i][1])));
    }
    assert_int_equal(mr_pubsub_figures(k.store).messages, 1);
    finish(&k);
}

static void without_its_dead_letter_topic_a_message_keeps_coming(void **state)
{
    struct kit k = kit();
    (void)state;

    topic(&k, DEAD);
    subscribe(&k, (struct mr_pubsub_subscription_settings){.dead_letter = text(DEAD)});
    assert_int_equal(mr_pubsub_topic_delete(k.store, text(DEAD)).code, 0);
    publish(&k, "a");
    for (int attempt = 1; attempt <= 8; attempt++) {
        assert_int_equal(pull(&k), 1);
        modify(&k, k.acks[0], 0);
    }
    finish(&k);
}

static void one_copy_serves_all_subscriptions(void **state)
{
    struct mr_pubsub_subscription_settings other = {.name = mr_span_text(DEAD_SUB)};
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    subscribe(&k, other);
    publish(&k, "a");
    assert_int_equal(mr_pubsub_figures(k.store).messages, 1);
    assert_int_equal(mr_pubsub_figures(k.store).entries, 2);
    pull(&k);
    ack(&k, k.acks[0]);
    assert_int_equal(mr_pubsub_figures(k.store).messages, 1);
    next(&k, open_stream(&k, DEAD_SUB));
    mr_pubsub_ack(k.store, text(DEAD_SUB), k.acks, 1, k.now, NULL);
    assert_int_equal(mr_pubsub_figures(k.store).messages, 0);
    finish(&k);
}

static void memory_of_a_backlog_is_given_back(void **state)
{
    struct kit k = kit();
    uint64_t full;
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){.ordering = true});
    for (int i = 0; i < 50000; i++)
        publish_key(&k, "0123456789", i % 2 ? "a" : "");
    full = mr_pubsub_figures(k.store).memory_bytes;
    while (pull(&k) > 0)
        mr_pubsub_ack(k.store, text(SUB), k.acks, k.count, k.now, NULL);
    assert_int_equal(mr_pubsub_figures(k.store).entries, 0);
    assert_true(full > 5000000);
    assert_true(mr_pubsub_figures(k.store).memory_bytes < 300000);
    finish(&k);
}

static void time_may_leap_further_than_any_deadline(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){
                      .retry = true, .backoff_min_us = 600 * S, .backoff_max_us = 600 * S});
    publish(&k, "a");
    pull(&k);
    k.now += 7200 * S;
    assert_int_equal(pull(&k), 0);
    assert_true(mr_pubsub_due_us(k.store) >= k.now + 600 * S);
    k.now = mr_pubsub_due_us(k.store);
    assert_int_equal(pull(&k), 1);
    finish(&k);
}

static void due_time_is_when_something_happens(void **state)
{
    struct kit k = kit();
    (void)state;

    assert_int_equal(mr_pubsub_due_us(k.store), INT64_MAX);
    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    pull(&k);
    assert_in_range(mr_pubsub_due_us(k.store), k.now + 10 * S, k.now + 10 * S + MR_PUBSUB_TICK_US);
    mr_pubsub_tick(k.store, mr_pubsub_due_us(k.store));
    assert_int_equal(mr_pubsub_figures(k.store).leased, 0);
    finish(&k);
}

static void retention_drops_old_messages(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){.retention_us = 600 * S});
    publish(&k, "old");
    k.now += 300 * S;
    publish(&k, "new");
    k.now += 301 * S;
    assert_int_equal(pull(&k), 1);
    assert_true(data_is(&k.got[0], "new"));
    finish(&k);
}

static void seek_forward_drops_and_seek_back_restores_what_is_retained(void **state)
{
    struct kit k = kit();
    int64_t between;
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){.retain_acked = true});
    publish(&k, "a");
    between = k.now += S;
    publish(&k, "b");
    pull(&k);
    ack(&k, k.acks[0]);
    ack(&k, k.acks[1]);
    assert_int_equal(pull(&k), 0);
    assert_int_equal(mr_pubsub_seek(k.store, text(SUB), between, k.now).code, 0);
    assert_int_equal(pull(&k), 1);
    assert_true(data_is(&k.got[0], "b"));
    assert_int_equal(mr_pubsub_seek(k.store, text(SUB), k.now + S, k.now).code, 0);
    assert_int_equal(pull(&k), 0);
    assert_int_equal(mr_pubsub_seek(k.store, text(SUB), START, k.now).code, 0);
    assert_int_equal(pull(&k), 2);
    finish(&k);
}

static void duplicate_fault_delivers_twice_and_wants_two_acks(void **state)
{
    struct kit k = kit_with((struct mr_pubsub_options){.seed = 1, .faults = {.duplicate = 1}});
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    assert_int_equal(pull(&k), 1);
    uint64_t id = k.got[0].message_id;
    ack(&k, k.acks[0]);
    assert_int_equal(pull(&k), 1);
    assert_int_equal(k.got[0].message_id, id);
    ack(&k, k.acks[0]);
    assert_int_equal(mr_pubsub_figures(k.store).messages, 0);
    finish(&k);
}

static void lost_ack_fault_redelivers(void **state)
{
    struct kit k = kit_with((struct mr_pubsub_options){.seed = 1, .faults = {.ack_lost = 1}});
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    pull(&k);
    assert_int_equal(ack(&k, k.acks[0]), MR_PUBSUB_ACK_DONE);
    k.now += 11 * S;
    assert_int_equal(pull(&k), 1);
    finish(&k);
}

static void delayed_ack_fault_acks_later_or_too_late(void **state)
{
    struct mr_pubsub_faults faults = {.ack_delayed = 1, .ack_delay_us = 5 * S};
    struct kit k = kit_with((struct mr_pubsub_options){.seed = 1, .faults = faults});
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    pull(&k);
    ack(&k, k.acks[0]);
    assert_int_equal(mr_pubsub_figures(k.store).leased, 1);
    assert_int_equal(mr_pubsub_due_us(k.store), k.now + 5 * S);
    mr_pubsub_tick(k.store, k.now += 5 * S);
    assert_int_equal(mr_pubsub_figures(k.store).messages, 0);
    publish(&k, "b");
    pull(&k);
    k.now += 8 * S;
    ack(&k, k.acks[0]);
    k.now += 60 * S;
    assert_int_equal(pull(&k), 1);
    finish(&k);
}

static void unavailable_fault_asks_exactly_once_to_retry(void **state)
{
    struct kit k = kit_with(
        (struct mr_pubsub_options){.seed = 1, .faults = {.ack_unavailable = 1}});
    enum mr_pubsub_ack result;
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){.exactly_once = true});
    publish(&k, "a");
    pull(&k);
    assert_int_equal(mr_pubsub_ack(k.store, text(SUB), k.acks, 1, k.now, &result).code,
                     MR_PUBSUB_UNAVAILABLE);
    assert_string_equal(mr_pubsub_ack_reason(result), "TRANSIENT_FAILURE_SERVICE_UNAVAILABLE");
    mr_pubsub_faults_set(k.store, &(struct mr_pubsub_faults){0});
    assert_int_equal(ack(&k, k.acks[0]), MR_PUBSUB_ACK_DONE);
    finish(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delivers_what_was_published),
        cmocka_unit_test(message_ids_have_17_digits_and_differ),
        cmocka_unit_test(acked_message_is_gone),
        cmocka_unit_test(expired_lease_comes_again_with_a_new_ack_id),
        cmocka_unit_test(extended_lease_lasts),
        cmocka_unit_test(nack_brings_it_back_at_once_without_a_retry_policy),
        cmocka_unit_test(deadline_outside_0_to_600_is_refused),
        cmocka_unit_test(deadlines_pair_with_ack_ids),
        cmocka_unit_test(ack_ids_look_like_the_services),
        cmocka_unit_test(tampered_ack_id_is_refused_and_nothing_is_acked),
        cmocka_unit_test(ack_id_of_another_subscription_is_refused),
        cmocka_unit_test(ack_request_above_512_kib_is_refused),
        cmocka_unit_test(exactly_once_fails_the_ack_of_an_expired_lease),
        cmocka_unit_test(retry_policy_backs_off_exponentially_within_its_bounds),
        cmocka_unit_test(dead_letter_after_max_attempts_carries_its_source),
        cmocka_unit_test(without_its_dead_letter_topic_a_message_keeps_coming),
        cmocka_unit_test(one_copy_serves_all_subscriptions),
        cmocka_unit_test(memory_of_a_backlog_is_given_back),
        cmocka_unit_test(time_may_leap_further_than_any_deadline),
        cmocka_unit_test(due_time_is_when_something_happens),
        cmocka_unit_test(retention_drops_old_messages),
        cmocka_unit_test(seek_forward_drops_and_seek_back_restores_what_is_retained),
        cmocka_unit_test(duplicate_fault_delivers_twice_and_wants_two_acks),
        cmocka_unit_test(lost_ack_fault_redelivers),
        cmocka_unit_test(delayed_ack_fault_acks_later_or_too_late),
        cmocka_unit_test(unavailable_fault_asks_exactly_once_to_retry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
