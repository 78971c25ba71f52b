/* Memory that ends at a forbidden page: reading one byte too far dies at once. */
#ifndef MR_TESTS_WIRE_EDGE_H
#define MR_TESTS_WIRE_EDGE_H

#include <sys/mman.h>
#include <unistd.h>

#include "core/base.h"

#define EDGE_BYTES_MAX (1u << 20)

/* A copy of `span` whose last byte is the last before the forbidden page; there is one such place,
 * so the next call ends the life of this one. */
static inline struct mr_span edge_copy(struct mr_span span)
{
    static uint8_t *end;

    if (!end) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        uint8_t *base = mmap(NULL, EDGE_BYTES_MAX + page, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        MR_ASSERT(base != MAP_FAILED);
        MR_ASSERT(mprotect(base + EDGE_BYTES_MAX, page, PROT_NONE) == 0);
        end = base + EDGE_BYTES_MAX;
    }
    MR_ASSERT(span.bytes <= EDGE_BYTES_MAX);
    if (span.bytes)
        memcpy(end - span.bytes, span.data, span.bytes);
    return mr_span_of(end - span.bytes, span.bytes);
}

#endif
