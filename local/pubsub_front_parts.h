/* What the files of the Pub/Sub front share. */
#ifndef MR_LOCAL_PUBSUB_FRONT_PARTS_H
#define MR_LOCAL_PUBSUB_FRONT_PARTS_H

#include "local/pubsub_front.h"
#include "wire/pubsub.h"

struct mr_pubsub_front {
    struct mr_pubsub_store *store;
    uint8_t *extra; /* of the resource under way */
    struct mr_span *ids;
    enum mr_pubsub_ack *results;
    int32_t *seconds;
    uint32_t id_room;
    struct mr_pubsub_pair *pairs;
    uint32_t pair_room;
    struct mr_pubsub_post posts[MR_PUBSUB_REQUEST_POSTS];
    uint32_t first_pairs[MR_PUBSUB_REQUEST_POSTS];
    uint64_t message_ids[MR_PUBSUB_REQUEST_POSTS];
    struct mr_pubsub_page page;
};

static inline struct mr_pubsub_front *mr_pubsub_front_of(const struct mr_served *call)
{
    return call->front;
}

/* Ends the call with what the store said; true if that was OK (and the call goes on). */
bool mr_pubsub_front_went(struct mr_served *call, struct mr_pubsub_status status);
/* True if `err` is MR_OK; else the call ends. */
bool mr_pubsub_front_parsed(struct mr_served *call, int err);

/* 17 digits, as message ids are on the wire. */
#define MR_PUBSUB_FRONT_ID_BYTES 20
struct mr_span mr_pubsub_front_id(uint64_t id, char text[MR_PUBSUB_FRONT_ID_BYTES]);

/* Makes room for `count` ids, results and seconds. */
void mr_pubsub_front_ids(struct mr_pubsub_front *front, uint32_t count);
/* The spans of `list`, in front->ids; returns how many. */
uint32_t mr_pubsub_front_list(struct mr_pubsub_front *front, const struct mr_pb_list *list);
/* Ends the call as an exactly-once failure: ErrorInfo names each id that failed. */
void mr_pubsub_front_failed_ids(struct mr_served *call, struct mr_pubsub_status status,
                                uint32_t count);

/* pubsub_front_resources.c */
void mr_pubsub_front_create_topic(struct mr_served *call, struct mr_span message);
void mr_pubsub_front_get_topic(struct mr_served *call, struct mr_span message);
void mr_pubsub_front_update_topic(struct mr_served *call, struct mr_span message);
void mr_pubsub_front_delete_topic(struct mr_served *call, struct mr_span message);
void mr_pubsub_front_create_subscription(struct mr_served *call, struct mr_span message);
void mr_pubsub_front_get_subscription(struct mr_served *call, struct mr_span message);
void mr_pubsub_front_update_subscription(struct mr_served *call, struct mr_span message);
void mr_pubsub_front_delete_subscription(struct mr_served *call, struct mr_span message);
void mr_pubsub_front_detach(struct mr_served *call, struct mr_span message);
void mr_pubsub_front_modify_push(struct mr_served *call, struct mr_span message);
void mr_pubsub_front_list_topics(struct mr_served *call, struct mr_span message);
void mr_pubsub_front_list_subscriptions(struct mr_served *call, struct mr_span message);
void mr_pubsub_front_list_topic_subscriptions(struct mr_served *call, struct mr_span message);

/* pubsub_front_pull.c: one waiting Pull or one StreamingPull is a `struct pull`. */
struct mr_pubsub_pull_state {
    struct mr_served *call;
    struct mr_pubsub_puller *puller; /* NULL: not opened yet, or over */
    bool stream;
    bool held; /* has something to deliver, waits for room */
    int64_t protocol_version;
    int64_t wait_us; /* unary: when it is answered empty */
    size_t name_bytes;
    uint8_t name[]; /* of the subscription */
};

/* Opens the puller; false: the call has ended. The state is the call's from then on. */
bool mr_pubsub_front_open(struct mr_served *call, struct mr_span subscription,
                          struct mr_pubsub_puller_settings settings);
void mr_pubsub_front_serve(struct mr_pubsub_pull_state *pull, int64_t now_us);
void mr_pubsub_front_pull(struct mr_served *call, struct mr_span message);
void mr_pubsub_front_pull_due(struct mr_served *call);
void mr_pubsub_front_pull_closed(struct mr_served *call);
void mr_pubsub_front_stream_room(struct mr_served *call);

/* pubsub_front_stream.c */
void mr_pubsub_front_stream(struct mr_served *call, struct mr_span message);

#endif
