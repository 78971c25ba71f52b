/* Aim: many producers, one consumer: every item once, each producer's in order, over the wrap. */
#include "ring/mpsc.h"
#include "tests/ring/ring.h"

/* A put spins while a producer before it is preempted: more threads than CPUs make it slow. */
#define PRODUCERS 3
#define BURST     16

struct producer {
    struct mr_mpsc *ring;
    uint64_t number, rounds;
    pthread_t thread;
};

static void *produce(void *argument)
{
    struct producer *self = argument;

    for (uint64_t i = 0; i < self->rounds;)
        if (mr_mpsc_put(self->ring, ring_item(self->number, i)))
            i++;
        else
            sched_yield();
    return NULL;
}

static void run(uint32_t capacity, uint32_t rounds)
{
    static struct mr_mpsc ring;
    struct producer producers[PRODUCERS];
    uint64_t expected[PRODUCERS] = {0}, total = 0;
    void *items[BURST];

    assert_int_equal(mr_mpsc_init(&ring, &ring_arena, capacity), MR_OK);
    ring_near_wrap(&ring.ring, rounds);
    for (uint64_t p = 0; p < PRODUCERS; p++) {
        producers[p] = (struct producer){.ring = &ring, .number = p, .rounds = rounds};
        assert_int_equal(pthread_create(&producers[p].thread, NULL, produce, &producers[p]), 0);
    }
    while (total < (uint64_t)rounds * PRODUCERS) {
        uint32_t n = mr_mpsc_take(&ring, items, BURST);
        if (n == 0)
            sched_yield();
        for (uint32_t i = 0; i < n; i++) {
            uint64_t p = ring_producer(items[i]);
            assert_true(p < PRODUCERS);
            assert_int_equal(ring_number(items[i]), expected[p]++);
        }
        total += n;
    }
    for (uint64_t p = 0; p < PRODUCERS; p++)
        pthread_join(producers[p].thread, NULL);
    assert_int_equal(mr_mpsc_take(&ring, items, BURST), 0);
}

static void a_roomy_ring(void **state)
{
    (void)state;
    run(1000, mr_test_count(8000));
}

static void a_ring_that_is_full_most_of_the_time(void **state)
{
    (void)state;
    run(3, mr_test_count(800));
}

static void full_is_told_and_nothing_overwritten(void **state)
{
    struct mr_mpsc ring;
    void *items[BURST];
    uint64_t held = 0;

    (void)state;
    assert_int_equal(mr_mpsc_init(&ring, &ring_arena, 8), MR_OK);
    ring_near_wrap(&ring.ring, 5);
    assert_int_equal(mr_mpsc_take(&ring, items, BURST), 0);
    while (mr_mpsc_put(&ring, ring_item(0, held)))
        held++;
    assert_int_equal(held, 15);
    assert_int_equal(mr_mpsc_take(&ring, items, BURST), 15);
    for (uint64_t i = 0; i < held; i++)
        assert_int_equal(ring_number(items[i]), i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RING_TEST(a_roomy_ring),
        RING_TEST(a_ring_that_is_full_most_of_the_time),
        RING_TEST(full_is_told_and_nothing_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
