/* An append stream: the rows of one table, on their way to BigQuery by one AppendRows call, in
 * order, many appends in flight.
 *
 *     put ─► filling ─cut─► waiting ─► sent ─► taken
 *                             ▲         │
 *                             └─────────┘ the call ended, or an answer says: again
 *
 * Exactly once   a COMMITTED stream of its own, made at first use; each append carries its offset,
 *                so that the service knows what it has. It holds for as long as the process lives:
 *                the stream's name and count are kept here only. Whoever keeps them (name,
 *                taken_rows) can finalize the stream after a crash and learn its true end.
 * At least once  the table's `_default` stream, without offsets.
 * Answers        come in the order of requests and bear no number. After a bad one nothing more is
 *                sent until all are in; then everything not taken goes again, in order.
 * Bad rows       are taken out, told by `rejected`, and the offsets behind them move up. When a
 *                request is refused and no row is named, parts of it are sent alone, each half as
 *                long, until the row is found.
 *
 * Owns    buffers of the shared slab, from its first row until the service has them.
 * Thread  one: the writer's. Calls of the channel only note what happened; mr_append_stream_turn
 *         acts on it.
 * Errors  what cannot be mended raises the fault, with the service's words. */
#ifndef MR_SINKS_BIGQUERY_H
#define MR_SINKS_BIGQUERY_H

#include <stdatomic.h>

#include "core/arena.h"
#include "core/fault.h"
#include "sinks/append.h"
#include "sinks/encode.h"
#include "sinks/verdict.h"
#include "wire/channel.h"

#define MR_APPEND_BYTES       ((size_t)1 << 20) /* of a buffer: a request of about 1 MiB */
#define MR_APPEND_CUT_NS      UINT64_C(100000000)
#define MR_APPEND_ANSWER_MAX  (1u << 20)
#define MR_WRITE_STREAM_BYTES 512 /* of a stream's name */

/* A row that the service will not take, or that cannot be written for it. */
struct mr_refused_row {
    const char *table;
    struct mr_span row;  /* as it was encoded (sinks/encode.h); empty: it could not be */
    int32_t code;        /* enum mr_grpc_code */
    struct mr_span text; /* the service's words */
};

struct mr_append_counters {
    atomic_ullong rows, appends, bytes; /* taken; sent, again and again counted too */
    atomic_ullong rejected, retried;    /* rows; times that something was to be sent again */
};

/* One writer a counter: a plain add, published relaxed. */
static inline void mr_append_count(atomic_ullong *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* What the append streams of a writer share. */
struct mr_append_shared {
    const struct mr_plan *plan;
    struct mr_fault *fault;
    struct mr_channel *channel;
    struct mr_slab *buffers; /* of MR_APPEND_BYTES */
    struct mr_append_counters *counters;
    /* Both may be NULL. `note` is a line for people, told rarely. */
    void (*rejected)(void *self, const struct mr_refused_row *row);
    void (*note)(void *self, const char *line);
    void *self;
};

enum mr_write_stream_phase {
    MR_STREAM_NAMELESS,
    MR_STREAM_CREATING,
    MR_STREAM_NAMED,
    MR_STREAM_COUNTING,  /* it is lost to us: finalizing it tells how far it came */
    MR_STREAM_FINISHING, /* all is taken: finalizing it is good manners */
    MR_STREAM_ENDED,
};

struct mr_append_stream {
    struct mr_append_shared *shared;
    uint32_t definition;
    bool committed;
    char parent[MR_WRITE_STREAM_BYTES]; /* projects/P/datasets/D/tables/T */
    char name[MR_WRITE_STREAM_BYTES];   /* of the stream */
    struct mr_span descriptor;
    size_t head_bytes;

    struct mr_append *filling, *first, *last, *next_answer;
    uint32_t in_flight;
    int64_t taken_rows; /* on this stream: the offset of `first` */

    enum mr_write_stream_phase phase;
    struct mr_call call, unary;
    bool call_open, call_ending, introduced; /* introduced: the call knows name and descriptor */
    bool mending, lost, ending, heard, deaf; /* deaf: the call's answers cannot be trusted */
    uint32_t refused_alone;                  /* single rows, with nothing taken in between */

    bool troubled; /* left by calls for the next turn */
    enum mr_verdict trouble;
    uint64_t trouble_delay_ns;
    char words[256];
    const char *credential; /* that was not accepted */

    struct mr_retry retry, quota;
    uint64_t due_ns, heard_ns, asked_ns, patience_ns, goodbye_ns, noted_ns;
};

/* The most that one takes from the arena, whose pages are touched only when answers need them. */
#define MR_APPEND_STREAM_BYTES (MR_APPEND_ANSWER_MAX + ((size_t)256 << 10) + ((size_t)64 << 10))

/* `share` makes the delays of retries differ.
 * Errors  MR_E_MEMORY; MR_E_BIGQUERY_TABLE: the table's name is too long. */
int mr_append_stream_init(struct mr_append_stream *stream, struct mr_append_shared *shared,
                          struct mr_arena *arena, uint32_t definition, uint32_t share);

/* Encodes and keeps the row. False: no buffer is free; keep the row and put it again later. */
bool mr_append_stream_put(struct mr_append_stream *stream, struct mr_row *row,
                          const struct mr_row_origin *origin, uint64_t now_ns);

/* What is being filled shall be sent. */
void mr_append_stream_cut(struct mr_append_stream *stream);

/* No more rows follow: after the last is taken the stream is finalized. */
void mr_append_stream_end(struct mr_append_stream *stream);

static inline bool mr_append_stream_ended(const struct mr_append_stream *stream)
{
    return stream->phase == MR_STREAM_ENDED;
}

/* It has something to send or to ask, and needs a connection for it. */
static inline bool mr_append_stream_wants(const struct mr_append_stream *stream)
{
    return stream->first || (stream->ending && stream->phase != MR_STREAM_NAMELESS &&
                             stream->phase != MR_STREAM_ENDED);
}

/* Acts on what has happened and sends what may be sent. Returns how many appends it sent. */
uint32_t mr_append_stream_turn(struct mr_append_stream *stream, uint64_t now_ns);

#endif
