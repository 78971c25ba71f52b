/* The brain of the local Pub/Sub: topics, subscriptions, leases, ordering, dead letters, filters.
 * A pure state machine: time is passed in, chance comes from a seed, and nothing here knows of
 * sockets or wire formats. The gRPC front turns requests into these calls and deliveries into
 * responses.
 *
 * Time    `now_us` is wall time in microseconds since 1970; a step back is taken as standing still.
 *         Every call with `now_us` first does what has become due. A lease ends at the first
 *         multiple of MR_PUBSUB_TICK_US that is not before its deadline, never earlier.
 * Owns    spans in answers, and the text of a status, live until the next call on the store.
 *         Spans in arguments are copied where they are kept.
 * Thread  one thread per store.
 * Errors  (gRPC code, text) pairs; on any code but OK nothing was changed, unless said otherwise.
 * Source  google.pubsub.v1 and what was observed of the live service. */
#ifndef MR_LOCAL_PUBSUB_H
#define MR_LOCAL_PUBSUB_H

#include "core/base.h"

#define MR_PUBSUB_TICK_US         16384 /* resolution of deadlines and back-off */
#define MR_PUBSUB_REQUEST_BYTES   10000000
#define MR_PUBSUB_REQUEST_POSTS   1000
#define MR_PUBSUB_PAIRS_MAX       100
#define MR_PUBSUB_KEY_BYTES       256  /* of an attribute */
#define MR_PUBSUB_VALUE_BYTES     1024 /* of an attribute */
#define MR_PUBSUB_ORDER_KEY_BYTES 1024
#define MR_PUBSUB_ACK_BYTES       (512 * 1024) /* one Acknowledge or ModifyAckDeadline request */
#define MR_PUBSUB_FILTER_BYTES    256
#define MR_PUBSUB_RESPONSE_COUNT  1000
#define MR_PUBSUB_PAGE_MAX        1000
#define MR_PUBSUB_PAGE_DEFAULT    100
#define MR_PUBSUB_TOKEN_BYTES     26
#define MR_PUBSUB_BACKOFF_MIN_US  INT64_C(10000000)  /* of a retry policy that names none */
#define MR_PUBSUB_BACKOFF_MAX_US  INT64_C(600000000) /* both: of a policy, and the upper limit */
#define MR_PUBSUB_DELETED_TOPIC   "_deleted-topic_"

/* The gRPC codes that this service gives. */
enum mr_pubsub_code {
    MR_PUBSUB_OK = 0,
    MR_PUBSUB_INVALID_ARGUMENT = 3,
    MR_PUBSUB_NOT_FOUND = 5,
    MR_PUBSUB_ALREADY_EXISTS = 6,
    MR_PUBSUB_RESOURCE_EXHAUSTED = 8,
    MR_PUBSUB_FAILED_PRECONDITION = 9,
    MR_PUBSUB_INTERNAL = 13,
    MR_PUBSUB_UNAVAILABLE = 14,
};

struct mr_pubsub_status {
    enum mr_pubsub_code code;
    const char *text; /* "" for OK */
};

/* Faults, each a probability in [0, 1], drawn from the store's seed. */
struct mr_pubsub_faults {
    double duplicate;       /* a delivered message comes a second time, with an ack id of its own;
                               not with ordering keys or exactly-once */
    double ack_lost;        /* an ack is answered OK and forgotten; not with exactly-once */
    double ack_delayed;     /* an ack is answered OK and takes effect ack_delay_us later; ditto */
    double ack_unavailable; /* exactly-once only: TRANSIENT_FAILURE_SERVICE_UNAVAILABLE */
    int64_t ack_delay_us;
};

struct mr_pubsub_options {
    uint64_t seed;
    uint64_t memory_bytes_limit; /* publishes beyond it: RESOURCE_EXHAUSTED; 0: no limit */
    int64_t stream_age_us;       /* streams end UNAVAILABLE at this age; 0: never */
    struct mr_pubsub_faults faults;
};

struct mr_pubsub_store;
struct mr_pubsub_puller;

struct mr_pubsub_store *mr_pubsub_create(const struct mr_pubsub_options *options);
void mr_pubsub_destroy(struct mr_pubsub_store *store);
void mr_pubsub_faults_set(struct mr_pubsub_store *store, const struct mr_pubsub_faults *faults);

/* ---- topics and subscriptions -------------------------------------------------------------- */

struct mr_pubsub_topic_settings {
    struct mr_span name;
    int64_t retention_us; /* 0: none, else 10 min to 31 d; kept for its echo only */
    struct mr_span extra; /* whatever else the front wants back (labels, ...); opaque here */
};

struct mr_pubsub_subscription_settings {
    struct mr_span name;
    struct mr_span topic;       /* fixed at creation; "_deleted-topic_" once it is gone */
    int32_t ack_deadline_s;     /* 0: 10; else [10, 600] */
    int64_t retention_us;       /* 0: 7 d; else 10 min to 31 d */
    bool retain_acked;          /* acked messages stay for a seek, until retention ends */
    bool ordering;              /* fixed at creation */
    bool exactly_once;          /* only the newest ack id of a leased message is valid */
    bool detached;              /* out only: see mr_pubsub_detach */
    bool push;                  /* belongs to a pusher: pullers are refused */
    struct mr_span filter;      /* fixed at creation; empty: everything */
    struct mr_span dead_letter; /* topic name; empty: no policy */
    int32_t attempts_max;       /* 0: 5; else [5, 100]; with dead_letter */
    bool retry;                 /* false: redelivered at once */
    int64_t backoff_min_us;     /* [0, 600 s]; with retry */
    int64_t backoff_max_us;     /* [backoff_min_us, 600 s]; with retry */
    int64_t expiration_us;      /* 0: 31 d; < 0: never; else >= 1 d; kept for its echo only */
    struct mr_span extra;
};

/* The four verbs of both kinds. *out (may be NULL) is filled with the values in force, defaults
 * included. An update replaces all settings: the front reads, applies its update mask, writes;
 * changing what is fixed at creation is INVALID_ARGUMENT. Deleting a topic leaves its
 * subscriptions pullable. Deleting a subscription ends its pullers NOT_FOUND. */
struct mr_pubsub_status mr_pubsub_topic_create(struct mr_pubsub_store *store,
                                               const struct mr_pubsub_topic_settings *topic,
                                               struct mr_pubsub_topic_settings *out);
struct mr_pubsub_status mr_pubsub_topic_get(struct mr_pubsub_store *store, struct mr_span name,
                                            struct mr_pubsub_topic_settings *out);
struct mr_pubsub_status mr_pubsub_topic_update(struct mr_pubsub_store *store,
                                               const struct mr_pubsub_topic_settings *topic,
                                               struct mr_pubsub_topic_settings *out);
struct mr_pubsub_status mr_pubsub_topic_delete(struct mr_pubsub_store *store, struct mr_span name);

struct mr_pubsub_status
mr_pubsub_subscription_create(struct mr_pubsub_store *store,
                              const struct mr_pubsub_subscription_settings *subscription,
                              struct mr_pubsub_subscription_settings *out);
struct mr_pubsub_status mr_pubsub_subscription_get(struct mr_pubsub_store *store,
                                                   struct mr_span name,
                                                   struct mr_pubsub_subscription_settings *out);
struct mr_pubsub_status
mr_pubsub_subscription_update(struct mr_pubsub_store *store,
                              const struct mr_pubsub_subscription_settings *subscription,
                              struct mr_pubsub_subscription_settings *out);
struct mr_pubsub_status mr_pubsub_subscription_delete(struct mr_pubsub_store *store,
                                                      struct mr_span name);

/* Cuts a subscription from its topic and drops its backlog; its pullers, present and future, end
 * FAILED_PRECONDITION. */
struct mr_pubsub_status mr_pubsub_detach(struct mr_pubsub_store *store, struct mr_span name);

/* Marks messages published before time_us acked, and the later ones not acked, as far as they are
 * still held (retain_acked holds acked ones). Leases of the later ones end: they come again. */
struct mr_pubsub_status mr_pubsub_seek(struct mr_pubsub_store *store, struct mr_span subscription,
                                       int64_t time_us, int64_t now_us);

/* One page of names, in order of creation. A token stays valid when the item it names is gone. */
struct mr_pubsub_page {
    struct mr_span names[MR_PUBSUB_PAGE_MAX];
    uint32_t count;
    char next_token[MR_PUBSUB_TOKEN_BYTES + 1]; /* "" on the last page */
};

enum mr_pubsub_listing {
    MR_PUBSUB_TOPICS,             /* parent is "projects/{p}" */
    MR_PUBSUB_SUBSCRIPTIONS,      /* likewise */
    MR_PUBSUB_TOPIC_SUBSCRIPTIONS /* parent is a topic's name */
};

/* page_size in [0, MR_PUBSUB_PAGE_MAX], 0 for the default; anything else INVALID_ARGUMENT. */
struct mr_pubsub_status mr_pubsub_page_get(struct mr_pubsub_store *store,
                                           enum mr_pubsub_listing list, struct mr_span parent,
                                           int32_t page_size, struct mr_span token,
                                           struct mr_pubsub_page *out);

/* ---- publish ------------------------------------------------------------------------------- */

struct mr_pubsub_pair {
    struct mr_span key, value;
};

struct mr_pubsub_post {
    struct mr_span data;
    const struct mr_pubsub_pair *pairs; /* attributes; keys are distinct */
    uint32_t pair_count;
    struct mr_span ordering_key;
};

/* mr_pubsub_publish stores all posts or none.
 * Shapes  count in [1, 1000]; ids_out[count] receives 17-digit numbers, unique in the store.
 * Errors  NOT_FOUND: no such topic. INVALID_ARGUMENT: a limit above, an empty message, or ordering
 *         keys that differ within the request. RESOURCE_EXHAUSTED: memory_bytes_limit. */
struct mr_pubsub_status mr_pubsub_publish(struct mr_pubsub_store *store, struct mr_span topic,
                                          const struct mr_pubsub_post *posts, uint32_t count,
                                          int64_t now_us, uint64_t *ids_out);

/* ---- deliver ------------------------------------------------------------------------------- */

/* One StreamingPull stream, or one unary Pull that waits. */
struct mr_pubsub_puller_settings {
    bool stream;
    int32_t ack_deadline_s; /* stream: [10, 600], 0 is INTERNAL; unary: the subscription's */
    int64_t messages_max;   /* stream: outstanding, <= 0 unlimited; unary: of the answer, > 0 */
    int64_t bytes_max;      /* stream: outstanding, <= 0 unlimited; one message always fits */
    void *context;          /* the front's own */
};

struct mr_pubsub_delivery {
    struct mr_span ack_id; /* 190 characters on streams, 196 on unary pulls; new each time */
    uint64_t message_id;
    int64_t publish_us; /* whole milliseconds */
    struct mr_span data, ordering_key;
    const struct mr_pubsub_pair *pairs;
    uint32_t pair_count;
    int32_t attempt; /* 1 + nacks + expiries with a dead-letter policy, else 0; coming again with
                        an earlier message of its ordering key does not count */
};

/* Opens a puller; the caller closes it. NOT_FOUND, FAILED_PRECONDITION (detached, push),
 * INVALID_ARGUMENT and INTERNAL as the settings say. */
struct mr_pubsub_status mr_pubsub_puller_open(struct mr_pubsub_store *store,
                                              struct mr_span subscription,
                                              const struct mr_pubsub_puller_settings *settings,
                                              int64_t now_us, struct mr_pubsub_puller **out);
/* Its leases live on until they are acked or end. */
void mr_pubsub_puller_close(struct mr_pubsub_store *store, struct mr_pubsub_puller *puller);
/* A stream's later stream_ack_deadline_seconds; governs deliveries from now on. */
struct mr_pubsub_status mr_pubsub_puller_deadline(struct mr_pubsub_store *store,
                                                  struct mr_pubsub_puller *puller, int32_t s);
void *mr_pubsub_puller_context(const struct mr_pubsub_puller *puller);
/* What subscription_properties say; false once the subscription is gone. */
bool mr_pubsub_puller_exactly_once(const struct mr_pubsub_puller *puller);
bool mr_pubsub_puller_ordering(const struct mr_pubsub_puller *puller);

/* The next puller for which mr_pubsub_next has something to say (messages, or its end), NULL for
 * none. Each is named once; the caller must then call mr_pubsub_next or close it. Pullers of one
 * subscription take turns. */
struct mr_pubsub_puller *mr_pubsub_ready(struct mr_pubsub_store *store);

/* mr_pubsub_next leases messages to a puller, as far as its own limits, count_max and bytes_max
 * (one message always fits) allow, and not more than its fair share of what is ready.
 * A stream whose byte limit refused a message waits until one of its leases ends. With an ordering
 * key, what is out at a time is one batch of it, in order, to one puller.
 * Shapes  count_max in [1, 1000]; *out is an array of the returned *count deliveries.
 * Errors  any code ends the puller, and the front closes it: UNAVAILABLE (age), NOT_FOUND,
 *         FAILED_PRECONDITION. */
struct mr_pubsub_status mr_pubsub_next(struct mr_pubsub_store *store,
                                       struct mr_pubsub_puller *puller, int64_t now_us,
                                       uint32_t count_max, uint64_t bytes_max,
                                       const struct mr_pubsub_delivery **out, uint32_t *count);

/* ---- acknowledge --------------------------------------------------------------------------- */

enum mr_pubsub_ack {
    MR_PUBSUB_ACK_DONE,      /* took effect, or had before (until its entry is used anew) */
    MR_PUBSUB_ACK_STALE,     /* lease over; without exactly-once that is no error */
    MR_PUBSUB_ACK_INVALID,   /* the same with exactly-once: it will never succeed */
    MR_PUBSUB_ACK_RETRY,     /* exactly-once: a fault says to try again */
    MR_PUBSUB_ACK_MALFORMED, /* not of our making, or of another subscription */
};

/* "PERMANENT_FAILURE_INVALID_ACK_ID", "TRANSIENT_FAILURE_SERVICE_UNAVAILABLE", or NULL. */
const char *mr_pubsub_ack_reason(enum mr_pubsub_ack result);

/* mr_pubsub_ack ends leases for good; mr_pubsub_modify moves their deadlines to now + seconds.
 * Shapes  seconds[seconds_count], one for each id or one for all; 0 gives the message back.
 *         results[count] or NULL.
 * Errors  NOT_FOUND. INVALID_ARGUMENT with nothing changed: seconds outside [0, 600] or of another
 *         count, a request above 512 KiB, no ids, a malformed id (its result tells which).
 *         With exactly-once, INVALID_ARGUMENT (or UNAVAILABLE, if all failures are RETRY) when some
 *         ids failed and the rest took effect: each result tells. */
struct mr_pubsub_status mr_pubsub_ack(struct mr_pubsub_store *store, struct mr_span subscription,
                                      const struct mr_span *ack_ids, uint32_t count, int64_t now_us,
                                      enum mr_pubsub_ack *results);
struct mr_pubsub_status mr_pubsub_modify(struct mr_pubsub_store *store, struct mr_span subscription,
                                         const struct mr_span *ack_ids, uint32_t count,
                                         const int32_t *seconds, uint32_t seconds_count,
                                         int64_t now_us, enum mr_pubsub_ack *results);

/* ---- time, figures, disk ------------------------------------------------------------------- */

/* When mr_pubsub_tick is next worth calling (INT64_MAX: never). */
int64_t mr_pubsub_due_us(const struct mr_pubsub_store *store);
void mr_pubsub_tick(struct mr_pubsub_store *store, int64_t now_us);

struct mr_pubsub_figures {
    uint64_t topics, subscriptions, pullers;
    uint64_t messages;     /* distinct ones held */
    uint64_t entries;      /* message times subscription, acked and retained ones included */
    uint64_t leased;       /* of the entries */
    uint64_t memory_bytes; /* of messages, entries and ordering keys */
    uint64_t published, delivered, acked, expired, nacked, dead_lettered; /* since creation */
};
struct mr_pubsub_figures mr_pubsub_figures(const struct mr_pubsub_store *store);

/* Write all state to DIR/pubsub.state (by rename, so that a crash leaves old or new), and read it
 * into a fresh store. After a restore all leases are over and old ack ids are stale; attempts are
 * kept. A directory without the file restores nothing and is no error. A restore also counts in
 * DIR/pubsub.lives, so that a store which died unsaved never has its message ids given again.
 * Errors  MR_E_FILE_OPEN, MR_E_FILE_READ (cut, damaged, or of another version), MR_E_FILE_WRITE;
 *         after a failed restore the store may only be destroyed. */
int mr_pubsub_save(struct mr_pubsub_store *store, const char *directory);
int mr_pubsub_restore(struct mr_pubsub_store *store, const char *directory);

#endif
