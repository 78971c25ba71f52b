#include "core/config_parts.h"

#include <stdio.h>

#include "core/err.h"
#include "core/suggest.h"

#define FIELD_NAME_BYTES_MAX 128

uint32_t mr_config_field(const struct mr_config *config, const char *name)
{
    for (uint32_t i = 0; i < config->decode.field_count; i++)
        if (strcmp(config->decode.fields[i].name, name) == 0)
            return i;
    return UINT32_MAX;
}

uint32_t mr_config_field_of(struct mr_config *config, const struct mr_yaml *node, const char *name,
                            const char *user)
{
    struct mr_complaints *all = &config->text->complaints;
    const char *names[MR_FIELDS_MAX], *list = "";
    uint32_t count = config->decode.field_count, index = mr_config_field(config, name);

    if (index != UINT32_MAX || count == 0)
        return index;
    for (uint32_t i = 0; i < count; i++) {
        names[i] = config->decode.fields[i].name;
        list = mr_texts_print(all->strings, "%s%s%s", list, i ? ", " : "", names[i]);
    }
    const char *near = mr_suggest(name, names, count);
    mr_complain(all, MR_E_CONFIG_UNKNOWN_FIELD, node->at, "%s names `%.80s`, which is no field",
                user, name);
    mr_complain_also(all, mr_config_place(config->text->root, "decode.fields"), "defined here");
    mr_complain_rule(all, "the fields are %s", list);
    if (near)
        mr_complain_fix(all, "did you mean `%s`?", near);
    else
        mr_complain_fix(all, "define `%.80s` in decode.fields, or take one of those", name);
    return UINT32_MAX;
}

uint32_t mr_config_read_names(struct mr_config *config, const struct mr_yaml *list, uint32_t *out,
                              uint32_t max, const char *user)
{
    struct mr_complaints *all = &config->text->complaints;
    uint32_t count = 0;

    if (!mr_yaml_expect(list, MR_YAML_LIST, "[region, product_id]", all))
        return 0;
    for (const struct mr_yaml *item = list->first; item; item = item->next) {
        if (!mr_yaml_expect(item, MR_YAML_SCALAR, "region", all))
            continue;
        uint32_t index = mr_config_field_of(config, item, item->text, user);
        bool twice = false;
        if (index == UINT32_MAX)
            continue;
        for (uint32_t i = 0; i < count; i++)
            twice |= out[i] == index;
        if (twice) {
            mr_complain(all, MR_E_CONFIG_TWICE, item->at, "`%s` stands twice in %s", item->text,
                        user);
        } else if (count == max) {
            mr_complain(all, MR_E_CONFIG_TOO_MANY, item->at, "%u fields in %s", list->count, user);
            mr_complain_rule(all, "at most %u", max);
            return count;
        } else {
            out[count++] = index;
        }
    }
    return count;
}

static void name_of(struct mr_config *config, const struct mr_yaml *node)
{
    const char *name = node->key;
    size_t bytes = strlen(name);

    if (bytes && bytes <= FIELD_NAME_BYTES_MAX && !strpbrk(name, " \t\r\n.,()[]{}\"'`$"))
        return;
    mr_complain(&config->text->complaints, MR_E_CONFIG_NAME, node->key_at, "a field named `%.80s`",
                name);
    mr_complain_rule(&config->text->complaints,
                     "1 to %u bytes, without spaces, quotes, brackets, `.`, `,`, `$`",
                     FIELD_NAME_BYTES_MAX);
    mr_complain_fix(&config->text->complaints,
                    "take a plain name and say where it is with `from:`");
}

/* `amount: int`, `paid_at: event_time`, `seen_at: publish_time`. */
static bool read_word(struct mr_config *config, struct mr_field *field, const struct mr_yaml *node)
{
    struct mr_complaints *all = &config->text->complaints;

    if (strcmp(node->text, "publish_time") == 0) {
        field->type = MR_TYPE_EVENT_TIME;
        field->time_from = MR_TIME_FROM_PUBLISH;
        return true;
    }
    if (strcmp(node->text, "decimal") == 0) {
        mr_complain(all, MR_E_CONFIG_MISSING, node->at, "field `%s` is a decimal without a scale",
                    node->key);
        mr_complain_rule(all, "a decimal says its digits after the point, 0 to %u", MR_SCALE_MAX);
        mr_complain_fix(all, "write `{ decimal: 2 }`");
        return false;
    }
    return mr_setting_read(mr_setting_find(&mr_settings_field, "type"), field, node, all);
}

static bool is_short(const struct mr_yaml *node, const char *key)
{
    return mr_yaml_get(node, key) && !mr_yaml_get(node, "type");
}

/* `{ decimal: 2 }` and `{ attribute: ts }` carry their type in their key. */
static void read_long(struct mr_config *config, struct mr_field *field, const struct mr_yaml *node)
{
    struct mr_complaints *all = &config->text->complaints;
    struct mr_yaml long_form = *node;
    struct mr_yaml *copies = mr_texts_take(all->strings, sizeof *copies * (node->count + 1));
    uint32_t count = 0;
    static const struct mr_yaml decimal = {.text = "decimal", .key = "type"};
    static const struct mr_yaml event_time = {.text = "event_time", .key = "type"};

    if (!is_short(node, "decimal") && !is_short(node, "attribute")) {
        mr_settings_read(&mr_settings_field, field, node, all);
        return;
    }
    long_form.first = long_form.last = NULL;
    copies[count] = is_short(node, "decimal") ? decimal : event_time;
    mr_yaml_append(&long_form, &copies[count++]);
    for (const struct mr_yaml *child = node->first; child; child = child->next) {
        copies[count] = *child;
        copies[count].next = NULL;
        if (strcmp(child->key, "decimal") == 0)
            copies[count].key = "scale";
        mr_yaml_append(&long_form, &copies[count++]);
    }
    mr_settings_read(&mr_settings_field, field, &long_form, all);
}

static void read_path(struct mr_config *config, struct mr_field *field, const struct mr_yaml *from)
{
    struct mr_complaints *all = &config->text->complaints;
    const char *path = from->text;

    if (!mr_yaml_expect(from, MR_YAML_SCALAR, "payload.shop.region", all))
        return;
    field->path_count = 0;
    for (bool more = true; more;) {
        const char *dot = strchrnul(path, '.');
        if (dot == path || field->path_count == MR_PATH_MAX) {
            mr_complain(all, MR_E_CONFIG_VALUE, from->at, "`from` is %s",
                        mr_yaml_describe(all->strings, from));
            mr_complain_rule(all, "1 to %u keys with a point between two", MR_PATH_MAX);
            mr_complain_fix(all, "write for example `payload.shop.region`");
            return;
        }
        field->path[field->path_count++] = mr_texts_copy(all->strings, path, (size_t)(dot - path));
        more = *dot;
        path = dot + 1;
    }
}

static void unsuitable(struct mr_config *config, const struct mr_yaml *node, const char *key,
                       const char *rule)
{
    struct mr_complaints *all = &config->text->complaints;
    const struct mr_yaml *value = mr_yaml_get(node, key);

    mr_complain(all, MR_E_CONFIG_FIELD_TYPE, value->key_at, "`%s` on field `%s`", key, node->key);
    mr_complain_rule(all, "%s", rule);
    mr_complain_fix(all, "remove `%s`, or change the type", key);
}

/* Keys that only make sense with one type. */
static void check_keys(struct mr_config *config, const struct mr_field *field,
                       const struct mr_yaml *node)
{
    bool number = field->type == MR_TYPE_INT || field->type == MR_TYPE_DECIMAL;
    bool time = field->type == MR_TYPE_EVENT_TIME;
    struct mr_complaints *all = &config->text->complaints;

    if (mr_yaml_get(node, "scale") && field->type != MR_TYPE_DECIMAL)
        unsuitable(config, node, "scale", "only a decimal has a scale");
    if (mr_yaml_get(node, "unit") && !time)
        unsuitable(config, node, "unit", "only the event time has a unit");
    if (mr_yaml_get(node, "attribute") && !time)
        unsuitable(config, node, "attribute", "only the event time may come from an attribute");
    if (mr_yaml_get(node, "attribute") && mr_yaml_get(node, "from"))
        unsuitable(config, node, "from", "an attribute is no part of the payload");
    if (field->from_string && !number)
        unsuitable(config, node, "string", "only int and decimal may be written as strings");
    if (field->optional && time)
        unsuitable(config, node, "optional", "an order without event time belongs to no window");
    if (field->type == MR_TYPE_DECIMAL && !mr_yaml_get(node, "scale") &&
        !mr_yaml_get(node, "decimal")) {
        mr_complain(all, MR_E_CONFIG_MISSING, node->key_at,
                    "field `%s` is a decimal without a scale", node->key);
        mr_complain_rule(all, "a decimal says its digits after the point, 0 to %u", MR_SCALE_MAX);
        mr_complain_fix(all, "add `scale: 2`");
    }
}

static void read_field(struct mr_config *config, struct mr_field *field, const struct mr_yaml *node)
{
    struct mr_complaints *all = &config->text->complaints;
    uint32_t before = all->count;

    *field = (struct mr_field){.name = node->key, .path = {node->key}, .path_count = 1};
    name_of(config, node);
    if (node->kind != MR_YAML_MAP) {
        if (mr_yaml_expect(node, MR_YAML_SCALAR, "string", all))
            read_word(config, field, node);
    } else {
        read_long(config, field, node);
        if (mr_yaml_get(node, "from"))
            read_path(config, field, mr_yaml_get(node, "from"));
        if (all->count == before)
            check_keys(config, field, node);
        if (field->attribute)
            field->time_from = MR_TIME_FROM_ATTRIBUTE;
    }
    config->text->field_broken[config->decode.field_count] = all->count != before;
}

static void check_event_time(struct mr_config *config, const struct mr_yaml *fields)
{
    struct mr_complaints *all = &config->text->complaints;
    uint32_t found = UINT32_MAX;
    bool broken = false;

    for (uint32_t i = 0; i < config->decode.field_count; i++) {
        const struct mr_yaml *node = config->text->fields[i];
        broken |= config->text->field_broken[i];
        if (config->decode.fields[i].type != MR_TYPE_EVENT_TIME)
            continue;
        if (found != UINT32_MAX) {
            mr_complain(all, MR_E_CONFIG_EVENT_TIME, node->key_at, "`%s` is a second event time",
                        node->key);
            mr_complain_also(all, config->text->fields[found]->key_at, "the first");
            mr_complain_fix(all, "make `%s` a string or an int", node->key);
            continue;
        }
        found = i;
    }
    if (found == UINT32_MAX && !broken) {
        mr_complain(all, MR_E_CONFIG_EVENT_TIME, fields->key_at, "no field is the event time");
        mr_complain_fix(all, "write `timestamp: event_time`, or `{ attribute: ts }`, or "
                             "`publish_time`");
    }
    config->decode.event_time = found == UINT32_MAX ? 0 : found;
}

void mr_config_read_fields(struct mr_config *config)
{
    struct mr_complaints *all = &config->text->complaints;
    const struct mr_yaml *fields = mr_yaml_at(config->text->root, "decode.fields");

    if (!mr_yaml_get(config->text->root, "decode"))
        mr_complain(all, MR_E_CONFIG_MISSING, config->text->root->at, "`decode` is missing");
    if (!fields || !mr_yaml_expect(fields, MR_YAML_MAP, "{ amount: { decimal: 2 } }", all))
        return;
    for (const struct mr_yaml *node = fields->first; node; node = node->next) {
        if (config->decode.field_count == MR_FIELDS_MAX) {
            mr_complain(all, MR_E_CONFIG_TOO_MANY, node->key_at, "%u fields", fields->count);
            mr_complain_rule(all, "at most %u", MR_FIELDS_MAX);
            return;
        }
        config->text->fields[config->decode.field_count] = node;
        read_field(config, &config->decode.fields[config->decode.field_count], node);
        config->decode.field_count++;
    }
    check_event_time(config, fields);
}
