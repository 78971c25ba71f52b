#include "core/setting.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/suggest.h"
#include "core/units.h"

#define NAMES_MAX 64

uint32_t mr_choices_split(struct mr_texts *strings, const char *choices, const char **words,
                          uint32_t max)
{
    uint32_t count = 0;

    while (count < max) {
        const char *bar = strchrnul(choices, '|');
        words[count++] = mr_texts_copy(strings, choices, (size_t)(bar - choices));
        if (*bar == '\0')
            break;
        choices = bar + 1;
    }
    return count;
}

static const char *joined(struct mr_texts *strings, const char *const *words, uint32_t count)
{
    const char *text = count ? words[0] : "";

    for (uint32_t i = 1; i < count; i++)
        text = mr_texts_print(strings, "%s, %s", text, words[i]);
    return text;
}

static void store(const struct mr_setting *setting, void *base, int64_t value)
{
    uint8_t *to = (uint8_t *)base + setting->offset;

    MR_ASSERT(setting->bytes == 1 || setting->bytes == 4 || setting->bytes == 8);
    memcpy(to, &value, setting->bytes); /* little-endian: the low bytes come first */
}

static int64_t load(const struct mr_setting *setting, const void *base)
{
    int64_t value = 0;

    memcpy(&value, (const uint8_t *)base + setting->offset, setting->bytes);
    return value;
}

static const char *parse_number(const struct mr_setting *setting, const char *text, int64_t *value)
{
    if ((setting->flags & MR_SETTING_AUTO) && strcmp(text, "auto") == 0) {
        *value = 0;
        return NULL;
    }
    if (setting->kind == MR_SETTING_DURATION)
        return mr_duration_parse(text, value);
    return setting->kind == MR_SETTING_SIZE ? mr_size_parse(text, value)
                                            : mr_count_parse(text, value);
}

static const char *print_number(const struct mr_setting *setting, int64_t value,
                                struct mr_texts *strings)
{
    char text[MR_UNITS_TEXT_BYTES];

    if ((setting->flags & MR_SETTING_AUTO) && value == 0)
        return "auto";
    if (setting->kind == MR_SETTING_DURATION)
        mr_duration_print(value, text);
    else if (setting->kind == MR_SETTING_SIZE)
        mr_size_print(value, text);
    else
        mr_count_print(value, text);
    return mr_texts_copy(strings, text, strlen(text));
}

static const char *number_example(const struct mr_setting *setting)
{
    if (setting->initial)
        return setting->initial;
    return setting->kind == MR_SETTING_DURATION ? "5m"
           : setting->kind == MR_SETTING_SIZE   ? "64MiB"
                                                : "1";
}

static bool read_number(const struct mr_setting *setting, void *base, const struct mr_yaml *node,
                        struct mr_complaints *all)
{
    static const char *const rules[] = {
        [MR_SETTING_COUNT] = "a whole number, with `_` between digits and k, M or G behind",
        [MR_SETTING_SIZE] =
            "a whole number with a unit: B, KB, MB, GB, TB (1000) or KiB, MiB, GiB, "
            "TiB (1024)",
        [MR_SETTING_DURATION] = "whole numbers with units us, ms, s, m, h, d, such as 250ms, 1h30m",
    };
    int64_t value;
    const char *wrong = parse_number(setting, node->text, &value);

    if (wrong) {
        mr_complain(all, MR_E_CONFIG_VALUE, node->at, "`%s` is %s: %s", setting->path,
                    mr_yaml_describe(all->strings, node), wrong);
        mr_complain_rule(all, "%s", rules[setting->kind]);
        mr_complain_fix(all, "write for example `%s`", number_example(setting));
        return false;
    }
    if (value < setting->min || value > setting->max) {
        mr_complain(all, MR_E_CONFIG_RANGE, node->at, "`%s` is %s", setting->path,
                    mr_yaml_describe(all->strings, node));
        mr_complain_rule(all, "%s to %s", print_number(setting, setting->min, all->strings),
                         print_number(setting, setting->max, all->strings));
        mr_complain_fix(all, "write `%s`",
                        print_number(setting, value < setting->min ? setting->min : setting->max,
                                     all->strings));
        return false;
    }
    store(setting, base, value);
    return true;
}

static bool read_choice(const struct mr_setting *setting, void *base, const struct mr_yaml *node,
                        struct mr_complaints *all)
{
    const char *words[NAMES_MAX];
    const char *choices = setting->kind == MR_SETTING_FLAG ? "false|true" : setting->choices;
    uint32_t count = mr_choices_split(all->strings, choices, words, NAMES_MAX);

    for (uint32_t i = 0; i < count; i++)
        if (strcmp(words[i], node->text) == 0) {
            store(setting, base, i);
            return true;
        }
    mr_complain(all, MR_E_CONFIG_VALUE, node->at, "`%s` is %s", setting->path,
                mr_yaml_describe(all->strings, node));
    mr_complain_rule(all, "one of %s", joined(all->strings, words, count));
    const char *near = mr_suggest(node->text, words, count);
    if (setting->kind == MR_SETTING_FLAG)
        near = strchr("yYoO1", node->text[0]) && strcasecmp(node->text, "off") ? "true" : "false";
    mr_complain_fix(all, near ? "did you mean `%s`?" : "write `%s`",
                    near               ? near
                    : setting->initial ? setting->initial
                                       : words[0]);
    return false;
}

static bool address_fits(const char *text)
{
    const char *colon = strrchr(text, ':');
    int64_t port;

    if (!colon || colon == text || mr_count_parse(colon + 1, &port) || strpbrk(text, "/ @"))
        return false;
    if (text[0] != '[' && memchr(text, ':', (size_t)(colon - text)))
        return false; /* a bare IPv6 address */
    return port >= 1 && port <= 65535 && strspn(colon + 1, "0123456789") == strlen(colon + 1);
}

static bool read_text(const struct mr_setting *setting, void *base, const struct mr_yaml *node,
                      struct mr_complaints *all)
{
    const char *text = node->text;

    if (text[0] == '\0') {
        mr_complain(all, MR_E_CONFIG_VALUE, node->at, "`%s` is empty", setting->path);
        mr_complain_rule(all, "%s", setting->help);
        return false;
    }
    if ((setting->flags & MR_SETTING_NONE) && strcmp(text, "none") == 0)
        text = NULL;
    else if ((setting->flags & MR_SETTING_ADDRESS) && !address_fits(text)) {
        mr_complain(all, MR_E_CONFIG_VALUE, node->at, "`%s` is %s", setting->path,
                    mr_yaml_describe(all->strings, node));
        mr_complain_rule(all, "host:port without a scheme, port 1 to 65535, IPv6 as [::1]:port");
        mr_complain_fix(all, "write for example `%s`",
                        setting->initial ? setting->initial : "127.0.0.1:9464");
        return false;
    }
    memcpy((uint8_t *)base + setting->offset, &text, sizeof text);
    return true;
}

bool mr_yaml_expect(const struct mr_yaml *node, enum mr_yaml_kind kind, const char *example,
                    struct mr_complaints *all)
{
    static const char *const names[] = {"one value", "a list", "a mapping"};
    bool nothing = node->kind == MR_YAML_SCALAR && !node->quoted && node->text[0] == '\0';
    bool null = node->kind == MR_YAML_SCALAR && !node->quoted &&
                (strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);

    if (node->kind == kind && !nothing && !null)
        return true;
    if (node->key)
        mr_complain(all, MR_E_CONFIG_KIND, node->at, "`%s` is %s", node->key,
                    mr_yaml_describe(all->strings, node));
    else
        mr_complain(all, MR_E_CONFIG_KIND, node->at, "here is %s",
                    mr_yaml_describe(all->strings, node));
    mr_complain_rule(all, "%s belongs here", names[kind]);
    if (nothing || null)
        mr_complain_fix(all, "write a value (%s), or leave the key out to take the default",
                        example);
    else
        mr_complain_fix(all, "write for example `%s`", example);
    return false;
}

bool mr_setting_read(const struct mr_setting *setting, void *base, const struct mr_yaml *node,
                     struct mr_complaints *all)
{
    const char *example = setting->initial ? setting->initial : setting->help;

    if (!mr_yaml_expect(node, MR_YAML_SCALAR, example, all))
        return false;
    if (setting->kind == MR_SETTING_TEXT)
        return read_text(setting, base, node, all);
    if (setting->kind == MR_SETTING_FLAG || setting->kind == MR_SETTING_CHOICE)
        return read_choice(setting, base, node, all);
    return read_number(setting, base, node, all);
}

void mr_settings_default(const struct mr_settings *settings, void *base)
{
    for (uint32_t i = 0; i < settings->count; i++) {
        const struct mr_setting *setting = &settings->rows[i];
        struct mr_texts strings = {NULL};
        struct mr_complaints none = {.strings = &strings};
        struct mr_yaml node = {.kind = MR_YAML_SCALAR, .text = setting->initial};
        if (setting->kind <= MR_SETTING_CHOICE && setting->initial)
            MR_ASSERT(mr_setting_read(setting, base, &node, &none));
        mr_texts_finish(&strings);
    }
}

/* The names that may stand directly under `prefix` ("" or "a.b."). */
static uint32_t names_below(const struct mr_settings *settings, const char *prefix,
                            const char **names, struct mr_texts *strings)
{
    size_t bytes = strlen(prefix);
    uint32_t count = 0;

    for (uint32_t i = 0; i < settings->count && count < NAMES_MAX; i++) {
        if (strncmp(settings->rows[i].path, prefix, bytes) != 0)
            continue;
        const char *name = settings->rows[i].path + bytes;
        size_t length = (size_t)(strchrnul(name, '.') - name);
        bool seen = false;
        for (uint32_t j = 0; j < count; j++)
            seen |= strlen(names[j]) == length && memcmp(names[j], name, length) == 0;
        if (!seen)
            names[count++] = mr_texts_copy(strings, name, length);
    }
    return count;
}

static void unknown_key(const struct mr_settings *settings, const char *prefix,
                        const struct mr_yaml *node, struct mr_complaints *all)
{
    const char *names[NAMES_MAX] = {NULL};
    uint32_t count = names_below(settings, prefix, names, all->strings);
    const char *near = mr_suggest(node->key, names, count);
    size_t bytes = strlen(prefix);

    mr_complain(all, MR_E_CONFIG_UNKNOWN_KEY, node->key_at, "unknown key `%.80s`", node->key);
    if (bytes)
        mr_complain_rule(all, "keys of %.*s are %s", (int)bytes - 1, prefix,
                         joined(all->strings, names, count));
    else
        mr_complain_rule(all, "keys of %s are %s", settings->of_what,
                         joined(all->strings, names, count));
    if (strcmp(node->key, "<<") == 0)
        mr_complain_fix(all, "merge keys are not taken: write the keys out");
    else if (near)
        mr_complain_fix(all, "did you mean `%s`?", near);
    else
        mr_complain_fix(all, "remove it");
}

static bool is_group(const struct mr_settings *settings, const char *path)
{
    size_t bytes = strlen(path);

    for (uint32_t i = 0; i < settings->count; i++)
        if (strncmp(settings->rows[i].path, path, bytes) == 0 &&
            settings->rows[i].path[bytes] == '.')
            return true;
    return false;
}

static void read_below(const struct mr_settings *settings, void *base, const struct mr_yaml *map,
                       const char *prefix, struct mr_complaints *all)
{
    for (const struct mr_yaml *node = map->first; node; node = node->next) {
        const char *path = mr_texts_print(all->strings, "%s%s", prefix, node->key);
        const struct mr_setting *setting = strchr(node->key, '.') ? NULL
                                                                  : mr_setting_find(settings, path);
        const char *below = mr_texts_print(all->strings, "%s.", path);
        if (setting && setting->kind <= MR_SETTING_CHOICE)
            mr_setting_read(setting, base, node, all);
        else if (!setting && !strchr(node->key, '.') && is_group(settings, path)) {
            if (mr_yaml_expect(node, MR_YAML_MAP, "{ key: value }", all))
                read_below(settings, base, node, below, all);
        } else if (!setting)
            unknown_key(settings, prefix, node, all);
    }
    for (uint32_t i = 0; i < settings->count; i++) {
        const struct mr_setting *setting = &settings->rows[i];
        size_t bytes = strlen(prefix);
        if (!(setting->flags & MR_SETTING_NEEDED) || strncmp(setting->path, prefix, bytes) != 0 ||
            strchr(setting->path + bytes, '.') || mr_yaml_get(map, setting->path + bytes))
            continue;
        mr_complain(all, MR_E_CONFIG_MISSING, map->key_at, "`%s` is missing", setting->path);
        mr_complain_rule(all, "%s: %s", setting->path + bytes, setting->help);
        mr_complain_fix(all, "add `%s`", setting->path + bytes);
    }
}

void mr_settings_read(const struct mr_settings *settings, void *base, const struct mr_yaml *node,
                      struct mr_complaints *complaints)
{
    read_below(settings, base, node, "", complaints);
}

const char *mr_yaml_quote(struct mr_texts *strings, const char *text)
{
    static const char safe[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+()";
    size_t bytes = strlen(text), out = 0;
    bool null = strcmp(text, "null") == 0;

    /* `:` and `-` are safe within, where no space follows. */
    bool plain = bytes && !null && strspn(text, safe) > 0;
    for (const char *c = text; *c && plain; c++)
        plain = strchr(safe, *c) || *c == '-' || (*c == ':' && c[1] && c[1] != '/');
    if (plain)
        return text;
    char *quoted = mr_texts_take(strings, 4 * bytes + 3);
    quoted[out++] = '"';
    for (const char *c = text; *c; c++) {
        if ((uint8_t)*c < 0x20 || *c == 0x7f) {
            out += (size_t)sprintf(quoted + out, "\\x%02x", (uint8_t)*c);
            continue;
        }
        if (*c == '"' || *c == '\\')
            quoted[out++] = '\\';
        if (*c == '$' && c[1] == '{')
            quoted[out++] = '$';
        quoted[out++] = *c;
    }
    quoted[out++] = '"';
    quoted[out] = '\0';
    return quoted;
}

const char *mr_setting_print(const struct mr_setting *setting, const void *base,
                             struct mr_texts *strings)
{
    const char *words[NAMES_MAX], *text;

    if (setting->kind == MR_SETTING_TEXT) {
        memcpy(&text, (const uint8_t *)base + setting->offset, sizeof text);
        if (!text)
            return setting->flags & MR_SETTING_NONE ? "none" : NULL;
        if (setting->flags & MR_SETTING_SECRET)
            text = mr_redact(strings, text);
        return mr_yaml_quote(strings, text);
    }
    int64_t value = load(setting, base);
    if (setting->kind == MR_SETTING_FLAG)
        return value ? "true" : "false";
    if (setting->kind == MR_SETTING_CHOICE) {
        uint32_t count = mr_choices_split(strings, setting->choices, words, NAMES_MAX);
        return value < count ? words[value] : NULL;
    }
    return print_number(setting, value, strings);
}
