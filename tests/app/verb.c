/* The verbs `check` and `init` as a program of their own, for the tests that run them. */
#include <stdio.h>
#include <string.h>

#include "app/cmd.h"

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "check") == 0)
        return mr_cmd_check(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "init") == 0)
        return mr_cmd_init(argc - 1, argv + 1);
    fprintf(stderr, "verb: check or init\n");
    return 64;
}
