/* Aim: under faults by chance, rows stand in the streams exactly once and in order, and on a
 * default stream at least once. A failure is a seed: MR_TEST_SEED runs that one alone. */
#include "tests/sinks/rig.h"

static uint64_t chance(uint64_t below)
{
    fake.seed = fake.seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (fake.seed >> 33) % below;
}

static struct fake_plan by_chance(struct fake *f, uint32_t number)
{
    static const struct fake_plan plans[] = {
        {FAKE_ERROR, MR_GRPC_INTERNAL, 0, "oops"},
        {FAKE_TAKE_ERROR, MR_GRPC_INTERNAL, 0, "oops"},
        {FAKE_STATUS, MR_GRPC_UNAVAILABLE, 0, "drain"},
        {FAKE_STATUS, MR_GRPC_ABORTED, 0, "idle"},
        {FAKE_ERROR, MR_GRPC_RESOURCE_EXHAUSTED, 0, "quota"},
        {.act = FAKE_TAKE_CLOSE},
        {.act = FAKE_CLOSE},
        {.act = FAKE_GARBAGE},
        {.act = FAKE_EOF},
        {.act = FAKE_GOAWAY},
        {.act = FAKE_FINALIZE},
    };
    (void)f, (void)number;
    if (chance(100) >= 12)
        return (struct fake_plan){0};
    return plans[chance(MR_COUNT(plans) - (fake.stream_count > FAKE_STREAMS - 4))];
}

static void expect_at_least_once(void)
{
    struct fake_stream *stream = fake_stream_find(&fake, TABLE "/streams/_default");
    static uint8_t seen[FAKE_ROWS];

    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < stream->row_count; i++)
        seen[stream->rows[i]] = 1;
    for (int64_t id = 0; id < fed; id++)
        assert_int_equal(seen[id] || is_rejected(id), 1);
}

static void run_by_chance(enum mr_delivery delivery, uint64_t seed)
{
    start(delivery);
    fake.seed = seed;
    fake.judge = by_chance;
    fake.bad_every = chance(2) ? 0 : 501;
    fake.name_bad_rows = chance(2);
    fake.slow = (uint32_t)chance(2) * (1 + (uint32_t)chance(12));
    for (uint32_t i = 0; i < 60; i++) {
        for (uint64_t n = chance(4); n > 0; n--)
            if (writer.buffers.count > 1)
                feed_appends(1, 1 + (uint32_t)chance(120));
        run_for(STEP_NS * (1 + chance(40)));
    }
    end();
    if (delivery == MR_EXACTLY_ONCE)
        expect_once();
    else
        expect_at_least_once();
    stop();
}

static void keeps_its_promise_by_chance(void **state)
{
    const char *given = getenv("MR_TEST_SEED");
    uint64_t first = given ? strtoull(given, NULL, 10) : 1, count = given ? 1 : 40;
    (void)state;
    for (uint64_t seed = first; seed < first + count; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run_by_chance(MR_EXACTLY_ONCE, seed);
        run_by_chance(MR_AT_LEAST_ONCE, seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_its_promise_by_chance)};

    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
