/* gRPC over HTTP/2: message frames, status, request and response headers; both directions.
 * Knows header spans (wire/h2.h), no connection.
 * Source  grpc PROTOCOL-HTTP2, http-grpc-status-mapping. */
#ifndef MR_WIRE_GRPC_H
#define MR_WIRE_GRPC_H

#include "wire/h2.h"
#include "wire/rpc.h"

/* ---- message frames: flag byte, big-endian length, message ---- */

#define MR_GRPC_PREFIX_BYTES 5

static inline void mr_grpc_prefix(uint8_t prefix[MR_GRPC_PREFIX_BYTES], uint32_t message_bytes)
{
    uint32_t be = __builtin_bswap32(message_bytes);
    prefix[0] = 0;
    memcpy(prefix + 1, &be, 4);
}

/* A resumable cursor over the DATA bytes of one stream; DATA frame borders mean nothing. */
struct mr_grpc_cursor {
    uint32_t message_bytes_max;
    uint32_t left;      /* of the message under way */
    uint8_t head_bytes; /* of the prefix; 5: within a message */
    uint8_t head[MR_GRPC_PREFIX_BYTES];
};

/* One piece of a message; an empty message is one piece with begin and end. */
struct mr_grpc_piece {
    struct mr_span bytes;   /* within the input */
    uint32_t message_bytes; /* when `begin`: length of the whole message */
    bool begin, end;
};

static inline struct mr_grpc_cursor mr_grpc_cursor_of(uint32_t message_bytes_max)
{
    return (struct mr_grpc_cursor){.message_bytes_max = message_bytes_max};
}

/* mr_grpc_next takes bytes off the front of `input`, up to one piece.
 * Returns MR_OK with *piece, MR_PARTIAL when input is used up, MR_E_GRPC_FRAME for a compressed or
 *         unknown flag (we never offer an encoding), MR_E_GRPC_TOO_LARGE. After an error the stream
 *         is to be reset. */
int mr_grpc_next(struct mr_grpc_cursor *cursor, struct mr_span *input, struct mr_grpc_piece *piece);

/* The stream ended: MR_OK between messages, MR_E_GRPC_FRAME within one. */
int mr_grpc_end(const struct mr_grpc_cursor *cursor);

/* Whole messages: handed on from the input where they lie whole, else put together in `carry`. */
struct mr_grpc_whole {
    struct mr_grpc_cursor cursor;
    uint8_t *carry; /* the caller's, at least cursor.message_bytes_max long */
    uint32_t used;
};

static inline struct mr_grpc_whole mr_grpc_whole_of(uint8_t *carry, uint32_t carry_bytes)
{
    return (struct mr_grpc_whole){mr_grpc_cursor_of(carry_bytes), carry, 0};
}

/* As mr_grpc_next; *message lives until the next call or the end of the input's life. */
int mr_grpc_whole_next(struct mr_grpc_whole *whole, struct mr_span *input, struct mr_span *message);

/* ---- status ---- */

/* What a header block says about the call's end; spans within the headers, still encoded. */
struct mr_grpc_outcome {
    int32_t http_status; /* :status, 0: not in this block */
    int32_t code;        /* grpc-status, -1: none or not a number */
    struct mr_span message, details;
    bool grpc; /* content-type begins with application/grpc */
};

void mr_grpc_outcome_read(struct mr_grpc_outcome *outcome, const struct mr_h2_header *headers,
                          size_t count);

/* The code of a call that ended without grpc-status: by HTTP status (mr_grpc_code_of_http), by
 * RST_STREAM's code (mr_grpc_code_of_reset). REFUSED_STREAM is UNAVAILABLE and surely not
 * processed. */
enum mr_grpc_code mr_grpc_code_of_http(int32_t http_status);
enum mr_grpc_code mr_grpc_code_of_reset(uint32_t h2_code);

/* Percent-decodes grpc-message into `text` (may be the same memory as the span), at most `limit`
 * bytes; bad escapes stay as they are. Returns how many. */
size_t mr_grpc_message_decode(char *text, size_t limit, struct mr_span encoded);
void mr_grpc_message_encode(struct mr_pen *pen, struct mr_span text);

/* Binary headers: standard alphabet, padded or not; stops at a comma (joined values). Returns bytes
 * written, or MR_E_GRPC_FRAME for bad text, MR_E_WIRE_ROOM beyond `limit`. In place is allowed.
 * Encoding is unpadded. */
int64_t mr_grpc_base64_decode(uint8_t *bytes, size_t limit, struct mr_span text);
void mr_grpc_base64_encode(struct mr_pen *pen, struct mr_span bytes);

/* ---- headers ---- */

#define MR_GRPC_HEADERS_MAX 16

/* A client's request; empty spans are left out. */
struct mr_grpc_request {
    bool plaintext;           /* scheme http */
    struct mr_span authority; /* "pubsub.googleapis.com" */
    struct mr_span path;
    struct mr_span authorization;  /* "Bearer ..." */
    struct mr_span request_params; /* mr_grpc_routing */
    struct mr_span api_client;     /* "gl-c/11 ..." */
    struct mr_span user_agent;
    struct mr_span user_project;
    struct mr_span timeout; /* "60S" */
};

/* Fills headers[MR_GRPC_HEADERS_MAX], returns how many; spans are borrowed from `request`. */
size_t mr_grpc_request_headers(struct mr_h2_header *headers, const struct mr_grpc_request *request);

/* key=value with all but unreserved characters and '/' percent-encoded. */
void mr_grpc_routing(struct mr_pen *pen, const char *key, struct mr_span value);

/* Server: the headers before the first message; static spans. */
size_t mr_grpc_response_headers(struct mr_h2_header *headers);

/* Server: trailers (or, with `only`, a trailers-only block) for a code, a plain message and details
 * as an encoded google.rpc.Status (either may be empty). Texts go into `pen`, whose memory must
 * live until the headers were copied. Returns how many; ask pen->err. */
size_t mr_grpc_trailers(struct mr_h2_header *headers, struct mr_pen *pen, bool only, int32_t code,
                        struct mr_span message, struct mr_span details);

/* grpc-timeout in microseconds; negative: malformed. "100m" is 100000. */
int64_t mr_grpc_timeout_us(struct mr_span text);

#endif
