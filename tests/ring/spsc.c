/* Aim: one producer, one consumer: nothing lost, doubled or reordered, also where counters wrap. */
#include "tests/ring/ring.h"

#define BURST 32

static void it_holds_what_was_asked(void **state)
{
    const uint32_t capacities[] = {1, 2, 3, 4, 7, 8, 15, 16, 100, 1024};

    (void)state;
    for (size_t i = 0; i < MR_COUNT(capacities); i++) {
        struct mr_spsc ring;
        uint32_t held = 0;
        assert_int_equal(mr_spsc_init(&ring, &ring_arena, capacities[i]), MR_OK);
        while (mr_spsc_put(&ring, ring_item(0, held)))
            held++;
        assert_true(held >= capacities[i]);
        assert_int_equal(mr_spsc_fill(&ring), held);
    }
}

static void no_memory_is_told(void **state)
{
    struct mr_spsc ring;

    (void)state;
    assert_int_equal(mr_spsc_init(&ring, &ring_arena, UINT32_C(1) << 24), MR_E_MEMORY);
}

/* One thread: fill, overfill, drain in parts, at every distance from the wrap. */
static void full_and_empty_at_the_wrap(void **state)
{
    (void)state;
    for (uint32_t before = 0; before <= 20; before++) {
        struct mr_spsc ring;
        void *items[BURST];
        uint64_t put = 0, taken = 0;
        assert_int_equal(mr_spsc_init(&ring, &ring_arena, 7), MR_OK);
        ring_near_wrap(&ring, before);
        assert_int_equal(mr_spsc_take(&ring, items, BURST), 0);
        for (uint32_t round = 0; round < 10; round++) {
            while (mr_spsc_put(&ring, ring_item(0, put)))
                put++;
            assert_int_equal(put - taken, 7);
            assert_int_equal(mr_spsc_fill(&ring), 7);
            uint32_t n = mr_spsc_take(&ring, items, 1 + round % 9);
            assert_int_equal(n, MR_MIN(1 + round % 9, 7u));
            for (uint32_t i = 0; i < n; i++)
                assert_int_equal(ring_number(items[i]), taken++);
        }
        while (mr_spsc_take(&ring, items, 1) == 1)
            assert_int_equal(ring_number(items[0]), taken++);
        assert_int_equal(taken, put);
        assert_int_equal(mr_spsc_fill(&ring), 0);
    }
}

/* A block whose plain contents must be visible behind its pointer. */
struct block {
    uint64_t number, square;
};

#define BLOCKS 64

struct river {
    struct mr_spsc down, back;
    struct block blocks[BLOCKS];
    uint32_t rounds;
};

static void *produce(void *argument)
{
    struct river *river = argument;
    void *free_blocks[BLOCKS];
    uint32_t free_count = 0;

    ring_pin(0);
    for (uint32_t i = 0; i < BLOCKS; i++)
        free_blocks[free_count++] = &river->blocks[i];
    for (uint64_t number = 0; number < river->rounds;) {
        free_count += mr_spsc_take(&river->back, free_blocks + free_count, BLOCKS - free_count);
        if (free_count == 0) {
            sched_yield();
            continue;
        }
        struct block *block = free_blocks[--free_count];
        *block = (struct block){number, number * number};
        assert_true(mr_spsc_put(&river->down, block));
        number++;
    }
    return NULL;
}

/* Blocks go round and round between two threads; rings as large as the slab are never full. */
static void tokens_go_round(void **state)
{
    static struct river river;
    pthread_t producer;
    void *items[BURST];
    uint64_t expected = 0;

    (void)state;
    river.rounds = mr_test_count(4000000);
    assert_int_equal(mr_spsc_init(&river.down, &ring_arena, BLOCKS), MR_OK);
    assert_int_equal(mr_spsc_init(&river.back, &ring_arena, BLOCKS), MR_OK);
    ring_near_wrap(&river.down, river.rounds / 2);
    ring_near_wrap(&river.back, river.rounds / 3);
    assert_int_equal(pthread_create(&producer, NULL, produce, &river), 0);
    ring_pin(1);
    while (expected < river.rounds) {
        uint32_t n = mr_spsc_take(&river.down, items, BURST);
        if (n == 0)
            sched_yield();
        for (uint32_t i = 0; i < n; i++) {
            struct block *block = items[i];
            assert_true(block->number == expected && block->square == expected * expected);
            expected++;
            block->number = block->square = UINT64_MAX;
            assert_true(mr_spsc_put(&river.back, block));
        }
    }
    pthread_join(producer, NULL);
    assert_int_equal(mr_spsc_take(&river.down, items, BURST), 0);
    assert_true(river.down.ring.p_tail < river.rounds);
}

static void *overfill(void *argument)
{
    struct river *river = argument;

    ring_pin(0);
    for (uint64_t number = 0; number < river->rounds;)
        if (mr_spsc_put(&river->down, ring_item(1, number)))
            number++;
        else
            sched_yield();
    return NULL;
}

/* A tiny ring that is full or empty most of the time. */
static void a_tiny_ring_keeps_order(void **state)
{
    static struct river river;
    pthread_t producer;
    void *items[2];
    uint64_t expected = 0;

    (void)state;
    river.rounds = mr_test_count(1000000);
    assert_int_equal(mr_spsc_init(&river.down, &ring_arena, 3), MR_OK);
    ring_near_wrap(&river.down, river.rounds / 2);
    assert_int_equal(pthread_create(&producer, NULL, overfill, &river), 0);
    ring_pin(1);
    while (expected < river.rounds) {
        uint32_t n = mr_spsc_take(&river.down, items, 2);
        if (n == 0)
            sched_yield();
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(ring_number(items[i]), expected++);
    }
    pthread_join(producer, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RING_TEST(it_holds_what_was_asked),    RING_TEST(no_memory_is_told),
        RING_TEST(full_and_empty_at_the_wrap), RING_TEST(tokens_go_round),
        RING_TEST(a_tiny_ring_keeps_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
