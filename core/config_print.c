#include "core/config_parts.h"

#include <stdlib.h>

/* Writes `a.b.c: value` lines as nested YAML: parents are opened when their first child comes. */
struct printer {
    const struct mr_config *config;
    struct mr_texts *texts;
    FILE *out;
    int indent;       /* of the first step of a path */
    bool item;        /* the next line begins an item of a list */
    const char *last; /* path printed before this one */
};

static const char *origin(struct printer *p, const struct mr_yaml *top, const char *path)
{
    const struct mr_yaml *node = top && path ? mr_yaml_at(top, path) : top;

    if (!node)
        return "default";
    if (node->at.set)
        return "--set";
    if (node->variable)
        return mr_texts_print(p->texts, "env %s", node->variable);
    return mr_texts_print(p->texts, "%s:%u", p->config->text->file, node->at.line);
}

/* How many bytes of whole steps `a` and `b` share, the point included. */
static size_t shared(const char *a, const char *b)
{
    size_t steps = 0;

    for (size_t i = 0; a[i] && a[i] == b[i]; i++)
        if (a[i] == '.')
            steps = i + 1;
    return steps;
}

static void start_line(struct printer *p, int depth)
{
    int indent = p->indent + 2 * depth;

    fprintf(p->out, "%*s%s", p->item ? indent - 2 : indent, "", p->item ? "- " : "");
    p->item = false;
}

static void line(struct printer *p, const char *path, const char *value, const char *from)
{
    size_t common = p->last ? shared(p->last, path) : 0;
    int depth = 0;

    for (size_t i = 0; i < common; i++)
        depth += path[i] == '.';
    for (const char *at = path + common;; depth++) {
        const char *dot = strchrnul(at, '.');
        start_line(p, depth);
        fprintf(p->out, "%.*s:", (int)(dot - at), at);
        if (*dot == '\0')
            break;
        fputc('\n', p->out);
        at = dot + 1;
    }
    if (value)
        fprintf(p->out, " %s", value);
    fprintf(p->out, from ? "  # %s\n" : "\n", from);
    p->last = path;
}

static const char *names(struct printer *p, const uint32_t *fields, uint32_t count)
{
    const char *text = "";

    for (uint32_t i = 0; i < count; i++)
        text = mr_texts_print(p->texts, "%s%s%s", text, i ? ", " : "",
                              mr_yaml_quote(p->texts, p->config->decode.fields[fields[i]].name));
    return mr_texts_print(p->texts, "[%s]", text);
}

static const char *aggregates(struct printer *p, const struct mr_window *window)
{
    const char *text = "";

    for (uint32_t i = 0; i < window->aggregate_count; i++) {
        const struct mr_aggregate *aggregate = &window->aggregates[i];
        const char *name = mr_aggregate_name(aggregate->kind);
        if (aggregate->kind != MR_COUNT_OF)
            name = mr_texts_print(p->texts, "%s(%s)", name,
                                  p->config->decode.fields[aggregate->field].name);
        text = mr_texts_print(p->texts, "%s%s%s", text, i ? ", " : "",
                              mr_yaml_quote(p->texts, name));
    }
    return mr_texts_print(p->texts, "[%s]", text);
}

static const char *firings(uint32_t bits)
{
    static const char *const texts[] = {
        "[]",     "[early]",       "[on_time]",       "[early, on_time]",
        "[late]", "[early, late]", "[on_time, late]", "[early, on_time, late]"};
    return texts[bits & 7];
}

static const char *path_of(struct printer *p, const struct mr_field *field)
{
    const char *path = field->path[0];

    for (uint32_t i = 1; i < field->path_count; i++)
        path = mr_texts_print(p->texts, "%s.%s", path, field->path[i]);
    return path;
}

static const char *field_value(struct printer *p, const struct mr_field *field)
{
    const char *text = "";
    const char *path = path_of(p, field);

    if (field->time_from == MR_TIME_FROM_PUBLISH)
        return "publish_time";
    for (uint32_t i = 0; i < mr_settings_field.count; i++) {
        const struct mr_setting *row = &mr_settings_field.rows[i];
        bool scale = strcmp(row->path, "scale") == 0, from = strcmp(row->path, "from") == 0;
        if (from ? strcmp(path, field->name) == 0 : scale && field->type != MR_TYPE_DECIMAL)
            continue;
        const char *value = from ? mr_yaml_quote(p->texts, path)
                                 : mr_setting_print(row, field, p->texts);
        if (!value || (row->initial && strcmp(value, row->initial) == 0))
            continue;
        text = mr_texts_print(p->texts, "%s%s%s: %s", text, *text ? ", " : "", row->path, value);
    }
    return mr_texts_print(p->texts, "{ %s }", text);
}

static void print_fields(struct printer *p)
{
    const struct mr_yaml *fields = mr_yaml_at(p->config->text->root, "decode.fields");

    line(p, "decode.fields", NULL, NULL);
    for (uint32_t i = 0; i < p->config->decode.field_count; i++) {
        const struct mr_field *field = &p->config->decode.fields[i];
        fprintf(p->out, "    %s: %s  # %s\n", mr_yaml_quote(p->texts, field->name),
                field_value(p, field), origin(p, mr_yaml_get(fields, field->name), NULL));
    }
}

/* A number without a default that was not given: a trigger that is not there. */
static bool is_unset(const struct mr_setting *row, const char *value)
{
    return !row->initial && (strcmp(value, "0s") == 0 || strcmp(value, "0") == 0);
}

static void print_window(struct printer *p, const struct mr_window *window,
                         const struct mr_yaml *node)
{
    p->last = NULL;
    p->indent = 4;
    p->item = true;
    for (uint32_t i = 0; i < mr_settings_window.count; i++) {
        const struct mr_setting *row = &mr_settings_window.rows[i];
        const char *value = row->kind == MR_SETTING_NAMES
                                ? names(p, window->group_by, window->group_count)
                            : row->kind == MR_SETTING_AGGREGATES
                                ? aggregates(p, window)
                                : mr_setting_print(row, window, p->texts);
        if (value && !is_unset(row, value))
            line(p, row->path, value, origin(p, node, row->path));
    }
    p->indent = 0;
}

static void print_windows(struct printer *p)
{
    line(p, "windows", NULL, NULL);
    for (uint32_t w = 0; w < p->config->window_count; w++)
        print_window(p, &p->config->windows[w], p->config->text->windows[w]);
    p->last = "windows";
}

/* A mapping whose needed text is absent is not in force: source.pubsub of a file source. */
static bool in_force(const struct mr_config *config, const char *path)
{
    const char *point = strrchr(path, '.');
    size_t bytes = point ? (size_t)(point - path) + 1 : 0;

    for (uint32_t i = 0; bytes && i < mr_settings_file.count; i++) {
        const struct mr_setting *row = &mr_settings_file.rows[i];
        const char *text;
        if (!(row->flags & MR_SETTING_NEEDED) || row->kind != MR_SETTING_TEXT ||
            strncmp(row->path, path, bytes) != 0 || strchr(row->path + bytes, '.'))
            continue;
        memcpy(&text, (const uint8_t *)config + row->offset, sizeof text);
        return text != NULL;
    }
    return true;
}

static const char *structured(struct printer *p, const struct mr_setting *row)
{
    const struct mr_config *config = p->config;

    if (row->kind == MR_SETTING_NAMES)
        return names(p, config->route_by, config->route_count);
    if (row->kind == MR_SETTING_FIRINGS)
        return firings(config->sinks.bigquery.firings);
    if (row->kind == MR_SETTING_NAME && config->decode.dedup_by == MR_DEDUP_FIELD)
        return mr_yaml_quote(p->texts, config->decode.fields[config->decode.dedup_field].name);
    return NULL;
}

void mr_config_print_effective(const struct mr_config *config, FILE *out)
{
    struct mr_texts texts = {NULL};
    struct printer p = {.config = config, .texts = &texts, .out = out};

    for (uint32_t i = 0; i < mr_settings_file.count; i++) {
        const struct mr_setting *row = &mr_settings_file.rows[i];
        if (!in_force(config, row->path))
            continue;
        if (row->kind == MR_SETTING_FIELDS) {
            print_fields(&p);
        } else if (row->kind == MR_SETTING_WINDOWS) {
            print_windows(&p);
        } else {
            const char *value = row->kind <= MR_SETTING_CHOICE
                                    ? mr_setting_print(row, config, &texts)
                                    : structured(&p, row);
            if (value)
                line(&p, row->path, value, origin(&p, config->text->root, row->path));
        }
    }
    mr_texts_finish(&texts);
}
