/* Aim: the fuzz targets' corpora, and each prefix of the small inputs, pass without a crash.
 * Linked instead of libFuzzer: feeds every file of the directory named on the command line to the
 * target. Each input lies at the end of its own heap block, so that a sanitizer sees one byte too
 * many. An absent or empty directory still gets the empty input. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer inputs are fed whole only: their prefixes would cost the square of their length. */
#define PREFIXES_BYTES_MAX 512
#define INPUT_BYTES_MAX    (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t input[INPUT_BYTES_MAX];

static void feed(size_t bytes)
{
    uint8_t *copy = calloc(1, bytes ? bytes : 1);

    if (!copy)
        abort();
    memcpy(copy, input, bytes);
    LLVMFuzzerTestOneInput(copy, bytes);
    free(copy);
}

static int feed_file(const char *directory, const char *name)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    size_t bytes = fread(input, 1, sizeof input, file);
    fclose(file);

    printf("%s: %zu bytes\n", name, bytes);
    fflush(stdout); /* so that a crash names its input */
    for (size_t prefix = 0; bytes <= PREFIXES_BYTES_MAX && prefix < bytes; prefix++)
        feed(prefix);
    feed(bytes);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 64;
    }
    feed(0);
    DIR *directory = opendir(argv[1]);
    if (!directory)
        return 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.')
            failed |= feed_file(argv[1], entry->d_name);
    closedir(directory);
    return failed;
}
