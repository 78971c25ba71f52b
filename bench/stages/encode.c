#include <stdlib.h>

#include "bench/stages/load.h"
#include "sinks/row_json.h"

#define KEYS       256
#define PANES      5
#define LINE_BYTES 4096

/* The rows of one firing, encoded again and again. */
struct encode_stage {
    struct mr_load load;
    struct mr_load_share share;
    char line[LINE_BYTES];
};

static void *create(const struct mr_stage_shape *shape)
{
    struct encode_stage *s = calloc(1, sizeof *s);
    uint64_t random = 1;
    (void)shape;

    mr_load_need(s != NULL, "no memory");
    mr_load_init(&s->load, PANES, false, KEYS * PANES / 1024 + 2);
    for (uint32_t i = 0; i < KEYS * PANES; i++)
        mr_load_add(&s->load, i % KEYS, MR_LOAD_START_US + i / KEYS * MR_LOAD_HOP_US,
                    (int64_t)(mr_load_random(&random) % 49000) + 1000);
    mr_load_end(&s->load);
    mr_load_share_init(&s->share, &s->load, 8);
    s->load.batches[s->load.batch_count - 1]->watermark_us = MR_TIME_MAX;
    for (uint32_t b = 0; b < s->load.batch_count; b++)
        mr_load_need(mr_share_apply(&s->share.share, s->load.batches[b]) == MR_OK,
                     "the share is stuck");
    mr_load_need(mr_outlet_flush(&s->share.share.rows), "no rows");
    return s;
}

static struct mr_done run(void *self)
{
    struct encode_stage *s = self;
    const struct mr_outlet *outlet = &s->share.share.rows;
    struct mr_done done = {0};

    for (uint32_t b = 0; b < outlet->full_count; b++) {
        struct mr_row *row = mr_block_first(outlet->full[b]);
        for (uint32_t i = 0; i < outlet->full[b]->count; i++, row = mr_block_next(row)) {
            mr_load_need(mr_row_json_bytes_max(&s->load.plan, row) <= LINE_BYTES, "a long row");
            char *end = mr_row_json_put(s->line, &s->load.plan, row);
            done.checksum += (uint64_t)(end - s->line) + (uint8_t)end[-20];
            done.items++;
        }
    }
    return done;
}

static void destroy(void *self)
{
    struct encode_stage *s = self;

    mr_load_share_finish(&s->share);
    mr_load_finish(&s->load);
    free(s);
}

const struct mr_stage mr_stage_encode = {"encode", "row", create, run, destroy};
