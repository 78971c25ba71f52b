/* Aim: a share fires what a slow model fires, whatever the definitions, the order of arrival, the
 * cuts between batches and the places where its outlets are full; and it gives its memory back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/hash.h"
#include "core/hop.h"
#include "tests/windows/share_model.h"

#define HEAP_BYTES 4096

/* A case: what is configured and what arrives. */
struct scene {
    struct mr_config config;
    struct mr_plan plan;
    struct order orders[EVENTS_MAX];
    uint32_t order_count;
    int64_t disorder;
};

static struct scene scene;
static struct model model;

/* A run of a share over the scene. */
struct run {
    struct mr_share share;
    struct mr_arena arena; /* of the slabs */
    struct mr_slab rows, letters;
    struct mr_order_batch *batch;
    struct plain_row out[ROWS_MAX];
    uint32_t row_count, blocks, again, letters_out, letters_in;
    int64_t watermark;
};

static struct run run;

/* ---- making a scene ---- */

static void random_window(struct mr_window *window, uint64_t *seed)
{
    int64_t hop = mr_random_between(seed, 1, 30);
    uint32_t fields = mr_random_below(seed, 4);

    *window = (struct mr_window){
        .size_us = mr_random_between(seed, 1, hop * 4),
        .hop_us = hop,
        .offset_us = mr_random_between(seed, 0, hop - 1),
        .lateness_us = mr_random_below(seed, 3) ? mr_random_between(seed, 0, 50) : 0,
    };
    for (uint32_t f = 0; f < 2; f++)
        if (fields >> f & 1)
            window->group_by[window->group_count++] = f;
    uint32_t kinds = mr_random_below(seed, 1u << 8);
    for (uint32_t m = 0; m < MEASURES; m++)
        for (uint32_t kind = MR_SUM_OF; kind <= MR_AVG_OF; kind++)
            if (kinds >> (m * 4 + kind - MR_SUM_OF) & 1)
                window->aggregates[window->aggregate_count++] = (struct mr_aggregate){
                    .kind = (enum mr_aggregate_kind)kind, .field = 2 + m};
}

static void random_orders(uint64_t *seed)
{
    int64_t now = mr_random_between(seed, -300, 100);
    bool extreme = mr_random_below(seed, 8) == 0;

    scene.order_count = 1 + mr_random_below(seed, EVENTS_MAX);
    for (uint32_t i = 0; i < scene.order_count; i++) {
        struct order *order = &scene.orders[i];
        now += mr_random_between(seed, 0, mr_random_below(seed, 12) == 0 ? 120 : 6);
        int64_t back = mr_random_below(seed, 4) == 0 ? 100 : 5;
        memset(order, 0, sizeof *order);
        order->t = now - mr_random_between(seed, 0, back);
        order->group[0] = (uint8_t)mr_random_below(seed, VALUES);
        order->group[1] = (uint8_t)mr_random_below(seed, VALUES);
        for (uint32_t m = 0; m < MEASURES; m++)
            order->measures[m] = extreme ? (mr_random_below(seed, 2) ? INT64_MAX : INT64_MIN)
                                         : mr_random_between(seed, -1000, 1000);
        order->present = mr_random_below(seed, 3) > 0;
        order->id = mr_random_below(seed, 5) ? (struct mr_id){0, mr_random_below(seed, 400)}
                                             : MR_ID_NONE;
    }
}

static void make_scene(uint64_t seed)
{
    memset(&scene, 0, sizeof scene);
    scene.config.decode.field_count = 4;
    scene.config.decode.fields[3].optional = true;
    scene.config.decode.dedup_by = mr_random_below(&seed, 3) ? MR_DEDUP_FIELD : MR_DEDUP_NONE;
    scene.config.workers.batch_rows = 1 + mr_random_below(&seed, EVENTS_MAX);
    scene.config.window_count = 1 + mr_random_below(&seed, 4);
    for (uint32_t w = 0; w < scene.config.window_count; w++)
        random_window(&scene.config.windows[w], &seed);
    scene.disorder = mr_random_between(&seed, 0, 20);
    random_orders(&seed);
    assert_null(mr_plan_init(&scene.plan, &scene.config));
}

/* ---- running it ---- */

static void open_run(uint32_t row_blocks, uint32_t rows_a_block)
{
    const struct mr_share_limits limits = {(uint64_t)8 << 20, 1000, 1 << 16, 1};
    const size_t row_bytes = sizeof(struct mr_row) + 8 + MR_MEASURES_MAX * 40 + 64;

    run.row_count = run.blocks = run.again = run.letters_out = run.letters_in = 0;
    run.watermark = MR_TIME_MIN;
    assert_int_equal(mr_arena_init(&run.arena, (size_t)8 << 20), MR_OK);
    assert_int_equal(mr_slab_init(&run.rows, &run.arena, row_blocks,
                                  sizeof(struct mr_block) + rows_a_block * row_bytes),
                     MR_OK);
    assert_int_equal(mr_slab_init(&run.letters, &run.arena, 1, sizeof(struct mr_block) + 256),
                     MR_OK);
    run.batch = mr_arena_take(&run.arena, scene.plan.order.block_bytes, 128);
    assert_non_null(run.batch);
    assert_int_equal(mr_share_init(&run.share, &scene.plan, 3, &limits, &run.rows, &run.letters),
                     MR_OK);
    mr_order_batch_clear(run.batch);
}

static void close_run(void)
{
    mr_share_finish(&run.share);
    mr_arena_finish(&run.arena);
}

/* The totals that the grouping keeps, from a row's cell or out of the model's. */
static void keep_only(const struct mr_cell_layout *cell, struct totals *totals)
{
    for (uint32_t m = 0; m < MEASURES; m++) {
        uint32_t measure = scene.plan.measure_of[2 + m];
        bool none = measure == MR_NOT_KEPT || totals->present[m] == 0;
        if (none || cell->measures[measure].present == MR_NOT_KEPT)
            totals->present[m] = 0;
        if (none || cell->measures[measure].sum == MR_NOT_KEPT)
            totals->sum[m] = 0;
        if (none || cell->measures[measure].min == MR_NOT_KEPT)
            totals->min[m] = 0;
        if (none || cell->measures[measure].max == MR_NOT_KEPT)
            totals->max[m] = 0;
    }
}

static void read_cell(const struct mr_cell_layout *layout, const uint8_t *cell,
                      struct totals *totals)
{
    totals->count = mr_load64(cell);
    for (uint32_t m = 0; m < MEASURES; m++) {
        uint32_t measure = scene.plan.measure_of[2 + m];
        if (measure == MR_NOT_KEPT)
            continue;
        bool any = layout->measures[measure].present == MR_NOT_KEPT ||
                   mr_load64(cell + layout->measures[measure].present) > 0;
        if (layout->measures[measure].present != MR_NOT_KEPT)
            totals->present[m] = mr_load64(cell + layout->measures[measure].present);
        if (layout->measures[measure].sum != MR_NOT_KEPT)
            memcpy(&totals->sum[m], cell + layout->measures[measure].sum, sizeof totals->sum[m]);
        if (any && layout->measures[measure].min != MR_NOT_KEPT)
            totals->min[m] = (int64_t)mr_load64(cell + layout->measures[measure].min);
        if (any && layout->measures[measure].max != MR_NOT_KEPT)
            totals->max[m] = (int64_t)mr_load64(cell + layout->measures[measure].max);
    }
}

/* The key id is found by the bytes: they must be those of the model's key with that id. */
static uint32_t key_of_row(uint32_t g, struct mr_row *row)
{
    const uint8_t *key = mr_row_key(row, scene.plan.groupings[g].cell.bytes);

    if (scene.plan.groupings[g].field_count == 0) {
        assert_int_equal(row->key_bytes, 0);
        return 0;
    }
    assert_int_equal(row->key_bytes, 1 + key[0]);
    for (uint32_t k = 0; k < model.key_count[g]; k++)
        if (model.keys[g][k] == key[0])
            return k;
    fail_msg("a key that never came");
    return 0;
}

static void read_row(struct mr_row *row)
{
    uint32_t g = scene.plan.grouping_of[row->definition];

    assert_true(run.row_count < ROWS_MAX);
    struct plain_row *plain = &run.out[run.row_count++];
    memset(plain, 0, sizeof *plain);
    plain->definition = row->definition;
    plain->key = key_of_row(g, row);
    plain->end = row->window_end_us;
    assert_int_equal(row->window_start_us,
                     row->window_end_us - scene.config.windows[row->definition].size_us);
    plain->timing = row->timing;
    plain->flags = row->flags;
    plain->index = row->index;
    read_cell(&scene.plan.groupings[g].cell, mr_row_cell(row), &plain->totals);
}

static void take_rows(struct mr_block *block)
{
    void *record = mr_block_first(block);

    assert_int_equal(block->first_number, run.row_count);
    assert_int_equal(block->share, 3);
    assert_int_equal(block->cause_seq, run.share.applied);
    for (uint32_t i = 0; i < block->count; i++, record = mr_block_next(record))
        read_row(record);
    assert_ptr_equal(record, (uint8_t *)mr_block_first(block) + block->bytes);
    mr_slab_return(&run.rows, block);
}

static void take_letters(struct mr_block *block)
{
    void *record = mr_block_first(block);

    for (uint32_t i = 0; i < block->count; i++, record = mr_block_next(record))
        assert_int_equal(((struct mr_letter *)record)->position, run.letters_out++);
    mr_slab_return(&run.letters, block);
}

/* Takes what is full away; blocks are few, so that this comes in the middle of everything. */
static void drain(void)
{
    for (uint32_t i = 0; i < run.share.rows.full_count; i++)
        take_rows(run.share.rows.full[i]);
    for (uint32_t i = 0; i < run.share.letters.full_count; i++)
        take_letters(run.share.letters.full[i]);
    run.share.rows.full_count = run.share.letters.full_count = 0;
}

static void check_order(uint32_t from)
{
    const struct plain_row *before = NULL;

    for (uint32_t i = from; i < run.row_count; i++) {
        const struct plain_row *row = &run.out[i];
        if (row->timing != MR_ON_TIME)
            continue;
        if (before) {
            assert_true(row->definition >= before->definition);
            if (row->definition == before->definition)
                assert_true(row->end > before->end ||
                            (row->end == before->end && row->key > before->key));
        }
        before = row;
    }
}

static void send_batch(int64_t watermark)
{
    uint32_t from = run.row_count;

    run.batch->watermark_us = watermark;
    run.batch->number++;
    int err = mr_share_apply(&run.share, run.batch);
    while (err == MR_AGAIN) {
        run.again++;
        assert_true(run.share.rows.full_count + run.share.letters.full_count > 0);
        drain();
        err = mr_share_resume(&run.share);
    }
    assert_int_equal(err, MR_OK);
    assert_true(mr_outlet_flush(&run.share.rows) && mr_outlet_flush(&run.share.letters));
    drain();
    check_order(from);
    uint64_t number = run.batch->number;
    mr_order_batch_clear(run.batch);
    run.batch->number = number;
}

static void put_letter(void)
{
    struct mr_order_batch *batch = run.batch;
    uint32_t offset = (uint32_t)mr_round_up(batch->heap_used, 8);
    uint32_t bytes = mr_letter_bytes(0, 100);
    struct mr_letter *letter = mr_order_letter(batch, &scene.plan.order, offset + 1);

    *letter = (struct mr_letter){
        .bytes = bytes, .reason = MR_REASON_BAD_TYPE, .position = run.letters_in++};
    if (batch->last_letter)
        mr_order_letter(batch, &scene.plan.order, batch->last_letter)->next = offset + 1;
    else
        batch->first_letter = offset + 1;
    batch->last_letter = offset + 1;
    batch->heap_used = offset + bytes;
    batch->letters++;
}

static uint16_t dictionary_index(uint32_t g, const struct order *order)
{
    const struct mr_order_layout *layout = &scene.plan.order;
    struct mr_key_ref *refs = mr_order_refs(run.batch, layout, g);
    uint8_t *heap = mr_order_heap(run.batch, layout), bytes[1 + VALUES * VALUES];
    uint32_t code = key_code(&scene.plan.groupings[g], order);
    uint32_t length = scene.plan.groupings[g].field_count ? 1 + code : 0;

    memset(bytes, (int)code, sizeof bytes);
    for (uint32_t k = 0; k < run.batch->keys[g]; k++)
        if (refs[k].bytes == length && memcmp(heap + refs[k].offset, bytes, length) == 0)
            return (uint16_t)k;
    refs[run.batch->keys[g]] = (struct mr_key_ref){mr_hash64(bytes, length, 1) & 7,
                                                   run.batch->heap_used, length};
    memcpy(heap + run.batch->heap_used, bytes, length);
    run.batch->heap_used += length;
    return (uint16_t)run.batch->keys[g]++;
}

static void put_order(const struct order *order)
{
    const struct mr_order_layout *layout = &scene.plan.order;
    uint32_t row = run.batch->rows++;

    *mr_order_event_us(run.batch, layout, row) = order->t;
    if (layout->id_offset)
        *mr_order_id(run.batch, layout, row) = order->id;
    for (uint32_t m = 0; m < MEASURES; m++) {
        uint32_t measure = scene.plan.measure_of[2 + m];
        if (measure == MR_NOT_KEPT)
            continue;
        bool present = m == 0 || order->present;
        *mr_order_measure(run.batch, layout, measure, row) = present ? order->measures[m] : 0;
        if (layout->valid_offset[measure]) {
            uint64_t *valid = mr_order_valid(run.batch, layout, measure, row);
            *valid = row % 64 == 0 ? present : *valid | (uint64_t)present << row % 64;
        }
    }
    for (uint32_t g = 0; g < layout->groupings; g++)
        *mr_order_key(run.batch, layout, g, row) = dictionary_index(g, order);
}

static bool crosses(int64_t from, int64_t to)
{
    for (uint32_t w = 0; w < scene.config.window_count; w++)
        if (from == MR_TIME_MIN || mr_hop_deadline_after(&scene.config.windows[w], from) <= to)
            return true;
    return false;
}

/* All orders, cut where the law demands and, with chance 1 in `cut`, elsewhere; then the end. */
static void run_scene(uint32_t cut, uint64_t seed)
{
    for (uint32_t i = 0; i < scene.order_count; i++) {
        int64_t reached = scene.orders[i].t - scene.disorder;
        if (mr_random_below(&seed, 16) == 0 && run.batch->heap_used < HEAP_BYTES)
            put_letter();
        put_order(&scene.orders[i]);
        bool must = reached > run.watermark && crosses(run.watermark, reached);
        run.watermark = MR_MAX(run.watermark, reached);
        if (must || run.batch->rows == scene.plan.order.rows_max ||
            mr_random_below(&seed, cut) == 0)
            send_batch(run.watermark);
    }
    send_batch(MR_TIME_MAX);
}

static void run_model(void)
{
    model_init(&model, &scene.plan);
    for (uint32_t i = 0; i < scene.order_count; i++) {
        model_take(&model, &scene.orders[i]);
        model_advance(&model, scene.orders[i].t - scene.disorder);
    }
    model_advance(&model, MR_TIME_MAX);
    for (uint32_t i = 0; i < model.row_count; i++) {
        uint32_t g = scene.plan.grouping_of[model.rows[i].definition];
        keep_only(&scene.plan.groupings[g].cell, &model.rows[i].totals);
    }
}

/* ---- comparing ---- */

static int compare_rows(const void *a, const void *b)
{
    const struct plain_row *x = a, *y = b;

    if (x->definition != y->definition)
        return x->definition < y->definition ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (int)x->index - (int)y->index;
}

static void check_rows(void)
{
    assert_int_equal(run.row_count, model.row_count);
    qsort(run.out, run.row_count, sizeof run.out[0], compare_rows);
    qsort(model.rows, model.row_count, sizeof model.rows[0], compare_rows);
    for (uint32_t i = 0; i < run.row_count; i++)
        assert_memory_equal(&run.out[i], &model.rows[i], sizeof run.out[0]);
}

static void check_account(void)
{
    const struct mr_account *is = &run.share.account, *should = &model.account;
    const char *broken = mr_account_broken_law(is, true);

    if (broken)
        fail_msg("broken law: %s", broken);
    assert_int_equal(is->received, should->received + run.letters_in);
    assert_int_equal(is->duplicates, should->duplicates);
    assert_int_equal(is->pairs_assigned, should->pairs_assigned);
    assert_int_equal(is->pairs_added, should->pairs_added);
    assert_int_equal(is->pairs_late, should->pairs_late);
    assert_int_equal(is->late_events, should->late_events);
    assert_int_equal(is->no_window, should->no_window);
    assert_int_equal(is->rows[MR_ON_TIME], should->rows[MR_ON_TIME]);
    assert_int_equal(is->rows[MR_LATE], should->rows[MR_LATE]);
    assert_int_equal(run.letters_out, run.letters_in);
}

static size_t pool_bytes(size_t bytes)
{
    return bytes == 0 ? 0 : mr_pow2_at_least(MR_MAX(bytes, (size_t)MR_POOL_BYTES_MIN));
}

/* After the end only what grows and stays is left: tables, lists and scratch, but no cell. */
static void check_memory(void)
{
    const struct mr_share *s = &run.share;
    size_t bytes = pool_bytes(MR_BATCH_ROWS_MAX / 8);

    for (uint32_t g = 0; g < scene.plan.grouping_count; g++) {
        const struct mr_keys *keys = &s->keys[g];
        bytes += pool_bytes(scene.plan.order.rows_max * sizeof(uint32_t));
        bytes += pool_bytes(keys->slot_count * sizeof(uint64_t));
        bytes += pool_bytes(keys->capacity * sizeof(struct mr_key));
        bytes += keys->count > 0 ? (size_t)64 << 10 : 0;
    }
    bytes += pool_bytes(s->dedup.slot_count * sizeof(struct mr_id));
    bytes += pool_bytes(s->dedup.slot_count / 2 * sizeof(struct mr_id));
    for (uint32_t i = 0; i < s->slicing_count; i++) {
        assert_int_equal(s->slicings[i].pane_count, 0);
        bytes += pool_bytes(s->slicings[i].pane_capacity * sizeof(void *));
    }
    for (uint32_t d = 0; d < scene.config.window_count; d++) {
        assert_int_equal(s->closed[d].count, 0);
        bytes += pool_bytes(s->closed[d].capacity * sizeof(struct mr_closed));
    }
    bytes += pool_bytes((size_t)s->firing.capacity * s->firing.cell_bytes);
    bytes += pool_bytes(s->firing.capacity / 8);
    assert_int_equal(s->pool.used_bytes, bytes);
}

static uint32_t resumed;
static uint64_t current_seed;

static int tell_seed(void **state)
{
    (void)state;
    print_message("last seed %llu; MILLRACE_TEST_SEED=N starts there\n",
                  (unsigned long long)current_seed);
    return 0;
}

static void check_case(uint64_t seed, uint32_t blocks, uint32_t rows_a_block, uint32_t cut)
{
    open_run(blocks, rows_a_block);
    run_scene(cut, seed);
    check_rows();
    check_account();
    check_memory();
    resumed += run.again;
    close_run();
}

static void random_cases(void **state)
{
    const char *one = getenv("MILLRACE_TEST_SEED");
    uint32_t rounds = mr_test_count(2400), late = 0, repeats = 0;

    (void)state;
    for (uint64_t seed = one ? strtoull(one, NULL, 10) : 1; rounds > 0; rounds--, seed++) {
        make_scene(seed);
        run_model();
        late += model.account.rows[MR_LATE] > 0;
        repeats += model.account.duplicates > 0;
        current_seed = seed;
        check_case(seed, 1, 1, 1);            /* each order its batch, each row */
        check_case(seed, 2, 1 + seed % 5, 4); /* some of each */
        check_case(seed, 8, 40, 1000000);     /* the fewest cuts */
    }
    assert_true(late > 50 && repeats > 50 && resumed > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(random_cases, tell_seed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
