/* Which worker runs where, and which ring joins whom: the whole engine, built from a plan.
 *
 *   file ─ texts ─► puller ─ batches ─► aggregator ─ rows ─► writer (─► next writer)
 *   or Pub/Sub ────►  ▲  ◄── batches ────┘   └─ letters ─► keeper ─ letters safe ─► puller
 *                     └ token to the next puller (files)
 *
 * topology.c places the workers and joins them; assembly.c makes what they own.
 * Thread  init, start, finish: the main thread. Counters may be read while it runs. */
#ifndef MR_APP_TOPOLOGY_H
#define MR_APP_TOPOLOGY_H

#include "core/fault.h"
#include "core/plan.h"
#include "core/worker.h"
#include "keeper/keeper.h"
#include "ring/edge.h"
#include "sinks/file_writer.h"
#include "sinks/writer.h"
#include "sources/file_puller.h"
#include "sources/pubsub_puller.h"
#include "windows/aggregator.h"

#define MR_THREADS_MAX (3 * MR_WORKERS_MAX + 1)

/* A service, as the run finds it: where, behind which certificate, with which credential. */
struct mr_endpoint {
    const char *host_port;
    char host[256]; /* whom to expect behind TLS */
    struct mr_address addresses[MR_BIGQUERY_ADDRESSES_MAX];
    uint32_t address_count;
    struct mr_tls_context *tls; /* NULL: plaintext */
    struct mr_bearer bearer;
};

struct mr_topology {
    const struct mr_plan *plan;
    uint32_t puller_count, aggregator_count;
    bool from_pubsub; /* subscribers pull, else pullers */
    struct mr_arena arena;
    struct mr_fault fault;
    atomic_bool drain; /* Pub/Sub: stop pulling, fire everything, acknowledge, end */
    struct mr_thread threads[MR_THREADS_MAX];
    uint32_t thread_count;

    struct mr_reader reader;
    struct mr_token token;
    struct mr_file_puller *pullers;
    struct mr_subscriber *subscribers;
    struct mr_aggregator *aggregators;
    struct mr_file_writer writer;        /* rows pass it first, then: */
    struct mr_bigquery_writer *bigquery; /* NULL: none */
    struct mr_keeper keeper;
    struct mr_out row_file, letter_file;
    atomic_size_t jumbo_bytes;

    struct mr_endpoint pubsub, storage;
    char instance[96];
    char (*client_ids)[64];
};

/* Descriptors that the run reads and writes; -1: none. */
struct mr_topology_files {
    int source, rows, letters;
};

/* Takes all memory and joins everything; resolves endpoints, so it may wait for the name service.
 * Returns MR_OK or the error, with a sentence in fault.text. mr_topology_finish accepts whatever
 * init left. */
int mr_topology_init(struct mr_topology *topology, const struct mr_plan *plan,
                     const struct mr_topology_files *files);
int mr_topology_start(struct mr_topology *topology);
/* The source is drained and everything that followed from it has been written. */
bool mr_topology_is_done(struct mr_topology *topology);
void mr_topology_stop(struct mr_topology *topology);
void mr_topology_finish(struct mr_topology *topology);

/* What the pullers have taken in so far. */
struct mr_intake {
    uint64_t received, bytes, decimals_rounded;
    uint64_t outstanding, dropped; /* Pub/Sub: leases held; messages that found no room */
    uint64_t idle_ns;              /* Pub/Sub: how long all pullers have had nothing to do */
};
void mr_topology_intake(struct mr_topology *topology, struct mr_intake *intake);

#endif
