/* Keyed 64- and 128-bit hashes of byte strings, for tables and routing; not cryptographic.
 * Range   any length, any alignment; never reads outside [data, data + bytes).
 * Stable  the same seed gives the same value on every host and build: routing and the journal
 *         depend on it, so a change here is a change of format. */
#ifndef MR_CORE_HASH_H
#define MR_CORE_HASH_H

#include "core/base.h"

#define MR_HASH_K0 UINT64_C(0x9E3779B97F4A7C15)
#define MR_HASH_K1 UINT64_C(0xD1B54A32D192ED03)
#define MR_HASH_K2 UINT64_C(0x8CB92BA72F3D8DD7)

/* Both halves of the 128-bit product folded together: one multiply mixes 128 bits into 64. */
static inline uint64_t mr_hash_mix(uint64_t a, uint64_t b)
{
    mr_u128 product = (mr_u128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t mr_hash64(const void *data, size_t bytes, uint64_t seed)
{
    const uint8_t *p = (const uint8_t *)data;
    uint64_t h = seed ^ mr_hash_mix(bytes ^ MR_HASH_K0, MR_HASH_K1);
    uint64_t a, b;

    for (; bytes > 16; p += 16, bytes -= 16)
        h = mr_hash_mix(mr_load64(p) ^ MR_HASH_K1, mr_load64(p + 8) ^ h);
    if (bytes >= 8) {
        a = mr_load64(p);
        b = mr_load64(p + bytes - 8);
    } else if (bytes >= 4) {
        a = mr_load32(p);
        b = mr_load32(p + bytes - 4);
    } else if (bytes > 0) {
        a = ((uint64_t)p[0] << 16) | ((uint64_t)p[bytes / 2] << 8) | p[bytes - 1];
        b = 0;
    } else {
        a = b = 0;
    }
    return mr_hash_mix(mr_hash_mix(a ^ MR_HASH_K2, b ^ h), h ^ MR_HASH_K0);
}

#endif
