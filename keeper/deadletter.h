/* Dead letters to a Pub/Sub topic, by unary Publish over one channel.
 *
 *   mr_deadletters_add ─► open request ─► under way ─► confirmed ─► `safe`, letter by letter
 *                          (filling)        │   ▲
 *                                           └───┘ refused for now: again after a jittered delay;
 *                                                 INVALID_ARGUMENT: halved, down to the guilty one
 *
 * A letter is encoded once, into the request that will carry it, so what it was made from may go
 * as soon as `add` says MR_OK; requests are the only memory, and when all are taken `add` says
 * MR_AGAIN: back-pressure, never a drop. A letter that the service refuses for itself is written
 * to the spill file, told on standard error, counted, and then as safe as a published one.
 *
 * Message  the body is unchanged; attributes are the original ones, then millrace_reason, _stage,
 *          _detail, _field, _message_id or _line, _byte_offset; millrace_truncated=1 when
 *          something was cut to the service's limits or left out to keep the body whole.
 * Twice    a Publish that was done, but whose answer was lost, is done again: at least once.
 * Owns     all memory from the arena at init; the channel allocates per connection.
 * Thread   one, the owner of the mr_io.
 * I/O      the channel; the spill file by plain writes; names are resolved when connecting. This
 *          is the cold room.
 * Errors   MR_E_DEAD_LETTERS raised as fault for what no try will mend: no such topic, no right to
 *          publish. MR_E_FILE_WRITE for the spill file.
 * Source   google.pubsub.v1: 1,000 messages and 10,000,000 bytes a request; Publish is retried on
 *          ABORTED, CANCELLED, INTERNAL, RESOURCE_EXHAUSTED, UNKNOWN, UNAVAILABLE and
 *          DEADLINE_EXCEEDED after 100 ms, times 4, up to 60 s (published service config). */
#ifndef MR_KEEPER_DEADLETTER_H
#define MR_KEEPER_DEADLETTER_H

#include "core/arena.h"
#include "core/fault.h"
#include "core/retry.h"
#include "keeper/deadletter_message.h"
#include "wire/channel.h"

#define MR_PUBLISH_BYTES_MAX    10000000u
#define MR_PUBLISH_MESSAGES_MAX 1000u
#define MR_PUBLISH_BATCH_BYTES  5000000u
#define MR_PUBLISH_LINGER_NS    50000000u
#define MR_PUBLISH_TRIES_MAX    8 /* of a credential refused in a row, then it is a fault */

/* Zeroes stand for the defaults. */
struct mr_deadletters_options {
    const char *topic;                 /* projects/P/topics/T */
    struct mr_channel_options channel; /* but for the address, which is resolved here */
    uint32_t requests;                 /* 6: these many are filled or under way, 64 MiB in all */
    uint32_t request_bytes;            /* MR_PUBLISH_BYTES_MAX */
    uint32_t batch_bytes;              /* MR_PUBLISH_BATCH_BYTES: a request this long is sent */
    uint32_t messages;                 /* MR_PUBLISH_MESSAGES_MAX */
    const char *spill_path;            /* "letters-refused.ndjson" in the working directory */
    /* The letter is on the topic (or in the spill file). False: no room to take that note now; it
     * is told again in a later turn. May be NULL. */
    bool (*safe)(void *self, uint16_t puller, uint64_t position);
    void *self;
    struct mr_io *io;
    struct mr_fault *fault;
};

struct mr_publish_letter {
    uint64_t position;
    uint32_t offset; /* of its field within the request */
    uint16_t puller;
};

enum mr_publish_state { MR_PUBLISH_FREE, MR_PUBLISH_FILLING, MR_PUBLISH_DUE, MR_PUBLISH_UNDER_WAY };

/* One PublishRequest. Letters [0, settled) are on the topic or spilled, [0, told) of them were
 * told; [settled, end) are under way or wait for their turn; the rest comes after them. */
struct mr_publish {
    struct mr_call call;
    struct mr_deadletters *owner;
    enum mr_publish_state state;
    struct mr_pen pen;
    struct mr_publish_letter *letters;
    uint32_t count, told, settled, end;
    uint32_t suspect_end; /* within [settled, suspect_end) is one that the service refuses */
    uint32_t answered;    /* message ids in the answer */
    struct mr_retry retry;
    uint64_t opened_ns, deadline_ns;
    uint8_t *carry;
};

struct mr_deadletters {
    struct mr_deadletters_options options;
    struct mr_channel channel;
    struct mr_retry connect;
    struct mr_publish *requests, *filling;
    uint32_t head_bytes; /* of the topic's field, before the first letter */
    uint8_t head[512];
    uint8_t *send_buffer;
    uint64_t now_ns, chores_due_ns;
    uint32_t address; /* which of the host's addresses is tried next */
    int spill_fd;     /* -1: not opened */
    bool closing;
    char told[200]; /* the last trouble on standard error, so that each is told once */
    uint64_t published, refused, retries;
};

/* Bytes of the arena that init takes at most. */
size_t mr_deadletters_bytes(const struct mr_deadletters_options *options);

/* Errors  MR_E_MEMORY. Connects in its turns. */
int mr_deadletters_init(struct mr_deadletters *deadletters, struct mr_arena *arena,
                        const struct mr_deadletters_options *options);

/* Copies the letter into a request. MR_OK; MR_AGAIN: no memory now, ask in a later turn;
 * MR_E_FILE_WRITE: it fits no request and cannot be spilled either (the fault is raised). */
int mr_deadletters_add(struct mr_deadletters *deadletters, const struct mr_deadletter *letter);

/* Connects, sends what is full or has waited 50 ms (with `dry`, everything), tries again what is
 * due, tells what is safe. Returns how much was done. */
uint32_t mr_deadletters_turn(struct mr_deadletters *deadletters, uint64_t now_ns, bool dry);

/* Every letter taken is published or spilled, and told. */
bool mr_deadletters_are_out(const struct mr_deadletters *deadletters);

/* Ends the connection; turn the mr_io until it is closed. Accepts zeroes. */
void mr_deadletters_close(struct mr_deadletters *deadletters);
bool mr_deadletters_are_closed(const struct mr_deadletters *deadletters);

#endif
