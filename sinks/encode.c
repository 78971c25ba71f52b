#include "sinks/encode.h"

#include <stdio.h>

#include "core/key.h"
#include "core/text.h"
#include "sinks/aggregate.h"

static const char *const timings[] = {
    [MR_EARLY] = "early", [MR_ON_TIME] = "on_time", [MR_LATE] = "late"};

/* ---- columns ---- */

struct fixed {
    const char *name;
    enum mr_bigquery_type type;
};

static const struct fixed before[] = {
    {"window", MR_BIGQUERY_STRING},
    {"window_start", MR_BIGQUERY_TIMESTAMP},
    {"window_end", MR_BIGQUERY_TIMESTAMP},
};

static const struct fixed after[] = {
    {"timing", MR_BIGQUERY_STRING},   {"index", MR_BIGQUERY_INT64},
    {"is_first", MR_BIGQUERY_BOOL},   {"is_last", MR_BIGQUERY_BOOL},
    {"instance", MR_BIGQUERY_STRING}, {"lineage", MR_BIGQUERY_INT64},
    {"share", MR_BIGQUERY_INT64},     {"emitted_at", MR_BIGQUERY_TIMESTAMP},
};

_Static_assert(MR_COUNT(before) + MR_COUNT(after) <=
                   MR_ROW_COLUMNS_MAX - MR_GROUP_FIELDS_MAX - MR_AGGREGATES_MAX,
               "all columns have room");

static struct mr_row_column *put_fixed(struct mr_row_column *column, const struct fixed *fixed,
                                       size_t count)
{
    for (size_t i = 0; i < count; i++, column++) {
        snprintf(column->name, sizeof column->name, "%s", fixed[i].name);
        column->type = fixed[i].type;
        column->mode = MR_BIGQUERY_REQUIRED;
    }
    return column;
}

static enum mr_bigquery_type group_type(enum mr_type type)
{
    switch (type) {
    case MR_TYPE_INT:
        return MR_BIGQUERY_INT64;
    case MR_TYPE_BOOL:
        return MR_BIGQUERY_BOOL;
    default:
        return MR_BIGQUERY_STRING;
    }
}

static enum mr_bigquery_type aggregate_type(const struct mr_plan *plan,
                                            const struct mr_aggregate *aggregate)
{
    if (aggregate->kind == MR_COUNT_OF)
        return MR_BIGQUERY_INT64;
    bool whole = plan->config->decode.fields[aggregate->field].type == MR_TYPE_INT;
    bool fits = aggregate->kind == MR_MIN_OF || aggregate->kind == MR_MAX_OF;
    return whole && fits ? MR_BIGQUERY_INT64 : MR_BIGQUERY_NUMERIC;
}

uint32_t mr_row_columns(const struct mr_plan *plan, uint32_t definition,
                        struct mr_row_column *columns)
{
    const struct mr_grouping *grouping = &plan->groupings[plan->grouping_of[definition]];
    const struct mr_window *window = &plan->config->windows[definition];
    const struct mr_field *fields = plan->config->decode.fields;
    struct mr_row_column *at = put_fixed(columns, before, MR_COUNT(before));

    for (uint32_t i = 0; i < grouping->field_count; i++, at++) {
        const struct mr_field *field = &fields[grouping->fields[i]];
        snprintf(at->name, sizeof at->name, "%s", field->name);
        at->type = group_type(field->type);
        at->mode = MR_BIGQUERY_NULLABLE;
    }
    for (uint32_t a = 0; a < window->aggregate_count; a++, at++) {
        const struct mr_aggregate *aggregate = &window->aggregates[a];
        bool count = aggregate->kind == MR_COUNT_OF;
        snprintf(at->name, sizeof at->name, "%s%s%s", count ? "" : fields[aggregate->field].name,
                 count ? "" : "_", mr_aggregate_name(aggregate->kind));
        at->type = aggregate_type(plan, aggregate);
        at->mode = count ? MR_BIGQUERY_REQUIRED : MR_BIGQUERY_NULLABLE;
    }
    at = put_fixed(at, after, MR_COUNT(after));
    return (uint32_t)(at - columns);
}

static int32_t proto_type(enum mr_bigquery_type type)
{
    switch (type) {
    case MR_BIGQUERY_STRING:
        return MR_PROTO_STRING;
    case MR_BIGQUERY_BOOL:
        return MR_PROTO_BOOL;
    case MR_BIGQUERY_NUMERIC:
        return MR_PROTO_BYTES;
    default: /* INT64, TIMESTAMP */
        return MR_PROTO_INT64;
    }
}

void mr_row_descriptor_put(struct mr_pen *pen, const struct mr_plan *plan, uint32_t definition)
{
    struct mr_row_column columns[MR_ROW_COLUMNS_MAX];
    struct mr_bigquery_field fields[MR_ROW_COLUMNS_MAX];
    struct mr_bigquery_message root = {.name = mr_span_text("window_row"),
                                       .parent = MR_BIGQUERY_NO_MESSAGE};
    struct mr_bigquery_descriptor descriptor = {
        .messages = &root, .message_count = 1, .fields = fields};

    root.field_count = descriptor.field_count = mr_row_columns(plan, definition, columns);
    for (uint32_t i = 0; i < root.field_count; i++)
        fields[i] = (struct mr_bigquery_field){
            .name = mr_span_text(columns[i].name),
            .number = i + 1,
            .label = columns[i].mode == MR_BIGQUERY_REQUIRED ? MR_PROTO_REQUIRED
                                                             : MR_PROTO_OPTIONAL,
            .type = proto_type(columns[i].type),
        };
    mr_bigquery_descriptor_put(pen, &descriptor);
}

/* ---- the row ---- */

int mr_numeric_of(mr_i128 number, uint32_t scale, mr_i128 *scaled)
{
    const mr_i128 limit = (mr_i128)(~(mr_u128)0 >> 1);
    uint64_t power = 1;

    for (uint32_t i = scale; i != MR_NUMERIC_SCALE; i += i < MR_NUMERIC_SCALE ? 1 : -1u)
        power *= 10;
    if (scale > MR_NUMERIC_SCALE)
        *scaled = mr_divide_rounded(number, power);
    else if (number > limit / power || number < -(limit / power))
        return MR_E_WIRE_RANGE;
    else
        *scaled = number * power;
    return MR_OK;
}

static void put_numeric(struct mr_pen *pen, uint32_t number, const struct mr_result *result)
{
    uint8_t bytes[MR_NUMERIC_BYTES_MAX];
    mr_i128 scaled;
    int count = mr_numeric_of(result->number, result->scale, &scaled);

    if (count == MR_OK)
        count = mr_numeric_encode(bytes, scaled);
    if (count < 0)
        mr_pen_fail(pen, count);
    else
        mr_pb_put_bytes(pen, number, mr_span_of(bytes, (size_t)count));
}

static uint32_t put_groups(struct mr_pen *pen, uint32_t number, const struct mr_grouping *grouping,
                           struct mr_row *row)
{
    const uint8_t *key = mr_row_key(row, grouping->cell.bytes);

    for (uint32_t i = 0; i < grouping->field_count; i++, number++) {
        struct mr_key_value value;
        key = mr_key_get(key, &value);
        if (value.tag == MR_KEY_STRING)
            mr_pb_put_bytes(pen, number, value.text);
        else if (value.tag == MR_KEY_INT)
            mr_pb_put_int(pen, number, value.number);
        else if (value.tag != MR_KEY_ABSENT)
            mr_pb_put_int(pen, number, value.tag == MR_KEY_TRUE);
    }
    return number;
}

static uint32_t put_aggregates(struct mr_pen *pen, uint32_t number, const struct mr_plan *plan,
                               struct mr_row *row)
{
    const struct mr_window *window = &plan->config->windows[row->definition];

    for (uint32_t a = 0; a < window->aggregate_count; a++, number++) {
        const struct mr_aggregate *aggregate = &window->aggregates[a];
        struct mr_result result = mr_aggregate_result(plan, row->definition, aggregate,
                                                      mr_row_cell(row));
        if (result.null)
            continue;
        if (aggregate_type(plan, aggregate) == MR_BIGQUERY_INT64)
            mr_pb_put_int(pen, number, (int64_t)result.number);
        else
            put_numeric(pen, number, &result);
    }
    return number;
}

void mr_row_encode(struct mr_pen *pen, const struct mr_plan *plan, struct mr_row *row,
                   const struct mr_row_origin *origin)
{
    const struct mr_grouping *grouping = &plan->groupings[plan->grouping_of[row->definition]];
    uint32_t number = 1;

    mr_pb_put_bytes(pen, number++, mr_span_text(plan->config->windows[row->definition].name));
    mr_pb_put_int(pen, number++, row->window_start_us);
    mr_pb_put_int(pen, number++, row->window_end_us);
    number = put_groups(pen, number, grouping, row);
    number = put_aggregates(pen, number, plan, row);
    mr_pb_put_bytes(pen, number++, mr_span_text(timings[row->timing]));
    mr_pb_put_int(pen, number++, row->index);
    mr_pb_put_int(pen, number++, (row->flags & MR_ROW_FIRST) != 0);
    mr_pb_put_int(pen, number++, (row->flags & MR_ROW_LAST) != 0);
    mr_pb_put_bytes(pen, number++, origin->instance);
    mr_pb_put_int(pen, number++, origin->lineage);
    mr_pb_put_int(pen, number++, origin->share);
    mr_pb_put_int(pen, number++, origin->emitted_us);
}
