/* Credentials: who we are to Google's services, found as all of Google's programs find them, and a
 * bearer token (core/bearer.h) for each service, renewed before it expires.
 *
 *     GOOGLE_APPLICATION_CREDENTIALS ─► key file     ─► a JWT we sign ourselves, one a service
 *     ~/.config/gcloud/application_default_…json ─► user's file ─► token server  ┐ one access token
 *     none of them                             ─► metadata server (or GCE_METADATA_HOST) ┘ for all
 *
 * A variable that names a file which cannot be used is an error, never a reason to look further.
 * No network at init; a key file gives its tokens at once, the others come by mr_credentials_turn.
 * Renewal begins 225 s before the expiry (Go and Python do the same); while it fails the old token
 * serves, and once that has expired calls wait for a new one.
 * Plaintext services and emulators need none: do not make any.
 *
 * Secrets  tokens, keys and what a token server answers are in no message and no log.
 * Owns     all texts until finish.   Thread  init and serve before the run, turn by the keeper.
 * Errors   MR_E_CREDENTIALS, with `why` naming the file or host and the reason. */
#ifndef MR_KEEPER_CREDENTIALS_H
#define MR_KEEPER_CREDENTIALS_H

#include "core/bearer.h"
#include "core/retry.h"
#include "keeper/rest.h"

#define MR_AUDIENCE_PUBSUB   "https://pubsub.googleapis.com/"
#define MR_AUDIENCE_STORAGE  "https://bigquerystorage.googleapis.com/"
#define MR_AUDIENCE_BIGQUERY "https://bigquery.googleapis.com/"

#define MR_CREDENTIALS_SERVICES_MAX 4
#define MR_CREDENTIALS_RENEW_S      225
#define MR_CREDENTIALS_TRIES        5 /* for the first token; afterwards there is no end to them */

enum mr_credentials_kind {
    MR_CREDENTIALS_NONE,
    MR_CREDENTIALS_KEY,
    MR_CREDENTIALS_USER,
    MR_CREDENTIALS_METADATA,
};

struct mr_jwt_key;
struct mr_credentials_text;

struct mr_credentials {
    enum mr_credentials_kind kind;
    struct {
        const char *audience;
        struct mr_bearer *bearer;
    } services[MR_CREDENTIALS_SERVICES_MAX];
    uint32_t service_count;
    int err;        /* MR_OK, or what no further try will mend */
    char why[512];  /* of err, or of the last try that failed; "" after one that did not */
    char from[320]; /* the file or host, for people */

    struct mr_rest *rest;
    struct mr_jwt_key *key;
    char *email, *key_id, *client_id, *client_secret, *refresh_token, *url;
    struct mr_credentials_text *texts; /* every bearer text ever told */
    struct mr_rest_call call;
    char *form;
    struct mr_retry retry;
    uint64_t now_ns;
    int64_t now_us, renew_us, expires_us; /* wall time; 0: none yet */
    bool asking;
};

/* Finds them; `rest` outlives the credentials. MR_OK or MR_E_CREDENTIALS. Needs finish either way.
 */
int mr_credentials_init(struct mr_credentials *credentials, struct mr_rest *rest);
void mr_credentials_finish(struct mr_credentials *credentials); /* accepts zeroes */

/* From now on `bearer` holds a token for `audience`, and calls with it wait until there is one.
 * With a key file there is one on return. `now_us` is wall time. */
int mr_credentials_serve(struct mr_credentials *credentials, const char *audience,
                         struct mr_bearer *bearer, int64_t now_us);

/* Renews what is due. Call it and mr_rest_turn in every turn. Returns how much was done; ask `err`
 * and `why`. */
uint32_t mr_credentials_turn(struct mr_credentials *credentials, uint64_t now_ns, int64_t now_us);

/* For commands, before any turn: waits for the first token. MR_OK or MR_E_CREDENTIALS. */
int mr_credentials_wait(struct mr_credentials *credentials);

#endif
