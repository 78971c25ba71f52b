/* Aim: the generator is deterministic, meets its ratios and spells orders as Python does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/hash.h"
#include "local/orders.h"

#define SECOND_US INT64_C(1000000)
#define ROOM      65536
#define FIRST_ORDER                                                                                \
    "{\"order_id\": \"c63f062c-5c30-43d4-a814-c085068867c2\", \"product_id\": \"P001\", "          \
    "\"timestamp\": \"2025-07-22T11:59:56.926266\", \"amount\": 129.51, \"region\": \"us-west\"}"

struct totals {
    uint64_t hash, kinds[MR_ORDERS_KINDS], reasons[MR_REASONS];
};

static char room[ROOM];
static struct mr_orders orders;

static struct mr_orders_settings mixed(uint64_t seed)
{
    struct mr_orders_settings s;
    mr_orders_defaults(&s);
    s.seed = seed;
    s.late_ratio = 0.01;
    s.invalid_ratio = 0.005;
    s.duplicate_ratio = 0.02;
    s.fast_ratio = 0.001;
    return s;
}

static struct totals draw(const struct mr_orders_settings *s, uint64_t count)
{
    struct totals totals = {0};
    struct mr_orders_info info;

    assert_int_equal(mr_orders_init(&orders, s), 0);
    for (uint64_t i = 0; i < count; i++) {
        size_t bytes = mr_orders_next(&orders, room, ROOM, &info);
        assert_in_range(bytes, 1, mr_orders_bytes_max(s));
        assert_null(memchr(room, '\n', bytes));
        totals.hash = mr_hash64(room, bytes, totals.hash);
        totals.kinds[info.kind]++;
        totals.reasons[info.reason]++;
    }
    mr_orders_finish(&orders);
    return totals;
}

static void same_seed_same_bytes(void **state)
{
    (void)state;
    struct mr_orders_settings variants[4];
    for (int i = 0; i < 4; i++)
        variants[i] = mixed(42);
    variants[1].profile = MR_ORDERS_SEED;
    variants[1].late_ratio = variants[1].fast_ratio = 0;
    variants[2].skew = 1.2;
    variants[2].products = 1000;
    variants[3].too_large_bytes = 20000;
    variants[3].invalid_ratio = 0.5;

    uint64_t hashes[4];
    for (int i = 0; i < 4; i++) {
        hashes[i] = draw(&variants[i], 10000).hash;
        assert_true(hashes[i] == draw(&variants[i], 10000).hash);
        variants[i].seed++;
        assert_true(hashes[i] != draw(&variants[i], 10000).hash);
        for (int j = 0; j < i; j++)
            assert_true(hashes[i] != hashes[j]);
    }
}

/* Pinned, so that a change of the bytes is seen: files and proofs elsewhere rely on them. */
static void first_bytes_never_change(void **state)
{
    (void)state;
    struct mr_orders_settings s;
    mr_orders_defaults(&s);
    struct mr_orders_info info;
    assert_int_equal(mr_orders_init(&orders, &s), 0);
    size_t bytes = mr_orders_next(&orders, room, ROOM, &info);
    room[bytes] = 0;
    assert_string_equal(room, FIRST_ORDER);
    mr_orders_finish(&orders);
}

static void near(uint64_t found, double asked)
{
    if ((double)found < asked * 0.99 || (double)found > asked * 1.01)
        fail_msg("%llu found, %.0f asked", (unsigned long long)found, asked);
}

static void ratios_are_met(void **state)
{
    (void)state;
    struct mr_orders_settings s = mixed(7);
    struct totals totals = draw(&s, 1000000);
    near(totals.kinds[MR_ORDERS_LATE], 1e6 * s.late_ratio);
    near(totals.kinds[MR_ORDERS_FAST], 1e6 * s.fast_ratio);
    near(totals.kinds[MR_ORDERS_REPEAT], 1e6 * s.duplicate_ratio);
    near(totals.kinds[MR_ORDERS_INVALID], 1e6 * s.invalid_ratio);
    near(totals.kinds[MR_ORDERS_FRESH], 1e6 * (1 - 0.01 - 0.005 - 0.02 - 0.001));
    near(totals.reasons[MR_REASON_MALFORMED_JSON], 1e6 * s.invalid_ratio * 6 / 25);
    near(totals.reasons[MR_REASON_MISSING_FIELD], 1e6 * s.invalid_ratio * 6 / 25);
    near(totals.reasons[MR_REASON_BAD_TYPE], 1e6 * s.invalid_ratio * 5 / 25);
}

static void ratios_up_to_one_are_met(void **state)
{
    (void)state;
    struct mr_orders_settings s = mixed(8);
    s.late_ratio = s.invalid_ratio = s.duplicate_ratio = s.fast_ratio = 0.25;
    struct totals totals = draw(&s, 100000);
    for (int kind = MR_ORDERS_LATE; kind < MR_ORDERS_KINDS; kind++)
        near(totals.kinds[kind], 25000);
    s.late_ratio = s.duplicate_ratio = s.fast_ratio = 0;
    s.invalid_ratio = 1;
    assert_int_equal(draw(&s, 1000).kinds[MR_ORDERS_INVALID], 1000);
}

static void times_stay_in_their_bounds(void **state)
{
    (void)state;
    struct mr_orders_settings s = mixed(9);
    struct mr_orders_info info;
    uint64_t far = 0, late = 0;

    s.late_ratio = s.fast_ratio = 0.2;
    assert_int_equal(mr_orders_init(&orders, &s), 0);
    for (int64_t i = 0; i < 100000; i++) {
        mr_orders_next(&orders, room, ROOM, &info);
        int64_t behind_us = s.start_us + i * 4000 - info.event_us; /* 250 a second: 4 ms a tick */
        if (info.kind == MR_ORDERS_FRESH)
            assert_true(behind_us >= 0 && behind_us <= s.disorder_us);
        if (info.kind == MR_ORDERS_FAST)
            assert_true(behind_us < 0 && behind_us >= -s.fast_by_us);
        if (info.kind == MR_ORDERS_LATE) {
            assert_true(behind_us > s.disorder_us &&
                        behind_us <= s.disorder_us + 20 * s.late_by_us);
            far += behind_us > s.disorder_us + s.late_by_us;
            late++;
        }
    }
    mr_orders_finish(&orders);
    assert_in_range(far * 100 / late, 20, 30);
}

static void repeats_are_earlier_orders(void **state)
{
    (void)state;
    enum { COUNT = 2000, BYTES = MR_ORDERS_BYTES_MAX };
    static char lines[COUNT][BYTES];
    struct mr_orders_settings s = mixed(10);
    struct mr_orders_info info;
    uint64_t repeats = 0;

    s.duplicate_ratio = 0.5;
    s.recent = 16;
    assert_int_equal(mr_orders_init(&orders, &s), 0);
    for (int i = 0; i < COUNT; i++) {
        size_t bytes = mr_orders_next(&orders, lines[i], BYTES, &info);
        lines[i][bytes] = 0;
        if (info.kind != MR_ORDERS_REPEAT)
            continue;
        int j = i - 1;
        while (j >= 0 && strcmp(lines[i], lines[j]) != 0)
            j--;
        assert_true(j >= 0);
        repeats++;
    }
    mr_orders_finish(&orders);
    assert_in_range(repeats, 990, 1010);
}

static uint64_t product_share(double skew, uint32_t products, const char *name)
{
    struct mr_orders_settings s;
    struct mr_orders_info info;
    uint64_t found = 0;

    mr_orders_defaults(&s);
    s.skew = skew;
    s.products = products;
    assert_int_equal(mr_orders_init(&orders, &s), 0);
    for (int i = 0; i < 200000; i++) {
        size_t bytes = mr_orders_next(&orders, room, ROOM, &info);
        found += memmem(room, bytes, name, strlen(name)) != NULL;
    }
    mr_orders_finish(&orders);
    return found;
}

/* Zipf with exponent 1 over four: shares 12/25, 6/25, 4/25, 3/25. */
static void skew_is_zipfs(void **state)
{
    (void)state;
    assert_in_range(product_share(0, 4, "\"P001\""), 49000, 51000);
    assert_in_range(product_share(1, 4, "\"P001\""), 95000, 97000);
    assert_in_range(product_share(1, 4, "\"P002\""), 47000, 49000);
    assert_in_range(product_share(1, 4, "\"P004\""), 23300, 24700);
    assert_in_range(product_share(1, 4, "\"europe\""), 31000, 33000);
    /* Exponent 0.5 over six has two shares above a sixth, so cells borrow from both. */
    assert_in_range(product_share(0.5, 6, "\"P001\""), 54100, 55800);
    assert_in_range(product_share(0.5, 6, "\"P002\""), 38000, 39700);
    assert_in_range(product_share(0.5, 6, "\"P006\""), 21600, 23300);
    assert_in_range(product_share(5, 1, "\"P001\""), 200000, 200000);
    assert_in_range(product_share(0.5, 1000000, "\"P1000000\""), 0, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_bytes),
        cmocka_unit_test(first_bytes_never_change),
        cmocka_unit_test(ratios_are_met),
        cmocka_unit_test(ratios_up_to_one_are_met),
        cmocka_unit_test(times_stay_in_their_bounds),
        cmocka_unit_test(repeats_are_earlier_orders),
        cmocka_unit_test(skew_is_zipfs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
