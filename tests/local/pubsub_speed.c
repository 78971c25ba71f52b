/* How many small messages a second the local Pub/Sub moves on one core: printed, not asserted.
 * Also asserts that all that went in came out, so that it cannot measure nothing. */
#include "core/clock.h"
#include "tests/local/pubsub_kit.h"

#define BATCH 1000

static void report(const char *what, uint64_t count, uint64_t from_ns)
{
    uint64_t ns = mr_thread_cpu_ns() - from_ns;

    print_message("%-40s %6.2f M/s %7.1f ns each\n", what, (double)count * 1e3 / (double)ns,
                  (double)ns / (double)count);
}

static struct mr_pubsub_post posts[BATCH];
static uint64_t ids[BATCH];

static void prepare(void)
{
    static const char body[200] = "{\"order_id\":\"o-1\"}";
    static const struct mr_pubsub_pair pair = {{(const uint8_t *)"region", 6},
                                               {(const uint8_t *)"eu-west1", 8}};

    for (int i = 0; i < BATCH; i++)
        posts[i] = (struct mr_pubsub_post){
            .data = mr_span_of(body, 184), .pairs = &pair, .pair_count = 1};
}

static void take_and_ack(struct kit *k, uint64_t *got)
{
    *got += pull(k);
    mr_pubsub_ack(k->store, text(SUB), k->acks, k->count, k->now, NULL);
}

static void in_and_out(void **state)
{
    struct kit k = kit();
    uint64_t rounds = getenv("MR_BENCH") ? 2000 : 100, got = 0, from = mr_thread_cpu_ns();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    for (uint64_t i = 0; i < rounds; i++) {
        mr_pubsub_publish(k.store, text(TOPIC), posts, BATCH, k.now += 1000, ids);
        take_and_ack(&k, &got);
    }
    report("publish, deliver, ack", got, from);
    assert_int_equal(got, rounds * BATCH);
    assert_int_equal(mr_pubsub_figures(k.store).messages, 0);
    finish(&k);
}

static void through_a_backlog(void **state)
{
    uint64_t rounds = getenv("MR_BENCH") ? 3000 : 100, got = 0, from = mr_thread_cpu_ns();
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    for (uint64_t i = 0; i < rounds; i++)
        mr_pubsub_publish(k.store, text(TOPIC), posts, BATCH, k.now += 1000, ids);
    report("publish into a backlog", rounds * BATCH, from);
    print_message("  %.0f bytes held a message of 198\n",
                  (double)mr_pubsub_figures(k.store).memory_bytes / (double)(rounds * BATCH));
    from = mr_thread_cpu_ns();
    while (got < rounds * BATCH)
        take_and_ack(&k, &got);
    report("deliver and ack a backlog", got, from);
    finish(&k);
}

static void with_a_lease_window(void **state)
{
    uint64_t rounds = getenv("MR_BENCH") ? 2000 : 100, from = mr_thread_cpu_ns();
    struct kit k = kit();
    int32_t seconds = 60;
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    for (uint64_t i = 0; i < rounds; i++) {
        mr_pubsub_publish(k.store, text(TOPIC), posts, BATCH, k.now += 1000, ids);
        pull(&k);
        mr_pubsub_modify(k.store, text(SUB), k.acks, k.count, &seconds, 1, k.now, NULL);
        mr_pubsub_ack(k.store, text(SUB), k.acks, k.count, k.now, NULL);
    }
    report("publish, deliver, extend, ack", rounds * BATCH, from);
    finish(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_and_out),
        cmocka_unit_test(through_a_backlog),
        cmocka_unit_test(with_a_lease_window),
    };
    prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
