/* How a long job is going: one line that is rewritten on a terminal, a plain one each ten seconds
 * elsewhere, or as often as it is asked to. */
#ifndef MR_APP_PROGRESS_H
#define MR_APP_PROGRESS_H

#include "core/base.h"

struct mr_progress {
    bool terminal, quiet;
    uint64_t started_ns, told_ns, told_count, every_ns;
    uint64_t bytes_total; /* 0: unknown */
};

/* every_us between lines, 0: what suits the place. */
void mr_progress_init(struct mr_progress *progress, bool quiet, int64_t every_us,
                      uint64_t bytes_total);

/* Tells, if it is time to, how many events and bytes are done. */
void mr_progress_tell(struct mr_progress *progress, uint64_t count, uint64_t bytes);

/* Clears the line. */
void mr_progress_end(struct mr_progress *progress);

#endif
