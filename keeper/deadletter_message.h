/* A letter as a Pub/Sub message, and such a message as a line of JSON for the spill file.
 * Thread  pure, but for mr_deadletter_spill. */
#ifndef MR_KEEPER_DEADLETTER_MESSAGE_H
#define MR_KEEPER_DEADLETTER_MESSAGE_H

#include "wire/pubsub.h"

/* The service's limits. */
#define MR_ATTRIBUTES_MAX            100
#define MR_ATTRIBUTE_KEY_BYTES_MAX   256
#define MR_ATTRIBUTE_VALUE_BYTES_MAX 1024

/* What is published of a letter. All is the caller's. */
struct mr_deadletter {
    struct mr_span body;
    struct mr_pb_map attributes; /* the source message's own; zeroes: none */
    const char *reason, *stage;
    struct mr_span detail, field, message_id; /* empty: none */
    uint64_t line;                            /* told if not 0 */
    uint32_t byte_offset;
    uint16_t puller; /* with position: what is told when the letter is safe */
    uint64_t position;
};

/* How much of the attributes comes along. */
enum mr_deadletter_cut {
    MR_CUT_NONE,
    MR_CUT_ORIGINAL, /* ours only, without the detail */
    MR_CUT_ALL,      /* the body alone */
};

/* Writes the letter as field 2 of a PublishRequest; the pen fails when it does not fit. Original
 * attributes named millrace_* give way to ours; those named goog*, which the service refuses, and
 * those beyond its limits are left out. Bytes that are not UTF-8 become '?'. */
void mr_deadletter_put(struct mr_pen *pen, const struct mr_deadletter *letter,
                       enum mr_deadletter_cut cut);

/* The same body and attributes as one line of JSON appended to `fd` and made durable; `why` says
 * who refused it. False: errno tells. */
bool mr_deadletter_spill(int fd, const struct mr_pubsub_message *message, const char *why);

#endif
