/* The aggregator: takes order batches, applies them to its share, sends rows to its writer and
 * letters to the keeper, and gives the batches back to their pullers.
 * Pullers of a file share one clock and hand over to one another; the batches of all others are
 * taken as they come.
 * Thread  mr_aggregator_turn by its worker; the rest before start or after the end. */
#ifndef MR_WINDOWS_AGGREGATOR_H
#define MR_WINDOWS_AGGREGATOR_H

#include <stdatomic.h>

#include "core/fault.h"
#include "windows/share.h"

struct mr_edge;
struct mr_spsc;

struct mr_aggregator_in {
    struct mr_spsc *batches;  /* from this puller */
    struct mr_edge *returned; /* to it */
};

struct mr_aggregator {
    struct mr_share share;
    struct mr_aggregator_in in[MR_WORKERS_MAX];
    uint32_t in_count, next_in;
    bool ordered; /* the next batch comes from in[next_in] and no other */
    uint32_t ends_expected, ends;
    struct mr_order_batch *held; /* being applied */
    struct mr_slab row_blocks, letter_blocks;
    struct mr_edge *rows_out;
    struct mr_spsc *rows_back;
    struct mr_edge *letters_out;
    struct mr_spsc *letters_back;
    struct mr_fault *fault;
    bool rows_ended, letters_ended;
    atomic_bool done; /* the end has been passed on */
};

uint32_t mr_aggregator_turn(void *self, uint64_t now_ns);

#endif
