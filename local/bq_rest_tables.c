#include <strings.h>

#include "local/bq_rest.h"

static struct mr_span part(const struct mr_bq_rest *rest, uint32_t index)
{
    return mr_span_text(rest->parts[index]);
}

static bool method_is(const struct mr_bq_rest *rest, const char *method)
{
    return mr_span_equal(rest->request->method, mr_span_text(method));
}

/* Letters, digits and underscores; tables dashes and spaces too. `$` and `.` are never legal, so
 * our own names in SQLite meet none of theirs. */
static bool legal_id(const char *id, bool table)
{
    size_t bytes = strlen(id);
    for (size_t i = 0; i < bytes; i++) {
        uint8_t c = (uint8_t)id[i];
        bool word = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_';
        if (!word && !(table && (c == '-' || c == ' ' || c >= 128)))
            return false;
    }
    return bytes > 0 && bytes <= 1024;
}

/* The page [*first, *last) of `count` items that the parameters ask for; sets nextPageToken. */
static void page_of(struct mr_bq_rest *rest, json_t *out, uint32_t count, uint32_t *first,
                    uint32_t *last)
{
    int64_t size = mr_bq_rest_parameter_number(rest, "maxResults", 1000);
    int64_t start = mr_bq_rest_parameter_number(rest, "pageToken", 0);

    *first = (uint32_t)MR_MIN(MR_MAX(start, 0), (int64_t)count);
    *last = (uint32_t)MR_MIN(*first + MR_MAX(size, 1), (int64_t)count);
    if (*last < count)
        mr_bq_rest_set_number(out, "nextPageToken", *last);
}

/* ---- datasets ---- */

static json_t *dataset_json(struct mr_bq_rest *rest, const struct mr_bq_dataset *dataset)
{
    json_t *json = mr_bq_rest_parse(mr_span_text(dataset->resource));
    if (!json_is_object(json)) {
        json_decref(json);
        json = json_object();
    }
    json_object_set_new(json, "kind", json_string("bigquery#dataset"));
    json_object_set_new(json, "id", json_sprintf("%s:%s", dataset->project, dataset->name));
    json_object_set_new(
        json, "datasetReference",
        json_pack("{ssss}", "projectId", dataset->project, "datasetId", dataset->name));
    if (!json_object_get(json, "location"))
        json_object_set_new(json, "location", json_string(rest->store->options.location));
    return json;
}

static void dataset_insert(struct mr_bq_rest *rest)
{
    const json_t *reference = json_object_get(rest->body, "datasetReference");
    const char *id = mr_bq_rest_text(reference, "datasetId");

    if (!legal_id(id, false)) {
        mr_bq_rest_error(rest, 400, "invalid", "Invalid dataset ID \"%s\".", id);
        return;
    }
    if (mr_bq_dataset_find(rest->store, part(rest, 1), mr_span_text(id))) {
        mr_bq_rest_error(rest, 409, "duplicate", "Already Exists: Dataset %s:%s", rest->parts[1],
                         id);
        return;
    }
    const char *resource = (const char *)mr_bq_rest_dump(rest->store, rest->body).data;
    if (mr_bq_dataset_create(rest->store, part(rest, 1), mr_span_text(id), resource) != MR_OK)
        mr_bq_rest_broken(rest, 500, "internalError");
    else
        mr_bq_rest_reply(
            rest, 200,
            dataset_json(rest, mr_bq_dataset_find(rest->store, part(rest, 1), mr_span_text(id))));
}

static void dataset_list(struct mr_bq_rest *rest)
{
    json_t *out = json_pack("{ss}", "kind", "bigquery#datasetList"), *list = json_array();
    uint32_t count = 0, first, last, index = 0;

    for (struct mr_bq_dataset *d = rest->store->datasets; d; d = d->next)
        count += strcmp(d->project, rest->parts[1]) == 0;
    page_of(rest, out, count, &first, &last);
    for (struct mr_bq_dataset *d = rest->store->datasets; d; d = d->next) {
        if (strcmp(d->project, rest->parts[1]) != 0)
            continue;
        if (index >= first && index < last)
            json_array_append_new(list, dataset_json(rest, d));
        index++;
    }
    json_object_set_new(out, "datasets", list);
    mr_bq_rest_reply(rest, 200, out);
}

static void dataset_delete(struct mr_bq_rest *rest, struct mr_bq_dataset *dataset)
{
    struct mr_bq *store = rest->store;
    const char *contents = mr_bq_rest_parameter(rest, "deleteContents");
    bool all = contents && strcmp(contents, "true") == 0;
    int err = MR_OK;

    for (struct mr_bq_table *table = store->tables, *next; err == MR_OK && table; table = next) {
        next = table->next;
        if (strcmp(table->dataset, dataset->name) != 0 ||
            strcmp(table->project, dataset->project) != 0)
            continue;
        if (!all) {
            mr_bq_rest_error(rest, 400, "resourceInUse", "Dataset %s:%s is still in use",
                             dataset->project, dataset->name);
            return;
        }
        err = mr_bq_table_delete(table);
    }
    if (err == MR_OK)
        err = mr_bq_commit(store);
    if (err == MR_OK)
        err = mr_bq_dataset_delete(store, dataset);
    if (err == MR_OK)
        mr_bq_rest_reply(rest, 204, NULL);
    else
        mr_bq_rest_broken(rest, 500, "internalError");
}

static struct mr_bq_dataset *dataset_of(struct mr_bq_rest *rest)
{
    struct mr_bq_dataset *dataset = mr_bq_dataset_find(rest->store, part(rest, 1), part(rest, 3));
    if (!dataset)
        mr_bq_rest_error(rest, 404, "notFound", "Not found: Dataset %s:%s", rest->parts[1],
                         rest->parts[3]);
    return dataset;
}

void mr_bq_rest_datasets(struct mr_bq_rest *rest)
{
    if (rest->part_count == 3) {
        if (method_is(rest, "POST"))
            dataset_insert(rest);
        else if (method_is(rest, "GET"))
            dataset_list(rest);
        else
            mr_bq_rest_error(rest, 404, "notFound", "No such method here.");
        return;
    }
    struct mr_bq_dataset *dataset = dataset_of(rest);
    if (!dataset)
        return;
    if (method_is(rest, "GET"))
        mr_bq_rest_reply(rest, 200, dataset_json(rest, dataset));
    else if (method_is(rest, "DELETE"))
        dataset_delete(rest, dataset);
    else
        mr_bq_rest_error(rest, 404, "notFound", "No such method here.");
}

/* ---- tables ---- */

struct mr_bq_table *mr_bq_rest_table(struct mr_bq_rest *rest)
{
    struct mr_bq_table *table = mr_bq_table_find(rest->store, part(rest, 1), part(rest, 3),
                                                 part(rest, 5));
    if (!table)
        mr_bq_rest_error(rest, 404, "notFound", "Not found: Table %s:%s.%s", rest->parts[1],
                         rest->parts[3], rest->parts[5]);
    return table;
}

static const char *etag_of(const struct mr_bq_table *table)
{
    return mr_bq_heap_print(&table->store->heap, "%lld-%llu-%lld", (long long)table->id,
                            (unsigned long long)table->version, (long long)table->modified_us);
}

static void reference_set(json_t *json, const struct mr_bq_table *table)
{
    json_object_set_new(json, "id",
                        json_sprintf("%s:%s.%s", table->project, table->dataset, table->name));
    json_object_set_new(json, "tableReference",
                        json_pack("{ssssss}", "projectId", table->project, "datasetId",
                                  table->dataset, "tableId", table->name));
    json_object_set_new(json, "type", json_string(table->view ? "VIEW" : "TABLE"));
}

static int64_t rows_of(struct mr_bq_table *table)
{
    sqlite3_stmt *count = mr_bq_prepare(table->store, "select count(*) from %s",
                                        mr_bq_quote(table->store, table->sql_name, ""));
    int64_t rows = 0;

    if (count && sqlite3_step(count) == SQLITE_ROW)
        rows = sqlite3_column_int64(count, 0);
    sqlite3_finalize(count);
    return rows;
}

static json_t *view_schema(struct mr_bq_table *table)
{
    sqlite3_stmt *row = mr_bq_prepare(table->store, "select * from %s limit 1",
                                      mr_bq_quote(table->store, table->sql_name, ""));
    json_t *schema = NULL;

    if (row) {
        sqlite3_step(row);
        schema = json_pack("{so}", "fields",
                           mr_bq_rest_fields(mr_bq_rest_columns(table->store, row),
                                             (uint32_t)sqlite3_column_count(row)));
    }
    sqlite3_finalize(row);
    return schema;
}

static json_t *table_json(struct mr_bq_rest *rest, struct mr_bq_table *table)
{
    json_t *json = mr_bq_rest_parse(mr_span_text(table->resource));

    reference_set(json, table);
    mr_bq_rest_rename_types(json_object_get(json_object_get(json, "schema"), "fields"));
    json_object_set_new(json, "kind", json_string("bigquery#table"));
    json_object_set_new(json, "etag", json_string(etag_of(table)));
    json_object_set_new(json, "location", json_string(rest->store->options.location));
    mr_bq_rest_set_number(json, "creationTime", table->create_us / 1000);
    mr_bq_rest_set_number(json, "lastModifiedTime", table->modified_us / 1000);
    if (!table->view) {
        mr_bq_rest_set_number(json, "numRows", rows_of(table));
        mr_bq_rest_set_number(json, "numBytes", 0);
    } else if (!json_object_get(json, "schema")) {
        json_object_set_new(json, "schema", view_schema(table));
    }
    return json;
}

static void table_insert(struct mr_bq_rest *rest)
{
    struct mr_bq *store = rest->store;
    json_t *reference = json_object_get(rest->body, "tableReference");
    const char *id = mr_bq_rest_text(reference, "tableId");
    struct mr_bq_table_plan plan;
    struct mr_bq_table *table;

    if (!legal_id(id, true)) {
        mr_bq_rest_error(rest, 400, "invalid", "Invalid table ID \"%s\".", id);
        return;
    }
    for (table = store->tables; table; table = table->next)
        if (strcasecmp(table->sql_name, mr_bq_table_sql_name(store, part(rest, 1), part(rest, 3),
                                                             mr_span_text(id))) == 0)
            break;
    if (table) {
        mr_bq_rest_error(rest, 409, "duplicate", "Already Exists: Table %s:%s.%s", rest->parts[1],
                         rest->parts[3], id);
        return;
    }
    json_object_set_new(reference, "projectId", json_string(rest->parts[1]));
    json_object_set_new(reference, "datasetId", json_string(rest->parts[3]));
    const char *resource = (const char *)mr_bq_rest_dump(store, rest->body).data;
    const char *wrong = mr_bq_rest_plan(store, resource, &plan);
    if (wrong)
        mr_bq_rest_error(rest, 400, "invalid", "%s", wrong);
    else if (mr_bq_table_create(store, part(rest, 1), part(rest, 3), mr_span_text(id), &plan,
                                rest->now_us, &table) != MR_OK)
        mr_bq_rest_broken(rest, 400, "invalid");
    else
        mr_bq_rest_reply(rest, 200, table_json(rest, table));
}

static bool is_in(const struct mr_bq_rest *rest, const struct mr_bq_table *table)
{
    return strcmp(table->project, rest->parts[1]) == 0 &&
           strcmp(table->dataset, rest->parts[3]) == 0;
}

static void table_list(struct mr_bq_rest *rest)
{
    json_t *out = json_pack("{ss}", "kind", "bigquery#tableList"), *list = json_array();
    uint32_t count = 0, first, last, index = 0;

    for (struct mr_bq_table *t = rest->store->tables; t; t = t->next)
        count += is_in(rest, t);
    page_of(rest, out, count, &first, &last);
    for (struct mr_bq_table *t = rest->store->tables; t; t = t->next) {
        if (!is_in(rest, t))
            continue;
        if (index >= first && index < last) {
            json_t *item = json_object();
            reference_set(item, t);
            json_array_append_new(list, item);
        }
        index++;
    }
    json_object_set_new(out, "tables", list);
    json_object_set_new(out, "totalItems", json_integer(count));
    mr_bq_rest_reply(rest, 200, out);
}

/* What may become of a column: NULL, or what may not. */
static const char *column_change(struct mr_bq *store, const struct mr_bq_column *old,
                                 const struct mr_bq_column *column)
{
    bool relaxed = old->mode == MR_BIGQUERY_REQUIRED && column->mode == MR_BIGQUERY_NULLABLE;

    if (strcasecmp(old->name, column->name) == 0 && old->type == column->type &&
        (old->mode == column->mode || relaxed))
        return NULL;
    return mr_bq_heap_print(&store->heap,
                            "Provided Schema does not match Table: field %s changed its name, "
                            "type or mode, moved or is missing in the new schema.",
                            old->name);
}

static const char *plan_check(struct mr_bq_table *table, const struct mr_bq_table_plan *plan)
{
    const char *wrong = NULL;

    if (table->view != (plan->view != NULL))
        return "A table stays a table and a view a view.";
    if (table->view)
        return NULL;
    if (plan->column_count < table->column_count)
        return "Provided Schema does not match Table: a field is missing in the new schema.";
    for (uint32_t i = 0; !wrong && i < table->column_count; i++)
        wrong = column_change(table->store, &table->columns[i], &plan->columns[i]);
    for (uint32_t i = table->column_count; !wrong && i < plan->column_count; i++)
        if (plan->columns[i].mode == MR_BIGQUERY_REQUIRED)
            wrong = "Provided Schema does not match Table: an added field cannot be REQUIRED.";
    return wrong;
}

/* PATCH merges member by member, null removes; PUT replaces. */
static void table_change(struct mr_bq_rest *rest, struct mr_bq_table *table, bool merge)
{
    struct mr_span match = rest->request->if_match;
    struct mr_bq_table_plan plan;
    const char *name;
    json_t *value;

    if (match.bytes && !mr_span_equal(match, mr_span_text("*")) &&
        !mr_span_equal(match, mr_span_text(etag_of(table)))) {
        mr_bq_rest_error(rest, 412, "conditionNotMet", "The table has changed since.");
        return;
    }
    json_t *json = merge ? mr_bq_rest_parse(mr_span_text(table->resource)) : json_object();
    json_object_foreach(rest->body, name, value)
    {
        if (json_is_null(value))
            json_object_del(json, name);
        else
            json_object_set(json, name, value);
    }
    reference_set(json, table);
    const char *resource = (const char *)mr_bq_rest_dump(rest->store, json).data;
    json_decref(json);
    const char *wrong = mr_bq_rest_plan(rest->store, resource, &plan);
    if (!wrong)
        wrong = plan_check(table, &plan);
    if (wrong) {
        mr_bq_rest_error(rest, 400, "invalid", "%s", wrong);
        return;
    }
    if (mr_bq_table_change(table, &plan, rest->now_us) != MR_OK)
        mr_bq_rest_broken(rest, 400, "invalid");
    else
        mr_bq_rest_reply(rest, 200, table_json(rest, table));
}

static void table_one(struct mr_bq_rest *rest)
{
    struct mr_bq_table *table = mr_bq_rest_table(rest);

    if (!table)
        return;
    if (method_is(rest, "GET")) {
        mr_bq_rest_reply(rest, 200, table_json(rest, table));
    } else if (method_is(rest, "PATCH") || method_is(rest, "PUT")) {
        table_change(rest, table, method_is(rest, "PATCH"));
    } else if (method_is(rest, "DELETE")) {
        if (mr_bq_table_delete(table) == MR_OK)
            mr_bq_rest_reply(rest, 204, NULL);
        else
            mr_bq_rest_broken(rest, 500, "internalError");
    } else {
        mr_bq_rest_error(rest, 404, "notFound", "No such method here.");
    }
}

void mr_bq_rest_tables(struct mr_bq_rest *rest)
{
    if (!dataset_of(rest))
        return;
    if (rest->part_count == 6)
        table_one(rest);
    else if (method_is(rest, "POST"))
        table_insert(rest);
    else if (method_is(rest, "GET"))
        table_list(rest);
    else
        mr_bq_rest_error(rest, 404, "notFound", "No such method here.");
}
