/* The credential in force: "Bearer ..." as the keeper last wrote it, read at the start of a call.
 * Thread  one writer, the keeper; any reader. Texts live until the run ends, so a reader may keep
 *         the pointer as long as its call takes to start. */
#ifndef MR_CORE_BEARER_H
#define MR_CORE_BEARER_H

#include <stdatomic.h>

#include "core/base.h"

struct mr_bearer {
    _Atomic(const char *) text; /* NULL: none is needed, or none yet: see `wanted` */
    bool wanted;                /* calls wait until there is one; fixed at start */
};

static inline struct mr_span mr_bearer_now(struct mr_bearer *bearer)
{
    const char *text = bearer ? atomic_load_explicit(&bearer->text, memory_order_acquire) : NULL;
    return text ? mr_span_text(text) : mr_span_of(NULL, 0);
}

static inline bool mr_bearer_is_missing(struct mr_bearer *bearer)
{
    return bearer && bearer->wanted && mr_bearer_now(bearer).bytes == 0;
}

#endif
