#include <errno.h>
#include <stdio.h>

#include "app/cmd.h"
#include "core/config.h"
#include "core/err.h"

static const char usage[] =
    "usage: millrace init [--minimal] [FILE]\n"
    "Writes a commented configuration that passes `millrace check`, to "
    "standard output or a new file.\n"
    "exit: 0 ok, 64 usage, 73 the file is there already or cannot be made\n";

static int misused(const char *what)
{
    fprintf(stderr, "millrace init: %s not understood: %s\n%s", mr_err_code(MR_E_USAGE), what,
            usage);
    return MR_EXIT_USAGE;
}

static int write_file(const char *path, bool minimal)
{
    FILE *out = fopen(path, "wx"); /* x: never over a file that is there */

    if (!out) {
        fprintf(stderr, "%s: %s %s: %s\n  fix:  %s\n", path, mr_err_code(MR_E_FILE_WRITE),
                mr_err_cause(MR_E_FILE_WRITE), strerror(errno),
                errno == EEXIST ? "take another name, or remove the file first"
                                : mr_err_fix(MR_E_FILE_WRITE));
        return MR_EXIT_CANNOT_CREATE;
    }
    mr_config_print_example(out, minimal);
    bool broken = ferror(out);
    if (fclose(out) != 0 || broken) {
        fprintf(stderr, "%s: %s %s\n", path, mr_err_code(MR_E_FILE_WRITE),
                mr_err_cause(MR_E_FILE_WRITE));
        return MR_EXIT_IO;
    }
    return MR_EXIT_OK;
}

int mr_cmd_init(int argc, char **argv)
{
    const char *path = NULL;
    bool minimal = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return MR_EXIT_OK;
        }
        if (strcmp(argv[i], "--minimal") == 0)
            minimal = true;
        else if (argv[i][0] == '-' || path)
            return misused(argv[i]);
        else
            path = argv[i];
    }
    if (path)
        return write_file(path, minimal);
    mr_config_print_example(stdout, minimal);
    return fflush(stdout) == 0 ? MR_EXIT_OK : MR_EXIT_IO;
}
