/* One HTTP/2 connection, client or server: bytes in, events up; calls down, bytes out.
 * nghttp2 lives behind this and nowhere else.
 *
 * Flow control is the user's: every DATA byte handed on stays charged to its stream and to the
 * connection until mr_h2_consume_stream and mr_h2_consume_connection give it back. Withholding the
 * former is back-pressure on one stream; the latter is given as soon as the bytes were looked at,
 * also for streams that have closed since, lest the others starve.
 *
 * Thread    one thread; events come from within mr_h2_feed and mr_h2_take, on that thread, and may
 *           call anything here but feed, take and destroy.
 * Allocates through libc's malloc: per stream, per header block, and whatever nghttp2 needs.
 * Errors    MR_E_HTTP2 is the end of the connection, with mr_h2_why; what is still to be said to
 *           the peer (a GOAWAY) can be taken.
 * Source    RFC 9113. */
#ifndef MR_WIRE_H2_H
#define MR_WIRE_H2_H

#include "core/base.h"
#include "core/err.h"

#define MR_H2_HEADER_LIST_BYTES (4u << 20) /* both ways; exactly-once failures fill trailers */
/* One header value, as coded on the wire: nghttp2 ends the connection beyond this, however long the
 * list may be. So a request of acknowledgements to an exactly-once subscription, whose failures
 * come back as one value with an entry per id, is to be kept to about 190 ids. */
#define MR_H2_HEADER_VALUE_BYTES (64u << 10)
#define MR_H2_STREAMS_MAX        100         /* as server; also the front end's limit */
#define MR_H2_STREAM_WINDOW      (1u << 20)  /* default, per stream */
#define MR_H2_CONNECTION_WINDOW  (64u << 20) /* default */
#define MR_H2_FRAME_BYTES        (1u << 20)  /* largest frame we accept */
#define MR_H2_HEAD_BYTES_MAX     16          /* of mr_h2_send, copied */

/* RFC 9113 section 7, those that we send. */
enum mr_h2_code {
    MR_H2_NO_ERROR = 0,
    MR_H2_PROTOCOL_ERROR = 1,
    MR_H2_INTERNAL_ERROR = 2,
    MR_H2_REFUSED_STREAM = 7,
    MR_H2_CANCEL = 8,
    MR_H2_ENHANCE_YOUR_CALM = 11,
};

struct mr_h2_header {
    struct mr_span name, value; /* names in lower case, pseudo-headers first */
};

enum mr_h2_block { MR_H2_REQUEST, MR_H2_RESPONSE, MR_H2_TRAILERS };

struct mr_h2;

/* Alive from mr_h2_open, or the request's headers, until its `closed` event returns. */
struct mr_h2_stream {
    int32_t id;
    void *user; /* the user's, NULL at first */
};

/* Any may be NULL. All spans live only during the call. */
struct mr_h2_events {
    /* A header block is complete. As server MR_H2_REQUEST is the birth of the stream. A response
     * whose block ends the stream is gRPC's trailers-only. Interim (1xx) responses are dropped. */
    void (*headers)(void *self, struct mr_h2_stream *stream, enum mr_h2_block block,
                    const struct mr_h2_header *headers, size_t count, bool end);
    void (*data)(void *self, struct mr_h2_stream *stream, struct mr_span bytes);
    /* The peer sends no more on this stream; after its last data or headers. */
    void (*end)(void *self, struct mr_h2_stream *stream);
    /* The body given to mr_h2_send is no longer needed: it was sent, or the stream is closing. */
    void (*sent)(void *self, struct mr_h2_stream *stream, void *token);
    /* `code` is RST_STREAM's, 0 for a normal end. */
    void (*closed)(void *self, struct mr_h2_stream *stream, uint32_t code);
    /* Streams above `last` were not processed by the peer; they close with REFUSED_STREAM. */
    void (*goaway)(void *self, int32_t last, uint32_t code, struct mr_span debug);
    void (*settings)(void *self); /* the peer's are in force */
    void (*pong)(void *self, uint64_t payload);
};

struct mr_h2_options {
    bool server;
    uint32_t stream_window, connection_window; /* 0: the defaults above; at most 2^31 - 1 */
    uint32_t streams_max;                      /* 0: MR_H2_STREAMS_MAX */
};

/* NULL: no memory. `events` and `self` outlive the connection. The preface and SETTINGS wait to be
 * taken. */
struct mr_h2 *mr_h2_create(const struct mr_h2_options *options, const struct mr_h2_events *events,
                           void *self);
/* No event is raised; borrowed bodies are let go. Accepts NULL. */
void mr_h2_destroy(struct mr_h2 *h2);

/* All of `bytes` is consumed. MR_OK or MR_E_HTTP2. A broken rule may show only at the next take,
 * once the GOAWAY that answers it has been taken. */
int mr_h2_feed(struct mr_h2 *h2, struct mr_span bytes);
/* Copies out up to `limit` bytes to be sent. Returns how many, 0 when there is nothing to say or
 * flow control forbids, or MR_E_HTTP2. */
int64_t mr_h2_take(struct mr_h2 *h2, uint8_t *buffer, size_t limit);
/* Nothing more to read or to send, ever. */
bool mr_h2_done(const struct mr_h2 *h2);
/* The last reason for an error, in words; "" if none. */
const char *mr_h2_why(const struct mr_h2 *h2);

/* Opens a request; headers are copied. NULL: as many streams are open as the peer allows, or a
 * GOAWAY was seen. */
struct mr_h2_stream *mr_h2_open(struct mr_h2 *h2, const struct mr_h2_header *headers, size_t count);
uint32_t mr_h2_open_count(const struct mr_h2 *h2);
/* How many requests may be open at once, by the peer's SETTINGS (100 until they are seen). */
uint32_t mr_h2_open_limit(const struct mr_h2 *h2);

/* Server: response headers, copied, once a stream. `end` makes it trailers-only. */
int mr_h2_respond(struct mr_h2 *h2, struct mr_h2_stream *stream, const struct mr_h2_header *headers,
                  size_t count, bool end);

/* Queues DATA: `head` (at most MR_H2_HEAD_BYTES_MAX, say a gRPC prefix) is copied, `body` is
 * borrowed until sent(token). A server must have responded before. MR_OK or MR_E_HTTP2_STREAM (the
 * stream's sending half is over; nothing is borrowed). */
int mr_h2_send(struct mr_h2 *h2, struct mr_h2_stream *stream, struct mr_span head,
               struct mr_span body, void *token);
/* The same with all copied; no `sent`. */
int mr_h2_send_copy(struct mr_h2 *h2, struct mr_h2_stream *stream, struct mr_span bytes);
/* Ends our half after what is queued; by END_STREAM, or by trailers (copied). */
int mr_h2_end(struct mr_h2 *h2, struct mr_h2_stream *stream);
int mr_h2_trailers(struct mr_h2 *h2, struct mr_h2_stream *stream,
                   const struct mr_h2_header *headers, size_t count);
/* Bytes queued on the stream and not yet framed. */
size_t mr_h2_queued_bytes(const struct mr_h2_stream *stream);

/* Ends the stream at once; `closed` follows from a later take. */
void mr_h2_reset(struct mr_h2 *h2, struct mr_h2_stream *stream, uint32_t code);
/* No new streams from the peer; those open may finish. */
void mr_h2_goaway(struct mr_h2 *h2, uint32_t code, struct mr_span debug);
void mr_h2_ping(struct mr_h2 *h2, uint64_t payload);

/* Gives received DATA bytes back; WINDOW_UPDATE goes out when half a window has come together. */
void mr_h2_consume_stream(struct mr_h2 *h2, struct mr_h2_stream *stream, size_t bytes);
void mr_h2_consume_connection(struct mr_h2 *h2, size_t bytes);

#endif
