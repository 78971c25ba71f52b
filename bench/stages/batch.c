#include <stdlib.h>

#include "bench/stages/load.h"

#define EVENTS 256 /* decoded ahead: half a MiB of values */
#define ROUNDS 16

struct batch_stage {
    struct mr_load load;
    struct mr_event_scratch scratch;
    struct mr_decoder *decoder;
    struct mr_decoded *decoded;
    struct mr_span *payloads;
    uint8_t *text;
};

static void *create(const struct mr_stage_shape *shape)
{
    struct batch_stage *s = calloc(1, sizeof *s);
    (void)shape;

    mr_load_need(s != NULL, "no memory");
    mr_load_init(&s->load, 300, true, 8);
    mr_load_need(mr_decoder_create(&s->decoder, &s->load.config) == MR_OK, "no decoder");
    s->payloads = mr_load_payloads(false, EVENTS, &s->text);
    s->decoded = calloc(EVENTS, sizeof *s->decoded);
    mr_load_need(s->decoded != NULL, "no memory");
    for (uint32_t i = 0; i < EVENTS; i++)
        mr_load_need(mr_decode(s->decoder, s->payloads[i], &s->decoded[i]) == MR_REASON_NONE,
                     "an order was refused");
    return s;
}

/* What is cut goes back to the slab at once, as from an aggregator. */
static uint64_t send_back(struct mr_batcher *batcher)
{
    uint64_t rows = 0;

    for (uint32_t i = 0; i < batcher->cut_count; i++) {
        rows += batcher->cut[i]->rows;
        mr_batcher_return(batcher, batcher->cut[i]);
    }
    batcher->cut_count = 0;
    return rows;
}

static struct mr_done run(void *self)
{
    struct batch_stage *s = self;
    struct mr_done done = {.items = EVENTS * ROUNDS};
    struct mr_event event;

    for (uint32_t i = 0; i < EVENTS * ROUNDS; i++) {
        mr_load_need(mr_event_make(&s->load.plan, &s->decoded[i % EVENTS], &event, &s->scratch) &&
                         mr_batcher_add(&s->load.batcher, &event),
                     "an order was refused");
        if (s->load.batcher.cut_count > 0)
            done.checksum += send_back(&s->load.batcher);
    }
    return done;
}

static void destroy(void *self)
{
    struct batch_stage *s = self;

    mr_decoder_destroy(s->decoder);
    mr_load_finish(&s->load);
    free(s->decoded);
    free(s->payloads);
    free(s->text);
    free(s);
}

const struct mr_stage mr_stage_batch = {"batch", "order", create, run, destroy};
