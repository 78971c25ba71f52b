/* Aim: the REST calls: datasets, tables, rows, queries, their pages and their errors. */
#include "tests/local/bq_kit.h"

#define TABLES            "/bigquery/v2/projects/p/datasets/d/tables"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":\"" type "\"}"

static struct kit *orders(void)
{
    struct kit *kit = kit_open(NULL);
    make_table(
        kit,
        FIELD("id", "INTEGER") "," FIELD("region", "STRING") "," FIELD(
            "amount",
            "NUMERIC") "," FIELD("at", "TIMESTAMP") "," FIELD("ok", "BOOLEAN") "," FIELD("f",
                                                                                         "FLOAT"),
        ",\"timePartitioning\":{\"type\":\"DAY\",\"field\":\"at\"},\"clustering\":{"
        "\"fields\":[\"region\"]}");
    return kit;
}

static void insert_orders(struct kit *kit)
{
    rest(kit, "POST", TABLES "/t/insertAll",
         "{\"rows\":["
         "{\"json\":{\"id\":1,\"region\":\"eu\",\"amount\":\"19.99\",\"at\":"
         "\"2024-04-30T11:19:44.5Z\",\"ok\":true,\"f\":0.1}},"
         "{\"json\":{\"id\":\"2\",\"region\":\"us\",\"amount\":0.01,\"at\":1714475985,\"ok\":"
         "\"false\"}},"
         "{\"json\":{\"id\":3,\"region\":\"eu\",\"amount\":100,\"at\":\"2024-04-30 13:19:46 "
         "+02:00\"}}]}");
    assert_int_equal(kit->status, 200);
    assert_null(strstr(kit->reply, "insertErrors"));
}

#define expect(text, part)                                                                         \
    do {                                                                                           \
        if (!strstr(text, part))                                                                   \
            fail_msg("no %s in %s", part, text);                                                   \
    } while (0)

static const char *query(struct kit *kit, const char *text)
{
    char body[4096];
    snprintf(body, sizeof body, "{\"query\":\"%s\",\"useLegacySql\":false}", text);
    return rest(kit, "POST", "/bigquery/v2/projects/p/queries", body);
}

static void datasets_are_made_once(void **state)
{
    struct kit *kit = kit_open(NULL);
    const char *body = "{\"datasetReference\":{\"datasetId\":\"d\"},\"labels\":{\"a\":\"b\"}}";

    (void)state;
    rest(kit, "GET", "/projects/p/datasets/d", "");
    assert_int_equal(kit->status, 404);
    expect(kit->reply, "\"reason\":\"notFound\"");
    rest(kit, "POST", "/projects/p/datasets", body);
    assert_int_equal(kit->status, 200);
    expect(kit->reply, "\"id\":\"p:d\"");
    rest(kit, "POST", "/projects/p/datasets", body);
    assert_int_equal(kit->status, 409);
    expect(kit->reply, "\"reason\":\"duplicate\"");
    expect(kit->reply, "\"code\":409");
    rest(kit, "GET", "/projects/p/datasets/d", "");
    expect(kit->reply, "\"labels\":{\"a\":\"b\"}");
    rest(kit, "GET", "/projects/p/datasets", "");
    expect(kit->reply, "p:d");
    rest(kit, "POST", "/projects/p/datasets", "{\"datasetReference\":{\"datasetId\":\"a.b\"}}");
    assert_int_equal(kit->status, 400);
    rest(kit, "POST", "/projects/p/datasets", "no json");
    assert_int_equal(kit->status, 400);
    kit_close(kit);
}

static void tables_echo_what_they_were_given(void **state)
{
    struct kit *kit = orders();

    (void)state;
    rest(kit, "GET", TABLES "/t", "");
    expect(kit->reply, "\"timePartitioning\":{\"type\":\"DAY\",\"field\":\"at\"}");
    expect(kit->reply, "\"clustering\":{\"fields\":[\"region\"]}");
    expect(kit->reply, "\"numRows\":\"0\"");
    expect(kit->reply, "\"creationTime\":\"1732300000000\"");
    rest(kit, "GET", TABLES, "");
    expect(kit->reply, "\"tableId\":\"t\"");
    rest(kit, "POST", TABLES,
         "{\"tableReference\":{\"tableId\":\"T\"},\"schema\":{\"fields\":[" FIELD("a",
                                                                                  "INTEGER") "]}}");
    assert_int_equal(kit->status, 409);
    rest(kit, "POST", TABLES, "{\"tableReference\":{\"tableId\":\"u\"}}");
    assert_int_equal(kit->status, 400);
    rest(kit, "POST", TABLES,
         "{\"tableReference\":{\"tableId\":\"u\"},\"schema\":{\"fields\":[" FIELD("a",
                                                                                  "NOTYPE") "]}}");
    assert_int_equal(kit->status, 400);
    rest(kit, "DELETE", TABLES "/t", "");
    assert_int_equal(kit->status, 204);
    rest(kit, "GET", TABLES "/t", "");
    assert_int_equal(kit->status, 404);
    kit_close(kit);
}

static void a_patch_adds_columns_and_takes_none_away(void **state)
{
    struct kit *kit = kit_open(NULL);
    struct mr_bq_request request = {.method = mr_span_text("PATCH"),
                                    .target = mr_span_text(TABLES "/t"),
                                    .body = mr_span_text("{\"description\":\"x\"}"),
                                    .if_match = mr_span_text("old")};
    struct mr_bq_reply reply;

    (void)state;
    make_table(kit, FIELD("a", "INTEGER"), "");
    rest(kit, "PATCH", TABLES "/t",
         "{\"schema\":{\"fields\":[" FIELD("a", "INTEGER") "," FIELD("b", "STRING") "]}}");
    assert_int_equal(kit->status, 200);
    assert_string_equal(sql(kit, "select count(*) from pragma_table_info('d.t')"), "2");
    rest(kit, "PATCH", TABLES "/t", "{\"schema\":{\"fields\":[" FIELD("a", "INTEGER") "]}}");
    assert_int_equal(kit->status, 400);
    rest(kit, "PATCH", TABLES "/t",
         "{\"schema\":{\"fields\":[" FIELD("a", "STRING") "," FIELD("b", "STRING") "]}}");
    assert_int_equal(kit->status, 400);
    rest(kit, "PATCH", TABLES "/t", "{\"description\":\"kept\"}");
    expect(kit->reply, "\"description\":\"kept\"");
    expect(kit->reply, "\"name\":\"b\"");
    mr_bq_rest(kit->store, &request, kit->now, &reply);
    assert_int_equal(reply.status, 412);
    kit_close(kit);
}

static void rows_go_in_and_come_out(void **state)
{
    struct kit *kit = orders();

    (void)state;
    insert_orders(kit);
    assert_string_equal(sql(kit, "select at from \"d.t\" where id=3"),
                        "2024-04-30T11:19:46.000000Z");
    rest(kit, "GET", TABLES "/t/data?maxResults=2", "");
    expect(kit->reply, "\"totalRows\":\"3\"");
    expect(kit->reply, "\"pageToken\":\"2\"");
    expect(kit->reply, "{\"f\":[{\"v\":\"1\"},{\"v\":\"eu\"},{\"v\":\"19.99\"},{\"v\":"
                       "\"1714475984.500000\"},{\"v\":\"true\"},{\"v\":\"0.1\"}]}");
    rest(kit, "GET", TABLES "/t/data?pageToken=2&formatOptions.useInt64Timestamp=true", "");
    expect(kit->reply, "{\"v\":\"1714475986000000\"},{\"v\":null}");
    assert_null(strstr(kit->reply, "pageToken"));
    kit_close(kit);
}

static void bad_rows_of_insert_all_are_told(void **state)
{
    struct kit *kit = orders();
    const char *rows = "\"rows\":[{\"json\":{\"id\":1}},{\"json\":{\"id\":\"x\"}},{\"json\":{"
                       "\"nope\":1}}]}";
    char body[512];

    (void)state;
    snprintf(body, sizeof body, "{%s", rows);
    rest(kit, "POST", TABLES "/t/insertAll", body);
    assert_int_equal(kit->status, 200);
    expect(kit->reply, "\"index\":0,\"errors\":[{\"reason\":\"stopped\"");
    expect(kit->reply, "\"index\":1,\"errors\":[{\"reason\":\"invalid\",\"location\":\"id\"");
    expect(kit->reply, "\"index\":2,\"errors\":[{\"reason\":\"invalid\"");
    assert_int_equal(rows_of(kit), 0);
    snprintf(body, sizeof body, "{\"skipInvalidRows\":true,%s", rows);
    rest(kit, "POST", TABLES "/t/insertAll", body);
    assert_null(strstr(kit->reply, "stopped"));
    assert_int_equal(rows_of(kit), 1);
    snprintf(body, sizeof body, "{\"skipInvalidRows\":true,\"ignoreUnknownValues\":true,%s", rows);
    rest(kit, "POST", TABLES "/t/insertAll", body);
    assert_int_equal(rows_of(kit), 3);
    kit_close(kit);
}

static void queries_name_tables_as_the_service_does(void **state)
{
    static const char *const texts[] = {
        "SELECT id FROM `p.d.t` WHERE region = 'us'",
        "select t.id from d.t where region = \\\"us\\\"",
        "select o.id from `p`.`d`.`t` AS o join d.t using (id) where o.region='us'",
        "with x as (select * from p.d.t) select id from x where region = 'us' -- done",
        "SELECT id FROM (SELECT * FROM `d.t`) WHERE at = TIMESTAMP '2024-04-30 11:19:45'",
        "SELECT a.id FROM d.t a, d.t b WHERE a.id = b.id AND a.amount < NUMERIC '0.5'",
        "SELECT id FROM d.t WHERE CAST(id AS STRING) = '2'",
    };
    struct kit *kit = orders();

    (void)state;
    insert_orders(kit);
    for (size_t i = 0; i < MR_COUNT(texts); i++) {
        query(kit, texts[i]);
        expect(kit->reply, "\"rows\":[{\"f\":[{\"v\":\"2\"}]}]");
        expect(kit->reply, "\"totalRows\":\"1\"");
        expect(kit->reply, "{\"name\":\"id\",\"type\":\"INTEGER\",\"mode\":\"NULLABLE\"}");
    }
    query(kit, "select region, sum(amount) as total, max(at) as newest from d.t group by region "
               "order by region");
    expect(kit->reply, "[{\"v\":\"eu\"},{\"v\":\"119.99\"},{\"v\":\"1714475986.000000\"}]");
    expect(kit->reply, "{\"name\":\"newest\",\"type\":\"TIMESTAMP\",\"mode\":\"NULLABLE\"}");
    kit_close(kit);
}

static void bad_queries_are_refused(void **state)
{
    struct kit *kit = orders();

    (void)state;
    rest(kit, "POST", "/projects/p/queries", "{\"query\":\"select 1\"}");
    assert_int_equal(kit->status, 400);
    expect(kit->reply, "\"reason\":\"invalidQuery\"");
    query(kit, "select * from d.none");
    assert_int_equal(kit->status, 404);
    query(kit, "select nope from d.t");
    assert_int_equal(kit->status, 400);
    query(kit, "delete from d.t");
    assert_int_equal(kit->status, 400);
    query(kit, "select 'open");
    assert_int_equal(kit->status, 400);
    query(kit, "attach 'x' as y");
    assert_int_equal(kit->status, 400);
    kit_close(kit);
}

static void results_come_in_pages(void **state)
{
    struct kit *kit = orders();

    (void)state;
    insert_orders(kit);
    rest(kit, "POST", "/projects/p/queries",
         "{\"query\":\"select id, at from t order by id\",\"useLegacySql\":false,\"maxResults\":2,"
         "\"defaultDataset\":{\"datasetId\":\"d\"}}");
    expect(kit->reply, "\"jobComplete\":true");
    expect(kit->reply, "\"pageToken\":\"2\"");
    expect(kit->reply, "\"jobId\":\"job_1\"");
    rest(kit, "GET", "/projects/p/queries/job_1?pageToken=2&formatOptions.useInt64Timestamp=true",
         "");
    expect(kit->reply, "\"rows\":[{\"f\":[{\"v\":\"3\"},{\"v\":\"1714475986000000\"}]}]");
    rest(kit, "GET", "/projects/p/queries/none", "");
    assert_int_equal(kit->status, 404);
    /* As the official clients do it. */
    rest(kit, "POST", "/projects/p/jobs",
         "{\"jobReference\":{\"jobId\":\"mine\"},\"configuration\":{\"query\":{\"query\":\"select "
         "@n + 1 as n\",\"useLegacySql\":false,\"queryParameters\":[{\"name\":\"n\","
         "\"parameterType\":{\"type\":\"INT64\"},\"parameterValue\":{\"value\":\"41\"}}]}}}");
    assert_int_equal(kit->status, 200);
    expect(kit->reply, "\"state\":\"DONE\"");
    rest(kit, "GET", "/projects/p/queries/mine", "");
    expect(kit->reply, "\"v\":\"42\"");
    rest(kit, "GET", "/projects/p/jobs/mine", "");
    assert_int_equal(kit->status, 200);
    kit_close(kit);
}

static void views_are_queries_with_a_name(void **state)
{
    struct kit *kit = orders();

    (void)state;
    insert_orders(kit);
    rest(kit, "POST", TABLES,
         "{\"tableReference\":{\"tableId\":\"v\"},\"view\":{\"query\":\"select region, amount from "
         "`p.d.t` where id < 3\",\"useLegacySql\":false}}");
    assert_int_equal(kit->status, 200);
    expect(kit->reply, "\"type\":\"VIEW\"");
    expect(kit->reply, "{\"name\":\"amount\",\"type\":\"NUMERIC\",\"mode\":\"NULLABLE\"}");
    query(kit, "select amount from d.v order by amount");
    expect(kit->reply, "[{\"f\":[{\"v\":\"0.01\"}]},{\"f\":[{\"v\":\"19.99\"}]}]");
    rest(kit, "DELETE", TABLES "/v", "");
    assert_int_equal(kit->status, 204);
    rest(kit, "POST", TABLES,
         "{\"tableReference\":{\"tableId\":\"v\"},\"view\":{\"query\":\"select 1\"}}");
    assert_int_equal(kit->status, 400);
    kit_close(kit);
}

static void another_project_stands_beside_the_home_project(void **state)
{
    struct kit *kit = orders();

    (void)state;
    rest(kit, "POST", "/projects/q/datasets", "{\"datasetReference\":{\"datasetId\":\"d\"}}");
    rest(kit, "POST", "/projects/q/datasets/d/tables",
         "{\"tableReference\":{\"tableId\":\"t\"},\"schema\":{\"fields\":[" FIELD("a",
                                                                                  "INTEGER") "]}}");
    assert_int_equal(kit->status, 200);
    assert_string_equal(sql(kit, "select count(*) from \"q.d.t\""), "0");
    query(kit, "select count(*) from `q.d.t`");
    assert_int_equal(kit->status, 200);
    rest(kit, "DELETE", "/projects/q/datasets/d", "");
    assert_int_equal(kit->status, 400);
    rest(kit, "DELETE", "/projects/q/datasets/d?deleteContents=true", "");
    assert_int_equal(kit->status, 204);
    kit_close(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datasets_are_made_once),
        cmocka_unit_test(tables_echo_what_they_were_given),
        cmocka_unit_test(a_patch_adds_columns_and_takes_none_away),
        cmocka_unit_test(rows_go_in_and_come_out),
        cmocka_unit_test(bad_rows_of_insert_all_are_told),
        cmocka_unit_test(queries_name_tables_as_the_service_does),
        cmocka_unit_test(bad_queries_are_refused),
        cmocka_unit_test(results_come_in_pages),
        cmocka_unit_test(views_are_queries_with_a_name),
        cmocka_unit_test(another_project_stands_beside_the_home_project),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
