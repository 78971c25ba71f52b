/* Many producers, one consumer: from the hot workers to the keeper. The same ring as spsc.h with
 * producers that claim their slot by compare-and-swap; kept for what is rare.
 * Thread  mr_mpsc_put: any producer; it publishes in the order of the claims, so a producer that
 *         is preempted between claim and publish makes those behind it spin until it runs again.
 *         mr_mpsc_take: the keeper; never waits. */
#ifndef MR_RING_MPSC_H
#define MR_RING_MPSC_H

#include "ring/spsc.h"

struct mr_mpsc {
    struct mr_spsc ring;
};

static inline int mr_mpsc_init(struct mr_mpsc *ring, struct mr_arena *arena, uint32_t capacity)
{
    return mr_spsc_init(&ring->ring, arena, capacity);
}

static inline bool mr_mpsc_put(struct mr_mpsc *ring, void *item)
{
    return ck_ring_enqueue_mpsc(&ring->ring.ring, ring->ring.entries, item);
}

static inline uint32_t mr_mpsc_take(struct mr_mpsc *ring, void **items, uint32_t max)
{
    uint32_t n = 0;
    while (n < max && ck_ring_dequeue_mpsc(&ring->ring.ring, ring->ring.entries, &items[n]))
        n++;
    return n;
}

#endif
