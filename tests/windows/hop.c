/* Aim: windows of a time are those of the published tables and of brute force, below zero too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/hop.h"
#include "tests/random.h"

static struct mr_window window_of(int64_t size, int64_t hop, int64_t offset, int64_t lateness)
{
    return (struct mr_window){.size_us = size,
                              .hop_us = hop,
                              .offset_us = mr_floor_mod(offset, hop),
                              .lateness_us = lateness};
}

#define ENDS_MAX 64

/* By the arithmetic under test. */
static uint32_t ends_by_hop(const struct mr_window *window, int64_t t, int64_t *ends)
{
    uint32_t count = 0;
    int64_t last = mr_hop_last_end(window, t);

    for (int64_t end = mr_hop_end_after(window, t); end <= last; end += window->hop_us) {
        assert_true(count < ENDS_MAX);
        ends[count++] = end;
    }
    assert_int_equal(mr_hop_count(window, t), count);
    return count;
}

/* By looking at every window anywhere near, ascending. */
static uint32_t ends_by_force(const struct mr_window *window, int64_t t, int64_t *ends)
{
    uint32_t count = 0;
    int64_t reach = (window->size_us + (t < 0 ? -t : t)) / window->hop_us + 3;

    for (int64_t k = -reach; k <= reach; k++) {
        int64_t start = k * window->hop_us + window->offset_us;
        if (start <= t && t < start + window->size_us)
            ends[count++] = start + window->size_us;
    }
    return count;
}

struct assignment {
    const char *name;
    int64_t size, hop, offset, t;
    uint32_t count;
    int64_t starts[8]; /* ascending */
};

static const struct assignment table[] = {
    {"A1", 10, 5, 0, 1, 2, {-5, 0}},
    {"A1", 10, 5, 0, 2, 2, {-5, 0}},
    {"A1", 10, 5, 0, 5, 2, {0, 5}},
    {"A1", 10, 5, 0, 9, 2, {0, 5}},
    {"A1", 10, 5, 0, 10, 2, {5, 10}},
    {"A1", 10, 5, 0, 11, 2, {5, 10}},
    {"A2", 7, 5, 0, 1, 2, {-5, 0}},
    {"A2", 7, 5, 0, 2, 1, {0}},
    {"A2", 7, 5, 0, 5, 2, {0, 5}},
    {"A2", 7, 5, 0, 9, 1, {5}},
    {"A2", 7, 5, 0, 10, 2, {5, 10}},
    {"A2", 7, 5, 0, 11, 2, {5, 10}},
    {"A3", 3, 10, 0, 1, 1, {0}},
    {"A3", 3, 10, 0, 2, 1, {0}},
    {"A3", 3, 10, 0, 3, 0, {0}},
    {"A3", 3, 10, 0, 5, 0, {0}},
    {"A3", 3, 10, 0, 9, 0, {0}},
    {"A3", 3, 10, 0, 10, 1, {10}},
    {"A3", 3, 10, 0, 11, 1, {10}},
    {"A3", 3, 10, 0, 100, 1, {100}},
    {"A4", 10, 5, 2, 1, 2, {-8, -3}},
    {"A4", 10, 5, 2, 2, 2, {-3, 2}},
    {"A4", 10, 5, 2, 5, 2, {-3, 2}},
    {"A4", 10, 5, 2, 9, 2, {2, 7}},
    {"A4", 10, 5, 2, 10, 2, {2, 7}},
    {"A4", 10, 5, 2, 11, 2, {2, 7}},
    {"A5", 15, 5, 2, 7, 3, {-3, 2, 7}},
    {"A5", 15, 5, 2, 8, 3, {-3, 2, 7}},
    {"A5", 15, 5, 2, 11, 3, {-3, 2, 7}},
    {"A6", 5000, 1000, 0, 0, 5, {-4000, -3000, -2000, -1000, 0}},
    {"A6", 5000, 1000, 0, 4999, 5, {0, 1000, 2000, 3000, 4000}},
    {"A6", 5000, 1000, 0, 5000, 5, {1000, 2000, 3000, 4000, 5000}},
    {"A7", 5000, 1000, 100, 100, 5, {-3900, -2900, -1900, -900, 100}},
    {"A7", 5000, 1000, 100, 5099, 5, {100, 1100, 2100, 3100, 4100}},
    {"A7", 5000, 1000, 100, 5100, 5, {1100, 2100, 3100, 4100, 5100}},
    {"A8", 5000, 1000, -100, 0, 5, {-4100, -3100, -2100, -1100, -100}},
    {"A8", 5000, 1000, -100, 4899, 5, {-100, 900, 1900, 2900, 3900}},
    {"A8", 5000, 1000, -100, 4900, 5, {900, 1900, 2900, 3900, 4900}},
    {"A9", 10, 5, 0, -7, 2, {-15, -10}},
    {"A10", 15, 5, 2, -11, 3, {-23, -18, -13}},
    {"A11", 4, 2, 0, 1, 2, {-2, 0}},
    {"A11", 4, 2, 0, 2, 2, {0, 2}},
    {"A11", 4, 2, 0, 3, 2, {0, 2}},
    {"A12", 300, 60, 0, 0, 5, {-240, -180, -120, -60, 0}},
};

static void published_tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < MR_COUNT(table); i++) {
        const struct assignment *row = &table[i];
        struct mr_window window = window_of(row->size, row->hop, row->offset, 0);
        int64_t ends[ENDS_MAX];
        uint32_t count = ends_by_hop(&window, row->t, ends);
        if (count != row->count)
            print_message("%s at %lld\n", row->name, (long long)row->t);
        assert_int_equal(count, row->count);
        for (uint32_t e = 0; e < count; e++)
            assert_int_equal(ends[e], row->starts[e] + row->size);
    }
}

/* A12's other half: each window's expiry is a deadline, and there is none in between. */
static void deadlines_of_the_published_case(void **state)
{
    const int64_t deadlines[] = {60, 120, 180, 240, 300, 360, 420, 480, 540};
    struct mr_window window = window_of(300, 60, 0, 180);

    (void)state;
    for (size_t i = 0; i + 1 < MR_COUNT(deadlines); i++)
        for (int64_t at = deadlines[i]; at < deadlines[i + 1]; at++)
            assert_int_equal(mr_hop_deadline_after(&window, at), deadlines[i + 1]);
}

static struct mr_window random_window(uint64_t *seed)
{
    int64_t hop = mr_random_between(seed, 1, 40);
    return window_of(mr_random_between(seed, 1, hop * 8), hop, mr_random_between(seed, -200, 200),
                     mr_random_between(seed, 0, 60));
}

static void random_definitions_match_brute_force(void **state)
{
    uint64_t seed = 7;
    uint32_t rounds = mr_test_count(2000);

    (void)state;
    for (uint32_t round = 0; round < rounds; round++) {
        struct mr_window window = random_window(&seed);
        for (int64_t t = -130; t <= 130; t++) {
            int64_t found[ENDS_MAX], wanted[ENDS_MAX];
            uint32_t count = ends_by_force(&window, t, wanted);
            assert_int_equal(ends_by_hop(&window, t, found), count);
            assert_memory_equal(found, wanted, count * sizeof found[0]);
        }
    }
}

static bool is_deadline(const struct mr_window *window, int64_t t)
{
    int64_t phase = window->offset_us + window->size_us;
    return mr_floor_mod(t - phase, window->hop_us) == 0 ||
           mr_floor_mod(t - phase - window->lateness_us, window->hop_us) == 0;
}

static void random_deadlines_match_brute_force(void **state)
{
    uint64_t seed = 8;
    uint32_t rounds = mr_test_count(2000);

    (void)state;
    for (uint32_t round = 0; round < rounds; round++) {
        struct mr_window window = random_window(&seed);
        for (int64_t at = -130; at <= 130; at++) {
            int64_t wanted = at + 1;
            while (!is_deadline(&window, wanted))
                wanted++;
            assert_int_equal(mr_hop_deadline_after(&window, at), wanted);
        }
    }
}

/* Years 1 and 9999, the largest sizes and offsets that a configuration may hold. */
static void far_times_do_not_overflow(void **state)
{
    const int64_t day = INT64_C(86400000000), sizes[] = {1, day, 366 * day};
    const int64_t times[] = {INT64_C(-62135596800000000), INT64_C(253402300799999999), -1, 0};

    (void)state;
    for (size_t s = 0; s < MR_COUNT(sizes); s++)
        for (size_t i = 0; i < MR_COUNT(times); i++) {
            struct mr_window window = window_of(sizes[s], sizes[s], INT64_MIN / 4, 31 * day);
            int64_t t = times[i], end = mr_hop_end_after(&window, t);
            assert_true(end > t && end - sizes[s] <= t);
            assert_int_equal(mr_hop_last_end(&window, t), end);
            assert_true(mr_hop_deadline_after(&window, t) > t);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_tables),
        cmocka_unit_test(deadlines_of_the_published_case),
        cmocka_unit_test(random_definitions_match_brute_force),
        cmocka_unit_test(random_deadlines_match_brute_force),
        cmocka_unit_test(far_times_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
