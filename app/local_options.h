/* The options of `millrace local`: one table gives parsing, messages and --help. */
#ifndef MR_APP_LOCAL_OPTIONS_H
#define MR_APP_LOCAL_OPTIONS_H

#include <stdio.h>

#include "local/server.h"

#define MR_LOCAL_NAMES_MAX 256 /* topics, and subscriptions, of one command line */

struct mr_local_options {
    struct mr_server_options server;
    const char *project; /* of names given without one */
    const char *topics[MR_LOCAL_NAMES_MAX];
    const char *subscriptions[MR_LOCAL_NAMES_MAX]; /* S:T */
    uint32_t topic_count, subscription_count;
    const char *tables;    /* a configuration whose tables are to be made; NULL: none */
    const char *port_file; /* NULL: none */
    bool quiet, help;
    char tls[2][4096]; /* what server.certificate and server.key point to */
};

/* mr_local_options_read fills `options` from the command line, defaults first.
 * Owns    texts point into argv and into `options`, which stays put.
 * Errors  MR_E_USAGE, with each wrong option told on `errors`. */
int mr_local_options_read(struct mr_local_options *options, int argc, char **argv, FILE *errors);
void mr_local_options_help(FILE *out);

#endif
