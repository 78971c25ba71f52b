#include "core/retry.h"

#include "core/hash.h"

static uint64_t random_below(struct mr_retry *retry, uint64_t limit)
{
    retry->seed = mr_hash_mix(retry->seed ^ MR_HASH_K0, MR_HASH_K1 + retry->attempts) | 1;
    return (uint64_t)(((mr_u128)retry->seed * limit) >> 64);
}

uint64_t mr_retry_failed(struct mr_retry *retry, uint64_t now_ns, uint64_t at_least_ns)
{
    const struct mr_retry_policy *policy = retry->policy;
    uint64_t ceiling_ns = policy->base_ns;

    for (uint32_t i = 0; i < retry->attempts && ceiling_ns < policy->cap_ns; i++)
        ceiling_ns += ceiling_ns / 100 * (policy->factor_percent - 100);
    ceiling_ns = MR_MIN(ceiling_ns, policy->cap_ns);
    retry->attempts++;
    retry->due_ns = now_ns + at_least_ns + random_below(retry, ceiling_ns);
    return retry->due_ns;
}
