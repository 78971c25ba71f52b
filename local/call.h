/* One gRPC call as the services see it: request messages in, response messages out, an end.
 *
 *     front->find(path)        which method, once the request's headers are there
 *       method->message        one request message (once, unless the method streams)
 *       method->half_closed    the client sends no more (streaming methods only)
 *       method->room           responses have been framed: there may be room again
 *       method->due            call->due_us has come
 *       method->closed         the last call: the stream is gone, `state` is to be let go
 *     mr_served_give, _reply, _end         from within any of them, or at any time before closed
 *
 * Thread  the server's one thread.
 * Errors  none to handle: what is said to a stream that is over is dropped. */
#ifndef MR_LOCAL_CALL_H
#define MR_LOCAL_CALL_H

#include "wire/grpc.h"

struct mr_served;
struct mr_connection;

struct mr_method {
    uint32_t request_bytes_max;
    bool streams; /* any number of request messages; else exactly one */
    int32_t too_large_code;
    const char *too_large; /* what a larger request is told */
    /* The span lives during the call only. */
    void (*message)(struct mr_served *call, struct mr_span message);
    /* All of these may be NULL; without `due` the call ends DEADLINE_EXCEEDED, without
     * `half_closed` a streaming call stays open. */
    void (*half_closed)(struct mr_served *call);
    void (*room)(struct mr_served *call);
    void (*due)(struct mr_served *call);
    void (*closed)(struct mr_served *call);
};

/* One service, or several. */
struct mr_front {
    void *self;
    const struct mr_method *(*find)(void *self, struct mr_span path); /* NULL: no such method */
};

struct mr_served {
    const struct mr_method *method;
    void *front;           /* the front's self */
    void *state;           /* the method's own, NULL at first */
    struct mr_span params; /* x-goog-request-params; lives until the first `message` returns */
    int64_t now_us;        /* wall time of this turn; for reading within callbacks */
    int64_t deadline_us;   /* by grpc-timeout; INT64_MAX: none */
    int64_t due_us;        /* when `due` is called; at first the deadline */

    /* The connection's own. */
    struct mr_connection *connection;
    struct mr_h2_stream *stream;
    struct mr_served *next, **link;
    struct mr_grpc_cursor cursor;
    uint8_t *carry;
    size_t carry_bytes, carry_room;
    char *params_kept;
    bool messaged, responded, ended, room_told;
};

/* Memory for a response: fill data[0..bytes_max), then give it. */
struct mr_served_buffer {
    struct mr_served_buffer *next, **link; /* the connection's own */
    struct mr_connection *connection;
    size_t bytes;
    uint8_t data[];
};

/* Never NULL. */
struct mr_served_buffer *mr_served_buffer_create(size_t bytes_max);
/* Sends the first `bytes` bytes as one message, without copying; the buffer is the call's. */
void mr_served_give(struct mr_served *call, struct mr_served_buffer *buffer, size_t bytes);
/* Sends a copy. */
void mr_served_send(struct mr_served *call, struct mr_span message);
/* Sends a copy and ends with OK. */
void mr_served_reply(struct mr_served *call, struct mr_span message);

/* Ends with a code, a plain text and an encoded google.rpc.Status (or nothing). Only the first end
 * counts; nothing is received afterwards, `closed` comes later. */
void mr_served_end_details(struct mr_served *call, int32_t code, struct mr_span text,
                           struct mr_span details);
void mr_served_end(struct mr_served *call, int32_t code, const char *text);

/* Response bytes not yet framed: the peer does not read, or its windows are full. */
size_t mr_served_queued_bytes(const struct mr_served *call);
/* Calls `due` at that time, or at the deadline if it is earlier. */
void mr_served_wait_until(struct mr_served *call, int64_t us);

#endif
