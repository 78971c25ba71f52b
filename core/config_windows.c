#include "core/config_parts.h"

#include <stdio.h>

#include "core/err.h"
#include "core/suggest.h"

static const char *const kind_names[] = {"count", "sum", "min", "max", "avg"};

const char *mr_aggregate_name(enum mr_aggregate_kind kind)
{
    MR_ASSERT(kind < MR_COUNT(kind_names));
    return kind_names[kind];
}

static void not_understood(struct mr_complaints *all, const struct mr_yaml *node, const char *word)
{
    const char *near = mr_suggest(word, kind_names, MR_COUNT(kind_names));

    mr_complain(all, MR_E_CONFIG_VALUE, node->at, "aggregate %s",
                mr_yaml_describe(all->strings, node));
    mr_complain_rule(all, "count, sum(field), min(field), max(field) or avg(field)");
    if (near && strcmp(near, "count") == 0)
        mr_complain_fix(all, "write `count`, which takes no field");
    else
        mr_complain_fix(all, "write for example `%s(amount)`", near ? near : "sum");
}

/* "sum(amount)" into its kind and field; false after a complaint. */
static bool read_aggregate(struct mr_config *config, struct mr_aggregate *aggregate,
                           const struct mr_yaml *node)
{
    struct mr_complaints *all = &config->text->complaints;
    const char *open = strchrnul(node->text, '(');
    const char *word = mr_texts_copy(all->strings, node->text, (size_t)(open - node->text));
    size_t inner = *open ? strcspn(open + 1, ")") : 0;
    uint32_t kind = 0;

    while (kind < MR_COUNT(kind_names) && strcmp(kind_names[kind], word) != 0)
        kind++;
    bool counts = kind == MR_COUNT_OF && *open == '\0';
    bool folds = kind > MR_COUNT_OF && kind < MR_COUNT(kind_names) && inner && open[inner + 1] &&
                 open[inner + 2] == '\0';
    if (!counts && !folds) {
        not_understood(all, node, word);
        return false;
    }
    aggregate->kind = (enum mr_aggregate_kind)kind;
    aggregate->field = 0;
    if (counts)
        return true;
    const char *name = mr_texts_copy(all->strings, open + 1, inner);
    aggregate->field = mr_config_field_of(config, node, name, "an aggregate");
    return aggregate->field != UINT32_MAX;
}

static bool stands_twice(const struct mr_window *window, struct mr_aggregate aggregate)
{
    for (uint32_t i = 0; i < window->aggregate_count; i++)
        if (window->aggregates[i].kind == aggregate.kind &&
            window->aggregates[i].field == aggregate.field)
            return true;
    return false;
}

static void check_foldable(struct mr_config *config, struct mr_aggregate aggregate,
                           const struct mr_yaml *node)
{
    struct mr_complaints *all = &config->text->complaints;
    const struct mr_field *field = &config->decode.fields[aggregate.field];

    if (aggregate.kind == MR_COUNT_OF || config->text->field_broken[aggregate.field] ||
        field->type == MR_TYPE_INT || field->type == MR_TYPE_DECIMAL)
        return;
    mr_complain(all, MR_E_CONFIG_FIELD_TYPE, node->at, "`%s` of a field that is no number",
                node->text);
    mr_complain_also(all, config->text->fields[aggregate.field]->key_at, "defined here");
    mr_complain_rule(all, "sum, min, max and avg take int and decimal fields");
    mr_complain_fix(all, "make `%s` an int or a decimal, or remove the aggregate", field->name);
}

static void read_aggregates(struct mr_config *config, struct mr_window *window,
                            const struct mr_yaml *list)
{
    struct mr_complaints *all = &config->text->complaints;
    struct mr_aggregate aggregate;

    if (!list || !mr_yaml_expect(list, MR_YAML_LIST, "[count, sum(amount)]", all))
        return;
    if (list->count == 0) {
        mr_complain(all, MR_E_CONFIG_MISSING, list->key_at, "`aggregates` is an empty list");
        mr_complain_rule(all, "1 to %u aggregates", MR_AGGREGATES_MAX);
        mr_complain_fix(all, "write `[count]`");
    }
    for (const struct mr_yaml *item = list->first; item; item = item->next) {
        if (!mr_yaml_expect(item, MR_YAML_SCALAR, "sum(amount)", all) ||
            !read_aggregate(config, &aggregate, item))
            continue;
        if (stands_twice(window, aggregate)) {
            mr_complain(all, MR_E_CONFIG_TWICE, item->at, "`%s` stands twice in aggregates",
                        item->text);
        } else if (window->aggregate_count == MR_AGGREGATES_MAX) {
            mr_complain(all, MR_E_CONFIG_TOO_MANY, item->at, "%u aggregates", list->count);
            mr_complain_rule(all, "at most %u", MR_AGGREGATES_MAX);
            return;
        } else {
            check_foldable(config, aggregate, item);
            window->aggregates[window->aggregate_count++] = aggregate;
        }
    }
}

static void read_group(struct mr_config *config, struct mr_window *window,
                       const struct mr_yaml *list)
{
    struct mr_complaints *all = &config->text->complaints;

    if (!list)
        return;
    window->group_count = mr_config_read_names(config, list, window->group_by, MR_GROUP_FIELDS_MAX,
                                               "group_by");
    for (const struct mr_yaml *item = list->first; item; item = item->next) {
        uint32_t index = item->kind == MR_YAML_SCALAR ? mr_config_field(config, item->text)
                                                      : UINT32_MAX;
        if (index == UINT32_MAX || config->text->field_broken[index])
            continue;
        enum mr_type type = config->decode.fields[index].type;
        if (type != MR_TYPE_DECIMAL && type != MR_TYPE_EVENT_TIME)
            continue;
        mr_complain(all, MR_E_CONFIG_FIELD_TYPE, item->at, "group_by `%s`, %s", item->text,
                    type == MR_TYPE_DECIMAL ? "a decimal" : "the event time");
        mr_complain_also(all, config->text->fields[index]->key_at, "defined here");
        mr_complain_rule(all, "a key is made of string, int and bool fields");
        mr_complain_fix(all, "leave it out of group_by");
    }
}

static void read_window(struct mr_config *config, struct mr_window *window,
                        const struct mr_yaml *node)
{
    mr_settings_default(&mr_settings_window, window);
    mr_settings_read(&mr_settings_window, window, node, &config->text->complaints);
    read_group(config, window, mr_yaml_get(node, "group_by"));
    read_aggregates(config, window, mr_yaml_get(node, "aggregates"));
    if (!mr_yaml_get(node, "hop"))
        window->hop_us = window->size_us;
    if (window->hop_us > 0)
        window->offset_us = mr_floor_mod(window->offset_us, window->hop_us);
    if (!window->late.every_us && !window->late.count)
        window->late.count = 1;
}

static void read_list(struct mr_config *config, const struct mr_yaml *list)
{
    struct mr_complaints *all = &config->text->complaints;

    if (list->count == 0) {
        mr_complain(all, MR_E_CONFIG_MISSING, list->key_at, "`windows` is an empty list");
        mr_complain_rule(all, "1 to %u windows", MR_WINDOWS_MAX);
        mr_complain_fix(all, "add one: { name: orders, group_by: [], size: 1m, "
                             "aggregates: [count] }");
    }
    for (const struct mr_yaml *item = list->first; item; item = item->next) {
        if (!mr_yaml_expect(item, MR_YAML_MAP, "{ name: orders, size: 5m, ... }", all))
            continue;
        if (config->window_count == MR_WINDOWS_MAX) {
            mr_complain(all, MR_E_CONFIG_TOO_MANY, item->at, "%u windows", list->count);
            mr_complain_rule(all, "at most %u", MR_WINDOWS_MAX);
            return;
        }
        config->text->windows[config->window_count] = item;
        read_window(config, &config->windows[config->window_count++], item);
    }
}

void mr_config_read_windows(struct mr_config *config)
{
    const struct mr_yaml *list = mr_yaml_at(config->text->root, "windows");

    if (list && mr_yaml_expect(list, MR_YAML_LIST, "- { name: orders, size: 5m, ... }",
                               &config->text->complaints))
        read_list(config, list);
}
