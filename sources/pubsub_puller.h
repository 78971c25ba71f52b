/* The puller of a Pub/Sub subscription: many StreamingPulls over few connections, decoded into
 * order batches; acknowledgements when batches come back, on a connection of their own.
 *
 *   message ─ lease ─ decode ─► batch ─ ring ─► aggregator
 *      │ no room: park                            │
 *   lease extended near its deadline   ◄─ batch back: its messages are acknowledged
 *   letter safe (keeper) ─► its message is acknowledged
 *
 * The socket is always read. What is withheld when there is no room is the streams' windows and
 * max_outstanding; the park holds what these allow.
 * Draining: streams stop, what has arrived is processed, every window fires, all is acknowledged.
 * A peer that answers no acknowledgement for ten seconds of it is not waited for: those messages
 * come again to whoever pulls next.
 *
 * Thread  mr_subscriber_turn by its worker; the rest before start or after the end. */
#ifndef MR_SOURCES_PUBSUB_PULLER_H
#define MR_SOURCES_PUBSUB_PULLER_H

#include <stdatomic.h>

#include "sources/acks.h"
#include "sources/batcher.h"
#include "sources/lease.h"
#include "sources/park.h"
#include "sources/pull_stream.h"

struct mr_edge;
struct mr_spsc;

#define MR_PULL_STREAMS_A_CONNECTION 80 /* the front end allows 100 */
#define MR_PULL_CONNECTIONS_MAX      16

struct mr_subscriber {
    const struct mr_plan *plan;
    uint32_t number;
    struct mr_fault *fault;
    struct mr_batcher batcher;
    struct mr_decoder *decoder;
    struct mr_decoded *decoded;
    struct mr_event event;
    struct mr_event_scratch *scratch;
    uint8_t *attributes;           /* of one letter, as core/letter.h lays them out */
    struct mr_spsc **batches_back; /* from each aggregator */
    struct mr_edge *batches_out;   /* to each aggregator */
    struct mr_spsc *letters_safe;  /* from the keeper: lease + 1 as a pointer */
    const atomic_bool *drain;      /* set by the main thread */

    struct mr_pull_settings settings;
    struct mr_pull_peer peer;
    struct mr_pull_connection connections[MR_PULL_CONNECTIONS_MAX];
    uint32_t connection_count;
    struct mr_pull_stream *streams;
    uint32_t stream_count;
    struct mr_leases leases;
    struct mr_park park;
    struct mr_acks acks;
    uint32_t *to_ack; /* leases whose acknowledgement waits for a request buffer: a ring */
    uint32_t to_ack_head, to_ack_count;

    uint64_t now_ns, chores_due_ns;
    uint64_t received_ns;       /* when the last message came */
    uint64_t ready_ns, away_ns; /* when all streams were open last; when for long one was not */
    uint64_t drain_moved_ns, drain_acked; /* draining: when acknowledging last went on */
    uint32_t worked;                      /* messages since the last turn */
    bool ended;                           /* the end has been sent down */

    /* Written by the puller, read by others, relaxed. */
    atomic_ullong received, decimals_rounded, bytes, outstanding, dropped;
    atomic_ullong idle_ns; /* for how long all streams were open, nothing came or was in flight */
    atomic_ullong unacknowledged; /* at the end: done with, but the peer did not answer */
    atomic_bool done;
};

/* What a puller needs from outside; addresses are resolved, contexts made. */
struct mr_subscriber_options {
    const struct mr_plan *plan;
    struct mr_arena *arena;
    struct mr_io *io;
    struct mr_fault *fault;
    const struct mr_pull_peer *peer; /* what it points to outlives the puller */
    const atomic_bool *drain;
    atomic_size_t *jumbo_bytes;
    uint32_t number, stream_count, share_count, batches;
    const char *client_id; /* stable over reconnections, different for every puller */
};

/* Bytes of the arena that mr_subscriber_init takes at most, batches apart. */
size_t mr_subscriber_memory(uint32_t stream_count);

int mr_subscriber_init(struct mr_subscriber *puller, const struct mr_subscriber_options *options);
uint32_t mr_subscriber_turn(void *self, uint64_t now_ns);

/* Closes connections; the I/O needs a few more turns until mr_io_pending is 0. */
void mr_subscriber_close(struct mr_subscriber *puller);

#endif
