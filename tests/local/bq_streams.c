/* Aim: write streams of every kind: names, offsets, visibility, ends, schema rules, limits. */
#include "tests/local/bq_kit.h"

#define IDS "{\"name\":\"id\",\"type\":\"INTEGER\"}"
static const char *DEFAULT = TABLE "/streams/_default";

static struct kit *opened(const struct mr_bq_options *options)
{
    struct kit *kit = kit_open(options);
    make_table(kit, IDS, "");
    return kit;
}

static struct mr_bq_connection *connect(struct kit *kit)
{
    return mr_bq_connection_create(kit->store, NULL, kit->now);
}

static void the_default_stream_takes_rows_at_once(void **state)
{
    struct kit *kit = opened(NULL);
    struct mr_bq_connection *c = connect(kit);

    (void)state;
    assert_int_equal(append_ids(kit, c, DEFAULT, id_schema(), NO_OFFSET, 0, 3), MR_GRPC_OK);
    assert_true(kit->response.append_result.present);
    assert_false(kit->response.append_result.offset.present);
    assert_true(mr_span_equal(kit->response.write_stream, mr_span_text(DEFAULT)));
    assert_int_equal(rows_of(kit), 3);
    /* Later requests need neither name nor schema; the short name is the same stream. */
    assert_int_equal(append_ids(kit, c, "", mr_span_of(NULL, 0), NO_OFFSET, 3, 1), MR_GRPC_OK);
    assert_int_equal(append_ids(kit, connect(kit), TABLE "/_default", id_schema(), NO_OFFSET, 4, 1),
                     MR_GRPC_OK);
    assert_int_equal(rows_of(kit), 5);
    assert_int_equal(append_ids(kit, c, "", mr_span_of(NULL, 0), 0, 9, 1),
                     MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(rows_of(kit), 5);
    assert_int_equal(finalize(kit, DEFAULT), -MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(flush(kit, DEFAULT, 0), -MR_GRPC_INVALID_ARGUMENT);
    kit_close(kit);
}

static void offsets_are_enforced_and_the_connection_lives_on(void **state)
{
    struct kit *kit = opened(NULL);
    struct mr_bq_connection *c = connect(kit);
    char name[256];

    (void)state;
    make_stream(kit, MR_BIGQUERY_COMMITTED, name);
    assert_int_equal(append_ids(kit, c, name, id_schema(), 0, 0, 2), MR_GRPC_OK);
    assert_true(kit->response.append_result.offset.present);
    assert_int_equal(kit->response.append_result.offset.value, 0);
    assert_int_equal(rows_of(kit), 2);
    assert_int_equal(append_ids(kit, c, "", mr_span_of(NULL, 0), 0, 0, 2), MR_GRPC_ALREADY_EXISTS);
    assert_int_equal(storage_code(kit), MR_BIGQUERY_OFFSET_ALREADY_EXISTS);
    assert_true(says(kit->response.error.message, "within stream, expected offset 2, received 0"));
    assert_int_equal(append_ids(kit, c, "", mr_span_of(NULL, 0), 1, 0, 2), MR_GRPC_ALREADY_EXISTS);
    assert_int_equal(append_ids(kit, c, "", mr_span_of(NULL, 0), 3, 0, 2), MR_GRPC_OUT_OF_RANGE);
    assert_int_equal(storage_code(kit), MR_BIGQUERY_OFFSET_OUT_OF_RANGE);
    assert_true(says(kit->response.error.message, "beyond stream, expected offset 2, received 3"));
    assert_true(mr_span_equal(kit->response.write_stream, mr_span_text(name)));
    assert_int_equal(append_ids(kit, c, "", mr_span_of(NULL, 0), 2, 2, 1), MR_GRPC_OK);
    assert_int_equal(append_ids(kit, c, "", mr_span_of(NULL, 0), NO_OFFSET, 3, 1), MR_GRPC_OK);
    assert_int_equal(kit->response.append_result.offset.value, 3);
    assert_int_equal(rows_of(kit), 4);
    kit_close(kit);
}

static void a_finalized_stream_takes_no_more(void **state)
{
    struct kit *kit = opened(NULL);
    struct mr_bq_connection *c = connect(kit);
    char name[256];

    (void)state;
    make_stream(kit, MR_BIGQUERY_COMMITTED, name);
    assert_int_equal(append_ids(kit, c, name, id_schema(), 0, 0, 7), MR_GRPC_OK);
    assert_int_equal(finalize(kit, name), 7);
    assert_int_equal(finalize(kit, name), 7);
    assert_int_equal(append_ids(kit, c, "", mr_span_of(NULL, 0), 7, 0, 1),
                     MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(storage_code(kit), MR_BIGQUERY_STREAM_FINALIZED);
    assert_int_equal(rows_of(kit), 7);
    kit_close(kit);
}

/* goccy/bigquery-emulator 505: each flush inserted the rows again. */
static void flushing_twice_shows_rows_once(void **state)
{
    struct kit *kit = opened(NULL);
    struct mr_bq_connection *c = connect(kit);
    char name[256];

    (void)state;
    make_stream(kit, MR_BIGQUERY_BUFFERED, name);
    assert_int_equal(append_ids(kit, c, name, id_schema(), 0, 0, 5), MR_GRPC_OK);
    assert_int_equal(rows_of(kit), 0);
    assert_int_equal(flush(kit, name, 1), 1);
    assert_int_equal(rows_of(kit), 2);
    assert_int_equal(flush(kit, name, 1), 1);
    assert_int_equal(flush(kit, name, 0), 1);
    assert_int_equal(rows_of(kit), 2);
    assert_int_equal(flush(kit, name, 5), -MR_GRPC_OUT_OF_RANGE);
    assert_int_equal(flush(kit, name, 4), 4);
    assert_int_equal(rows_of(kit), 5);
    assert_string_equal(sql(kit, "select group_concat(id) from \"d.t\""), "0,1,2,3,4");
    assert_int_equal(finalize(kit, name), 5);
    kit_close(kit);
}

/* goccy/bigquery-emulator 352: a second PENDING stream was seen as finalized; 231, 267: no commit.
 */
static void pending_streams_commit_together_or_not_at_all(void **state)
{
    struct kit *kit = opened(NULL);
    char one[256], two[256], other[256];

    (void)state;
    make_stream(kit, MR_BIGQUERY_PENDING, one);
    make_stream(kit, MR_BIGQUERY_PENDING, two);
    make_stream(kit, MR_BIGQUERY_COMMITTED, other);
    assert_int_equal(append_ids(kit, connect(kit), one, id_schema(), 0, 0, 2), MR_GRPC_OK);
    assert_int_equal(finalize(kit, one), 2);
    assert_int_equal(append_ids(kit, connect(kit), two, id_schema(), 0, 2, 3), MR_GRPC_OK);
    assert_int_equal(commit(kit, (const char *[]){one, two}, 2), MR_BIGQUERY_INVALID_STREAM_STATE);
    assert_int_equal(rows_of(kit), 0);
    assert_int_equal(finalize(kit, two), 3);
    assert_int_equal(commit(kit, (const char *[]){one, other}, 2), MR_BIGQUERY_INVALID_STREAM_TYPE);
    assert_int_equal(commit(kit, (const char *[]){one, TABLE "/streams/none"}, 2),
                     MR_BIGQUERY_STREAM_NOT_FOUND);
    assert_int_equal(rows_of(kit), 0);
    assert_int_equal(commit(kit, (const char *[]){one, two}, 2), 0);
    assert_int_equal(rows_of(kit), 5);
    assert_int_equal(commit(kit, (const char *[]){one}, 1), MR_BIGQUERY_STREAM_ALREADY_COMMITTED);
    assert_int_equal(rows_of(kit), 5);
    assert_int_equal(commit(kit, NULL, 0), -MR_GRPC_INVALID_ARGUMENT);
    kit_close(kit);
}

/* goccy/bigquery-emulator 504, 342: UNKNOWN for a missing stream. */
static void what_is_not_there_is_not_found(void **state)
{
    struct kit *kit = opened(NULL);

    (void)state;
    assert_int_equal(append_ids(kit, connect(kit), TABLE "/streams/none", id_schema(), 0, 0, 1),
                     MR_GRPC_NOT_FOUND);
    assert_true(says(kit->answer.status, "StorageError"));
    assert_int_equal(append_ids(kit, connect(kit), "projects/p/datasets/d/tables/u/_default",
                                id_schema(), NO_OFFSET, 0, 1),
                     MR_GRPC_NOT_FOUND);
    assert_int_equal(append_ids(kit, connect(kit), "t", id_schema(), NO_OFFSET, 0, 1),
                     MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(finalize(kit, TABLE "/streams/none"), -MR_GRPC_NOT_FOUND);
    assert_int_equal(flush(kit, TABLE "/streams/none", 0), -MR_GRPC_NOT_FOUND);
    kit_close(kit);
}

static void streams_describe_themselves(void **state)
{
    struct kit *kit = opened(NULL);
    struct mr_bigquery_get_write_stream request = {mr_span_text(TABLE "/_default"), 2};
    struct mr_bigquery_write_stream stream;
    char name[256];

    (void)state;
    CALL(kit, GET_WRITE_STREAM, mr_bigquery_get_write_stream, &request);
    assert_int_equal(mr_bigquery_write_stream_parse(&stream, kit->answer.message), MR_OK);
    assert_true(mr_span_equal(stream.name, mr_span_text(DEFAULT)));
    assert_int_equal(mr_pb_time_us(&stream.create_time), T0);
    assert_true(stream.table_schema.present);
    assert_true(mr_span_equal(stream.location, mr_span_text("US")));
    make_stream(kit, MR_BIGQUERY_PENDING, name);
    request = (struct mr_bigquery_get_write_stream){mr_span_text(name), 1};
    CALL(kit, GET_WRITE_STREAM, mr_bigquery_get_write_stream, &request);
    mr_bigquery_write_stream_parse(&stream, kit->answer.message);
    assert_false(stream.table_schema.present);
    assert_false(stream.commit_time.present);
    assert_int_equal(stream.type, MR_BIGQUERY_PENDING);
    kit_close(kit);
}

static void the_first_request_names_stream_and_schema(void **state)
{
    struct kit *kit = opened(NULL);
    struct mr_bigquery_append none;

    (void)state;
    assert_int_equal(append_ids(kit, connect(kit), "", id_schema(), NO_OFFSET, 0, 1),
                     MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(append_ids(kit, connect(kit), DEFAULT, mr_span_of(NULL, 0), NO_OFFSET, 0, 1),
                     MR_GRPC_INVALID_ARGUMENT);
    none = begin(kit, DEFAULT, id_schema(), NO_OFFSET);
    assert_int_equal(finish(kit, connect(kit), &none), MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(send_bytes(kit, connect(kit), mr_span_text("\xff\xff")),
                     MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(rows_of(kit), 0);
    kit_close(kit);
}

static void default_streams_share_a_connection(void **state)
{
    struct kit *kit = opened(NULL);
    struct mr_bq_connection *c = connect(kit);
    const char *other = "projects/p/datasets/d/tables/u/streams/_default";
    char name[256];

    (void)state;
    rest(kit, "POST", "/projects/p/datasets/d/tables",
         "{\"tableReference\":{\"tableId\":\"u\"},\"schema\":{\"fields\":[" IDS "]}}");
    assert_int_equal(kit->status, 200);
    assert_int_equal(append_ids(kit, c, DEFAULT, id_schema(), NO_OFFSET, 0, 1), MR_GRPC_OK);
    assert_int_equal(append_ids(kit, c, other, id_schema(), NO_OFFSET, 0, 1), MR_GRPC_OK);
    assert_true(mr_span_equal(kit->response.write_stream, mr_span_text(other)));
    assert_int_equal(append_ids(kit, c, other, mr_span_of(NULL, 0), NO_OFFSET, 0, 1), MR_GRPC_OK);
    assert_int_equal(append_ids(kit, c, "", mr_span_of(NULL, 0), NO_OFFSET, 0, 1),
                     MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(append_ids(kit, c, DEFAULT, mr_span_of(NULL, 0), NO_OFFSET, 0, 1),
                     MR_GRPC_INVALID_ARGUMENT);
    make_stream(kit, MR_BIGQUERY_COMMITTED, name);
    assert_int_equal(append_ids(kit, c, name, id_schema(), 0, 0, 1), MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(rows_of(kit), 1);
    assert_string_equal(sql(kit, "select count(*) from \"d.u\""), "2");
    kit_close(kit);
}

static void oversize_is_refused_and_closes(void **state)
{
    struct kit *kit = opened(NULL);
    size_t bytes = MR_BQ_REQUEST_BYTES_MAX + 1;
    uint8_t *huge = calloc(1, bytes);

    (void)state;
    assert_int_equal(send_bytes(kit, connect(kit), mr_span_of(huge, bytes)),
                     MR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(kit->answer.code, MR_GRPC_INVALID_ARGUMENT);
    assert_non_null(strstr(kit->answer.text, "too large"));
    free(huge);
    kit_close(kit);
}

static void a_silent_connection_is_closed(void **state)
{
    struct kit *kit = opened(&(struct mr_bq_options){.idle_us = 5000000});
    struct mr_bq_connection *c = connect(kit);

    (void)state;
    kit->now += 3000000;
    assert_int_equal(append_ids(kit, c, DEFAULT, id_schema(), NO_OFFSET, 0, 1), MR_GRPC_OK);
    mr_bq_commit(kit->store);
    assert_int_equal(mr_bq_due(kit->store), kit->now + 5000000);
    assert_null(mr_bq_idle(kit->store, kit->now + 4999999, &kit->answer));
    assert_ptr_equal(mr_bq_idle(kit->store, kit->now + 5000000, &kit->answer), c);
    assert_int_equal(kit->answer.code, MR_GRPC_ABORTED);
    mr_bq_connection_destroy(c);
    assert_int_equal(mr_bq_due(kit->store), MR_BQ_NEVER);
    kit_close(kit);
}

static void a_fresh_table_is_not_found_for_a_while(void **state)
{
    struct kit *kit = opened(&(struct mr_bq_options){.fresh_us = 1000000});

    (void)state;
    assert_int_equal(append_ids(kit, connect(kit), DEFAULT, id_schema(), NO_OFFSET, 0, 1),
                     MR_GRPC_NOT_FOUND);
    kit->now += 1000000;
    assert_int_equal(append_ids(kit, connect(kit), DEFAULT, id_schema(), NO_OFFSET, 0, 1),
                     MR_GRPC_OK);
    kit_close(kit);
}

static void the_throttle_refuses_until_it_is_full(void **state)
{
    struct kit *kit = opened(&(struct mr_bq_options){.throttle_bytes = 4000});
    struct mr_bq_connection *c = connect(kit);
    int taken = 0;

    (void)state;
    while (append_ids(kit, c, DEFAULT, id_schema(), NO_OFFSET, 1, 100) == MR_GRPC_OK)
        taken++;
    assert_int_equal(taken, 10); /* a row of 2 bytes stands in 4 */
    assert_int_equal(kit->response.error.code, MR_GRPC_RESOURCE_EXHAUSTED);
    assert_true(says(kit->response.error.message, "Exceeds 'AppendRows throughput' quota"));
    kit->now += 5000000;
    assert_int_equal(append_ids(kit, c, DEFAULT, id_schema(), NO_OFFSET, 1, 1),
                     MR_GRPC_RESOURCE_EXHAUSTED);
    kit->now += 5000002;
    assert_int_equal(append_ids(kit, c, DEFAULT, id_schema(), NO_OFFSET, 1, 1), MR_GRPC_OK);
    assert_int_equal(rows_of(kit), 1001);
    kit_close(kit);
}

static void faults_come_when_asked_for(void **state)
{
    struct kit *kit = opened(NULL);
    struct mr_bq_connection *c = connect(kit);

    (void)state;
    mr_bq_faults_set(kit->store, &(struct mr_bq_faults){.error = 1, .error_code = MR_GRPC_ABORTED});
    assert_int_equal(append_ids(kit, c, DEFAULT, id_schema(), NO_OFFSET, 0, 1), MR_GRPC_ABORTED);
    assert_int_equal(kit->answer.code, MR_GRPC_OK);
    mr_bq_faults_set(kit->store, &(struct mr_bq_faults){.status = 1});
    assert_int_equal(append_ids(kit, c, DEFAULT, id_schema(), NO_OFFSET, 0, 1),
                     MR_GRPC_UNAVAILABLE);
    assert_int_equal(kit->answer.message.bytes, 0);
    assert_int_equal(rows_of(kit), 0);
    mr_bq_faults_set(kit->store, &(struct mr_bq_faults){.reply_lost = 1});
    assert_int_equal(append_ids(kit, c, DEFAULT, id_schema(), NO_OFFSET, 0, 1),
                     MR_GRPC_UNAVAILABLE);
    assert_int_equal(rows_of(kit), 1);
    kit_close(kit);
}

static void a_deleted_table_is_gone_under_open_connections(void **state)
{
    struct kit *kit = opened(NULL);
    struct mr_bq_connection *c = connect(kit), *named = connect(kit);
    char name[256];

    (void)state;
    make_stream(kit, MR_BIGQUERY_BUFFERED, name);
    assert_int_equal(append_ids(kit, c, DEFAULT, id_schema(), NO_OFFSET, 0, 1), MR_GRPC_OK);
    assert_int_equal(append_ids(kit, named, name, id_schema(), 0, 0, 1), MR_GRPC_OK);
    rest(kit, "DELETE", "/projects/p/datasets/d/tables/t", "");
    assert_int_equal(kit->status, 204);
    assert_int_equal(append_ids(kit, c, "", mr_span_of(NULL, 0), NO_OFFSET, 0, 1),
                     MR_GRPC_NOT_FOUND);
    make_table(kit, IDS, "");
    assert_int_equal(append_ids(kit, c, DEFAULT, id_schema(), NO_OFFSET, 0, 1), MR_GRPC_NOT_FOUND);
    assert_int_equal(append_ids(kit, named, "", mr_span_of(NULL, 0), 1, 0, 1), MR_GRPC_NOT_FOUND);
    assert_int_equal(rows_of(kit), 0);
    kit_close(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_stream_takes_rows_at_once),
        cmocka_unit_test(offsets_are_enforced_and_the_connection_lives_on),
        cmocka_unit_test(a_finalized_stream_takes_no_more),
        cmocka_unit_test(flushing_twice_shows_rows_once),
        cmocka_unit_test(pending_streams_commit_together_or_not_at_all),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(streams_describe_themselves),
        cmocka_unit_test(the_first_request_names_stream_and_schema),
        cmocka_unit_test(default_streams_share_a_connection),
        cmocka_unit_test(oversize_is_refused_and_closes),
        cmocka_unit_test(a_silent_connection_is_closed),
        cmocka_unit_test(a_fresh_table_is_not_found_for_a_while),
        cmocka_unit_test(the_throttle_refuses_until_it_is_full),
        cmocka_unit_test(faults_come_when_asked_for),
        cmocka_unit_test(a_deleted_table_is_gone_under_open_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
