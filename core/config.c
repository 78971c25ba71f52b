#include "core/config.h"

#include <errno.h>
#include <stdlib.h>

#include "core/config_parts.h"
#include "core/err.h"

/* The whole file, NULL after a complaint; one byte more than may be is read to see the excess. */
static const char *read_file(struct mr_config_text *text, const char *path, size_t *bytes)
{
    struct mr_complaints *all = &text->complaints;
    bool standard = strcmp(path, "-") == 0;
    FILE *in = standard ? stdin : fopen(path, "rb");
    struct mr_place start = {.line = 1, .column = 1};

    if (!in) {
        mr_complain(all, MR_E_FILE_OPEN, start, "it cannot be opened: %s", strerror(errno));
        return NULL;
    }
    char *source = mr_texts_take(&text->strings, MR_YAML_BYTES_MAX + 1);
    errno = 0;
    *bytes = fread(source, 1, MR_YAML_BYTES_MAX + 1, in);
    bool broken = ferror(in);
    if (broken)
        mr_complain(all, MR_E_FILE_READ, start, "it cannot be read: %s", strerror(errno));
    else if (*bytes > MR_YAML_BYTES_MAX)
        mr_complain(all, MR_E_CONFIG_TOO_LARGE, start, "more than %d bytes", MR_YAML_BYTES_MAX);
    if (!standard)
        fclose(in);
    return broken || *bytes > MR_YAML_BYTES_MAX ? NULL : source;
}

static bool read_tree(struct mr_config_text *text, const char *path)
{
    struct mr_complaints *all = &text->complaints;
    struct mr_place start = {.line = 1, .column = 1};
    size_t bytes = 0;
    const char *source = read_file(text, path, &bytes);

    if (!source)
        return false;
    all->source = mr_span_of(source, bytes);
    uint32_t before = all->count;
    text->root = mr_yaml_parse(all, all->source, start);
    if (!text->root) {
        if (all->count == before)
            mr_complain(all, MR_E_CONFIG_EMPTY, start, "there is no setting in it");
        return false;
    }
    return mr_yaml_expect(text->root, MR_YAML_MAP, "source: { file: orders.ndjson }", all);
}

static void remember_sets(struct mr_config_text *text, const struct mr_config_set *sets,
                          uint32_t count)
{
    const char **said = mr_texts_take(&text->strings, sizeof *said * (count + 1));

    for (uint32_t i = 0; i < count; i++)
        said[i] = mr_texts_print(&text->strings, "%s=%s", sets[i].path, sets[i].value);
    text->complaints.sets = said;
    text->complaints.set_count = count;
}

static void read_values(struct mr_config *config)
{
    struct mr_config_text *text = config->text;

    mr_settings_default(&mr_settings_file, config);
    mr_settings_read(&mr_settings_file, config, text->root, &text->complaints);
    mr_config_read_fields(config);
    mr_config_read_windows(config);
    mr_config_derive(config);
    mr_config_check(config);
}

uint32_t mr_config_read(struct mr_config *config, const char *path,
                        const struct mr_config_set *sets, uint32_t set_count, FILE *errors)
{
    struct mr_config_text *text = calloc(1, sizeof *text);

    MR_ASSERT(text);
    memset(config, 0, sizeof *config);
    config->text = text;
    text->complaints.strings = &text->strings;
    text->complaints.path = text->file = strcmp(path, "-") == 0
                                             ? "standard input"
                                             : mr_texts_copy(&text->strings, path, strlen(path));
    remember_sets(text, sets, set_count);
    if (read_tree(text, path)) {
        mr_config_unfold(text);
        mr_config_apply_sets(text, sets, set_count);
        mr_config_unfold(text);
        mr_config_expand(text);
        read_values(config);
    }
    return mr_complaints_print(&text->complaints, errors);
}

void mr_config_finish(struct mr_config *config)
{
    if (!config->text)
        return;
    mr_texts_finish(&config->text->strings);
    free(config->text);
    memset(config, 0, sizeof *config);
}
