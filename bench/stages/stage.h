/* A stage of the river by itself: set up once in memory, then run over and over on the same input.
 * bench/micro times stages, bench/instructions counts their instructions; both go through here, so
 * both speak of the same work. Plain enough to be read as C++.
 * Thread  one, unless the stage itself starts another (ring.c). */
#ifndef MR_BENCH_STAGES_STAGE_H
#define MR_BENCH_STAGES_STAGE_H

#include "core/base.h"

/* What a stage is to be like; each stage reads the members that it names in the list below. */
struct mr_stage_shape {
    uint32_t keys;  /* distinct keys, or ids */
    uint32_t panes; /* in a window */
    bool disorder;  /* event times up to 5 s behind, not ascending */
    bool wide;      /* ten fields of which four are wanted, not the five of an order */
    bool complete;  /* the complete parser, never the predicted layout */
    bool filled;    /* batches are written before and read behind the ring */
    bool bounded;   /* at its bound of memory, forgetting one for each one added */
};

struct mr_done {
    uint64_t items;    /* of the stage's kind */
    uint64_t checksum; /* over what came out */
    uint64_t ns;       /* that count; 0: all of the run */
};

struct mr_stage {
    const char *name, *item;
    void *(*create)(const struct mr_stage_shape *shape); /* aborts where it cannot */
    struct mr_done (*run)(void *self);
    void (*destroy)(void *self);
};

extern const struct mr_stage mr_stage_decode; /* payload -> fields: wide, complete */
extern const struct mr_stage mr_stage_batch;  /* fields -> open batch */
extern const struct mr_stage mr_stage_ring;   /* pointer there and back, or cache lines: filled */
extern const struct mr_stage mr_stage_dedup;  /* ids: keys, bounded */
extern const struct mr_stage mr_stage_fold;   /* batch -> panes: keys, disorder */
extern const struct mr_stage mr_stage_fire;   /* panes -> rows: keys, panes */
extern const struct mr_stage mr_stage_encode; /* rows -> JSON lines */
extern const struct mr_stage mr_stage_walk;   /* StreamingPullResponse -> messages */
extern const struct mr_stage mr_stage_ack;    /* ack ids -> AcknowledgeRequest */

#endif
