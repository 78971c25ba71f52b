/* BigQuery's REST port: HTTP/1.1 over the same I/O as the rest, each request answered by the brain
 * in local/bigquery.h. Plaintext only. One request at a time a connection: the next one is read
 * once the answer has left.
 * Bounds  MR_HTTP1_*, connections and unfinished requests as in local/connection.h.
 * Thread  the server's one thread. */
#ifndef MR_LOCAL_REST_FRONT_H
#define MR_LOCAL_REST_FRONT_H

#include "local/bigquery.h"
#include "local/connection.h"

#define MR_REST_REQUEST_US 60000000  /* from a request's first byte to its last */
#define MR_REST_IDLE_US    300000000 /* between requests, or without any byte of an answer leaving */

struct mr_rest_front_visitor;

struct mr_rest_front {
    struct mr_hall *hall;
    struct mr_bq *bq;
    struct mr_rest_front_visitor *visitors;
    uint64_t requests;
    bool answered; /* since the owner cleared it */
};

/* Takes over an accepted descriptor. */
void mr_rest_front_open(struct mr_rest_front *front, int fd);
/* Moves answers into the sockets; the owner has committed before. Returns how many moved. */
uint32_t mr_rest_front_turn(struct mr_rest_front *front);
void mr_rest_front_chores(struct mr_rest_front *front);
void mr_rest_front_close(struct mr_rest_front *front); /* all; they are gone after some turns */

#endif
