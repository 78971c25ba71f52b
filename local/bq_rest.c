#include "local/bq_rest.h"

/* "a/b?c=d" into decoded parts, from "projects" on. */
static bool split(struct mr_bq_rest *rest)
{
    struct mr_span target = rest->request->target;
    const uint8_t *mark = target.bytes ? memchr(target.data, '?', target.bytes) : NULL;

    if (mark) {
        size_t path = (size_t)(mark - target.data);
        rest->query = mr_span_of(mark + 1, target.bytes - path - 1);
        target.bytes = path;
    }
    for (size_t at = 0; at < target.bytes;) {
        const uint8_t *slash = memchr(target.data + at, '/', target.bytes - at);
        size_t end = slash ? (size_t)(slash - target.data) : target.bytes;
        struct mr_span part = mr_span_of(target.data + at, end - at);
        at = end + 1;
        if (part.bytes == 0)
            continue;
        if (rest->part_count == MR_BQ_REST_PARTS_MAX)
            return false;
        rest->parts[rest->part_count++] = mr_bq_rest_decode(&rest->store->heap, part);
    }
    if (rest->part_count > 2 && strcmp(rest->parts[0], "bigquery") == 0) {
        rest->part_count -= 2;
        memmove(rest->parts, rest->parts + 2, rest->part_count * sizeof *rest->parts);
    }
    return rest->part_count >= 3 && strcmp(rest->parts[0], "projects") == 0;
}

static bool part_is(const struct mr_bq_rest *rest, uint32_t index, const char *word)
{
    return index < rest->part_count && strcmp(rest->parts[index], word) == 0;
}

static void route(struct mr_bq_rest *rest)
{
    uint32_t count = rest->part_count;
    bool tables = part_is(rest, 2, "datasets") && part_is(rest, 4, "tables");

    if (part_is(rest, 2, "datasets") && count <= 4)
        mr_bq_rest_datasets(rest);
    else if (tables && count <= 6)
        mr_bq_rest_tables(rest);
    else if (tables && count == 7 && part_is(rest, 6, "data"))
        mr_bq_rest_data(rest);
    else if (tables && count == 7 && part_is(rest, 6, "insertAll"))
        mr_bq_rest_insert_all(rest);
    else if (part_is(rest, 2, "queries") && count <= 4)
        mr_bq_rest_queries(rest);
    else if (part_is(rest, 2, "jobs") && count <= 4)
        mr_bq_rest_jobs(rest);
    else
        mr_bq_rest_error(rest, 404, "notFound", "No such resource here.");
}

void mr_bq_rest(struct mr_bq *store, const struct mr_bq_request *request, int64_t now_us,
                struct mr_bq_reply *reply)
{
    struct mr_bq_rest rest = {.store = store, .now_us = now_us, .request = request, .reply = reply};

    mr_bq_heap_clear(&store->heap);
    *reply = (struct mr_bq_reply){0};
    if (!split(&rest)) {
        mr_bq_rest_error(&rest, 404, "notFound", "No such resource here.");
        return;
    }
    if (request->body.bytes) {
        rest.body = mr_bq_rest_parse(request->body);
        if (!json_is_object(rest.body)) {
            json_decref(rest.body);
            mr_bq_rest_error(&rest, 400, "parseError", "The body is no JSON object.");
            return;
        }
    }
    route(&rest);
    json_decref(rest.body);
}
