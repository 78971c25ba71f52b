#include "core/config_parts.h"

#include <ctype.h>
#include <strings.h>

#include "core/err.h"

#define COLUMN_BYTES_MAX 300 /* of a BigQuery column name */

/* Columns each row has; the second list in BigQuery only. */
static const char *const fixed[] = {"window", "window_start", "window_end", "timing",
                                    "index",  "is_first",     "is_last"};
static const char *const fixed_bigquery[] = {"instance", "lineage", "share", "emitted_at"};

struct column {
    const char *name;
    struct mr_place at;
};

struct columns {
    struct column list[MR_GROUP_FIELDS_MAX + MR_AGGREGATES_MAX + 16];
    uint32_t count;
    bool bigquery;
};

static void collide(struct mr_config *config, struct columns *columns, const char *name,
                    struct mr_place at)
{
    struct mr_complaints *all = &config->text->complaints;

    for (uint32_t i = 0; i < columns->count; i++) {
        const struct column *other = &columns->list[i];
        /* BigQuery does not tell cases apart; JSON does. */
        if (columns->bigquery ? strcasecmp(other->name, name) : strcmp(other->name, name))
            continue;
        mr_complain(all, MR_E_CONFIG_COLLISION, at, "column `%s` is there already", name);
        if (other->at.line)
            mr_complain_also(all, other->at, "from here");
        else
            mr_complain_rule(all, "every row has a column `%s` of its own", other->name);
        return;
    }
    MR_ASSERT(columns->count < MR_COUNT(columns->list));
    columns->list[columns->count++] = (struct column){name, at};
}

static void suit_bigquery(struct mr_config *config, const char *name, struct mr_place at)
{
    static const char *const reserved[] = {"_TABLE_",        "_FILE_",   "_PARTITION",
                                           "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER"};
    struct mr_complaints *all = &config->text->complaints;
    bool fits = strlen(name) <= COLUMN_BYTES_MAX && !isdigit((uint8_t)name[0]);

    for (const char *c = name; *c; c++)
        fits &= *c == '_' || (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') ||
                (*c >= 'A' && *c <= 'Z');
    for (uint32_t i = 0; i < MR_COUNT(reserved); i++)
        fits &= strncasecmp(name, reserved[i], strlen(reserved[i])) != 0;
    if (fits)
        return;
    mr_complain(all, MR_E_CONFIG_NAME, at, "`%.80s` cannot be a BigQuery column", name);
    mr_complain_rule(all,
                     "letters, digits and _, no digit first, at most %d, none of the prefixes "
                     "_TABLE_, _FILE_, _PARTITION, _ROW_TIMESTAMP, __ROOT__, _COLIDENTIFIER",
                     COLUMN_BYTES_MAX);
    mr_complain_fix(all, "rename the field and say where it is with `from:`");
}

static void check_window(struct mr_config *config, uint32_t w)
{
    const struct mr_window *window = &config->windows[w];
    const struct mr_yaml *node = config->text->windows[w];
    struct columns columns = {.bigquery = config->sinks.bigquery.dataset != NULL};
    const struct mr_yaml *group = mr_yaml_get(node, "group_by");
    const struct mr_yaml *aggregates = mr_yaml_get(node, "aggregates");
    struct mr_place nowhere = {0};

    for (uint32_t i = 0; i < MR_COUNT(fixed); i++)
        collide(config, &columns, fixed[i], nowhere);
    for (uint32_t i = 0; i < MR_COUNT(fixed_bigquery) && columns.bigquery; i++)
        collide(config, &columns, fixed_bigquery[i], nowhere);
    /* A list with a refused item has fewer entries than nodes; the places would not match. */
    for (uint32_t i = 0; group && group->count == window->group_count && i < group->count; i++) {
        const char *name = config->decode.fields[window->group_by[i]].name;
        struct mr_place at = mr_yaml_item(group, i)->at;
        collide(config, &columns, name, at);
        if (columns.bigquery)
            suit_bigquery(config, name, at);
    }
    for (uint32_t i = 0;
         aggregates && aggregates->count == window->aggregate_count && i < aggregates->count; i++) {
        const struct mr_aggregate *aggregate = &window->aggregates[i];
        const char *kind = mr_aggregate_name(aggregate->kind), *name = kind;
        struct mr_place at = mr_yaml_item(aggregates, i)->at;
        if (aggregate->kind != MR_COUNT_OF)
            name = mr_texts_print(&config->text->strings, "%s_%s",
                                  config->decode.fields[aggregate->field].name, kind);
        collide(config, &columns, name, at);
        if (columns.bigquery && aggregate->kind != MR_COUNT_OF)
            suit_bigquery(config, name, at);
    }
}

void mr_config_check_columns(struct mr_config *config)
{
    for (uint32_t w = 0; w < config->window_count; w++)
        check_window(config, w);
}
