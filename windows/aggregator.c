#include "windows/aggregator.h"

#include "ring/edge.h"

#define BURST_MAX 16

static uint32_t reclaim(struct mr_slab *slab, struct mr_spsc *back)
{
    void *blocks[BURST_MAX];
    uint32_t taken = mr_spsc_take(back, blocks, BURST_MAX);

    for (uint32_t i = 0; i < taken; i++)
        mr_slab_return(slab, blocks[i]);
    return taken;
}

static struct mr_order_batch *next_batch(struct mr_aggregator *a)
{
    void *batch;

    for (uint32_t tried = 0; tried < a->in_count; tried++) {
        if (mr_spsc_take(a->in[a->next_in].batches, &batch, 1) == 1)
            return batch;
        if (a->ordered)
            break;
        a->next_in = a->next_in + 1 == a->in_count ? 0 : a->next_in + 1;
    }
    return NULL;
}

/* The share is done with the batch: note what it ended and send it home. */
static void release(struct mr_aggregator *a)
{
    struct mr_order_batch *batch = a->held;

    a->held = NULL;
    if (batch->flags & MR_BATCH_END)
        a->ends++;
    if (batch->flags & MR_BATCH_HANDOVER || !a->ordered)
        a->next_in = a->next_in + 1 == a->in_count ? 0 : a->next_in + 1;
    mr_edge_put(a->in[batch->puller].returned, batch);
}

static void settle(struct mr_aggregator *a, int err)
{
    if (err == MR_OK)
        release(a);
    else if (err != MR_AGAIN)
        mr_fault_raise(a->fault, err, "aggregator %u", a->share.number);
}

static uint32_t apply(struct mr_aggregator *a)
{
    uint32_t applied = 0;

    if (mr_fault_err(a->fault) != MR_OK)
        return 0;
    if (a->held) {
        settle(a, mr_share_resume(&a->share));
        applied++;
    }
    while (!a->held && applied < BURST_MAX) {
        a->held = next_batch(a);
        if (!a->held)
            break;
        settle(a, mr_share_apply(&a->share, a->held));
        applied++;
    }
    return applied;
}

static uint32_t ship_rows(struct mr_aggregator *a)
{
    uint32_t count = a->share.rows.full_count;

    for (uint32_t i = 0; i < count; i++)
        mr_edge_put(a->rows_out, a->share.rows.full[i]);
    a->share.rows.full_count = 0;
    return count;
}

static uint32_t ship_letters(struct mr_aggregator *a)
{
    uint32_t count = a->share.letters.full_count;

    for (uint32_t i = 0; i < count; i++)
        mr_edge_put(a->letters_out, a->share.letters.full[i]);
    a->share.letters.full_count = 0;
    return count;
}

static void pass_on_the_end(struct mr_aggregator *a)
{
    if (!a->rows_ended)
        a->rows_ended = mr_outlet_end(&a->share.rows);
    if (!a->letters_ended)
        a->letters_ended = mr_outlet_end(&a->share.letters);
}

uint32_t mr_aggregator_turn(void *self, uint64_t now_ns)
{
    struct mr_aggregator *a = self;
    (void)now_ns;

    uint32_t done = reclaim(&a->row_blocks, a->rows_back);
    done += reclaim(&a->letter_blocks, a->letters_back);
    uint32_t applied = apply(a);
    if (applied == 0 && !a->held) { /* dry: what is there goes on its way */
        mr_outlet_flush(&a->share.rows);
        mr_outlet_flush(&a->share.letters);
        if (a->ends == a->ends_expected)
            pass_on_the_end(a);
    }
    done += applied + ship_rows(a) + ship_letters(a);
    if (a->rows_ended && a->letters_ended)
        atomic_store_explicit(&a->done, true, memory_order_release);
    return done;
}
