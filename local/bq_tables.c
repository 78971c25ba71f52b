#include <stdlib.h>

#include "local/bq_state.h"

static bool text_is(const char *text, struct mr_span span)
{
    return mr_span_equal(mr_span_text(text), span);
}

static char *text_copy(struct mr_span span)
{
    char *text = malloc(span.bytes + 1);
    MR_ASSERT(text);
    if (span.bytes)
        memcpy(text, span.data, span.bytes);
    text[span.bytes] = 0;
    return text;
}

/* Affinity that leaves a value as it was bound. Source: SQLite "Datatypes", 3.1. */
static const char *sql_type(const struct mr_bq_column *column)
{
    if (column->mode == MR_BIGQUERY_REPEATED)
        return "TEXT";
    switch (column->type) {
    case MR_BIGQUERY_INT64:
    case MR_BIGQUERY_BOOL:
        return "INTEGER";
    case MR_BIGQUERY_DOUBLE:
        return "REAL";
    case MR_BIGQUERY_BYTES:
        return "BLOB";
    case MR_BIGQUERY_NUMERIC:
    case MR_BIGQUERY_BIGNUMERIC:
        return "";
    default:
        return "TEXT";
    }
}

/* ---- datasets ---- */

struct mr_bq_dataset *mr_bq_dataset_find(struct mr_bq *store, struct mr_span project,
                                         struct mr_span name)
{
    struct mr_bq_dataset *dataset = store->datasets;
    while (dataset && !(text_is(dataset->name, name) && text_is(dataset->project, project)))
        dataset = dataset->next;
    return dataset;
}

static void dataset_add(struct mr_bq *store, struct mr_span project, struct mr_span name,
                        const char *resource)
{
    struct mr_bq_dataset **last = &store->datasets;
    struct mr_bq_dataset *dataset = calloc(1, sizeof *dataset);
    MR_ASSERT(dataset);

    dataset->project = text_copy(project);
    dataset->name = text_copy(name);
    dataset->resource = text_copy(mr_span_text(resource));
    while (*last)
        last = &(*last)->next;
    *last = dataset;
}

void mr_bq_dataset_forget(struct mr_bq_dataset *dataset)
{
    free(dataset->project);
    free(dataset->name);
    free(dataset->resource);
    free(dataset);
}

int mr_bq_dataset_create(struct mr_bq *store, struct mr_span project, struct mr_span name,
                         const char *resource)
{
    const char *p = mr_bq_heap_copy(&store->heap, project);
    const char *n = mr_bq_heap_copy(&store->heap, name);
    int err = mr_bq_commit(store);

    if (err == MR_OK && !store->home) {
        err = mr_bq_sql(store, "insert into \"$meta\" values('home project', %Q)", p);
        store->home = text_copy(project);
    }
    if (err == MR_OK)
        err = mr_bq_sql(store, "insert into \"$datasets\" values(%Q, %Q, %Q)", p, n, resource);
    if (err == MR_OK)
        dataset_add(store, project, name, resource);
    return err;
}

int mr_bq_dataset_delete(struct mr_bq *store, struct mr_bq_dataset *dataset)
{
    struct mr_bq_dataset **at = &store->datasets;
    int err = mr_bq_sql(store, "delete from \"$datasets\" where project=%Q and dataset=%Q",
                        dataset->project, dataset->name);
    if (err != MR_OK)
        return err;
    while (*at != dataset)
        at = &(*at)->next;
    *at = dataset->next;
    mr_bq_dataset_forget(dataset);
    return MR_OK;
}

/* ---- tables in memory ---- */

struct mr_bq_table *mr_bq_table_find(struct mr_bq *store, struct mr_span project,
                                     struct mr_span dataset, struct mr_span name)
{
    struct mr_bq_table *table = store->tables;
    while (table && !(text_is(table->name, name) && text_is(table->dataset, dataset) &&
                      text_is(table->project, project)))
        table = table->next;
    return table;
}

static const char *copy_or_null(struct mr_texts *texts, const char *text)
{
    return text ? mr_texts_copy(texts, text, strlen(text)) : NULL;
}

static struct mr_bq_column *columns_copy(struct mr_texts *texts, const struct mr_bq_column *from,
                                         uint32_t count)
{
    struct mr_bq_column *columns = mr_texts_take(texts, (count + 1) * sizeof *columns);

    for (uint32_t i = 0; i < count; i++) {
        columns[i] = from[i];
        columns[i].name = copy_or_null(texts, from[i].name);
        columns[i].default_text = copy_or_null(texts, from[i].default_text);
        columns[i].description = copy_or_null(texts, from[i].description);
        columns[i].columns = columns_copy(texts, from[i].columns, from[i].column_count);
    }
    return columns;
}

static void table_plan_take(struct mr_bq_table *table, const struct mr_bq_table_plan *plan)
{
    char *resource = text_copy(mr_span_text(plan->resource));

    free(table->resource);
    table->resource = resource;
    table->columns = columns_copy(&table->texts, plan->columns, plan->column_count);
    table->column_count = plan->column_count;
    memcpy(table->keys, plan->keys, sizeof table->keys);
    table->key_count = plan->key_count;
    table->view = plan->view != NULL;
}

static struct mr_bq_table *table_add(struct mr_bq *store, const char *project, const char *dataset,
                                     const char *name, const char *sql_name)
{
    struct mr_bq_table **last = &store->tables;
    struct mr_bq_table *table = calloc(1, sizeof *table);
    MR_ASSERT(table);

    table->store = store;
    table->project = mr_texts_copy(&table->texts, project, strlen(project));
    table->dataset = mr_texts_copy(&table->texts, dataset, strlen(dataset));
    table->name = mr_texts_copy(&table->texts, name, strlen(name));
    table->sql_name = mr_texts_copy(&table->texts, sql_name, strlen(sql_name));
    while (*last)
        last = &(*last)->next;
    *last = table;
    return table;
}

void mr_bq_table_forget(struct mr_bq_table *table)
{
    mr_bq_statements_drop(table);
    mr_texts_finish(&table->texts);
    free(table->resource);
    free(table);
}

char *mr_bq_table_sql_name(struct mr_bq *store, struct mr_span project, struct mr_span dataset,
                           struct mr_span name)
{
    const char *d = mr_bq_heap_copy(&store->heap, dataset);
    const char *n = mr_bq_heap_copy(&store->heap, name);

    if (store->home && text_is(store->home, project))
        return mr_bq_heap_print(&store->heap, "%s.%s", d, n);
    return mr_bq_heap_print(&store->heap, "%s.%s.%s", mr_bq_heap_copy(&store->heap, project), d, n);
}

/* ---- tables in SQLite ---- */

/* "a" INTEGER, "b" TEXT, ...; `first` and on. */
static const char *columns_sql(struct mr_bq *store, const struct mr_bq_column *columns,
                               uint32_t count)
{
    const char *text = "";
    for (uint32_t i = 0; i < count; i++)
        text = mr_bq_heap_print(&store->heap, "%s%s%s %s", text, i ? ", " : "",
                                mr_bq_quote(store, columns[i].name, ""), sql_type(&columns[i]));
    return text;
}

/* Rows of one key are found by an index that does not ask for uniqueness: a primary key is not
 * enforced. `$keys` holds the newest sequence number a key. */
static int keys_make(struct mr_bq_table *table, const struct mr_bq_table_plan *plan)
{
    struct mr_bq *store = table->store;
    const char *names = "";

    if (plan->key_count == 0)
        return MR_OK;
    for (uint32_t i = 0; i < plan->key_count; i++)
        names = mr_bq_heap_print(&store->heap, "%s%s%s", names, i ? ", " : "",
                                 mr_bq_quote(store, plan->columns[plan->keys[i]].name, ""));
    return mr_bq_sql(store,
                     "drop index if exists %s; create index %s on %s(%s);"
                     "create table if not exists %s(\"key\" blob primary key, sequence blob,"
                     " request integer, deleted_us integer) without rowid",
                     mr_bq_quote(store, table->sql_name, "$key"),
                     mr_bq_quote(store, table->sql_name, "$key"),
                     mr_bq_quote(store, table->sql_name, ""), names,
                     mr_bq_quote(store, table->sql_name, "$keys"));
}

static int table_make(struct mr_bq_table *table, const struct mr_bq_table_plan *plan)
{
    struct mr_bq *store = table->store;
    const char *name = mr_bq_quote(store, table->sql_name, "");

    int err = mr_bq_sql(store,
                        "insert into \"$tables\"(project, dataset, name, sql_name, resource,"
                        " create_us) values(%Q, %Q, %Q, %Q, %Q, %lld)",
                        table->project, table->dataset, table->name, table->sql_name,
                        plan->resource, (long long)table->create_us);
    table->id = sqlite3_last_insert_rowid(store->db);
    if (err != MR_OK)
        return err;
    if (plan->view)
        return mr_bq_sql(store, "create view %s as %s", name, plan->view);
    err = mr_bq_sql(store, "create table %s(%s)", name,
                    columns_sql(store, plan->columns, plan->column_count));
    return err == MR_OK ? keys_make(table, plan) : err;
}

/* `change` runs as one transaction of its own. */
static int change_end(struct mr_bq *store, int err)
{
    if (err == MR_OK)
        return mr_bq_sql(store, "commit");
    char *problem = store->problem; /* the rollback must not hide it */
    store->problem = NULL;
    mr_bq_sql(store, "rollback");
    free(store->problem);
    store->problem = problem;
    return err;
}

static int change_begin(struct mr_bq *store)
{
    int err = mr_bq_commit(store);
    return err == MR_OK ? mr_bq_sql(store, "begin immediate") : err;
}

static void table_remove(struct mr_bq_table *table)
{
    struct mr_bq_table **at = &table->store->tables;
    while (*at != table)
        at = &(*at)->next;
    *at = table->next;
    mr_bq_table_forget(table);
}

int mr_bq_table_create(struct mr_bq *store, struct mr_span project, struct mr_span dataset,
                       struct mr_span name, const struct mr_bq_table_plan *plan, int64_t now_us,
                       struct mr_bq_table **out)
{
    const char *p = mr_bq_heap_copy(&store->heap, project);
    const char *d = mr_bq_heap_copy(&store->heap, dataset);
    const char *n = mr_bq_heap_copy(&store->heap, name);
    const char *sql_name = mr_bq_table_sql_name(store, project, dataset, name);

    int err = change_begin(store);
    if (err != MR_OK)
        return err;
    struct mr_bq_table *table = table_add(store, p, d, n, sql_name);
    table->create_us = table->modified_us = table->changed_us = now_us;
    err = change_end(store, table_make(table, plan));
    if (err != MR_OK) {
        table_remove(table);
        return err;
    }
    table_plan_take(table, plan);
    table->old_column_count = table->column_count;
    *out = table;
    return MR_OK;
}

static int columns_add(struct mr_bq_table *table, const struct mr_bq_table_plan *plan)
{
    struct mr_bq *store = table->store;
    int err = MR_OK;

    for (uint32_t i = table->column_count; err == MR_OK && i < plan->column_count; i++) {
        const char *column = columns_sql(store, &plan->columns[i], 1);
        err = mr_bq_sql(store, "alter table %s add column %s",
                        mr_bq_quote(store, table->sql_name, ""), column);
        if (err == MR_OK && table->held)
            err = mr_bq_sql(store, "alter table %s add column %s",
                            mr_bq_quote(store, table->sql_name, "$held"), column);
    }
    return err;
}

int mr_bq_table_change(struct mr_bq_table *table, const struct mr_bq_table_plan *plan,
                       int64_t now_us)
{
    struct mr_bq *store = table->store;

    mr_bq_statements_drop(table);
    int err = change_begin(store);
    if (err != MR_OK)
        return err;
    err = mr_bq_sql(store, "update \"$tables\" set resource=%Q where id=%lld", plan->resource,
                    (long long)table->id);
    if (err == MR_OK && plan->view)
        err = mr_bq_sql(store, "drop view %s; create view %s as %s",
                        mr_bq_quote(store, table->sql_name, ""),
                        mr_bq_quote(store, table->sql_name, ""), plan->view);
    else if (err == MR_OK)
        err = columns_add(table, plan);
    if (err == MR_OK && !plan->view)
        err = keys_make(table, plan);
    err = change_end(store, err);
    if (err != MR_OK)
        return err;
    if (plan->column_count > table->column_count) {
        table->old_column_count = mr_bq_table_known(table, now_us);
        table->changed_us = now_us;
        table->version++;
    }
    table->modified_us = now_us;
    table_plan_take(table, plan);
    return MR_OK;
}

int mr_bq_table_delete(struct mr_bq_table *table)
{
    struct mr_bq *store = table->store;

    mr_bq_statements_drop(table);
    int err = change_begin(store);
    if (err != MR_OK)
        return err;
    err = mr_bq_sql(store,
                    "delete from \"$tables\" where id=%lld;"
                    "delete from \"$streams\" where table_id=%lld;"
                    "drop %s %s; drop table if exists %s; drop table if exists %s",
                    (long long)table->id, (long long)table->id, table->view ? "view" : "table",
                    mr_bq_quote(store, table->sql_name, ""),
                    mr_bq_quote(store, table->sql_name, "$held"),
                    mr_bq_quote(store, table->sql_name, "$keys"));
    err = change_end(store, err);
    if (err != MR_OK)
        return err;
    mr_bq_streams_forget(table);
    for (struct mr_bq_connection *c = store->connections; c; c = c->next) {
        if (c->table == table) {
            mr_bq_binding_destroy(c->binding);
            c->binding = NULL;
            c->table = NULL;
            c->stream = NULL;
        }
    }
    table_remove(table);
    return MR_OK;
}

int mr_bq_table_hold(struct mr_bq_table *table)
{
    struct mr_bq *store = table->store;

    if (table->held)
        return MR_OK;
    int err = mr_bq_sql(store,
                        "create table if not exists %s(\"$stream\" integer, \"$offset\" integer,"
                        " %s, primary key(\"$stream\", \"$offset\")) without rowid",
                        mr_bq_quote(store, table->sql_name, "$held"),
                        columns_sql(store, table->columns, table->column_count));
    table->held = err == MR_OK;
    return err;
}

/* ---- the catalogue ---- */

static const char *column_text(sqlite3_stmt *statement, int index)
{
    const char *text = (const char *)sqlite3_column_text(statement, index);
    return text ? text : "";
}

static int table_load(struct mr_bq *store, sqlite3_stmt *row)
{
    struct mr_bq_table_plan plan = {0};
    struct mr_bq_table *table = table_add(store, column_text(row, 1), column_text(row, 2),
                                          column_text(row, 3), column_text(row, 4));

    table->id = sqlite3_column_int64(row, 0);
    table->create_us = table->modified_us = table->changed_us = sqlite3_column_int64(row, 6);
    const char *wrong = mr_bq_rest_plan(store, column_text(row, 5), &plan);
    if (wrong) {
        free(store->problem);
        store->problem = text_copy(mr_span_text(wrong));
        return MR_E_LOCAL_DATABASE;
    }
    table_plan_take(table, &plan);
    table->old_column_count = table->column_count;
    return MR_OK;
}

static int rows_load(struct mr_bq *store, const char *sql,
                     int (*take)(struct mr_bq *store, sqlite3_stmt *row))
{
    sqlite3_stmt *rows = mr_bq_prepare(store, "%s", sql);
    int err = rows ? MR_OK : MR_E_LOCAL_DATABASE, state = SQLITE_DONE;

    while (err == MR_OK && (state = sqlite3_step(rows)) == SQLITE_ROW)
        err = take(store, rows);
    sqlite3_finalize(rows);
    return err == MR_OK && state != SQLITE_DONE ? MR_E_LOCAL_DATABASE : err;
}

static int home_load(struct mr_bq *store, sqlite3_stmt *row)
{
    store->home = text_copy(mr_span_text(column_text(row, 0)));
    return MR_OK;
}

static int dataset_load(struct mr_bq *store, sqlite3_stmt *row)
{
    dataset_add(store, mr_span_text(column_text(row, 0)), mr_span_text(column_text(row, 1)),
                column_text(row, 2));
    return MR_OK;
}

static int held_load(struct mr_bq *store, sqlite3_stmt *row)
{
    for (struct mr_bq_table *table = store->tables; table; table = table->next) {
        size_t bytes = strlen(table->sql_name);
        const char *name = column_text(row, 0);
        if (strncmp(name, table->sql_name, bytes) == 0 && strcmp(name + bytes, "$held") == 0)
            table->held = true;
    }
    return MR_OK;
}

int mr_bq_catalogue_load(struct mr_bq *store)
{
    int err = rows_load(store, "select value from \"$meta\" where name='home project'", home_load);
    if (err == MR_OK)
        err = rows_load(store,
                        "select project, dataset, resource from \"$datasets\" order by rowid",
                        dataset_load);
    if (err == MR_OK)
        err = rows_load(store,
                        "select id, project, dataset, name, sql_name, resource, create_us"
                        " from \"$tables\" order by id",
                        table_load);
    if (err == MR_OK)
        err = rows_load(store, "select name from sqlite_schema where name like '%$held'",
                        held_load);
    return err;
}

/* ---- the schema as the write calls see it ---- */

uint32_t mr_bq_table_known(const struct mr_bq_table *table, int64_t now_us)
{
    return now_us - table->changed_us >= table->store->options.schema_delay_us
               ? table->column_count
               : table->old_column_count;
}

static void columns_put(struct mr_bq_table *table, struct mr_pen *pen,
                        const struct mr_bq_column *columns, uint32_t count, uint32_t number)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct mr_bq_column *c = &columns[i];
        struct mr_bigquery_column column = {
            .name = mr_span_text(c->name),
            .type = c->type,
            .mode = c->mode,
            .description = c->description ? mr_span_text(c->description) : mr_span_of(NULL, 0),
            .max_length = c->max_length,
            .precision = c->precision,
            .scale = c->scale,
            .default_value_expression = c->default_text ? mr_span_text(c->default_text)
                                                        : mr_span_of(NULL, 0),
        };
        uint8_t range[4];
        struct mr_pen range_pen = mr_pen_of(range, sizeof range);
        if (c->type == MR_BIGQUERY_RANGE) {
            mr_pb_put_int(&range_pen, 1, c->range_type);
            column.range_element_type = (struct mr_pb_part){true, mr_pen_span(&range_pen)};
        }
        size_t mark = mr_pb_open_wide(pen, number);
        mr_bigquery_column_put(pen, &column);
        columns_put(table, pen, c->columns, c->column_count, 4); /* order of fields is free */
        mr_pb_close_wide(pen, mark);
    }
}

struct mr_span mr_bq_table_schema(struct mr_bq_table *table, uint32_t columns)
{
    struct mr_pen measure = mr_pen_measure();

    columns_put(table, &measure, table->columns, columns, 1);
    struct mr_pen pen = mr_pen_of(mr_bq_heap_take(&table->store->heap, measure.bytes + 1),
                                  measure.bytes + 1);
    columns_put(table, &pen, table->columns, columns, 1);
    return mr_pen_span(&pen);
}
