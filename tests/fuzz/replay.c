/* Aim: every file of a fuzz target's corpus passes, on each test run, without a fuzzer.
 * replay DIRECTORY; 77 if the directory is not there. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_BYTES_MAX (1 << 20)

static int replay(int directory, const char *name)
{
    static uint8_t input[INPUT_BYTES_MAX];
    int file = openat(directory, name, O_RDONLY);
    struct stat status;

    if (file < 0 || fstat(file, &status) != 0)
        return -1;
    if (S_ISREG(status.st_mode)) {
        ssize_t bytes = read(file, input, sizeof input);
        if (bytes < 0)
            return -1;
        LLVMFuzzerTestOneInput(input, (size_t)bytes);
    }
    close(file);
    return S_ISREG(status.st_mode);
}

int main(int argc, char **argv)
{
    DIR *corpus = argc == 2 ? opendir(argv[1]) : NULL;
    int count = 0;

    if (corpus == NULL) {
        fprintf(stderr, "SKIPPED: no corpus to replay\n");
        return 77;
    }
    for (struct dirent *entry; (entry = readdir(corpus)) != NULL;) {
        int taken = replay(dirfd(corpus), entry->d_name);
        if (taken < 0) {
            perror(entry->d_name);
            return 1;
        }
        count += taken;
    }
    closedir(corpus);
    printf("%d inputs\n", count);
    return count == 0;
}
