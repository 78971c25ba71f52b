/* Every event and every (event, window) pair, counted once by the share that applied it.
 * Single writer: the aggregator; others read it when the run is over, or roughly while it runs. */
#ifndef MR_WINDOWS_ACCOUNT_H
#define MR_WINDOWS_ACCOUNT_H

#include "core/base.h"
#include "core/reason.h"

struct mr_account {
    uint64_t received;   /* events that reached the share, letters too */
    uint64_t duplicates; /* dropped by id */
    uint64_t admitted;   /* decoded and no duplicate */
    uint64_t letters;
    uint64_t letters_by_reason[MR_REASONS];
    uint64_t pairs_assigned; /* (event, window) pairs, by arithmetic on the event time */
    uint64_t pairs_added;    /* of these, folded */
    uint64_t pairs_late;     /* of these, the window had expired */
    uint64_t pairs_fired;    /* pairs that the rows fired so far stand for */
    uint64_t late_events;    /* events all of whose pairs were late */
    uint64_t no_window;      /* (event, definition) where no window holds the event */
    uint64_t rows[3];        /* by enum mr_timing */
    uint64_t windows;        /* fired on time */
    uint64_t keys;
    uint64_t forgotten_ids;
};

void mr_account_add(struct mr_account *into, const struct mr_account *from);

/* The laws of conservation. Returns NULL when all hold, else the broken one in words (static).
 * `all_fired`: the end of time has been reached, so every pair must stand behind a row. */
const char *mr_account_broken_law(const struct mr_account *account, bool all_fired);

#endif
