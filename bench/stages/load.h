/* What the stages are fed with: the pipeline of the seed's orders (windows by region and product),
 * events with keys as asked for, and batches of them.
 * Owns    all batches; mr_load_finish gives everything back. */
#ifndef MR_BENCH_STAGES_LOAD_H
#define MR_BENCH_STAGES_LOAD_H

#include "bench/stages/stage.h"
#include "sources/batcher.h"
#include "windows/share.h"

#define MR_LOAD_START_US INT64_C(1753185600000000) /* 2025-07-22T12:00:00 */
#define MR_LOAD_HOP_US   INT64_C(1000000)

struct mr_load {
    struct mr_config config;
    struct mr_plan plan;
    struct mr_arena arena;
    struct mr_batcher batcher;
    atomic_size_t jumbo_bytes;
    struct mr_order_batch **batches;
    uint32_t batch_count, batch_capacity;
    uint8_t key_bytes[64];
};

/* A share and the slabs behind its outlets. */
struct mr_load_share {
    struct mr_share share;
    struct mr_arena arena;
    struct mr_slab rows, letters;
};

/* The next of a fixed sequence of numbers; any state is a good one. */
static inline uint64_t mr_load_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* Aborts with `what` when `good` does not hold: a bench without its input has no result. */
void mr_load_need(bool good, const char *what);

/* The five fields of an order; the other one has ten and wants four. */
void mr_load_config_orders(struct mr_config *config);
void mr_load_config_wide(struct mr_config *config);

/* Windows of `panes` hops over the seed's orders, and room for `batches`. */
void mr_load_init(struct mr_load *load, uint32_t panes, bool dedup, uint32_t batches);
void mr_load_finish(struct mr_load *load);

/* Appends an event of key `key` to the batches; mr_load_end cuts the last. No batch moves the
 * watermark: the stage sets what it wants. */
void mr_load_add(struct mr_load *load, uint32_t key, int64_t event_us, int64_t cents);
void mr_load_end(struct mr_load *load);

void mr_load_share_init(struct mr_load_share *share, const struct mr_load *load,
                        uint32_t row_blocks);
void mr_load_share_finish(struct mr_load_share *share);

/* `count` payloads, one after another in *text (the caller frees it), as spans (likewise). */
struct mr_span *mr_load_payloads(bool wide, uint32_t count, uint8_t **text);

#endif
