#include "core/config_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/units.h"

/* A scalar where a mapping could stand is the short form of its one key. */
static const struct short_form {
    const char *path, *key;
} short_forms[] = {{"source.file", "path"}, {"sinks.file", "path"}, {"decode.dedup", "by"}};

static bool has_text(const struct mr_yaml *node)
{
    return node && node->kind == MR_YAML_SCALAR && (node->text[0] || node->quoted);
}

void mr_config_unfold(struct mr_config_text *text)
{
    for (uint32_t i = 0; i < MR_COUNT(short_forms); i++) {
        struct mr_yaml *node = mr_yaml_at(text->root, short_forms[i].path);
        if (!has_text(node))
            continue;
        struct mr_yaml *value = mr_texts_take(&text->strings, sizeof *value);
        *value = *node;
        value->key = short_forms[i].key;
        value->next = NULL;
        node->kind = MR_YAML_MAP;
        node->text = NULL;
        mr_yaml_append(node, value);
    }
    struct mr_yaml *workers = mr_yaml_at(text->root, "workers");
    if (has_text(workers) && strcmp(workers->text, "auto") == 0)
        workers->kind = MR_YAML_MAP;
}

static void refuse_set(struct mr_config_text *text, struct mr_place at, const char *what)
{
    mr_complain(&text->complaints, MR_E_CONFIG_SET, at, "%s", what);
}

/* The child of `node` called `step`, made if it can be; NULL after a complaint. */
static struct mr_yaml *child_for(struct mr_config_text *text, struct mr_yaml *node,
                                 const char *step, struct mr_place at)
{
    struct mr_yaml *child;

    if (node->kind == MR_YAML_LIST) {
        int64_t index;
        if (mr_count_parse(step, &index) || index > node->count) {
            refuse_set(text, at,
                       mr_texts_print(&text->strings, "`%.80s` is no item of a list of %u", step,
                                      node->count));
            return NULL;
        }
        child = mr_yaml_item(node, (uint32_t)index);
    } else {
        if (node->kind == MR_YAML_SCALAR) /* `workers: auto`, then --set workers.batch=64 */
            node->kind = MR_YAML_MAP;
        child = mr_yaml_get(node, step);
    }
    if (child)
        return child;
    child = mr_texts_take(&text->strings, sizeof *child);
    child->kind = MR_YAML_MAP;
    child->at = child->key_at = at;
    child->key = node->kind == MR_YAML_LIST ? NULL : step;
    mr_yaml_append(node, child);
    return child;
}

static void replace(struct mr_yaml *node, const struct mr_yaml *value, struct mr_place key_at)
{
    struct mr_yaml *after = node->next;
    const char *key = node->key;

    *node = *value;
    node->next = after;
    node->key = key;
    node->key_at = key ? key_at : node->at;
}

static void apply_set(struct mr_config_text *text, const struct mr_config_set *set, uint32_t number)
{
    struct mr_place at = {number, 1, 1, (uint32_t)strlen(set->path)};
    struct mr_place value_at = {number, 1, (uint32_t)strlen(set->path) + 2, 1};
    struct mr_yaml *node = text->root;
    const char *path = set->path;

    /* A lone dash means a standard stream here; to YAML it would begin a list. */
    const char *words = strcmp(set->value, "-") == 0 ? "\"-\"" : set->value;
    struct mr_yaml *value = mr_yaml_parse(&text->complaints, mr_span_text(words), value_at);
    if (!value) {
        if (set->value[strspn(set->value, " ")] == '\0')
            refuse_set(text, at, "no value behind `=`");
        return;
    }
    for (uint32_t depth = 0; node && path; depth++) {
        const char *dot = strchrnul(path, '.');
        const char *step = mr_texts_copy(&text->strings, path, (size_t)(dot - path));
        if (*step == '\0' || depth == MR_YAML_DEPTH_MAX) {
            refuse_set(text, at, "the path has an empty or an excessive step");
            return;
        }
        node = child_for(text, node, step, at);
        path = *dot ? dot + 1 : NULL;
    }
    if (node)
        replace(node, value, at);
}

void mr_config_apply_sets(struct mr_config_text *text, const struct mr_config_set *sets,
                          uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        apply_set(text, &sets[i], i + 1);
}

/* One ${NAME} or ${NAME:default} at `from`; returns what follows it, NULL after a complaint. */
static const char *expand_one(struct mr_config_text *text, struct mr_yaml *node, const char *from,
                              const char **filled)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    size_t bytes = strspn(from + 2, letters);
    const char *name = mr_texts_copy(&text->strings, from + 2, bytes);
    const char *behind = from + 2 + bytes, *close = strchr(behind, '}');

    if (bytes == 0 || !close || (*behind != '}' && *behind != ':') || name[0] <= '9') {
        mr_complain(&text->complaints, MR_E_CONFIG_VARIABLE, node->at,
                    "a `${` that begins no variable");
        mr_complain_rule(&text->complaints, "${NAME} or ${NAME:default}, NAME of letters, digits "
                                            "and _; write $${ for a plain ${");
        mr_complain_fix(&text->complaints, "close it with `}`, or write `$${`");
        return NULL;
    }
    const char *value = getenv(name);
    if (!value && *behind == '}') {
        mr_complain(&text->complaints, MR_E_CONFIG_VARIABLE, node->at,
                    "environment variable `%s` is not set", name);
        mr_complain_fix(&text->complaints, "set it, or give a default: ${%s:value}", name);
        return NULL;
    }
    node->variable = name;
    *filled = value ? value
                    : mr_texts_copy(&text->strings, behind + 1, (size_t)(close - behind - 1));
    return close + 1;
}

static bool value_is_text(const char *value)
{
    for (const char *c = value; *c; c++)
        if ((uint8_t)*c < 0x20 || *c == 0x7f)
            return false;
    return true;
}

static void expand_scalar(struct mr_config_text *text, struct mr_yaml *node)
{
    const char *done = "", *from = node->text, *dollar;

    while ((dollar = strstr(from, "${"))) {
        const char *filled = "${", *rest = dollar + 2;
        size_t before = (size_t)(dollar - from);
        if (before && dollar[-1] == '$')
            before--;
        else if (!(rest = expand_one(text, node, dollar, &filled)))
            return;
        else if (!value_is_text(filled)) {
            mr_complain(&text->complaints, MR_E_CONFIG_VARIABLE, node->at,
                        "environment variable `%s` holds control characters", node->variable);
            return;
        }
        done = mr_texts_print(&text->strings, "%s%.*s%s", done, (int)before, from, filled);
        from = rest;
    }
    if (from != node->text)
        node->text = mr_texts_print(&text->strings, "%s%s", done, from);
}

static void expand(struct mr_config_text *text, struct mr_yaml *node)
{
    if (node->kind == MR_YAML_SCALAR)
        expand_scalar(text, node);
    else
        for (struct mr_yaml *child = node->first; child; child = child->next)
            expand(text, child);
}

void mr_config_expand(struct mr_config_text *text)
{
    expand(text, text->root);
}

struct mr_place mr_config_place(const struct mr_yaml *node, const char *path)
{
    struct mr_place at = node->key_at;
    char step[128];

    for (bool more = true; more;) {
        const char *dot = strchrnul(path, '.');
        snprintf(step, sizeof step, "%.*s", (int)(dot - path), path);
        node = mr_yaml_get(node, step);
        if (!node)
            return at;
        more = *dot;
        at = more || node->kind != MR_YAML_SCALAR ? node->key_at : node->at;
        path = more ? dot + 1 : path;
    }
    return at;
}
