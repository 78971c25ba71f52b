/* One producer, one consumer, over Concurrency Kit's ring: the edges between workers.
 * A ring carries pointers; whoever takes one owns what it points to. Rings are made as large as
 * the slab behind them, so that a put never finds one full.
 *
 * Thread  mr_spsc_put: the one producer; mr_spsc_take: the one consumer; neither blocks.
 * Order   put publishes with a store fence after the entry is written; take reads the producer's
 *         tail before the entries, so the contents behind a taken pointer are visible. */
#ifndef MR_RING_SPSC_H
#define MR_RING_SPSC_H

#include <ck_ring.h>

#include "core/arena.h"

/* Concurrency Kit's fences are assembly, which ThreadSanitizer does not see: it is told of the edge
 * in words, and to look away within. Release before the entry is published and acquire after it was
 * taken claim no more than the ring's own fences give. */
#if defined(__SANITIZE_THREAD__)
#define MR_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MR_TSAN 1
#endif
#endif
#ifdef MR_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#define MR_RING_ENTER()                                                                            \
    (AnnotateIgnoreReadsBegin(__FILE__, __LINE__), AnnotateIgnoreWritesBegin(__FILE__, __LINE__))
#define MR_RING_LEAVE()                                                                            \
    (AnnotateIgnoreWritesEnd(__FILE__, __LINE__), AnnotateIgnoreReadsEnd(__FILE__, __LINE__))
#define MR_RING_RELEASE(ring) __tsan_release(ring)
#define MR_RING_ACQUIRE(ring) __tsan_acquire(ring)
#else
#define MR_RING_ENTER()       ((void)0)
#define MR_RING_LEAVE()       ((void)0)
#define MR_RING_RELEASE(ring) ((void)0)
#define MR_RING_ACQUIRE(ring) ((void)0)
#endif

struct mr_spsc {
    ck_ring_t ring;
    ck_ring_buffer_t *entries;
} MR_ALIGNED(MR_FALSE_SHARING);

/* Room for at least `capacity` pointers. Errors: MR_E_MEMORY. */
static inline int mr_spsc_init(struct mr_spsc *ring, struct mr_arena *arena, uint32_t capacity)
{
    /* ck_ring holds size - 1 entries and wants a power of two of at least 4. */
    uint32_t size = (uint32_t)mr_pow2_at_least(MR_MAX(capacity + 1, 4u));
    ring->entries = (ck_ring_buffer_t *)mr_arena_take(arena, size * sizeof *ring->entries,
                                                      MR_FALSE_SHARING);
    if (!ring->entries)
        return MR_E_MEMORY;
    ck_ring_init(&ring->ring, size);
    return MR_OK;
}

/* False: full. */
static inline bool mr_spsc_put(struct mr_spsc *ring, void *item)
{
    MR_RING_RELEASE(ring->entries);
    MR_RING_ENTER();
    bool put = ck_ring_enqueue_spsc(&ring->ring, ring->entries, item);
    MR_RING_LEAVE();
    return put;
}

/* Takes up to `max` items, oldest first; returns how many. */
static inline uint32_t mr_spsc_take(struct mr_spsc *ring, void **items, uint32_t max)
{
    uint32_t n = 0;

    MR_RING_ENTER();
    while (n < max && ck_ring_dequeue_spsc(&ring->ring, ring->entries, &items[n]))
        n++;
    MR_RING_LEAVE();
    MR_RING_ACQUIRE(ring->entries);
    return n;
}

/* A snapshot; exact only when both ends are still. */
static inline uint32_t mr_spsc_fill(const struct mr_spsc *ring)
{
    return ck_ring_size(&ring->ring);
}

#endif
