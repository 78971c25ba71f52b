/* What the tests of the local BigQuery share: a store, REST calls as text, descriptors and append
 * requests built field by field, answers parsed. */
#ifndef MR_TESTS_LOCAL_BQ_KIT_H
#define MR_TESTS_LOCAL_BQ_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "local/bigquery.h"

#define T0    INT64_C(1732300000000000) /* 2024-11-22T18:26:40Z */
#define TABLE "projects/p/datasets/d/tables/t"

struct kit {
    struct mr_bq *store;
    int64_t now;
    int status; /* of the last REST call */
    char reply[65536];
    uint8_t buffer[1 << 20]; /* of the last request */
    struct mr_bq_answer answer;
    struct mr_bigquery_append_response response;
};

static struct kit *kit_open(const struct mr_bq_options *options)
{
    struct kit *kit = calloc(1, sizeof *kit);
    kit->now = T0;
    if (mr_bq_create(&kit->store, options ? options : &(struct mr_bq_options){.seed = 1}) != MR_OK)
        fail_msg("%s", mr_bq_problem(kit->store));
    return kit;
}

static void kit_close(struct kit *kit)
{
    mr_bq_destroy(kit->store);
    free(kit);
}

/* The body of the reply; kit->status holds its status. */
static const char *rest(struct kit *kit, const char *method, const char *target, const char *body)
{
    struct mr_bq_request request = {
        .method = mr_span_text(method), .target = mr_span_text(target), .body = mr_span_text(body)};
    struct mr_bq_reply reply;

    mr_bq_rest(kit->store, &request, kit->now, &reply);
    kit->status = reply.status;
    assert_true(reply.body.bytes < sizeof kit->reply);
    memcpy(kit->reply, reply.body.bytes ? (const char *)reply.body.data : "", reply.body.bytes);
    kit->reply[reply.body.bytes] = 0;
    return kit->reply;
}

/* The table d.t of project p; `fields` as JSON, `more` members of the resource behind a comma. */
static void make_table(struct kit *kit, const char *fields, const char *more)
{
    char body[8192];

    rest(kit, "POST", "/bigquery/v2/projects/p/datasets",
         "{\"datasetReference\":{\"datasetId\":\"d\"}}");
    snprintf(body, sizeof body,
             "{\"tableReference\":{\"tableId\":\"t\"},\"schema\":{\"fields\":[%s]}%s}", fields,
             more);
    rest(kit, "POST", "/bigquery/v2/projects/p/datasets/d/tables", body);
    if (kit->status != 200)
        fail_msg("%s", kit->reply);
}

/* The first column of the only row of an SQL statement, as text; "NULL", "none". */
static const char *sql(struct kit *kit, const char *text)
{
    static char out[4096];
    sqlite3_stmt *row;

    if (sqlite3_prepare_v2(mr_bq_handle(kit->store), text, -1, &row, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(mr_bq_handle(kit->store)));
    snprintf(out, sizeof out, "none");
    if (sqlite3_step(row) == SQLITE_ROW) {
        const char *value = (const char *)sqlite3_column_text(row, 0);
        snprintf(out, sizeof out, "%s", value ? value : "NULL");
    }
    sqlite3_finalize(row);
    return out;
}

static int64_t rows_of(struct kit *kit)
{
    return atoll(sql(kit, "select count(*) from \"d.t\""));
}

/* ---- descriptors ---- */

struct field {
    const char *name;
    int32_t type;
    int32_t label;   /* 0: OPTIONAL */
    uint32_t nested; /* of a MESSAGE: message of this name index + 1 */
};

struct message {
    const char *name;
    const struct field *fields;
    uint32_t count;
};

/* Message 0 is the root, the others are nested within it; fields are numbered from 1. */
static struct mr_span descriptor(const struct message *messages, uint32_t count)
{
    static uint8_t buffer[65536];
    struct mr_bigquery_message out[16] = {0};
    struct mr_bigquery_field fields[256] = {0};
    struct mr_bigquery_descriptor d = {out, fields, NULL, 16, 256, 0, count, 0, 0};
    struct mr_pen pen = mr_pen_of(buffer, sizeof buffer);

    for (uint32_t m = 0; m < count; m++) {
        out[m] = (struct mr_bigquery_message){.name = mr_span_text(messages[m].name),
                                              .parent = m ? 0 : MR_BIGQUERY_NO_MESSAGE,
                                              .field_first = d.field_count,
                                              .field_count = messages[m].count};
        for (uint32_t f = 0; f < messages[m].count; f++) {
            const struct field *from = &messages[m].fields[f];
            fields[d.field_count++] = (struct mr_bigquery_field){
                .name = mr_span_text(from->name),
                .number = f + 1,
                .label = from->label ? from->label : MR_PROTO_OPTIONAL,
                .type = from->type,
                .message = from->nested ? from->nested : MR_BIGQUERY_NO_MESSAGE,
                .enumeration = MR_BIGQUERY_NO_MESSAGE,
                .type_name = from->nested ? mr_span_text(messages[from->nested].name)
                                          : mr_span_of(NULL, 0),
            };
        }
    }
    mr_bigquery_descriptor_put(&pen, &d);
    assert_int_equal(pen.err, MR_OK);
    return mr_pen_span(&pen);
}

#define FIELDS(...)                                                                                \
    descriptor(                                                                                    \
        &(struct message){"row", (const struct field[]){__VA_ARGS__},                              \
                          sizeof((const struct field[]){__VA_ARGS__}) / sizeof(struct field)},     \
        1)

/* {id INT64} */
static struct mr_span id_schema(void)
{
    return FIELDS({"id", MR_PROTO_INT64, 0, 0});
}

/* ---- appends ---- */

#define NO_OFFSET (-1)

/* A request under construction in kit->buffer; rows are written with append->pen. */
static struct mr_bigquery_append begin(struct kit *kit, const char *stream, struct mr_span schema,
                                       int64_t offset)
{
    struct mr_bigquery_append append;
    struct mr_bigquery_append_head head = {
        .write_stream = mr_span_text(stream),
        .offset = {offset != NO_OFFSET, offset},
        .descriptor = {schema.bytes > 0, schema},
    };

    assert_int_equal(mr_bigquery_append_begin(&append, kit->buffer, sizeof kit->buffer, &head),
                     MR_OK);
    return append;
}

/* The answer's gRPC code, else that of the in-band error. */
static int32_t send_bytes(struct kit *kit, struct mr_bq_connection *connection,
                          struct mr_span request)
{
    mr_bq_append(connection, request, kit->now, &kit->answer);
    memset(&kit->response, 0, sizeof kit->response);
    if (kit->answer.code != MR_GRPC_OK)
        return kit->answer.code;
    assert_int_equal(mr_bigquery_append_response_parse(&kit->response, kit->answer.message), MR_OK);
    assert_true(kit->response.append_result.present != kit->response.error.present);
    return kit->response.error.present ? kit->response.error.code : MR_GRPC_OK;
}

static int32_t finish(struct kit *kit, struct mr_bq_connection *connection,
                      struct mr_bigquery_append *append)
{
    return send_bytes(kit, connection, mr_bigquery_append_finish(append));
}

static void row_int(struct mr_bigquery_append *append, int64_t value)
{
    size_t mark = mr_bigquery_row_open(append);
    mr_pb_put_int(&append->pen, 1, value);
    assert_true(mr_bigquery_row_close(append, mark));
}

/* `count` rows {id: first...}. */
static int32_t append_ids(struct kit *kit, struct mr_bq_connection *connection, const char *stream,
                          struct mr_span schema, int64_t offset, int64_t first, uint32_t count)
{
    struct mr_bigquery_append append = begin(kit, stream, schema, offset);
    for (uint32_t i = 0; i < count; i++)
        row_int(&append, first + i);
    return finish(kit, connection, &append);
}

/* The StorageError code of the last in-band error, 0: none. */
static int32_t storage_code(struct kit *kit)
{
    struct mr_bigquery_storage_error error = {0};
    return mr_bigquery_storage_error_of(&kit->response.error, &error) ? error.code : 0;
}

static bool says(struct mr_span text, const char *part)
{
    return memmem(text.data, text.bytes, part, strlen(part)) != NULL;
}

/* ---- unary calls ---- */

#define CALL(kit, method, name, request)                                                           \
    do {                                                                                           \
        uint8_t room_[8192];                                                                       \
        struct mr_pen pen_ = mr_pen_of(room_, sizeof room_);                                       \
        name##_put(&pen_, request);                                                                \
        mr_bq_call((kit)->store, MR_BIGQUERY_##method, mr_pen_span(&pen_), (kit)->now,             \
                   &(kit)->answer);                                                                \
    } while (0)

/* The new stream's name. */
static const char *make_stream(struct kit *kit, int32_t type, char name[256])
{
    struct mr_bigquery_create_write_stream request = {
        .parent = mr_span_text(TABLE), .write_stream = {.present = true, .type = type}};
    struct mr_bigquery_write_stream stream;

    CALL(kit, CREATE_WRITE_STREAM, mr_bigquery_create_write_stream, &request);
    assert_int_equal(kit->answer.code, MR_GRPC_OK);
    assert_int_equal(mr_bigquery_write_stream_parse(&stream, kit->answer.message), MR_OK);
    snprintf(name, 256, "%.*s", (int)stream.name.bytes, (const char *)stream.name.data);
    return name;
}

static int64_t finalize(struct kit *kit, const char *name)
{
    struct mr_bigquery_finalize request = {mr_span_text(name)};
    struct mr_bigquery_finalize_response response;

    CALL(kit, FINALIZE_WRITE_STREAM, mr_bigquery_finalize, &request);
    if (kit->answer.code != MR_GRPC_OK)
        return -kit->answer.code;
    mr_bigquery_finalize_response_parse(&response, kit->answer.message);
    return response.row_count;
}

/* The offset answered, or minus the code. */
static int64_t flush(struct kit *kit, const char *name, int64_t offset)
{
    struct mr_bigquery_flush request = {mr_span_text(name), {true, offset}};
    struct mr_bigquery_flush_response response;

    CALL(kit, FLUSH_ROWS, mr_bigquery_flush, &request);
    if (kit->answer.code != MR_GRPC_OK)
        return -kit->answer.code;
    mr_bigquery_flush_response_parse(&response, kit->answer.message);
    return response.offset;
}

/* 0: committed; else the first StorageError code, or minus the call's. */
static int32_t commit(struct kit *kit, const char *const *names, uint32_t count)
{
    struct mr_span items[8];
    struct mr_bigquery_batch_commit request = {.parent = mr_span_text(TABLE),
                                               .write_streams = {.items = items, .count = count}};
    struct mr_bigquery_batch_commit_response response;
    struct mr_bigquery_storage_error error;
    struct mr_span bytes;

    for (uint32_t i = 0; i < count; i++)
        items[i] = mr_span_text(names[i]);
    CALL(kit, BATCH_COMMIT_WRITE_STREAMS, mr_bigquery_batch_commit, &request);
    if (kit->answer.code != MR_GRPC_OK)
        return -kit->answer.code;
    mr_bigquery_batch_commit_response_parse(&response, kit->answer.message);
    struct mr_pb_each each = mr_pb_list_each(&response.stream_errors);
    if (!response.stream_errors.found) {
        assert_true(response.commit_time.present);
        return 0;
    }
    assert_false(response.commit_time.present);
    assert_true(mr_pb_each_span(&each, &bytes));
    mr_bigquery_storage_error_parse(&error, bytes);
    return error.code;
}

#endif
