/* A lasting connection to Pub/Sub: opened, opened again when it breaks, and replaced before it ends
 * when the peer asks to go away, so that calls always find one.
 *
 *   in use ── GOAWAY ──► draining, its calls may finish ── last call ends ──► down
 *              └───────► the other channel opens at once and takes what is started from now on
 *
 * Addresses are tried in turn until one answers. A peer that has never answered and cannot be the
 * right one (its certificate is refused, it does not speak HTTP/2) stops the run; all else is tried
 * again with full jitter, and told once for each new reason.
 *
 * Owns    its send buffers, from the arena.
 * Thread  the puller's.
 * Source  retry 100 ms to 60 s (service configuration); GOAWAY after an hour, seen on the service.
 */
#ifndef MR_SOURCES_PULL_CONNECTION_H
#define MR_SOURCES_PULL_CONNECTION_H

#include "core/arena.h"
#include "core/fault.h"
#include "core/retry.h"
#include "wire/channel.h"

/* Where to connect to, and whom to tell. The addresses outlive the connection. */
struct mr_pull_peer {
    struct mr_channel_options channel; /* its address is the first of these */
    const struct mr_address *addresses;
    uint32_t address_count;
    struct mr_fault *fault;
    void (*note)(const char *line); /* one line for the operator; NULL: nobody */
};

struct mr_pull_connection {
    struct mr_channel channels[2];
    uint32_t current; /* which of the two takes new calls */
    const struct mr_pull_peer *peer;
    struct mr_retry retry;
    uint32_t next_address;
    uint64_t now_ns;
    bool tells;                             /* of several to one peer, one is enough */
    bool closing, has_answered, in_trouble; /* has_answered: ever; in_trouble: told and not over */
    char told[MR_TLS_WHY_BYTES];            /* the last reason told */
};

/* Bytes of the arena that a connection takes. */
#define MR_PULL_CONNECTION_BYTES (2 * (MR_CHANNEL_SEND_BYTES + MR_FALSE_SHARING))

/* `peer` outlives the connection. Errors: MR_E_MEMORY. */
int mr_pull_connection_init(struct mr_pull_connection *connection, const struct mr_pull_peer *peer,
                            struct mr_arena *arena, struct mr_io *io, uint32_t stream_window,
                            uint64_t seed, bool tells);

/* Opens what is to be open (only if `wanted`), pings, gives up on the silent. About each 100 ms. */
void mr_pull_connection_chores(struct mr_pull_connection *connection, uint64_t now_ns, bool wanted);

/* For starting calls; it refuses them while it is not usable. */
static inline struct mr_channel *mr_pull_connection_channel(struct mr_pull_connection *connection)
{
    return &connection->channels[connection->current];
}

/* Ends it for good; the I/O needs a few more turns until mr_io_pending is 0. */
void mr_pull_connection_close(struct mr_pull_connection *connection);

#endif
