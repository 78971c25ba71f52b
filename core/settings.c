#include "core/config.h"
#include "core/setting.h"

#define ROW(type, path, kind, member, min, max, initial, choices, flags, help)                     \
    {path,                                                                                         \
     MR_SETTING_##kind,                                                                            \
     offsetof(struct type, member),                                                                \
     sizeof(((struct type *)0)->member),                                                           \
     min,                                                                                          \
     max,                                                                                          \
     initial,                                                                                      \
     choices,                                                                                      \
     (flags),                                                                                      \
     help},
#define MR_SETTING(...)
#define MR_WINDOW_SETTING(...)
#define MR_FIELD_SETTING(...)

#undef MR_SETTING
#define MR_SETTING(...) ROW(mr_config, __VA_ARGS__)
static const struct mr_setting file_rows[] = {
#include "core/settings.def"
};
#undef MR_SETTING
#define MR_SETTING(...)

#undef MR_WINDOW_SETTING
#define MR_WINDOW_SETTING(...) ROW(mr_window, __VA_ARGS__)
static const struct mr_setting window_rows[] = {
#include "core/settings.def"
};
#undef MR_WINDOW_SETTING
#define MR_WINDOW_SETTING(...)

#undef MR_FIELD_SETTING
#define MR_FIELD_SETTING(...) ROW(mr_field, __VA_ARGS__)
static const struct mr_setting field_rows[] = {
#include "core/settings.def"
};

const struct mr_settings mr_settings_file = {file_rows, MR_COUNT(file_rows), "the configuration"};
const struct mr_settings mr_settings_window = {window_rows, MR_COUNT(window_rows), "a window"};
const struct mr_settings mr_settings_field = {field_rows, MR_COUNT(field_rows), "a field"};

const struct mr_setting *mr_setting_find(const struct mr_settings *settings, const char *path)
{
    for (uint32_t i = 0; i < settings->count; i++)
        if (strcmp(settings->rows[i].path, path) == 0)
            return &settings->rows[i];
    return NULL;
}
