/* A client's gRPC connection: socket, TLS and HTTP/2 below, calls above.
 *
 * Bounds  MR_CONNECTION_* and MR_CARRY_BYTES: whatever a client does, one connection holds no more
 *         than its send buffer, its calls, MR_CONNECTION_QUEUE_BYTES of unread responses (a call
 *         beyond it is refused) and its part of the server's MR_CARRY_BYTES of unfinished requests.
 * Thread  the server's one thread. */
#ifndef MR_LOCAL_CONNECTION_H
#define MR_LOCAL_CONNECTION_H

#include "core/socket.h"
#include "local/call.h"
#include "wire/link.h"

#define MR_CONNECTIONS_MAX        1000 /* of one server, of all kinds */
#define MR_CONNECTION_SEND_BYTES  (256u << 10)
#define MR_CONNECTION_QUEUE_BYTES (64u << 20)
#define MR_CARRY_BYTES            (256u << 20)
#define MR_CONNECTION_HELLO_US    10000000 /* from accept to the client's SETTINGS */
#define MR_CONNECTION_GOODBYE_US  2000000  /* from the end of all talk to the closing */

/* What the connections of a server share. */
struct mr_hall {
    struct mr_io *io;
    const struct mr_front *fronts;
    uint32_t front_count;
    int64_t now_us;
    size_t carry_bytes; /* of unfinished requests, all connections */
    uint32_t connection_count;
    bool leaving; /* no new calls */
    uint64_t accepted, calls, messages_in, messages_out, bytes_in, bytes_out;
    struct mr_connection *connections, *dirty;
    struct mr_served *roomy[1024]; /* calls whose `room` is to be called */
    uint32_t roomy_count;
    int64_t due_us; /* not later than the earliest due_us of a call */
};

/* Takes over an accepted descriptor. `tls` NULL: plaintext. False: refused and closed. */
bool mr_connection_open(struct mr_hall *hall, int fd, struct mr_tls_context *tls);

/* Moves what is to be sent into the sockets, calls `room` and `due`. Returns how many things were
 * done. Once a turn. */
uint32_t mr_connections_turn(struct mr_hall *hall);
/* Closes those that never spoke or have nothing more to say. Every second or so. */
void mr_connections_chores(struct mr_hall *hall);
/* GOAWAY to all; their calls end UNAVAILABLE. They close when they have sent all, or at once. */
void mr_connections_leave(struct mr_hall *hall);
void mr_connections_close(struct mr_hall *hall);

#endif
