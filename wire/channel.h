/* A client's connection and the gRPC calls on it: wire/link.h joined to core/socket.h.
 *
 *   mr_channel_open ─► up ─► calls ... ─► down      (the owner opens it again when it sees fit)
 *
 * A channel drains after the peer's GOAWAY: calls under way may finish, new ones are refused, and
 * `down` follows the last. Everything is told from mr_io_turn, never from within a call down.
 *
 * Owns    the owner lends the channel and the calls; both live until `down` and `done`.
 * Thread  the owner of the mr_io.  Allocates  per connection, in the libraries behind link. */
#ifndef MR_WIRE_CHANNEL_H
#define MR_WIRE_CHANNEL_H

#include "core/bearer.h"
#include "core/socket.h"
#include "wire/grpc.h"
#include "wire/link.h"

#define MR_CHANNEL_SEND_BYTES ((size_t)2 << 20) /* two halves of 1 MiB: an append each */

struct mr_channel;
struct mr_call;

struct mr_channel_events {
    void (*up)(struct mr_channel *channel);                    /* may be NULL */
    void (*draining)(struct mr_channel *channel);              /* may be NULL */
    void (*down)(struct mr_channel *channel, const char *why); /* after every call's done */
};

struct mr_channel_options {
    struct mr_address address;
    const char *host_port;                     /* :authority, and for messages */
    const char *host;                          /* whom to expect behind TLS */
    struct mr_tls_context *tls;                /* NULL: plaintext */
    struct mr_bearer *bearer;                  /* NULL: no authorization */
    uint32_t stream_window, connection_window; /* 0: the defaults of wire/h2.h */
};

struct mr_channel {
    struct mr_io *io;
    struct mr_channel_options options;
    const struct mr_channel_events *events;
    struct mr_socket socket;
    struct mr_link *link;
    struct mr_call *calls; /* under way */
    struct mr_io_op flush;
    bool open, is_up, draining, flush_due;
    bool answered; /* the peer speaks HTTP/2: its SETTINGS have come, since the last opening */
    int err;       /* enum mr_err of what ended it; MR_OK: the peer did, or we */
    uint8_t *send_buffer;
    void *user;                   /* the owner's */
    uint64_t heard_ns, pinged_ns; /* last bytes; ping under way, 0: none */
    uint64_t bytes_received, bytes_sent;
    char why[MR_TLS_WHY_BYTES];
};

/* `send_buffer` has MR_CHANNEL_SEND_BYTES. */
void mr_channel_init(struct mr_channel *channel, struct mr_io *io,
                     const struct mr_channel_options *options,
                     const struct mr_channel_events *events, uint8_t *send_buffer);

/* MR_OK, and `down` will come; or MR_E_MEMORY, MR_E_CONNECT, and it will not. */
int mr_channel_open(struct mr_channel *channel);

/* Ends every call with UNAVAILABLE and closes; `down` follows. */
void mr_channel_close(struct mr_channel *channel, const char *why);

/* Pings a silent peer and gives up on one that does not answer, or does not even greet. Call it
 * about once a second. */
void mr_channel_chores(struct mr_channel *channel, uint64_t now_ns);

/* Calls may be started now: up and not draining. */
static inline bool mr_channel_is_usable(const struct mr_channel *channel)
{
    return channel->is_up && !channel->draining;
}

/* ---- calls ---- */

struct mr_call_status {
    enum mr_grpc_code code;
    struct mr_span message; /* decoded, for people */
    struct mr_span details; /* encoded google.rpc.Status; empty: none */
    bool unprocessed;       /* the peer surely never saw it */
};

struct mr_call_events {
    /* One of these two. `message` needs call->carry. */
    void (*piece)(struct mr_call *call, const struct mr_grpc_piece *piece);
    void (*message)(struct mr_call *call, struct mr_span message);
    /* The body of mr_call_send is the owner's again. May be NULL. */
    void (*sent)(struct mr_call *call, void *token);
    /* The last event; the struct is the owner's again. */
    void (*done)(struct mr_call *call, const struct mr_call_status *status);
};

struct mr_call {
    const struct mr_call_events *events; /* set by the owner before start, as the next three */
    uint8_t *carry;                      /* for messages that come in pieces; may be NULL */
    uint32_t message_bytes_max;          /* of an answer; with carry: the carry's size */
    bool manual_flow; /* the owner gives received bytes back by mr_call_consume */

    struct mr_channel *channel;
    struct mr_h2_stream *stream;
    struct mr_call *next, *previous;
    struct mr_grpc_whole whole;
    struct mr_grpc_outcome outcome; /* of the last header block; its texts are kept below */
    char text[256];
    uint8_t *details; /* malloc'ed; NULL: none */
    size_t details_bytes;
    int failed; /* our own verdict on the answer: MR_OK or a wire error */
};

/* Opens the call: `path` as "/service/Method", `routing` as key and value of x-goog-request-params
 * (key NULL: none), `timeout` as "60S" or NULL. Returns MR_OK; MR_AGAIN: not usable, or as many
 * calls are open as the peer allows. */
int mr_call_start(struct mr_call *call, struct mr_channel *channel, const char *path,
                  const char *routing_key, struct mr_span routing_value, const char *timeout);

/* Sends one message: borrowed until `sent`, or copied. After the stream's end it is dropped, and
 * `sent` comes all the same; `done` tells what became of the call. */
void mr_call_send(struct mr_call *call, struct mr_span message, void *token);
void mr_call_send_copy(struct mr_call *call, struct mr_span message);
void mr_call_end(struct mr_call *call); /* no more messages from us */

/* Ends the call by CANCEL; `done` follows with CANCELLED. */
void mr_call_cancel(struct mr_call *call);

/* manual_flow: gives `bytes` of received messages back to the stream's window. */
void mr_call_consume(struct mr_call *call, size_t bytes);

#endif
