#include "core/id.h"

#include "core/hash.h"

#define VERSION_SHIFT 12 /* of the version nibble within the high word, as RFC 9562 places it */

static bool decimal(struct mr_span text, struct mr_id *id)
{
    uint64_t value = 0;

    if (text.bytes == 0 || text.bytes > 20 || (text.data[0] == '0' && text.bytes > 1))
        return false;
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t digit = (uint8_t)(text.data[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return false;
    }
    *id = (struct mr_id){0, value};
    return true;
}

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static bool uuid(struct mr_span text, struct mr_id *id)
{
    uint64_t words[2] = {0, 0};
    uint32_t digits = 0;

    if (text.bytes != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text.data[i] != '-')
                return false;
            continue;
        }
        int nibble = hex(text.data[i]);
        if (nibble < 0)
            return false;
        words[digits / 16] = words[digits / 16] << 4 | (uint64_t)nibble;
        digits++;
    }
    uint64_t version = words[0] >> VERSION_SHIFT & 15;
    if (version < 1 || version > 8)
        return false;
    *id = (struct mr_id){words[0], words[1]};
    return true;
}

struct mr_id mr_id_from_text(struct mr_span text, uint64_t seed)
{
    struct mr_id id;

    if (decimal(text, &id) || uuid(text, &id))
        return id;
    id.high = mr_hash64(text.data, text.bytes, seed ^ MR_HASH_K1);
    id.low = mr_hash64(text.data, text.bytes, seed ^ MR_HASH_K2);
    id.high |= UINT64_C(15) << VERSION_SHIFT;
    return id;
}
