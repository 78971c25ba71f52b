/* A slow model of the share, event by event, with nothing shared between windows: the specification
 * that tests/windows/share.c holds the real one against. */
#ifndef MR_TESTS_WINDOWS_SHARE_MODEL_H
#define MR_TESTS_WINDOWS_SHARE_MODEL_H

#include "tests/random.h"
#include "windows/share.h"

#define EVENTS_MAX 120
#define STATES_MAX 8192
#define ROWS_MAX   16384
#define VALUES     4 /* of each of the two group fields */
#define MEASURES   2 /* the second may be absent */

struct order {
    int64_t t;
    uint8_t group[2];
    int64_t measures[MEASURES];
    bool present;
    struct mr_id id;
};

struct totals {
    uint64_t count, present[MEASURES];
    mr_i128 sum[MEASURES];
    int64_t min[MEASURES], max[MEASURES];
};

/* A row in comparable form: every byte is set. */
struct plain_row {
    int64_t end;
    uint32_t definition, key, timing, flags, index, unused;
    struct totals totals;
};

struct state {
    uint32_t definition, key;
    int64_t end;
    uint32_t fired;
    struct totals totals;
};

struct model {
    const struct mr_plan *plan;
    int64_t watermark;
    uint32_t keys[MR_GROUPINGS_MAX][VALUES * VALUES], key_count[MR_GROUPINGS_MAX];
    struct mr_id seen[EVENTS_MAX];
    uint32_t seen_count;
    struct state states[STATES_MAX];
    uint32_t state_count;
    struct plain_row rows[ROWS_MAX];
    uint32_t row_count;
    struct mr_account account;
};

static inline void model_init(struct model *model, const struct mr_plan *plan)
{
    memset(model, 0, sizeof *model);
    model->plan = plan;
    model->watermark = MR_TIME_MIN;
}

/* What tells the keys of a grouping apart: the values of its fields, others as nought. */
static inline uint32_t key_code(const struct mr_grouping *grouping, const struct order *order)
{
    uint32_t code = 0;
    for (uint32_t i = 0; i < grouping->field_count; i++)
        code += order->group[grouping->fields[i]] * (grouping->fields[i] == 0 ? 1 : VALUES);
    return code;
}

/* Ids in order of first appearance, of duplicates and late orders too. */
static inline uint32_t model_key(struct model *model, uint32_t g, const struct order *order)
{
    uint32_t code = key_code(&model->plan->groupings[g], order), k = 0;
    while (k < model->key_count[g] && model->keys[g][k] != code)
        k++;
    model->keys[g][k] = code;
    model->key_count[g] = MR_MAX(model->key_count[g], k + 1);
    return k;
}

static inline struct state *model_state(struct model *model, uint32_t d, int64_t end, uint32_t key)
{
    for (uint32_t s = 0; s < model->state_count; s++) {
        struct state *state = &model->states[s];
        if (state->definition == d && state->end == end && state->key == key)
            return state;
    }
    MR_ASSERT(model->state_count < STATES_MAX);
    struct state *state = &model->states[model->state_count++];
    *state = (struct state){.definition = d, .end = end, .key = key};
    return state;
}

static inline void model_fold(struct totals *totals, const struct order *order)
{
    totals->count++;
    for (uint32_t m = 0; m < MEASURES; m++) {
        int64_t value = order->measures[m];
        if (m == 1 && !order->present)
            continue;
        if (totals->present[m]++ == 0)
            totals->min[m] = totals->max[m] = value;
        totals->sum[m] += value;
        totals->min[m] = MR_MIN(totals->min[m], value);
        totals->max[m] = MR_MAX(totals->max[m], value);
    }
}

static inline void model_fire(struct model *model, struct state *state, enum mr_timing timing,
                              bool last)
{
    MR_ASSERT(model->row_count < ROWS_MAX);
    struct plain_row *row = &model->rows[model->row_count++];
    memset(row, 0, sizeof *row);
    row->definition = state->definition;
    row->key = state->key;
    row->end = state->end;
    row->timing = timing;
    row->index = state->fired++;
    row->flags = (row->index == 0 ? MR_ROW_FIRST : 0) | (last ? MR_ROW_LAST : 0);
    row->totals = state->totals;
    model->account.rows[timing]++;
}

static inline void model_advance(struct model *model, int64_t to)
{
    if (to <= model->watermark)
        return;
    for (uint32_t s = 0; s < model->state_count; s++) {
        struct state *state = &model->states[s];
        int64_t lateness = model->plan->config->windows[state->definition].lateness_us;
        if (state->end > model->watermark && state->end <= to)
            model_fire(model, state, MR_ON_TIME, state->end + lateness <= to);
    }
    model->watermark = to;
}

static inline bool model_is_repeat(struct model *model, const struct order *order)
{
    if (!model->plan->dedup || mr_id_is_none(order->id))
        return false;
    for (uint32_t i = 0; i < model->seen_count; i++)
        if (model->seen[i].low == order->id.low && model->seen[i].high == order->id.high)
            return true;
    model->seen[model->seen_count++] = order->id;
    return false;
}

/* One definition takes an order: every window that holds it, found by looking at all near ones. */
static inline uint32_t model_add(struct model *model, uint32_t d, const struct order *order,
                                 uint32_t key, uint32_t *late)
{
    const struct mr_window *window = &model->plan->config->windows[d];
    int64_t reach = (window->size_us + (order->t < 0 ? -order->t : order->t)) / window->hop_us + 3;
    uint32_t pairs = 0;

    for (int64_t k = -reach; k <= reach; k++) {
        int64_t start = k * window->hop_us + window->offset_us, end = start + window->size_us;
        if (order->t < start || order->t >= end)
            continue;
        pairs++;
        if (end + window->lateness_us <= model->watermark) {
            ++*late;
            continue;
        }
        struct state *state = model_state(model, d, end, key);
        model_fold(&state->totals, order);
        if (end <= model->watermark)
            model_fire(model, state, MR_LATE, false);
    }
    return pairs;
}

static inline void model_take(struct model *model, const struct order *order)
{
    uint32_t keys[MR_GROUPINGS_MAX], pairs = 0, late = 0;

    for (uint32_t g = 0; g < model->plan->grouping_count; g++)
        keys[g] = model_key(model, g, order);
    model->account.received++;
    if (model_is_repeat(model, order)) {
        model->account.duplicates++;
        return;
    }
    model->account.admitted++;
    for (uint32_t d = 0; d < model->plan->config->window_count; d++) {
        uint32_t more = model_add(model, d, order, keys[model->plan->grouping_of[d]], &late);
        model->account.no_window += more == 0;
        pairs += more;
    }
    model->account.pairs_assigned += pairs;
    model->account.pairs_late += late;
    model->account.pairs_added += pairs - late;
    model->account.late_events += pairs > 0 && pairs == late;
}

#endif
