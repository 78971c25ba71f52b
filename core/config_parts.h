/* What the files core/config_*.c share: the tree behind a configuration and the steps of reading
 * it, in the order mr_config_read takes them. Private to those files. */
#ifndef MR_CORE_CONFIG_PARTS_H
#define MR_CORE_CONFIG_PARTS_H

#include "core/config.h"
#include "core/setting.h"

struct mr_config_text {
    struct mr_texts strings;
    struct mr_complaints complaints;
    struct mr_yaml *root;
    const char *file;                            /* as given to mr_config_read */
    const struct mr_yaml *fields[MR_FIELDS_MAX]; /* node of each decode field */
    bool field_broken[MR_FIELDS_MAX];            /* complained about: no rule builds on it */
    const struct mr_yaml *windows[MR_WINDOWS_MAX];
};

/* Tree to tree: short forms become the long ones, --set replaces, ${VAR} is filled in. */
void mr_config_unfold(struct mr_config_text *text);
void mr_config_apply_sets(struct mr_config_text *text, const struct mr_config_set *sets,
                          uint32_t count);
void mr_config_expand(struct mr_config_text *text);

/* Tree to values; each complains about its part. */
void mr_config_read_fields(struct mr_config *config);
void mr_config_read_windows(struct mr_config *config);
void mr_config_derive(struct mr_config *config);

/* Rules between settings, on values already read; a part that was complained about is left alone.
 */
void mr_config_check(struct mr_config *config);
void mr_config_check_windows(struct mr_config *config);
void mr_config_check_names(struct mr_config *config);
void mr_config_check_columns(struct mr_config *config);
void mr_config_check_unbuilt(struct mr_config *config);

/* Index of the decoded field of that name, or UINT32_MAX. */
uint32_t mr_config_field(const struct mr_config *config, const char *name);
/* The same for a node of a list; complains about an undefined one with `fix` being the nearest. */
uint32_t mr_config_field_of(struct mr_config *config, const struct mr_yaml *node, const char *name,
                            const char *user);
/* Reads a list of field names into out[max]; returns how many. */
uint32_t mr_config_read_names(struct mr_config *config, const struct mr_yaml *list, uint32_t *out,
                              uint32_t max, const char *user);

/* Where the value at a dotted path below `node` stands, or the nearest mapping around it. */
struct mr_place mr_config_place(const struct mr_yaml *node, const char *path);

#endif
