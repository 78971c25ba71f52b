#include "core/plan.h"

/* Key bytes and letters of a batch together, an event: a batch with more is cut early. */
#define HEAP_BYTES_A_ROW 96
#define HEAP_BYTES_MIN   (32u << 10)

static bool same_fields(const struct mr_grouping *grouping, const struct mr_window *window)
{
    return grouping->field_count == window->group_count &&
           memcmp(grouping->fields, window->group_by,
                  window->group_count * sizeof window->group_by[0]) == 0;
}

static struct mr_grouping *grouping_for(struct mr_plan *plan, const struct mr_window *window)
{
    for (uint32_t g = 0; g < plan->grouping_count; g++)
        if (same_fields(&plan->groupings[g], window))
            return &plan->groupings[g];
    if (plan->grouping_count == MR_GROUPINGS_MAX)
        return NULL;
    struct mr_grouping *grouping = &plan->groupings[plan->grouping_count++];
    memcpy(grouping->fields, window->group_by, sizeof grouping->fields);
    grouping->field_count = window->group_count;
    grouping->cell.bytes = sizeof(uint64_t);
    for (uint32_t m = 0; m < MR_MEASURES_MAX; m++) {
        grouping->cell.measures[m].present = MR_NOT_KEPT;
        grouping->cell.measures[m].sum = MR_NOT_KEPT;
        grouping->cell.measures[m].min = MR_NOT_KEPT;
        grouping->cell.measures[m].max = MR_NOT_KEPT;
    }
    return grouping;
}

static bool measure_for(struct mr_plan *plan, uint32_t field, uint32_t *measure)
{
    if (plan->measure_of[field] == MR_NOT_KEPT) {
        if (plan->measure_count == MR_MEASURES_MAX)
            return false;
        plan->measure_of[field] = plan->measure_count;
        plan->measures[plan->measure_count++] = field;
        if (plan->config->decode.fields[field].optional)
            plan->nullable |= 1u << plan->measure_of[field];
    }
    *measure = plan->measure_of[field];
    return true;
}

static void keep(struct mr_cell_layout *cell, uint16_t *offset, uint32_t bytes)
{
    if (*offset != MR_NOT_KEPT)
        return;
    *offset = (uint16_t)cell->bytes;
    cell->bytes += bytes;
}

static bool add_window(struct mr_plan *plan, uint32_t definition)
{
    const struct mr_window *window = &plan->config->windows[definition];
    struct mr_grouping *grouping = grouping_for(plan, window);
    if (!grouping)
        return false;
    grouping->definitions[grouping->definition_count++] = definition;
    plan->grouping_of[definition] = (uint32_t)(grouping - plan->groupings);
    for (uint32_t a = 0; a < window->aggregate_count; a++) {
        const struct mr_aggregate *aggregate = &window->aggregates[a];
        uint32_t m;
        if (aggregate->kind == MR_COUNT_OF)
            continue;
        if (!measure_for(plan, aggregate->field, &m))
            return false;
        grouping->cell.measure_count = MR_MAX(grouping->cell.measure_count, m + 1);
        if (plan->nullable >> m & 1)
            keep(&grouping->cell, &grouping->cell.measures[m].present, 8);
        if (aggregate->kind == MR_SUM_OF || aggregate->kind == MR_AVG_OF)
            keep(&grouping->cell, &grouping->cell.measures[m].sum, 16);
        else if (aggregate->kind == MR_MIN_OF)
            keep(&grouping->cell, &grouping->cell.measures[m].min, 8);
        else
            keep(&grouping->cell, &grouping->cell.measures[m].max, 8);
    }
    return true;
}

const char *mr_plan_init(struct mr_plan *plan, const struct mr_config *config)
{
    *plan = (struct mr_plan){.config = config, .hash_seed = MR_PLAN_HASH_SEED};
    for (uint32_t f = 0; f < MR_FIELDS_MAX; f++)
        plan->measure_of[f] = MR_NOT_KEPT;
    for (uint32_t w = 0; w < config->window_count; w++)
        if (!add_window(plan, w))
            return "at most 8 different group_by lists and 16 aggregated fields";
    plan->dedup = config->decode.dedup_by != MR_DEDUP_NONE;
    uint32_t rows = config->workers.batch_rows;
    mr_order_layout_init(&plan->order, rows, plan->grouping_count, plan->measure_count,
                         plan->nullable, plan->dedup, config->source.pubsub.subscription != NULL,
                         MR_MAX(rows * HEAP_BYTES_A_ROW, HEAP_BYTES_MIN));
    return NULL;
}
