/* What a run did, for people and for programs. */
#ifndef MR_APP_SUMMARY_H
#define MR_APP_SUMMARY_H

#include <stdio.h>

#include "app/topology.h"

struct mr_summary {
    struct mr_account account; /* all shares together */
    uint64_t received;         /* counted by the pullers */
    uint64_t rows;             /* counted by the writer */
    uint64_t letters;          /* counted by the keeper */
    uint64_t decimals_rounded, bytes;
    double seconds, cpu_seconds;
    const char *broken_law; /* NULL: all laws hold */
};

/* Read when the threads have stopped. */
void mr_summary_read(struct mr_summary *summary, struct mr_topology *topology, double seconds);

void mr_summary_print(const struct mr_summary *summary, const struct mr_config *config, FILE *out);
void mr_summary_print_json(const struct mr_summary *summary, FILE *out);

#endif
