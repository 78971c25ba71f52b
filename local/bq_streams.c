#include <stdio.h>
#include <stdlib.h>

#include "core/hash.h"
#include "local/bq_state.h"

#define COMMIT_STREAMS_MAX 10000 /* quota page */

/* ---- the table of streams ---- */

static struct mr_bq_stream **bucket_of(struct mr_bq *store, struct mr_span name)
{
    return &store->streams[mr_hash64(name.data, name.bytes, 0) % MR_BQ_STREAM_BUCKETS];
}

static struct mr_bq_stream *stream_add(struct mr_bq *store, struct mr_bq_table *table,
                                       const char *name)
{
    struct mr_bq_stream **bucket = bucket_of(store, mr_span_text(name));
    struct mr_bq_stream *stream = calloc(1, sizeof *stream);
    MR_ASSERT(stream);

    stream->table = table;
    snprintf(stream->name, sizeof stream->name, "%s", name);
    stream->next = *bucket;
    *bucket = stream;
    return stream;
}

int mr_bq_streams_load(struct mr_bq *store)
{
    sqlite3_stmt *rows = mr_bq_prepare(
        store, "select id, table_id, name, type, rows, shown, finalized, committed, create_us,"
               " commit_us from \"$streams\"");

    if (!rows)
        return MR_E_LOCAL_DATABASE;
    while (sqlite3_step(rows) == SQLITE_ROW) {
        struct mr_bq_table *table = store->tables;
        while (table && table->id != sqlite3_column_int64(rows, 1))
            table = table->next;
        if (!table)
            continue;
        struct mr_bq_stream *s = stream_add(store, table,
                                            (const char *)sqlite3_column_text(rows, 2));
        s->id = sqlite3_column_int64(rows, 0);
        s->type = sqlite3_column_int(rows, 3);
        s->end = sqlite3_column_int64(rows, 4);
        s->shown = sqlite3_column_int64(rows, 5);
        s->finalized = sqlite3_column_int(rows, 6) != 0;
        s->committed = sqlite3_column_int(rows, 7) != 0;
        s->create_us = sqlite3_column_int64(rows, 8);
        s->commit_us = sqlite3_column_int64(rows, 9);
    }
    return sqlite3_finalize(rows) == SQLITE_OK ? MR_OK : MR_E_LOCAL_DATABASE;
}

void mr_bq_streams_forget(struct mr_bq_table *table)
{
    struct mr_bq *store = table->store;

    for (struct mr_bq_stream **at = &store->dirty; *at;) {
        if ((*at)->table == table)
            *at = (*at)->next_dirty;
        else
            at = &(*at)->next_dirty;
    }
    for (uint32_t i = 0; i < MR_BQ_STREAM_BUCKETS; i++) {
        for (struct mr_bq_stream **at = &store->streams[i]; *at;) {
            struct mr_bq_stream *stream = *at;
            if (stream->table != table) {
                at = &stream->next;
                continue;
            }
            *at = stream->next;
            free(stream);
        }
    }
}

void mr_bq_stream_dirty(struct mr_bq *store, struct mr_bq_stream *stream)
{
    if (stream->dirty)
        return;
    stream->dirty = true;
    stream->next_dirty = store->dirty;
    store->dirty = stream;
}

int mr_bq_streams_write(struct mr_bq *store)
{
    while (store->dirty) {
        struct mr_bq_stream *stream = store->dirty;
        sqlite3_stmt *put = store->stream_put;
        sqlite3_bind_int64(put, 1, stream->id);
        sqlite3_bind_int64(put, 2, stream->end);
        sqlite3_bind_int64(put, 3, stream->shown);
        sqlite3_bind_int(put, 4, stream->finalized);
        sqlite3_bind_int(put, 5, stream->committed);
        sqlite3_bind_int64(put, 6, stream->commit_us);
        int err = mr_bq_step(store, put);
        if (err != MR_OK)
            return err;
        store->dirty = stream->next_dirty;
        stream->dirty = false;
    }
    return MR_OK;
}

/* ---- names ---- */

/* The next part of a resource name; false: there is none, or it is empty. */
static bool part(struct mr_span *path, struct mr_span *out)
{
    const uint8_t *slash = path->bytes ? memchr(path->data, '/', path->bytes) : NULL;

    *out = mr_span_of(path->data, slash ? (size_t)(slash - path->data) : path->bytes);
    size_t used = out->bytes + (slash != NULL);
    *path = mr_span_of(path->data + used, path->bytes - used);
    return out->bytes > 0;
}

static bool word(struct mr_span *path, const char *expected)
{
    struct mr_span got;
    return part(path, &got) && mr_span_equal(got, mr_span_text(expected));
}

/* projects/P/datasets/D/tables/T, and what follows it in *rest. */
static enum mr_bq_where table_of(struct mr_bq *store, struct mr_span name, int64_t now_us,
                                 struct mr_span *rest, struct mr_bq_table **table)
{
    struct mr_span project, dataset, id;

    if (!word(&name, "projects") || !part(&name, &project) || !word(&name, "datasets") ||
        !part(&name, &dataset) || !word(&name, "tables") || !part(&name, &id))
        return MR_BQ_BAD_NAME;
    *rest = name;
    *table = mr_bq_table_find(store, project, dataset, id);
    if (!*table || now_us - (*table)->create_us < store->options.fresh_us)
        return MR_BQ_NO_TABLE;
    return MR_BQ_FOUND;
}

enum mr_bq_where mr_bq_stream_find(struct mr_bq *store, struct mr_span name, int64_t now_us,
                                   struct mr_bq_place *place)
{
    struct mr_span rest, id;

    *place = (struct mr_bq_place){0};
    enum mr_bq_where where = table_of(store, name, now_us, &rest, &place->table);
    if (where == MR_BQ_BAD_NAME || !part(&rest, &id))
        return MR_BQ_BAD_NAME;
    bool streams = mr_span_equal(id, mr_span_text("streams"));
    if (streams && !part(&rest, &id))
        return MR_BQ_BAD_NAME;
    if (rest.bytes || (!streams && !mr_span_equal(id, mr_span_text("_default"))))
        return MR_BQ_BAD_NAME;
    if (where != MR_BQ_FOUND || mr_span_equal(id, mr_span_text("_default")))
        return where;
    place->stream = *bucket_of(store, id);
    while (place->stream && !(mr_span_equal(mr_span_text(place->stream->name), id) &&
                              place->stream->table == place->table))
        place->stream = place->stream->next;
    return place->stream ? MR_BQ_FOUND : MR_BQ_NO_STREAM;
}

static const char *name_print(struct mr_bq *store, const struct mr_bq_place *place)
{
    return mr_bq_heap_print(&store->heap, "projects/%s/datasets/%s/tables/%s/streams/%s",
                            place->table->project, place->table->dataset, place->table->name,
                            place->stream ? place->stream->name : "_default");
}

/* Ends the call for a name that leads nowhere; false: it was found. */
static bool lost(struct mr_bq *store, enum mr_bq_where where, struct mr_span name,
                 struct mr_bq_answer *answer)
{
    const char *text = mr_bq_heap_copy(&store->heap, name);

    if (where == MR_BQ_FOUND)
        return false;
    if (where == MR_BQ_BAD_NAME)
        mr_bq_answer_end(store, answer, MR_GRPC_INVALID_ARGUMENT, 0, "",
                         mr_bq_heap_print(&store->heap, "Invalid resource name: %s", text));
    else if (where == MR_BQ_NO_TABLE)
        mr_bq_answer_end(store, answer, MR_GRPC_NOT_FOUND, MR_BIGQUERY_TABLE_NOT_FOUND, text,
                         mr_bq_heap_print(&store->heap,
                                          "Requested entity was not found. Table "
                                          "not found: %s",
                                          text));
    else
        mr_bq_answer_end(store, answer, MR_GRPC_NOT_FOUND, MR_BIGQUERY_STREAM_NOT_FOUND, text,
                         mr_bq_heap_print(&store->heap,
                                          "Requested entity was not found. Stream "
                                          "not found: %s",
                                          text));
    return true;
}

static void refuse(struct mr_bq *store, struct mr_bq_answer *answer, int32_t storage,
                   const struct mr_bq_place *place, const char *text)
{
    mr_bq_answer_end(store, answer, MR_GRPC_INVALID_ARGUMENT, storage, name_print(store, place),
                     text);
}

static void broken(struct mr_bq *store, struct mr_bq_answer *answer)
{
    mr_bq_answer_end(store, answer, MR_GRPC_INTERNAL, 0, "", mr_bq_problem(store));
}

static void describe(struct mr_bq *store, const struct mr_bq_place *place, bool schema,
                     int64_t now_us, struct mr_bq_answer *answer)
{
    const struct mr_bq_stream *s = place->stream;
    struct mr_bq_table *table = place->table;
    int64_t commit_us = s && s->type != MR_BIGQUERY_COMMITTED ? s->commit_us
                        : s                                   ? s->create_us
                                                              : table->create_us;
    struct mr_bigquery_write_stream out = {
        .present = true,
        .name = mr_span_text(name_print(store, place)),
        .type = s ? s->type : MR_BIGQUERY_COMMITTED,
        .create_time = mr_pb_time_from_us(s ? s->create_us : table->create_us),
        .write_mode = 1,
        .location = mr_span_text(store->options.location),
    };
    if (commit_us)
        out.commit_time = mr_pb_time_from_us(commit_us);
    if (schema)
        out.table_schema = (struct mr_pb_part){
            true, mr_bq_table_schema(table, mr_bq_table_known(table, now_us))};
    MR_BQ_ANSWER(store, answer, mr_bigquery_write_stream, &out);
}

/* ---- the calls ---- */

static void create(struct mr_bq *store, struct mr_span bytes, int64_t now_us,
                   struct mr_bq_answer *answer)
{
    struct mr_bigquery_create_write_stream request;
    struct mr_bq_place place = {0};
    struct mr_span rest;
    char name[24];

    mr_bigquery_create_write_stream_parse(&request, bytes);
    enum mr_bq_where where = table_of(store, request.parent, now_us, &rest, &place.table);
    if (where == MR_BQ_FOUND && rest.bytes)
        where = MR_BQ_BAD_NAME;
    if (lost(store, where, request.parent, answer))
        return;
    int32_t type = request.write_stream.type;
    if (type < MR_BIGQUERY_COMMITTED || type > MR_BIGQUERY_BUFFERED || place.table->view) {
        mr_bq_answer_end(store, answer, MR_GRPC_INVALID_ARGUMENT, 0, "",
                         place.table->view ? "A view takes no rows."
                                           : "The stream type must be COMMITTED, PENDING or "
                                             "BUFFERED.");
        return;
    }
    int err = mr_bq_begin(store, now_us);
    if (err == MR_OK && type != MR_BIGQUERY_COMMITTED)
        err = mr_bq_table_hold(place.table);
    if (err == MR_OK)
        err = mr_bq_sql(store,
                        "insert into \"$streams\"(table_id, type, rows, shown, finalized,"
                        " committed, create_us, commit_us) values(%lld, %d, 0, 0, 0, 0, %lld, 0)",
                        (long long)place.table->id, type, (long long)now_us);
    int64_t id = sqlite3_last_insert_rowid(store->db);
    /* Not guessable from the one before, never the same twice: the id is part of the hash. */
    uint64_t hash = mr_hash_mix((uint64_t)id ^ MR_HASH_K0, store->options.seed ^ MR_HASH_K1);
    snprintf(name, sizeof name, "%x%08x", (uint32_t)id, (uint32_t)hash);
    if (err == MR_OK)
        err = mr_bq_sql(store, "update \"$streams\" set name=%Q where id=%lld", name,
                        (long long)id);
    if (err != MR_OK) {
        broken(store, answer);
        return;
    }
    place.stream = stream_add(store, place.table, name);
    place.stream->id = id;
    place.stream->type = type;
    place.stream->create_us = now_us;
    describe(store, &place, true, now_us, answer);
}

static void get(struct mr_bq *store, struct mr_span bytes, int64_t now_us,
                struct mr_bq_answer *answer)
{
    struct mr_bigquery_get_write_stream request;
    struct mr_bq_place place;

    mr_bigquery_get_write_stream_parse(&request, bytes);
    if (!lost(store, mr_bq_stream_find(store, request.name, now_us, &place), request.name, answer))
        describe(store, &place, request.view == 2, now_us, answer);
}

static void finalize(struct mr_bq *store, struct mr_span bytes, int64_t now_us,
                     struct mr_bq_answer *answer)
{
    struct mr_bigquery_finalize request;
    struct mr_bq_place place;

    mr_bigquery_finalize_parse(&request, bytes);
    if (lost(store, mr_bq_stream_find(store, request.name, now_us, &place), request.name, answer))
        return;
    if (!place.stream) {
        refuse(store, answer, MR_BIGQUERY_INVALID_STREAM_TYPE, &place,
               "The default stream cannot be finalized.");
        return;
    }
    if (mr_bq_begin(store, now_us) != MR_OK) {
        broken(store, answer);
        return;
    }
    place.stream->finalized = true;
    mr_bq_stream_dirty(store, place.stream);
    struct mr_bigquery_finalize_response response = {place.stream->end};
    MR_BQ_ANSWER(store, answer, mr_bigquery_finalize_response, &response);
}

static void flush(struct mr_bq *store, struct mr_span bytes, int64_t now_us,
                  struct mr_bq_answer *answer)
{
    struct mr_bigquery_flush request;
    struct mr_bq_place place;

    mr_bigquery_flush_parse(&request, bytes);
    if (lost(store, mr_bq_stream_find(store, request.write_stream, now_us, &place),
             request.write_stream, answer))
        return;
    struct mr_bq_stream *stream = place.stream;
    if (!stream || stream->type != MR_BIGQUERY_BUFFERED) {
        refuse(store, answer, MR_BIGQUERY_INVALID_STREAM_TYPE, &place,
               "Only a BUFFERED stream can be flushed.");
        return;
    }
    if (!request.offset.present || request.offset.value < 0) {
        refuse(store, answer, 0, &place, "FlushRows needs an offset that is not negative.");
        return;
    }
    if (request.offset.value >= stream->end) {
        mr_bq_answer_end(store, answer, MR_GRPC_OUT_OF_RANGE, MR_BIGQUERY_OFFSET_OUT_OF_RANGE,
                         name_print(store, &place),
                         mr_bq_heap_print(&store->heap,
                                          "The offset is beyond stream, expected offset below "
                                          "%lld, received %lld",
                                          (long long)stream->end, (long long)request.offset.value));
        return;
    }
    if (mr_bq_rows_show(stream, request.offset.value + 1, now_us) != MR_OK) {
        broken(store, answer);
        return;
    }
    struct mr_bigquery_flush_response response = {stream->shown - 1};
    MR_BQ_ANSWER(store, answer, mr_bigquery_flush_response, &response);
}

/* Why this stream cannot be committed, 0: it can. */
static int32_t commit_refusal(const struct mr_bq_place *place, enum mr_bq_where where,
                              const struct mr_bq_table *table, const char **text)
{
    const struct mr_bq_stream *stream = place->stream;

    *text = "The stream is not one of this table.";
    if (where != MR_BQ_FOUND || place->table != table)
        return MR_BIGQUERY_STREAM_NOT_FOUND;
    *text = "Only a PENDING stream can be committed.";
    if (!stream || stream->type != MR_BIGQUERY_PENDING)
        return MR_BIGQUERY_INVALID_STREAM_TYPE;
    *text = "The stream is already committed.";
    if (stream->committed)
        return MR_BIGQUERY_STREAM_ALREADY_COMMITTED;
    *text = "The stream is not finalized.";
    return stream->finalized ? 0 : MR_BIGQUERY_INVALID_STREAM_STATE;
}

/* Shows the rows of the streams, a stream named twice once. */
static int streams_commit(struct mr_bq *store, struct mr_bq_stream **streams, uint32_t count,
                          int64_t now_us)
{
    int err = mr_bq_begin(store, now_us);
    if (err == MR_OK)
        err = mr_bq_step(store, store->save);
    if (err != MR_OK)
        return err;
    for (uint32_t i = 0; err == MR_OK && i < count; i++)
        err = mr_bq_rows_show(streams[i], streams[i]->end, now_us);
    for (uint32_t i = 0; i < count; i++) {
        streams[i]->shown = err == MR_OK ? streams[i]->shown : 0;
        streams[i]->committed = err == MR_OK;
        streams[i]->commit_us = err == MR_OK ? now_us : 0;
        mr_bq_stream_dirty(store, streams[i]);
    }
    if (err != MR_OK)
        mr_bq_step(store, store->undo);
    int released = mr_bq_step(store, store->release);
    return err == MR_OK ? released : err;
}

static void batch_commit(struct mr_bq *store, struct mr_span bytes, int64_t now_us,
                         struct mr_bq_answer *answer)
{
    struct mr_bigquery_batch_commit request;
    struct mr_bq_table *table;
    struct mr_span rest, name;
    struct mr_bq_spans errors = {0};

    mr_bigquery_batch_commit_parse(&request, bytes);
    if (lost(store, table_of(store, request.parent, now_us, &rest, &table), request.parent, answer))
        return;
    if (rest.bytes || !request.write_streams.found ||
        request.write_streams.found > COMMIT_STREAMS_MAX) {
        mr_bq_answer_end(store, answer, MR_GRPC_INVALID_ARGUMENT, 0, "",
                         "BatchCommitWriteStreams takes one table and 1 to 10000 streams.");
        return;
    }
    struct mr_bq_stream **streams = mr_bq_heap_take(&store->heap,
                                                    request.write_streams.found * sizeof *streams);
    uint32_t count = 0;
    struct mr_pb_each each = mr_pb_list_each(&request.write_streams);
    while (mr_pb_each_span(&each, &name)) {
        struct mr_bq_place place;
        const char *text;
        enum mr_bq_where where = mr_bq_stream_find(store, name, now_us, &place);
        int32_t code = commit_refusal(&place, where, table, &text);
        if (code == 0) {
            streams[count++] = place.stream;
            continue;
        }
        struct mr_bigquery_storage_error error = {code, name, mr_span_text(text)};
        struct mr_bq_answer encoded;
        MR_BQ_ANSWER(store, &encoded, mr_bigquery_storage_error, &error);
        mr_bq_heap_add(&store->heap, &errors, encoded.message);
    }
    struct mr_bigquery_batch_commit_response response = {0};
    response.stream_errors = (struct mr_pb_list){.items = errors.items, .count = errors.count};
    if (errors.count == 0) {
        if (streams_commit(store, streams, count, now_us) != MR_OK) {
            broken(store, answer);
            return;
        }
        response.commit_time = mr_pb_time_from_us(now_us);
    }
    MR_BQ_ANSWER(store, answer, mr_bigquery_batch_commit_response, &response);
}

void mr_bq_call(struct mr_bq *store, enum mr_bigquery_method method, struct mr_span request,
                int64_t now_us, struct mr_bq_answer *answer)
{
    mr_bq_heap_clear(&store->heap);
    if (mr_pb_check(request) != MR_OK) {
        mr_bq_answer_end(store, answer, MR_GRPC_INVALID_ARGUMENT, 0, "",
                         "The request is no protobuf message.");
        return;
    }
    switch (method) {
    case MR_BIGQUERY_CREATE_WRITE_STREAM:
        create(store, request, now_us, answer);
        break;
    case MR_BIGQUERY_GET_WRITE_STREAM:
        get(store, request, now_us, answer);
        break;
    case MR_BIGQUERY_FINALIZE_WRITE_STREAM:
        finalize(store, request, now_us, answer);
        break;
    case MR_BIGQUERY_BATCH_COMMIT_WRITE_STREAMS:
        batch_commit(store, request, now_us, answer);
        break;
    case MR_BIGQUERY_FLUSH_ROWS:
        flush(store, request, now_us, answer);
        break;
    default:
        mr_bq_answer_end(store, answer, MR_GRPC_UNIMPLEMENTED, 0, "",
                         "The method is not one of BigQueryWrite's unary calls.");
    }
}
