/* Aim: random calls on many streams agree with a naive model, over restarts and a crash; the rate
 * of appends is printed. Arguments: seed, steps. */
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/local/bq_kit.h"

#define STREAMS 12

static uint64_t seed = 1;
static int steps = 4000;

static uint64_t draw(uint64_t below)
{
    static uint64_t state;
    if (!state)
        state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % below;
}

struct model {
    char name[256];
    int32_t type;
    int64_t end, shown;
    bool finalized, committed;
    struct mr_bq_connection *connection;
};

static int64_t visible(const struct model *models)
{
    int64_t rows = 0;
    for (int i = 0; i < STREAMS; i++)
        rows += models[i].type == MR_BIGQUERY_COMMITTED  ? models[i].end
                : models[i].type == MR_BIGQUERY_BUFFERED ? models[i].shown
                : models[i].committed                    ? models[i].end
                                                         : 0;
    return rows;
}

static void step_append(struct kit *kit, struct model *m)
{
    int64_t offset = (int64_t)draw(4) ? m->end : m->end + (int64_t)draw(7) - 3;
    uint32_t count = 1 + (uint32_t)draw(5);
    bool fresh = !m->connection || draw(10) == 0;

    offset = MR_MAX(offset, 0);
    if (fresh) {
        mr_bq_connection_destroy(m->connection);
        m->connection = mr_bq_connection_create(kit->store, NULL, kit->now);
    }
    int32_t code = append_ids(kit, m->connection, fresh ? m->name : "",
                              fresh ? id_schema() : mr_span_of(NULL, 0), offset, m->end, count);
    int32_t expected = m->finalized      ? MR_GRPC_INVALID_ARGUMENT
                       : offset < m->end ? MR_GRPC_ALREADY_EXISTS
                       : offset > m->end ? MR_GRPC_OUT_OF_RANGE
                                         : MR_GRPC_OK;
    assert_int_equal(code, expected);
    if (code == MR_GRPC_OK) {
        assert_int_equal(kit->response.append_result.offset.value, m->end);
        m->end += count;
    }
}

static void step_flush(struct kit *kit, struct model *m)
{
    int64_t offset = (int64_t)draw((uint64_t)m->end + 3);
    int64_t expected = m->type != MR_BIGQUERY_BUFFERED ? -MR_GRPC_INVALID_ARGUMENT
                       : offset >= m->end              ? -MR_GRPC_OUT_OF_RANGE
                                                       : MR_MAX(m->shown, offset + 1) - 1;

    assert_int_equal(flush(kit, m->name, offset), expected);
    if (expected >= 0)
        m->shown = expected + 1;
}

static void step_commit(struct kit *kit, struct model *m)
{
    int32_t expected = m->type != MR_BIGQUERY_PENDING ? MR_BIGQUERY_INVALID_STREAM_TYPE
                       : m->committed                 ? MR_BIGQUERY_STREAM_ALREADY_COMMITTED
                       : !m->finalized                ? MR_BIGQUERY_INVALID_STREAM_STATE
                                                      : 0;

    assert_int_equal(commit(kit, (const char *[]){m->name}, 1), expected);
    m->committed |= expected == 0;
}

static void replace(struct kit *kit, struct model *m, int64_t *gone)
{
    /* Its rows stay; a new stream takes its place. */
    *gone += m->type == MR_BIGQUERY_COMMITTED  ? m->end
             : m->type == MR_BIGQUERY_BUFFERED ? m->shown
             : m->committed                    ? m->end
                                               : 0;
    mr_bq_connection_destroy(m->connection);
    *m = (struct model){.type = 1 + (int32_t)draw(3)};
    make_stream(kit, m->type, m->name);
}

static void reopen(struct kit *kit, struct model *models, const struct mr_bq_options *options)
{
    mr_bq_destroy(kit->store);
    assert_int_equal(mr_bq_create(&kit->store, options), MR_OK);
    for (int i = 0; i < STREAMS; i++)
        models[i].connection = NULL;
}

static void make_directory(char path[64], char file[96])
{
    snprintf(path, 64, "bq-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    snprintf(file, 96, "%s/millrace.db", path);
}

static void remove_directory(const char *path, const char *file)
{
    char other[128];

    unlink(file);
    snprintf(other, sizeof other, "%s-wal", file);
    unlink(other);
    snprintf(other, sizeof other, "%s-shm", file);
    unlink(other);
    assert_int_equal(rmdir(path), 0);
}

static void streams_agree_with_the_model(void **state)
{
    char path[64], file[96];
    struct model models[STREAMS] = {0};
    int64_t gone = 0;

    (void)state;
    make_directory(path, file);
    struct mr_bq_options options = {.path = file, .seed = seed};
    struct kit *kit = kit_open(&options);
    make_table(kit, "{\"name\":\"id\",\"type\":\"INTEGER\"}", "");
    for (int i = 0; i < STREAMS; i++)
        replace(kit, &models[i], &gone);
    for (int i = 0; i < steps; i++) {
        struct model *m = &models[draw(STREAMS)];
        uint64_t what = draw(100);
        kit->now += (int64_t)draw(10000);
        if (what < 60)
            step_append(kit, m);
        else if (what < 75)
            step_flush(kit, m);
        else if (what < 80) {
            m->finalized = true;
            assert_int_equal(finalize(kit, m->name), m->end);
        } else if (what < 90)
            step_commit(kit, m);
        else if (what < 96)
            replace(kit, m, &gone);
        else if (what < 98)
            mr_bq_chores(kit->store, kit->now);
        else
            reopen(kit, models, &options);
        if (rows_of(kit) != visible(models) + gone)
            fail_msg("seed %llu, step %d", (unsigned long long)seed, i);
    }
    kit_close(kit);
    remove_directory(path, file);
}

/* A process that appends in threes and dies at once leaves whole appends, and what was committed
 * before is all there; the stream's end agrees with its rows. */
static void a_crash_shows_no_half_append(void **state)
{
    char path[64], file[96], name[256] = "";
    int channel[2], status;

    (void)state;
    make_directory(path, file);
    assert_int_equal(pipe(channel), 0);
    pid_t child = fork();
    if (child == 0) {
        struct kit *kit = kit_open(&(struct mr_bq_options){.path = file});
        make_table(kit, "{\"name\":\"id\",\"type\":\"INTEGER\"}", "");
        struct mr_bq_connection *c = mr_bq_connection_create(kit->store, NULL, kit->now);
        make_stream(kit, MR_BIGQUERY_COMMITTED, name);
        for (int i = 0; i < 40; i++)
            append_ids(kit, c, i ? "" : name, i ? mr_span_of(NULL, 0) : id_schema(), 3 * i, 0, 3);
        mr_bq_commit(kit->store);
        for (int i = 0; i < 40; i++)
            append_ids(kit, c, "", mr_span_of(NULL, 0), 120 + 3 * i, 0, 3);
        if (write(channel[1], name, sizeof name) != sizeof name)
            _exit(1);
        _exit(0); /* as a crash: nothing is closed or committed */
    }
    assert_int_equal(read(channel[0], name, sizeof name), sizeof name);
    waitpid(child, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 0);
    close(channel[0]);
    close(channel[1]);
    struct kit *kit = kit_open(&(struct mr_bq_options){.path = file});
    int64_t rows = rows_of(kit);
    assert_true(rows >= 120);
    assert_int_equal(rows % 3, 0);
    assert_int_equal(finalize(kit, name), rows);
    kit_close(kit);
    remove_directory(path, file);
}

static void measure(const char *file, const char *where)
{
    struct kit *kit = kit_open(&(struct mr_bq_options){.path = file});
    struct mr_bq_connection *c = mr_bq_connection_create(kit->store, NULL, kit->now);
    const uint32_t appends = 100, rows = 1000;

    make_table(
        kit,
        "{\"name\":\"id\",\"type\":\"INTEGER\"},{\"name\":\"region\",\"type\":\"STRING\"},"
        "{\"name\":\"at\",\"type\":\"TIMESTAMP\"},{\"name\":\"amount\",\"type\":\"NUMERIC\"}",
        "");
    uint64_t start = mr_thread_cpu_ns();
    for (uint32_t i = 0; i < appends; i++) {
        struct mr_bigquery_append append = begin(
            kit, TABLE "/_default",
            FIELDS({"id", MR_PROTO_INT64, 0, 0}, {"region", MR_PROTO_STRING, 0, 0},
                   {"at", MR_PROTO_INT64, 0, 0}, {"amount", MR_PROTO_BYTES, 0, 0}),
            NO_OFFSET);
        for (uint32_t j = 0; j < rows; j++) {
            size_t mark = mr_bigquery_row_open(&append);
            mr_pb_put_int(&append.pen, 1, j);
            mr_pb_put_bytes(&append.pen, 2, mr_span_text("europe"));
            mr_pb_put_int(&append.pen, 3, T0 + j);
            mr_pb_put_bytes(&append.pen, 4, mr_span_text("\x80\x31\x7f\xa7\x04"));
            mr_bigquery_row_close(&append, mark);
        }
        assert_int_equal(finish(kit, c, &append), MR_GRPC_OK);
        kit->now += 5000;
        mr_bq_chores(kit->store, kit->now);
    }
    assert_int_equal(mr_bq_commit(kit->store), MR_OK);
    double spent = (double)(mr_thread_cpu_ns() - start);
    assert_int_equal(rows_of(kit), appends * rows);
    printf("%s: %.0f rows a second of CPU\n", where, appends * rows / spent * 1e9);
    kit_close(kit);
}

static void appends_are_measured(void **state)
{
    char path[64], file[96];

    (void)state;
    measure(NULL, "in memory");
    make_directory(path, file);
    measure(file, "on disk");
    remove_directory(path, file);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_agree_with_the_model),
        cmocka_unit_test(a_crash_shows_no_half_append),
        cmocka_unit_test(appends_are_measured),
    };
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : seed;
    steps = argc > 2 ? atoi(argv[2]) : steps;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
