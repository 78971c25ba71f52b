/* The state file DIR/pubsub.state. All numbers are 64-bit words in the host's (little-endian)
 * order, a span is its length and its bytes:
 *
 *     magic, version, secret, incarnation, next uid, next stamp, next id, now
 *     topics         count, then each: uid, name, retention, extra
 *     messages       count, then each: id, publish time, data, ordering key, pairs
 *     subscriptions  count, then each: uid, settings, entry count, entries
 *     an entry       message (its place in the file), failures, acked
 *     hash           of all before, block by block
 *
 * Entries name messages by place, so that each is written once. A lease is not written: its entry
 * comes back deliverable, and so does one acked out of its key's order, which at-least-once
 * allows.
 *
 * Beside it DIR/pubsub.lives, a decimal count of the stores that ever began there. A store that
 * dies without a save goes back in time; its message ids and ack ids must not come again, for
 * consumers forget duplicates by them. So each life has its own incarnation and block of ids. */
#ifndef MR_LOCAL_PUBSUB_FILE_H
#define MR_LOCAL_PUBSUB_FILE_H

#include "core/base.h"

#define MR_PUBSUB_FILE_NAME    "pubsub.state"
#define MR_PUBSUB_LIVES_NAME   "pubsub.lives"
#define MR_PUBSUB_FILE_MAGIC   UINT64_C(0x545342555350524D) /* "MRPSUBST" */
#define MR_PUBSUB_FILE_VERSION 1
#define MR_PUBSUB_FILE_BLOCK   65536
#define MR_PUBSUB_FILE_SEED    UINT64_C(0x6D696C6C72616365)
#define MR_PUBSUB_PATH_BYTES   4096

/* Flags of a subscription, one word. */
enum {
    MR_PUBSUB_FILE_RETAIN = 1,
    MR_PUBSUB_FILE_ORDERING = 2,
    MR_PUBSUB_FILE_EXACTLY_ONCE = 4,
    MR_PUBSUB_FILE_DETACHED = 8,
    MR_PUBSUB_FILE_PUSH = 16,
    MR_PUBSUB_FILE_RETRY = 32,
};

#endif
