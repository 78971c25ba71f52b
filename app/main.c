/* millrace: the command. Each verb is a function of cmd.h; the table below is all there is. */
#include <stdio.h>
#include <string.h>

#include "app/cmd.h"
#include "core/base.h"
#include "core/err.h"

static const struct verb {
    const char *name, *line;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"run", "run the pipeline of a configuration", mr_cmd_run},
    {"check", "tell every error of a configuration at once", mr_cmd_check},
    {"init", "write a commented configuration that passes check", mr_cmd_init},
    {"local", "Pub/Sub and BigQuery on this machine", mr_cmd_local},
    {"sim", "make seeded orders", mr_cmd_sim},
};

static void print_help(FILE *out)
{
    fputs("millrace: orders in, exact hopping windows out.\n\n"
          "usage: millrace VERB [ARGUMENT]...\n\n",
          out);
    for (size_t i = 0; i < MR_COUNT(verbs); i++)
        fprintf(out, "  %-8s %s\n", verbs[i].name, verbs[i].line);
    fputs("\nmillrace VERB --help tells more; millrace --version names the build.\n", out);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    for (size_t i = 0; i < MR_COUNT(verbs); i++)
        if (strcmp(name, verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return MR_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0) {
        puts("millrace " MR_VERSION);
        return MR_EXIT_OK;
    }
    if (argc > 1)
        fprintf(stderr, "millrace: %s unknown verb: %s\n\n", mr_err_code(MR_E_USAGE), name);
    print_help(stderr);
    return MR_EXIT_USAGE;
}
