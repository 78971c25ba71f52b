/* Aim: whoever puts into an edge wakes a parked consumer, every time. */
#include <stdatomic.h>

#include "ring/edge.h"
#include "tests/ring/ring.h"

struct consumer {
    struct mr_spsc ring;
    struct mr_spsc other; /* of a second producer, woken by the same word */
    struct mr_io *io;
    uint64_t rounds, seen;
    _Atomic uint64_t answered;
};

/* Waits without limit: a lost wake-up stops the test. */
static void *consume(void *argument)
{
    struct consumer *self = argument;
    void *item;

    while (self->seen < self->rounds) {
        while (mr_spsc_take(&self->ring, &item, 1) == 1 ||
               mr_spsc_take(&self->other, &item, 1) == 1) {
            assert_int_equal(ring_number(item), self->seen);
            self->seen++;
            atomic_store_explicit(&self->answered, self->seen, memory_order_release);
        }
        if (self->seen < self->rounds)
            mr_io_turn(self->io, UINT64_MAX);
    }
    return NULL;
}

static void each_put_wakes(void **state)
{
    static struct consumer consumer;
    struct mr_edge edge = {&consumer.ring, NULL};
    struct mr_edge other = {&consumer.other, NULL};
    pthread_t thread;

    (void)state;
    consumer.rounds = mr_test_count(40000);
    assert_int_equal(mr_io_create(&consumer.io, MR_IO_EPOLL, NULL), MR_OK);
    assert_int_equal(mr_spsc_init(&consumer.ring, &ring_arena, 4), MR_OK);
    assert_int_equal(mr_spsc_init(&consumer.other, &ring_arena, 4), MR_OK);
    edge.consumer = other.consumer = consumer.io;
    assert_int_equal(pthread_create(&thread, NULL, consume, &consumer), 0);
    for (uint64_t i = 0; i < consumer.rounds; i++) {
        if (i % 2)
            mr_edge_put(&edge, ring_item(0, i));
        else
            mr_edge_put(&other, ring_item(0, i));
        while (atomic_load_explicit(&consumer.answered, memory_order_acquire) != i + 1)
            sched_yield();
        if (i % 512 == 0)
            usleep(100); /* long enough for it to sleep */
    }
    pthread_join(thread, NULL);
    assert_true(mr_io_counters(consumer.io)->waits > 0);
    assert_int_equal(consumer.seen, consumer.rounds);
    mr_io_destroy(consumer.io);
}

int main(void)
{
    const struct CMUnitTest tests[] = {RING_TEST(each_put_wakes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
