/* The writer of BigQuery tables: row blocks in, AppendRows out, blocks back. One connection a
 * writer, one append stream a window definition (exactly once: a definition and an aggregator).
 *
 * Order  rows of one append stream reach the table in the order of their blocks.
 * Full   when all buffers are on their way the writer keeps its place, and takes no more blocks:
 *        so the aggregators fill up, then the batches, then the puller withholds credit.
 * End    after the END of every aggregator: all rows are taken, streams finalized, the connection
 *        closed; then `done`.
 * Owns   its connection and buffers; a block until its rows are encoded.
 * Thread mr_bigquery_writer_turn by its worker; the rest before start or after the end. */
#ifndef MR_SINKS_WRITER_H
#define MR_SINKS_WRITER_H

#include "core/block.h"
#include "sinks/bigquery.h"

/* A front end allows 100 streams a connection; some are for making and finalizing. */
#define MR_BIGQUERY_STREAMS_MAX   80
#define MR_BIGQUERY_ADDRESSES_MAX 8

struct mr_edge;
struct mr_spsc;

struct mr_bigquery_writer_in {
    struct mr_spsc *blocks;   /* from this aggregator */
    struct mr_edge *returned; /* to it */
};

/* What the caller has found out at start; all of it is borrowed until mr_bigquery_writer_finish,
 * but for `addresses`. */
struct mr_bigquery_options {
    const struct mr_address *addresses; /* of the endpoint, tried in turn */
    uint32_t address_count;
    const char *host_port, *host; /* host: whom to expect behind TLS */
    struct mr_tls_context *tls;   /* NULL: plaintext */
    struct mr_bearer *bearer;     /* NULL: no authorization */
    const char *instance;         /* columns of every row */
    int64_t lineage;
    /* Rows that the service will not take, and lines for people; both may be NULL. By the writer's
     * thread. */
    void (*rejected)(void *self, const struct mr_refused_row *row);
    void (*note)(void *self, const char *line);
    void *self;
};

struct mr_bigquery_writer {
    const struct mr_plan *plan;
    struct mr_fault *fault;
    struct mr_io *io;
    struct mr_bigquery_options options;
    struct mr_address addresses[MR_BIGQUERY_ADDRESSES_MAX];
    uint32_t next_address;
    struct mr_row_origin origin;

    struct mr_bigquery_writer_in in[MR_WORKERS_MAX];
    uint32_t in_count, next_in, ends;
    struct mr_block *held; /* being encoded, and where in it */
    void *row;
    uint32_t rows_left, held_in;

    struct mr_channel channel;
    struct mr_slab buffers;
    struct mr_append_shared shared;
    struct mr_append_stream *streams; /* by definition, then by aggregator */
    uint32_t stream_count, streams_a_definition;
    struct mr_retry retry; /* of the connection */
    bool down, closing;    /* down: told by the channel, not heeded so far */
    uint64_t chores_ns, noted_ns;

    struct mr_append_counters counters; /* written by the writer, read by others */
    atomic_ullong skipped;              /* rows of firings that `firings` leaves out */
    atomic_bool done;
};

/* Bytes of arena that mr_bigquery_writer_init takes at most, for `in_count` aggregators. */
size_t mr_bigquery_writer_bytes(const struct mr_plan *plan, uint32_t in_count);

/* The caller fills `in` itself. mr_bigquery_writer_finish accepts whatever init left.
 * Errors  MR_E_MEMORY, MR_E_BIGQUERY_STREAMS, MR_E_BIGQUERY_TABLE. */
int mr_bigquery_writer_init(struct mr_bigquery_writer *writer, const struct mr_plan *plan,
                            struct mr_io *io, struct mr_arena *arena, struct mr_fault *fault,
                            uint32_t in_count, const struct mr_bigquery_options *options);

uint32_t mr_bigquery_writer_turn(void *self, uint64_t now_ns);

/* Closes the connection of a writer that was stopped before its end, turning its I/O until nothing
 * of it is in flight. */
void mr_bigquery_writer_finish(struct mr_bigquery_writer *writer);

#endif
