/* Aim: a configuration becomes the values it says, --set and variables included, and says no
 * secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/config.h"

static const char base[] =
    "source: { pubsub: { subscription: projects/demo/subscriptions/orders } }\n"
    "decode:\n"
    "  fields:\n"
    "    order_id: string\n"
    "    yes: { type: string, from: payload.shop.yes, optional: true }\n"
    "    no: { type: int, string: true }\n"
    "    amount: { decimal: 2 }\n"
    "    timestamp: { attribute: ts, unit: ms }\n"
    "windows:\n"
    "  - { name: a, group_by: [yes, no], size: 5m, hop: 1m, offset: -90s, allowed_lateness: 3m,\n"
    "      aggregates: [count, sum(amount), avg(no)] }\n"
    "  - { name: b, group_by: [no], size: 1h30m, late: { count: 1 }, aggregates: [max(amount)] }\n"
    "sinks: { bigquery: { dataset: demo.realtime, firings: [on_time, late] } }\n";

static struct mr_config config;
static char *told;

static uint32_t read_with(const char *text, const struct mr_config_set *sets, uint32_t count)
{
    char path[] = "/tmp/mr_config_XXXXXX";
    int fd = mkstemp(path);
    size_t bytes;

    free(told);
    FILE *errors = open_memstream(&told, &bytes);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    uint32_t found = mr_config_read(&config, path, sets, count, errors);
    fclose(errors);
    unlink(path);
    return found;
}

static char *effective(void)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    mr_config_print_effective(&config, out);
    fclose(out);
    return text;
}

static void fields_are_read(void **state)
{
    (void)state;
    assert_int_equal(read_with(base, NULL, 0), 0);
    assert_int_equal(config.decode.field_count, 5);
    const struct mr_field *yes = &config.decode.fields[1], *no = &config.decode.fields[2];
    assert_string_equal(yes->name, "yes");
    assert_true(yes->optional);
    assert_int_equal(yes->path_count, 3);
    assert_string_equal(yes->path[2], "yes");
    assert_int_equal(no->type, MR_TYPE_INT);
    assert_true(no->from_string);
    assert_string_equal(no->path[0], "no");
    assert_int_equal(config.decode.fields[3].type, MR_TYPE_DECIMAL);
    assert_int_equal(config.decode.fields[3].scale, 2);
    assert_int_equal(config.decode.event_time, 4);
    assert_int_equal(config.decode.fields[4].time_from, MR_TIME_FROM_ATTRIBUTE);
    assert_string_equal(config.decode.fields[4].attribute, "ts");
    assert_int_equal(config.decode.fields[4].unit, MR_UNIT_MS);
    mr_config_finish(&config);
}

static void windows_are_read(void **state)
{
    (void)state;
    assert_int_equal(read_with(base, NULL, 0), 0);
    assert_int_equal(config.window_count, 2);
    const struct mr_window *a = &config.windows[0], *b = &config.windows[1];
    assert_int_equal(a->size_us, 300000000);
    assert_int_equal(a->hop_us, 60000000);
    assert_int_equal(a->offset_us, 30000000); /* -90 s modulo one minute */
    assert_int_equal(a->lateness_us, 180000000);
    assert_int_equal(a->late.count, 1);
    assert_int_equal(a->group_by[0], 1);
    assert_int_equal(a->aggregate_count, 3);
    assert_int_equal(a->aggregates[2].kind, MR_AVG_OF);
    assert_int_equal(a->aggregates[2].field, 2);
    assert_int_equal(b->hop_us, b->size_us);
    assert_int_equal(b->size_us, 5400000000);
    assert_int_equal(b->late.count, 1);
    assert_int_equal(config.route_count, 1); /* `no` is all they share */
    assert_int_equal(config.route_by[0], 2);
    mr_config_finish(&config);
}

static void defaults_hold(void **state)
{
    (void)state;
    assert_int_equal(read_with(base, NULL, 0), 0);
    assert_null(config.source.file);
    assert_int_equal(config.source.pubsub.streams, 4);
    assert_string_equal(config.source.pubsub.endpoint, "pubsub.googleapis.com:443");
    assert_int_equal(config.decode.payload_bytes_max, 10000000);
    assert_int_equal(config.decode.dedup_by, MR_DEDUP_MESSAGE_ID);
    assert_int_equal(config.decode.dedup_horizon_us, 1200000000);
    assert_int_equal(config.watermark.max_disorder_us, 5000000);
    assert_null(config.journal);
    assert_int_equal(config.sinks.bigquery.firings, MR_FIRE_ON_TIME | MR_FIRE_LATE);
    assert_int_equal(config.limits.memory_bytes, UINT64_C(4) << 30);
    assert_int_equal(config.workers.pullers, 0);
    assert_int_equal(config.workers.batch_rows, 1024);
    mr_config_finish(&config);
}

static void a_file_has_no_dedup(void **state)
{
    static const char text[] =
        "source: { file: \"-\" }\ndecode: { fields: { t: event_time } }\n"
        "windows: [{ name: a, group_by: [], size: 1m, aggregates: [count] }]\n"
        "sinks: { file: rows.ndjson }\nworkers: auto\n";
    (void)state;
    assert_int_equal(read_with(text, NULL, 0), 0);
    assert_string_equal(config.source.file, "-");
    assert_string_equal(config.sinks.file, "rows.ndjson");
    assert_int_equal(config.decode.dedup_by, MR_DEDUP_NONE);
    assert_int_equal(config.route_count, 0);
    mr_config_finish(&config);
}

static void sets_replace(void **state)
{
    static const struct mr_config_set sets[] = {{"windows.0.size", "10m"},
                                                {"windows.1.group_by", "[no, yes]"},
                                                {"workers.batch", "64"},
                                                {"source.pubsub.streams", "9"},
                                                {"decode.fields.extra", "{ decimal: 3 }"}};
    (void)state;
    assert_int_equal(read_with(base, sets, 5), 0);
    assert_int_equal(config.windows[0].size_us, 600000000);
    assert_int_equal(config.windows[1].group_count, 2);
    assert_int_equal(config.workers.batch_rows, 64);
    assert_int_equal(config.source.pubsub.streams, 9);
    assert_int_equal(config.decode.fields[5].scale, 3);
    char *text = effective();
    assert_non_null(strstr(text, "streams: 9  # --set"));
    assert_non_null(strstr(text, "max_disorder: 5s  # default"));
    free(text);
    mr_config_finish(&config);
}

static void bad_sets_are_told(void **state)
{
    static const struct mr_config_set sets[] = {{"windows.7.size", "10m"}, {"wokers.batch", "64"},
                                                {"windows.0.size", "[1"},  {"workers.batch", ""},
                                                {"limits.keys", "0"},      {"limits..keys", "1"}};
    (void)state;
    assert_int_equal(read_with(base, sets, 6), 6);
    assert_non_null(strstr(told, "--set 1:1: MR1113"));
    assert_non_null(strstr(told, "--set 2:1: MR1104"));
    assert_non_null(strstr(told, "did you mean `workers`?"));
    assert_non_null(strstr(told, "--set 3:"));
    assert_non_null(strstr(told, "--set 4:1: MR1113"));
    assert_non_null(strstr(told, "--set 5:13: MR1109"));
    assert_non_null(strstr(told, "--set 6:1: MR1113"));
    mr_config_finish(&config);
}

static void variables_are_filled_in(void **state)
{
    static const struct mr_config_set sets[] = {
        {"source.pubsub.streams", "${MR_TEST_STREAMS}"},
        {"sinks.bigquery.dataset", "${MR_TEST_PROJECT:demo}.real${MR_TEST_EMPTY}time"},
        {"sinks.file.path", "a$${b}"}};
    (void)state;
    setenv("MR_TEST_STREAMS", "12", 1);
    setenv("MR_TEST_EMPTY", "", 1);
    unsetenv("MR_TEST_PROJECT");
    assert_int_equal(read_with(base, sets, 3), 0);
    assert_int_equal(config.source.pubsub.streams, 12);
    assert_string_equal(config.sinks.bigquery.dataset, "demo.realtime");
    assert_string_equal(config.sinks.file, "a${b}");
    mr_config_finish(&config);
    setenv("MR_TEST_STREAMS", "1\n2", 1);
    assert_int_equal(read_with(base, sets, 1), 2); /* the variable, and the text left in place */
    mr_config_finish(&config);
}

static void secrets_stay_secret(void **state)
{
    static const struct mr_config_set sets[] = {
        {"sinks.redis.url", "redis://user:hun ter2@127.0.0.1:6379"},
        {"sinks.redis.ulr", "redis://:hunter2@127.0.0.1"},
        {"sinks.redis", "\"x: [:hunter2@h"},
        {"sinks.redis.url", "rediss:hunter2@127.0.0.1"}};
    (void)state;
    assert_true(read_with(base, sets + 1, 3) > 0);
    assert_null(strstr(told, "hunter2"));
    char *text = effective();
    assert_null(strstr(text, "hunter2"));
    free(text);
    mr_config_finish(&config);
}

static void errors_are_told_once_and_counted(void **state)
{
    static const struct mr_config_set sets[] = {{"limits.keys", "0"}};
    (void)state;
    assert_int_equal(read_with(base, sets, 1), 1);
    assert_non_null(strstr(told, "\n1 error\n"));
    assert_null(strchr(told, '\033'));
    mr_config_finish(&config);
    assert_int_equal(mr_config_read(&config, "/nonexistent/x.yaml", NULL, 0, stderr), 1);
    mr_config_finish(&config);
    mr_config_finish(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_read),
        cmocka_unit_test(windows_are_read),
        cmocka_unit_test(defaults_hold),
        cmocka_unit_test(a_file_has_no_dedup),
        cmocka_unit_test(sets_replace),
        cmocka_unit_test(bad_sets_are_told),
        cmocka_unit_test(variables_are_filled_in),
        cmocka_unit_test(secrets_stay_secret),
        cmocka_unit_test(errors_are_told_once_and_counted),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(told);
    return failed;
}
