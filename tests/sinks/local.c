/* Aim: against the local cloud, which nobody wrote for this writer: tables made from mr_row_columns
 * take its rows, exactly once on a stream of its own and at least once on the default stream, while
 * the service fails, ends calls and loses answers. */
#include "tests/sinks/rig.h"

#include <dirent.h>
#include <pthread.h>

#include "local/server.h"

#define ROWS 20000

static struct mr_server *server;
static pthread_t thread;
static char folder[64], database[96];

static void *serve(void *self)
{
    static int result;
    (void)self;
    result = mr_server_run(server);
    return &result;
}

static void ask(struct mr_bq *store, const char *method, const char *target, const char *body,
                char *reply, size_t limit)
{
    struct mr_bq_request request = {
        .method = mr_span_text(method), .target = mr_span_text(target), .body = mr_span_text(body)};
    struct mr_bq_reply answer;

    mr_bq_rest(store, &request, mr_wall_us(), &answer);
    if (answer.status != 200)
        print_error("%.*s\n", (int)answer.body.bytes, (const char *)answer.body.data);
    assert_int_equal(answer.status, 200);
    snprintf(reply, limit, "%.*s", (int)answer.body.bytes, (const char *)answer.body.data);
}

/* The table, with the columns that the writer says it needs. */
static void make_table(struct mr_bq *store)
{
    static const char *const types[] = {[MR_BIGQUERY_STRING] = "STRING",
                                        [MR_BIGQUERY_INT64] = "INT64",
                                        [MR_BIGQUERY_BOOL] = "BOOL",
                                        [MR_BIGQUERY_TIMESTAMP] = "TIMESTAMP",
                                        [MR_BIGQUERY_NUMERIC] = "NUMERIC"};
    struct mr_row_column columns[MR_ROW_COLUMNS_MAX];
    uint32_t count = mr_row_columns(&kit_plan, 0, columns);
    char body[8192], reply[8192];
    int used = snprintf(body, sizeof body,
                        "{\"tableReference\":{\"tableId\":\"sales\"},\"schema\":{\"fields\":[");

    for (uint32_t i = 0; i < count; i++)
        used += snprintf(body + used, sizeof body - (size_t)used,
                         "%s{\"name\":\"%s\",\"type\":\"%s\",\"mode\":\"%s\"}", i ? "," : "",
                         columns[i].name, types[columns[i].type],
                         columns[i].mode == MR_BIGQUERY_REQUIRED ? "REQUIRED" : "NULLABLE");
    snprintf(body + used, sizeof body - (size_t)used, "]}}");
    ask(store, "POST", "/bigquery/v2/projects/demo/datasets",
        "{\"datasetReference\":{\"datasetId\":\"realtime\"}}", reply, sizeof reply);
    ask(store, "POST", "/bigquery/v2/projects/demo/datasets/realtime/tables", body, reply,
        sizeof reply);
}

static struct mr_bq *open_store(void)
{
    struct mr_bq *store;
    struct mr_bq_options options = {.path = database, .seed = 5};

    if (mr_bq_create(&store, &options) != MR_OK)
        fail_msg("%s", mr_bq_problem(store));
    return store;
}

static void start_cloud(const struct mr_bq_faults *faults)
{
    char why[MR_SERVER_WHY_BYTES];
    struct mr_server_options options = {
        .listen = "127.0.0.1", .data = folder, .bigquery = {.seed = 11, .faults = *faults}};

    snprintf(folder, sizeof folder, "/tmp/millrace-sinks-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(database, sizeof database, "%s/bigquery.db", folder);
    struct mr_bq *store = open_store();
    make_table(store);
    mr_bq_destroy(store);
    for (int door = 0; door < MR_SERVER_DOORS; door++)
        options.ports[door] = door == MR_SERVER_BIGQUERY ? 0 : MR_SERVER_CLOSED;
    if (mr_server_create(&server, &options, why) != MR_OK)
        fail_msg("%s", why);
    assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
}

static void stop_cloud(void)
{
    void *result;

    mr_server_stop(server);
    pthread_join(thread, &result);
    assert_int_equal(*(int *)result, MR_OK);
    mr_server_destroy(server);
}

static void remove_folder(void)
{
    DIR *files = opendir(folder);
    char path[512];

    for (struct dirent *file = readdir(files); file; file = readdir(files)) {
        snprintf(path, sizeof path, "%s/%s", folder, file->d_name);
        if (file->d_name[0] != '.')
            unlink(path);
    }
    closedir(files);
    rmdir(folder);
}

/* Writes ROWS rows, and leaves what a query then says in `reply`. */
static void write_through(enum mr_delivery delivery, const struct mr_bq_faults *faults, char *reply,
                          size_t limit)
{
    start(delivery);
    start_cloud(faults);
    ((struct sockaddr_in *)&writer.addresses[0].storage)->sin_port = htons(
        mr_server_port(server, MR_SERVER_BIGQUERY));
    rig_real_time = true;
    while (fed < ROWS) {
        feed(100, fed % 300 ? MR_ON_TIME : MR_LATE, 0);
        step();
        if (fed % 500 == 0)
            mr_append_stream_cut(&writer.streams[0]);
    }
    end();
    rig_real_time = false;
    assert_int_equal(rejected_count, 0);
    assert_true(atomic_load(&writer.counters.rows) >= ROWS);
    print_message("%llu rows in %llu appends, %llu times again\n",
                  (unsigned long long)atomic_load(&writer.counters.rows),
                  (unsigned long long)atomic_load(&writer.counters.appends),
                  (unsigned long long)atomic_load(&writer.counters.retried));
    stop_cloud();
    struct mr_bq *store = open_store();
    ask(store, "POST", "/bigquery/v2/projects/demo/queries",
        "{\"useLegacySql\":false,\"query\":\"SELECT count(*), count(DISTINCT window_start), "
        "min(share), max(lineage), min(instance), sum(CASE WHEN timing = 'late' THEN 1 ELSE 0 END)"
        " FROM realtime.sales\"}",
        reply, limit);
    mr_bq_destroy(store);
    remove_folder();
    stop();
}

static void expect_values(const char *reply, const char *values)
{
    const char *rows = strstr(reply, "\"rows\"");

    if (!rows || !strstr(rows, values))
        print_error("%s\n", reply);
    assert_non_null(rows);
    assert_non_null(strstr(rows, values));
}

static void writes_exactly_once(void **state)
{
    static const struct mr_bq_faults none,
        some = {.error = 0.05, .status = 0.05, .reply_lost = 0.05};
    const struct mr_bq_faults *const faults[] = {&none, &some};
    char reply[8192];
    (void)state;

    for (uint32_t i = 0; i < MR_COUNT(faults); i++) {
        write_through(MR_EXACTLY_ONCE, faults[i], reply, sizeof reply);
        expect_values(reply, "{\"v\":\"20000\"},{\"v\":\"20000\"},{\"v\":\"3\"},{\"v\":\"7\"},"
                             "{\"v\":\"one\"},{\"v\":\"6700\"}");
    }
}

static void writes_at_least_once(void **state)
{
    static const struct mr_bq_faults some = {.error = 0.05, .status = 0.05, .reply_lost = 0.05};
    char reply[8192];
    (void)state;

    write_through(MR_AT_LEAST_ONCE, &some, reply, sizeof reply);
    expect_values(reply, "},{\"v\":\"20000\"},{\"v\":\"3\"}"); /* distinct: none is missing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_exactly_once),
        cmocka_unit_test(writes_at_least_once),
    };
    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
