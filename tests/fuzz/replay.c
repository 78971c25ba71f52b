/* Feeds every file of the directories and files named on the command line to one fuzz target, each
 * whole and cut at every byte (up to a limit): a corpus is a test. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/target.h"
#include "tests/wire/edge.h"

#define CUTS_MAX 512

static uint8_t bytes[1 << 16];

static void run(size_t count)
{
    struct mr_span span = edge_copy(mr_span_of(bytes, count));
    LLVMFuzzerTestOneInput(span.data, span.bytes);
}

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return -1;
    }
    size_t count = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    run(count);
    for (size_t cut = 0; cut < count && cut < CUTS_MAX; cut++)
        run(cut);
    return 1;
}

static int replay(const char *path)
{
    struct stat stat_of;
    int total = 0;

    if (stat(path, &stat_of) != 0 || !S_ISDIR(stat_of.st_mode))
        return replay_file(path);
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        int replayed = replay_file(name);
        if (replayed < 0)
            total = -1;
        else if (total >= 0)
            total += replayed;
    }
    if (directory)
        closedir(directory);
    return total;
}

int main(int count, char **paths)
{
    int total = 0;

    for (int i = 1; i < count; i++) {
        int replayed = replay(paths[i]);
        if (replayed <= 0)
            return 1;
        total += replayed;
    }
    printf("%d inputs replayed\n", total);
    return total > 0 ? 0 : 1;
}
