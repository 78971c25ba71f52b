/* Seeded randomness for tests, and how large they run. A failing test prints its seed. */
#ifndef MR_TESTS_RANDOM_H
#define MR_TESTS_RANDOM_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* SplitMix64: any state is a good seed. */
static inline uint64_t mr_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* In [0, n). */
static inline uint32_t mr_random_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(mr_random(state) % n);
}

/* In [low, high]. */
static inline int64_t mr_random_between(uint64_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)(mr_random(state) % (uint64_t)(high - low + 1));
}

/* `normal` scaled by MILLRACE_TEST_SIZE: a quarter for quick, ten times for long. */
static inline uint32_t mr_test_count(uint32_t normal)
{
    const char *size = getenv("MILLRACE_TEST_SIZE");
    if (size && strcmp(size, "quick") == 0)
        return normal / 4;
    return size && strcmp(size, "long") == 0 ? normal * 10 : normal;
}

#endif
