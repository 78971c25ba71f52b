#include "tests/sinks/fake.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/grpc.h"

#define BODY_BYTES (4u << 20)

/* ---- bytes ---- */

static void pump(struct fake_connection *c)
{
    while (c->link) {
        size_t room;
        uint8_t *place = mr_socket_room(&c->socket, &room);
        int64_t taken = room ? mr_link_take(c->link, place, room) : 0;
        if (taken <= 0) {
            if (taken < 0 || mr_link_done(c->link))
                mr_socket_close(&c->socket, 0);
            return;
        }
        mr_socket_commit(&c->socket, (size_t)taken);
    }
}

static void flush(struct mr_io_op *op, int32_t result)
{
    struct fake_connection *c = MR_CONTAINER(op, struct fake_connection, flush);
    (void)result;
    c->flush_due = false;
    pump(c);
}

static void flush_soon(struct fake_connection *c)
{
    if (c->flush_due || !c->link)
        return;
    c->flush_due = true;
    mr_io_defer(c->fake->io, &c->flush);
}

static void socket_bytes(struct mr_socket *socket, struct mr_span bytes)
{
    struct fake_connection *c = MR_CONTAINER(socket, struct fake_connection, socket);
    if (c->dying || !c->link)
        return;
    if (mr_link_feed(c->link, bytes) != MR_OK)
        mr_socket_close(socket, 0);
    flush_soon(c);
}

static void socket_room(struct mr_socket *socket)
{
    pump(MR_CONTAINER(socket, struct fake_connection, socket));
}

static void socket_closed(struct mr_socket *socket, int error)
{
    struct fake_connection *c = MR_CONTAINER(socket, struct fake_connection, socket);
    (void)error;
    for (uint32_t i = 0; i < FAKE_CALLS; i++)
        if (c->fake->calls[i].connection == c)
            c->fake->calls[i].connection = NULL;
    mr_link_destroy(c->link);
    c->link = NULL;
}

static const struct mr_socket_calls socket_calls = {
    .bytes = socket_bytes, .room = socket_room, .closed = socket_closed};

static void close_now(struct fake_connection *c)
{
    c->dying = true;
    mr_socket_close(&c->socket, 0);
}

/* ---- answers ---- */

static void respond(struct fake_call *call)
{
    struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];

    if (call->responded)
        return;
    call->responded = true;
    mr_h2_respond(mr_link_h2(call->connection->link), call->h2, headers,
                  mr_grpc_response_headers(headers), false);
}

static void answer(struct fake_call *call, struct mr_span message)
{
    uint8_t prefix[MR_GRPC_PREFIX_BYTES];

    respond(call);
    mr_grpc_prefix(prefix, (uint32_t)message.bytes);
    mr_h2_send_copy(mr_link_h2(call->connection->link), call->h2,
                    mr_span_of(prefix, sizeof prefix));
    if (message.bytes)
        mr_h2_send_copy(mr_link_h2(call->connection->link), call->h2, message);
    flush_soon(call->connection);
}

/* A google.rpc.Status with, perhaps, a StorageError. */
static void put_status(struct mr_pen *pen, int32_t code, int32_t storage, const char *text)
{
    uint8_t error[256], any[512];
    struct mr_pen error_pen = mr_pen_of(error, sizeof error), any_pen = mr_pen_of(any, sizeof any);
    struct mr_bigquery_storage_error storage_error = {.code = storage};
    struct mr_rpc_status status = {.present = true, .code = code, .message = mr_span_text(text)};
    struct mr_span item;

    mr_bigquery_storage_error_put(&error_pen, &storage_error);
    mr_rpc_any_put_typed(&any_pen, MR_BIGQUERY_STORAGE_ERROR, mr_pen_span(&error_pen));
    item = mr_pen_span(&any_pen);
    if (storage)
        status.details = (struct mr_pb_list){.number = 3, .items = &item, .count = 1};
    mr_rpc_status_put(pen, &status);
}

static void end_call(struct fake_call *call, int32_t code, int32_t storage, const char *text)
{
    struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];
    uint8_t memory[2048], details[1024];
    struct mr_pen pen = mr_pen_of(memory, sizeof memory);
    struct mr_pen details_pen = mr_pen_of(details, sizeof details);

    if (call->over)
        return;
    call->over = true;
    respond(call);
    if (storage)
        put_status(&details_pen, code, storage, text);
    size_t count = mr_grpc_trailers(headers, &pen, false, code, mr_span_text(text),
                                    mr_pen_span(&details_pen));
    mr_h2_trailers(mr_link_h2(call->connection->link), call->h2, headers, count);
    flush_soon(call->connection);
}

static void answer_error(struct fake_call *call, int32_t code, int32_t storage, const char *text)
{
    uint8_t bytes[2048], status[1024];
    struct mr_pen pen = mr_pen_of(bytes, sizeof bytes);
    struct mr_pen status_pen = mr_pen_of(status, sizeof status);

    put_status(&status_pen, code, storage, text);
    mr_pb_put_bytes(&pen, 2, mr_pen_span(&status_pen));
    answer(call, mr_pen_span(&pen));
}

static void answer_taken(struct fake_call *call, int64_t offset)
{
    uint8_t bytes[64];
    struct mr_pen pen = mr_pen_of(bytes, sizeof bytes);
    struct mr_bigquery_append_response response = {
        .append_result = {.present = true,
                          .offset = {.present = call->stream->committed, .value = offset}}};

    mr_bigquery_append_response_put(&pen, &response);
    answer(call, mr_pen_span(&pen));
}

static void answer_offset(struct fake_call *call, bool below, int64_t received)
{
    char text[160];
    snprintf(text, sizeof text, "The offset is %s stream, expected offset %u, received %lld",
             below ? "within" : "beyond", call->stream->row_count, (long long)received);
    if (below)
        answer_error(call, MR_GRPC_ALREADY_EXISTS, MR_BIGQUERY_OFFSET_ALREADY_EXISTS, text);
    else
        answer_error(call, MR_GRPC_OUT_OF_RANGE, MR_BIGQUERY_OFFSET_OUT_OF_RANGE, text);
}

/* ---- the streams ---- */

struct fake_stream *fake_stream_find(struct fake *fake, const char *name)
{
    for (uint32_t i = 0; i < fake->stream_count; i++)
        if (fake->streams[i].alive && strcmp(fake->streams[i].name, name) == 0)
            return &fake->streams[i];
    return NULL;
}

static struct fake_stream *add_stream(struct fake *fake, const char *name, bool committed)
{
    MR_ASSERT(fake->stream_count < FAKE_STREAMS);
    struct fake_stream *stream = &fake->streams[fake->stream_count++];
    stream->alive = true;
    stream->committed = committed;
    snprintf(stream->name, sizeof stream->name, "%s", name);
    return stream;
}

static int64_t row_id(struct mr_span row)
{
    struct mr_cursor cursor = mr_cursor_of(row);
    struct mr_pb_field field;

    while (mr_pb_next(&cursor, &field))
        if (field.tag == MR_PB_TAG(2, MR_PB_VARINT))
            return (int64_t)field.value;
    MR_ASSERT(!"a row without window_start");
    return 0;
}

static bool is_bad(const struct fake *fake, int64_t id)
{
    return id == fake->bad_row || (fake->bad_every && id % fake->bad_every == 0);
}

/* Refuses the request if a row of it is bad. */
static bool refuse_rows(struct fake_call *call, const struct mr_bigquery_rows *rows)
{
    struct fake *fake = call->connection->fake;
    struct mr_pb_each each = mr_pb_list_each(&rows->serialized_rows);
    static uint8_t bytes[1 << 20], errors[1 << 20], status[64];
    struct mr_pen pen = mr_pen_of(bytes, sizeof bytes);
    struct mr_pen error_pen = mr_pen_of(errors, sizeof errors);
    struct mr_pen status_pen = mr_pen_of(status, sizeof status);
    struct mr_span row;
    bool bad = false;

    for (int64_t i = 0; mr_pb_each_span(&each, &row); i++) {
        if (!is_bad(fake, row_id(row)))
            continue;
        struct mr_bigquery_row_error error = {
            .index = i, .code = 1, .message = mr_span_text("no such day")};
        mr_bigquery_row_error_nest(&error_pen, 4, &error);
        bad = true;
    }
    if (!bad)
        return false;
    put_status(&status_pen, MR_GRPC_INVALID_ARGUMENT, 0, "rows have errors");
    mr_pb_put_bytes(&pen, 2, mr_pen_span(&status_pen));
    if (fake->name_bad_rows)
        mr_pen_put(&pen, mr_pen_span(&error_pen));
    answer(call, mr_pen_span(&pen));
    return true;
}

static void store(struct fake_stream *stream, const struct mr_bigquery_rows *rows)
{
    struct mr_pb_each each = mr_pb_list_each(&rows->serialized_rows);
    struct mr_span row;

    while (mr_pb_each_span(&each, &row)) {
        MR_ASSERT(stream->row_count < FAKE_ROWS);
        stream->rows[stream->row_count++] = row_id(row);
    }
}

/* The stream named by the first request of a call; the descriptor comes with it, and only then. */
static bool know_stream(struct fake_call *call, const struct mr_bigquery_append_request *request)
{
    struct fake *fake = call->connection->fake;
    char name[256];

    if (call->stream) {
        fake->named_again += request->write_stream.bytes > 0 ||
                             request->proto_rows.writer_schema.present;
        return true;
    }
    MR_ASSERT(request->proto_rows.writer_schema.present);
    fake->introduced++;
    snprintf(name, sizeof name, "%.*s", (int)request->write_stream.bytes,
             (const char *)request->write_stream.data);
    call->stream = fake_stream_find(fake, name);
    if (!call->stream && strstr(name, "/_default"))
        call->stream = add_stream(fake, name, false);
    if (!call->stream)
        end_call(call, MR_GRPC_NOT_FOUND, MR_BIGQUERY_STREAM_NOT_FOUND, "no such stream");
    return call->stream != NULL;
}

/* Takes the rows if rules and rows allow it. */
static bool take(struct fake_call *call, const struct mr_bigquery_append_request *request)
{
    struct fake_stream *stream = call->stream;

    call->connection->fake->default_with_offset += !stream->committed && request->offset.present;
    if (stream->finalized) {
        answer_error(call, MR_GRPC_INVALID_ARGUMENT, MR_BIGQUERY_STREAM_FINALIZED, "finalized");
        return false;
    }
    if (stream->committed && request->offset.value != stream->row_count) {
        answer_offset(call, request->offset.value < stream->row_count, request->offset.value);
        return false;
    }
    if (refuse_rows(call, &request->proto_rows.rows))
        return false;
    store(stream, &request->proto_rows.rows);
    return true;
}

static void append(struct fake_call *call, struct mr_span message)
{
    struct fake_connection *c = call->connection;
    struct fake *fake = c->fake;
    struct mr_bigquery_append_request request;

    MR_ASSERT(mr_bigquery_append_request_parse(&request, message) == MR_OK);
    struct fake_plan plan = fake->judge ? fake->judge(fake, fake->appends) : (struct fake_plan){0};
    fake->appends++;
    if (!know_stream(call, &request))
        return;
    MR_ASSERT(call->stream->committed == request.offset.present || !call->stream->committed);
    switch (plan.act) {
    case FAKE_ERROR:
        answer_error(call, plan.code, plan.storage, plan.text);
        return;
    case FAKE_STATUS:
        end_call(call, plan.code, plan.storage, plan.text);
        return;
    case FAKE_CLOSE:
        close_now(c);
        return;
    case FAKE_EOF:
        call->over = true;
        respond(call);
        mr_h2_end(mr_link_h2(c->link), call->h2);
        flush_soon(c);
        return;
    case FAKE_FORGET:
        call->stream->alive = false;
        end_call(call, MR_GRPC_NOT_FOUND, MR_BIGQUERY_STREAM_NOT_FOUND, "gone");
        return;
    default:
        break;
    }
    int64_t offset = call->stream->row_count;
    if (!take(call, &request))
        return;
    if (plan.act == FAKE_TAKE_ERROR)
        answer_error(call, plan.code, plan.storage, plan.text);
    else if (plan.act == FAKE_TAKE_CLOSE || plan.act == FAKE_FINALIZE)
        close_now(c);
    else if (plan.act == FAKE_GARBAGE)
        answer(call, mr_span_text("\x0a\x7fnot whole"));
    else if (plan.act != FAKE_SILENCE)
        answer_taken(call, offset);
    call->stream->finalized |= plan.act == FAKE_FINALIZE && call->stream->committed;
    if (plan.act == FAKE_GOAWAY)
        mr_h2_goaway(mr_link_h2(c->link), MR_H2_NO_ERROR, mr_span_text("drain"));
}

static void enqueue(struct fake_call *call, struct mr_span message)
{
    struct fake *fake = call->connection->fake;
    struct fake_request *request = &fake->queue[fake->queued++];

    MR_ASSERT(fake->queued <= FAKE_QUEUE);
    *request = (struct fake_request){call, call->serial, malloc(message.bytes), message.bytes};
    memcpy(request->bytes, message.data, message.bytes);
    fake->queued_max = MR_MAX(fake->queued_max, fake->queued);
}

static void end_if_all_answered(struct fake_call *call)
{
    struct fake *fake = call->connection->fake;

    for (uint32_t i = 0; i < fake->queued; i++)
        if (fake->queue[i].serial == call->serial)
            return;
    if (call->half_closed)
        end_call(call, MR_GRPC_OK, 0, "");
}

void fake_turn(struct fake *fake)
{
    struct fake_request request = fake->queue[0];

    if (fake->queued == 0 || ++fake->turns % fake->slow != 0)
        return;
    memmove(fake->queue, fake->queue + 1, --fake->queued * sizeof request);
    if (request.call->connection && request.call->serial == request.serial && !request.call->over)
        append(request.call, mr_span_of(request.bytes, request.count));
    if (request.call->connection && request.call->serial == request.serial)
        end_if_all_answered(request.call);
    free(request.bytes);
}

void fake_end_calls(struct fake *fake, int32_t code, const char *text)
{
    for (uint32_t i = 0; i < FAKE_CALLS; i++)
        if (fake->calls[i].connection && fake->calls[i].method == MR_BIGQUERY_APPEND_ROWS)
            end_call(&fake->calls[i], code, 0, text);
}

static void create(struct fake_call *call, struct mr_span message)
{
    struct fake *fake = call->connection->fake;
    struct mr_bigquery_create_write_stream request;
    char name[256];
    uint8_t bytes[512];
    struct mr_pen pen = mr_pen_of(bytes, sizeof bytes);

    fake->creates++;
    if (fake->creating.act != FAKE_TAKE) {
        end_call(call, fake->creating.code, fake->creating.storage, fake->creating.text);
        return;
    }
    MR_ASSERT(mr_bigquery_create_write_stream_parse(&request, message) == MR_OK);
    MR_ASSERT(request.write_stream.type == MR_BIGQUERY_COMMITTED);
    snprintf(name, sizeof name, "%.*s/streams/s%u", (int)request.parent.bytes,
             (const char *)request.parent.data, fake->creates);
    struct mr_bigquery_write_stream stream = {
        .name = mr_span_text(add_stream(fake, name, true)->name), .type = MR_BIGQUERY_COMMITTED};
    mr_bigquery_write_stream_put(&pen, &stream);
    answer(call, mr_pen_span(&pen));
    end_call(call, MR_GRPC_OK, 0, "");
}

static void finalize(struct fake_call *call, struct mr_span message)
{
    struct fake *fake = call->connection->fake;
    struct mr_bigquery_finalize request;
    char name[256];
    uint8_t bytes[32];
    struct mr_pen pen = mr_pen_of(bytes, sizeof bytes);

    fake->finalizes++;
    MR_ASSERT(mr_bigquery_finalize_parse(&request, message) == MR_OK);
    snprintf(name, sizeof name, "%.*s", (int)request.name.bytes, (const char *)request.name.data);
    struct fake_stream *stream = fake_stream_find(fake, name);
    if (!stream) {
        end_call(call, MR_GRPC_NOT_FOUND, MR_BIGQUERY_STREAM_NOT_FOUND, "no such stream");
        return;
    }
    stream->finalized = true;
    struct mr_bigquery_finalize_response response = {.row_count = stream->row_count};
    mr_bigquery_finalize_response_put(&pen, &response);
    answer(call, mr_pen_span(&pen));
    end_call(call, MR_GRPC_OK, 0, "");
}

/* ---- calls ---- */

static void on_headers(void *self, struct mr_h2_stream *h2, enum mr_h2_block block,
                       const struct mr_h2_header *headers, size_t count, bool end)
{
    struct fake_connection *c = self;
    struct fake *fake = c->fake;
    struct fake_call *call = fake->calls;
    struct mr_span bearer = {0};
    (void)block, (void)end;

    while (call->connection)
        MR_ASSERT(++call < fake->calls + FAKE_CALLS);
    uint8_t *body = call->body ? call->body : malloc(BODY_BYTES);
    *call = (struct fake_call){.connection = c, .h2 = h2, .body = body, .serial = ++fake->serials};
    call->method = MR_BIGQUERY_METHOD_COUNT;
    call->whole = mr_grpc_whole_of(body, BODY_BYTES);
    h2->user = call;
    for (size_t i = 0; i < count; i++) {
        if (mr_span_equal(headers[i].name, mr_span_text(":path")))
            call->method = mr_bigquery_method_of(headers[i].value);
        if (mr_span_equal(headers[i].name, mr_span_text("authorization")))
            bearer = headers[i].value;
    }
    MR_ASSERT(call->method != MR_BIGQUERY_METHOD_COUNT);
    fake->call_count += call->method == MR_BIGQUERY_APPEND_ROWS;
    if (fake->bearer_wanted && !mr_span_equal(bearer, mr_span_text(fake->bearer_wanted)))
        end_call(call, MR_GRPC_UNAUTHENTICATED, 0, "the token has expired");
}

static void on_data(void *self, struct mr_h2_stream *h2, struct mr_span bytes)
{
    struct fake_connection *c = self;
    struct fake_call *call = h2->user;
    struct mr_span message;
    size_t received = bytes.bytes;

    mr_h2_consume_connection(mr_link_h2(c->link), received);
    mr_h2_consume_stream(mr_link_h2(c->link), h2, received);
    while (call && !call->over && !c->dying &&
           mr_grpc_whole_next(&call->whole, &bytes, &message) == MR_OK) {
        if (call->method == MR_BIGQUERY_APPEND_ROWS)
            (c->fake->slow ? enqueue : append)(call, message);
        else if (call->method == MR_BIGQUERY_CREATE_WRITE_STREAM)
            create(call, message);
        else
            finalize(call, message);
    }
}

static void on_end(void *self, struct mr_h2_stream *h2)
{
    struct fake_call *call = h2->user;
    (void)self;
    if (!call || call->method != MR_BIGQUERY_APPEND_ROWS)
        return;
    call->half_closed = true;
    end_if_all_answered(call);
}

static void on_closed(void *self, struct mr_h2_stream *h2, uint32_t code)
{
    struct fake_call *call = h2->user;
    (void)self, (void)code;
    if (call)
        call->connection = NULL;
    h2->user = NULL;
}

static const struct mr_h2_events h2_events = {
    .headers = on_headers, .data = on_data, .end = on_end, .closed = on_closed};

static void accepted(struct mr_listener *listener, int fd)
{
    struct fake *fake = MR_CONTAINER(listener, struct fake, listener);
    struct fake_connection *c = fake->connections;
    struct mr_link_options options = {.h2 = {.server = true}};

    while (c->link)
        MR_ASSERT(++c < fake->connections + FAKE_CONNECTIONS);
    fake->connected++;
    *c = (struct fake_connection){.fake = fake, .flush = {.done = flush}};
    c->link = mr_link_create(&options, &h2_events, c);
    mr_socket_init(&c->socket, fake->io, &socket_calls, c->send, sizeof c->send);
    MR_ASSERT(c->link && mr_socket_adopt(&c->socket, fd, NULL) == 0);
    flush_soon(c);
}

static void accepting_failed(struct mr_listener *listener, int error)
{
    (void)listener;
    MR_ASSERT(error == 0);
}

void fake_init(struct fake *fake, struct mr_io *io)
{
    struct mr_address address = {.bytes = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&address.storage;

    memset(fake, 0, sizeof *fake);
    fake->io = io;
    fake->bad_row = -1;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fake->listener.accepted = accepted;
    fake->listener.failed = accepting_failed;
    MR_ASSERT(mr_listener_open(&fake->listener, io, &address) == 0);
}

void fake_finish(struct fake *fake)
{
    mr_listener_close(&fake->listener);
    for (uint32_t i = 0; i < FAKE_CONNECTIONS; i++)
        if (fake->connections[i].link)
            close_now(&fake->connections[i]);
    for (uint32_t turns = 0; mr_io_pending(fake->io) > 0 && turns < 1000; turns++)
        mr_io_turn(fake->io, 1000000);
    for (uint32_t i = 0; i < FAKE_CALLS; i++)
        free(fake->calls[i].body);
    while (fake->queued > 0)
        free(fake->queue[--fake->queued].bytes);
}
