/* What the decoder's tests share: fields in few words, and payloads that end at a forbidden page.
 */
#ifndef MR_TESTS_SOURCES_FIXTURE_H
#define MR_TESTS_SOURCES_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/err.h"
#include "sources/decode.h"

#define MR_FIXTURE_BYTES (UINT32_C(1) << 16)

static inline struct mr_field *mr_fixture_field(struct mr_config *config, const char *name,
                                                enum mr_type type)
{
    struct mr_field *field = &config->decode.fields[config->decode.field_count];

    if (type == MR_TYPE_EVENT_TIME)
        config->decode.event_time = config->decode.field_count;
    config->decode.field_count++;
    *field = (struct mr_field){.name = name, .type = type, .path = {name}, .path_count = 1};
    return field;
}

/* The five fields of an order. */
static inline void mr_fixture_order(struct mr_config *config)
{
    memset(config, 0, sizeof *config);
    config->decode.payload_bytes_max = MR_FIXTURE_BYTES;
    mr_fixture_field(config, "order_id", MR_TYPE_STRING);
    mr_fixture_field(config, "product_id", MR_TYPE_STRING);
    mr_fixture_field(config, "timestamp", MR_TYPE_EVENT_TIME);
    mr_fixture_field(config, "amount", MR_TYPE_DECIMAL)->scale = 2;
    mr_fixture_field(config, "region", MR_TYPE_STRING);
}

/* A copy of `text` whose last byte is the last before a forbidden page; valid until the next call.
 */
static inline struct mr_span mr_fixture_edge(const void *text, size_t bytes)
{
    static uint8_t *arena;

    if (arena == NULL) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        arena = mmap(NULL, MR_FIXTURE_BYTES + page, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        MR_ASSERT(arena != MAP_FAILED);
        MR_ASSERT(mprotect(arena + MR_FIXTURE_BYTES, page, PROT_NONE) == 0);
    }
    MR_ASSERT(bytes <= MR_FIXTURE_BYTES);
    uint8_t *at = arena + MR_FIXTURE_BYTES - bytes;
    memcpy(at, text, bytes);
    return mr_span_of(at, bytes);
}

#endif
