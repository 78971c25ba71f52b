/* Aim: cells, keys and ids behave as a naive map, a naive list and a naive queue do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/hash.h"
#include "tests/random.h"
#include "windows/cells.h"
#include "windows/dedup.h"
#include "windows/keys.h"

static struct mr_arena arena;
static struct mr_pool pool;

static int open_pool(void **state)
{
    (void)state;
    int err = mr_arena_init(&arena, (size_t)64 << 20);
    mr_pool_init(&pool, &arena);
    return err;
}

static int close_pool(void **state)
{
    (void)state;
    mr_arena_finish(&arena);
    return 0;
}

#define POOL_TEST(name) cmocka_unit_test_setup_teardown(name, open_pool, close_pool)

/* ---- cells ---- */

#define KEYS 3000

static void check_walk(const struct mr_cells *cells, const uint64_t *wanted, uint32_t words)
{
    uint32_t at = 0, key, seen = 0, present = 0;
    const uint64_t *cell;
    int64_t before = -1;

    while ((cell = mr_cells_next(cells, &at, &key)) != NULL) {
        assert_true(key < KEYS);
        assert_int_equal(cell[0], wanted[key]);
        assert_int_equal(cell[words - 1], wanted[key]);
        if (cells->dense)
            assert_true((int64_t)key > before);
        before = key;
        seen++;
    }
    for (uint32_t k = 0; k < KEYS; k++)
        present += wanted[k] != 0;
    assert_int_equal(seen, present);
}

static void cells_against_a_map(uint32_t words, uint32_t adds, uint64_t seed)
{
    uint64_t *wanted = calloc(KEYS, sizeof *wanted);
    size_t baseline = pool.used_bytes;
    struct mr_cells cells;
    bool was_dense = false;
    uint32_t key_count = 1;

    mr_cells_init(&cells, words * 8);
    assert_null(mr_cells_find(&cells, 0));
    for (uint32_t i = 0; i < adds; i++) {
        key_count = MR_MIN(key_count + mr_random_below(&seed, 5), (uint32_t)KEYS);
        uint32_t key = mr_random_below(&seed, key_count);
        uint64_t *cell = mr_cells_at(&cells, &pool, key, key_count);
        assert_non_null(cell);
        assert_int_equal(cell[0], wanted[key]);
        cell[0] += i % 7 + 1;
        cell[words - 1] = cell[0];
        wanted[key] = cell[0];
        assert_false(was_dense && !cells.dense);
        was_dense = cells.dense;
        uint32_t other = mr_random_below(&seed, KEYS);
        uint64_t *found = mr_cells_find(&cells, other);
        assert_int_equal(found ? found[0] : 0, wanted[other]);
    }
    check_walk(&cells, wanted, words);
    mr_cells_finish(&cells, &pool);
    assert_int_equal(pool.used_bytes, baseline);
    assert_null(mr_cells_find(&cells, 0));
    free(wanted);
}

static void cells_match_a_map(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < mr_test_count(60); round++)
        for (uint32_t words = 1; words <= 9; words += 4)
            cells_against_a_map(words, 1u << round % 13, round * 31 + words);
}

/* One key of many stays small; all keys become an array over the key ids. */
static void cells_change_their_form_once(void **state)
{
    struct mr_cells cells;

    (void)state;
    mr_cells_init(&cells, 64);
    *(uint64_t *)mr_cells_at(&cells, &pool, 77, 100000) = 5;
    assert_false(cells.dense);
    assert_true(pool.used_bytes <= 4096);
    for (uint32_t key = 0; key < 100000; key++)
        *(uint64_t *)mr_cells_at(&cells, &pool, key, 100000) += 1;
    assert_true(cells.dense);
    assert_int_equal(*(uint64_t *)mr_cells_find(&cells, 77), 6);
    /* New keys come after the array was made. */
    *(uint64_t *)mr_cells_at(&cells, &pool, 140000, 140001) = 9;
    assert_int_equal(*(uint64_t *)mr_cells_find(&cells, 140000), 9);
    assert_null(mr_cells_find(&cells, 139999));
    assert_null(mr_cells_find(&cells, 2000000));
    mr_cells_finish(&cells, &pool);
    assert_int_equal(pool.used_bytes, 0);
}

static void cells_tell_when_memory_ends(void **state)
{
    struct mr_cells cells;
    uint32_t key = 0;

    (void)state;
    mr_cells_init(&cells, 1024);
    for (; key < 1000000; key++) {
        uint64_t *cell = mr_cells_at(&cells, &pool, key, key + 1);
        if (!cell)
            break;
        *cell = key + 1;
    }
    assert_true(key > 1000 && key < 100000);
    for (uint32_t k = 0; k < key; k++)
        assert_int_equal(*(uint64_t *)mr_cells_find(&cells, k), k + 1);
}

/* ---- keys ---- */

static uint32_t key_id(struct mr_keys *keys, uint64_t hash, const void *data, size_t bytes)
{
    bool full = true;
    uint32_t id = mr_keys_id(keys, &pool, hash, mr_span_of(data, bytes), &full);
    assert_false(full);
    assert_int_not_equal(id, MR_KEY_NONE);
    return id;
}

/* `hash_bits` few: almost every probe meets keys with the same hash. */
static void keys_are_exact(uint32_t hash_bits)
{
    const uint32_t count = hash_bits < 8 ? 2000 : 20000;
    struct mr_keys keys;
    char text[32];

    mr_keys_init(&keys, UINT32_MAX - 1);
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < count; i++) {
            int bytes = snprintf(text, sizeof text, "%u", i * 7919u);
            uint64_t hash = mr_hash64(text, (size_t)bytes, 1);
            if (hash_bits < 64)
                hash &= (UINT64_C(1) << hash_bits) - 1;
            assert_int_equal(key_id(&keys, hash, text, (size_t)bytes), i);
        }
    assert_int_equal(keys.count, count);
    for (uint32_t i = 0; i < count; i++) {
        int bytes = snprintf(text, sizeof text, "%u", i * 7919u);
        assert_int_equal(keys.keys[i].bytes, bytes);
        assert_memory_equal(keys.keys[i].data, text, (size_t)bytes);
    }
}

static void keys_are_exact_under_any_hash(void **state)
{
    (void)state;
    keys_are_exact(0);
    keys_are_exact(3);
    keys_are_exact(64);
}

/* The only key of a grouping without fields, and a key among others of every length. */
static void the_empty_key_is_a_key(void **state)
{
    struct mr_keys keys;
    uint8_t bytes[300] = {0};

    (void)state;
    mr_keys_init(&keys, 10);
    assert_int_equal(key_id(&keys, 42, bytes, 0), 0);
    assert_int_equal(key_id(&keys, 42, bytes, 0), 0);
    mr_keys_init(&keys, 1000);
    for (uint32_t length = 0; length < 300; length++)
        assert_int_equal(key_id(&keys, 42, bytes, length), length);
    assert_int_equal(key_id(&keys, 42, bytes, 0), 0);
}

static void a_key_may_be_larger_than_a_chunk(void **state)
{
    static uint8_t bytes[200000];
    struct mr_keys keys;

    (void)state;
    mr_keys_init(&keys, 10);
    assert_int_equal(key_id(&keys, 1, "a", 1), 0);
    assert_int_equal(key_id(&keys, 1, bytes, sizeof bytes), 1);
    assert_int_equal(key_id(&keys, 1, "b", 1), 2);
    assert_int_equal(key_id(&keys, 1, bytes, sizeof bytes), 1);
}

static void the_key_limit_is_exact(void **state)
{
    struct mr_keys keys;
    bool full;

    (void)state;
    mr_keys_init(&keys, 300);
    for (uint32_t i = 0; i < 300; i++)
        assert_int_equal(key_id(&keys, i, &i, sizeof i), i);
    uint32_t more = 300, known = 17;
    assert_int_equal(mr_keys_id(&keys, &pool, more, mr_span_of(&more, sizeof more), &full),
                     MR_KEY_NONE);
    assert_true(full);
    assert_int_equal(key_id(&keys, known, &known, sizeof known), known);
}

/* ---- ids ---- */

struct naive {
    struct mr_id ids[4096];
    uint32_t count;
    uint64_t forgotten;
};

static bool naive_add(struct naive *naive, uint32_t bound, struct mr_id id)
{
    for (uint32_t i = 0; i < naive->count; i++)
        if (naive->ids[i].high == id.high && naive->ids[i].low == id.low)
            return false;
    if (naive->count == bound) {
        memmove(&naive->ids[0], &naive->ids[1], (bound - 1) * sizeof naive->ids[0]);
        naive->count--;
        naive->forgotten++;
    }
    naive->ids[naive->count++] = id;
    return true;
}

static void ids_against_a_queue(uint64_t bytes, uint32_t bound, uint32_t range, uint64_t seed)
{
    static struct naive naive;
    struct mr_dedup dedup;

    naive.count = 0;
    naive.forgotten = 0;
    mr_dedup_init(&dedup, bytes);
    assert_int_equal(dedup.count_max, bound);
    for (uint32_t i = 0; i < 8 * bound; i++) {
        struct mr_id id = {mr_random_below(&seed, 2), 1 + mr_random_below(&seed, range)};
        enum mr_dedup_result wanted = naive_add(&naive, bound, id) ? MR_DEDUP_NEW : MR_DEDUP_SEEN;
        assert_int_equal(mr_dedup_add(&dedup, &pool, id), wanted);
        assert_int_equal(dedup.count, naive.count);
    }
    assert_int_equal(dedup.forgotten, naive.forgotten);
    assert_true(dedup.forgotten > 0);
}

static void ids_match_a_queue(void **state)
{
    (void)state;
    ids_against_a_queue(0, 512, 1000, 1);
    ids_against_a_queue(48 * 512, 512, 300, 2);
    ids_against_a_queue(48 * 1024, 1024, 5000, 3);
    ids_against_a_queue(48 * 1024 - 1, 512, 600, 4);
    ids_against_a_queue(48 * 2047, 1024, 1200, 5);
}

/* The smallest table, filled with ids of few homes: long runs, also over the table's end. */
static void runs_close_behind_the_forgotten(void **state)
{
    static struct naive naive;
    struct mr_dedup dedup;
    struct mr_id crowd[1200];
    uint32_t crowd_count = 0;
    uint64_t seed = 5;

    (void)state;
    naive.count = 0;
    naive.forgotten = 0;
    for (uint64_t low = 1; crowd_count < MR_COUNT(crowd); low++) {
        uint32_t home = (uint32_t)mr_hash_mix(low ^ MR_HASH_K0, 0 ^ MR_HASH_K1) & 1023;
        if (home >= 1020 || home < 2)
            crowd[crowd_count++] = (struct mr_id){0, low};
    }
    mr_dedup_init(&dedup, 0);
    for (uint32_t i = 0; i < 20000; i++) {
        struct mr_id id = crowd[mr_random_below(&seed, crowd_count)];
        bool is_new = naive_add(&naive, 512, id);
        assert_int_equal(mr_dedup_add(&dedup, &pool, id), is_new ? MR_DEDUP_NEW : MR_DEDUP_SEEN);
    }
    for (uint32_t i = 0; i < naive.count; i++)
        assert_int_equal(mr_dedup_add(&dedup, &pool, naive.ids[i]), MR_DEDUP_SEEN);
}

static void the_zero_id_is_an_id(void **state)
{
    struct mr_dedup dedup;

    (void)state;
    mr_dedup_init(&dedup, 0);
    assert_int_equal(mr_dedup_add(&dedup, &pool, (struct mr_id){0, 0}), MR_DEDUP_NEW);
    assert_int_equal(mr_dedup_add(&dedup, &pool, (struct mr_id){0, 0}), MR_DEDUP_SEEN);
    assert_int_equal(mr_dedup_add(&dedup, &pool, (struct mr_id){0, 1}), MR_DEDUP_NEW);
    assert_int_equal(mr_dedup_add(&dedup, &pool, (struct mr_id){1, 0}), MR_DEDUP_NEW);
}

/* Table and log together stay within what was given. */
static void the_memory_bound_holds(void **state)
{
    const uint64_t bytes_max = 1 << 20;
    struct mr_dedup dedup;

    (void)state;
    mr_dedup_init(&dedup, bytes_max);
    for (uint64_t i = 1; i < 100000; i++)
        assert_int_equal(mr_dedup_add(&dedup, &pool, (struct mr_id){0, i}), MR_DEDUP_NEW);
    assert_true(pool.used_bytes <= bytes_max);
    assert_int_equal(dedup.count, dedup.count_max);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(cells_match_a_map),
        POOL_TEST(cells_change_their_form_once),
        POOL_TEST(cells_tell_when_memory_ends),
        POOL_TEST(keys_are_exact_under_any_hash),
        POOL_TEST(the_empty_key_is_a_key),
        POOL_TEST(a_key_may_be_larger_than_a_chunk),
        POOL_TEST(the_key_limit_is_exact),
        POOL_TEST(ids_match_a_queue),
        POOL_TEST(runs_close_behind_the_forgotten),
        POOL_TEST(the_zero_id_is_an_id),
        POOL_TEST(the_memory_bound_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
