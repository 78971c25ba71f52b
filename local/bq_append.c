#include <stdlib.h>

#include "local/bq_state.h"

/* One request under way. */
struct append {
    struct mr_bq_connection *connection;
    struct mr_bq *store;
    struct mr_bigquery_append_request request;
    int64_t now_us;
    struct mr_bq_answer *answer;
    bool ended; /* the answer stands */
};

/* ---- connections ---- */

struct mr_bq_connection *mr_bq_connection_create(struct mr_bq *store, void *user, int64_t now_us)
{
    struct mr_bq_connection *connection = calloc(1, sizeof *connection);
    MR_ASSERT(connection);

    *connection = (struct mr_bq_connection){
        .next = store->connections, .store = store, .user = user, .heard_us = now_us};
    store->connections = connection;
    return connection;
}

void mr_bq_connection_destroy(struct mr_bq_connection *connection)
{
    if (!connection)
        return;
    struct mr_bq_connection **at = &connection->store->connections;
    while (*at != connection)
        at = &(*at)->next;
    *at = connection->next;
    mr_bq_binding_destroy(connection->binding);
    free(connection->stream_name);
    free(connection);
}

void *mr_bq_connection_user(const struct mr_bq_connection *connection)
{
    return connection->user;
}

struct mr_bq_connection *mr_bq_idle(struct mr_bq *store, int64_t now_us,
                                    struct mr_bq_answer *answer)
{
    struct mr_bq_connection *oldest = store->connections;

    for (struct mr_bq_connection *c = store->connections; c; c = c->next)
        if (c->heard_us < oldest->heard_us)
            oldest = c;
    if (!oldest || now_us - oldest->heard_us < store->options.idle_us)
        return NULL;
    mr_bq_heap_clear(&store->heap);
    mr_bq_answer_end(store, answer, MR_GRPC_ABORTED, 0, "",
                     mr_bq_heap_print(&store->heap,
                                      "Closing the stream because server is closing the stream "
                                      "because client has been inactive for %lld seconds.",
                                      (long long)(store->options.idle_us / 1000000)));
    return oldest;
}

/* ---- answers ---- */

static void end(struct append *a, int32_t code, int32_t storage, const char *text)
{
    const char *entity = a->connection->stream_name ? a->connection->stream_name : "";
    mr_bq_answer_end(a->store, a->answer, code, storage, storage ? entity : "", text);
    a->ended = true;
}

/* Sends `response` with what every response carries. */
static void respond(struct append *a, struct mr_bigquery_append_response *response)
{
    struct mr_bq_connection *c = a->connection;
    bool known = a->now_us - c->table->changed_us >= a->store->options.schema_delay_us;

    response->write_stream = mr_span_text(c->stream_name);
    if (known && c->version < c->table->version) {
        c->version = c->table->version;
        response->updated_schema = (struct mr_pb_part){
            true, mr_bq_table_schema(c->table, c->table->column_count)};
    }
    MR_BQ_ANSWER(a->store, a->answer, mr_bigquery_append_response, response);
    a->ended = true;
}

static void refuse(struct append *a, int32_t code, int32_t storage, const char *text)
{
    struct mr_bigquery_append_response response = {
        .error = mr_bq_status(a->store, code, storage, storage ? a->connection->stream_name : "",
                              text)};
    respond(a, &response);
}

/* ---- where to ---- */

static void lost(struct append *a, enum mr_bq_where where, struct mr_span name)
{
    struct mr_bq_heap *heap = &a->store->heap;
    const char *text = mr_bq_heap_copy(heap, name);

    if (where == MR_BQ_BAD_NAME)
        mr_bq_answer_end(a->store, a->answer, MR_GRPC_INVALID_ARGUMENT, 0, "",
                         mr_bq_heap_print(heap, "Invalid stream name: %s", text));
    else
        mr_bq_answer_end(a->store, a->answer, MR_GRPC_NOT_FOUND,
                         where == MR_BQ_NO_TABLE ? MR_BIGQUERY_TABLE_NOT_FOUND
                                                 : MR_BIGQUERY_STREAM_NOT_FOUND,
                         text,
                         mr_bq_heap_print(heap, "Requested entity was not found. %s not found: %s",
                                          where == MR_BQ_NO_TABLE ? "Table" : "Stream", text));
    a->ended = true;
}

/* Another destination than before: only default streams share a connection, and a new table needs
 * its descriptor. */
static void switch_to(struct append *a, const struct mr_bq_place *place, bool schema)
{
    struct mr_bq_connection *c = a->connection;

    if (c->stream_name) {
        if (c->stream || place->stream)
            end(a, MR_GRPC_INVALID_ARGUMENT, 0,
                "Only default streams may share a connection; open another one.");
        else if (!schema && place->table != c->table)
            end(a, MR_GRPC_INVALID_ARGUMENT, 0,
                "The writer schema must be sent when the table changes.");
        c->switched = true;
    }
    if (a->ended)
        return;
    if (place->table != c->table) {
        bool late = a->now_us - place->table->changed_us < a->store->options.schema_delay_us;
        mr_bq_binding_destroy(c->binding);
        c->binding = NULL;
        c->version = place->table->version - (late && place->table->version);
    }
    struct mr_span name = a->request.write_stream;
    free(c->stream_name);
    c->stream_name = malloc(name.bytes + 1);
    MR_ASSERT(c->stream_name);
    memcpy(c->stream_name, name.data, name.bytes);
    c->stream_name[name.bytes] = 0;
    c->table = place->table;
    c->stream = place->stream;
}

static void find_place(struct append *a)
{
    struct mr_bq_connection *c = a->connection;
    struct mr_span name = a->request.write_stream;
    struct mr_bq_place place;
    bool schema = a->request.proto_rows.writer_schema.descriptor.present;

    if (name.bytes == 0 && (!c->stream_name || c->switched)) {
        end(a, MR_GRPC_INVALID_ARGUMENT, 0,
            c->switched ? "Once the destination changed, each request must name its write_stream."
                        : "The first request of a connection must name its write_stream.");
        return;
    }
    bool same = c->stream_name &&
                (name.bytes == 0 || mr_span_equal(name, mr_span_text(c->stream_name)));
    if (same && c->table)
        return;
    enum mr_bq_where where = mr_bq_stream_find(a->store, same ? mr_span_text(c->stream_name) : name,
                                               a->now_us, &place);
    if (where == MR_BQ_FOUND && same) /* the table was deleted under an open connection */
        where = MR_BQ_NO_TABLE;
    if (where == MR_BQ_FOUND && place.table->view)
        end(a, MR_GRPC_INVALID_ARGUMENT, 0, "A view takes no rows.");
    else if (where != MR_BQ_FOUND)
        lost(a, where, same ? mr_span_text(c->stream_name) : name);
    else
        switch_to(a, &place, schema);
}

static void bind(struct append *a)
{
    struct mr_bq_connection *c = a->connection;
    struct mr_pb_part descriptor = a->request.proto_rows.writer_schema.descriptor;
    int32_t storage = 0;
    const char *text = NULL;

    if (!descriptor.present) {
        if (!c->binding)
            end(a, MR_GRPC_INVALID_ARGUMENT, 0,
                "The first request of a connection must carry the writer schema.");
        return;
    }
    if (c->binding && mr_span_equal(descriptor.bytes, mr_span_of(c->binding->descriptor,
                                                                 c->binding->descriptor_bytes)))
        return;
    struct mr_bq_binding *binding = mr_bq_binding_create(c->table, descriptor.bytes, a->now_us,
                                                         &storage, &text);
    if (!binding) {
        refuse(a, MR_GRPC_INVALID_ARGUMENT, storage, text);
        return;
    }
    mr_bq_binding_destroy(c->binding);
    c->binding = binding;
}

/* ---- may it come in ---- */

static void check_change(struct append *a)
{
    struct mr_bq_connection *c = a->connection;

    if (c->binding->changes && (c->stream || c->table->key_count == 0))
        refuse(a, MR_GRPC_INVALID_ARGUMENT, 0,
               "The given value is not a valid CHANGE_TYPE: the stream is in insert mode.");
    else if (c->binding->changes ? c->plain : c->changes)
        refuse(a, MR_GRPC_INVALID_ARGUMENT, 0,
               "The given value is not a valid CHANGE_TYPE: a connection carries changes or plain "
               "rows, not both.");
}

/* Refills evenly; once found short, refuses everything until full. */
static void check_throttle(struct append *a)
{
    struct mr_bq *store = a->store;
    double limit = (double)store->options.throttle_bytes;
    double need = (double)a->request.proto_rows.rows.serialized_rows.message.bytes;

    if (limit == 0)
        return;
    int64_t passed = MR_MAX(a->now_us - store->bucket_us, 0);
    store->bucket_bytes += limit * (double)passed / (double)store->options.refill_us;
    store->bucket_bytes = MR_MIN(store->bucket_bytes, limit);
    store->bucket_us = a->now_us;
    bool full = store->bucket_bytes >= limit;
    if (a->now_us >= store->throttled_until_us && (full || store->bucket_bytes >= need)) {
        store->bucket_bytes = MR_MAX(store->bucket_bytes - need, 0);
        return;
    }
    if (a->now_us >= store->throttled_until_us) {
        double short_bytes = limit - store->bucket_bytes;
        store->throttled_until_us =
            a->now_us + 1 + (int64_t)(short_bytes / limit * (double)store->options.refill_us);
    }
    refuse(a, MR_GRPC_RESOURCE_EXHAUSTED, 0,
           "Exceeds 'AppendRows throughput' quota, user_id: local, quota_id: "
           "AppendBytesThroughputPerProjectRegion");
}

static void check_offset(struct append *a)
{
    struct mr_bq_connection *c = a->connection;
    struct mr_pb_int64 offset = a->request.offset;

    if (!c->stream) {
        if (offset.present)
            refuse(a, MR_GRPC_INVALID_ARGUMENT, 0,
                   "An offset cannot be given when writing to the default stream.");
        return;
    }
    if (c->stream->finalized) {
        refuse(a, MR_GRPC_INVALID_ARGUMENT, MR_BIGQUERY_STREAM_FINALIZED,
               "The stream is finalized and takes no more rows.");
        return;
    }
    if (!offset.present || offset.value == c->stream->end)
        return;
    bool within = offset.value < c->stream->end;
    refuse(a, within ? MR_GRPC_ALREADY_EXISTS : MR_GRPC_OUT_OF_RANGE,
           within ? MR_BIGQUERY_OFFSET_ALREADY_EXISTS : MR_BIGQUERY_OFFSET_OUT_OF_RANGE,
           mr_bq_heap_print(
               &a->store->heap, "The offset is %s stream, expected offset %lld, received %lld",
               within ? "within" : "beyond", (long long)c->stream->end, (long long)offset.value));
}

/* ---- rows ---- */

/* What a column takes when the row does not say: by the request's map, else the connection's rule
 * if the descriptor has the column, else its default. */
static uint8_t *missing_of(struct append *a)
{
    struct mr_bq_table *table = a->connection->table;
    const struct mr_bq_layout *root = a->connection->binding->root;
    uint8_t *missing = mr_bq_heap_take(&a->store->heap, table->column_count + 1);
    struct mr_pb_each each = mr_pb_list_each(&a->request.missing_value_interpretations);
    struct mr_span bytes;

    for (uint32_t i = 0; i < table->column_count; i++)
        missing[i] = i >= root->column_count || !root->by_column[i] ? MR_BIGQUERY_MISSING_DEFAULT
                     : a->connection->missing ? (uint8_t)a->connection->missing
                                              : MR_BIGQUERY_MISSING_NULL;
    while (mr_pb_each_span(&each, &bytes)) {
        struct mr_bigquery_missing_entry entry;
        uint32_t i = 0;
        mr_bigquery_missing_entry_parse(&entry, bytes);
        while (i < table->column_count &&
               !mr_span_equal(mr_span_text(table->columns[i].name), entry.column))
            i++;
        if (i == table->column_count || (entry.interpretation != MR_BIGQUERY_MISSING_NULL &&
                                         entry.interpretation != MR_BIGQUERY_MISSING_DEFAULT)) {
            refuse(a, MR_GRPC_INVALID_ARGUMENT, 0,
                   "missing_value_interpretations names an unknown column or no interpretation.");
            return missing;
        }
        missing[i] = (uint8_t)entry.interpretation;
    }
    return missing;
}

static void row_error(struct append *a, struct mr_bq_spans *errors, uint32_t index,
                      const char *text)
{
    struct mr_bigquery_row_error error = {index, 1, mr_span_text(text)};
    struct mr_bq_answer encoded;

    MR_BQ_ANSWER(a->store, &encoded, mr_bigquery_row_error, &error);
    mr_bq_heap_add(&a->store->heap, errors, encoded.message);
}

/* All rows in cells, NULL if any is bad or nothing can come of it. */
static struct mr_bq_row *decode(struct append *a, uint32_t count)
{
    struct mr_bq_connection *c = a->connection;
    struct mr_bq_heap *heap = &a->store->heap;
    struct mr_bq_decoder decoder = {c->table, c->binding, a->now_us, missing_of(a)};
    struct mr_bq_spans errors = {0};
    uint32_t columns = c->table->column_count, index = 0;
    struct mr_span bytes;

    if (a->ended)
        return NULL;
    struct mr_bq_row *rows = mr_bq_heap_take(heap, count * sizeof *rows);
    struct mr_bq_cell *cells = mr_bq_heap_take(heap, (size_t)count * columns * sizeof *cells);
    memset(rows, 0, count * sizeof *rows);
    memset(cells, 0, (size_t)count * columns * sizeof *cells);
    struct mr_pb_each each = mr_pb_list_each(&a->request.proto_rows.rows.serialized_rows);
    for (; mr_pb_each_span(&each, &bytes); index++) {
        rows[index].cells = cells + (size_t)index * columns;
        const char *wrong = mr_bq_row_decode(&decoder, bytes, &rows[index]);
        if (wrong)
            row_error(a, &errors, index, wrong);
    }
    if (errors.count == 0)
        return rows;
    struct mr_bigquery_append_response response = {
        .error = mr_bq_status(a->store, MR_GRPC_INVALID_ARGUMENT, 0, "",
                              "Errors found while processing rows. Please refer to the row_errors "
                              "field for details. The list may not be complete because of the "
                              "size limitations."),
        .row_errors = {.items = errors.items, .count = errors.count}};
    respond(a, &response);
    return NULL;
}

static void write_rows(struct append *a)
{
    struct mr_bq_connection *c = a->connection;
    struct mr_bigquery_append_response response = {.append_result = {.present = true}};
    uint32_t count = a->request.proto_rows.rows.serialized_rows.found;

    if (count == 0) {
        refuse(a, MR_GRPC_INVALID_ARGUMENT, 0,
               a->request.arrow_rows.present ? "Only proto rows are taken here, no Arrow."
                                             : "The request carries no rows.");
        return;
    }
    struct mr_bq_row *rows = decode(a, count);
    if (!rows)
        return;
    if (mr_bq_rows_write(c->table, c->stream, rows, count, a->now_us) != MR_OK) {
        refuse(a, MR_GRPC_INTERNAL, 0, mr_bq_problem(a->store));
        return;
    }
    c->changes |= c->binding->changes;
    c->plain |= !c->binding->changes;
    if (c->stream) {
        response.append_result.offset = (struct mr_pb_int64){true, c->stream->end};
        c->stream->end += count;
        mr_bq_stream_dirty(a->store, c->stream);
    }
    respond(a, &response);
}

/* ---- the call ---- */

static void check_request(struct append *a, struct mr_span bytes)
{
    const struct mr_bq_faults *faults = &a->store->options.faults;

    if (bytes.bytes > MR_BQ_REQUEST_BYTES_MAX)
        end(a, MR_GRPC_INVALID_ARGUMENT, 0,
            mr_bq_heap_print(&a->store->heap, "AppendRows request too large: %zu limit %u",
                             bytes.bytes, MR_BQ_REQUEST_BYTES_MAX));
    else if (mr_bigquery_append_request_parse(&a->request, bytes) != MR_OK)
        end(a, MR_GRPC_INVALID_ARGUMENT, 0, "The request is no AppendRowsRequest.");
    else if (faults->status > 0 && mr_bq_chance(a->store) < faults->status)
        end(a, faults->status_code ? faults->status_code : MR_GRPC_UNAVAILABLE, 0,
            "A fault that was asked for.");
}

static void check_fault(struct append *a)
{
    const struct mr_bq_faults *faults = &a->store->options.faults;
    if (faults->error > 0 && mr_bq_chance(a->store) < faults->error)
        refuse(a, faults->error_code ? faults->error_code : MR_GRPC_INTERNAL, 0,
               "A fault that was asked for.");
}

void mr_bq_append(struct mr_bq_connection *connection, struct mr_span request, int64_t now_us,
                  struct mr_bq_answer *answer)
{
    struct append a = {
        .connection = connection, .store = connection->store, .now_us = now_us, .answer = answer};
    const struct mr_bq_faults *faults = &a.store->options.faults;
    static void (*const steps[])(struct append *) = {
        find_place, bind, check_fault, check_throttle, check_change, check_offset, write_rows};

    connection->heard_us = now_us;
    mr_bq_heap_clear(&a.store->heap);
    check_request(&a, request);
    if (!a.ended && a.request.default_missing_value_interpretation)
        connection->missing = a.request.default_missing_value_interpretation;
    for (size_t i = 0; !a.ended && i < MR_COUNT(steps); i++)
        steps[i](&a);
    if (answer->code == MR_GRPC_OK && faults->reply_lost > 0 &&
        mr_bq_chance(a.store) < faults->reply_lost)
        end(&a, MR_GRPC_UNAVAILABLE, 0, "The answer got lost, as was asked for.");
}
