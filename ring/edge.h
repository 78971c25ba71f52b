/* An edge: a ring and whom to wake after putting something into it. */
#ifndef MR_RING_EDGE_H
#define MR_RING_EDGE_H

#include "core/io.h"
#include "ring/spsc.h"

struct mr_edge {
    struct mr_spsc *ring;
    struct mr_io *consumer; /* the I/O of the thread that takes */
};

/* Rings are as large as the slab behind them: a full one is a broken belief. */
static inline void mr_edge_put(struct mr_edge *edge, void *item)
{
    MR_ASSERT(mr_spsc_put(edge->ring, item));
    mr_io_wake(edge->consumer);
}

#endif
