/* Aim: every event of a batch stands on the same side of every deadline, in order, once; and a full
 * slab changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <unistd.h>

#include "core/hash.h"
#include "sources/batcher.h"
#include "tests/random.h"

#define SHARES_MAX 4
#define LATE_MAX   64

static struct mr_config config;
static struct mr_plan plan;
static struct mr_arena arena;
static struct mr_batcher batcher;
static atomic_size_t jumbo_bytes;

/* What came out, by share. */
struct taken {
    int64_t watermark;
    uint64_t batches, next_event, letters;
};
static struct taken taken[SHARES_MAX];
static struct mr_order_batch *out[LATE_MAX]; /* not returned yet */
static uint32_t out_count;

static int64_t event_times[100000];
static int64_t event_marks[100000]; /* the watermark that each must be judged against */
static uint32_t event_shares[100000];

static int open_all(void **state)
{
    (void)state;
    memset(&config, 0, sizeof config);
    memset(taken, 0, sizeof taken);
    for (uint32_t s = 0; s < SHARES_MAX; s++)
        taken[s].watermark = MR_TIME_MIN;
    out_count = 0;
    atomic_store(&jumbo_bytes, 0);
    return mr_arena_init(&arena, (size_t)32 << 20);
}

static int close_all(void **state)
{
    (void)state;
    mr_arena_finish(&arena);
    return 0;
}

static void make_plan(uint64_t *seed, uint32_t windows, uint32_t rows)
{
    config.window_count = windows;
    config.decode.field_count = 1;
    config.workers.batch_rows = rows;
    for (uint32_t w = 0; w < windows; w++) {
        int64_t hop = mr_random_between(seed, 5, 60);
        config.windows[w] = (struct mr_window){.group_count = w % 2,
                                               .size_us = mr_random_between(seed, 1, 3 * hop),
                                               .hop_us = hop,
                                               .offset_us = mr_random_between(seed, 0, hop - 1),
                                               .lateness_us = mr_random_between(seed, 0, 100)};
    }
    config.watermark.max_disorder_us = mr_random_between(seed, 0, 30);
    assert_null(mr_plan_init(&plan, &config));
}

static void make_event(struct mr_event *event, int64_t t, uint32_t key)
{
    static uint32_t bytes;

    bytes = key;
    *event = (struct mr_event){.event_us = t, .publish_us = MR_TIME_MAX, .id = MR_ID_NONE};
    event->route = mr_hash64(&key, sizeof key, 3);
    for (uint32_t g = 0; g < plan.grouping_count; g++) {
        event->keys[g].bytes = mr_span_of(&bytes, plan.groupings[g].field_count ? 4 : 0);
        event->keys[g].hash = plan.groupings[g].field_count ? event->route & 15 : 9;
    }
}

/* By looking at every microsecond: is there an end or an expiry in (from, to]? */
static bool deadline_between(int64_t from, int64_t to)
{
    for (int64_t t = from + 1; t <= to; t++)
        for (uint32_t w = 0; w < config.window_count; w++) {
            const struct mr_window *window = &config.windows[w];
            int64_t phase = window->offset_us + window->size_us;
            if (mr_floor_mod(t - phase, window->hop_us) == 0 ||
                mr_floor_mod(t - phase - window->lateness_us, window->hop_us) == 0)
                return true;
        }
    return false;
}

/* The share judges all of a batch against the watermark before it: between that and the one that
 * the event was added under, there may be no deadline. */
static void check_batch(struct mr_order_batch *batch)
{
    struct taken *share = &taken[batch->share];

    assert_int_equal(batch->number, share->batches++);
    assert_true(batch->watermark_us >= share->watermark);
    for (uint32_t row = 0; row < batch->rows; row++) {
        while (event_shares[share->next_event] != batch->share)
            share->next_event++;
        uint64_t e = share->next_event++;
        assert_int_equal(*mr_order_event_us(batch, &plan.order, row), event_times[e]);
        if (event_marks[e] == MR_TIME_MIN)
            assert_int_equal(share->watermark, MR_TIME_MIN);
        else
            assert_false(deadline_between(share->watermark, event_marks[e]));
        for (uint32_t g = 0; g < plan.grouping_count; g++)
            assert_true(*mr_order_key(batch, &plan.order, g, row) < batch->keys[g]);
    }
    share->letters += batch->letters;
    share->watermark = batch->watermark_us;
}

static void take_cut(void)
{
    for (uint32_t i = 0; i < batcher.cut_count; i++) {
        check_batch(batcher.cut[i]);
        assert_true(out_count < LATE_MAX);
        out[out_count++] = batcher.cut[i];
    }
    batcher.cut_count = 0;
}

static void give_back(uint32_t count)
{
    for (uint32_t i = 0; i < count && out_count > 0; i++)
        mr_batcher_return(&batcher, out[--out_count]);
}

static void random_stream(uint64_t seed)
{
    uint32_t shares = 1 + mr_random_below(&seed, SHARES_MAX), events = 400, refused = 0;
    uint32_t blocks = 2 * shares + 1 + mr_random_below(&seed, 3);
    int64_t now = mr_random_between(&seed, -2000, 0), mark = MR_TIME_MIN;
    struct mr_event event;

    make_plan(&seed, 1 + mr_random_below(&seed, 3), 1 + mr_random_below(&seed, 70));
    assert_int_equal(mr_batcher_init(&batcher, &plan, &arena, blocks, shares, 1, 0, &jumbo_bytes),
                     MR_OK);
    for (uint32_t e = 0; e < events;) {
        uint32_t key = mr_random_below(&seed, 50);
        event_times[e] = now - mr_random_between(&seed, 0, 40);
        make_event(&event, event_times[e], key);
        event_marks[e] = mark;
        event_shares[e] = (uint32_t)(((mr_u128)event.route * shares) >> 64);
        event_shares[e + 1] = UINT32_MAX;
        int64_t before = batcher.watermark_us;
        if (!mr_batcher_add(&batcher, &event)) {
            assert_int_equal(batcher.cut_count, 0);
            assert_int_equal(batcher.watermark_us, before);
            assert_true(out_count > 0);
            give_back(1);
            refused++;
            continue;
        }
        mark = MR_MAX(mark, event_times[e] - config.watermark.max_disorder_us);
        assert_int_equal(batcher.watermark_us, mark);
        e++;
        now += mr_random_between(&seed, 0, mr_random_below(&seed, 20) ? 4 : 90);
        take_cut();
        if (mr_random_below(&seed, 30) == 0) {
            mr_batcher_flush(&batcher);
            take_cut();
        }
    }
    while (!mr_batcher_close(&batcher, MR_BATCH_END))
        give_back(1);
    take_cut();
    for (uint32_t s = 0; s < shares; s++) {
        assert_int_equal(taken[s].watermark, MR_TIME_MAX);
        while (event_shares[taken[s].next_event] < shares)
            assert_int_not_equal(event_shares[taken[s].next_event++], s);
        assert_int_equal(out[out_count - 1 - s]->flags, MR_BATCH_END);
    }
    give_back(LATE_MAX);
    assert_int_equal(batcher.slab.count, blocks);
    assert_true(refused > 0);
}

static void streams_are_cut_at_deadlines(void **state)
{
    for (uint64_t seed = 1; seed <= mr_test_count(400); seed++) {
        open_all(state);
        random_stream(seed);
        close_all(state);
    }
    open_all(state);
}

/* Every share hears of every crossing, also those that got no event. */
static void empty_batches_tell_the_time(void **state)
{
    uint64_t seed = 3;
    struct mr_event event;

    (void)state;
    make_plan(&seed, 1, 10);
    assert_int_equal(mr_batcher_init(&batcher, &plan, &arena, 20, 4, 1, 0, &jumbo_bytes), MR_OK);
    for (uint32_t i = 0; i < 3; i++) {
        make_event(&event, 1000 * i, 7);
        assert_true(mr_batcher_add(&batcher, &event));
        assert_int_equal(batcher.cut_count, 4);
        for (uint32_t s = 0; s < 4; s++)
            assert_int_equal(batcher.cut[s]->watermark_us, batcher.watermark_us);
        batcher.cut_count = 0;
    }
}

static struct mr_letter_source letter_of(const uint8_t *payload, size_t bytes, uint64_t position)
{
    return (struct mr_letter_source){.reason = MR_REASON_BAD_TYPE,
                                     .field = 0,
                                     .position = position,
                                     .error_offset = 3,
                                     .detail = "no number",
                                     .payload = mr_span_of(payload, bytes)};
}

/* Letters of every size around the heap's, chained in order; the largest in memory of their own. */
static void letters_of_every_size(void **state)
{
    uint64_t seed = 4;

    (void)state;
    make_plan(&seed, 1, 10);
    size_t heap = plan.order.heap_bytes, jumbo = 0;
    uint8_t *payload = malloc(heap + 200);
    assert_int_equal(mr_batcher_init(&batcher, &plan, &arena, 8, 1, 5, 0, &jumbo_bytes), MR_OK);
    for (size_t i = 0; i < heap + 200; i++)
        payload[i] = (uint8_t)(i * 7);
    for (size_t bytes = 0; bytes < heap + 200; bytes += bytes + 300 < heap && bytes > 9 ? 997 : 1) {
        struct mr_letter_source source = letter_of(payload, bytes, bytes);
        while (!mr_batcher_letter(&batcher, &source))
            fail();
        mr_batcher_flush(&batcher);
        struct mr_order_batch *batch = batcher.cut[batcher.cut_count - 1];
        struct mr_letter *letter = mr_order_letter(batch, &plan.order, batch->last_letter);
        struct mr_span kept = mr_letter_payload(letter);
        assert_int_equal(letter->position, bytes);
        assert_int_equal(letter->puller, 5);
        assert_int_equal(kept.bytes, bytes);
        assert_memory_equal(kept.data, payload, bytes);
        assert_int_equal(mr_letter_detail(letter).bytes, strlen("no number"));
        assert_true(batch->heap_used <= heap);
        if (letter->jumbo) {
            jumbo += bytes;
            assert_int_equal(atomic_load(&jumbo_bytes), jumbo);
            free(letter->jumbo);
        }
        for (uint32_t i = 0; i < batcher.cut_count; i++)
            mr_batcher_return(&batcher, batcher.cut[i]);
        batcher.cut_count = 0;
    }
    assert_true(jumbo > 0);
    free(payload);
}

/* A refused letter leaves budget and slab as they were. */
static void refused_letters_change_nothing(void **state)
{
    uint64_t seed = 4;
    static uint8_t payload[1 << 20];

    (void)state;
    make_plan(&seed, 1, 10);
    assert_int_equal(mr_batcher_init(&batcher, &plan, &arena, 3, 1, 5, 0, &jumbo_bytes), MR_OK);
    struct mr_letter_source source = letter_of(payload, sizeof payload, 1);
    atomic_store(&jumbo_bytes, MR_JUMBO_BYTES_MAX);
    assert_false(mr_batcher_letter(&batcher, &source));
    assert_int_equal(atomic_load(&jumbo_bytes), MR_JUMBO_BYTES_MAX);
    atomic_store(&jumbo_bytes, 0);
    void *blocks[3] = {mr_slab_take(&batcher.slab), mr_slab_take(&batcher.slab),
                       mr_slab_take(&batcher.slab)};
    assert_false(mr_batcher_letter(&batcher, &source));
    assert_int_equal(atomic_load(&jumbo_bytes), 0);
    assert_null(batcher.open[0]);
    mr_slab_return(&batcher.slab, blocks[0]);
    assert_true(mr_batcher_letter(&batcher, &source));
    assert_int_equal(atomic_load(&jumbo_bytes), sizeof payload);
    free(mr_order_letter(batcher.open[0], &plan.order, batcher.open[0]->last_letter)->jumbo);
}

/* The dictionary's stamp runs over: nothing of four thousand million batches ago is seen again. */
static void the_stamp_runs_over(void **state)
{
    uint64_t seed = 9;
    struct mr_event event;

    (void)state;
    alarm(20);
    make_plan(&seed, 2, 4);
    assert_int_equal(mr_batcher_init(&batcher, &plan, &arena, 4, 1, 1, 0, &jumbo_bytes), MR_OK);
    *(uint32_t *)batcher.keys[0] = UINT32_MAX; /* its first member */
    make_event(&event, 5, 1);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(mr_batcher_add(&batcher, &event));
        mr_batcher_flush(&batcher);
        struct mr_order_batch *batch = batcher.cut[0];
        assert_int_equal(batch->keys[1], 1);
        assert_int_equal(*mr_order_key(batch, &plan.order, 1, 0), 0);
        mr_batcher_return(&batcher, batch);
        batcher.cut_count = 0;
    }
}

static void the_end_of_time_is_a_watermark(void **state)
{
    uint64_t seed = 9;

    (void)state;
    make_plan(&seed, 2, 4);
    assert_int_equal(mr_batcher_init(&batcher, &plan, &arena, 4, 1, 1, 0, &jumbo_bytes), MR_OK);
    mr_batcher_set_watermark(&batcher, MR_TIME_MAX);
    assert_int_equal(batcher.deadline_us, MR_TIME_MAX);
}

#define BATCHER_TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(streams_are_cut_at_deadlines, close_all),
        BATCHER_TEST(empty_batches_tell_the_time),
        BATCHER_TEST(letters_of_every_size),
        BATCHER_TEST(refused_letters_change_nothing),
        BATCHER_TEST(the_stamp_runs_over),
        BATCHER_TEST(the_end_of_time_is_a_watermark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
