/* Aim: panes tile event time, hold their times, and are cut exactly at starts and ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/random.h"
#include "windows/slice.h"

static struct mr_window random_window(uint64_t *seed)
{
    const int64_t hops[] = {1, 2, 3, 4, 5, 6, 8, 10, 12, 20, 24, 30};
    int64_t hop = hops[mr_random_below(seed, MR_COUNT(hops))];
    return (struct mr_window){
        .size_us = mr_random_between(seed, 1, 50),
        .hop_us = hop,
        .offset_us = mr_random_between(seed, 0, hop - 1),
    };
}

static bool is_cut(const struct mr_window *windows, uint32_t count, int64_t t)
{
    for (uint32_t w = 0; w < count; w++)
        if (mr_floor_mod(t - windows[w].offset_us, windows[w].hop_us) == 0 ||
            mr_floor_mod(t - windows[w].offset_us - windows[w].size_us, windows[w].hop_us) == 0)
            return true;
    return false;
}

static void check_slice(const struct mr_slice *slice, const struct mr_window *windows,
                        uint32_t count)
{
    int64_t before = mr_slice_index(slice, -151);

    for (int64_t t = -150; t <= 150; t++) {
        int64_t index = mr_slice_index(slice, t);
        assert_int_equal(index - before, is_cut(windows, count, t) ? 1 : 0);
        assert_true(mr_slice_start(slice, index) <= t);
        assert_true(t < mr_slice_start(slice, index + 1));
        assert_int_equal(mr_slice_index(slice, mr_slice_start(slice, index)), index);
        before = index;
    }
}

static void random_definitions_share_their_cuts(void **state)
{
    uint64_t seed = 11;
    uint32_t rounds = mr_test_count(4000), shared = 0;

    (void)state;
    for (uint32_t round = 0; round < rounds; round++) {
        struct mr_window windows[5];
        struct mr_slice slice;
        uint32_t count = 1;
        windows[0] = random_window(&seed);
        mr_slice_init(&slice, &windows[0]);
        check_slice(&slice, windows, 1);
        for (uint32_t more = mr_random_below(&seed, 4); more > 0; more--) {
            struct mr_slice before = slice;
            windows[count] = random_window(&seed);
            if (mr_slice_merge(&slice, &windows[count])) {
                count++;
                shared++;
            } else {
                assert_memory_equal(&slice, &before, sizeof slice);
            }
            check_slice(&slice, windows, count);
        }
    }
    assert_true(shared > rounds / 2);
}

static struct mr_window plain(int64_t size, int64_t hop)
{
    return (struct mr_window){.size_us = size, .hop_us = hop};
}

/* Whatever is refused leaves the slice as it was; what just fits is taken. */
static void the_bound_is_exact(void **state)
{
    struct mr_slice slice, before;
    struct mr_window long_hop = plain(64, 64), second = plain(1, 1);

    (void)state;
    mr_slice_init(&slice, &long_hop);
    assert_true(mr_slice_merge(&slice, &second));
    assert_int_equal(slice.cut_count, 64);
    assert_true(mr_slice_merge(&slice, &long_hop));
    assert_int_equal(slice.cut_count, 64);

    long_hop = plain(65, 65);
    mr_slice_init(&slice, &long_hop);
    before = slice;
    assert_false(mr_slice_merge(&slice, &second));
    assert_memory_equal(&slice, &before, sizeof slice);
}

/* Coprime hops of days: the common period does not fit 64 bits, and that is only a refusal. */
static void a_huge_common_period_is_refused(void **state)
{
    struct mr_window a = plain(1, INT64_C(31622399999999)), b = plain(1, INT64_C(31622400000000));
    struct mr_slice slice;

    (void)state;
    mr_slice_init(&slice, &a);
    assert_false(mr_slice_merge(&slice, &b));
    assert_int_equal(slice.cut_count, 2);
}

/* Size over hop plays no part: 3600 s every 7 s has two panes a hop. */
static void no_explosion_of_panes(void **state)
{
    struct mr_window window = plain(3600, 7);
    struct mr_slice slice;

    (void)state;
    mr_slice_init(&slice, &window);
    assert_int_equal(slice.cut_count, 2);
    check_slice(&slice, &window, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_definitions_share_their_cuts),
        cmocka_unit_test(the_bound_is_exact),
        cmocka_unit_test(a_huge_common_period_is_refused),
        cmocka_unit_test(no_explosion_of_panes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
