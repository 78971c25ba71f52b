/* The local cloud's server: Pub/Sub and BigQuery on TCP ports of this machine, one thread, one
 * mr_io.
 *
 *     create -> (ports are known) -> run, on any one thread -> stop, from any thread or a signal
 *            -> run returns, state is saved -> destroy
 *
 * Ports   every port but REST's serves all gRPC services; each has a name for people's
 *         configuration.
 * Bounds  as in local/connection.h. */
#ifndef MR_LOCAL_SERVER_H
#define MR_LOCAL_SERVER_H

#include "core/config.h"
#include "local/bigquery.h"
#include "local/pubsub.h"

struct mr_server;

enum mr_server_door {
    MR_SERVER_PUBSUB,
    MR_SERVER_BIGQUERY, /* Storage Write */
    MR_SERVER_REST,     /* BigQuery's REST calls, HTTP/1.1 */
    MR_SERVER_PUBSUB_TLS,
    MR_SERVER_BIGQUERY_TLS,
    MR_SERVER_DOORS,
};

#define MR_SERVER_CLOSED (-1) /* a port that is not to be opened */

struct mr_server_options {
    enum mr_io_choice io;
    const char *listen;             /* an address or a name; one of a machine, not a network */
    int32_t ports[MR_SERVER_DOORS]; /* 0: any; MR_SERVER_CLOSED */
    const char *certificate, *key;  /* PEM files, for the doors with TLS */
    const char *data;               /* directory of the saved state, made if absent; NULL: none */
    struct mr_pubsub_options pubsub;
    struct mr_bq_options bigquery; /* its path is set here: DIR/bigquery.db with `data` */
};

struct mr_server_figures {
    struct mr_pubsub_figures pubsub;
    uint64_t connections; /* accepted ever */
    uint64_t requests;    /* REST */
    uint64_t calls, messages_in, messages_out, bytes_in, bytes_out;
    uint64_t turns;
};

/* MR_SERVER_WHY_BYTES of `why` tell what stands behind an error.
 * Errors  MR_E_MEMORY, MR_E_ADDRESS, MR_E_RESOLVE, MR_E_IO_*, MR_E_LOCAL_PORT, MR_E_LOCAL_BUSY (the
 *         directory is another instance's), MR_E_LOCAL_DATABASE, MR_E_TLS_FILE, MR_E_FILE_*. */
#define MR_SERVER_WHY_BYTES 320
int mr_server_create(struct mr_server **out, const struct mr_server_options *options, char *why);
/* Not while it runs. Accepts NULL. */
void mr_server_destroy(struct mr_server *server);

/* The port of a door, 0 if it is closed. */
uint16_t mr_server_port(const struct mr_server *server, enum mr_server_door door);
const char *mr_server_io(const struct mr_server *server); /* "io_uring" or "epoll" */
/* For preparing topics, subscriptions and tables before it runs. */
struct mr_pubsub_store *mr_server_pubsub(struct mr_server *server);
struct mr_bq *mr_server_bigquery(struct mr_server *server);
const char *mr_server_problem(const struct mr_server *server); /* behind MR_E_LOCAL_DATABASE */

/* Serves until mr_server_stop, then says goodbye to clients for two seconds at most and saves.
 * MR_OK, MR_E_FILE_*, or MR_E_LOCAL_DATABASE: rows could not be committed, and were not
 * acknowledged. */
int mr_server_run(struct mr_server *server);
/* Thread  any; safe within a signal handler. */
void mr_server_stop(struct mr_server *server);
struct mr_server_figures mr_server_figures(const struct mr_server *server); /* after run */

#endif
