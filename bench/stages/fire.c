#include <stdlib.h>

#include "bench/stages/load.h"
#include "core/clock.h"

#define ROW_BLOCKS 12
#define ROWS_A_RUN 4096u

/* Every pane holds one order a key. A run fills the next panes, then times the watermark's walk
 * over them: each hop fires one full window. */
struct fire_stage {
    struct mr_load load;
    struct mr_load_share share;
    struct mr_order_batch *tick; /* empty, moves the watermark */
    uint32_t hops;               /* a run */
    int64_t filled_us;           /* panes are filled up to here */
};

static void fill(struct fire_stage *s)
{
    for (uint32_t b = 0; b < s->load.batch_count; b++) {
        struct mr_order_batch *batch = s->load.batches[b];
        for (uint32_t row = 0; row < batch->rows; row++)
            *mr_order_event_us(batch, &s->load.plan.order, row) = s->filled_us;
        mr_load_need(mr_share_apply(&s->share.share, batch) == MR_OK, "the share is stuck");
    }
    s->filled_us += MR_LOAD_HOP_US;
}

/* Full blocks of rows go back to the slab, as from a writer. */
static uint64_t take_rows(struct mr_load_share *share)
{
    struct mr_outlet *outlet = &share->share.rows;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < outlet->full_count; i++) {
        bytes += outlet->full[i]->bytes;
        mr_slab_return(&share->rows, outlet->full[i]);
    }
    outlet->full_count = 0;
    return bytes;
}

static uint64_t walk_to(struct fire_stage *s, int64_t watermark_us)
{
    uint64_t bytes = 0;

    s->tick->watermark_us = watermark_us;
    int err = mr_share_apply(&s->share.share, s->tick);
    for (; err == MR_AGAIN; err = mr_share_resume(&s->share.share))
        bytes += take_rows(&s->share);
    mr_load_need(err == MR_OK, "the share is stuck");
    return bytes + take_rows(&s->share);
}

static void *create(const struct mr_stage_shape *shape)
{
    struct fire_stage *s = calloc(1, sizeof *s);

    mr_load_need(s != NULL, "no memory");
    mr_load_init(&s->load, shape->panes, false, shape->keys / 1024 + 1);
    for (uint32_t k = 0; k < shape->keys; k++)
        mr_load_add(&s->load, k, MR_LOAD_START_US, 1000 + k);
    mr_load_end(&s->load);
    mr_load_share_init(&s->share, &s->load, ROW_BLOCKS);
    s->tick = mr_arena_take(&s->load.arena, sizeof *s->tick, MR_FALSE_SHARING);
    mr_load_need(s->tick != NULL, "no memory");
    mr_order_batch_clear(s->tick);
    s->hops = MR_MAX(1u, ROWS_A_RUN / shape->keys);
    s->filled_us = MR_LOAD_START_US;
    /* The watermark goes ahead first, so that the windows that are not full do not fire. */
    walk_to(s, s->filled_us + (shape->panes - 1) * MR_LOAD_HOP_US);
    for (uint32_t p = 1; p < shape->panes; p++)
        fill(s);
    return s;
}

static struct mr_done run(void *self)
{
    struct fire_stage *s = self;
    uint64_t before = s->share.share.account.rows[MR_ON_TIME];

    for (uint32_t h = 0; h < s->hops; h++)
        fill(s);
    uint64_t start_ns = mr_now_ns();
    uint64_t bytes = walk_to(s, s->filled_us);
    return (struct mr_done){
        .items = s->share.share.account.rows[MR_ON_TIME] - before,
        .checksum = bytes,
        .ns = mr_now_ns() - start_ns,
    };
}

static void destroy(void *self)
{
    struct fire_stage *s = self;

    mr_load_share_finish(&s->share);
    mr_load_finish(&s->load);
    free(s);
}

const struct mr_stage mr_stage_fire = {"fire", "row", create, run, destroy};
