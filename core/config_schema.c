#include "core/config_parts.h"

#include <stdio.h>

#include "core/units.h"

static void text(FILE *out, const char *words)
{
    fputc('"', out);
    for (const char *c = words; *c; c++) {
        if (*c == '"' || *c == '\\')
            fputc('\\', out);
        fputc(*c, out);
    }
    fputc('"', out);
}

static void choices(FILE *out, const char *list)
{
    fputs("{\"enum\": [\"", out);
    for (const char *c = list; *c; c++)
        *c == '|' ? fputs("\", \"", out) : fputc(*c, out);
    fputs("\"]}", out);
}

static void object(FILE *out, const struct mr_settings *settings, const char *prefix);

/* The shape of one value, without what may stand in its place everywhere (a variable). */
static void value(FILE *out, const struct mr_setting *row)
{
    switch (row->kind) {
    case MR_SETTING_TEXT:
    case MR_SETTING_NAME:
        fputs("{\"type\": \"string\", \"minLength\": 1}", out);
        break;
    case MR_SETTING_FLAG:
        fputs("{\"type\": \"boolean\"}", out);
        break;
    case MR_SETTING_COUNT:
        fprintf(out,
                "{\"type\": \"integer\", \"minimum\": %lld, \"maximum\": %lld}, {\"type\": "
                "\"string\", \"pattern\": \"^[0-9][0-9_]*[kMG]?$\"}%s",
                (long long)row->min, (long long)row->max,
                row->flags & MR_SETTING_AUTO ? ", {\"const\": \"auto\"}" : "");
        break;
    case MR_SETTING_SIZE:
        fputs("{\"type\": \"string\", \"pattern\": \"^[0-9][0-9_]*([KMGT]i?)?B$\"}", out);
        break;
    case MR_SETTING_DURATION:
        fputs("{\"const\": 0}, {\"type\": \"string\", \"pattern\": "
              "\"^-?([0-9][0-9_]*(us|ms|s|m|h|d))+$\"}",
              out);
        break;
    case MR_SETTING_CHOICE:
        choices(out, row->choices);
        break;
    case MR_SETTING_NAMES:
        fprintf(out,
                "{\"type\": \"array\", \"items\": {\"type\": \"string\"}, \"uniqueItems\": true, "
                "\"maxItems\": %d}",
                MR_GROUP_FIELDS_MAX);
        break;
    case MR_SETTING_AGGREGATES:
        fprintf(out,
                "{\"type\": \"array\", \"minItems\": 1, \"maxItems\": %d, \"uniqueItems\": true, "
                "\"items\": {\"type\": \"string\", \"pattern\": "
                "\"^(count|(sum|min|max|avg)\\\\(.+\\\\))$\"}}",
                MR_AGGREGATES_MAX);
        break;
    case MR_SETTING_FIRINGS:
        fputs("{\"type\": \"array\", \"minItems\": 1, \"uniqueItems\": true, \"items\": {\"enum\": "
              "[\"early\", \"on_time\", \"late\"]}}",
              out);
        break;
    case MR_SETTING_FIELDS:
        fprintf(
            out,
            "{\"type\": \"object\", \"maxProperties\": %d, \"additionalProperties\": {\"anyOf\":"
            " [{\"enum\": [\"string\", \"int\", \"bool\", \"event_time\", \"publish_time\"]}, "
            "{\"type\": \"object\", \"properties\": {\"decimal\": {\"$ref\": "
            "\"#/$defs/scale\"}}, \"required\": [\"decimal\"]}, {\"type\": \"object\", "
            "\"required\": [\"attribute\"]}, ",
            MR_FIELDS_MAX);
        object(out, &mr_settings_field, "");
        fputs("]}}", out);
        break;
    case MR_SETTING_WINDOWS:
        fprintf(out, "{\"type\": \"array\", \"minItems\": 1, \"maxItems\": %d, \"items\": ",
                MR_WINDOWS_MAX);
        object(out, &mr_settings_window, "");
        fputs("}", out);
        break;
    }
}

static void leaf(FILE *out, const struct mr_setting *row)
{
    fputs("{\"description\": ", out);
    text(out, row->help);
    if (row->initial) {
        fputs(", \"default\": ", out);
        if (row->kind == MR_SETTING_FLAG)
            fputs(row->initial, out);
        else
            text(out, row->initial);
    }
    fputs(", \"anyOf\": [", out);
    value(out, row);
    fputs(", {\"$ref\": \"#/$defs/variable\"}]}", out);
}

/* `file: x` and `workers: auto` stand for a mapping. */
static bool has_short_form(const char *path)
{
    return strcmp(path, "source.file") == 0 || strcmp(path, "sinks.file") == 0 ||
           strcmp(path, "decode.dedup") == 0 || strcmp(path, "workers") == 0;
}

static void property(FILE *out, const struct mr_settings *settings, const struct mr_setting *row,
                     const char *prefix)
{
    const char *name = row->path + strlen(prefix), *dot = strchr(name, '.');
    char path[128], below[128];

    if (!dot) {
        text(out, name);
        fputs(": ", out);
        leaf(out, row);
        return;
    }
    snprintf(path, sizeof path, "%.*s", (int)(dot - row->path), row->path);
    snprintf(below, sizeof below, "%.*s.", (int)(dot - row->path), row->path);
    text(out, path + strlen(prefix));
    fputs(has_short_form(path) ? ": {\"anyOf\": [{\"type\": \"string\"}, " : ": ", out);
    object(out, settings, below);
    if (has_short_form(path))
        fputs("]}", out);
}

/* True for the first row of those that share its next step below the prefix. */
static bool opens_step(const struct mr_settings *settings, const struct mr_setting *row,
                       const char *prefix)
{
    size_t bytes = strlen(prefix), step = strcspn(row->path + bytes, ".") + bytes;

    for (const struct mr_setting *other = settings->rows; other < row; other++)
        if (strncmp(other->path, row->path, step) == 0 && other->path[step] == '.')
            return false;
    return true;
}

static void object(FILE *out, const struct mr_settings *settings, const char *prefix)
{
    size_t bytes = strlen(prefix);
    const char *comma = "";

    fputs("{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {", out);
    for (uint32_t i = 0; i < settings->count; i++) {
        const struct mr_setting *row = &settings->rows[i];
        if (strncmp(row->path, prefix, bytes) != 0 || !opens_step(settings, row, prefix))
            continue;
        fprintf(out, "%s\n", comma);
        property(out, settings, row, prefix);
        comma = ",";
    }
    fputs("}, \"required\": [", out);
    comma = "";
    for (uint32_t i = 0; i < settings->count; i++) {
        const struct mr_setting *row = &settings->rows[i];
        if (!(row->flags & MR_SETTING_NEEDED) || strncmp(row->path, prefix, bytes) != 0 ||
            strchr(row->path + bytes, '.'))
            continue;
        fputs(comma, out);
        text(out, row->path + bytes);
        comma = ", ";
    }
    fputs(settings == &mr_settings_file && !bytes ? ", \"source\", \"decode\", \"sinks\"]" : "]",
          out);
    if (bytes || settings != &mr_settings_file)
        fputs("}", out);
}

void mr_config_print_schema(FILE *out)
{
    object(out, &mr_settings_file, "");
    fprintf(out,
            ",\n\"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
            "\"title\": \"millrace configuration\",\n\"$defs\": {\n"
            "\"variable\": {\"type\": \"string\", \"pattern\": "
            "\"\\\\$\\\\{[A-Za-z_][A-Za-z0-9_]*(:[^}]*)?\\\\}\"},\n"
            "\"scale\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": %d}}}\n",
            MR_SCALE_MAX);
}

static const char *bound(const struct mr_setting *row, int64_t number,
                         char words[MR_UNITS_TEXT_BYTES])
{
    if (row->kind == MR_SETTING_DURATION)
        return mr_duration_print(number, words);
    return row->kind == MR_SETTING_SIZE ? mr_size_print(number, words)
                                        : mr_count_print(number, words);
}

static void reference_row(FILE *out, const struct mr_setting *row, const char *prefix)
{
    static const char *const kinds[] = {"text",    "true, false", "count", "size", "time", "",
                                        "mapping", "list",        "names", "name", "list", "list"};
    char least[MR_UNITS_TEXT_BYTES], most[MR_UNITS_TEXT_BYTES];
    bool number = row->kind >= MR_SETTING_COUNT && row->kind <= MR_SETTING_DURATION;

    fprintf(out, "| `%s%s` | ", prefix, row->path);
    for (const char *c = row->choices ? row->choices : kinds[row->kind]; *c; c++)
        *c == '|' ? fputs(", ", out) : fputc(*c, out);
    if (number && row->min > INT64_MIN / 4)
        fprintf(out, " | %s to %s | ", bound(row, row->min, least), bound(row, row->max, most));
    else
        fputs(number ? " | any | " : " | | ", out);
    fprintf(out, "%s | %s |\n",
            row->initial                     ? row->initial
            : row->flags & MR_SETTING_NEEDED ? "needed"
                                             : "",
            row->help);
}

void mr_config_print_reference(FILE *out)
{
    fputs("| setting | kind | range | default | meaning |\n|---|---|---|---|---|\n", out);
    for (uint32_t i = 0; i < mr_settings_file.count; i++)
        reference_row(out, &mr_settings_file.rows[i], "");
    for (uint32_t i = 0; i < mr_settings_field.count; i++)
        reference_row(out, &mr_settings_field.rows[i], "decode.fields.NAME.");
    for (uint32_t i = 0; i < mr_settings_window.count; i++)
        reference_row(out, &mr_settings_window.rows[i], "windows.N.");
}
