/* Aim: whatever happens to calls, connections, streams and tables, rows reach a table exactly once
 * and in order (at least once on the default stream), or are told, or the run stops with a reason.
 * Time is the test's own: no delay is waited for. */
#include "tests/sinks/kit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

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
static int64_t fed; /* rows so far: row n has window_start n */
static int64_t rejected[4096];
static uint32_t rejected_count, notes;

static void on_rejected(void *self, const struct mr_refused_row *row)
{
    struct mr_cursor cursor = mr_cursor_of(row->row);
    struct mr_pb_field field;

    assert_ptr_equal(self, &writer);
    assert_non_null(strstr(row->table, "sales"));
    while (mr_pb_next(&cursor, &field))
        if (field.tag == MR_PB_TAG(2, MR_PB_VARINT))
            rejected[rejected_count++] = (int64_t)field.value;
}

static void on_note(void *self, const char *line)
{
    (void)self, (void)line;
    notes++;
}

/* ---- a writer and its aggregator ---- */

static void start_with(enum mr_delivery delivery, const char *firings, bool with_bearer)
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
    assert_int_equal(mr_io_create(&io, MR_IO_EPOLL, NULL), MR_OK);
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

static void start(enum mr_delivery delivery)
{
    start_with(delivery, "early, on_time, late", false);
}

static void stop(void)
{
    mr_bigquery_writer_finish(&writer);
    fake_finish(&fake);
    mr_io_destroy(io);
    mr_arena_finish(&arena);
    mr_config_finish(&kit_config);
}

static void step(void)
{
    void *block;

    mr_bigquery_writer_turn(&writer, now_ns);
    mr_io_turn(io, 0);
    now_ns += STEP_NS;
    while (mr_spsc_take(&returned, &block, 1) == 1)
        mr_slab_return(&slab, block);
}

static void run_for(uint64_t ns)
{
    for (uint64_t end_ns = now_ns + ns; now_ns < end_ns;)
        step();
}

/* One block with rows of the next numbers; false when all blocks are out. */
static bool feed(uint32_t rows, enum mr_timing timing, uint16_t flags)
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
static void feed_appends(uint32_t appends, uint32_t rows)
{
    for (uint32_t i = 0; i < appends; i++) {
        assert_true(feed(rows, MR_ON_TIME, 0));
        mr_bigquery_writer_turn(&writer, now_ns);
        mr_append_stream_cut(&writer.streams[0]);
    }
}

static bool is_done(void)
{
    return atomic_load(&writer.done);
}

static void end(void)
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

static bool is_rejected(int64_t id)
{
    for (uint32_t i = 0; i < rejected_count; i++)
        if (rejected[i] == id)
            return true;
    return false;
}

/* All rows fed, but for those rejected, stand once and in order in the streams, oldest first. */
static void expect_once(void)
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

static void expect_fault(int err, const char *words)
{
    assert_int_equal(mr_fault_err(&fault), err);
    if (!strstr(fault.text, words))
        print_error("%s\n", fault.text);
    assert_non_null(strstr(fault.text, words));
    assert_non_null(strstr(fault.text, "sales"));
}

/* ---- what the service does ---- */

static struct fake_plan scripted; /* befalls the append `scripted_at`, or all up to it */
static uint32_t scripted_at;

static struct fake_plan once(struct fake *f, uint32_t number)
{
    (void)f;
    return number == scripted_at ? scripted : (struct fake_plan){0};
}

static struct fake_plan up_to(struct fake *f, uint32_t number)
{
    (void)f;
    return number <= scripted_at ? scripted : (struct fake_plan){0};
}

static struct fake_plan always(struct fake *f, uint32_t number)
{
    (void)f, (void)number;
    return scripted;
}

static void script(uint32_t at, struct fake_plan plan)
{
    scripted = plan;
    scripted_at = at;
    fake.judge = once;
}

/* Six appends, of which the third meets `plan`; all rows arrive once and in order. */
static void survives(struct fake_plan plan)
{
    start(MR_EXACTLY_ONCE);
    script(2, plan);
    feed_appends(6, 50);
    run_for(SECOND_NS);
    end();
    expect_once();
    assert_true(fake.appends > 6 || plan.act == FAKE_GOAWAY);
}

/* ---- the tests ---- */

static void takes_all_in_order(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    for (uint32_t i = 0; i < 200; i++) {
        while (!feed(150, MR_ON_TIME, 0))
            step();
    }
    end();
    expect_once();
    assert_int_equal(fake.creates, 1);
    assert_int_equal(fake.finalizes, 1);
    assert_int_equal(fake.call_count, 1);
    assert_int_equal(fake.introduced, 1);
    assert_int_equal(fake.named_again, 0);
    assert_int_equal(fake.connected, 1);
    assert_non_null(fake_stream_find(&fake, TABLE "/streams/s1"));
    stop();
}

static void uses_the_default_stream(void **state)
{
    (void)state;
    start(MR_AT_LEAST_ONCE);
    feed_appends(5, 100);
    end();
    expect_once();
    assert_int_equal(fake.creates + fake.finalizes, 0);
    assert_int_equal(fake.default_with_offset, 0);
    assert_non_null(fake_stream_find(&fake, TABLE "/streams/_default"));
    stop();
}

static void ends_without_rows(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    end();
    assert_int_equal(fake.connected, 0);
    stop();
}

static void sends_what_is_old_enough(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    feed(1, MR_ON_TIME, 0);
    run_for(SECOND_NS / 2);
    assert_int_equal(fake.appends, 1);
    assert_int_equal(atomic_load(&writer.counters.rows), 1);
    end();
    expect_once();
    stop();
}

static void survives_a_lost_connection(void **state)
{
    (void)state;
    survives((struct fake_plan){.act = FAKE_CLOSE});
    assert_int_equal(fake.connected, 2);
    assert_int_equal(fake.introduced, 2);
    stop();
}

static void survives_a_lost_answer(void **state)
{
    (void)state;
    survives((struct fake_plan){.act = FAKE_TAKE_CLOSE});
    assert_int_equal(fake.stream_count, 1);
    stop();
}

static void mends_an_error_on_the_same_call(void **state)
{
    (void)state;
    survives((struct fake_plan){FAKE_ERROR, MR_GRPC_INTERNAL, 0, "oops"});
    assert_int_equal(fake.call_count, 1);
    assert_int_equal(fake.named_again, 0);
    stop();
}

static void believes_rows_over_an_error(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    script(2, (struct fake_plan){FAKE_TAKE_ERROR, MR_GRPC_INTERNAL, 0, "oops"});
    feed_appends(6, 50);
    end();
    expect_once();
    stop();
}

static void survives_the_end_of_a_call(void **state)
{
    (void)state;
    survives((struct fake_plan){FAKE_STATUS, MR_GRPC_UNAVAILABLE, 0, "draining"});
    assert_int_equal(fake.connected, 1);
    assert_int_equal(fake.call_count, 2);
    stop();
}

static void survives_a_bare_end(void **state)
{
    (void)state;
    survives((struct fake_plan){.act = FAKE_EOF});
    assert_int_equal(fake.call_count, 2);
    stop();
}

static void survives_goaway(void **state)
{
    (void)state;
    survives((struct fake_plan){.act = FAKE_GOAWAY});
    feed_appends(0, 0);
    stop();
}

static void connects_again_after_goaway(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    script(0, (struct fake_plan){.act = FAKE_GOAWAY});
    feed_appends(1, 50);
    run_for(SECOND_NS);
    feed_appends(1, 50);
    end();
    expect_once();
    assert_int_equal(fake.connected, 2);
    assert_int_equal(notes, 0);
    stop();
}

static void reopens_what_idled_out(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    feed_appends(1, 50);
    run_for(SECOND_NS);
    script(1, (struct fake_plan){FAKE_STATUS, MR_GRPC_ABORTED, 0, "inactive for 600 seconds"});
    feed_appends(2, 50);
    end();
    expect_once();
    assert_int_equal(notes, 0);
    stop();
}

static void gives_up_a_silent_call(void **state)
{
    (void)state;
    survives((struct fake_plan){.act = FAKE_TAKE_CLOSE});
    stop();
    start(MR_EXACTLY_ONCE);
    script(0, (struct fake_plan){.act = FAKE_SILENCE});
    feed_appends(1, 50);
    run_for(10 * SECOND_NS);
    assert_int_equal(atomic_load(&writer.counters.rows), 0);
    run_for(4 * MINUTES_NS);
    end();
    expect_once();
    stop();
}

static void takes_bad_rows_out(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    fake.bad_every = 37;
    fake.name_bad_rows = true;
    feed_appends(6, 50);
    end();
    expect_once();
    assert_int_equal(rejected_count, 9); /* 0, 37, ... 296 */
    assert_int_equal(fake.call_count, 1);
    stop();
}

static void drops_an_append_of_bad_rows_only(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    fake.bad_every = 1;
    fake.name_bad_rows = true;
    feed_appends(3, 5);
    end();
    expect_once();
    assert_int_equal(rejected_count, 15);
    stop();
}

static void finds_an_unnamed_bad_row(void **state)
{
    (void)state;
    for (int64_t bad = 100; bad < 150; bad += 7) {
        start(MR_EXACTLY_ONCE);
        fake.bad_row = bad;
        feed_appends(6, 50);
        end();
        expect_once();
        assert_int_equal(rejected_count, 1);
        assert_int_equal(rejected[0], bad);
        stop();
    }
}

static void finds_bad_rows_on_the_default_stream(void **state)
{
    (void)state;
    start(MR_AT_LEAST_ONCE);
    fake.bad_every = 100;
    feed_appends(4, 60);
    end();
    assert_int_equal(rejected_count, 3);
    assert_int_equal(fake_stream_find(&fake, TABLE "/streams/_default")->row_count, 237);
    stop();
}

static void stops_at_a_table_that_takes_no_row(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    fake.bad_every = 1;
    feed_appends(3, 50);
    run_for(20 * SECOND_NS);
    expect_fault(MR_E_BIGQUERY_REFUSED, "rows have errors");
    assert_int_equal(rejected_count, 16);
    stop();
}

static void blames_the_guilty_append_only(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    script(1, (struct fake_plan){FAKE_STATUS, MR_GRPC_INVALID_ARGUMENT, 0, "too large"});
    feed_appends(6, 1);
    end();
    expect_once();
    assert_int_equal(rejected_count, 0);
    stop();
}

static void moves_to_a_new_stream(void **state)
{
    (void)state;
    survives((struct fake_plan){.act = FAKE_FINALIZE}); /* its answer is lost, its rows are not */
    assert_int_equal(fake.creates, 2);
    assert_int_equal(fake.streams[0].row_count, 150);
    assert_int_equal(fake.streams[1].row_count, 150);
    stop();
}

static void replaces_a_stream_that_is_gone(void **state)
{
    (void)state;
    survives((struct fake_plan){.act = FAKE_FORGET});
    assert_int_equal(fake.creates, 2);
    stop();
}

static void waits_for_a_fresh_table(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    fake.creating = (struct fake_plan){FAKE_STATUS, MR_GRPC_NOT_FOUND, 0, "no such table"};
    feed_appends(2, 50);
    run_for(MINUTES_NS);
    assert_int_equal(mr_fault_err(&fault), MR_OK);
    assert_true(notes >= 2 && notes <= 10);
    fake.creating.act = FAKE_TAKE;
    scripted = (struct fake_plan){FAKE_ERROR, MR_GRPC_NOT_FOUND, MR_BIGQUERY_TABLE_NOT_FOUND, "no"};
    scripted_at = 3;
    fake.judge = up_to;
    end();
    expect_once();
    stop();
}

static void stops_without_a_table(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    fake.creating = (struct fake_plan){FAKE_STATUS, MR_GRPC_NOT_FOUND, 0, "no such table"};
    feed_appends(2, 50);
    run_for(3 * MINUTES_NS);
    expect_fault(MR_E_BIGQUERY_TABLE, "no such table");
    stop();
}

static void stops_without_a_table_for_the_default_stream(void **state)
{
    (void)state;
    start(MR_AT_LEAST_ONCE);
    scripted = (struct fake_plan){FAKE_STATUS, MR_GRPC_NOT_FOUND, 0, "no such table"};
    fake.judge = always;
    feed_appends(2, 50);
    run_for(3 * MINUTES_NS);
    expect_fault(MR_E_BIGQUERY_TABLE, "no such table");
    stop();
}

static void outlasts_a_quota(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    scripted = (struct fake_plan){FAKE_ERROR, MR_GRPC_RESOURCE_EXHAUSTED, 0, "throughput"};
    fake.judge = always;
    feed_appends(3, 50);
    run_for(30 * MINUTES_NS);
    assert_int_equal(mr_fault_err(&fault), MR_OK);
    assert_true(fake.appends < 3 * 60); /* it asks seldom */
    fake.judge = NULL;
    end();
    expect_once();
    stop();
}

static void stops_without_permission(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    script(1, (struct fake_plan){FAKE_STATUS, MR_GRPC_PERMISSION_DENIED, 0, "updateData missing"});
    feed_appends(3, 50);
    run_for(SECOND_NS);
    expect_fault(MR_E_BIGQUERY_REFUSED, "PERMISSION_DENIED: updateData missing");
    stop();
}

static void takes_a_new_credential(void **state)
{
    (void)state;
    atomic_store(&bearer.text, "Bearer old");
    start_with(MR_EXACTLY_ONCE, "on_time", true);
    fake.bearer_wanted = "Bearer new";
    feed_appends(2, 50);
    run_for(20 * SECOND_NS);
    assert_int_equal(mr_fault_err(&fault), MR_OK);
    assert_int_equal(fake.appends, 0);
    atomic_store(&bearer.text, "Bearer new");
    run_for(SECOND_NS);
    assert_int_equal(atomic_load(&writer.counters.rows), 100);
    end();
    expect_once();
    stop();
}

static void stops_when_no_credential_comes(void **state)
{
    (void)state;
    atomic_store(&bearer.text, "Bearer old");
    start_with(MR_EXACTLY_ONCE, "on_time", true);
    fake.bearer_wanted = "Bearer new";
    feed_appends(2, 50);
    run_for(4 * MINUTES_NS);
    expect_fault(MR_E_BIGQUERY_CREDENTIAL, "the token has expired");
    stop();
    start(MR_EXACTLY_ONCE); /* nor is one ever sent */
    fake.bearer_wanted = "Bearer new";
    feed_appends(2, 50);
    run_for(SECOND_NS);
    expect_fault(MR_E_BIGQUERY_CREDENTIAL, "the token has expired");
    stop();
}

static void waits_for_a_count_that_lags(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    feed_appends(2, 50);
    run_for(SECOND_NS);
    scripted = (struct fake_plan){FAKE_ERROR, MR_GRPC_OUT_OF_RANGE, MR_BIGQUERY_OFFSET_OUT_OF_RANGE,
                                  "beyond stream, expected offset 60, received 100"};
    scripted_at = 4;
    fake.judge = up_to;
    feed_appends(1, 50);
    end();
    expect_once();
    stop();
}

static void stops_when_taken_rows_vanish(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    feed_appends(2, 50);
    run_for(SECOND_NS);
    scripted = (struct fake_plan){FAKE_ERROR, MR_GRPC_OUT_OF_RANGE, MR_BIGQUERY_OFFSET_OUT_OF_RANGE,
                                  "beyond stream, expected offset 60, received 100"};
    fake.judge = always;
    feed_appends(1, 50);
    run_for(3 * MINUTES_NS);
    expect_fault(MR_E_BIGQUERY_OFFSET, "expected offset 60");
    stop();
}

static void stops_at_offsets_that_nobody_understands(void **state)
{
    static const char *const texts[] = {"beyond stream", "expected offset x",
                                        "expected offset 99999999999999999999, received 1",
                                        "expected offset 4000, received 50", "expected offset "};
    (void)state;
    for (size_t i = 0; i < MR_COUNT(texts); i++) {
        start(MR_EXACTLY_ONCE);
        script(1, (struct fake_plan){FAKE_ERROR, MR_GRPC_OUT_OF_RANGE, 0, texts[i]});
        feed_appends(3, 50);
        run_for(SECOND_NS);
        expect_fault(MR_E_BIGQUERY_OFFSET, texts[i]);
        stop();
    }
}

static void holds_back_when_all_is_full(void **state)
{
    uint32_t blocks_fed = 0;
    (void)state;
    start(MR_EXACTLY_ONCE);
    scripted = (struct fake_plan){FAKE_ERROR, MR_GRPC_RESOURCE_EXHAUSTED, 0, "throughput"};
    fake.judge = always;
    for (uint32_t steps = 0; steps < 2000; steps++, step())
        while (feed(400, MR_ON_TIME, 0))
            blocks_fed++;
    assert_int_equal(writer.buffers.count, 0);
    assert_true(fed >= 8 * 4000);
    assert_true(writer.held != NULL);
    assert_true(blocks_fed < 8 * 11 + BLOCKS + 1);
    fake.judge = NULL;
    for (uint32_t steps = 0; fed > 0 && slab.count < BLOCKS; steps++, step())
        assert_true(steps < STEPS_MAX);
    end();
    assert_int_equal(atomic_load(&writer.counters.rows), fed);
    stop();
}

static void leaves_other_firings_out(void **state)
{
    (void)state;
    start_with(MR_EXACTLY_ONCE, "on_time", false);
    feed(10, MR_ON_TIME, 0);
    feed(7, MR_LATE, 0);
    feed(5, MR_EARLY, 0);
    end();
    assert_int_equal(atomic_load(&writer.counters.rows), 10);
    assert_int_equal(atomic_load(&writer.skipped), 12);
    stop();
}

static void keeps_trying_to_connect(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    struct sockaddr_in *in = (struct sockaddr_in *)&writer.addresses[0].storage;
    in->sin_port = htons(1);
    feed_appends(1, 50);
    run_for(3 * MINUTES_NS);
    assert_int_equal(mr_fault_err(&fault), MR_OK);
    assert_true(notes >= 2 && notes <= 13);
    in->sin_port = htons(fake.listener.port);
    end();
    expect_once();
    stop();
}

/* ---- chance ---- */

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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_all_in_order),
        cmocka_unit_test(uses_the_default_stream),
        cmocka_unit_test(ends_without_rows),
        cmocka_unit_test(sends_what_is_old_enough),
        cmocka_unit_test(survives_a_lost_connection),
        cmocka_unit_test(survives_a_lost_answer),
        cmocka_unit_test(mends_an_error_on_the_same_call),
        cmocka_unit_test(believes_rows_over_an_error),
        cmocka_unit_test(survives_the_end_of_a_call),
        cmocka_unit_test(survives_a_bare_end),
        cmocka_unit_test(survives_goaway),
        cmocka_unit_test(connects_again_after_goaway),
        cmocka_unit_test(reopens_what_idled_out),
        cmocka_unit_test(gives_up_a_silent_call),
        cmocka_unit_test(takes_bad_rows_out),
        cmocka_unit_test(drops_an_append_of_bad_rows_only),
        cmocka_unit_test(finds_an_unnamed_bad_row),
        cmocka_unit_test(finds_bad_rows_on_the_default_stream),
        cmocka_unit_test(stops_at_a_table_that_takes_no_row),
        cmocka_unit_test(blames_the_guilty_append_only),
        cmocka_unit_test(moves_to_a_new_stream),
        cmocka_unit_test(replaces_a_stream_that_is_gone),
        cmocka_unit_test(waits_for_a_fresh_table),
        cmocka_unit_test(stops_without_a_table),
        cmocka_unit_test(stops_without_a_table_for_the_default_stream),
        cmocka_unit_test(outlasts_a_quota),
        cmocka_unit_test(stops_without_permission),
        cmocka_unit_test(takes_a_new_credential),
        cmocka_unit_test(stops_when_no_credential_comes),
        cmocka_unit_test(waits_for_a_count_that_lags),
        cmocka_unit_test(stops_when_taken_rows_vanish),
        cmocka_unit_test(stops_at_offsets_that_nobody_understands),
        cmocka_unit_test(holds_back_when_all_is_full),
        cmocka_unit_test(leaves_other_firings_out),
        cmocka_unit_test(keeps_trying_to_connect),
        cmocka_unit_test(keeps_its_promise_by_chance),
    };
    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
