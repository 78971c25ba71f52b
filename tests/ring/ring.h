/* What the tests of rings share: a ring whose 32-bit counters stand just before their wrap, and
 * threads kept on a CPU each where there are two. */
#ifndef MR_TESTS_RING_RING_H
#define MR_TESTS_RING_RING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "ring/spsc.h"
#include "tests/random.h"

static struct mr_arena ring_arena;

static inline int ring_open(void **state)
{
    (void)state;
    alarm(240);
    return mr_arena_init(&ring_arena, (size_t)4 << 20);
}

static inline int ring_close(void **state)
{
    (void)state;
    mr_arena_finish(&ring_arena);
    return 0;
}

#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, ring_open, ring_close)

/* The counters run on over 2^32; `before` puts and takes from now they wrap. */
static inline void ring_near_wrap(struct mr_spsc *ring, uint32_t before)
{
    ring->ring.c_head = ring->ring.p_tail = ring->ring.p_head = 0u - before;
}

static inline void ring_pin(unsigned number)
{
    cpu_set_t allowed, one;
    unsigned seen = 0;

    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    CPU_ZERO(&one);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && seen++ == number)
            CPU_SET(cpu, &one);
    if (CPU_COUNT(&one) == 1)
        pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

/* An item says who made it and which of theirs it is; never NULL. */
static inline void *ring_item(uint64_t producer, uint64_t number)
{
    return (void *)(uintptr_t)(producer << 40 | (number + 1));
}

static inline uint64_t ring_producer(const void *item)
{
    return (uintptr_t)item >> 40;
}

static inline uint64_t ring_number(const void *item)
{
    return ((uintptr_t)item & ((UINT64_C(1) << 40) - 1)) - 1;
}

#endif
