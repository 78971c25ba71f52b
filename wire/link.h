/* One connection as its owner sees it: TLS (if wanted) under HTTP/2, nothing but bytes to move.
 *
 *     socket bytes -> mr_link_feed -> events of wire/h2.h
 *     mr_link_take -> socket bytes
 *
 * Take after every feed and after every call down until it returns 0.
 * Thread    one thread.   Allocates at create and inside the two libraries.
 * Errors    whatever ended the connection, MR_E_TLS* or MR_E_HTTP2, with mr_link_why; goodbyes can
 *           still be taken. */
#ifndef MR_WIRE_LINK_H
#define MR_WIRE_LINK_H

#include "wire/h2.h"
#include "wire/tls.h"

/* Plaintext passes through one buffer of this size, which stays in L2. */
#define MR_LINK_PLAIN_BYTES (64u << 10)

struct mr_link;

struct mr_link_options {
    struct mr_tls_context *tls; /* NULL: plaintext with prior knowledge */
    const char *host;           /* client with TLS: whom to expect */
    struct mr_h2_options h2;
};

/* NULL: no memory. As mr_h2_create for `events` and `self`. */
struct mr_link *mr_link_create(const struct mr_link_options *options,
                               const struct mr_h2_events *events, void *self);
void mr_link_destroy(struct mr_link *link); /* accepts NULL */

/* All of `bytes` is consumed; events come from within. */
int mr_link_feed(struct mr_link *link, struct mr_span bytes);
/* Copies out up to `limit` bytes for the socket; returns how many, 0 when there are none now, or an
 * error. */
int64_t mr_link_take(struct mr_link *link, uint8_t *buffer, size_t limit);

/* For opening streams and sending; what is sent before the handshake is done waits. */
struct mr_h2 *mr_link_h2(struct mr_link *link);
/* The TLS handshake is done (at once without TLS). */
bool mr_link_ready(const struct mr_link *link);
/* Nothing more will come or go; close the socket. */
bool mr_link_done(const struct mr_link *link);
/* The reason in words for the error that feed or take returned. */
const char *mr_link_why(const struct mr_link *link);

#endif
