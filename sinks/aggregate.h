/* What a row says, read from its cell: one exact number an aggregate, or null. */
#ifndef MR_SINKS_AGGREGATE_H
#define MR_SINKS_AGGREGATE_H

#include "core/plan.h"

#define MR_AVG_DIGITS 4 /* of avg, beyond the field's scale */

struct mr_result {
    bool null; /* no event had the field */
    mr_i128 number;
    uint32_t scale; /* decimal digits of `number` */
};

struct mr_result mr_aggregate_result(const struct mr_plan *plan, uint32_t definition,
                                     const struct mr_aggregate *aggregate, const uint8_t *cell);

#endif
