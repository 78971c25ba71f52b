/* Which worker runs where, and which ring joins whom: the whole engine, built from a plan.
 *
 *   reader ─ texts ─► puller ─ batches ─► aggregator ─ rows ─► writer
 *                       ▲  ◄── batches ────┘   └─ letters ─► keeper
 *                       └ token to the next puller
 *
 * Thread  init, start, finish: the main thread. Counters may be read while it runs. */
#ifndef MR_APP_TOPOLOGY_H
#define MR_APP_TOPOLOGY_H

#include "core/fault.h"
#include "core/plan.h"
#include "core/worker.h"
#include "keeper/keeper.h"
#include "ring/edge.h"
#include "sinks/file_writer.h"
#include "sources/file_puller.h"
#include "windows/aggregator.h"

#define MR_THREADS_MAX (3 * MR_WORKERS_MAX + 1)

struct mr_topology {
    const struct mr_plan *plan;
    uint32_t puller_count, aggregator_count, writer_count;
    struct mr_arena arena;
    struct mr_fault fault;
    struct mr_thread threads[MR_THREADS_MAX];
    uint32_t thread_count;

    struct mr_reader reader;
    struct mr_file_puller pullers[MR_WORKERS_MAX];
    struct mr_aggregator aggregators[MR_WORKERS_MAX];
    struct mr_file_writer writers[MR_WORKERS_MAX];
    struct mr_keeper keeper;
    struct mr_out row_file, letter_file;
    struct mr_token token;
    atomic_size_t jumbo_bytes;
};

/* Descriptors that the run reads and writes; -1: none. */
struct mr_topology_files {
    int source, rows, letters;
};

/* Takes all memory and joins everything. Returns MR_OK or the error, with a sentence in
 * fault.text. mr_topology_finish accepts whatever init left. */
int mr_topology_init(struct mr_topology *topology, const struct mr_plan *plan,
                     const struct mr_topology_files *files);
int mr_topology_start(struct mr_topology *topology);
/* The source is drained and everything that followed from it has been written. */
bool mr_topology_is_done(struct mr_topology *topology);
void mr_topology_stop(struct mr_topology *topology);
void mr_topology_finish(struct mr_topology *topology);

#endif
