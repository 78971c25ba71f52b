/* Firing: panes combined into rows when the watermark passes, and for late orders. */
#include "core/hop.h"
#include "windows/share.h"

static struct mr_slicing *slicing_of(struct mr_share *share, uint32_t definition)
{
    return &share->slicings[share->slicing_of[definition]];
}

static uint32_t closed_from(const struct mr_closed_list *list, int64_t end_us)
{
    uint32_t low = 0, high = list->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (list->windows[middle].end_us < end_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The record of a closed window, made if need be; NULL: the pool is used up. */
static struct mr_closed *closed_window(struct mr_share *share, uint32_t definition, int64_t end_us)
{
    struct mr_closed_list *list = &share->closed[definition];
    uint32_t at = closed_from(list, end_us);

    if (at < list->count && list->windows[at].end_us == end_us)
        return &list->windows[at];
    if (list->count == list->capacity) {
        uint32_t capacity = MR_MAX(list->capacity * 2, 16u);
        struct mr_closed *windows = mr_pool_take(&share->pool, capacity * sizeof *windows);
        if (!windows)
            return NULL;
        if (list->count > 0)
            memcpy(windows, list->windows, list->count * sizeof *windows);
        mr_pool_return(&share->pool, list->windows, list->capacity * sizeof *windows);
        list->windows = windows;
        list->capacity = capacity;
    }
    memmove(&list->windows[at + 1], &list->windows[at],
            (list->count - at) * sizeof list->windows[0]);
    list->windows[at].end_us = end_us;
    mr_cells_init(&list->windows[at].firings, sizeof(uint64_t));
    list->count++;
    return &list->windows[at];
}

static void expire_closed(struct mr_share *share, uint32_t definition)
{
    struct mr_closed_list *list = &share->closed[definition];
    int64_t lateness_us = share->plan->config->windows[definition].lateness_us;
    uint32_t gone = 0;

    while (gone < list->count && list->windows[gone].end_us + lateness_us <= share->watermark_us) {
        mr_cells_finish(&list->windows[gone].firings, &share->pool);
        gone++;
    }
    if (gone == 0)
        return;
    list->count -= gone;
    memmove(list->windows, &list->windows[gone], list->count * sizeof list->windows[0]);
}

/* Room for one row of `key`, filled but for its cell; NULL: the outlet is full. */
static struct mr_row *begin_row(struct mr_share *share, uint32_t definition, int64_t end_us,
                                uint32_t key, enum mr_timing timing)
{
    const struct mr_window *window = &share->plan->config->windows[definition];
    uint32_t grouping = share->plan->grouping_of[definition];
    uint32_t cell_bytes = share->plan->groupings[grouping].cell.bytes;
    const struct mr_key *bytes = &share->keys[grouping].keys[key];
    uint32_t size = (uint32_t)mr_round_up(sizeof(struct mr_row) + cell_bytes + bytes->bytes, 8);
    struct mr_row *row = mr_outlet_reserve(&share->rows, size);

    if (!row)
        return NULL;
    *row = (struct mr_row){
        .bytes = size,
        .definition = (uint16_t)definition,
        .timing = (uint8_t)timing,
        .key_bytes = bytes->bytes,
        .window_start_us = end_us - window->size_us,
        .window_end_us = end_us,
    };
    if (bytes->bytes > 0)
        memcpy(mr_row_cell(row) + cell_bytes, bytes->data, bytes->bytes);
    return row;
}

int mr_share_fire_late(struct mr_share *share, uint32_t definition, int64_t end_us, uint32_t key)
{
    const struct mr_window *window = &share->plan->config->windows[definition];
    struct mr_slicing *slicing = slicing_of(share, definition);
    const struct mr_grouping *grouping = &share->plan->groupings[slicing->grouping];
    struct mr_row *row = begin_row(share, definition, end_us, key, MR_LATE);
    struct mr_closed *closed = closed_window(share, definition, end_us);

    if (!row)
        return MR_AGAIN;
    uint64_t *firings = closed ? mr_cells_at(&closed->firings, &share->pool, key,
                                             share->keys[slicing->grouping].count)
                               : NULL;
    if (!firings)
        return MR_E_MEMORY;
    row->index = (uint32_t)(*firings)++;
    row->flags = row->index == 0 ? MR_ROW_FIRST : 0;
    memset(mr_row_cell(row), 0, grouping->cell.bytes);
    for (uint32_t p = mr_slicing_from(slicing, end_us - window->size_us);
         p < slicing->pane_count && slicing->panes[p]->start_us < end_us; p++) {
        const void *cell = mr_cells_find(&slicing->panes[p]->cells, key);
        if (cell)
            mr_cell_merge(&grouping->cell, mr_row_cell(row), cell);
    }
    mr_outlet_commit(&share->rows, row->bytes);
    share->account.rows[MR_LATE]++;
    share->account.pairs_fired++;
    return MR_OK;
}

/* The first end after the watermark of a window of `definition` that has live panes, up to and
 * including `to_us`; false if there is none. Skips empty stretches pane by pane, not hop by hop. */
static bool next_window(struct mr_share *share, uint32_t definition, int64_t after_us,
                        int64_t to_us, int64_t *end_us)
{
    const struct mr_window *window = &share->plan->config->windows[definition];
    struct mr_slicing *slicing = slicing_of(share, definition);
    int64_t end;

    if (slicing->pane_count == 0 || after_us == MR_TIME_MAX)
        return false;
    if (after_us == MR_TIME_MIN)
        end = mr_hop_end_after(window, slicing->panes[0]->start_us);
    else
        end = mr_hop_end_after(window, after_us);
    while (end <= to_us) {
        uint32_t p = mr_slicing_from(slicing, end - window->size_us);
        if (p == slicing->pane_count)
            return false;
        int64_t start = slicing->panes[p]->start_us;
        if (start < end) {
            *end_us = end;
            return true;
        }
        end = mr_hop_end_after(window, start);
    }
    return false;
}

static bool prepare_scratch(struct mr_share *share, uint32_t keys, uint32_t cell_bytes)
{
    struct mr_firing *firing = &share->firing;

    if (keys <= firing->capacity && cell_bytes <= firing->cell_bytes)
        return true;
    uint32_t capacity = (uint32_t)mr_pow2_at_least(MR_MAX(keys, 64u));
    capacity = MR_MAX(capacity, firing->capacity);
    cell_bytes = MR_MAX(cell_bytes, firing->cell_bytes);
    uint8_t *cells = mr_pool_take(&share->pool, (size_t)capacity * cell_bytes);
    uint64_t *marks = mr_pool_take(&share->pool, capacity / 8);
    if (!cells || !marks)
        return false;
    mr_pool_return(&share->pool, firing->cells, (size_t)firing->capacity * firing->cell_bytes);
    mr_pool_return(&share->pool, firing->marks, firing->capacity / 8);
    firing->cells = cells;
    firing->marks = marks;
    firing->capacity = capacity;
    firing->cell_bytes = cell_bytes;
    return true;
}

static int merge_panes(struct mr_share *share)
{
    struct mr_firing *firing = &share->firing;
    const struct mr_window *window = &share->plan->config->windows[firing->definition];
    struct mr_slicing *slicing = slicing_of(share, firing->definition);
    const struct mr_cell_layout *layout = &share->plan->groupings[slicing->grouping].cell;

    if (!prepare_scratch(share, share->keys[slicing->grouping].count, layout->bytes))
        return MR_E_MEMORY;
    for (uint32_t p = mr_slicing_from(slicing, firing->end_us - window->size_us);
         p < slicing->pane_count && slicing->panes[p]->start_us < firing->end_us; p++) {
        uint32_t at = 0, key;
        const void *cell;
        while ((cell = mr_cells_next(&slicing->panes[p]->cells, &at, &key)) != NULL) {
            mr_cell_merge(layout, firing->cells + (size_t)key * layout->bytes, cell);
            firing->marks[key / 64] |= UINT64_C(1) << key % 64;
        }
    }
    return MR_OK;
}

/* Emits one ON_TIME row and clears the key's scratch cell. */
static int fire_key(struct mr_share *share, uint32_t key, bool last)
{
    struct mr_firing *firing = &share->firing;
    uint32_t grouping = share->plan->grouping_of[firing->definition];
    uint32_t cell_bytes = share->plan->groupings[grouping].cell.bytes;
    uint8_t *cell = firing->cells + (size_t)key * cell_bytes;
    struct mr_row *row = begin_row(share, firing->definition, firing->end_us, key, MR_ON_TIME);

    if (!row)
        return MR_AGAIN;
    row->flags = MR_ROW_FIRST | (last ? MR_ROW_LAST : 0);
    memcpy(mr_row_cell(row), cell, cell_bytes);
    if (!last) {
        struct mr_closed *closed = closed_window(share, firing->definition, firing->end_us);
        uint64_t *firings = closed ? mr_cells_at(&closed->firings, &share->pool, key,
                                                 share->keys[grouping].count)
                                   : NULL;
        if (!firings)
            return MR_E_MEMORY;
        *firings = 1;
    }
    share->account.pairs_fired += mr_load64(cell);
    share->account.rows[MR_ON_TIME]++;
    memset(cell, 0, cell_bytes);
    mr_outlet_commit(&share->rows, row->bytes);
    return MR_OK;
}

static int fire_window(struct mr_share *share)
{
    struct mr_firing *firing = &share->firing;
    const struct mr_window *window = &share->plan->config->windows[firing->definition];
    bool last = firing->end_us + window->lateness_us <= share->place.advance_to_us;

    if (!firing->merged) {
        int err = merge_panes(share);
        if (err != MR_OK)
            return err;
        firing->merged = true;
        firing->next_key = 0;
    }
    for (uint32_t word = firing->next_key / 64; word < firing->capacity / 64; word++)
        while (firing->marks[word] != 0) {
            uint32_t key = word * 64 + (uint32_t)__builtin_ctzll(firing->marks[word]);
            firing->next_key = key;
            int err = fire_key(share, key, last);
            if (err != MR_OK)
                return err;
            firing->marks[word] &= firing->marks[word] - 1;
        }
    share->account.windows++;
    firing->active = firing->merged = false;
    return MR_OK;
}

int mr_share_advance(struct mr_share *share)
{
    struct mr_place *place = &share->place;
    struct mr_firing *firing = &share->firing;
    int64_t after_us = share->watermark_us;

    for (; place->definition < share->plan->config->window_count; place->definition++) {
        if (firing->active)
            after_us = firing->end_us;
        for (;;) {
            if (firing->active) {
                int err = fire_window(share);
                if (err != MR_OK)
                    return err;
            }
            if (!next_window(share, place->definition, after_us, place->advance_to_us,
                             &firing->end_us))
                break;
            firing->active = true;
            firing->definition = place->definition;
            after_us = firing->end_us;
        }
        after_us = share->watermark_us;
    }
    share->watermark_us = place->advance_to_us;
    for (uint32_t d = 0; d < share->plan->config->window_count; d++)
        expire_closed(share, d);
    for (uint32_t s = 0; s < share->slicing_count; s++)
        mr_slicing_expire(&share->slicings[s], &share->pool, share->watermark_us);
    return MR_OK;
}
