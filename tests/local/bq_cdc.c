/* Aim: changes by primary key: the newest sequence number wins, deletions stay won, no mixing. */
#include "tests/local/bq_kit.h"

static const char *DEFAULT = TABLE "/streams/_default";

static struct kit *keyed(void)
{
    struct kit *kit = kit_open(NULL);
    make_table(kit,
               "{\"name\":\"k\",\"type\":\"INTEGER\",\"mode\":\"REQUIRED\"},"
               "{\"name\":\"v\",\"type\":\"STRING\",\"mode\":\"REQUIRED\"}",
               ",\"tableConstraints\":{\"primaryKey\":{\"columns\":[\"k\"]}}");
    return kit;
}

static struct mr_span schema(void)
{
    return FIELDS({"k", MR_PROTO_INT64, 0, 0}, {"v", MR_PROTO_STRING, 0, 0},
                  {"_CHANGE_TYPE", MR_PROTO_STRING, 0, 0},
                  {"_CHANGE_SEQUENCE_NUMBER", MR_PROTO_STRING, 0, 0});
}

static void row(struct mr_bigquery_append *append, int64_t key, const char *value,
                const char *change, const char *sequence)
{
    size_t mark = mr_bigquery_row_open(append);
    mr_pb_put_int(&append->pen, 1, key);
    if (value)
        mr_pb_put_bytes(&append->pen, 2, mr_span_text(value));
    if (change)
        mr_pb_put_bytes(&append->pen, 3, mr_span_text(change));
    if (sequence)
        mr_pb_put_bytes(&append->pen, 4, mr_span_text(sequence));
    mr_bigquery_row_close(append, mark);
}

static int32_t change(struct kit *kit, struct mr_bq_connection *c, const char *value,
                      const char *type, const char *sequence)
{
    struct mr_bigquery_append append = begin(kit, DEFAULT, schema(), NO_OFFSET);
    row(&append, 1, value, type, sequence);
    return finish(kit, c, &append);
}

static const char *value(struct kit *kit)
{
    assert_true(rows_of(kit) <= 1);
    return sql(kit, "select v from \"d.t\"");
}

static void the_larger_sequence_number_wins(void **state)
{
    static const struct {
        const char *lower, *higher;
    } pairs[] = {{"77", "7B"},       {"FFF/B", "fff/ABC"},   {"BA/FFFFFFFF", "ABC"},
                 {"ABC", "FFF/ABC"}, {"0/0/0/0", "0/0/0/1"}, {"18F2EBB647F", "18F2EBB6480"}};

    (void)state;
    for (size_t i = 0; i < MR_COUNT(pairs); i++) {
        struct kit *kit = keyed();
        struct mr_bq_connection *c = mr_bq_connection_create(kit->store, NULL, kit->now);
        assert_int_equal(change(kit, c, "high", "UPSERT", pairs[i].higher), MR_GRPC_OK);
        assert_int_equal(change(kit, c, "low", "UPSERT", pairs[i].lower), MR_GRPC_OK);
        assert_string_equal(value(kit), "high");
        change(kit, c, "again", "UPSERT", pairs[i].higher);
        assert_string_equal(value(kit), "again");
        kit_close(kit);
    }
}

static void a_deletion_wins_over_late_older_rows(void **state)
{
    struct kit *kit = keyed();
    struct mr_bq_connection *c = mr_bq_connection_create(kit->store, NULL, kit->now);

    (void)state;
    change(kit, c, "one", "UPSERT", "1");
    assert_int_equal(change(kit, c, NULL, "DELETE", "5"), MR_GRPC_OK);
    assert_string_equal(value(kit), "none");
    change(kit, c, "late", "UPSERT", "4");
    assert_string_equal(value(kit), "none");
    change(kit, c, "new", "UPSERT", "6");
    assert_string_equal(value(kit), "new");
    change(kit, c, NULL, "DELETE", "7");
    kit->now += INT64_C(3) * 86400 * 1000000; /* forgotten after two days */
    mr_bq_chores(kit->store, kit->now);
    change(kit, c, "late", "UPSERT", "4");
    assert_string_equal(value(kit), "late");
    kit_close(kit);
}

static void without_numbers_the_later_request_wins(void **state)
{
    struct kit *kit = keyed();
    struct mr_bq_connection *c = mr_bq_connection_create(kit->store, NULL, kit->now);
    struct mr_bigquery_append append = begin(kit, DEFAULT, schema(), NO_OFFSET);

    (void)state;
    row(&append, 1, "first", "UPSERT", NULL);
    row(&append, 1, "second", "UPSERT", NULL);
    assert_int_equal(finish(kit, c, &append), MR_GRPC_OK);
    assert_string_equal(value(kit), "first");
    change(kit, c, "third", "UPSERT", NULL);
    assert_string_equal(value(kit), "third");
    kit_close(kit);
}

static void bad_changes_are_row_errors(void **state)
{
    struct kit *kit = keyed();
    struct mr_bq_connection *c = mr_bq_connection_create(kit->store, NULL, kit->now);
    static const char *const sequences[] = {"", "/", "1/", "1/2/3/4/5", "xyz", "11112222333344445"};

    (void)state;
    for (size_t i = 0; i < MR_COUNT(sequences); i++)
        assert_int_equal(change(kit, c, "v", "UPSERT", sequences[i]), MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(change(kit, c, "v", "INSERT", "1"), MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(change(kit, c, "v", NULL, "1"), MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(change(kit, c, NULL, "UPSERT", "1"), MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(kit->response.row_errors.found, 1);
    assert_string_equal(value(kit), "none");
    kit_close(kit);
}

static void changes_and_plain_rows_do_not_mix(void **state)
{
    struct kit *kit = keyed();
    struct mr_bq_connection *c = mr_bq_connection_create(kit->store, NULL, kit->now);
    struct mr_span plain = FIELDS({"k", MR_PROTO_INT64, 0, 0}, {"v", MR_PROTO_STRING, 0, 0});
    struct mr_bigquery_append append;

    (void)state;
    assert_int_equal(change(kit, c, "one", "UPSERT", "1"), MR_GRPC_OK);
    append = begin(kit, DEFAULT, plain, NO_OFFSET);
    row(&append, 1, "two", NULL, NULL);
    assert_int_equal(finish(kit, c, &append), MR_GRPC_INVALID_ARGUMENT);
    assert_true(says(kit->response.error.message, "not a valid CHANGE_TYPE"));
    c = mr_bq_connection_create(kit->store, NULL, kit->now);
    plain = FIELDS({"k", MR_PROTO_INT64, 0, 0}, {"v", MR_PROTO_STRING, 0, 0});
    append = begin(kit, DEFAULT, plain, NO_OFFSET);
    row(&append, 1, "two", NULL, NULL);
    assert_int_equal(finish(kit, c, &append), MR_GRPC_OK);
    assert_int_equal(rows_of(kit), 2); /* a primary key is not enforced */
    assert_int_equal(change(kit, c, "one", "UPSERT", "1"), MR_GRPC_INVALID_ARGUMENT);
    kit_close(kit);
}

static void changes_need_a_key_and_the_default_stream(void **state)
{
    struct kit *kit = keyed();
    char name[256];

    (void)state;
    make_stream(kit, MR_BIGQUERY_COMMITTED, name);
    struct mr_bigquery_append append = begin(kit, name, schema(), NO_OFFSET);
    row(&append, 1, "one", "UPSERT", "1");
    assert_int_equal(finish(kit, mr_bq_connection_create(kit->store, NULL, kit->now), &append),
                     MR_GRPC_INVALID_ARGUMENT);
    assert_true(says(kit->response.error.message, "insert mode"));
    kit_close(kit);
    kit = kit_open(NULL);
    make_table(kit, "{\"name\":\"k\",\"type\":\"INTEGER\"},{\"name\":\"v\",\"type\":\"STRING\"}",
               "");
    assert_int_equal(
        change(kit, mr_bq_connection_create(kit->store, NULL, kit->now), "one", "UPSERT", "1"),
        MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(rows_of(kit), 0);
    kit_close(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_larger_sequence_number_wins),
        cmocka_unit_test(a_deletion_wins_over_late_older_rows),
        cmocka_unit_test(without_numbers_the_later_request_wins),
        cmocka_unit_test(bad_changes_are_row_errors),
        cmocka_unit_test(changes_and_plain_rows_do_not_mix),
        cmocka_unit_test(changes_need_a_key_and_the_default_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
