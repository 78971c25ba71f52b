/* google.pubsub.v1.Publisher and Subscriber as a gRPC service over the brain in local/pubsub.h.
 * Snapshots, schemas, push, exports and transforms are refused UNIMPLEMENTED, never half done.
 * Thread  the server's one thread.   Allocates in calls.
 * Source  google/pubsub/v1/pubsub.proto and what was observed of the live service. */
#ifndef MR_LOCAL_PUBSUB_FRONT_H
#define MR_LOCAL_PUBSUB_FRONT_H

#include "local/call.h"
#include "local/pubsub.h"

#define MR_PUBSUB_FRONT_REQUEST_BYTES                                                              \
    10485760 /* the front end's own limit, above the service's                                     \
              */
#define MR_PUBSUB_FRONT_RESPONSE_BYTES (1u << 20)
#define MR_PUBSUB_FRONT_PULL_BYTES     10000000
#define MR_PUBSUB_FRONT_PULL_WAIT_US   INT64_C(90000000) /* an empty Pull is answered after it */

struct mr_pubsub_front;

/* `store` outlives the front; NULL: no memory. */
struct mr_pubsub_front *mr_pubsub_front_create(struct mr_pubsub_store *store);
void mr_pubsub_front_destroy(struct mr_pubsub_front *front); /* after all calls; accepts NULL */
struct mr_front mr_pubsub_front_service(struct mr_pubsub_front *front);

/* Does what is due and sends what is ready, a bounded part of it. Returns how many responses. */
uint32_t mr_pubsub_front_turn(struct mr_pubsub_front *front, int64_t now_us);

#endif
