/* Acknowledgements and extensions, on a connection of their own: unary calls, batched by bytes,
 * several in flight. Each ack id is copied once, in wire form, into a request buffer; a request
 * that fails for the moment is sent again as it is, with full jitter, until it is answered.
 *
 * Owns    its buffers, from the arena.
 * Thread  the puller's.
 * Source  512 KiB a request, 60 s a call; retry 100 ms to 60 s by 1.3 (service configuration). */
#ifndef MR_SOURCES_ACKS_H
#define MR_SOURCES_ACKS_H

#include "sources/lease.h"
#include "sources/pull_connection.h"
#include "wire/pubsub.h"

#define MR_ACK_REQUESTS      8
#define MR_ACK_REQUEST_BYTES ((size_t)500 << 10)

enum mr_ack_verb { MR_ACK_VERB_ACK, MR_ACK_VERB_EXTEND, MR_ACK_VERB_NACK, MR_ACK_VERBS };

struct mr_acks;

struct mr_ack_request {
    struct mr_call call;
    struct mr_pubsub_ids ids;
    struct mr_acks *owner;
    enum mr_ack_verb verb;
    enum { MR_ACK_FREE, MR_ACK_FILLING, MR_ACK_FLYING, MR_ACK_WAITING } state;
    struct mr_retry retry;
    uint64_t filling_since_ns;
    uint8_t answer[256]; /* both answers are empty messages */
    uint8_t *buffer;
};

struct mr_acks {
    struct mr_pull_connection connection;
    struct mr_span subscription;
    struct mr_fault *fault; /* the peer's */
    struct mr_ack_request requests[MR_ACK_REQUESTS];
    struct mr_ack_request *filling[MR_ACK_VERBS];
    bool exactly_once; /* known from the stream's properties */
    uint64_t now_ns;
    /* Counters. */
    uint64_t acked, extended, nacked, retried, rejected;
    uint64_t answered; /* requests that are over */
};

int mr_acks_init(struct mr_acks *acks, struct mr_arena *arena, struct mr_io *io,
                 const struct mr_pull_peer *peer, struct mr_span subscription);

/* False: no request buffer is free, ask again later. */
bool mr_acks_add(struct mr_acks *acks, enum mr_ack_verb verb, struct mr_span ack_id,
                 uint64_t now_ns);

/* Sends what is full or has waited 50 ms (all there is, when `all`), sends again what is due,
 * connects again. */
void mr_acks_chores(struct mr_acks *acks, uint64_t now_ns, bool all);

/* Nothing is being filled, flying or waiting. */
bool mr_acks_are_clean(const struct mr_acks *acks);

/* Acknowledgements that wait for their answer. */
uint64_t mr_acks_held(const struct mr_acks *acks);

void mr_acks_close(struct mr_acks *acks);

#endif
