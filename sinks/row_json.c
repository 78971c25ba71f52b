#include "sinks/row_json.h"

#include "core/key.h"
#include "core/text.h"
#include "sinks/aggregate.h"

#define FIXED_BYTES_MAX 512 /* braces, fixed names, times, index and flags */

static const char *const timings[] = {
    [MR_EARLY] = "early", [MR_ON_TIME] = "on_time", [MR_LATE] = "late"};

/* Inline, so that the length of a literal is known when this is compiled. */
static inline char *put(char *at, const char *text)
{
    size_t bytes = strlen(text);

    memcpy(at, text, bytes);
    return at + bytes;
}

size_t mr_row_json_bytes_max(const struct mr_plan *plan, const struct mr_row *row)
{
    const struct mr_config *config = plan->config;
    const struct mr_window *window = &config->windows[row->definition];
    size_t bytes = FIXED_BYTES_MAX + MR_TEXT_STRING_MAX(strlen(window->name)) +
                   MR_TEXT_STRING_MAX((size_t)row->key_bytes);

    for (uint32_t i = 0; i < window->group_count; i++)
        bytes += MR_TEXT_STRING_MAX(strlen(config->decode.fields[window->group_by[i]].name)) +
                 MR_TEXT_INT_MAX + 4;
    for (uint32_t a = 0; a < window->aggregate_count; a++)
        bytes += strlen(config->decode.fields[window->aggregates[a].field].name) * 6 +
                 MR_TEXT_INT_MAX + 12;
    return bytes;
}

static char *put_key_value(char *at, const struct mr_key_value *value)
{
    switch (value->tag) {
    case MR_KEY_STRING:
        return mr_text_put_json(at, value->text);
    case MR_KEY_INT:
        return mr_text_put_decimal(at, value->number, 0);
    case MR_KEY_FALSE:
        return put(at, "false");
    case MR_KEY_TRUE:
        return put(at, "true");
    default:
        return put(at, "null");
    }
}

static char *put_groups(char *at, const struct mr_plan *plan, struct mr_row *row)
{
    const struct mr_grouping *grouping = &plan->groupings[plan->grouping_of[row->definition]];
    const uint8_t *key = mr_row_key(row, grouping->cell.bytes);

    for (uint32_t i = 0; i < grouping->field_count; i++) {
        struct mr_key_value value;
        key = mr_key_get(key, &value);
        *at++ = ',';
        at = mr_text_put_json(at,
                              mr_span_text(plan->config->decode.fields[grouping->fields[i]].name));
        *at++ = ':';
        at = put_key_value(at, &value);
    }
    return at;
}

static char *put_aggregates(char *at, const struct mr_plan *plan, struct mr_row *row)
{
    const struct mr_window *window = &plan->config->windows[row->definition];

    for (uint32_t a = 0; a < window->aggregate_count; a++) {
        const struct mr_aggregate *aggregate = &window->aggregates[a];
        at = put(at, ",\"");
        if (aggregate->kind != MR_COUNT_OF) {
            at = put(at, plan->config->decode.fields[aggregate->field].name);
            *at++ = '_';
        }
        at = put(at, mr_aggregate_name(aggregate->kind));
        at = put(at, "\":");
        struct mr_result result = mr_aggregate_result(plan, row->definition, aggregate,
                                                      mr_row_cell(row));
        at = result.null ? put(at, "null") : mr_text_put_decimal(at, result.number, result.scale);
    }
    return at;
}

char *mr_row_json_put(char *at, const struct mr_plan *plan, struct mr_row *row)
{
    at = put(at, "{\"window\":");
    at = mr_text_put_json(at, mr_span_text(plan->config->windows[row->definition].name));
    at = put(at, ",\"window_start\":\"");
    at = mr_text_put_time(at, row->window_start_us);
    at = put(at, "\",\"window_end\":\"");
    at = mr_text_put_time(at, row->window_end_us);
    *at++ = '"';
    at = put_groups(at, plan, row);
    at = put_aggregates(at, plan, row);
    at = put(at, ",\"timing\":\"");
    at = put(at, timings[row->timing]);
    at = put(at, "\",\"index\":");
    at = mr_text_put_u64(at, row->index);
    at = put(at, row->flags & MR_ROW_FIRST ? ",\"is_first\":true" : ",\"is_first\":false");
    return put(at, row->flags & MR_ROW_LAST ? ",\"is_last\":true}\n" : ",\"is_last\":false}\n");
}
