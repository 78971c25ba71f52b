/* A reader of HTTP/1.1 requests, bounded, for the REST port: bytes in, whole requests out.
 *
 *     room = mr_http1_room(reader, &bytes)     where to put what arrived
 *     mr_http1_add(reader, bytes)
 *     while ((status = mr_http1_next(reader, &request)) == MR_OK) answer(&request);
 *
 * Takes content-length and chunked bodies; refuses what proxies and servers have disagreed about:
 * both lengths at once, folded lines, lengths given twice, bare line feeds.
 * Owns    spans of a request live until the next call on the reader.
 * Thread  plain memory.   Allocates the buffer, which grows with what has arrived.
 * Source  RFC 9112. */
#ifndef MR_LOCAL_HTTP1_H
#define MR_LOCAL_HTTP1_H

#include "core/base.h"
#include "core/err.h"

#define MR_HTTP1_HEAD_BYTES (32u << 10)
#define MR_HTTP1_BODY_BYTES (12u << 20) /* insertAll's limit is 10 MB */
#define MR_HTTP1_ROOM_BYTES (16u << 10) /* least that mr_http1_room gives */

struct mr_http1_request {
    struct mr_span method, target, body, if_match;
    bool close; /* the client wants no further request on this connection */
};

struct mr_http1 {
    uint8_t *buffer;
    size_t bytes, room;
    size_t looked;      /* no end of the head before here */
    size_t head_bytes;  /* with the empty line; 0: not there yet */
    size_t body_bytes;  /* to come (by length), or decoded so far (chunked) */
    size_t at;          /* chunked: next raw byte to look at */
    size_t chunk_bytes; /* left of the chunk under way */
    size_t taken;       /* raw bytes of the request that was handed on */
    uint8_t stage;
    bool expects; /* the client waits for "100 Continue"; the owner clears it */
    bool close;
    struct mr_http1_part {
        size_t at, bytes;
    } method, target, if_match; /* of the request under way, in the buffer, which may move */
};

/* Room for at least MR_HTTP1_ROOM_BYTES more; NULL: no memory. */
uint8_t *mr_http1_room(struct mr_http1 *reader, size_t *bytes);
void mr_http1_add(struct mr_http1 *reader, size_t bytes);
void mr_http1_finish(struct mr_http1 *reader); /* accepts zeroes */

/* MR_OK with *request; MR_PARTIAL; or the HTTP status (400, 413, 431, 501, 505) that ends the
 * connection. */
int mr_http1_next(struct mr_http1 *reader, struct mr_http1_request *request);
/* A request has begun and is not complete. */
static inline bool mr_http1_pending(const struct mr_http1 *reader)
{
    return reader->bytes > reader->taken;
}

#endif
