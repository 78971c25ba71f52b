/* Aim: each configuration under configs/good passes, its effective print reads back as the same,
 * and each under configs/broken gives exactly the codes and places its first line expects.
 *
 * First line of a broken file: `# expect: MR1104 12:18, MR1110 14:5`, in order of place. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/config.h"

#define TEXT_BYTES 8192

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "MR1104 12:18, MR1110 14:5" out of what was told about `path`. */
static void collect(const char *told, const char *path, char *found)
{
    size_t bytes = strlen(path), out = 0;

    for (const char *line = told; line && *line; line = strchr(line, '\n'), line += line != NULL) {
        uint32_t row, column;
        char code[8];
        if (strncmp(line, path, bytes) == 0 &&
            sscanf(line + bytes, ":%u:%u: %7s", &row, &column, code) == 3)
            out += (size_t)snprintf(found + out, TEXT_BYTES - out, "%s%s %u:%u", out ? ", " : "",
                                    code, row, column);
    }
}

static bool five_parts(const char *told, uint32_t count)
{
    uint32_t rules = 0, fixes = 0;

    for (const char *at = told; (at = strstr(at, "\n  rule: ")); at++)
        rules += at[9] != '\n';
    for (const char *at = told; (at = strstr(at, "\n  fix:  ")); at++)
        fixes += at[9] != '\n';
    return count == rules && count == fixes;
}

static bool broken_as_expected(const char *path)
{
    static char line[TEXT_BYTES], found[TEXT_BYTES];
    struct mr_config config;
    char *told = NULL;
    size_t bytes;
    FILE *in = fopen(path, "rb"), *errors = open_memstream(&told, &bytes);
    bool first = in && fgets(line, sizeof line, in);

    found[0] = '\0';
    if (!first || strncmp(line, "# expect: ", 10) != 0)
        strcpy(line, "# expect: a first line saying so");
    if (in)
        fclose(in);
    line[strcspn(line, "\r\n")] = '\0';
    uint32_t count = mr_config_read(&config, path, NULL, 0, errors);
    mr_config_finish(&config);
    fclose(errors);
    collect(told, path, found);
    bool right = count && strcmp(line + 10, found) == 0 && five_parts(told, count);
    if (!right)
        printf("%s\n  expected %s\n  found    %s\n%s\n", path, line + 10, found, told);
    free(told);
    return right;
}

/* The effective configuration without its origins. */
static char *effective(const struct mr_config *config)
{
    char *text = NULL;
    size_t bytes, out = 0;
    FILE *memory = open_memstream(&text, &bytes);

    mr_config_print_effective(config, memory);
    fclose(memory);
    for (size_t i = 0; i < bytes; i++) {
        if (strncmp(text + i, "  # ", 4) == 0)
            i += strcspn(text + i, "\n");
        text[out++] = text[i];
    }
    text[out] = '\0';
    return text;
}

static bool good_and_reads_back(const char *path)
{
    static struct mr_config config, again;
    char copy[] = "/tmp/mr_effective_XXXXXX";
    int fd = mkstemp(copy);
    FILE *file = fdopen(fd, "w");
    uint32_t errors = mr_config_read(&config, path, NULL, 0, stdout);
    bool right = errors == 0;

    if (right)
        mr_config_print_effective(&config, file);
    fclose(file);
    if (right) {
        right = mr_config_read(&again, copy, NULL, 0, stdout) == 0;
        char *before = effective(&config), *after = right ? effective(&again) : NULL;
        if (right && strcmp(before, after) != 0) {
            printf("%s\n--- before\n%s--- after\n%s", path, before, after);
            right = false;
        }
        free(before);
        free(after);
        mr_config_finish(&again);
    }
    mr_config_finish(&config);
    unlink(copy);
    return right;
}

int main(int argc, char **argv)
{
    char *names[1000], path[4096];
    uint32_t count = 0, wrong = 0;
    DIR *directory = argc == 3 ? opendir(argv[2]) : NULL;

    if (!directory)
        return 64;
    bool broken = strcmp(argv[1], "broken") == 0;
    for (struct dirent *entry; (entry = readdir(directory)) && count < MR_COUNT(names);)
        if (entry->d_name[0] != '.')
            names[count++] = strdup(entry->d_name);
    closedir(directory);
    qsort(names, count, sizeof names[0], by_name);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", argv[2], names[i]);
        wrong += broken ? !broken_as_expected(path) : !good_and_reads_back(path);
        free(names[i]);
    }
    printf("%u configurations, %u not as expected\n", count, wrong);
    return wrong || count < (broken ? 60u : 3u);
}
