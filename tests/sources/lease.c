/* Aim: leases come due in the order of their deadlines, are let go after an hour, and their cells
 * serve again; parked messages come out as they went in, wherever the ring wraps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "sources/lease.h"
#include "sources/park.h"
#include "tests/random.h"

#define SECOND_NS UINT64_C(1000000000)

struct room {
    struct mr_arena arena;
    struct mr_leases leases;
    struct mr_park park;
};

static struct room *enter(uint32_t leases, size_t park_bytes)
{
    struct room *room = calloc(1, sizeof *room);

    assert_non_null(room);
    assert_int_equal(mr_arena_init(&room->arena, (size_t)8 << 20), MR_OK);
    assert_int_equal(mr_leases_init(&room->leases, &room->arena, leases), MR_OK);
    assert_int_equal(mr_park_init(&room->park, &room->arena, park_bytes), MR_OK);
    return room;
}

static void leave(struct room *room)
{
    mr_arena_finish(&room->arena);
    free(room);
}

static void test_due_by_deadline(void **state)
{
    struct room *room = enter(3, 64);
    struct mr_leases *leases = &room->leases;
    uint64_t now = 1000 * SECOND_NS;
    (void)state;

    uint32_t a = mr_lease_take(leases, mr_span_text("a"), now);
    uint32_t b = mr_lease_take(leases, mr_span_text("b"), now + SECOND_NS);
    uint32_t c = mr_lease_take(leases, mr_span_text("c"), now + 2 * SECOND_NS);
    assert_int_equal(mr_lease_take(leases, mr_span_text("d"), now), MR_LEASE_NONE);

    uint64_t due = now + MR_LEASE_NS - MR_LEASE_SLACK_NS;
    assert_int_equal(mr_lease_due(leases, due - 1), MR_LEASE_NONE);
    assert_int_equal(mr_lease_due(leases, due), a);
    mr_lease_extend(leases, a, due);
    assert_int_equal(mr_lease_due(leases, due), MR_LEASE_NONE);
    assert_int_equal(mr_lease_due(leases, due + SECOND_NS), b);
    mr_lease_end(leases, b);
    assert_int_equal(mr_lease_due(leases, due + 2 * SECOND_NS), c);
    mr_lease_extend(leases, c, due + 2 * SECOND_NS);
    assert_int_equal(mr_lease_due(leases, due + MR_LEASE_NS - MR_LEASE_SLACK_NS), a);

    uint32_t again = mr_lease_take(leases, mr_span_text("later"), due);
    assert_int_equal(again, b);
    struct mr_span ack_id = mr_lease_ack_id(leases, again);
    assert_int_equal(ack_id.bytes, 5);
    assert_memory_equal(ack_id.data, "later", 5);
    leave(room);
}

/* The service would not extend it for longer; its cell stays taken until the batch comes back. */
static void test_let_go_after_an_hour(void **state)
{
    struct room *room = enter(2, 64);
    struct mr_leases *leases = &room->leases;
    uint64_t now = SECOND_NS, end = now + MR_LEASE_MAX_NS;
    uint32_t old = mr_lease_take(leases, mr_span_text("old"), now), extended = 0;
    (void)state;

    for (; now < end; now += SECOND_NS)
        while (mr_lease_due(leases, now) == old) {
            mr_lease_extend(leases, old, now);
            extended++;
        }
    assert_in_range(extended, 60, 120);
    uint32_t young = mr_lease_take(leases, mr_span_text("young"), now);
    for (; now < end + MR_LEASE_NS; now += SECOND_NS)
        while (mr_lease_due(leases, now) != MR_LEASE_NONE) {
            assert_int_equal(mr_lease_due(leases, now), young);
            mr_lease_extend(leases, young, now);
        }
    assert_int_equal(leases->abandoned, 1);
    assert_int_equal(leases->count, 2);
    mr_lease_end(leases, old);
    mr_lease_end(leases, young);
    assert_int_equal(leases->count, 0);
    assert_int_equal(mr_lease_due(leases, now + 10 * MR_LEASE_NS), MR_LEASE_NONE);
    leave(room);
}

/* Any order of taking, extending and ending against a plain table. */
static void test_leases_against_a_table(void **state)
{
    enum { CELLS = 50, STEPS = 20000 };
    struct room *room = enter(CELLS, 64);
    struct mr_leases *leases = &room->leases;
    uint64_t seed = 7, now = SECOND_NS, deadline[CELLS] = {0};
    uint32_t held = 0;
    (void)state;

    for (int step = 0; step < STEPS; step++) {
        now += mr_random(&seed) % (SECOND_NS / 2);
        uint32_t lease = mr_lease_due(leases, now), pick = (uint32_t)(mr_random(&seed) % CELLS);
        for (uint32_t i = 0; i < CELLS && lease != MR_LEASE_NONE; i++)
            assert_true(deadline[i] == 0 || deadline[i] >= deadline[lease]);
        if (lease != MR_LEASE_NONE) {
            mr_lease_extend(leases, lease, now);
            deadline[lease] = now + MR_LEASE_NS;
        } else if (deadline[pick] != 0) {
            mr_lease_end(leases, pick);
            deadline[pick] = 0;
            held--;
        } else {
            lease = mr_lease_take(leases, mr_span_text("id"), now);
            assert_in_range(lease, 0, CELLS - 1);
            assert_int_equal(deadline[lease], 0);
            deadline[lease] = now + MR_LEASE_NS;
            held++;
        }
        assert_int_equal(leases->count, held);
    }
    leave(room);
}

static bool park(struct room *room, uint32_t lease, size_t bytes)
{
    static uint8_t message[70000];
    struct mr_parked head = {.lease = lease, .stream = lease % 7, .incarnation = lease % 5};

    memset(message, (int)(lease & 255), bytes);
    return mr_park_put(&room->park, &head, mr_span_of(message, bytes));
}

static void expect_parked(struct room *room, uint32_t lease, size_t bytes)
{
    const struct mr_parked *parked = mr_park_first(&room->park);

    assert_non_null(parked);
    assert_int_equal(parked->lease, lease);
    assert_int_equal(parked->stream, lease % 7);
    assert_int_equal(parked->incarnation, lease % 5);
    struct mr_span message = mr_parked_message(parked);
    assert_int_equal(message.bytes, bytes);
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(message.data[i], lease & 255);
    mr_park_drop(&room->park);
}

static void test_park_keeps_order_and_bytes(void **state)
{
    enum { STEPS = 20000, SIZES = 4096 };
    struct room *room = enter(1, 65536);
    size_t sizes[SIZES];
    uint32_t in = 0, out = 0, refused = 0;
    uint64_t seed = 3;
    (void)state;

    for (int step = 0; step < STEPS; step++) {
        size_t bytes = mr_random(&seed) % (step % 100 == 0 ? 30000 : 3000);
        if (mr_random(&seed) % 16 < (step / 1000 % 2 ? 6u : 10u)) {
            sizes[in % SIZES] = bytes;
            if (park(room, in, bytes))
                in++;
            else
                refused++;
        } else if (out < in) {
            expect_parked(room, out, sizes[out % SIZES]);
            out++;
        }
        assert_int_equal(room->park.count, in - out);
        assert_true(room->park.used <= room->park.capacity);
    }
    assert_true(refused > 0 && in > STEPS / 4);
    while (out < in) {
        expect_parked(room, out, sizes[out % SIZES]);
        out++;
    }
    assert_null(mr_park_first(&room->park));
    leave(room);
}

/* Wherever the last message ended, an empty park takes one of its whole size. */
static void test_an_empty_park_is_all_there(void **state)
{
    struct room *room = enter(1, 65536);
    (void)state;

    for (uint32_t lease = 0; lease < 100; lease++) {
        assert_true(park(room, lease, lease * 500));
        expect_parked(room, lease, lease * 500);
        assert_true(park(room, lease, 65536 - sizeof(struct mr_parked)));
        assert_false(park(room, lease, 0));
        expect_parked(room, lease, 65536 - sizeof(struct mr_parked));
    }
    leave(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_due_by_deadline),
        cmocka_unit_test(test_let_go_after_an_hour),
        cmocka_unit_test(test_leases_against_a_table),
        cmocka_unit_test(test_park_keeps_order_and_bytes),
        cmocka_unit_test(test_an_empty_park_is_all_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
