#include "core/config_parts.h"

#include "core/err.h"

static void derive_dedup(struct mr_config *config)
{
    const struct mr_yaml *dedup = mr_yaml_at(config->text->root, "decode.dedup");
    const struct mr_yaml *by = mr_yaml_get(dedup, "by"), *field = mr_yaml_get(dedup, "field");
    struct mr_complaints *all = &config->text->complaints;

    if (by && field) {
        mr_complain(all, MR_E_CONFIG_CONTRADICTION, field->key_at, "both `by` and `field`");
        mr_complain_also(all, by->key_at, "the other");
        mr_complain_rule(all, "two messages are the same by one identity only");
        mr_complain_fix(all, "keep one of the two");
    } else if (field) {
        if (!mr_yaml_expect(field, MR_YAML_SCALAR, "order_id", all))
            return;
        config->decode.dedup_field = mr_config_field_of(config, field, field->text,
                                                        "decode.dedup.field");
        config->decode.dedup_by = MR_DEDUP_FIELD;
    } else if (!by && config->source.pubsub.subscription) {
        config->decode.dedup_by = MR_DEDUP_MESSAGE_ID;
    }
}

static bool in_every_group(const struct mr_config *config, uint32_t field)
{
    for (uint32_t w = 0; w < config->window_count; w++) {
        bool here = false;
        for (uint32_t i = 0; i < config->windows[w].group_count; i++)
            here |= config->windows[w].group_by[i] == field;
        if (!here)
            return false;
    }
    return true;
}

static void check_route(struct mr_config *config, const struct mr_yaml *list)
{
    struct mr_complaints *all = &config->text->complaints;

    for (const struct mr_yaml *item = list->first; item; item = item->next) {
        uint32_t field = item->kind == MR_YAML_SCALAR ? mr_config_field(config, item->text)
                                                      : UINT32_MAX;
        for (uint32_t w = 0; w < config->window_count && field != UINT32_MAX; w++) {
            const struct mr_window *window = &config->windows[w];
            bool here = false;
            for (uint32_t i = 0; i < window->group_count; i++)
                here |= window->group_by[i] == field;
            if (here)
                continue;
            mr_complain(all, MR_E_CONFIG_ROUTE, item->at, "`%s` is not in group_by of `%s`",
                        item->text, window->name ? window->name : "a window");
            mr_complain_also(all, mr_config_place(config->text->windows[w], "group_by"),
                             "this group_by");
            mr_complain_fix(all, "take `%s` out of route_by, or into that group_by", item->text);
            break;
        }
    }
}

static void derive_route(struct mr_config *config)
{
    const struct mr_yaml *list = mr_yaml_at(config->text->root, "route_by");

    if (list) {
        config->route_count = mr_config_read_names(config, list, config->route_by,
                                                   MR_GROUP_FIELDS_MAX, "route_by");
        if (list->kind == MR_YAML_LIST)
            check_route(config, list);
        return;
    }
    for (uint32_t i = 0; config->window_count && i < config->windows[0].group_count; i++)
        if (in_every_group(config, config->windows[0].group_by[i]))
            config->route_by[config->route_count++] = config->windows[0].group_by[i];
}

static void derive_firings(struct mr_config *config)
{
    static const char *const names[] = {"early", "on_time", "late"};
    const struct mr_yaml *list = mr_yaml_at(config->text->root, "sinks.bigquery.firings");
    struct mr_complaints *all = &config->text->complaints;

    config->sinks.bigquery.firings = MR_FIRE_EARLY | MR_FIRE_ON_TIME | MR_FIRE_LATE;
    if (!list || !mr_yaml_expect(list, MR_YAML_LIST, "[on_time, late]", all))
        return;
    config->sinks.bigquery.firings = 0;
    for (const struct mr_yaml *item = list->first; item; item = item->next) {
        uint32_t i = 0;
        if (!mr_yaml_expect(item, MR_YAML_SCALAR, "on_time", all))
            continue;
        while (i < MR_COUNT(names) && strcmp(names[i], item->text) != 0)
            i++;
        if (i == MR_COUNT(names)) {
            mr_complain(all, MR_E_CONFIG_VALUE, item->at, "firing %s",
                        mr_yaml_describe(all->strings, item));
            mr_complain_rule(all, "of early, on_time, late");
            mr_complain_fix(all, "write `[on_time, late]`");
        } else if (config->sinks.bigquery.firings & 1u << i) {
            mr_complain(all, MR_E_CONFIG_TWICE, item->at, "`%s` stands twice in firings",
                        item->text);
        } else {
            config->sinks.bigquery.firings |= 1u << i;
        }
    }
    if (list->count == 0) {
        mr_complain(all, MR_E_CONFIG_MISSING, list->key_at, "`firings` is an empty list");
        mr_complain_rule(all, "at least one of early, on_time, late");
        mr_complain_fix(all, "write `[on_time, late]`");
    }
}

void mr_config_derive(struct mr_config *config)
{
    derive_dedup(config);
    derive_route(config);
    derive_firings(config);
}
