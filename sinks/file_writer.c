#include "sinks/file_writer.h"

#include "ring/edge.h"
#include "sinks/row_json.h"

#define BLOCKS_A_TURN 8

static bool take_block(struct mr_file_writer *w)
{
    void *block;

    for (uint32_t tried = 0; !w->held && tried < w->in_count; tried++) {
        uint32_t in = w->next_in;
        w->next_in = in + 1 == w->in_count ? 0 : in + 1;
        if (mr_spsc_take(w->in[in].blocks, &block, 1) != 1)
            continue;
        w->held = block;
        w->held_in = in;
        w->row = mr_block_first(w->held);
        w->rows_left = w->held->count;
    }
    return w->held != NULL;
}

/* Writes the rows of the block in hand; false when the file's buffers are full. */
static bool write_rows(struct mr_file_writer *w)
{
    for (; w->rows_left > 0; w->rows_left--, w->row = mr_block_next(w->row)) {
        if (!w->out)
            continue;
        char *at = mr_out_reserve(w->out, mr_row_json_bytes_max(w->plan, w->row));
        if (!at)
            return false;
        char *end = mr_row_json_put(at, w->plan, w->row);
        mr_out_commit(w->out, (size_t)(end - at));
    }
    return true;
}

static void release_block(struct mr_file_writer *w)
{
    unsigned long long rows = atomic_load_explicit(&w->rows, memory_order_relaxed);

    atomic_store_explicit(&w->rows, rows + w->held->count, memory_order_relaxed);
    w->ends += w->held->flags & MR_BLOCK_END ? 1 : 0;
    mr_edge_put(w->in[w->held_in].returned, w->held);
    w->held = NULL;
}

uint32_t mr_file_writer_turn(void *self, uint64_t now_ns)
{
    struct mr_file_writer *w = self;
    uint32_t done = 0;
    (void)now_ns;

    if (mr_fault_err(w->fault) != MR_OK)
        return 0;
    while (done < BLOCKS_A_TURN && take_block(w)) {
        if (!write_rows(w))
            return done;
        release_block(w);
        done++;
    }
    if (done == 0 && w->out)
        mr_out_push(w->out);
    if (w->ends == w->in_count && (!w->out || mr_out_is_clean(w->out)))
        atomic_store_explicit(&w->done, true, memory_order_release);
    return done;
}
