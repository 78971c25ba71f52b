/* A writer of BigQuery tables between an aggregator of the test's own and the fake service, all in
 * one thread. Time is the test's: no delay is waited for. */
#ifndef MR_TESTS_SINKS_RIG_H
#define MR_TESTS_SINKS_RIG_H

#include "tests/sinks/kit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "core/clock.h"
#include "ring/edge.h"
#include "sinks/writer.h"
#include "tests/sinks/fake.h"

#define STEP_NS    UINT64_C(20000000)
#define STEPS_MAX  60000
#define BLOCKS     64
#define SECOND_NS  UINT64_C(1000000000)
#define MINUTES_NS (60 * SECOND_NS)
#define TABLE      "projects/demo/datasets/realtime/tables/sales"

static struct fake fake;
static struct mr_io *io;
static struct mr_arena arena;
static struct mr_fault fault;
static struct mr_bigquery_writer writer;
static struct mr_spsc blocks, returned;
static struct mr_edge back;
static struct mr_slab slab;
static struct mr_bearer bearer;
static uint64_t now_ns;
static bool rig_real_time; /* the peer is in another thread */
static int64_t fed;        /* rows so far: row n has window_start n */
static int64_t rejected[4096];
static uint32_t rejected_count, notes;

static inline void on_rejected(void *self, const struct mr_refused_row *row)
{
    struct mr_cursor cursor = mr_cursor_of(row->row);
    struct mr_pb_field field;

    assert_ptr_equal(self, &writer);
    assert_non_null(strstr(row->table, "sales"));
    while (mr_pb_next(&cursor, &field))
        if (field.tag == MR_PB_TAG(2, MR_PB_VARINT))
            rejected[rejected_count++] = (int64_t)field.value;
}

static inline void on_note(void *self, const char *line)
{
    (void)self, (void)line;
    notes++;
}

/* ---- a writer and its aggregator ---- */

static inline void start_with(enum mr_delivery delivery, const char *firings, bool with_bearer)
{
    char yaml[1024];
    struct mr_address addresses[2] = {{.bytes = sizeof(struct sockaddr_in)}};
    struct sockaddr_in *in = (struct sockaddr_in *)&addresses[0].storage;

    snprintf(yaml, sizeof yaml,
             "source: { file: orders.ndjson }\n"
             "decode: { fields: { region: string, ts: event_time } }\n"
             "windows:\n  - { name: sales, group_by: [region], size: 1m, aggregates: [count] }\n"
             "sinks: { bigquery: { dataset: demo.realtime, delivery: %s, firings: [%s] } }\n",
             delivery == MR_EXACTLY_ONCE ? "exactly_once" : "at_least_once", firings);
    kit_plan_make(yaml);
    assert_int_equal(mr_io_create(&io, MR_IO_AUTO, NULL), MR_OK);
    fake_init(&fake, io);
    assert_int_equal(mr_arena_init(&arena, mr_bigquery_writer_bytes(&kit_plan, 1) +
                                               BLOCKS * (65536 + 256) + 65536),
                     MR_OK);
    fault = (struct mr_fault){0};
    memset(&writer, 0, sizeof writer);
    now_ns = MINUTES_NS;
    fed = 0;
    rejected_count = notes = 0;
    assert_int_equal(mr_slab_init(&slab, &arena, BLOCKS, 65536), MR_OK);
    assert_int_equal(mr_spsc_init(&blocks, &arena, BLOCKS), MR_OK);
    assert_int_equal(mr_spsc_init(&returned, &arena, BLOCKS), MR_OK);
    back = (struct mr_edge){&returned, io};
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in->sin_port = htons(fake.listener.port);
    struct mr_bigquery_options options = {
        .addresses = addresses,
        .address_count = 1,
        .host_port = "localhost:1",
        .host = "localhost",
        .bearer = with_bearer ? &bearer : NULL,
        .instance = "one",
        .lineage = 7,
        .rejected = on_rejected,
        .note = on_note,
        .self = &writer,
    };
    assert_int_equal(mr_bigquery_writer_init(&writer, &kit_plan, io, &arena, &fault, 1, &options),
                     MR_OK);
    writer.in[0] = (struct mr_bigquery_writer_in){&blocks, &back};
}

static inline void start(enum mr_delivery delivery)
{
    start_with(delivery, "early, on_time, late", false);
}

static inline void stop(void)
{
    mr_bigquery_writer_finish(&writer);
    fake_finish(&fake);
    mr_io_destroy(io);
    mr_arena_finish(&arena);
    mr_config_finish(&kit_config);
}

static inline void step(void)
{
    void *block;

    mr_bigquery_writer_turn(&writer, now_ns);
    fake_turn(&fake);
    mr_io_turn(io, rig_real_time ? 1000000 : 0);
    now_ns = rig_real_time ? mr_now_ns() : now_ns + STEP_NS;
    while (mr_spsc_take(&returned, &block, 1) == 1)
        mr_slab_return(&slab, block);
}

static inline void run_for(uint64_t ns)
{
    for (uint64_t end_ns = now_ns + ns; now_ns < end_ns;)
        step();
}

/* One block with rows of the next numbers; false when all blocks are out. */
static inline bool feed(uint32_t rows, enum mr_timing timing, uint16_t flags)
{
    uint8_t key[64];
    struct mr_block *block = mr_slab_take(&slab);
    if (!block)
        return false;
    uint8_t *end = mr_key_put_string(key, mr_span_text("eu"));
    *block = (struct mr_block){.share = 3, .flags = flags, .count = rows};
    void *at = mr_block_first(block);
    for (uint32_t i = 0; i < rows; i++, at = mr_block_next(at)) {
        struct mr_row *row = kit_row(at, 0, key, (uint32_t)(end - key));
        row->window_start_us = fed++;
        row->timing = (uint8_t)timing;
    }
    assert_true(mr_spsc_put(&blocks, block));
    return true;
}

/* An append of its own for each of `appends` times `rows` rows, all on their way at once. */
static inline void feed_appends(uint32_t appends, uint32_t rows)
{
    for (uint32_t i = 0; i < appends; i++) {
        assert_true(feed(rows, MR_ON_TIME, 0));
        mr_bigquery_writer_turn(&writer, now_ns);
        mr_append_stream_cut(&writer.streams[0]);
    }
}

static inline bool is_done(void)
{
    return atomic_load(&writer.done);
}

static inline void end(void)
{
    while (!feed(0, MR_ON_TIME, MR_BLOCK_END))
        step();
    for (uint32_t steps = 0; !is_done(); steps++) {
        if (mr_fault_err(&fault) != MR_OK)
            print_error("fault: %s\n", fault.text);
        assert_int_equal(mr_fault_err(&fault), MR_OK);
        assert_true(steps < STEPS_MAX);
        step();
    }
}

static inline bool is_rejected(int64_t id)
{
    for (uint32_t i = 0; i < rejected_count; i++)
        if (rejected[i] == id)
            return true;
    return false;
}

/* All rows fed, but for those rejected, stand once and in order in the streams, oldest first. */
static inline void expect_once(void)
{
    int64_t next = 0;

    for (uint32_t s = 0; s < fake.stream_count; s++)
        for (uint32_t i = 0; i < fake.streams[s].row_count; i++, next++) {
            while (is_rejected(next))
                next++;
            assert_int_equal(fake.streams[s].rows[i], next);
        }
    while (is_rejected(next))
        next++;
    assert_int_equal(next, fed);
    assert_int_equal(atomic_load(&writer.counters.rows), fed - rejected_count);
    assert_int_equal(atomic_load(&writer.counters.rejected), rejected_count);
    assert_int_equal(writer.buffers.count, writer.buffers.capacity);
}

static inline void expect_fault(int err, const char *words)
{
    assert_int_equal(mr_fault_err(&fault), err);
    if (!strstr(fault.text, words))
        print_error("%s\n", fault.text);
    assert_non_null(strstr(fault.text, words));
    assert_non_null(strstr(fault.text, "sales"));
}

#endif
