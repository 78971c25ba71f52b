#include "app/local_tables.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/text.h"
#include "sinks/encode.h"

#define BODY_BYTES   ((size_t)64 << 10)
#define TARGET_BYTES 1024

static const char *type_name(enum mr_bigquery_type type)
{
    switch (type) {
    case MR_BIGQUERY_INT64:
        return "INTEGER";
    case MR_BIGQUERY_BOOL:
        return "BOOLEAN";
    case MR_BIGQUERY_TIMESTAMP:
        return "TIMESTAMP";
    case MR_BIGQUERY_NUMERIC:
        return "NUMERIC";
    default:
        return "STRING";
    }
}

static char *put(char *at, const char *text)
{
    return mr_text_put(at, mr_span_text(text));
}

/* POSTs to the store's REST side, in this process. 409: it is there already. */
static bool post(struct mr_bq *store, const char *target, struct mr_span body)
{
    struct mr_bq_request request = {
        .method = mr_span_text("POST"), .target = mr_span_text(target), .body = body};
    struct mr_bq_reply reply;

    mr_bq_rest(store, &request, mr_wall_us(), &reply);
    if (reply.status == 200 || reply.status == 409)
        return true;
    fprintf(stderr, "millrace local: --tables: POST %s answers %d: %.*s\n", target, reply.status,
            (int)reply.body.bytes, (const char *)reply.body.data);
    return false;
}

static bool make_dataset(struct mr_bq *store, const char *project, const char *dataset, char *body)
{
    char target[TARGET_BYTES];
    char *at = put(body, "{\"datasetReference\":{\"projectId\":");

    at = mr_text_put_json(at, mr_span_text(project));
    at = mr_text_put_json(put(at, ",\"datasetId\":"), mr_span_text(dataset));
    at = put(at, "}}");
    snprintf(target, sizeof target, "/bigquery/v2/projects/%s/datasets", project);
    return post(store, target, mr_span_of(body, (size_t)(at - body)));
}

static bool make_table(struct mr_bq *store, const struct mr_plan *plan, uint32_t definition,
                       const char *project, const char *dataset, char *body)
{
    static struct mr_row_column columns[MR_ROW_COLUMNS_MAX];
    uint32_t count = mr_row_columns(plan, definition, columns);
    const char *table = plan->config->windows[definition].name;
    char target[TARGET_BYTES];
    char *at = put(body, "{\"tableReference\":{\"projectId\":");

    at = mr_text_put_json(at, mr_span_text(project));
    at = mr_text_put_json(put(at, ",\"datasetId\":"), mr_span_text(dataset));
    at = mr_text_put_json(put(at, ",\"tableId\":"), mr_span_text(table));
    at = put(at, "},\"timePartitioning\":{\"type\":\"DAY\",\"field\":\"window_start\"},"
                 "\"schema\":{\"fields\":[");
    for (uint32_t c = 0; c < count; c++) {
        at = mr_text_put_json(put(at, c > 0 ? ",{\"name\":" : "{\"name\":"),
                              mr_span_text(columns[c].name));
        at = put(put(put(at, ",\"type\":\""), type_name(columns[c].type)), "\",\"mode\":\"");
        at = put(at, columns[c].mode == MR_BIGQUERY_REQUIRED ? "REQUIRED\"}" : "NULLABLE\"}");
    }
    at = put(at, "]}}");
    snprintf(target, sizeof target, "/bigquery/v2/projects/%s/datasets/%s/tables", project,
             dataset);
    return post(store, target, mr_span_of(body, (size_t)(at - body)));
}

static bool make_all(struct mr_bq *store, const struct mr_config *config, const char *path)
{
    struct mr_plan plan;
    const char *refusal = mr_plan_init(&plan, config);
    const char *dot = config->sinks.bigquery.dataset;
    char project[256], *body = malloc(BODY_BYTES);
    bool made = body != NULL;

    if (refusal || !dot || !(dot = strrchr(dot, '.'))) {
        fprintf(stderr, "millrace local: --tables %s: %s\n", path,
                refusal ? refusal : "it has no sinks.bigquery");
        free(body);
        return false;
    }
    snprintf(project, sizeof project, "%.*s", (int)(dot - config->sinks.bigquery.dataset),
             config->sinks.bigquery.dataset);
    made = made && make_dataset(store, project, dot + 1, body);
    for (uint32_t w = 0; made && w < config->window_count; w++)
        made = make_table(store, &plan, w, project, dot + 1, body);
    free(body);
    return made;
}

bool mr_local_tables_make(struct mr_bq *store, const char *config_path)
{
    struct mr_config config;
    bool made = mr_config_read(&config, config_path, NULL, 0, stderr) == 0 &&
                make_all(store, &config, config_path);

    mr_config_finish(&config);
    return made;
}
