/* google.cloud.bigquery.storage.v1.BigQueryWrite as a gRPC service over the brain in
 * local/bigquery.h. Replies are queued, and the owner commits before it lets them leave.
 * Thread  the server's one thread. */
#ifndef MR_LOCAL_BIGQUERY_FRONT_H
#define MR_LOCAL_BIGQUERY_FRONT_H

#include "local/bigquery.h"
#include "local/call.h"

struct mr_bigquery_front {
    struct mr_bq *bq;
    bool answered; /* since the owner cleared it */
};

struct mr_front mr_bigquery_front_service(struct mr_bigquery_front *front);
/* Ends the streams that were silent for too long. Returns how many. */
uint32_t mr_bigquery_front_turn(struct mr_bigquery_front *front, int64_t now_us);

#endif
