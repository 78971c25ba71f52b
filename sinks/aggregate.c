#include "sinks/aggregate.h"

#include "core/text.h"

static uint64_t power_of_ten(uint32_t digits)
{
    uint64_t power = 1;
    while (digits-- > 0)
        power *= 10;
    return power;
}

struct mr_result mr_aggregate_result(const struct mr_plan *plan, uint32_t definition,
                                     const struct mr_aggregate *aggregate, const uint8_t *cell)
{
    uint64_t count = mr_load64(cell);
    if (aggregate->kind == MR_COUNT_OF)
        return (struct mr_result){.number = (mr_i128)count};

    const struct mr_cell_layout *layout = &plan->groupings[plan->grouping_of[definition]].cell;
    uint32_t m = plan->measure_of[aggregate->field];
    uint32_t scale = plan->config->decode.fields[aggregate->field].scale;
    uint64_t present = layout->measures[m].present == MR_NOT_KEPT
                           ? count
                           : mr_load64(cell + layout->measures[m].present);
    mr_i128 sum = 0;

    if (present == 0)
        return (struct mr_result){.null = true};
    if (layout->measures[m].sum != MR_NOT_KEPT)
        memcpy(&sum, cell + layout->measures[m].sum, sizeof sum);
    switch (aggregate->kind) {
    case MR_SUM_OF:
        return (struct mr_result){.number = sum, .scale = scale};
    case MR_MIN_OF:
        return (struct mr_result){.number = (int64_t)mr_load64(cell + layout->measures[m].min),
                                  .scale = scale};
    case MR_MAX_OF:
        return (struct mr_result){.number = (int64_t)mr_load64(cell + layout->measures[m].max),
                                  .scale = scale};
    default:
        return (struct mr_result){
            .number = mr_divide_rounded(sum * (mr_i128)power_of_ten(MR_AVG_DIGITS), present),
            .scale = scale + MR_AVG_DIGITS};
    }
}
