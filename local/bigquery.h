/* The brain of the local BigQuery: datasets, tables, write streams, appends, CDC, and the REST
 * calls, over one SQLite database. No sockets: the front hands in decoded gRPC messages and REST
 * requests, and sends what it gets back.
 *
 * Tables  a person reads them with sqlite3: the table realtime.orders_windows of the database's
 *         home project (the first whose dataset was made) is "realtime.orders_windows", one of
 *         another project "project.realtime.orders_windows". What has a `$` in its name is ours:
 *         "$tables" (the catalogue), "$streams", and "dataset.table$held" (rows of BUFFERED and
 *         PENDING streams that are not visible yet), "dataset.table$keys" (CDC: newest sequence
 *         number a key, deletions too).
 * Values  INT64, BOOL (0/1) INTEGER · FLOAT64 REAL · BYTES BLOB · STRING, JSON, GEOGRAPHY, INTERVAL
 *         TEXT · TIMESTAMP `2026-11-22T18:47:30.000000Z`, DATETIME the same without Z, DATE, TIME
 *         TEXT of fixed width, so that text order is time order · STRUCT and REPEATED JSON TEXT ·
 *         RANGE TEXT `[start, end)`.
 *         NUMERIC and BIGNUMERIC exactly, in a column without affinity: whole numbers of up to 18
 *         digits as INTEGER, others of up to 15 significant digits as REAL (which SQLite gives back
 *         digit by digit), longer ones as decimal TEXT. So `order by`, `>` and sum() do what a
 *         person expects, which decimal text in every row would not.
 * Time    `now_us` is wall time in microseconds since 1970, passed in.
 * Owns    spans in answers live until the next call on the store.
 * Thread  one thread per store, and for the handle that it lends.
 * Commit  rows are gathered in one SQLite transaction, committed by mr_bq_commit, or by
 *         mr_bq_chores when commit_us have passed. A front that commits before it sends its replies
 *         promises that what it acknowledged survives a crash of the process. No crash shows half
 *         an append.
 * Source  google.cloud.bigquery.storage.v1, BigQuery REST v2. */
#ifndef MR_LOCAL_BIGQUERY_H
#define MR_LOCAL_BIGQUERY_H

#include "wire/bigquery.h"

#define MR_BQ_REQUEST_BYTES_MAX (20u * 1000 * 1000) /* one AppendRowsRequest; quota page */
#define MR_BQ_IDLE_US           INT64_C(600000000)
#define MR_BQ_REFILL_US         INT64_C(10000000)
#define MR_BQ_COMMIT_US         INT64_C(20000)
#define MR_BQ_NEVER             INT64_MAX

/* Faults, each a probability in [0, 1] an append, drawn from the store's seed. */
struct mr_bq_faults {
    double error;        /* refused in-band with error_code; nothing is written */
    double status;       /* the stream ends with status_code; nothing is written */
    double reply_lost;   /* written, and the stream ends UNAVAILABLE without an answer */
    int32_t error_code;  /* enum mr_grpc_code; 0: INTERNAL */
    int32_t status_code; /* the same; 0: UNAVAILABLE */
};

/* Zeroes are sensible: in memory, real limits, no faults. */
struct mr_bq_options {
    const char *path;        /* the database file; NULL: in memory */
    const char *location;    /* NULL: "US" */
    uint64_t seed;           /* of stream ids and faults */
    int64_t commit_us;       /* 0: MR_BQ_COMMIT_US */
    int64_t idle_us;         /* a silent connection is closed after it; 0: MR_BQ_IDLE_US */
    int64_t fresh_us;        /* a new table is NOT_FOUND to the write calls for so long */
    int64_t schema_delay_us; /* the write calls see a patched schema so much later */
    uint64_t throttle_bytes; /* append bucket; 0: no throttle. Refills evenly over refill_us; once
                                it is found short, every append is refused until it is full */
    int64_t refill_us;       /* 0: MR_BQ_REFILL_US */
    struct mr_bq_faults faults;
};

struct mr_bq;
struct mr_bq_connection;

/* *store is made in any case, for mr_bq_problem and mr_bq_destroy.
 * Errors  MR_E_LOCAL_DATABASE: the store is good for nothing else. */
int mr_bq_create(struct mr_bq **store, const struct mr_bq_options *options);
/* Commits, and destroys the connections that are left. NULL is accepted. */
void mr_bq_destroy(struct mr_bq *store);
/* The last complaint of SQLite, "" for none. */
const char *mr_bq_problem(const struct mr_bq *store);
void mr_bq_faults_set(struct mr_bq *store, const struct mr_bq_faults *faults);

/* The open database, for reading on the same thread: it sees rows that are not committed yet. */
struct sqlite3;
struct sqlite3 *mr_bq_handle(struct mr_bq *store);

/* Commits now. MR_OK or MR_E_LOCAL_DATABASE: what is not durable must not be acknowledged. */
int mr_bq_commit(struct mr_bq *store);
/* When mr_bq_chores or mr_bq_idle has something to do; MR_BQ_NEVER: nothing is pending. */
int64_t mr_bq_due(const struct mr_bq *store);
int mr_bq_chores(struct mr_bq *store, int64_t now_us);

/* ---- gRPC ---- */

struct mr_bq_answer {
    int32_t code;           /* MR_GRPC_OK, or how the call (for AppendRows: the stream) ends */
    const char *text;       /* grpc-message; "" when OK */
    struct mr_span status;  /* google.rpc.Status for grpc-status-details-bin; empty when OK */
    struct mr_span message; /* the response; empty if the call ends without one */
};

/* The five unary methods; UNIMPLEMENTED for AppendRows and MR_BIGQUERY_METHOD_COUNT. */
void mr_bq_call(struct mr_bq *store, enum mr_bigquery_method method, struct mr_span request,
                int64_t now_us, struct mr_bq_answer *answer);

/* One AppendRows call. `user` is the front's. */
struct mr_bq_connection *mr_bq_connection_create(struct mr_bq *store, void *user, int64_t now_us);
void mr_bq_connection_destroy(struct mr_bq_connection *connection);
void *mr_bq_connection_user(const struct mr_bq_connection *connection);

/* Takes one AppendRowsRequest. Each has exactly one answer, at once: with code OK it is `message`
 * (a result or an in-band error), and the stream goes on; else the stream ends. */
void mr_bq_append(struct mr_bq_connection *connection, struct mr_span request, int64_t now_us,
                  struct mr_bq_answer *answer);

/* The connection that has been silent longest, if for idle_us: end its stream with *answer
 * (ABORTED) and destroy it. NULL: none. */
struct mr_bq_connection *mr_bq_idle(struct mr_bq *store, int64_t now_us,
                                    struct mr_bq_answer *answer);

/* ---- REST ---- */

struct mr_bq_request {
    struct mr_span method;   /* GET, POST, PATCH, PUT, DELETE */
    struct mr_span target;   /* path with query; with or without /bigquery/v2 */
    struct mr_span body;     /* JSON or empty */
    struct mr_span if_match; /* header If-Match, or empty */
};

struct mr_bq_reply {
    int status;          /* HTTP */
    struct mr_span body; /* JSON; empty with 204 */
};

/* datasets.insert/get/list/delete, tables.insert/get/list/patch/update/delete, jobs.insert/get (of
 * queries), jobs.query, jobs.getQueryResults, tabledata.list, tabledata.insertAll. */
void mr_bq_rest(struct mr_bq *store, const struct mr_bq_request *request, int64_t now_us,
                struct mr_bq_reply *reply);

#endif
