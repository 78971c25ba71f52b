/* The batcher: a puller's open batches, one a share, and its watermark.
 *
 * An event goes to the share that its route names. A batch is cut when it is full, when the caller
 * flushes, and, all of them at once, empty ones too, wherever the watermark crosses a window end
 * or an expiry: so every event of a batch stands on the same side of every deadline, and what
 * comes out does not depend on where batches end.
 *
 * Watermark  `bounded`: the smaller of the largest event time and the largest publish time so far,
 *            less max_disorder; it never goes back.
 * Owns       its slab of batches; they come back through mr_batcher_return.
 * Thread     the puller's. */
#ifndef MR_SOURCES_BATCHER_H
#define MR_SOURCES_BATCHER_H

#include <stdatomic.h>

#include "core/arena.h"
#include "sources/event.h"

struct mr_open_keys; /* the dictionary of an open batch */

struct mr_batcher {
    const struct mr_plan *plan;
    struct mr_slab slab;
    uint32_t share_count;
    uint16_t puller, clock;
    struct mr_order_batch *open[MR_WORKERS_MAX];
    struct mr_open_keys *keys[MR_WORKERS_MAX];
    uint64_t numbers[MR_WORKERS_MAX];
    int64_t event_us_max, publish_us_max; /* so far */
    int64_t watermark_us;
    int64_t deadline_us; /* first window end or expiry after the watermark */
    /* Cut batches in order, for the puller to send; at most one a share and two more. */
    struct mr_order_batch *cut[2 * MR_WORKERS_MAX];
    uint32_t cut_count;
    atomic_size_t *jumbo_bytes; /* letters too large for a batch, outstanding; bounded */
};

#define MR_JUMBO_BYTES_MAX ((size_t)64 << 20)

int mr_batcher_init(struct mr_batcher *batcher, const struct mr_plan *plan, struct mr_arena *arena,
                    uint32_t batches, uint32_t share_count, uint16_t puller, uint16_t clock,
                    atomic_size_t *jumbo_bytes);

/* mr_batcher_add and mr_batcher_letter put one event into its batch and cut what is to be cut.
 * Both return false, and change nothing, when the slab (or the jumbo budget) has no room: the
 * caller sends `cut`, takes back what returns, and asks again. `cut` must be empty before. */
bool mr_batcher_add(struct mr_batcher *batcher, const struct mr_event *event);

struct mr_letter_source {
    enum mr_reason reason;
    uint16_t field; /* or MR_NO_FIELD */
    uint64_t position;
    uint32_t error_offset;
    const char *detail;
    struct mr_span message_id, attributes; /* Pub/Sub; as core/letter.h lays them out */
    struct mr_span payload;
};
bool mr_batcher_letter(struct mr_batcher *batcher, const struct mr_letter_source *source);

/* Cuts the open batches that hold something. */
void mr_batcher_flush(struct mr_batcher *batcher);

/* Cuts a batch for every share, empty ones too, with `flags`; false when the slab lacks blocks.
 * MR_BATCH_END moves the watermark to the end of time. */
bool mr_batcher_close(struct mr_batcher *batcher, uint16_t flags);

/* Takes over a watermark from the puller that had the file before. */
void mr_batcher_set_watermark(struct mr_batcher *batcher, int64_t watermark_us);

void mr_batcher_return(struct mr_batcher *batcher, struct mr_order_batch *batch);

#endif
