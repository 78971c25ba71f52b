#include <strings.h>

#include "local/bq_rest.h"

#define DEPTH_MAX 15 /* levels of STRUCT */

static const struct {
    const char *name;
    int32_t type;
} TYPES[] = {
    /* The first name of a type is the one written. */
    {"STRING", MR_BIGQUERY_STRING},
    {"INTEGER", MR_BIGQUERY_INT64},
    {"FLOAT", MR_BIGQUERY_DOUBLE},
    {"RECORD", MR_BIGQUERY_STRUCT},
    {"BYTES", MR_BIGQUERY_BYTES},
    {"BOOLEAN", MR_BIGQUERY_BOOL},
    {"TIMESTAMP", MR_BIGQUERY_TIMESTAMP},
    {"DATE", MR_BIGQUERY_DATE},
    {"TIME", MR_BIGQUERY_TIME},
    {"DATETIME", MR_BIGQUERY_DATETIME},
    {"GEOGRAPHY", MR_BIGQUERY_GEOGRAPHY},
    {"NUMERIC", MR_BIGQUERY_NUMERIC},
    {"BIGNUMERIC", MR_BIGQUERY_BIGNUMERIC},
    {"INTERVAL", MR_BIGQUERY_INTERVAL},
    {"JSON", MR_BIGQUERY_JSON},
    {"RANGE", MR_BIGQUERY_RANGE},
    {"INT64", MR_BIGQUERY_INT64},
    {"FLOAT64", MR_BIGQUERY_DOUBLE},
    {"STRUCT", MR_BIGQUERY_STRUCT},
    {"BOOL", MR_BIGQUERY_BOOL},
    {"DECIMAL", MR_BIGQUERY_NUMERIC},
    {"BIGDECIMAL", MR_BIGQUERY_BIGNUMERIC},
};

int32_t mr_bq_rest_type(const char *name)
{
    for (size_t i = 0; i < MR_COUNT(TYPES); i++)
        if (strcasecmp(TYPES[i].name, name) == 0)
            return TYPES[i].type;
    return 0;
}

const char *mr_bq_rest_type_name(int32_t type)
{
    for (size_t i = 0; i < MR_COUNT(TYPES); i++)
        if (TYPES[i].type == type)
            return TYPES[i].name;
    return "STRING";
}

void mr_bq_rest_rename_types(json_t *fields)
{
    size_t index;
    json_t *field;

    json_array_foreach(fields, index, field)
    {
        int32_t type = mr_bq_rest_type(mr_bq_rest_text(field, "type"));
        if (type)
            json_object_set_new(field, "type", json_string(mr_bq_rest_type_name(type)));
        mr_bq_rest_rename_types(json_object_get(field, "fields"));
    }
}

static const char *MODES[] = {"", "NULLABLE", "REQUIRED", "REPEATED"};

json_t *mr_bq_rest_fields(const struct mr_bq_column *columns, uint32_t count)
{
    json_t *fields = json_array();

    for (uint32_t i = 0; i < count; i++) {
        const struct mr_bq_column *column = &columns[i];
        json_t *field = json_pack("{ssssss}", "name", column->name, "type",
                                  mr_bq_rest_type_name(column->type), "mode", MODES[column->mode]);
        if (column->type == MR_BIGQUERY_STRUCT)
            json_object_set_new(field, "fields",
                                mr_bq_rest_fields(column->columns, column->column_count));
        json_array_append_new(fields, field);
    }
    return fields;
}

/* ---- reading ---- */

struct reader {
    struct mr_bq *store;
    struct mr_bq_heap *heap;
    const char *wrong;
};

static char *copy(struct reader *r, const char *text)
{
    return mr_bq_heap_copy(r->heap, mr_span_text(text));
}

static bool legal_name(const char *name)
{
    size_t bytes = strlen(name);
    if (bytes == 0 || bytes > 300 || strncasecmp(name, "_CHANGE_", 8) == 0)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if ((uint8_t)name[i] < 32 || strchr("!\"$()*,./;?@[\\]^`{}~", name[i]))
            return false;
    return true;
}

static struct mr_bq_column *columns_read(struct reader *r, const json_t *fields, int depth,
                                         uint32_t *count);

static void default_check(struct reader *r, const struct mr_bq_column *column)
{
    struct mr_bq_cell cell;
    bool scalar = column->type != MR_BIGQUERY_STRUCT && column->mode != MR_BIGQUERY_REPEATED;
    const char *wrong = scalar ? mr_bq_cell_of_default(r->heap, column, 0, &cell)
                               : "only scalar columns have a default here";
    if (wrong && !r->wrong)
        r->wrong = mr_bq_heap_print(r->heap, "Field %s: default value %s: %s", column->name,
                                    column->default_text, wrong);
}

static void column_read(struct reader *r, const json_t *field, int depth,
                        struct mr_bq_column *column)
{
    const char *mode = mr_bq_rest_text(field, "mode");
    const char *name = mr_bq_rest_text(field, "name");
    const char *text = mr_bq_rest_text(field, "defaultValueExpression");

    *column = (struct mr_bq_column){.name = copy(r, name),
                                    .type = mr_bq_rest_type(mr_bq_rest_text(field, "type")),
                                    .mode = *mode ? 0 : MR_BIGQUERY_NULLABLE,
                                    .max_length = mr_bq_rest_number(field, "maxLength", 0),
                                    .precision = mr_bq_rest_number(field, "precision", 0),
                                    .scale = mr_bq_rest_number(field, "scale", 0)};
    for (int i = MR_BIGQUERY_NULLABLE; i <= MR_BIGQUERY_REPEATED; i++)
        if (strcasecmp(mode, MODES[i]) == 0)
            column->mode = i;
    if (json_is_string(json_object_get(field, "description")))
        column->description = copy(r, mr_bq_rest_text(field, "description"));
    column->range_type = mr_bq_rest_type(
        mr_bq_rest_text(json_object_get(field, "rangeElementType"), "type"));
    if (column->type == MR_BIGQUERY_STRUCT)
        column->columns = columns_read(r, json_object_get(field, "fields"), depth + 1,
                                       &column->column_count);
    if (r->wrong)
        return;
    if (!legal_name(name))
        r->wrong = mr_bq_heap_print(r->heap, "Invalid field name \"%s\".", column->name);
    else if (!column->type || (column->type == MR_BIGQUERY_RANGE && !column->range_type))
        r->wrong = mr_bq_heap_print(r->heap, "Invalid value for type of field %s.", column->name);
    else if (!column->mode || column->max_length < 0 || column->precision < 0 ||
             column->scale < 0 || column->scale > column->precision)
        r->wrong = mr_bq_heap_print(r->heap, "Invalid mode or size of field %s.", column->name);
    if (*text && !r->wrong) {
        column->default_text = copy(r, text);
        default_check(r, column);
    }
}

static struct mr_bq_column *columns_read(struct reader *r, const json_t *fields, int depth,
                                         uint32_t *count)
{
    size_t found = json_array_size(fields);
    struct mr_bq_column *columns = mr_bq_heap_take(r->heap, (found + 1) * sizeof *columns);

    *count = (uint32_t)found;
    if (found > MR_BQ_COLUMNS_MAX || depth > DEPTH_MAX || (depth && !found))
        r->wrong = "A schema has 1 to 10000 fields and at most 15 levels of RECORD.";
    for (size_t i = 0; i < found && !r->wrong; i++) {
        column_read(r, json_array_get(fields, i), depth, &columns[i]);
        for (size_t j = 0; j < i && !r->wrong; j++)
            if (strcasecmp(columns[i].name, columns[j].name) == 0)
                r->wrong = mr_bq_heap_print(r->heap, "Duplicate field name %s.", columns[i].name);
    }
    return columns;
}

static void keys_read(struct reader *r, const json_t *names, struct mr_bq_table_plan *plan)
{
    size_t index;
    json_t *name;

    if (json_array_size(names) > MR_BQ_KEYS_MAX)
        r->wrong = "A primary key has at most 16 columns.";
    json_array_foreach(names, index, name)
    {
        uint32_t i = 0;
        while (i < plan->column_count && json_is_string(name) &&
               strcasecmp(plan->columns[i].name, json_string_value(name)) != 0)
            i++;
        if (r->wrong || !json_is_string(name) || i == plan->column_count ||
            plan->columns[i].mode == MR_BIGQUERY_REPEATED ||
            plan->columns[i].type == MR_BIGQUERY_STRUCT) {
            r->wrong = r->wrong ? r->wrong : "The primary key names no column that can be one.";
            return;
        }
        plan->keys[plan->key_count++] = i;
    }
}

static void view_read(struct reader *r, const json_t *resource, struct mr_bq_table_plan *plan)
{
    const json_t *view = json_object_get(resource, "view");
    const json_t *reference = json_object_get(resource, "tableReference");
    bool missing;

    if (!view)
        return;
    if (!json_is_false(json_object_get(view, "useLegacySql"))) {
        r->wrong = "Views are GoogleSQL here: say \"useLegacySql\": false.";
        return;
    }
    plan->view = mr_bq_sql_translate(r->store, mr_span_text(mr_bq_rest_text(view, "query")),
                                     mr_bq_rest_text(reference, "projectId"), NULL, 0, &r->wrong,
                                     &missing);
}

const char *mr_bq_rest_plan(struct mr_bq *store, const char *resource,
                            struct mr_bq_table_plan *plan)
{
    struct reader r = {.store = store, .heap = &store->heap};
    json_t *json = mr_bq_rest_parse(mr_span_text(resource));
    const json_t *constraints = json_object_get(json, "tableConstraints");

    *plan = (struct mr_bq_table_plan){.resource = resource};
    plan->columns = columns_read(&r, json_object_get(json_object_get(json, "schema"), "fields"), 0,
                                 &plan->column_count);
    if (!r.wrong)
        keys_read(&r, json_object_get(json_object_get(constraints, "primaryKey"), "columns"), plan);
    if (!r.wrong)
        view_read(&r, json, plan);
    if (!r.wrong && !plan->view && plan->column_count == 0)
        r.wrong = "A table needs a schema with at least one field.";
    json_decref(json);
    return r.wrong;
}
