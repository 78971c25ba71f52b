/* What stops a run: the first failure that no worker can mend, told once and kept.
 * Any thread may raise; the first wins. The main thread looks and ends the run. */
#ifndef MR_CORE_FAULT_H
#define MR_CORE_FAULT_H

#include <stdatomic.h>

#include "core/base.h"
#include "core/err.h"

struct mr_fault {
    atomic_int claimed; /* 0: none; 1: being written */
    atomic_int err;     /* enum mr_err, once text is complete */
    char text[240];
};

/* `text` says what happened to what: "orders.ndjson: Permission denied". */
void mr_fault_raise(struct mr_fault *fault, int err, const char *format, ...) MR_PRINTF(3, 4);

/* MR_OK while there is none. */
static inline int mr_fault_err(struct mr_fault *fault)
{
    return atomic_load_explicit(&fault->err, memory_order_acquire);
}

#endif
