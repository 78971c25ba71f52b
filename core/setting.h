/* One scalar setting as a row of core/settings.def, and what can be done with a row: take its
 * default, read it from a tree, print it.
 *
 * Three tables: of the file, of one entry of `windows`, of one entry of `decode.fields`. Each row's
 * path is dotted and relative to its table; rows of structured kinds only reserve their name and
 * are read by core/config_fields.c and core/config_windows.c. */
#ifndef MR_CORE_SETTING_H
#define MR_CORE_SETTING_H

#include "core/yaml_tree.h"

enum mr_setting_kind {
    MR_SETTING_TEXT,     /* const char * */
    MR_SETTING_FLAG,     /* bool */
    MR_SETTING_COUNT,    /* unsigned, of any width */
    MR_SETTING_SIZE,     /* uint64_t, bytes */
    MR_SETTING_DURATION, /* int64_t, us */
    MR_SETTING_CHOICE,   /* enum in the order of `choices` */
    /* structured */
    MR_SETTING_FIELDS,
    MR_SETTING_WINDOWS,
    MR_SETTING_NAMES,
    MR_SETTING_NAME,
    MR_SETTING_AGGREGATES,
    MR_SETTING_FIRINGS,
};

enum {
    MR_SETTING_AUTO = 1,     /* `auto` stands for 0 */
    MR_SETTING_NONE = 2,     /* `none` stands for NULL */
    MR_SETTING_NEEDED = 4,   /* must be given where its mapping is given */
    MR_SETTING_SECRET = 8,   /* may hold a password before an `@` */
    MR_SETTING_ADDRESS = 16, /* host:port */
};

#define MR_SETTING_DAY_US INT64_C(86400000000)

struct mr_setting {
    const char *path;
    enum mr_setting_kind kind;
    size_t offset, bytes; /* of the member within the table's struct */
    int64_t min, max;     /* COUNT, SIZE, DURATION */
    const char *initial;  /* default as people write it; NULL: none, or derived */
    const char *choices;  /* "a|b|c" */
    uint32_t flags;
    const char *help;
};

struct mr_settings {
    const struct mr_setting *rows;
    uint32_t count;
    const char *of_what; /* "a window", for messages */
};

extern const struct mr_settings mr_settings_file, mr_settings_window, mr_settings_field;

void mr_settings_default(const struct mr_settings *settings, void *base);

/* Reads every scalar row given in the map `node`, and complains about keys that no row has, values
 * that do not fit, and mappings without their needed keys. */
void mr_settings_read(const struct mr_settings *settings, void *base, const struct mr_yaml *node,
                      struct mr_complaints *complaints);

/* One scalar; false after a complaint. */
bool mr_setting_read(const struct mr_setting *setting, void *base, const struct mr_yaml *node,
                     struct mr_complaints *complaints);
const struct mr_setting *mr_setting_find(const struct mr_settings *settings, const char *path);

/* The value as YAML that reads back the same; NULL if it is an absent text. Secrets come redacted.
 */
const char *mr_setting_print(const struct mr_setting *setting, const void *base,
                             struct mr_texts *strings);
/* `text` as a YAML scalar that reads back as just this text. */
const char *mr_yaml_quote(struct mr_texts *strings, const char *text);
/* The names of "a|b|c" in words[max]; returns their number. */
uint32_t mr_choices_split(struct mr_texts *strings, const char *choices, const char **words,
                          uint32_t max);
/* False after a complaint if the node is not of that kind. */
bool mr_yaml_expect(const struct mr_yaml *node, enum mr_yaml_kind kind, const char *example,
                    struct mr_complaints *complaints);

#endif
