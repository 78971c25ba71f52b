/* A self-signed JWT: a service account's own word for who it is, sent as Bearer token without
 * asking anybody. RS256 by OpenSSL, which lives in credentials*.c and nowhere else in this room.
 * Thread  one.   Allocates  in OpenSSL.
 * Source  RFC 7515, RFC 7519; AIP-4111 (self-signed JWT with audience). */
#ifndef MR_KEEPER_CREDENTIALS_JWT_H
#define MR_KEEPER_CREDENTIALS_JWT_H

#include "core/base.h"

#define MR_JWT_BYTES_MAX     8192
#define MR_JWT_LIFETIME_S    3600 /* the longest that is taken */
#define MR_JWT_CLOCK_DRIFT_S 10   /* issued so much earlier, for servers whose clock is behind */

struct mr_jwt_key; /* OpenSSL's EVP_PKEY */

/* The private RSA key in `pem`; NULL: it is none, and `why` says so. */
struct mr_jwt_key *mr_jwt_key_read(struct mr_span pem, const char **why);
void mr_jwt_key_destroy(struct mr_jwt_key *key); /* accepts NULL */

/* Writes a token for `audience` into text[MR_JWT_BYTES_MAX], with a final zero; it holds from
 * now_us - 10 s to now_us + 3,600 s. Returns its bytes, or -1: it does not fit, or cannot be signed
 * with this key. */
int64_t mr_jwt_sign(const struct mr_jwt_key *key, const char *key_id, const char *email,
                    const char *audience, int64_t now_us, char *text);

#endif
