/* Where `millrace sim` puts its payloads: a file of lines, or a Pub/Sub topic.
 * Thread  one; put and finish may wait. */
#ifndef MR_APP_EMITTER_H
#define MR_APP_EMITTER_H

#include "core/base.h"

/* Each returns 0 or an errno, with the reason in `why` where errno's own words do not tell it.
 * `put` copies the payload; `flush` sends what there is without waiting for its arrival; `finish`
 * waits until all has arrived, or failed. */
struct mr_emitter {
    int (*put)(struct mr_emitter *emitter, const char *payload, size_t bytes);
    int (*flush)(struct mr_emitter *emitter);
    int (*finish)(struct mr_emitter *emitter);
    void (*destroy)(struct mr_emitter *emitter);
    char why[256];
};

/* NULL: no memory. The descriptor stays the caller's. */
struct mr_emitter *mr_emitter_file(int fd, size_t payload_bytes_max);

/* Publishes to `topic` (projects/P/topics/T) at `endpoint`, plaintext, in batches; a request that
 * fails for the moment is sent again. NULL: *why says what is wrong. */
struct mr_emitter *mr_emitter_topic(const char *endpoint, const char *topic, char why[256]);

#endif
