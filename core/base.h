/* The words every room speaks: sizes, assertions, spans, unaligned loads.
 * Includes nothing of ours. All functions are pure and may be called from any thread. */
#ifndef MR_CORE_BASE_H
#define MR_CORE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MR_CACHE_LINE 64
/* Lines of different writers sit this far apart: the adjacent-line prefetcher pulls pairs. */
#define MR_FALSE_SHARING 128

#define MR_LIKELY(x)         __builtin_expect(!!(x), 1)
#define MR_UNLIKELY(x)       __builtin_expect(!!(x), 0)
#define MR_ALIGNED(n)        __attribute__((aligned(n)))
#define MR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define MR_COUNT(array)      (sizeof(array) / sizeof((array)[0]))
#define MR_CONTAINER(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define MR_MIN(a, b) ((a) < (b) ? (a) : (b))
#define MR_MAX(a, b) ((a) > (b) ? (a) : (b))

/* A broken belief: prints where and what, then aborts. On in release builds. */
#define MR_ASSERT(belief)                                                                          \
    do {                                                                                           \
        if (MR_UNLIKELY(!(belief)))                                                                \
            mr_assert_failed(#belief, __FILE__, __LINE__);                                         \
    } while (0)
__attribute__((noreturn)) void mr_assert_failed(const char *belief, const char *file, int line);

typedef __int128 mr_i128;
typedef unsigned __int128 mr_u128;

/* Bytes that somebody else owns; `data` may be NULL when `bytes` is 0. */
struct mr_span {
    const uint8_t *data;
    size_t bytes;
};

static inline struct mr_span mr_span_of(const void *data, size_t bytes)
{
    return (struct mr_span){(const uint8_t *)data, bytes};
}

static inline struct mr_span mr_span_text(const char *text)
{
    return mr_span_of(text, strlen(text));
}

static inline bool mr_span_equal(struct mr_span a, struct mr_span b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

/* One behind the last byte. (NULL plus 0 is undefined in C, so empty spans are looked after.) */
static inline const uint8_t *mr_span_end(struct mr_span span)
{
    return span.bytes == 0 ? span.data : span.data + span.bytes;
}

static inline uint64_t mr_load64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t mr_load32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void mr_store64(void *p, uint64_t v)
{
    memcpy(p, &v, sizeof v);
}

/* `to` is a power of two. */
static inline size_t mr_round_up(size_t n, size_t to)
{
    return (n + to - 1) & ~(to - 1);
}

static inline uint64_t mr_pow2_at_least(uint64_t n)
{
    return n <= 1 ? 1 : UINT64_C(1) << (64 - __builtin_clzll(n - 1));
}

/* Division that rounds towards minus infinity, for event times before 1970; `by` > 0. */
static inline int64_t mr_floor_div(int64_t n, int64_t by)
{
    int64_t quotient = n / by;
    return quotient - (n % by < 0);
}

static inline int64_t mr_floor_mod(int64_t n, int64_t by)
{
    int64_t rest = n % by;
    return rest < 0 ? rest + by : rest;
}

#endif
