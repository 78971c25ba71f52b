#include <stdlib.h>

#include "bench/stages/load.h"

#define ROWS_MIN    65536u
#define SPAN_US     (60 * INT64_C(1000000)) /* of event time: sixty panes */
#define DISORDER_US (5 * INT64_C(1000000))

struct fold_stage {
    struct mr_load load;
    struct mr_load_share share;
    uint32_t rows;
};

static void *create(const struct mr_stage_shape *shape)
{
    struct fold_stage *s = calloc(1, sizeof *s);
    uint64_t random = 1;

    mr_load_need(s != NULL, "no memory");
    s->rows = MR_MAX(ROWS_MIN, shape->keys);
    mr_load_init(&s->load, 5, false, s->rows / 1024 + 1);
    for (uint32_t i = 0; i < s->rows; i++) {
        int64_t t = MR_LOAD_START_US + DISORDER_US + SPAN_US * i / s->rows;
        if (shape->disorder)
            t -= (int64_t)(mr_load_random(&random) % DISORDER_US);
        uint32_t key = (uint32_t)(mr_load_random(&random) % shape->keys);
        mr_load_add(&s->load, key, t, (int64_t)(mr_load_random(&random) % 50000));
    }
    mr_load_end(&s->load);
    mr_load_share_init(&s->share, &s->load, 8);
    return s;
}

/* No batch moves the watermark, so nothing fires and the same batches fold again. */
static struct mr_done run(void *self)
{
    struct fold_stage *s = self;

    for (uint32_t b = 0; b < s->load.batch_count; b++)
        mr_load_need(mr_share_apply(&s->share.share, s->load.batches[b]) == MR_OK,
                     "the share is stuck");
    return (struct mr_done){.items = s->rows, .checksum = s->share.share.account.pairs_added};
}

static void destroy(void *self)
{
    struct fold_stage *s = self;

    mr_load_share_finish(&s->share);
    mr_load_finish(&s->load);
    free(s);
}

const struct mr_stage mr_stage_fold = {"fold", "order", create, run, destroy};
