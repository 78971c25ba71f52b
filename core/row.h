/* Window rows: what crosses from aggregator to writer, as records of a block (core/block.h).
 *
 *   struct mr_row | cell | key bytes            (8-aligned; `bytes` is the whole)
 *
 * The cell holds the exact accumulators of the row's grouping (core/plan.h); the encoder reads
 * from it what the definition asks for. Key bytes are the encoded key (core/key.h).
 * Rows of one firing are ordered by definition, window end and key id. */
#ifndef MR_CORE_ROW_H
#define MR_CORE_ROW_H

#include "core/base.h"

enum mr_timing { MR_EARLY, MR_ON_TIME, MR_LATE };

enum { MR_ROW_FIRST = 1, MR_ROW_LAST = 2 };

struct mr_row {
    uint32_t bytes;
    uint16_t definition;
    uint8_t timing, flags; /* enum mr_timing; MR_ROW_* */
    uint32_t index;        /* of this firing within (window, key), from 0 */
    uint32_t key_bytes;
    int64_t window_start_us, window_end_us;
};

static inline uint8_t *mr_row_cell(struct mr_row *row)
{
    return (uint8_t *)(row + 1);
}

static inline const uint8_t *mr_row_key(struct mr_row *row, uint32_t cell_bytes)
{
    return mr_row_cell(row) + cell_bytes;
}

#endif
