/* HTTP requests to REST services and token servers, several at a time and without waiting: the
 * keeper turns them on in its own turns. libcurl lives behind this and nowhere else.
 *
 *     mr_rest_start(call) ... mr_rest_turn ... call->done(call)
 *
 * Redirects are not followed: an authorization never travels to a host it was not meant for. Names
 * are resolved by libcurl's own short-lived thread, so a slow name service holds nobody up.
 *
 * Owns    the owner lends the call, with all it points to, until `done` returns; then the answer
 *         is gone. Thread  one; init and finish too.   Allocates  in libcurl, and for answers.
 * Errors  call->err: MR_OK when there is an answer, whatever its status; MR_E_REST with `why`. */
#ifndef MR_KEEPER_REST_H
#define MR_KEEPER_REST_H

#include "core/base.h"
#include "core/err.h"

#define MR_REST_ANSWER_BYTES_MAX ((size_t)4 << 20)
#define MR_REST_HEADERS_MAX      6
#define MR_REST_WHY_BYTES        256

struct mr_rest {
    void *multi;         /* libcurl's */
    const char *ca_file; /* PEM, for https; NULL: the system's */
    uint32_t under_way;
};

struct mr_rest_call {
    /* The owner's, before start. */
    const char *method; /* "GET", "POST", ... */
    const char *url;
    const char *headers[MR_REST_HEADERS_MAX]; /* "Name: value"; NULL: no more */
    struct mr_span body;                      /* empty: none */
    uint32_t connect_ms, total_ms;            /* 0: 2,000 and 10,000 */
    bool direct;                              /* not by a proxy, whatever the environment says */
    void (*done)(struct mr_rest_call *call);

    /* The answer, valid in `done`. */
    int err;
    int32_t status; /* HTTP */
    struct mr_span answer;
    char why[MR_REST_WHY_BYTES];

    /* The room's own. */
    struct mr_rest *rest;
    void *easy, *header_list;
    char *bytes;
    size_t room;
};

/* At start, before other threads: libcurl sets itself up here. Errors: MR_E_MEMORY. */
int mr_rest_init(struct mr_rest *rest, const char *ca_file);
void mr_rest_finish(struct mr_rest *rest); /* ends calls without `done`; accepts zeroes */

/* `done` will come from mr_rest_turn, also when the call cannot even be set up. */
void mr_rest_start(struct mr_rest *rest, struct mr_rest_call *call);
/* Ends the call; `done` does not come. Accepts one that is not under way. */
void mr_rest_cancel(struct mr_rest_call *call);

/* Moves all calls on; returns how many have ended. Costs nothing when none is under way. */
uint32_t mr_rest_turn(struct mr_rest *rest);

/* For commands, which have nothing else to do: turns and waits until no call is under way. */
void mr_rest_wait(struct mr_rest *rest);

/* What an ended call to a Google REST service means. */
enum mr_rest_verdict {
    MR_REST_DONE,
    MR_REST_EXISTS, /* made by somebody already: success for "ensure it is there" */
    MR_REST_ABSENT,
    MR_REST_RETRY, /* later, with back-off */
    MR_REST_REFUSED,
};

/* Judges by err, status and the reason in the answer. For all but DONE writes what happened into
 * call->why, from the service's own words; no header, hence no token, is in it.
 * Source  the error table of the BigQuery documentation; 408, 429 and 5xx as RFC 9110. */
enum mr_rest_verdict mr_rest_judge(struct mr_rest_call *call);

#endif
