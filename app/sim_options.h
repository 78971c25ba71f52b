/* The options of `millrace sim`: one table gives parsing, messages and --help. */
#ifndef MR_APP_SIM_OPTIONS_H
#define MR_APP_SIM_OPTIONS_H

#include <stdio.h>

#include "local/orders.h"

#define MR_SIM_FOREVER UINT64_MAX

struct mr_sim_options {
    struct mr_orders_settings orders;
    uint64_t count;       /* payloads, MR_SIM_FOREVER until interrupted */
    double rate;          /* payloads a second of host time; 0: as fast as possible */
    const char *out;      /* path, "-" for standard output */
    const char *topic;    /* projects/P/topics/T instead of a file; NULL: none */
    const char *endpoint; /* of Pub/Sub, host:port, plaintext */
    const char *truth;    /* path of the totals, NULL: none */
    int64_t progress_us;  /* between lines that tell how it goes; 0: what suits the place */
    bool help;
};

/* mr_sim_options_read fills `options` from the command line, defaults first.
 * Owns    texts point into argv.
 * Errors  MR_E_USAGE, with each wrong option told on `errors`. */
int mr_sim_options_read(struct mr_sim_options *options, int argc, char **argv, FILE *errors);
void mr_sim_options_help(FILE *out);

#endif
