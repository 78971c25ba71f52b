/* A share: the keys of one aggregator and everything about them. A deterministic state machine
 * that changes only by applying order batches one after another: same batches, same rows in the
 * same order. Time arrives in batches (their watermarks); nothing here reads a clock.
 *
 * Applying a batch: drop repeated ids, map keys, fold every row into its pane, fire LATE rows for
 * windows already closed, hand on letters, then advance the watermark and fire ON_TIME rows of
 * each window it passes, ordered by definition, window end and key id, and expire what is over.
 * Rows and letters go to outlets of bounded memory: when one is full the share keeps its place.
 *
 * Owns    its arena: `memory_bytes` reserved at init, for keys, panes, ids and firing state.
 * Thread  the aggregator's. */
#ifndef MR_WINDOWS_SHARE_H
#define MR_WINDOWS_SHARE_H

#include "core/block.h"
#include "core/row.h"
#include "windows/account.h"
#include "windows/dedup.h"
#include "windows/keys.h"
#include "windows/pane.h"
#include "windows/watermark.h"

/* A window that has closed and still takes late orders: how often each key has fired in it. */
struct mr_closed {
    int64_t end_us;
    struct mr_cells firings; /* u64 a key */
};

struct mr_closed_list {
    struct mr_closed *windows; /* ascending by end */
    uint32_t count, capacity;
};

/* The window being fired: its keys' cells combined, and which key comes next. */
struct mr_firing {
    bool active, merged;
    uint32_t definition;
    int64_t end_us;
    uint32_t next_key;
    uint8_t *cells;  /* scratch over key ids; all zero between firings */
    uint64_t *marks; /* bit a key that has data */
    uint32_t capacity, cell_bytes;
};

enum mr_phase { MR_PHASE_IDLE, MR_PHASE_FOLD, MR_PHASE_LETTERS, MR_PHASE_ADVANCE };

/* Where in the current batch the share stands. */
struct mr_place {
    enum mr_phase phase;
    struct mr_order_batch *batch;
    uint32_t slicing, row;
    bool late;           /* the row has been folded; its LATE rows are being fired */
    uint32_t late_index; /* index into the slicing's definitions */
    int64_t late_end_us; /* next window end to look at */
    uint32_t letter;     /* heap offset + 1 */
    uint32_t definition; /* being advanced */
    int64_t advance_to_us;
};

struct mr_share {
    const struct mr_plan *plan;
    uint16_t number;
    struct mr_arena arena;
    struct mr_pool pool;
    struct mr_keys keys[MR_GROUPINGS_MAX];
    struct mr_slicing slicings[MR_WINDOWS_MAX];
    uint32_t slicing_count;
    uint32_t slicing_of[MR_WINDOWS_MAX]; /* by definition */
    struct mr_dedup dedup;
    struct mr_watermark watermark;
    int64_t watermark_us; /* every event so far was judged against this or an earlier one */
    struct mr_closed_list closed[MR_WINDOWS_MAX];
    struct mr_firing firing;
    struct mr_place place;
    struct mr_account account;
    uint64_t applied; /* batches, the present one too: the number of what causes its rows */
    struct mr_outlet rows, letters;
    uint32_t *key_of[MR_GROUPINGS_MAX]; /* key index of the batch -> key id */
    uint64_t *dropped;                  /* bit a row of the batch: a duplicate */
};

struct mr_share_limits {
    uint64_t memory_bytes, keys, dedup_bytes;
    uint32_t clocks; /* watermarks that it hears */
};

/* The outlets' slabs belong to the caller. Errors: MR_E_MEMORY. */
int mr_share_init(struct mr_share *share, const struct mr_plan *plan, uint16_t number,
                  const struct mr_share_limits *limits, struct mr_slab *rows,
                  struct mr_slab *letters);
void mr_share_finish(struct mr_share *share);

/* mr_share_apply starts on a batch, which must stay untouched until the share is done with it.
 * mr_share_resume goes on where an outlet was full.
 * Returns MR_OK: done; MR_AGAIN: an outlet is full, call mr_share_resume later;
 * MR_E_MEMORY, MR_E_KEY_LIMIT: limits.memory or limits.keys is reached, the share is stuck. */
int mr_share_apply(struct mr_share *share, struct mr_order_batch *batch);
int mr_share_resume(struct mr_share *share);

/* Pieces of the share in other files of this room (fire.c). Each returns as mr_share_resume. */
int mr_share_fire_late(struct mr_share *share, uint32_t definition, int64_t end_us, uint32_t key);
int mr_share_advance(struct mr_share *share);

#endif
