/* The puller of a file: text blocks to order batches. One puller also reads; the blocks go round
 * to all pullers in turn, so that block n is puller n mod count's.
 *
 * Positions and the watermark belong to the file, not to a puller: they travel in a token from
 * the puller of block n to that of block n + 1. Whoever waits for the token decodes ahead into its
 * stage; whoever holds it fills batches, and closes its block's batches when it hands over. So
 * any number of pullers gives the same batches of events on the same side of every deadline.
 *
 * Thread  mr_file_puller_turn by its worker; the rest before start or after the end. */
#ifndef MR_SOURCES_FILE_PULLER_H
#define MR_SOURCES_FILE_PULLER_H

#include <stdatomic.h>

#include "sources/batcher.h"
#include "sources/lines.h"

struct mr_edge;
struct mr_spsc;

/* What the holder knows of the file so far. */
struct mr_token {
    int64_t watermark_us;
    uint64_t lines; /* before the block */
};

/* One event (or letter) decoded ahead; key bytes live in the stage. */
struct mr_staged {
    struct mr_event event;
    struct mr_letter_source letter; /* if its reason is not MR_REASON_NONE */
};

#define MR_STAGE_EVENTS    512
#define MR_STAGE_KEY_BYTES ((uint32_t)256 << 10)

struct mr_stage {
    struct mr_staged staged[MR_STAGE_EVENTS];
    uint8_t key_bytes[MR_STAGE_KEY_BYTES];
    uint32_t count, next, key_bytes_used;
};

struct mr_file_puller {
    const struct mr_plan *plan;
    uint32_t number, puller_count;
    struct mr_fault *fault;
    struct mr_batcher batcher;
    struct mr_decoder *decoder;
    struct mr_decoded *decoded;
    struct mr_event_scratch *scratch;
    struct mr_stage *stage;

    struct mr_reader *reader;       /* of the reading puller; NULL in the others */
    struct mr_edge *texts_out;      /* reading puller: to each puller, itself too */
    struct mr_spsc **texts_back;    /* reading puller: from each */
    struct mr_spsc *texts_in;       /* from the reading puller */
    struct mr_edge *texts_returned; /* to it */
    struct mr_edge *batches_out;    /* to each aggregator */
    struct mr_spsc **batches_back;  /* from each aggregator */
    struct mr_spsc *token_in;       /* from the puller before */
    struct mr_edge *token_out;      /* to the one after */

    struct mr_text *text;   /* being worked on */
    uint64_t at;            /* next line's first byte in it */
    uint64_t lines;         /* of the block so far, empty ones too */
    struct mr_token *token; /* held, or NULL */

    /* Written by the puller, read by others, relaxed. */
    atomic_ullong received, decimals_rounded, bytes;
    atomic_bool done;
};

uint32_t mr_file_puller_turn(void *self, uint64_t now_ns);

#endif
