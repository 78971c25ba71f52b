#include "local/call.h"

#include <stdio.h>
#include <stdlib.h>

#include "local/connection_parts.h"

#define CARRY_BYTES_MIN 4096
#define TRAILER_EXTRA   1024
#define BUFFER_EXTRA    256 /* what a queued response costs besides its bytes */

/* ---- buffers ---- */

struct mr_served_buffer *mr_served_buffer_create(size_t bytes_max)
{
    struct mr_served_buffer *buffer = malloc(sizeof *buffer + bytes_max);

    MR_ASSERT(buffer);
    buffer->connection = NULL;
    buffer->bytes = 0;
    return buffer;
}

void mr_served_buffer_destroy(struct mr_served_buffer *buffer)
{
    if (buffer->connection) {
        buffer->connection->queued_bytes -= buffer->bytes;
        *buffer->link = buffer->next;
        if (buffer->next)
            buffer->next->link = buffer->link;
    }
    free(buffer);
}

static void buffer_join(struct mr_served_buffer *buffer, struct mr_connection *c, size_t bytes)
{
    buffer->connection = c;
    buffer->bytes = bytes + BUFFER_EXTRA;
    buffer->next = c->buffers;
    buffer->link = &c->buffers;
    if (buffer->next)
        buffer->next->link = &buffer->next;
    c->buffers = buffer;
    c->queued_bytes += buffer->bytes;
}

/* ---- responses ---- */

static struct mr_h2 *h2_of(const struct mr_served *call)
{
    return mr_link_h2(call->connection->link);
}

/* Nothing precedes the first message: clients may not wait for headers. */
static void respond(struct mr_served *call)
{
    struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];

    if (call->responded)
        return;
    call->responded = true;
    mr_h2_respond(h2_of(call), call->stream, headers, mr_grpc_response_headers(headers), false);
}

void mr_served_give(struct mr_served *call, struct mr_served_buffer *buffer, size_t bytes)
{
    uint8_t prefix[MR_GRPC_PREFIX_BYTES];

    if (call->ended) {
        mr_served_buffer_destroy(buffer);
        return;
    }
    respond(call);
    call->connection->hall->messages_out++;
    mr_grpc_prefix(prefix, (uint32_t)bytes);
    buffer_join(buffer, call->connection, bytes);
    if (mr_h2_send(h2_of(call), call->stream, mr_span_of(prefix, sizeof prefix),
                   mr_span_of(buffer->data, bytes), buffer) != MR_OK)
        mr_served_buffer_destroy(buffer);
    mr_connection_dirty(call->connection);
}

void mr_served_send(struct mr_served *call, struct mr_span message)
{
    struct mr_served_buffer *buffer = mr_served_buffer_create(message.bytes);

    if (message.bytes)
        memcpy(buffer->data, message.data, message.bytes);
    mr_served_give(call, buffer, message.bytes);
}

void mr_served_end_details(struct mr_served *call, int32_t code, struct mr_span text,
                           struct mr_span details)
{
    struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];
    size_t bytes = text.bytes * 3 + details.bytes * 2 + TRAILER_EXTRA, count;
    uint8_t *memory;
    struct mr_pen pen;

    if (call->ended)
        return;
    call->ended = true;
    memory = malloc(bytes);
    MR_ASSERT(memory);
    pen = mr_pen_of(memory, bytes);
    count = mr_grpc_trailers(headers, &pen, !call->responded, code, text, details);
    MR_ASSERT(pen.err == MR_OK);
    if (call->responded)
        mr_h2_trailers(h2_of(call), call->stream, headers, count);
    else
        mr_h2_respond(h2_of(call), call->stream, headers, count, true);
    call->responded = true;
    free(memory);
    mr_connection_dirty(call->connection);
}

void mr_served_end(struct mr_served *call, int32_t code, const char *text)
{
    mr_served_end_details(call, code, mr_span_text(text), mr_span_of(NULL, 0));
}

void mr_served_reply(struct mr_served *call, struct mr_span message)
{
    mr_served_send(call, message);
    mr_served_end(call, MR_GRPC_OK, "");
}

size_t mr_served_queued_bytes(const struct mr_served *call)
{
    return mr_h2_queued_bytes(call->stream);
}

/* ---- time ---- */

void mr_served_wait_until(struct mr_served *call, int64_t us)
{
    call->due_us = MR_MIN(us, call->deadline_us);
    call->connection->hall->due_us = MR_MIN(call->connection->hall->due_us, call->due_us);
}

static void is_due(struct mr_served *call, int64_t now_us)
{
    call->now_us = now_us;
    call->due_us = call->deadline_us > now_us ? call->deadline_us : INT64_MAX;
    if (call->method->due)
        call->method->due(call);
    else
        mr_served_end(call, MR_GRPC_DEADLINE_EXCEEDED, "Deadline exceeded.");
}

/* Calls that wait are few and most end before they are due, so a walk when the earliest may be due
 * costs less than keeping them in order. */
uint32_t mr_served_due_all(struct mr_hall *hall)
{
    int64_t due_us = INT64_MAX;
    uint32_t done = 0;

    if (hall->now_us < hall->due_us)
        return 0;
    hall->due_us = INT64_MAX;
    for (struct mr_connection *c = hall->connections; c; c = c->next) {
        for (struct mr_served *call = c->calls; call; call = call->next) {
            if (call->due_us <= hall->now_us && !call->ended) {
                is_due(call, hall->now_us);
                done++;
            }
            if (!call->ended)
                due_us = MR_MIN(due_us, call->due_us);
        }
    }
    hall->due_us = MR_MIN(hall->due_us, due_us);
    return done;
}

uint32_t mr_served_room_all(struct mr_hall *hall)
{
    uint32_t count = hall->roomy_count;

    for (uint32_t i = 0; i < count; i++) {
        struct mr_served *call = hall->roomy[i];
        if (!call)
            continue;
        call->room_told = false;
        call->now_us = hall->now_us;
        if (!call->ended)
            call->method->room(call);
    }
    memmove(hall->roomy, hall->roomy + count, (hall->roomy_count - count) * sizeof *hall->roomy);
    hall->roomy_count -= count;
    return count;
}

/* Not from within the sending, which is no place for new calls down. When the list is full, a
 * later buffer tells. */
static void tell_room(struct mr_served *call)
{
    struct mr_hall *hall = call->connection->hall;

    if (call->room_told || call->ended || !call->method->room ||
        hall->roomy_count == MR_COUNT(hall->roomy))
        return;
    call->room_told = true;
    hall->roomy[hall->roomy_count++] = call;
}

/* ---- beginning and end ---- */

void mr_served_destroy(struct mr_served *call)
{
    struct mr_hall *hall = call->connection->hall;

    call->ended = true;
    if (call->method->closed)
        call->method->closed(call);
    for (uint32_t i = 0; call->room_told && i < hall->roomy_count; i++)
        if (hall->roomy[i] == call)
            hall->roomy[i] = NULL;
    hall->carry_bytes -= call->carry_room;
    *call->link = call->next;
    if (call->next)
        call->next->link = call->link;
    free(call->carry);
    free(call->params_kept);
    free(call);
}

static void refuse(struct mr_connection *c, struct mr_h2_stream *stream, int32_t code,
                   const char *text)
{
    struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];
    uint8_t memory[TRAILER_EXTRA];
    struct mr_pen pen = mr_pen_of(memory, sizeof memory);
    size_t count = mr_grpc_trailers(headers, &pen, true, code, mr_span_text(text),
                                    mr_span_of(NULL, 0));

    mr_h2_respond(mr_link_h2(c->link), stream, headers, count, true);
}

static void refuse_http(struct mr_connection *c, struct mr_h2_stream *stream, const char *status)
{
    struct mr_h2_header header = {mr_span_text(":status"), mr_span_text(status)};

    mr_h2_respond(mr_link_h2(c->link), stream, &header, 1, true);
}

static struct mr_span header_of(const struct mr_h2_header *headers, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (mr_span_equal(headers[i].name, mr_span_text(name)))
            return headers[i].value;
    return mr_span_of(NULL, 0);
}

static bool begins(struct mr_span text, const char *with)
{
    return text.bytes >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

static const struct mr_method *find(struct mr_hall *hall, struct mr_span path, void **front)
{
    for (uint32_t i = 0; i < hall->front_count; i++) {
        const struct mr_method *method = hall->fronts[i].find(hall->fronts[i].self, path);
        *front = hall->fronts[i].self;
        if (method)
            return method;
    }
    return NULL;
}

static void begin(struct mr_connection *c, struct mr_h2_stream *stream,
                  const struct mr_method *method, void *front, struct mr_span timeout,
                  struct mr_span params)
{
    struct mr_served *call = calloc(1, sizeof *call);
    int64_t timeout_us = timeout.bytes ? mr_grpc_timeout_us(timeout) : INT64_MAX;

    MR_ASSERT(call);
    call->method = method;
    call->front = front;
    call->now_us = c->hall->now_us;
    call->connection = c;
    call->stream = stream;
    call->cursor = mr_grpc_cursor_of(method->request_bytes_max);
    call->deadline_us = timeout_us < 0 || timeout_us > INT64_MAX - call->now_us
                            ? INT64_MAX
                            : call->now_us + timeout_us;
    if (params.bytes) {
        call->params_kept = malloc(params.bytes);
        MR_ASSERT(call->params_kept);
        memcpy(call->params_kept, params.data, params.bytes);
        call->params = mr_span_of(call->params_kept, params.bytes);
    }
    call->next = c->calls;
    call->link = &c->calls;
    if (call->next)
        call->next->link = &call->next;
    c->calls = call;
    stream->user = call;
    c->hall->calls++;
    mr_served_wait_until(call, call->deadline_us);
}

static void on_headers(void *self, struct mr_h2_stream *stream, enum mr_h2_block block,
                       const struct mr_h2_header *headers, size_t count, bool ends)
{
    struct mr_connection *c = self;
    const struct mr_method *method;
    void *front = NULL;

    (void)ends;
    if (block != MR_H2_REQUEST)
        return;
    if (!mr_span_equal(header_of(headers, count, ":method"), mr_span_text("POST"))) {
        refuse_http(c, stream, "405");
    } else if (!begins(header_of(headers, count, "content-type"), "application/grpc")) {
        refuse_http(c, stream, "415");
    } else if (c->hall->leaving) {
        refuse(c, stream, MR_GRPC_UNAVAILABLE, "The server is shutting down.");
    } else if (c->queued_bytes > MR_CONNECTION_QUEUE_BYTES) {
        refuse(c, stream, MR_GRPC_RESOURCE_EXHAUSTED,
               "Too many responses on this connection were not read.");
    } else if (!(method = find(c->hall, header_of(headers, count, ":path"), &front))) {
        refuse(c, stream, MR_GRPC_UNIMPLEMENTED, "The local cloud does not offer this method.");
    } else {
        begin(c, stream, method, front, header_of(headers, count, "grpc-timeout"),
              header_of(headers, count, "x-goog-request-params"));
    }
}

/* ---- requests ---- */

static bool carry_grow(struct mr_served *call, size_t bytes)
{
    struct mr_hall *hall = call->connection->hall;
    size_t room = MR_MAX(mr_pow2_at_least(bytes), CARRY_BYTES_MIN);
    uint8_t *carry;

    if (bytes <= call->carry_room)
        return true;
    if (hall->carry_bytes + room - call->carry_room > MR_CARRY_BYTES)
        return false;
    carry = realloc(call->carry, room);
    if (!carry)
        return false;
    hall->carry_bytes += room - call->carry_room;
    call->carry = carry;
    call->carry_room = room;
    return true;
}

/* Room grows with what has arrived, never with what was announced. */
static bool carry_add(struct mr_served *call, struct mr_span bytes)
{
    if (!carry_grow(call, call->carry_bytes + bytes.bytes)) {
        mr_served_end(call, MR_GRPC_RESOURCE_EXHAUSTED,
                      "Too many unfinished requests are held by the server.");
        return false;
    }
    if (bytes.bytes)
        memcpy(call->carry + call->carry_bytes, bytes.data, bytes.bytes);
    call->carry_bytes += bytes.bytes;
    return true;
}

static void message(struct mr_served *call, struct mr_span bytes)
{
    call->connection->hall->messages_in++;
    if (call->messaged && !call->method->streams) {
        mr_served_end(call, MR_GRPC_INTERNAL, "A unary call has one request message.");
        return;
    }
    /* Small answers to a client that never reads would pile up without it. */
    if (call->connection->queued_bytes > MR_CONNECTION_QUEUE_BYTES) {
        mr_served_end(call, MR_GRPC_RESOURCE_EXHAUSTED, "Too many responses were not read.");
        return;
    }
    call->messaged = true;
    call->now_us = call->connection->hall->now_us;
    call->method->message(call, bytes);
}

static void piece(struct mr_served *call, const struct mr_grpc_piece *p)
{
    if (p->begin && p->end) {
        message(call, p->bytes);
        return;
    }
    if (!carry_add(call, p->bytes) || !p->end)
        return;
    message(call, mr_span_of(call->carry, call->carry_bytes));
    call->carry_bytes = 0;
}

static void bad_frame(struct mr_served *call, int err)
{
    const struct mr_method *method = call->method;

    if (err == MR_E_GRPC_TOO_LARGE)
        mr_served_end(call, method->too_large ? method->too_large_code : MR_GRPC_RESOURCE_EXHAUSTED,
                      method->too_large ? method->too_large : "The request is too large.");
    else
        mr_served_end(call, MR_GRPC_UNIMPLEMENTED, "Compressed requests are not accepted.");
}

static void on_data(void *self, struct mr_h2_stream *stream, struct mr_span bytes)
{
    struct mr_connection *c = self;
    struct mr_served *call = stream->user;
    struct mr_grpc_piece p;
    int err = MR_OK;

    mr_h2_consume_connection(mr_link_h2(c->link), bytes.bytes);
    mr_h2_consume_stream(mr_link_h2(c->link), stream, bytes.bytes);
    while (call && !call->ended && (err = mr_grpc_next(&call->cursor, &bytes, &p)) == MR_OK)
        piece(call, &p);
    if (call && !call->ended && err != MR_PARTIAL)
        bad_frame(call, err);
}

static void on_end(void *self, struct mr_h2_stream *stream)
{
    struct mr_connection *c = self;
    struct mr_served *call = stream->user;

    if (!call || call->ended)
        return;
    call->now_us = c->hall->now_us;
    if (mr_grpc_end(&call->cursor) != MR_OK || (!call->messaged && !call->method->streams))
        mr_served_end(call, MR_GRPC_INTERNAL, "The request ended before its message.");
    else if (call->method->streams && call->method->half_closed)
        call->method->half_closed(call);
}

static void on_sent(void *self, struct mr_h2_stream *stream, void *token)
{
    struct mr_served *call = stream->user;

    (void)self;
    mr_served_buffer_destroy(token);
    if (call)
        tell_room(call);
}

static void on_stream_closed(void *self, struct mr_h2_stream *stream, uint32_t code)
{
    (void)self, (void)code;
    if (stream->user)
        mr_served_destroy(stream->user);
    stream->user = NULL;
}

static void on_settings(void *self)
{
    ((struct mr_connection *)self)->greeted = true;
}

const struct mr_h2_events mr_served_events = {
    .headers = on_headers,
    .data = on_data,
    .end = on_end,
    .sent = on_sent,
    .closed = on_stream_closed,
    .settings = on_settings,
};
