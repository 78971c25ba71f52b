/* Aim: one, two or four pullers, stepped in any order, give a share the same events in the same
 * order, on the same side of every deadline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <unistd.h>

#include "core/hop.h"
#include "ring/edge.h"
#include "sources/file_puller.h"
#include "tests/random.h"

#define PULLERS 4
#define SHARES  2
#define BATCHES 7
#define TEXTS   12
#define OUT_MAX 40000

static struct mr_config config;
static struct mr_plan plan;
static struct mr_arena arena;
static struct mr_io *io;
static struct mr_fault fault;
static atomic_size_t jumbo_bytes;

/* What one share saw of one event: a position (letters), or its time and the side it stands on. */
struct seen {
    int64_t t;
    uint64_t position, side;
};
struct story {
    struct seen events[SHARES][OUT_MAX], letters[SHARES][OUT_MAX];
    uint32_t event_count[SHARES], letter_count[SHARES];
};
static struct story expected, story;

struct share {
    int64_t watermark;
    uint32_t next, ends;
    struct mr_order_batch *held;
};

struct river {
    struct mr_file_puller pullers[PULLERS];
    struct mr_reader reader;
    struct mr_spsc texts[PULLERS], texts_back[PULLERS], tokens[PULLERS];
    struct mr_spsc batches[PULLERS][SHARES], batches_back[PULLERS][SHARES];
    struct mr_spsc *texts_back_of[PULLERS], *batches_back_of[PULLERS][SHARES];
    struct mr_edge texts_out[PULLERS], texts_returned[PULLERS], token_out[PULLERS];
    struct mr_edge batches_out[PULLERS][SHARES];
    struct mr_token token;
    struct share shares[SHARES];
    uint32_t count;
};
static struct river river;

static struct mr_edge edge_to(struct mr_spsc *ring)
{
    return (struct mr_edge){ring, io};
}

static void make_config(uint64_t *seed)
{
    static struct mr_field fields[] = {
        {.name = "r", .type = MR_TYPE_STRING, .path = {"r"}, .path_count = 1},
        {.name = "t",
         .type = MR_TYPE_EVENT_TIME,
         .unit = MR_UNIT_US,
         .path = {"t"},
         .path_count = 1},
    };

    memset(&config, 0, sizeof config);
    memcpy(config.decode.fields, fields, sizeof fields);
    config.decode.field_count = 2;
    config.decode.event_time = 1;
    config.decode.payload_bytes_max = 1 << 20;
    config.window_count = 2;
    for (uint32_t w = 0; w < 2; w++)
        config.windows[w] = (struct mr_window){.group_count = w,
                                               .size_us = mr_random_between(seed, 10, 3000),
                                               .hop_us = mr_random_between(seed, 200, 2000),
                                               .lateness_us = mr_random_between(seed, 0, 4000)};
    config.route_count = 1;
    config.watermark.max_disorder_us = mr_random_between(seed, 0, 300);
    config.workers.batch_rows = 1 + mr_random_below(seed, 300);
    assert_null(mr_plan_init(&plan, &config));
}

static void ring_init(struct mr_spsc *ring)
{
    assert_int_equal(mr_spsc_init(ring, &arena, 64), MR_OK);
}

static void init_puller(uint32_t n)
{
    struct mr_file_puller *p = &river.pullers[n];

    ring_init(&river.texts[n]);
    ring_init(&river.texts_back[n]);
    ring_init(&river.tokens[n]);
    river.texts_back_of[n] = &river.texts_back[n];
    river.texts_out[n] = edge_to(&river.texts[n]);
    river.texts_returned[n] = edge_to(&river.texts_back[n]);
    river.token_out[n] = edge_to(&river.tokens[(n + 1) % river.count]);
    for (uint32_t s = 0; s < SHARES; s++) {
        ring_init(&river.batches[n][s]);
        ring_init(&river.batches_back[n][s]);
        river.batches_back_of[n][s] = &river.batches_back[n][s];
        river.batches_out[n][s] = edge_to(&river.batches[n][s]);
    }
    *p = (struct mr_file_puller){
        .plan = &plan,
        .number = n,
        .puller_count = river.count,
        .fault = &fault,
        .reader = n == 0 ? &river.reader : NULL,
        .texts_out = river.texts_out,
        .texts_back = river.texts_back_of,
        .texts_in = &river.texts[n],
        .texts_returned = &river.texts_returned[n],
        .batches_out = river.batches_out[n],
        .batches_back = river.batches_back_of[n],
        .token_in = &river.tokens[n],
        .token_out = &river.token_out[n],
        .token = n == 0 ? &river.token : NULL,
    };
    assert_int_equal(mr_decoder_create(&p->decoder, &config), MR_OK);
    p->decoded = calloc(1, sizeof *p->decoded);
    p->scratch = calloc(1, sizeof *p->scratch);
    p->stage = calloc(1, sizeof *p->stage);
    assert_int_equal(
        mr_batcher_init(&p->batcher, &plan, &arena, BATCHES, SHARES, (uint16_t)n, 0, &jumbo_bytes),
        MR_OK);
}

static void finish_pullers(void)
{
    for (uint32_t n = 0; n < river.count; n++) {
        struct mr_file_puller *p = &river.pullers[n];
        assert_int_equal(p->batcher.slab.count, BATCHES);
        mr_decoder_destroy(p->decoder);
        free(p->decoded);
        free(p->scratch);
        free(p->stage);
    }
}

/* How many deadlines lie behind a watermark: the side on which an event is judged. */
static uint64_t side_of(int64_t watermark)
{
    uint64_t side = 1;

    if (watermark == MR_TIME_MIN)
        return 0;
    for (uint32_t w = 0; w < config.window_count; w++) {
        const struct mr_window *window = &config.windows[w];
        side += (uint64_t)mr_floor_div(watermark - window->size_us, window->hop_us) + 100000;
        side += (uint64_t)mr_floor_div(watermark - window->size_us - window->lateness_us,
                                       window->hop_us) +
                100000;
    }
    return side;
}

static void note(uint32_t s, struct mr_order_batch *batch)
{
    struct share *share = &river.shares[s];

    for (uint32_t row = 0; row < batch->rows; row++) {
        assert_true(story.event_count[s] < OUT_MAX);
        story.events[s][story.event_count[s]++] = (struct seen){
            .t = *mr_order_event_us(batch, &plan.order, row), .side = side_of(share->watermark)};
    }
    for (uint32_t at = batch->first_letter; at != 0;) {
        struct mr_letter *letter = mr_order_letter(batch, &plan.order, at);
        assert_true(story.letter_count[s] < OUT_MAX);
        story.letters[s][story.letter_count[s]++] = (struct seen){.t = letter->payload_bytes,
                                                                  .position = letter->position};
        if (letter->jumbo) {
            atomic_fetch_sub(&jumbo_bytes, letter->payload_bytes);
            free(letter->jumbo);
        }
        at = letter->next;
    }
    assert_true(batch->watermark_us >= share->watermark);
    share->watermark = batch->watermark_us;
}

/* Takes one batch from the puller whose turn it is, and gives it back a while later. */
static void step_share(uint32_t s)
{
    struct share *share = &river.shares[s];
    void *item;

    if (share->held) {
        assert_true(mr_spsc_put(&river.batches_back[share->held->puller][s], share->held));
        share->held = NULL;
        return;
    }
    if (mr_spsc_take(&river.batches[share->next][s], &item, 1) == 0)
        return;
    struct mr_order_batch *batch = item;
    assert_int_equal(batch->puller, share->next);
    note(s, batch);
    share->held = batch;
    share->ends += batch->flags & MR_BATCH_END ? 1 : 0;
    if (batch->flags & MR_BATCH_HANDOVER)
        share->next = (share->next + 1) % river.count;
}

static void flow(int fd, uint32_t pullers, uint64_t seed)
{
    uint32_t steps = 0;

    memset(&river, 0, sizeof river);
    memset(&story, 0, sizeof story);
    memset(arena.base, 0, arena.used);
    arena.used = 0;
    river.count = pullers;
    river.token = (struct mr_token){.watermark_us = MR_TIME_MIN};
    for (uint32_t s = 0; s < SHARES; s++)
        river.shares[s].watermark = MR_TIME_MIN;
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(mr_reader_init(&river.reader, &arena, io, &fault, fd, "f", TEXTS, 1 << 20),
                     MR_OK);
    for (uint32_t n = 0; n < pullers; n++)
        init_puller(n);
    while (river.shares[0].ends + river.shares[1].ends < SHARES) {
        uint32_t who = mr_random_below(&seed, pullers + SHARES + 1);
        if (who < pullers)
            mr_file_puller_turn(&river.pullers[who], 0);
        else if (who < pullers + SHARES)
            step_share(who - pullers);
        else
            mr_io_turn(io, 0);
        assert_int_equal(mr_fault_err(&fault), MR_OK);
        assert_true(++steps < 1000000);
    }
    for (uint32_t i = 0; i < 4; i++) {
        step_share(0);
        step_share(1);
        for (uint32_t n = 0; n < pullers; n++)
            mr_file_puller_turn(&river.pullers[n], 0);
    }
    finish_pullers();
    assert_int_equal(river.reader.slab.count, TEXTS);
    assert_int_equal(atomic_load(&jumbo_bytes), 0);
}

/* Lines of a few kinds: orders, empty ones, broken ones, some longer than a block. */
static uint32_t write_file(FILE *file, uint64_t *seed)
{
    static char filling[700000];
    int64_t t = mr_random_between(seed, -20000, 0);
    uint32_t lines = 3000 + mr_random_below(seed, 9000), events = 0;

    memset(filling, 'x', sizeof filling);
    for (uint32_t i = 0; i < lines; i++) {
        uint32_t kind = mr_random_below(seed, 2000);
        t += mr_random_between(seed, 0, 20);
        if (kind < 5)
            fprintf(file, "{\"r\":\"%.*s\"}\n", (int)mr_random_below(seed, 600000), filling);
        else if (kind < 60)
            fputc('\n', file);
        else if (kind < 120)
            fprintf(file, "{\"r\":%u}\n", i);
        else
            fprintf(file, "{\"pad\":\"%.*s\",\"r\":\"%c\",\"t\":%lld}\n",
                    (int)mr_random_below(seed, 300), filling, 'a' + (int)(kind % 20),
                    (long long)(t - mr_random_between(seed, 0, 400)));
        events += kind < 5 || kind >= 60;
    }
    fflush(file);
    return events;
}

static void any_number_of_pullers(void **state)
{
    (void)state;
    alarm(240);
    for (uint64_t seed = 1; seed <= mr_test_count(12); seed++) {
        uint64_t random = seed;
        FILE *file = tmpfile();
        make_config(&random);
        uint32_t events = write_file(file, &random);
        for (uint32_t pullers = 1; pullers <= PULLERS; pullers *= 2) {
            flow(fileno(file), pullers, seed + pullers);
            uint32_t seen = 0;
            for (uint32_t s = 0; s < SHARES; s++)
                seen += story.event_count[s] + story.letter_count[s];
            assert_int_equal(seen, events);
            if (pullers == 1)
                expected = story;
            else
                assert_memory_equal(&story, &expected, sizeof story);
        }
        fclose(file);
    }
}

static int open_all(void **state)
{
    (void)state;
    return mr_arena_init(&arena, (size_t)64 << 20) || mr_io_create(&io, MR_IO_EPOLL, NULL);
}

static int close_all(void **state)
{
    (void)state;
    mr_io_destroy(io);
    mr_arena_finish(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_number_of_pullers, open_all, close_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
