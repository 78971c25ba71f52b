/* What an answer of the Storage Write API means for the append it answers, and how long to wait.
 * A failure comes in one of two ways: inside an answer, for that request alone; or as the status of
 * the call, for all that is unanswered. Both are judged here, by codes and numbers, never by prose.
 * Thread  pure. */
#ifndef MR_SINKS_VERDICT_H
#define MR_SINKS_VERDICT_H

#include "core/retry.h"
#include "wire/bigquery.h"

enum mr_verdict {
    MR_VERDICT_TAKEN,      /* the rows are in the table */
    MR_VERDICT_EXISTS,     /* they were already */
    MR_VERDICT_BEYOND,     /* their offset lies beyond the end of the stream */
    MR_VERDICT_BAD_ROWS,   /* some rows are refused by name */
    MR_VERDICT_REFUSED,    /* the request is refused, nobody says which row */
    MR_VERDICT_NO_STREAM,  /* the stream is finalized or gone */
    MR_VERDICT_NO_TABLE,   /* no such table or column, which heals when it was just made */
    MR_VERDICT_AGAIN,      /* a connection or a server came to its end: open and send again */
    MR_VERDICT_QUOTA,      /* more than the quota: wait as long as it lasts */
    MR_VERDICT_CREDENTIAL, /* the credential is not accepted (any more) */
    MR_VERDICT_FATAL,      /* no sending again mends it */
};

/* `status` as found in an answer, or made from the status of a call. */
enum mr_verdict mr_verdict_of(const struct mr_rpc_status *status);

/* The delay that the service asks for, 0 if none. */
uint64_t mr_verdict_delay_ns(const struct mr_rpc_status *status);

/* The N of "expected offset N", or -1. */
int64_t mr_expected_offset(struct mr_span text);

/* Two ways to wait: for what passes by itself, and for a quota to fill up again. */
extern const struct mr_retry_policy mr_append_retry_policy, mr_append_quota_policy;

#endif
