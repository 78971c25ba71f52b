#include "windows/share.h"

#include "core/hop.h"

int mr_share_init(struct mr_share *share, const struct mr_plan *plan, uint16_t number,
                  const struct mr_share_limits *limits, struct mr_slab *rows,
                  struct mr_slab *letters)
{
    *share = (struct mr_share){.plan = plan, .number = number};
    int err = mr_arena_init(&share->arena, limits->memory_bytes);
    if (err != MR_OK)
        return err;
    mr_pool_init(&share->pool, &share->arena);
    mr_dedup_init(&share->dedup, limits->dedup_bytes);
    mr_watermark_init(&share->watermark, limits->clocks);
    share->watermark_us = MR_TIME_MIN;
    share->slicing_count = mr_slicing_plan(share->slicings, plan);
    for (uint32_t s = 0; s < share->slicing_count; s++)
        for (uint32_t i = 0; i < share->slicings[s].definition_count; i++)
            share->slicing_of[share->slicings[s].definitions[i]] = s;
    for (uint32_t g = 0; g < plan->grouping_count; g++) {
        uint32_t keys = (uint32_t)MR_MIN(limits->keys, (uint64_t)MR_KEY_NONE - 1);
        mr_keys_init(&share->keys[g], keys);
        share->key_of[g] = mr_pool_take(&share->pool, plan->order.rows_max * sizeof(uint32_t));
        if (!share->key_of[g])
            return MR_E_MEMORY;
    }
    share->dropped = mr_pool_take(&share->pool, MR_BATCH_ROWS_MAX / 8);
    if (!share->dropped)
        return MR_E_MEMORY;
    share->rows = (struct mr_outlet){.slab = rows, .share = number};
    share->letters = (struct mr_outlet){.slab = letters, .share = number};
    return MR_OK;
}

void mr_share_finish(struct mr_share *share)
{
    mr_arena_finish(&share->arena);
}

static int drop_duplicates(struct mr_share *share, struct mr_order_batch *batch)
{
    const struct mr_order_layout *layout = &share->plan->order;

    memset(share->dropped, 0, (batch->rows + 63) / 64 * sizeof(uint64_t));
    if (!share->plan->dedup)
        return MR_OK;
    for (uint32_t row = 0; row < batch->rows; row++) {
        struct mr_id *id = mr_order_id(batch, layout, row);
        if (mr_id_is_none(*id))
            continue;
        switch (mr_dedup_add(&share->dedup, &share->pool, *id)) {
        case MR_DEDUP_NEW:
            break;
        case MR_DEDUP_SEEN:
            share->dropped[row / 64] |= UINT64_C(1) << row % 64;
            share->account.duplicates++;
            break;
        case MR_DEDUP_NO_MEMORY:
            return MR_E_MEMORY;
        }
    }
    share->account.forgotten_ids = share->dedup.forgotten;
    return MR_OK;
}

static int map_keys(struct mr_share *share, struct mr_order_batch *batch)
{
    const struct mr_order_layout *layout = &share->plan->order;
    const uint8_t *heap = mr_order_heap(batch, layout);

    share->account.keys = 0;
    for (uint32_t g = 0; g < layout->groupings; g++) {
        const struct mr_key_ref *refs = mr_order_refs(batch, layout, g);
        for (uint32_t k = 0; k < batch->keys[g]; k++)
            mr_keys_prefetch(&share->keys[g], refs[k].hash);
        for (uint32_t k = 0; k < batch->keys[g]; k++) {
            bool full;
            uint32_t id = mr_keys_id(&share->keys[g], &share->pool, refs[k].hash,
                                     mr_span_of(heap + refs[k].offset, refs[k].bytes), &full);
            if (id == MR_KEY_NONE)
                return full ? MR_E_KEY_LIMIT : MR_E_MEMORY;
            share->key_of[g][k] = id;
        }
        share->account.keys += share->keys[g].count;
    }
    return MR_OK;
}

static void fold_measure(const struct mr_cell_layout *layout, uint32_t m, uint8_t *cell,
                         int64_t value, bool first)
{
    uint16_t sum = layout->measures[m].sum, min = layout->measures[m].min;
    uint16_t max = layout->measures[m].max;

    if (sum != MR_NOT_KEPT) {
        mr_i128 total;
        memcpy(&total, cell + sum, sizeof total);
        total += value;
        memcpy(cell + sum, &total, sizeof total);
    }
    if (min != MR_NOT_KEPT && (first || value < (int64_t)mr_load64(cell + min)))
        mr_store64(cell + min, (uint64_t)value);
    if (max != MR_NOT_KEPT && (first || value > (int64_t)mr_load64(cell + max)))
        mr_store64(cell + max, (uint64_t)value);
}

/* Adds one row to a cell. */
static void fold(const struct mr_plan *plan, const struct mr_cell_layout *layout,
                 struct mr_order_batch *batch, uint32_t row, uint8_t *cell)
{
    uint64_t count = mr_load64(cell);

    mr_store64(cell, count + 1);
    for (uint32_t m = 0; m < layout->measure_count; m++) {
        bool first = count == 0;
        if (plan->order.valid_offset[m] != 0) {
            uint16_t present = layout->measures[m].present;
            if (!(*mr_order_valid(batch, &plan->order, m, row) >> row % MR_GROUP_ROWS & 1) ||
                present == MR_NOT_KEPT)
                continue;
            uint64_t have = mr_load64(cell + present);
            first = have == 0;
            mr_store64(cell + present, have + 1);
        }
        fold_measure(layout, m, cell, *mr_order_measure(batch, &plan->order, m, row), first);
    }
}

/* Folds the row at the share's place into `pane`, which must have windows over it. */
static int fold_into(struct mr_share *share, struct mr_slicing *slicing, struct mr_pane *pane)
{
    struct mr_order_batch *batch = share->place.batch;
    uint32_t g = slicing->grouping, row = share->place.row;
    uint32_t key = share->key_of[g][*mr_order_key(batch, &share->plan->order, g, row)];

    pane = mr_slicing_open(slicing, &share->pool, pane);
    if (!pane)
        return MR_E_MEMORY;
    uint8_t *cell = mr_cells_at(&pane->cells, &share->pool, key, share->keys[g].count);
    if (!cell)
        return MR_E_MEMORY;
    fold(share->plan, &share->plan->groupings[g].cell, batch, row, cell);
    return MR_OK;
}

/* Whether some window of any definition still takes an event at t, and whether an earlier slicing
 * has windows for it (then that one counts it). */
static bool late_everywhere(const struct mr_share *share, uint32_t slicing, int64_t t)
{
    for (uint32_t d = 0; d < share->plan->config->window_count; d++) {
        const struct mr_window *window = &share->plan->config->windows[d];
        if (mr_hop_count(window, t) == 0)
            continue;
        if (share->slicing_of[d] < slicing ||
            mr_hop_last_end(window, t) + window->lateness_us > share->watermark_us)
            return false;
    }
    return true;
}

static void count_late_pairs(struct mr_share *share, const struct mr_slicing *slicing, int64_t t)
{
    for (uint32_t i = 0; i < slicing->definition_count; i++) {
        const struct mr_window *window = &share->plan->config->windows[slicing->definitions[i]];
        int64_t first = mr_hop_end_after(window, t), last = mr_hop_last_end(window, t);
        for (int64_t end = first; end <= last; end += window->hop_us)
            if (end + window->lateness_us <= share->watermark_us)
                share->account.pairs_late++;
            else
                share->account.pairs_added++;
    }
}

/* Fires the row's key in each window over it that has closed and not expired. */
static int fire_closed(struct mr_share *share, struct mr_slicing *slicing, int64_t t)
{
    struct mr_place *place = &share->place;
    uint32_t g = slicing->grouping;
    uint32_t key =
        share->key_of[g][*mr_order_key(place->batch, &share->plan->order, g, place->row)];

    for (; place->late_index < slicing->definition_count; place->late_index++) {
        uint32_t d = slicing->definitions[place->late_index];
        const struct mr_window *window = &share->plan->config->windows[d];
        int64_t last = MR_MIN(mr_hop_last_end(window, t), share->watermark_us);
        if (place->late_end_us == MR_TIME_MIN)
            place->late_end_us = mr_hop_end_after(window, t);
        for (; place->late_end_us <= last; place->late_end_us += window->hop_us) {
            if (place->late_end_us + window->lateness_us <= share->watermark_us)
                continue;
            int err = mr_share_fire_late(share, d, place->late_end_us, key);
            if (err != MR_OK)
                return err;
        }
        place->late_end_us = MR_TIME_MIN;
    }
    place->late = false;
    return MR_OK;
}

/* A row that is behind the end of at least one of its windows. */
static int apply_late(struct mr_share *share, struct mr_slicing *slicing, struct mr_pane *pane,
                      int64_t t)
{
    struct mr_place *place = &share->place;

    if (pane->expiry_us <= share->watermark_us) {
        share->account.pairs_late += pane->pairs;
        share->account.late_events += late_everywhere(share, place->slicing, t);
        return MR_OK;
    }
    int err = fold_into(share, slicing, pane);
    if (err != MR_OK)
        return err;
    count_late_pairs(share, slicing, t);
    place->late = true;
    place->late_index = 0;
    place->late_end_us = MR_TIME_MIN;
    return fire_closed(share, slicing, t);
}

static int apply_row(struct mr_share *share, struct mr_slicing *slicing)
{
    struct mr_place *place = &share->place;
    int64_t t = *mr_order_event_us(place->batch, &share->plan->order, place->row);

    if (place->late)
        return fire_closed(share, slicing, t);
    struct mr_pane *pane = mr_slicing_look(slicing, t);
    share->account.pairs_assigned += pane->pairs;
    share->account.no_window += pane->gaps;
    if (MR_UNLIKELY(pane->first_end_us <= share->watermark_us))
        return apply_late(share, slicing, pane, t);
    if (pane->pairs == 0)
        return MR_OK;
    share->account.pairs_added += pane->pairs;
    return fold_into(share, slicing, pane);
}

static int apply_rows(struct mr_share *share)
{
    struct mr_place *place = &share->place;

    for (; place->slicing < share->slicing_count; place->slicing++) {
        struct mr_slicing *slicing = &share->slicings[place->slicing];
        for (; place->row < place->batch->rows; place->row++) {
            if (share->dropped[place->row / 64] >> place->row % 64 & 1)
                continue;
            int err = apply_row(share, slicing);
            if (err != MR_OK)
                return err;
        }
        place->row = 0;
    }
    return MR_OK;
}

static int apply_letters(struct mr_share *share)
{
    struct mr_place *place = &share->place;

    while (place->letter != 0) {
        struct mr_letter *letter = mr_order_letter(place->batch, &share->plan->order,
                                                   place->letter);
        void *copy = mr_outlet_reserve(&share->letters, letter->bytes);
        if (!copy)
            return MR_AGAIN;
        memcpy(copy, letter, letter->bytes);
        mr_outlet_commit(&share->letters, letter->bytes);
        share->account.letters++;
        share->account.letters_by_reason[letter->reason]++;
        place->letter = letter->next;
    }
    return MR_OK;
}

int mr_share_apply(struct mr_share *share, struct mr_order_batch *batch)
{
    MR_ASSERT(share->place.phase == MR_PHASE_IDLE);
    uint64_t duplicates = share->account.duplicates;
    /* Before anything is emitted: a block closed halfway already holds rows of this batch. */
    share->rows.cause_seq = share->letters.cause_seq = ++share->applied;
    int err = drop_duplicates(share, batch);
    if (err == MR_OK)
        err = map_keys(share, batch);
    if (err != MR_OK)
        return err;
    share->account.received += batch->rows + batch->letters;
    share->account.admitted += batch->rows - (share->account.duplicates - duplicates);
    share->place = (struct mr_place){
        .phase = MR_PHASE_FOLD, .batch = batch, .letter = batch->first_letter};
    return mr_share_resume(share);
}

int mr_share_resume(struct mr_share *share)
{
    struct mr_place *place = &share->place;
    int err = MR_OK;

    if (place->phase == MR_PHASE_FOLD) {
        if ((err = apply_rows(share)) != MR_OK)
            return err;
        place->phase = MR_PHASE_LETTERS;
    }
    if (place->phase == MR_PHASE_LETTERS) {
        if ((err = apply_letters(share)) != MR_OK)
            return err;
        place->phase = MR_PHASE_ADVANCE;
        place->advance_to_us = mr_watermark_advance(&share->watermark, place->batch->clock,
                                                    place->batch->watermark_us);
    }
    if (place->phase == MR_PHASE_ADVANCE) {
        if (place->advance_to_us > share->watermark_us && (err = mr_share_advance(share)) != MR_OK)
            return err;
        place->phase = MR_PHASE_IDLE;
    }
    return MR_OK;
}
