/* What parses can be put and parsed again: padding, unknown fields and order may go at the first
 * put; after that nothing changes. */
#ifndef MR_TESTS_FUZZ_ROUND_H
#define MR_TESTS_FUZZ_ROUND_H

#include <stdlib.h>

#include "wire/shape.h"

#define ROUND(name, span)                                                                          \
    do {                                                                                           \
        struct name message;                                                                       \
        if (name##_parse(&message, span) != MR_OK)                                                 \
            break;                                                                                 \
        size_t room = 8 * (span).bytes + 64;                                                       \
        struct mr_pen a = mr_pen_of(malloc(room), room), b = mr_pen_of(malloc(room), room);        \
        name##_put(&a, &message);                                                                  \
        MR_ASSERT(a.err == MR_OK && name##_parse(&message, mr_pen_span(&a)) == MR_OK);             \
        name##_put(&b, &message);                                                                  \
        MR_ASSERT(mr_span_equal(mr_pen_span(&a), mr_pen_span(&b)));                                \
        free(a.data);                                                                              \
        free(b.data);                                                                              \
    } while (0)

#endif
