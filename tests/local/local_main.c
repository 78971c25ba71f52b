/* Aim: the verb `local` as a program of its own, for the tests and proofs that run it. */
#include <stdio.h>
#include <string.h>

#include "app/cmd.h"

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "local") == 0)
        return mr_cmd_local(argc - 1, argv + 1);
    fprintf(stderr, "the one verb here is local\n");
    return 64;
}
