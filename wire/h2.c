#include "wire/h2.h"

#include "wire/h2_block.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

/* One queued body. Head first, then body. */
struct item {
    struct item *next;
    void *token;
    struct mr_span body;
    bool borrowed;
    uint8_t head_bytes;
    uint8_t head[MR_H2_HEAD_BYTES_MAX];
    uint8_t copy[]; /* what body points to when not borrowed */
};

struct stream {
    struct mr_h2_stream pub;
    struct stream *next, **link; /* of the connection's list */
    struct item *first, **last;
    size_t offset; /* within the first item, head included */
    size_t queued_bytes;
    struct mr_h2_header_block trailers;
    bool responded, ending, ended; /* our half: may send, ends after the queue, has ended */
    bool local;                    /* we opened it */
};

struct mr_h2 {
    nghttp2_session *session;
    const struct mr_h2_events *events;
    void *self;
    struct stream *streams;
    struct mr_h2_header_block block; /* the one being received: blocks never interleave */
    struct mr_span pending;
    uint32_t open_count;
    bool server, broken;
    bool draining, leaving; /* GOAWAY seen, sent */
    char why[160];
};

static void tell(struct mr_h2 *h2, const char *why, size_t bytes)
{
    snprintf(h2->why, sizeof h2->why, "%.*s", (int)bytes, why);
}

static int broken(struct mr_h2 *h2, int code)
{
    if (h2->why[0] == 0)
        tell(h2, nghttp2_strerror(code), strlen(nghttp2_strerror(code)));
    h2->broken = true;
    return MR_E_HTTP2;
}

/* ---- streams ---- */

/* nghttp2 copies names and values unless told otherwise, and never writes to them. */
static nghttp2_nv *to_nv(const struct mr_h2_header *headers, size_t count)
{
    nghttp2_nv *nv = calloc(count ? count : 1, sizeof *nv);

    for (size_t i = 0; nv && i < count; i++) {
        nv[i].name = (uint8_t *)(uintptr_t)headers[i].name.data;
        nv[i].namelen = headers[i].name.bytes;
        nv[i].value = (uint8_t *)(uintptr_t)headers[i].value.data;
        nv[i].valuelen = headers[i].value.bytes;
        /* a token must not stay in the peer's HPACK table */
        if (mr_span_equal(headers[i].name, mr_span_text("authorization")))
            nv[i].flags = NGHTTP2_NV_FLAG_NO_INDEX;
    }
    return nv;
}

static struct stream *stream_create(struct mr_h2 *h2)
{
    struct stream *stream = calloc(1, sizeof *stream);

    if (!stream)
        return NULL;
    stream->last = &stream->first;
    stream->next = h2->streams;
    stream->link = &h2->streams;
    if (h2->streams)
        h2->streams->link = &stream->next;
    h2->streams = stream;
    return stream;
}

static struct item *queue_pop(struct stream *stream)
{
    struct item *item = stream->first;

    stream->queued_bytes -= item->head_bytes + item->body.bytes - stream->offset;
    stream->offset = 0;
    stream->first = item->next;
    if (!stream->first)
        stream->last = &stream->first;
    return item;
}

static void item_done(struct mr_h2 *h2, struct stream *stream, struct item *item)
{
    if (item->borrowed && h2->events->sent)
        h2->events->sent(h2->self, &stream->pub, item->token);
    free(item);
}

static void stream_destroy(struct stream *stream)
{
    while (stream->first)
        free(queue_pop(stream));
    *stream->link = stream->next;
    if (stream->next)
        stream->next->link = stream->link;
    mr_h2_block_finish(&stream->trailers);
    free(stream);
}

static struct stream *stream_of(struct mr_h2 *h2, int32_t id)
{
    return id ? nghttp2_session_get_stream_user_data(h2->session, id) : NULL;
}

/* ---- nghttp2 calls us ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct mr_h2 *h2 = user;

    mr_h2_block_clear(&h2->block);
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct stream *stream = stream_create(h2);
    if (!stream)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    stream->pub.id = frame->hd.stream_id;
    h2->open_count++;
    nghttp2_session_set_stream_user_data(session, stream->pub.id, stream);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *user)
{
    struct mr_h2 *h2 = user;

    (void)session, (void)frame, (void)flags;
    if (!mr_h2_block_add(&h2->block, mr_span_of(name, name_bytes),
                         mr_span_of(value, value_bytes))) {
        tell(h2, "a header list is too large", 26);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets this stream only */
    }
    return 0;
}

/* The server may finish first; then nothing we could still send would be read (gRPC over HTTP/2).
 */
static void peer_ended(struct mr_h2 *h2, struct stream *stream)
{
    if (h2->events->end)
        h2->events->end(h2->self, &stream->pub);
    if (!h2->server && !stream->ended)
        nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, stream->pub.id, NGHTTP2_NO_ERROR);
}

static void headers_done(struct mr_h2 *h2, struct stream *stream, bool end)
{
    enum mr_h2_block kind = MR_H2_TRAILERS;

    mr_h2_block_seal(&h2->block);
    if (!h2->server && mr_h2_block_is_interim(&h2->block))
        return;
    if (mr_h2_block_has(&h2->block, h2->server ? ":method" : ":status"))
        kind = h2->server ? MR_H2_REQUEST : MR_H2_RESPONSE;
    if (h2->events->headers)
        h2->events->headers(h2->self, &stream->pub, kind, h2->block.headers, h2->block.count, end);
}

static uint64_t ping_payload(const nghttp2_frame *frame)
{
    return mr_load64(frame->ping.opaque_data);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct mr_h2 *h2 = user;
    struct stream *stream = stream_of(h2, frame->hd.stream_id);
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    (void)session;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        if (stream)
            headers_done(h2, stream, end);
        break;
    case NGHTTP2_SETTINGS:
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK) && h2->events->settings)
            h2->events->settings(h2->self);
        break;
    case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) && h2->events->pong)
            h2->events->pong(h2->self, ping_payload(frame));
        break;
    case NGHTTP2_GOAWAY:
        h2->draining = true;
        if (h2->events->goaway)
            h2->events->goaway(
                h2->self, frame->goaway.last_stream_id, frame->goaway.error_code,
                mr_span_of(frame->goaway.opaque_data, frame->goaway.opaque_data_len));
        break;
    default:
        break;
    }
    if (end && stream && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA))
        peer_ended(h2, stream);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t bytes, void *user)
{
    struct mr_h2 *h2 = user;
    struct stream *stream = stream_of(h2, id);

    (void)session, (void)flags;
    if (stream && h2->events->data)
        h2->events->data(h2->self, &stream->pub, mr_span_of(data, bytes));
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct mr_h2 *h2 = user;
    struct stream *stream = stream_of(h2, id);

    (void)session;
    if (!stream)
        return 0;
    stream->ended = true;
    while (stream->first)
        item_done(h2, stream, queue_pop(stream));
    h2->open_count--;
    if (h2->events->closed)
        h2->events->closed(h2->self, &stream->pub, code);
    stream_destroy(stream);
    return 0;
}

/* nghttp2 answers a broken rule with a GOAWAY of its own. */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct mr_h2 *h2 = user;

    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code && !h2->leaving) {
        if (h2->why[0] == 0 && frame->goaway.opaque_data_len)
            tell(h2, (const char *)frame->goaway.opaque_data, frame->goaway.opaque_data_len);
        broken(h2, NGHTTP2_ERR_PROTO);
    }
    return 0;
}

static int on_error(nghttp2_session *session, int code, const char *text, size_t bytes, void *user)
{
    (void)session, (void)code;
    tell(user, text, bytes);
    return 0;
}

/* The queue is empty: wait, end, or end by trailers. */
static ssize_t queue_empty(struct mr_h2 *h2, struct stream *stream, size_t filled, uint32_t *flags)
{
    if (!stream->ending)
        return filled ? (ssize_t)filled : NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    stream->ended = true;
    if (stream->trailers.count == 0)
        return (ssize_t)filled;
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_nv *nv = to_nv(stream->trailers.headers, stream->trailers.count);
    int err = nv ? nghttp2_submit_trailer(h2->session, stream->pub.id, nv, stream->trailers.count)
                 : NGHTTP2_ERR_NOMEM;
    free(nv);
    return err ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : (ssize_t)filled;
}

/* Copies from the first item, head then body, into `place`. */
static size_t item_copy(struct stream *stream, uint8_t *place, size_t room)
{
    struct item *item = stream->first;
    size_t done = 0;

    if (stream->offset < item->head_bytes) {
        done = MR_MIN(room, item->head_bytes - stream->offset);
        memcpy(place, item->head + stream->offset, done);
        stream->offset += done;
    }
    size_t at = stream->offset - MR_MIN(stream->offset, item->head_bytes);
    size_t more = MR_MIN(room - done, item->body.bytes - at);
    if (more)
        memcpy(place + done, item->body.data + at, more);
    stream->offset += more;
    return done + more;
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *place, size_t room,
                       uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct mr_h2 *h2 = user;
    struct stream *stream = source->ptr;
    size_t filled = 0;

    (void)session, (void)id;
    while (stream->first && filled < room) {
        size_t copied = item_copy(stream, place + filled, room - filled);
        filled += copied;
        stream->queued_bytes -= copied;
        if (stream->offset == stream->first->head_bytes + stream->first->body.bytes)
            item_done(h2, stream, queue_pop(stream));
    }
    return stream->first ? (ssize_t)filled : queue_empty(h2, stream, filled, flags);
}

/* ---- the connection ---- */

static nghttp2_session_callbacks *callbacks_create(void)
{
    nghttp2_session_callbacks *callbacks;

    if (nghttp2_session_callbacks_new(&callbacks))
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_error_callback2(callbacks, on_error);
    return callbacks;
}

static nghttp2_option *option_create(void)
{
    nghttp2_option *option;

    if (nghttp2_option_new(&option))
        return NULL;
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_max_send_header_block_length(option, MR_H2_HEADER_LIST_BYTES);
#ifdef MR_H2_CONTINUATIONS
    /* Newer libraries stop at 8 frames a block; a full list in frames of 16 KiB needs 256. */
    nghttp2_option_set_max_continuations(option, MR_H2_HEADER_LIST_BYTES >> 14);
#endif
    return option;
}

static int settle(struct mr_h2 *h2, const struct mr_h2_options *options)
{
    uint32_t stream_window = options->stream_window ? options->stream_window : MR_H2_STREAM_WINDOW;
    uint32_t window = options->connection_window ? options->connection_window
                                                 : MR_H2_CONNECTION_WINDOW;
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, MR_H2_HEADER_LIST_BYTES},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, MR_H2_FRAME_BYTES},
        {h2->server ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH,
         !h2->server            ? 0
         : options->streams_max ? options->streams_max
                                : MR_H2_STREAMS_MAX},
    };
    int err = nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, entries, MR_COUNT(entries));
    return err ? err
               : nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                       (int32_t)window);
}

struct mr_h2 *mr_h2_create(const struct mr_h2_options *options, const struct mr_h2_events *events,
                           void *self)
{
    struct mr_h2 *h2 = calloc(1, sizeof *h2);
    nghttp2_session_callbacks *callbacks = callbacks_create();
    nghttp2_option *option = option_create();
    int err = NGHTTP2_ERR_NOMEM;

    MR_ASSERT(options->stream_window <= INT32_MAX && options->connection_window <= INT32_MAX);
    if (h2 && callbacks && option) {
        *h2 = (struct mr_h2){.events = events, .self = self, .server = options->server};
        err = options->server ? nghttp2_session_server_new2(&h2->session, callbacks, h2, option)
                              : nghttp2_session_client_new2(&h2->session, callbacks, h2, option);
        if (!err)
            err = settle(h2, options);
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    if (!err)
        return h2;
    mr_h2_destroy(h2);
    return NULL;
}

void mr_h2_destroy(struct mr_h2 *h2)
{
    if (!h2)
        return;
    nghttp2_session_del(h2->session);
    while (h2->streams)
        stream_destroy(h2->streams);
    mr_h2_block_finish(&h2->block);
    free(h2);
}

int mr_h2_feed(struct mr_h2 *h2, struct mr_span bytes)
{
    if (h2->broken)
        return MR_E_HTTP2;
    if (bytes.bytes == 0)
        return MR_OK;
    ssize_t used = nghttp2_session_mem_recv(h2->session, bytes.data, bytes.bytes);
    if (used < 0)
        return broken(h2, (int)used);
    return MR_OK;
}

int64_t mr_h2_take(struct mr_h2 *h2, uint8_t *buffer, size_t limit)
{
    size_t taken = 0;

    while (taken < limit) {
        if (h2->pending.bytes == 0) {
            ssize_t bytes = nghttp2_session_mem_send(h2->session, &h2->pending.data);
            if (bytes < 0)
                return broken(h2, (int)bytes);
            if (bytes == 0)
                break;
            h2->pending.bytes = (size_t)bytes;
        }
        size_t now = MR_MIN(limit - taken, h2->pending.bytes);
        memcpy(buffer + taken, h2->pending.data, now);
        h2->pending = mr_span_of(h2->pending.data + now, h2->pending.bytes - now);
        taken += now;
    }
    return taken == 0 && h2->broken ? MR_E_HTTP2 : (int64_t)taken;
}

bool mr_h2_done(const struct mr_h2 *h2)
{
    bool reads = !h2->broken && nghttp2_session_want_read(h2->session);
    return !reads && !nghttp2_session_want_write(h2->session) && h2->pending.bytes == 0;
}

const char *mr_h2_why(const struct mr_h2 *h2)
{
    return h2->why;
}

/* ---- calls down ---- */

uint32_t mr_h2_open_count(const struct mr_h2 *h2)
{
    return h2->open_count;
}

uint32_t mr_h2_open_limit(const struct mr_h2 *h2)
{
    uint32_t limit = nghttp2_session_get_remote_settings(h2->session,
                                                         NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return MR_MIN(limit, MR_H2_STREAMS_MAX);
}

struct mr_h2_stream *mr_h2_open(struct mr_h2 *h2, const struct mr_h2_header *headers, size_t count)
{
    MR_ASSERT(!h2->server);
    if (h2->draining || h2->broken || h2->open_count >= mr_h2_open_limit(h2))
        return NULL;
    struct stream *stream = stream_create(h2);
    nghttp2_nv *nv = to_nv(headers, count);
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = on_read};
    int32_t id = -1;
    if (stream && nv)
        id = nghttp2_submit_request(h2->session, NULL, nv, count, &provider, stream);
    free(nv);
    if (id < 0) {
        if (stream)
            stream_destroy(stream);
        return NULL;
    }
    stream->pub.id = id;
    stream->responded = stream->local = true;
    h2->open_count++;
    return &stream->pub;
}

int mr_h2_respond(struct mr_h2 *h2, struct mr_h2_stream *pub, const struct mr_h2_header *headers,
                  size_t count, bool end)
{
    struct stream *stream = MR_CONTAINER(pub, struct stream, pub);
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = on_read};

    MR_ASSERT(h2->server && !stream->responded);
    nghttp2_nv *nv = to_nv(headers, count);
    if (!nv)
        return MR_E_MEMORY;
    int err = nghttp2_submit_response(h2->session, pub->id, nv, count, end ? NULL : &provider);
    free(nv);
    stream->responded = true;
    stream->ending = stream->ended = end;
    return err ? MR_E_HTTP2_STREAM : MR_OK;
}

static bool may_send(const struct stream *stream)
{
    return stream->responded && !stream->ending && !stream->ended;
}

/* Fails when the provider was not waiting, which is no error. */
static void resume(struct mr_h2 *h2, struct stream *stream)
{
    nghttp2_session_resume_data(h2->session, stream->pub.id);
}

static int queue(struct mr_h2 *h2, struct stream *stream, struct item *item)
{
    item->next = NULL;
    *stream->last = item;
    stream->last = &item->next;
    stream->queued_bytes += item->head_bytes + item->body.bytes;
    resume(h2, stream);
    return MR_OK;
}

int mr_h2_send(struct mr_h2 *h2, struct mr_h2_stream *pub, struct mr_span head, struct mr_span body,
               void *token)
{
    struct stream *stream = MR_CONTAINER(pub, struct stream, pub);

    MR_ASSERT(head.bytes <= MR_H2_HEAD_BYTES_MAX);
    if (!may_send(stream))
        return MR_E_HTTP2_STREAM;
    struct item *item = malloc(sizeof *item);
    if (!item)
        return MR_E_MEMORY;
    *item = (struct item){
        .token = token, .body = body, .borrowed = true, .head_bytes = (uint8_t)head.bytes};
    if (head.bytes)
        memcpy(item->head, head.data, head.bytes);
    return queue(h2, stream, item);
}

int mr_h2_send_copy(struct mr_h2 *h2, struct mr_h2_stream *pub, struct mr_span bytes)
{
    struct stream *stream = MR_CONTAINER(pub, struct stream, pub);

    if (!may_send(stream))
        return MR_E_HTTP2_STREAM;
    if (bytes.bytes == 0)
        return MR_OK;
    struct item *item = malloc(sizeof *item + bytes.bytes);
    if (!item)
        return MR_E_MEMORY;
    *item = (struct item){.body = mr_span_of(item->copy, bytes.bytes)};
    memcpy(item->copy, bytes.data, bytes.bytes);
    return queue(h2, stream, item);
}

int mr_h2_end(struct mr_h2 *h2, struct mr_h2_stream *pub)
{
    struct stream *stream = MR_CONTAINER(pub, struct stream, pub);

    if (!may_send(stream))
        return MR_E_HTTP2_STREAM;
    stream->ending = true;
    resume(h2, stream);
    return MR_OK;
}

int mr_h2_trailers(struct mr_h2 *h2, struct mr_h2_stream *pub, const struct mr_h2_header *headers,
                   size_t count)
{
    struct stream *stream = MR_CONTAINER(pub, struct stream, pub);

    MR_ASSERT(count > 0);
    if (!may_send(stream))
        return MR_E_HTTP2_STREAM;
    for (size_t i = 0; i < count; i++)
        if (!mr_h2_block_add(&stream->trailers, headers[i].name, headers[i].value))
            return MR_E_WIRE_ROOM;
    mr_h2_block_seal(&stream->trailers);
    return mr_h2_end(h2, pub);
}

size_t mr_h2_queued_bytes(const struct mr_h2_stream *pub)
{
    return MR_CONTAINER(pub, struct stream, pub)->queued_bytes;
}

void mr_h2_reset(struct mr_h2 *h2, struct mr_h2_stream *pub, uint32_t code)
{
    struct stream *stream = MR_CONTAINER(pub, struct stream, pub);

    stream->ended = true;
    nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, pub->id, code);
}

void mr_h2_goaway(struct mr_h2 *h2, uint32_t code, struct mr_span debug)
{
    h2->leaving = true;
    nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(h2->session), code, debug.data,
                          debug.bytes);
}

void mr_h2_ping(struct mr_h2 *h2, uint64_t payload)
{
    uint8_t opaque[8];

    mr_store64(opaque, payload);
    nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, opaque);
}

void mr_h2_consume_stream(struct mr_h2 *h2, struct mr_h2_stream *pub, size_t bytes)
{
    nghttp2_session_consume_stream(h2->session, pub->id, bytes);
}

void mr_h2_consume_connection(struct mr_h2 *h2, size_t bytes)
{
    nghttp2_session_consume_connection(h2->session, bytes);
}
