/* TLS 1.2 and 1.3 as an engine over memory, client or server: ciphertext in, plaintext out, and the
 * other way. OpenSSL lives behind this and nowhere else. ALPN is h2, always.
 *
 * Thread    a context may be shared by threads; a session belongs to one.
 * Allocates through libc's malloc, in OpenSSL.
 * Clock     OpenSSL reads the wall clock to judge a certificate's validity.
 * Errors    MR_E_TLS, MR_E_TLS_CERTIFICATE, MR_E_TLS_ALPN, MR_E_TLS_CLOSED, each with a reason in
 *           words from mr_tls_why. */
#ifndef MR_WIRE_TLS_H
#define MR_WIRE_TLS_H

#include "core/base.h"
#include "core/err.h"

#define MR_TLS_WHY_BYTES 256

struct mr_tls_context;
struct mr_tls;

/* Client: peers are verified against `ca_file` (PEM), or the system's store when NULL.
 * Server: certificate chain and key from PEM files.
 * NULL: MR_E_TLS_FILE, with the reason in why[MR_TLS_WHY_BYTES]. */
struct mr_tls_context *mr_tls_client_context(const char *ca_file, char *why);
struct mr_tls_context *mr_tls_server_context(const char *certificate_file, const char *key_file,
                                             char *why);
/* Sessions keep what they need of it. Accepts NULL. */
void mr_tls_context_destroy(struct mr_tls_context *context);

/* Client: `host` (a name or an IP address) is sent as SNI if a name, and must be in the peer's
 * certificate. Server: `host` is NULL. NULL: no memory. */
struct mr_tls *mr_tls_create(struct mr_tls_context *context, const char *host);
void mr_tls_destroy(struct mr_tls *tls); /* accepts NULL */

/* Takes in ciphertext from the socket; all of it is kept until read. MR_OK or MR_E_TLS. */
int mr_tls_feed(struct mr_tls *tls, struct mr_span ciphertext);

/* Goes on with the handshake, then decrypts up to `limit` bytes (with 0 it only shakes hands; a
 * client begins so). Returns how many, MR_PARTIAL when
 * more ciphertext is needed (there may be something to take), or an error: MR_E_TLS_CLOSED after
 * the peer's close_notify. */
int64_t mr_tls_read(struct mr_tls *tls, uint8_t *plaintext, size_t limit);

/* The handshake is done, the peer verified, ALPN agreed. */
bool mr_tls_ready(const struct mr_tls *tls);

/* Encrypts all of `plaintext`. MR_OK, MR_AGAIN before mr_tls_ready, or an error. */
int mr_tls_write(struct mr_tls *tls, struct mr_span plaintext);

/* Copies out ciphertext for the socket, up to `limit` bytes; 0 when there is none. */
size_t mr_tls_take(struct mr_tls *tls, uint8_t *buffer, size_t limit);

/* Queues close_notify. */
void mr_tls_close(struct mr_tls *tls);

const char *mr_tls_why(const struct mr_tls *tls);

/* An authority of its own and a certificate by it for `host` (a name or an IP address), as PEM
 * text, valid from 2020 to 2049, for tests and for the local cloud. Free each with free(). */
struct mr_tls_made {
    char *ca, *certificate, *key;
};
/* MR_OK or MR_E_TLS. */
int mr_tls_make(struct mr_tls_made *made, const char *host);
void mr_tls_made_finish(struct mr_tls_made *made);

#endif
