/* What the store is made of; only the pubsub_*.c files of this room look in here.
 *
 *   topic ──< subscription ──< entry >── message        a message is held once, however many
 *                │   └──────< key ──< entry             subscriptions it waits in; an entry is one
 *                └──< puller                            message in one subscription
 *
 * Life of an entry:
 *
 *     READY ──next──► LEASED ──ack──► (HELD, ACKED) ──► free
 *       ▲                │ nack, expiry
 *       ├───────────── WAITING (back-off)
 *       └─ BLOCKED (its ordering key has an earlier message out)
 *
 * READY entries are in their subscription's queue, LEASED and WAITING ones in the wheel. Entries
 * are named by 32-bit indices, so that a backlog costs 64 bytes an entry; index 0 is none. */
#ifndef MR_LOCAL_PUBSUB_STATE_H
#define MR_LOCAL_PUBSUB_STATE_H

#include <sys/queue.h>

#include "local/pubsub.h"
#include "local/pubsub_filter.h"

/* Message ids have 17 digits; a life of the store has a block of them, and 90,000 lives fit. */
#define ID_FIRST UINT64_C(10000000000000000)
#define ID_BLOCK UINT64_C(1000000000000)
#define ID_LIVES 90000

#define CHUNK_ENTRIES    4096
#define WHEEL_SLOTS      65536 /* times the tick: 1073 s, beyond any deadline or back-off */
#define STREAM_ACK_CHARS 190
#define UNARY_ACK_CHARS  196
#define RETENTION_MIN_US INT64_C(600000000)
#define RETENTION_MAX_US (INT64_C(31) * 86400 * 1000000)
#define RETENTION_US     (INT64_C(7) * 86400 * 1000000)

struct message {
    uint64_t id;
    int64_t publish_us;
    uint32_t refs, mark; /* mark: number in the file while saving */
    uint32_t block_bytes;
    uint32_t size_bytes; /* what it counts towards max_outstanding_bytes */
    struct mr_span data, ordering_key;
    uint32_t pair_count;
    struct mr_pubsub_pair pairs[]; /* then the bytes that all spans point to */
};

enum state { FREE, READY, BLOCKED, WAITING, LEASED, HELD, ACKED };
enum link { LINK_ALL, LINK_QUEUE, LINK_KEY, LINKS };

struct entry {
    struct message *message;
    int64_t due_us; /* end of the lease or back-off; WAITING and BLOCKED keep the latter */
    uint32_t prev[LINKS], next[LINKS];
    uint32_t subscription; /* slots of the store */
    uint32_t puller;       /* while LEASED */
    uint32_t key;          /* 0: unordered */
    uint32_t stamp;        /* of the newest ack id, 0: none is valid; outlives an ack */
    uint32_t failures;     /* nacks and expiries */
    uint8_t state;
    bool copied; /* itself a fault's duplicate, or has one */
};
_Static_assert(sizeof(struct entry) == 64, "one cache line an entry");

struct list {
    uint32_t head, tail;
};

TAILQ_HEAD(chunks, chunk);
struct chunk {
    TAILQ_ENTRY(chunk) link; /* among those with room */
    struct list free;
    uint32_t number, used;
    struct entry entries[CHUNK_ENTRIES];
};

/* Pointers with small stable numbers; number 0 is none. */
struct slots {
    void **items;
    uint32_t count, room, free_count, free_room;
    uint32_t *free;
};

/* Anything with a name, inside its kind. */
struct resource {
    TAILQ_ENTRY(resource) link; /* in order of uid */
    struct resource *chain;
    struct mr_span name; /* the settings' own */
    uint32_t uid;
};
TAILQ_HEAD(resources, resource);

struct directory {
    struct resources list;
    struct resource **buckets;
    uint32_t count, bucket_count;
};

struct topic {
    TAILQ_HEAD(, subscription) subscriptions;
    struct mr_pubsub_topic_settings settings; /* all spans owned */
    struct resource resource;
};

struct key {
    uint64_t hash;
    struct key *chain;
    struct list entries;
    uint32_t cursor; /* first entry that is not out, 0: all are out or held */
    uint32_t slot, bytes;
    uint8_t text[];
};

TAILQ_HEAD(pullers, mr_pubsub_puller);

struct subscription {
    TAILQ_ENTRY(subscription) link;                  /* of its topic */
    struct mr_pubsub_subscription_settings settings; /* all spans owned */
    struct resource resource;
    struct topic *topic; /* NULL: deleted or detached */
    struct mr_pubsub_filter *filter;
    uint32_t slot;
    struct list all, ready;
    uint64_t entry_count, ready_count;
    struct key **keys;
    uint32_t key_count, key_buckets;
    struct pullers pullers, waiting; /* all; those with room, not yet told of messages */
    uint32_t queued;                 /* pullers told, not yet served */
    uint32_t sharers;                /* of this round, still to be served ... */
    uint64_t share;                  /* ... with so many ready heads each */
};

enum puller_state { PULLER_IDLE, PULLER_WAITING, PULLER_QUEUED, PULLER_SERVED, PULLER_CLOSED };

struct mr_pubsub_puller {
    TAILQ_ENTRY(mr_pubsub_puller) link, queue;
    struct subscription *subscription; /* NULL: deleted */
    struct mr_pubsub_puller_settings settings;
    enum mr_pubsub_code end; /* not OK: what mr_pubsub_next will say */
    enum puller_state state;
    uint32_t slot;
    int64_t ends_us;         /* its age limit, INT64_MAX: none */
    int64_t messages, bytes; /* outstanding */
};

struct late_ack {
    int64_t due_us;
    uint32_t entry, stamp;
};

struct mr_pubsub_store {
    struct mr_pubsub_options options;
    struct mr_pubsub_figures figures;
    uint64_t random, secret, next_id;
    uint32_t incarnation, next_uid, next_stamp;
    int64_t now_us;

    struct directory topics, subscriptions;
    struct slots subscription_slots, puller_slots, key_slots, chunk_slots;
    struct chunks roomy;
    uint32_t empty_chunks;

    struct list wheel[WHEEL_SLOTS];
    uint64_t occupied[WHEEL_SLOTS / 64];
    struct list due;        /* out of their slots, not yet handled */
    int64_t wheel_tick;     /* all slots up to here are done */
    int64_t next_tick;      /* no occupied slot before it */
    int64_t retention_us;   /* no message outlives its retention before it */
    int64_t pullers_due_us; /* no puller ends before it */
    struct pullers queued;

    struct late_ack *late; /* delay is constant, so that first in is first out */
    size_t late_head, late_count, late_room;

    struct late_ack *decoded; /* scratch of one ack request */
    uint32_t decoded_room;
    struct mr_pubsub_delivery deliveries[MR_PUBSUB_RESPONSE_COUNT];
    char ack_texts[MR_PUBSUB_RESPONSE_COUNT][UNARY_ACK_CHARS];
    char text[512];
};

/* pubsub.c: the store as a whole. Memory that cannot be had is a broken belief: the bound is
 * options.memory_bytes_limit. */
void *mr_pubsub_memory(size_t bytes); /* zeroed */
struct mr_pubsub_status mr_pubsub_ok(void);
struct mr_pubsub_status mr_pubsub_fail(struct mr_pubsub_store *s, enum mr_pubsub_code code,
                                       const char *format, ...) MR_PRINTF(3, 4);
uint64_t mr_pubsub_random(struct mr_pubsub_store *s);
bool mr_pubsub_chance(struct mr_pubsub_store *s, double probability);
uint32_t mr_pubsub_slot_take(struct slots *slots, void *item);
void mr_pubsub_slot_return(struct slots *slots, uint32_t slot);

/* pubsub_entry.c: the slab of entries, lists over it, and the wheel of deadlines. */
uint32_t mr_pubsub_entry_take(struct mr_pubsub_store *s);
void mr_pubsub_entry_return(struct mr_pubsub_store *s, uint32_t index);
struct entry *mr_pubsub_entry_find(struct mr_pubsub_store *s, uint32_t index); /* NULL: no such */
void mr_pubsub_list_push(struct mr_pubsub_store *s, struct list *l, enum link k, uint32_t index);
void mr_pubsub_list_insert(struct mr_pubsub_store *s, struct list *l, enum link k, uint32_t after,
                           uint32_t index);
void mr_pubsub_list_remove(struct mr_pubsub_store *s, struct list *l, enum link k, uint32_t index);
void mr_pubsub_wheel_add(struct mr_pubsub_store *s, uint32_t index, int64_t due_us);
void mr_pubsub_wheel_remove(struct mr_pubsub_store *s, uint32_t index);
/* Removes and returns an entry that is due at now_us, 0 for none. */
uint32_t mr_pubsub_wheel_take(struct mr_pubsub_store *s, int64_t now_us);
int64_t mr_pubsub_wheel_due_us(const struct mr_pubsub_store *s);

static inline struct entry *mr_pubsub_entry(const struct mr_pubsub_store *s, uint32_t index)
{
    struct chunk *chunk = s->chunk_slots.items[index / CHUNK_ENTRIES];
    return &chunk->entries[index % CHUNK_ENTRIES];
}

static inline struct subscription *mr_pubsub_owner(const struct mr_pubsub_store *s,
                                                   const struct entry *e)
{
    return s->subscription_slots.items[e->subscription];
}

/* pubsub_names.c: names, directories, page tokens. `kind` is "topics" or "subscriptions". */
bool mr_pubsub_name_valid(struct mr_span name, const char *kind);
struct mr_span mr_pubsub_name_short(struct mr_span name);
void mr_pubsub_directory_init(struct directory *d);
void mr_pubsub_directory_finish(struct directory *d);
struct resource *mr_pubsub_directory_find(const struct directory *d, struct mr_span name);
void mr_pubsub_directory_add(struct directory *d, struct resource *resource);
void mr_pubsub_directory_remove(struct directory *d, struct resource *resource);

/* pubsub_topics.c and pubsub_subscriptions.c. */
struct topic *mr_pubsub_topic_find(struct mr_pubsub_store *s, struct mr_span name);
struct subscription *mr_pubsub_subscription_find(struct mr_pubsub_store *s, struct mr_span name);
struct mr_pubsub_status mr_pubsub_missing(struct mr_pubsub_store *s, struct mr_span name);
struct subscription *
mr_pubsub_subscription_add(struct mr_pubsub_store *s,
                           const struct mr_pubsub_subscription_settings *settings,
                           struct mr_pubsub_filter *filter, uint32_t uid);
struct mr_pubsub_status mr_pubsub_taken(struct mr_pubsub_store *s, struct mr_span name);
struct mr_pubsub_status mr_pubsub_misnamed(struct mr_pubsub_store *s, const char *kind,
                                           struct mr_span name);
struct mr_span mr_pubsub_span_copy(struct mr_span span);
void mr_pubsub_span_free(struct mr_span span);

/* pubsub_publish.c. */
struct message *mr_pubsub_message_create(struct mr_pubsub_store *s,
                                         const struct mr_pubsub_post *post, uint64_t id,
                                         int64_t publish_us);
void mr_pubsub_message_drop(struct mr_pubsub_store *s, struct message *m);
/* Publishes the entry's message to the dead-letter topic; false if that topic is gone. */
bool mr_pubsub_dead_letter(struct mr_pubsub_store *s, struct subscription *sub, struct entry *e);

/* pubsub_lease.c: moves entries through their life. */
uint32_t mr_pubsub_entry_add(struct mr_pubsub_store *s, struct subscription *sub,
                             struct message *m);
/* Not yet in any key or queue: as new. */
void mr_pubsub_entry_arrive(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index);
void mr_pubsub_entry_ready(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index);
void mr_pubsub_entry_unready(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index);
void mr_pubsub_lease_begin(struct mr_pubsub_store *s, struct mr_pubsub_puller *p, uint32_t index);
void mr_pubsub_lease_end(struct mr_pubsub_store *s, uint32_t index);
void mr_pubsub_lease_fail(struct mr_pubsub_store *s, uint32_t index);
void mr_pubsub_lease_done(struct mr_pubsub_store *s, uint32_t index);
/* Out of its key's order, as acked: kept if the subscription retains, else freed. */
void mr_pubsub_entry_retire(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index);
void mr_pubsub_entry_free(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index);
/* From any state to outside queue, wheel and lease; its key still lists it. */
void mr_pubsub_entry_withdraw(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index);
void mr_pubsub_advance(struct mr_pubsub_store *s, int64_t now_us);

/* pubsub_order.c: the entries of one ordering key go out as one batch at a time. */
void mr_pubsub_order_add(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index);
/* Leases a key's cursor and returns the next one that may go with it, 0 for none. */
uint32_t mr_pubsub_order_lease(struct mr_pubsub_store *s, struct mr_pubsub_puller *p,
                               uint32_t index);
/* An entry of the key (no longer leased) is acked, or `final`: it must not come again even if an
 * earlier one does. */
void mr_pubsub_order_done(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index,
                          bool final);
/* An entry of the key (no longer leased) comes again after delay_us, and all later ones with it. */
void mr_pubsub_order_fail(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index,
                          int64_t delay_us);
/* Its back-off is over. */
void mr_pubsub_order_resume(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index);
/* Takes an entry out of its key without the later ones moving up. */
void mr_pubsub_order_remove(struct mr_pubsub_store *s, struct subscription *sub, uint32_t index);
/* Entries of the key went away: held ones at its front go too, and the cursor may become ready. */
void mr_pubsub_order_settle(struct mr_pubsub_store *s, struct subscription *sub, uint32_t key);

/* pubsub_puller.c. */
void mr_pubsub_wake(struct mr_pubsub_store *s, struct subscription *sub);
void mr_pubsub_puller_room(struct mr_pubsub_store *s, struct mr_pubsub_puller *p);
void mr_pubsub_puller_end(struct mr_pubsub_store *s, struct mr_pubsub_puller *p,
                          enum mr_pubsub_code code);
void mr_pubsub_puller_orphan(struct mr_pubsub_puller *p);

/* pubsub_token.c: ack ids, opaque and proof against tampering. */
uint32_t mr_pubsub_token_write(const struct mr_pubsub_store *s, uint32_t uid, uint32_t index,
                               uint32_t stamp, bool stream, char *out);
enum token { TOKEN_FRESH, TOKEN_OLD, TOKEN_BAD };
/* FRESH: of this incarnation, *uid, *index and *stamp are as written. OLD: of an earlier one. */
enum token mr_pubsub_token_read(const struct mr_pubsub_store *s, struct mr_span text, uint32_t *uid,
                                uint32_t *index, uint32_t *stamp);
void mr_pubsub_page_token_write(const struct mr_pubsub_store *s, uint32_t uid, char *out);
bool mr_pubsub_page_token_read(const struct mr_pubsub_store *s, struct mr_span text, uint32_t *uid);

#endif
