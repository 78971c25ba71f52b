#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "local/bq_rest.h"

#define PAGE_ROWS   10000
#define RESULT_ROWS 1000000 /* of one query */

/* A finished query, kept until MR_BQ_JOBS_MAX newer ones are there. */
struct mr_bq_jobs {
    struct mr_bq_jobs *next;
    char *project, *name, *sql;
    json_t *schema, *rows[2]; /* [1]: timestamps as microseconds */
    int64_t created_us;
};

static void job_free(struct mr_bq_jobs *job)
{
    json_decref(job->schema);
    json_decref(job->rows[0]);
    json_decref(job->rows[1]);
    free(job->project);
    free(job->name);
    free(job->sql);
    free(job);
}

void mr_bq_rest_jobs_forget(struct mr_bq *store)
{
    while (store->jobs) {
        struct mr_bq_jobs *job = store->jobs;
        store->jobs = job->next;
        job_free(job);
    }
}

static struct mr_bq_jobs *job_find(struct mr_bq_rest *rest, const char *name)
{
    struct mr_bq_jobs *job = rest->store->jobs;
    while (job && (strcmp(job->name, name) != 0 || strcmp(job->project, rest->parts[1]) != 0))
        job = job->next;
    return job;
}

static struct mr_bq_jobs *job_add(struct mr_bq_rest *rest, const char *name, const char *sql)
{
    struct mr_bq *store = rest->store;
    struct mr_bq_jobs *job = calloc(1, sizeof *job), **last = &store->jobs;
    char made[32];
    MR_ASSERT(job);

    snprintf(made, sizeof made, "job_%llu", (unsigned long long)++store->job_count);
    job->project = strdup(rest->parts[1]);
    job->name = strdup(*name ? name : made);
    job->sql = strdup(sql);
    job->created_us = rest->now_us;
    job->next = store->jobs;
    store->jobs = job;
    for (uint32_t i = 0; *last && i < MR_BQ_JOBS_MAX; i++)
        last = &(*last)->next;
    if (*last) {
        job_free(*last);
        *last = NULL;
    }
    return job;
}

/* ---- types of a result ---- */

static struct mr_bq_column *column_behind(struct mr_bq *store, sqlite3_stmt *row, int index)
{
    const char *table_name = sqlite3_column_table_name(row, index);
    const char *name = sqlite3_column_origin_name(row, index);

    for (struct mr_bq_table *t = store->tables; t && table_name && name; t = t->next) {
        if (strcmp(t->sql_name, table_name) != 0)
            continue;
        for (uint32_t i = 0; i < t->column_count; i++)
            if (strcmp(t->columns[i].name, name) == 0)
                return &t->columns[i];
    }
    return NULL;
}

/* What a computed value is can only be told from the value itself. */
static int32_t type_of_value(sqlite3_stmt *row, int index)
{
    const char *text;
    int64_t us;

    switch (sqlite3_column_type(row, index)) {
    case SQLITE_INTEGER:
        return MR_BIGQUERY_INT64;
    case SQLITE_FLOAT:
        return MR_BIGQUERY_DOUBLE;
    case SQLITE_BLOB:
        return MR_BIGQUERY_BYTES;
    case SQLITE_TEXT:
        text = (const char *)sqlite3_column_text(row, index);
        return strlen(text) == MR_BQ_TIME_BYTES - 1 && text[26] == 'Z' &&
                       mr_bq_timestamp_parse(mr_span_text(text), true, &us)
                   ? MR_BIGQUERY_TIMESTAMP
                   : MR_BIGQUERY_STRING;
    default:
        return MR_BIGQUERY_STRING;
    }
}

struct mr_bq_column *mr_bq_rest_columns(struct mr_bq *store, sqlite3_stmt *row)
{
    int count = sqlite3_column_count(row);
    struct mr_bq_column *columns = mr_bq_heap_take(&store->heap,
                                                   (size_t)(count + 1) * sizeof *columns);

    for (int i = 0; i < count; i++) {
        const struct mr_bq_column *behind = column_behind(store, row, i);
        columns[i] = behind ? *behind
                            : (struct mr_bq_column){.type = type_of_value(row, i),
                                                    .mode = MR_BIGQUERY_NULLABLE};
        if (columns[i].mode == MR_BIGQUERY_REQUIRED)
            columns[i].mode = MR_BIGQUERY_NULLABLE;
        columns[i].name = mr_bq_heap_copy(&store->heap, mr_span_text(sqlite3_column_name(row, i)));
    }
    return columns;
}

/* ---- running ---- */

/* Binds @name and ? parameters; NULL, or what is wrong. */
static const char *parameters_bind(struct mr_bq_rest *rest, const json_t *config, sqlite3_stmt *row)
{
    struct mr_bq *store = rest->store;
    const json_t *list = json_object_get(config, "queryParameters");
    size_t index;
    json_t *item;

    json_array_foreach(list, index, item)
    {
        const char *name = mr_bq_rest_text(item, "name");
        const json_t *type = json_object_get(item, "parameterType");
        const json_t *value = json_object_get(json_object_get(item, "parameterValue"), "value");
        struct mr_bq_column column = {.type = mr_bq_rest_type(mr_bq_rest_text(type, "type")),
                                      .mode = MR_BIGQUERY_NULLABLE};
        struct mr_bq_cell cell;
        int at = *name ? sqlite3_bind_parameter_index(row,
                                                      mr_bq_heap_print(&store->heap, "@%s", name))
                       : (int)index + 1;
        const char *wrong = column.type && column.type != MR_BIGQUERY_STRUCT
                                ? mr_bq_rest_cell(store, &column, value, &cell)
                                : "only scalar query parameters are taken here";
        if (wrong)
            return wrong;
        if (at)
            mr_bq_bind(row, at, &cell);
    }
    return NULL;
}

static void rows_read(struct mr_bq_rest *rest, struct mr_bq_jobs *job, sqlite3_stmt *row)
{
    int state = sqlite3_step(row);
    uint32_t count = (uint32_t)sqlite3_column_count(row);
    struct mr_bq_column *columns = mr_bq_rest_columns(rest->store, row);

    job->schema = json_pack("{so}", "fields", mr_bq_rest_fields(columns, count));
    job->rows[0] = json_array();
    job->rows[1] = json_array();
    for (; state == SQLITE_ROW && json_array_size(job->rows[0]) < RESULT_ROWS;
         state = sqlite3_step(row))
        for (int i = 0; i < 2; i++)
            json_array_append_new(job->rows[i],
                                  mr_bq_rest_row(rest->store, columns, count, row, i == 1));
    if (state != SQLITE_DONE)
        mr_bq_rest_error(rest, 400, "invalidQuery", "%s", sqlite3_errmsg(rest->store->db));
}

/* The finished job, or NULL with the error answered. `config` has query and its settings. */
static struct mr_bq_jobs *query_run(struct mr_bq_rest *rest, const json_t *config,
                                    const char *job_name)
{
    struct mr_bq *store = rest->store;
    const json_t *defaults = json_object_get(config, "defaultDataset");
    const char *dataset = mr_bq_rest_text(defaults, "datasetId");
    const char *project = mr_bq_rest_text(defaults, "projectId");
    const char *text = mr_bq_rest_text(config, "query"), *wrong = NULL;
    bool missing = false;

    if (!json_is_false(json_object_get(config, "useLegacySql"))) {
        mr_bq_rest_error(rest, 400, "invalidQuery",
                         "Legacy SQL is not taken here: say \"useLegacySql\": false.");
        return NULL;
    }
    const char *sql = mr_bq_sql_translate(
        store, mr_span_text(text), *project ? project : rest->parts[1], *dataset ? dataset : NULL,
        rest->now_us, &wrong, &missing);
    if (!sql) {
        mr_bq_rest_error(rest, missing ? 404 : 400, missing ? "notFound" : "invalidQuery", "%s",
                         wrong);
        return NULL;
    }
    sqlite3_stmt *row = mr_bq_prepare(store, "%s", sql);
    if (!row) {
        mr_bq_rest_error(rest, 400, "invalidQuery", "%s", sqlite3_errmsg(store->db));
        return NULL;
    }
    wrong = sqlite3_stmt_readonly(row) ? parameters_bind(rest, config, row) : "not a query";
    struct mr_bq_jobs *job = NULL;
    if (wrong) {
        mr_bq_rest_error(rest, 400, "invalidQuery", "%s", wrong);
    } else {
        job = job_add(rest, job_name, text);
        rows_read(rest, job, row);
    }
    sqlite3_finalize(row);
    if (job && rest->reply->status) {
        store->jobs = job->next;
        job_free(job);
        job = NULL;
    }
    return job;
}

/* ---- answers ---- */

static json_t *reference_of(struct mr_bq_rest *rest, const struct mr_bq_jobs *job)
{
    return json_pack("{ssssss}", "projectId", job->project, "jobId", job->name, "location",
                     rest->store->options.location);
}

static bool integers_of(struct mr_bq_rest *rest)
{
    const json_t *options = json_object_get(rest->body, "formatOptions");
    const char *parameter = mr_bq_rest_parameter(rest, "formatOptions.useInt64Timestamp");

    return json_is_true(json_object_get(options, "useInt64Timestamp")) ||
           (parameter && strcasecmp(parameter, "true") == 0);
}

/* Rows [first, first + most) of a finished job. */
static json_t *page(struct mr_bq_rest *rest, const struct mr_bq_jobs *job, const char *kind,
                    int64_t first, int64_t most)
{
    const json_t *all = job->rows[integers_of(rest)];
    int64_t total = (int64_t)json_array_size(all);
    json_t *rows = json_array();

    first = MR_MIN(MR_MAX(first, 0), total);
    int64_t last = MR_MIN(first + MR_MIN(MR_MAX(most, 0), PAGE_ROWS), total);
    for (int64_t i = first; i < last; i++)
        json_array_append(rows, json_array_get(all, (size_t)i));
    json_t *out = json_pack("{sssbsosOsbss}", "kind", kind, "jobComplete", 1, "jobReference",
                            reference_of(rest, job), "schema", job->schema, "cacheHit", 0,
                            "totalBytesProcessed", "0");
    /* Absent when empty: a client that asked for none would take an empty page for the last. */
    if (json_array_size(rows) > 0)
        json_object_set(out, "rows", rows);
    json_decref(rows);
    mr_bq_rest_set_number(out, "totalRows", total);
    if (last < total && last > first)
        mr_bq_rest_set_number(out, "pageToken", last);
    return out;
}

void mr_bq_rest_queries(struct mr_bq_rest *rest)
{
    bool post = mr_span_equal(rest->request->method, mr_span_text("POST"));

    if (post && rest->part_count == 3) {
        struct mr_bq_jobs *job = query_run(rest, rest->body, "");
        if (job)
            mr_bq_rest_reply(rest, 200,
                             page(rest, job, "bigquery#queryResponse", 0,
                                  mr_bq_rest_number(rest->body, "maxResults", PAGE_ROWS)));
        return;
    }
    struct mr_bq_jobs *job = rest->part_count == 4 && !post ? job_find(rest, rest->parts[3]) : NULL;
    if (!job) {
        mr_bq_rest_error(rest, 404, "notFound", "Not found: Job %s:%s", rest->parts[1],
                         rest->part_count == 4 ? rest->parts[3] : "");
        return;
    }
    int64_t first = mr_bq_rest_parameter_number(rest, "pageToken",
                                                mr_bq_rest_parameter_number(rest, "startIndex", 0));
    mr_bq_rest_reply(rest, 200,
                     page(rest, job, "bigquery#getQueryResultsResponse", first,
                          mr_bq_rest_parameter_number(rest, "maxResults", PAGE_ROWS)));
}

static json_t *job_json(struct mr_bq_rest *rest, const struct mr_bq_jobs *job)
{
    json_t *out = json_pack("{sss{sssb}s{s{sssb}ss}}", "kind", "bigquery#job", "status", "state",
                            "DONE", "done", 1, "configuration", "query", "query", job->sql,
                            "useLegacySql", 0, "jobType", "QUERY");
    json_t *statistics = json_object(), *query = json_object();

    mr_bq_rest_set_number(statistics, "creationTime", job->created_us / 1000);
    mr_bq_rest_set_number(statistics, "startTime", job->created_us / 1000);
    mr_bq_rest_set_number(statistics, "endTime", job->created_us / 1000);
    json_object_set_new(query, "statementType", json_string("SELECT"));
    json_object_set_new(statistics, "query", query);
    json_object_set_new(out, "statistics", statistics);
    json_object_set_new(out, "jobReference", reference_of(rest, job));
    json_object_set_new(
        out, "id",
        json_sprintf("%s:%s.%s", job->project, rest->store->options.location, job->name));
    return out;
}

void mr_bq_rest_jobs(struct mr_bq_rest *rest)
{
    bool post = mr_span_equal(rest->request->method, mr_span_text("POST"));
    const json_t *reference = json_object_get(rest->body, "jobReference");
    struct mr_bq_jobs *job = NULL;

    if (!post || rest->part_count != 3) {
        job = rest->part_count == 4 && !post ? job_find(rest, rest->parts[3]) : NULL;
        if (!job)
            mr_bq_rest_error(rest, 404, "notFound", "Not found: Job");
    } else if (!json_object_get(json_object_get(rest->body, "configuration"), "query")) {
        mr_bq_rest_error(rest, 400, "invalid", "Only query jobs run here.");
    } else if (job_find(rest, mr_bq_rest_text(reference, "jobId"))) {
        mr_bq_rest_error(rest, 409, "duplicate", "Already Exists: Job %s",
                         mr_bq_rest_text(reference, "jobId"));
    } else {
        job = query_run(rest,
                        json_object_get(json_object_get(rest->body, "configuration"), "query"),
                        mr_bq_rest_text(reference, "jobId"));
    }
    if (job)
        mr_bq_rest_reply(rest, 200, job_json(rest, job));
}
