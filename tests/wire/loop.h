/* A client and a server link joined in memory, and what each of them heard. */
#ifndef MR_TESTS_WIRE_LOOP_H
#define MR_TESTS_WIRE_LOOP_H

#include <stdio.h>

#include "wire/grpc.h"
#include "wire/link.h"

#define LOOP_STREAMS 128
#define LOOP_TEXT    4096

struct heard {
    struct mr_h2_stream *stream; /* NULL once closed */
    uint32_t requests, responses, trailers, ends, sents, closes;
    uint32_t reset_code;
    uint64_t bytes, checksum;
    struct mr_grpc_outcome outcome; /* code and http_status only */
    char message[LOOP_TEXT];
    char path[128];
    uint8_t *keep; /* when set, DATA is appended here */
    size_t kept;
};

struct side {
    struct mr_link *link;
    struct heard heard[LOOP_STREAMS]; /* by id / 2 */
    uint32_t goaways, pongs, settings;
    int32_t goaway_last;
    uint32_t goaway_code;
    uint64_t pong;
    size_t headers_bytes; /* of the last block */
    bool hoard;           /* stream windows are not given back */
    int err;              /* first error of feed or take */
    void (*on_request)(struct side *side, struct mr_h2_stream *stream);
    void (*on_end)(struct side *side, struct mr_h2_stream *stream);
};

static inline struct heard *heard_of(struct side *side, struct mr_h2_stream *stream)
{
    MR_ASSERT(stream->id / 2 < LOOP_STREAMS);
    return &side->heard[stream->id / 2];
}

static void loop_headers(void *self, struct mr_h2_stream *stream, enum mr_h2_block block,
                         const struct mr_h2_header *headers, size_t count, bool end)
{
    struct side *side = self;
    struct heard *heard = heard_of(side, stream);
    struct mr_grpc_outcome outcome;

    (void)end;
    heard->stream = stream;
    heard->requests += block == MR_H2_REQUEST;
    heard->responses += block == MR_H2_RESPONSE;
    heard->trailers += block == MR_H2_TRAILERS;
    side->headers_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        side->headers_bytes += headers[i].name.bytes + headers[i].value.bytes;
        if (mr_span_equal(headers[i].name, mr_span_text(":path")))
            snprintf(heard->path, sizeof heard->path, "%.*s", (int)headers[i].value.bytes,
                     (const char *)headers[i].value.data);
    }
    mr_grpc_outcome_read(&outcome, headers, count);
    if (outcome.http_status)
        heard->outcome.http_status = outcome.http_status;
    heard->outcome.code = outcome.code;
    size_t bytes = mr_grpc_message_decode(heard->message, sizeof heard->message - 1,
                                          outcome.message);
    heard->message[bytes] = 0;
    if (block == MR_H2_REQUEST && side->on_request)
        side->on_request(side, stream);
}

static void loop_data(void *self, struct mr_h2_stream *stream, struct mr_span bytes)
{
    struct side *side = self;
    struct heard *heard = heard_of(side, stream);

    heard->bytes += bytes.bytes;
    for (size_t i = 0; i < bytes.bytes; i++)
        heard->checksum = heard->checksum * 31 + bytes.data[i];
    if (heard->keep) {
        memcpy(heard->keep + heard->kept, bytes.data, bytes.bytes);
        heard->kept += bytes.bytes;
    }
    mr_h2_consume_connection(mr_link_h2(side->link), bytes.bytes);
    if (!side->hoard)
        mr_h2_consume_stream(mr_link_h2(side->link), stream, bytes.bytes);
}

static void loop_end(void *self, struct mr_h2_stream *stream)
{
    struct side *side = self;

    heard_of(side, stream)->ends++;
    if (side->on_end)
        side->on_end(side, stream);
}

static void loop_sent(void *self, struct mr_h2_stream *stream, void *token)
{
    (void)token;
    heard_of(self, stream)->sents++;
}

static void loop_closed(void *self, struct mr_h2_stream *stream, uint32_t code)
{
    struct heard *heard = heard_of(self, stream);

    heard->closes++;
    heard->reset_code = code;
    heard->stream = NULL;
}

static void loop_goaway(void *self, int32_t last, uint32_t code, struct mr_span debug)
{
    struct side *side = self;

    (void)debug;
    side->goaways++;
    side->goaway_last = last;
    side->goaway_code = code;
}

static void loop_settings(void *self)
{
    ((struct side *)self)->settings++;
}

static void loop_pong(void *self, uint64_t payload)
{
    ((struct side *)self)->pongs++;
    ((struct side *)self)->pong = payload;
}

static const struct mr_h2_events loop_events = {
    .headers = loop_headers,
    .data = loop_data,
    .end = loop_end,
    .sent = loop_sent,
    .closed = loop_closed,
    .goaway = loop_goaway,
    .settings = loop_settings,
    .pong = loop_pong,
};

/* Moves at most `limit` bytes at a time from one to the other. Returns how many in all. */
static inline size_t loop_move(struct side *from, struct side *to, size_t limit)
{
    static uint8_t buffer[1 << 16];
    size_t moved = 0;

    for (;;) {
        int64_t bytes = mr_link_take(from->link, buffer, limit);
        if (bytes < 0 && from->err == MR_OK)
            from->err = (int)bytes;
        if (bytes <= 0)
            return moved;
        int err = mr_link_feed(to->link, mr_span_of(buffer, (size_t)bytes));
        if (err != MR_OK && to->err == MR_OK)
            to->err = err;
        moved += (size_t)bytes;
    }
}

/* Until neither has anything to say. */
static inline void loop_run(struct side *client, struct side *server, size_t limit)
{
    while (loop_move(client, server, limit) + loop_move(server, client, limit) > 0)
        ;
}

#endif
