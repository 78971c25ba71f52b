/* Ids seen: exact while they fit in the memory given. At the bound the oldest are forgotten first,
 * and each one forgotten is counted, for then a late repeat could pass.
 * Owns    memory of the share's pool. Thread: the aggregator's. */
#ifndef MR_WINDOWS_DEDUP_H
#define MR_WINDOWS_DEDUP_H

#include "core/arena.h"
#include "core/id.h"

struct mr_dedup {
    struct mr_id *slots; /* open addressing; {0, 0} is free */
    uint32_t slot_count;
    struct mr_id *log; /* ids in order of arrival, a ring of slot_count / 2 */
    uint32_t log_head, count;
    uint32_t count_max;
    bool zero_seen; /* the id {0, 0}, which cannot stand in a slot */
    uint64_t forgotten;
};

/* `bytes_max` bounds table and log together. */
void mr_dedup_init(struct mr_dedup *dedup, uint64_t bytes_max);

enum mr_dedup_result { MR_DEDUP_NEW, MR_DEDUP_SEEN, MR_DEDUP_NO_MEMORY };
enum mr_dedup_result mr_dedup_add(struct mr_dedup *dedup, struct mr_pool *pool, struct mr_id id);

#endif
