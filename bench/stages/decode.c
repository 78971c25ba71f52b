#include <stdlib.h>

#include "bench/stages/load.h"

#define PAYLOADS 4096

struct decode_stage {
    struct mr_config config;
    struct mr_decoder *decoder;
    struct mr_decoded decoded;
    struct mr_span *payloads;
    uint8_t *text;
    bool complete;
};

static void *create(const struct mr_stage_shape *shape)
{
    struct decode_stage *s = calloc(1, sizeof *s);

    mr_load_need(s != NULL, "no memory");
    if (shape->wide)
        mr_load_config_wide(&s->config);
    else
        mr_load_config_orders(&s->config);
    mr_load_need(mr_decoder_create(&s->decoder, &s->config) == MR_OK, "no decoder");
    s->payloads = mr_load_payloads(shape->wide, PAYLOADS, &s->text);
    s->complete = shape->complete;
    return s;
}

static struct mr_done run(void *self)
{
    struct decode_stage *s = self;
    struct mr_done done = {.items = PAYLOADS};

    for (uint32_t i = 0; i < PAYLOADS; i++) {
        if (s->complete)
            mr_decoder_forget(s->decoder);
        mr_load_need(mr_decode(s->decoder, s->payloads[i], &s->decoded) == MR_REASON_NONE,
                     "an order was refused");
        done.checksum += (uint64_t)s->decoded.event_us;
        for (uint32_t f = 0; f < s->config.decode.field_count; f++)
            done.checksum += s->decoded.values[f].text.bytes +
                             (uint64_t)s->decoded.values[f].number;
    }
    return done;
}

static void destroy(void *self)
{
    struct decode_stage *s = self;

    mr_decoder_destroy(s->decoder);
    free(s->payloads);
    free(s->text);
    free(s);
}

const struct mr_stage mr_stage_decode = {"decode", "payload", create, run, destroy};
