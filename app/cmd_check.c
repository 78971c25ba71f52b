#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/cmd.h"
#include "core/config.h"
#include "core/err.h"
#include "core/units.h"

#define SETS_MAX 64

struct options {
    const char *path;
    bool effective, schema;
    struct mr_config_set sets[SETS_MAX];
    uint32_t set_count;
};

static const char usage[] =
    "usage: millrace check CONFIG [--effective] [--set a.b=c]...\n"
    "       millrace check --schema\n"
    "Tells every error of a configuration at once; - is standard input.\n"
    "  --effective  print every value in force, with its origin\n"
    "  --schema     print the JSON Schema of the file\n"
    "  --set a.b=c  replace a value; list items by index: windows.0.size=10m\n"
    "exit: 0 ok, 64 usage, 66 the file cannot be read, 78 errors in the configuration\n";

static bool misused(const char *what, const char *which)
{
    fprintf(stderr, "millrace check: %s %s: %s\n%s", mr_err_code(MR_E_USAGE), what, which, usage);
    return false;
}

static bool add_set(struct options *options, char *set)
{
    char *equals = set ? strchr(set, '=') : NULL;

    if (!equals || equals == set)
        return misused("--set takes a.b=c", set ? set : "");
    if (options->set_count == SETS_MAX)
        return misused("more --set than are taken", set);
    *equals = '\0';
    options->sets[options->set_count++] = (struct mr_config_set){set, equals + 1};
    return true;
}

static bool understand(struct options *options, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--effective") == 0)
            options->effective = true;
        else if (strcmp(argv[i], "--schema") == 0)
            options->schema = true;
        else if (strcmp(argv[i], "--set") == 0) {
            if (!add_set(options, i + 1 < argc ? argv[++i] : NULL))
                return false;
        } else if (strncmp(argv[i], "--set=", 6) == 0) {
            if (!add_set(options, argv[i] + 6))
                return false;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0')
            return misused("unknown option", argv[i]);
        else if (options->path)
            return misused("more than one file", argv[i]);
        else
            options->path = argv[i];
    }
    if (!options->path && !options->schema)
        return misused("no file", "name a configuration, or - for standard input");
    return true;
}

static void tell_window(const struct mr_window *window)
{
    char size[MR_UNITS_TEXT_BYTES], hop[MR_UNITS_TEXT_BYTES], offset[MR_UNITS_TEXT_BYTES],
        late[MR_UNITS_TEXT_BYTES];
    long long least = window->size_us / window->hop_us;
    bool even = window->size_us % window->hop_us == 0;

    printf("  %s: size %s, hop %s, offset %s, lateness %s: ", window->name,
           mr_duration_print(window->size_us, size), mr_duration_print(window->hop_us, hop),
           mr_duration_print(window->offset_us, offset),
           mr_duration_print(window->lateness_us, late));
    if (even)
        printf("%lld window%s an event, 1 pane a hop\n", least, least == 1 ? "" : "s");
    else if (least)
        printf("%lld or %lld windows an event, 2 panes a hop\n", least, least + 1);
    else
        printf("1 or no window an event (gaps between windows), 1 pane a hop\n");
}

static void tell_facts(const struct mr_config *config, const char *path)
{

    printf("%s: ok\n", path);
    for (uint32_t w = 0; w < config->window_count; w++)
        tell_window(&config->windows[w]);
    printf("  route by ");
    for (uint32_t i = 0; i < config->route_count; i++)
        printf("%s%s", i ? ", " : "", config->decode.fields[config->route_by[i]].name);
    if (config->route_count)
        printf(": up to %d aggregators\n", MR_WORKERS_MAX);
    else
        printf("nothing: no field is common to every group_by, so one aggregator\n");
    printf("  duplicates: ");
    if (config->decode.dedup_by == MR_DEDUP_NONE)
        printf("not told\n");
    else
        printf("by %s, remembered until limits.dedup is full\n",
               config->decode.dedup_by == MR_DEDUP_MESSAGE_ID
                   ? "message id"
                   : config->decode.fields[config->decode.dedup_field].name);
    printf("  letters: %s\n", config->sinks.dead_letter_file    ? config->sinks.dead_letter_file
                              : config->sinks.dead_letter_topic ? config->sinks.dead_letter_topic
                                                                : "counted, not kept");
}

static int check(const struct options *options)
{
    static struct mr_config config;
    int exit = MR_EXIT_OK;

    if (strcmp(options->path, "-") != 0 && access(options->path, R_OK) != 0) {
        fprintf(stderr, "%s: %s %s: %s\n  fix:  %s\n", options->path, mr_err_code(MR_E_FILE_OPEN),
                mr_err_cause(MR_E_FILE_OPEN), strerror(errno), mr_err_fix(MR_E_FILE_OPEN));
        return MR_EXIT_NO_INPUT;
    }
    if (mr_config_read(&config, options->path, options->sets, options->set_count, stderr))
        exit = MR_EXIT_CONFIG;
    else if (options->effective)
        mr_config_print_effective(&config, stdout);
    else
        tell_facts(&config, options->path);
    mr_config_finish(&config);
    return exit;
}

int mr_cmd_check(int argc, char **argv)
{
    struct options options = {0};
    int exit = MR_EXIT_OK;

    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return MR_EXIT_OK;
    }
    if (!understand(&options, argc, argv))
        return MR_EXIT_USAGE;
    if (options.schema)
        mr_config_print_schema(stdout);
    if (options.path)
        exit = check(&options);
    if (fflush(stdout) != 0 && exit == MR_EXIT_OK)
        exit = MR_EXIT_IO;
    return exit;
}
