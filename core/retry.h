/* Retry as a pure machine: outcome and now in, due time out. The owner of a connection asks it in
 * its chores; nothing here sleeps or reads a clock.
 * Full jitter: the delay is uniform in [0, min(cap, base * factor^attempts)), so that many clients
 * that failed together do not come back together.
 * Source  the published service configurations: 100 ms, 60 s, 1.3 or 4. */
#ifndef MR_CORE_RETRY_H
#define MR_CORE_RETRY_H

#include "core/base.h"

struct mr_retry_policy {
    uint64_t base_ns, cap_ns;
    uint32_t factor_percent; /* 130: each delay is 1.3 times the last */
};

struct mr_retry {
    const struct mr_retry_policy *policy;
    uint32_t attempts; /* failures in a row */
    uint64_t due_ns;   /* not before; 0: at once */
    uint64_t seed;
};

static inline void mr_retry_init(struct mr_retry *retry, const struct mr_retry_policy *policy,
                                 uint64_t seed)
{
    *retry = (struct mr_retry){.policy = policy, .seed = seed | 1};
}

/* A failure: the next attempt is due at the time returned. `at_least_ns` is what the peer asked
 * for (RetryInfo), 0 if nothing. */
uint64_t mr_retry_failed(struct mr_retry *retry, uint64_t now_ns, uint64_t at_least_ns);

static inline void mr_retry_succeeded(struct mr_retry *retry)
{
    retry->attempts = 0;
    retry->due_ns = 0;
}

static inline bool mr_retry_is_due(const struct mr_retry *retry, uint64_t now_ns)
{
    return now_ns >= retry->due_ns;
}

#endif
