/* Aim: the watermark is the least of the active clocks, never goes back, and idling is no jump. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "windows/watermark.h"

enum { A, B, C };

static void three_inputs(void **state)
{
    struct mr_watermark wm;

    (void)state;
    mr_watermark_init(&wm, 3);
    assert_int_equal(mr_watermark_advance(&wm, A, 0), MR_TIME_MIN);
    assert_int_equal(mr_watermark_advance(&wm, B, 0), MR_TIME_MIN);
    assert_int_equal(mr_watermark_advance(&wm, C, 0), 0);
    assert_int_equal(mr_watermark_advance(&wm, A, 12), 0);
    assert_int_equal(mr_watermark_advance(&wm, C, 8), 0);
    assert_int_equal(mr_watermark_advance(&wm, C, 10), 0);
    assert_int_equal(mr_watermark_advance(&wm, B, 15), 10);
    assert_int_equal(mr_watermark_advance(&wm, A, 6), 10);
    assert_int_equal(mr_watermark_idle(&wm, C), 12);
    assert_int_equal(mr_watermark_advance(&wm, A, 17), 15);
    assert_int_equal(mr_watermark_advance(&wm, A, 25), 15);
    assert_int_equal(mr_watermark_advance(&wm, B, 20), 20);
    assert_int_equal(mr_watermark_active(&wm, C), 20);
    assert_int_equal(mr_watermark_advance(&wm, C, 18), 20);
    assert_int_equal(mr_watermark_advance(&wm, B, 22), 22);
    assert_int_equal(mr_watermark_advance(&wm, A, 28), 22);
    assert_int_equal(mr_watermark_advance(&wm, B, 33), 28);
    assert_int_equal(mr_watermark_advance(&wm, C, 30), 28);
    assert_int_equal(mr_watermark_advance(&wm, A, 31), 30);
    assert_int_equal(mr_watermark_advance(&wm, C, 34), 31);
    assert_int_equal(mr_watermark_idle(&wm, A), 33);
    assert_int_equal(mr_watermark_idle(&wm, C), 33);
    assert_int_equal(mr_watermark_idle(&wm, B), 33);
}

static void one_input(void **state)
{
    struct mr_watermark wm;

    (void)state;
    mr_watermark_init(&wm, 1);
    assert_int_equal(mr_watermark_advance(&wm, A, 25), 25);
    assert_int_equal(mr_watermark_advance(&wm, A, 18), 25);
    assert_int_equal(mr_watermark_advance(&wm, A, 42), 42);
    assert_int_equal(mr_watermark_idle(&wm, A), 42);
    assert_int_equal(mr_watermark_advance(&wm, A, 52), 42);
    assert_int_equal(mr_watermark_advance(&wm, A, 60), 42);
    assert_int_equal(mr_watermark_active(&wm, A), 42);
    assert_int_equal(mr_watermark_advance(&wm, A, 40), 42);
    assert_int_equal(mr_watermark_advance(&wm, A, 42), 42);
    assert_int_equal(mr_watermark_advance(&wm, A, 54), 54);
}

/* A clock that has not spoken holds the others, unless it is idle. */
static void a_silent_clock_holds(void **state)
{
    struct mr_watermark wm;

    (void)state;
    mr_watermark_init(&wm, 2);
    assert_int_equal(mr_watermark_advance(&wm, A, 100), MR_TIME_MIN);
    assert_int_equal(mr_watermark_idle(&wm, B), 100);
    assert_int_equal(mr_watermark_idle(&wm, B), 100);
    assert_int_equal(mr_watermark_active(&wm, B), 100);
    assert_int_equal(mr_watermark_advance(&wm, A, 200), 200);
    assert_int_equal(mr_watermark_advance(&wm, B, 200), 200);
    assert_int_equal(mr_watermark_advance(&wm, A, 300), 200);
}

/* When the last one idles, nothing is emitted: not even what a lagging clock had held back. */
static void all_idle_emits_nothing(void **state)
{
    struct mr_watermark wm;

    (void)state;
    mr_watermark_init(&wm, 2);
    mr_watermark_advance(&wm, A, 50);
    assert_int_equal(mr_watermark_advance(&wm, B, 10), 10);
    assert_int_equal(mr_watermark_idle(&wm, A), 10);
    assert_int_equal(mr_watermark_idle(&wm, B), 10);
    assert_int_equal(mr_watermark_active(&wm, A), 50);
}

/* Only clocks that have not caught up are active: they hold, and the first to catch up leads. */
static void only_laggards(void **state)
{
    struct mr_watermark wm;

    (void)state;
    mr_watermark_init(&wm, 2);
    mr_watermark_advance(&wm, A, 10);
    assert_int_equal(mr_watermark_idle(&wm, B), 10);
    mr_watermark_advance(&wm, A, 30);
    assert_int_equal(mr_watermark_idle(&wm, A), 30);
    assert_int_equal(mr_watermark_active(&wm, B), 30);
    assert_int_equal(mr_watermark_advance(&wm, B, 29), 30);
    assert_int_equal(mr_watermark_advance(&wm, B, 31), 31);
}

static void the_end_of_time(void **state)
{
    struct mr_watermark wm;

    (void)state;
    mr_watermark_init(&wm, 2);
    assert_int_equal(mr_watermark_advance(&wm, A, MR_TIME_MAX), MR_TIME_MIN);
    assert_int_equal(mr_watermark_advance(&wm, B, 5), 5);
    assert_int_equal(mr_watermark_advance(&wm, B, MR_TIME_MAX), MR_TIME_MAX);
    assert_int_equal(mr_watermark_advance(&wm, B, 7), MR_TIME_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_inputs),         cmocka_unit_test(one_input),
        cmocka_unit_test(a_silent_clock_holds), cmocka_unit_test(all_idle_emits_nothing),
        cmocka_unit_test(only_laggards),        cmocka_unit_test(the_end_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
