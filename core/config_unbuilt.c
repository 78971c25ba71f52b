#include "core/config_parts.h"

#include "core/err.h"

/* Settings whose feature this version does not have: accepting them would promise what does not
 * happen. A row goes when its feature comes. */
static const struct unbuilt {
    const char *path;            /* within a window if it begins with '*' */
    const char *refused, *taken; /* that value only; any but that one; NULL both: any */
    const char *what, *fix;
} unbuilt[] = {
    {"journal", NULL, "none", "the journal", "write `journal: none`"},
    {"watermark.strategy", "backlog", NULL, "the backlog strategy", "write `strategy: bounded`"},
    {"sinks.late", NULL, NULL, "the sink of late orders", "remove sinks.late; they are counted"},
    {"sinks.redis", NULL, NULL, "the Redis cache", "remove sinks.redis"},
    {"sinks.bigquery.raw_orders", NULL, NULL, "the table of raw orders", "remove raw_orders"},
    {"sinks.bigquery.delivery", "upsert", NULL, "upserts", "write `delivery: exactly_once`"},
    {"admin.listen", NULL, NULL, "the admin pages", "remove admin"},
    {"*early", NULL, NULL, "early firings", "remove `early`"},
    {"*late.every", NULL, NULL, "gathered late firings", "write `late: { count: 1 }`"},
    {"*late.count", NULL, "1", "gathered late firings", "write `late: { count: 1 }`"},
    {"*accumulation", "discarding", NULL, "discarding firings",
     "write `accumulation: accumulating`"},
};

static void check_one(struct mr_config *config, const struct unbuilt *row,
                      const struct mr_yaml *top, const char *path)
{
    struct mr_complaints *all = &config->text->complaints;
    const struct mr_yaml *node = mr_yaml_at(top, path);
    bool scalar = node && node->kind == MR_YAML_SCALAR;

    if (!node || (row->refused && (!scalar || strcmp(node->text, row->refused) != 0)) ||
        (row->taken && (!scalar || strcmp(node->text, row->taken) == 0)))
        return;
    mr_complain(all, MR_E_CONFIG_UNBUILT, node->at, "%s (`%s`) is not in this version", row->what,
                path);
    mr_complain_fix(all, "%s", row->fix);
}

void mr_config_check_unbuilt(struct mr_config *config)
{
    for (uint32_t i = 0; i < MR_COUNT(unbuilt); i++) {
        const struct unbuilt *row = &unbuilt[i];
        if (row->path[0] != '*') {
            check_one(config, row, config->text->root, row->path);
            continue;
        }
        for (uint32_t w = 0; w < config->window_count; w++)
            check_one(config, row, config->text->windows[w], row->path + 1);
    }
}
