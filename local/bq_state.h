/* What the local BigQuery is made of; only the bq_*.c files of this room look in here.
 *
 *   store ──< table ──< stream          a stream's rows up to `shown` are visible; BUFFERED and
 *     └──< connection ── table          PENDING rows beyond it wait in the table "...$held"
 *
 * The catalogue and the streams live in SQLite too: a store opened again goes on where the last
 * commit stood. Stream ends are written with the commit that holds their rows. */
#ifndef MR_LOCAL_BQ_STATE_H
#define MR_LOCAL_BQ_STATE_H

#include <sqlite3.h>

#include "core/texts.h"
#include "local/bigquery.h"
#include "local/bq_value.h"

#define MR_BQ_STREAM_BUCKETS 4096
#define MR_BQ_KEYS_MAX       16
#define MR_BQ_COLUMNS_MAX    10000
#define MR_BQ_JOBS_MAX       64

struct mr_bq_dataset {
    struct mr_bq_dataset *next;
    char *project, *name, *resource; /* resource: JSON */
};

struct mr_bq_table {
    struct mr_bq_table *next;
    struct mr_bq *store;
    struct mr_texts texts; /* names and columns */
    char *project, *dataset, *name;
    char *sql_name;                                 /* as SQLite knows it, unquoted */
    char *resource;                                 /* JSON, as given by REST; malloc */
    int64_t id, create_us, modified_us, changed_us; /* changed: columns were added */
    uint64_t version;                               /* of the schema */
    bool view;
    bool held; /* the twin for held rows exists */
    struct mr_bq_column *columns;
    uint32_t column_count;
    uint32_t old_column_count; /* what the write calls see until schema_delay_us have passed */
    uint32_t keys[MR_BQ_KEYS_MAX], key_count; /* primary key: column indices */
    /* Prepared when first used, dropped when the schema changes. */
    sqlite3_stmt *insert, *hold, *key_find, *key_put, *row_delete;
};

struct mr_bq_stream {
    struct mr_bq_stream *next;       /* in its bucket */
    struct mr_bq_stream *next_dirty; /* to be written with the next commit */
    struct mr_bq_table *table;
    int64_t id;
    char name[24]; /* last part of the resource name */
    int32_t type;  /* enum mr_bigquery_stream_type */
    int64_t end;   /* rows appended */
    int64_t shown; /* BUFFERED: rows flushed */
    bool finalized, committed, dirty;
    int64_t create_us, commit_us;
};

struct mr_bq_binding;

struct mr_bq_connection {
    struct mr_bq_connection *next;
    struct mr_bq *store;
    void *user;
    int64_t heard_us;
    struct mr_bq_table *table;   /* NULL: none yet, or it was deleted */
    struct mr_bq_stream *stream; /* NULL: the default stream */
    char *stream_name;           /* as the client wrote it; malloc; NULL before the first request */
    struct mr_bq_binding *binding;
    int32_t missing;     /* enum mr_bigquery_missing, sticks */
    uint64_t version;    /* of the table's schema, as last told */
    bool switched;       /* the destination changed once */
    bool changes, plain; /* CDC rows, plain rows came over this connection */
};

struct mr_bq {
    struct mr_bq_options options;
    sqlite3 *db;
    char *problem;
    char *home; /* project whose tables go by dataset.table */
    struct mr_bq_heap heap;
    struct mr_bq_dataset *datasets;
    struct mr_bq_table *tables;
    struct mr_bq_connection *connections;
    struct mr_bq_stream *streams[MR_BQ_STREAM_BUCKETS];
    struct mr_bq_stream *dirty;
    sqlite3_stmt *begin, *commit, *save, *release, *undo, *stream_put;
    bool in_transaction;
    int64_t begun_us;
    uint64_t append_count; /* tells the rows of one request from those of another */
    uint64_t random;
    int64_t forget_us;   /* when tombstones are looked through next */
    double bucket_bytes; /* what the throttle has left */
    int64_t bucket_us, throttled_until_us;
    struct mr_bq_jobs *jobs; /* finished queries; bq_rest_query.c */
    uint64_t job_count;
};

/* ---- bq_store.c: the database ---- */

/* MR_OK or MR_E_LOCAL_DATABASE, the reason in store->problem. `format` is SQL. */
int mr_bq_sql(struct mr_bq *store, const char *format, ...);
/* NULL on failure. */
sqlite3_stmt *mr_bq_prepare(struct mr_bq *store, const char *format, ...);
/* Runs a statement that gives no rows, and resets it. */
int mr_bq_step(struct mr_bq *store, sqlite3_stmt *statement);
int mr_bq_begin(struct mr_bq *store, int64_t now_us);
void mr_bq_bind(sqlite3_stmt *statement, int index, const struct mr_bq_cell *cell);
void mr_bq_bind_text(sqlite3_stmt *statement, int index, const char *text);
double mr_bq_chance(struct mr_bq *store); /* [0, 1) */
/* An SQLite identifier, quoted; on the heap. */
const char *mr_bq_quote(struct mr_bq *store, const char *name, const char *suffix);

/* ---- bq_tables.c ---- */

int mr_bq_catalogue_load(struct mr_bq *store);
struct mr_bq_dataset *mr_bq_dataset_find(struct mr_bq *store, struct mr_span project,
                                         struct mr_span name);
int mr_bq_dataset_create(struct mr_bq *store, struct mr_span project, struct mr_span name,
                         const char *resource);
int mr_bq_dataset_delete(struct mr_bq *store, struct mr_bq_dataset *dataset);
void mr_bq_dataset_forget(struct mr_bq_dataset *dataset);
struct mr_bq_table *mr_bq_table_find(struct mr_bq *store, struct mr_span project,
                                     struct mr_span dataset, struct mr_span name);
/* What SQLite knows it by, unquoted, on the heap. */
char *mr_bq_table_sql_name(struct mr_bq *store, struct mr_span project, struct mr_span dataset,
                           struct mr_span name);

/* What tables.insert and tables.patch say of a table; everything is copied. */
struct mr_bq_table_plan {
    struct mr_bq_column *columns;
    uint32_t column_count;
    uint32_t keys[MR_BQ_KEYS_MAX], key_count;
    const char *resource;
    const char *view; /* SQLite's SELECT, or NULL */
};
int mr_bq_table_create(struct mr_bq *store, struct mr_span project, struct mr_span dataset,
                       struct mr_span name, const struct mr_bq_table_plan *plan, int64_t now_us,
                       struct mr_bq_table **table);
/* Columns may be added behind; those there keep their types. */
int mr_bq_table_change(struct mr_bq_table *table, const struct mr_bq_table_plan *plan,
                       int64_t now_us);
int mr_bq_table_delete(struct mr_bq_table *table);
void mr_bq_table_forget(struct mr_bq_table *table); /* memory only */
int mr_bq_table_hold(struct mr_bq_table *table);    /* makes the twin for held rows */
/* Columns that the write calls know at `now_us`. */
uint32_t mr_bq_table_known(const struct mr_bq_table *table, int64_t now_us);
/* Encoded TableSchema, on the heap. */
struct mr_span mr_bq_table_schema(struct mr_bq_table *table, uint32_t columns);

/* ---- bq_streams.c ---- */

int mr_bq_streams_load(struct mr_bq *store);
void mr_bq_streams_forget(struct mr_bq_table *table); /* those of a table that goes */
int mr_bq_streams_write(struct mr_bq *store);         /* the dirty ones */
void mr_bq_stream_dirty(struct mr_bq *store, struct mr_bq_stream *stream);

/* A stream named by a client. */
enum mr_bq_where { MR_BQ_FOUND, MR_BQ_BAD_NAME, MR_BQ_NO_TABLE, MR_BQ_NO_STREAM };
struct mr_bq_place {
    struct mr_bq_table *table;
    struct mr_bq_stream *stream; /* NULL: the default stream */
};
enum mr_bq_where mr_bq_stream_find(struct mr_bq *store, struct mr_span name, int64_t now_us,
                                   struct mr_bq_place *place);

/* ---- answers (bq_answer.c) ---- */

/* The call ends with `code`; `storage` 0: no StorageError. */
void mr_bq_answer_end(struct mr_bq *store, struct mr_bq_answer *answer, int32_t code,
                      int32_t storage, const char *entity, const char *text);
/* The message is `response`, a struct with a shape. */
#define MR_BQ_ANSWER(store, answer, name, response)                                                \
    do {                                                                                           \
        struct mr_pen pen_ = mr_pen_measure();                                                     \
        name##_put(&pen_, response);                                                               \
        void *place_ = mr_bq_heap_take(&(store)->heap, pen_.bytes + 1);                            \
        struct mr_pen out_ = mr_pen_of(place_, pen_.bytes + 1);                                    \
        name##_put(&out_, response);                                                               \
        *(answer) = (struct mr_bq_answer){.text = "", .message = mr_pen_span(&out_)};              \
    } while (0)
/* A google.rpc.Status with at most one StorageError, its spans on the heap. */
struct mr_rpc_status mr_bq_status(struct mr_bq *store, int32_t code, int32_t storage,
                                  const char *entity, const char *text);

/* ---- bq_bind.c: what a writer's descriptor means for a table ---- */

enum mr_bq_wrap {
    MR_BQ_PLAIN,
    MR_BQ_WRAPPED,   /* google.protobuf.*Value: field 1 */
    MR_BQ_TIMESTAMP, /* google.protobuf.Timestamp */
    MR_BQ_DURATION,
    MR_BQ_RANGE, /* message with start and end */
};

#define MR_BQ_CHANGE_TYPE     UINT32_MAX
#define MR_BQ_CHANGE_SEQUENCE (UINT32_MAX - 1)

/* One field of a message. */
struct mr_bq_slot {
    uint32_t number;
    uint32_t column; /* index, or MR_BQ_CHANGE_TYPE and its like */
    int32_t proto;   /* enum mr_bigquery_proto, of the wrapped value too */
    enum mr_bq_wrap wrap;
    bool repeated;
    const struct mr_bigquery_enum *enumeration;
    struct mr_bq_layout *layout; /* of a STRUCT, or a RANGE (columns 0 start, 1 end) */
};

/* One message, its slots ordered by field number. */
struct mr_bq_layout {
    struct mr_bq_slot *slots;
    uint32_t slot_count;
    const struct mr_bq_column *columns;
    uint32_t column_count;
    const struct mr_bq_slot **by_column; /* NULL: not in the descriptor */
};

struct mr_bq_binding {
    struct mr_texts texts;
    struct mr_bq_layout *root;
    uint8_t *descriptor;
    size_t descriptor_bytes;
    uint64_t version; /* of the table's schema it was bound to */
    bool changes;     /* has _CHANGE_TYPE */
};

/* Errors  NULL with a code and text: INVALID_ARGUMENT in-band, `storage` perhaps
 *         SCHEMA_MISMATCH_EXTRA_FIELDS. */
struct mr_bq_binding *mr_bq_binding_create(struct mr_bq_table *table, struct mr_span descriptor,
                                           int64_t now_us, int32_t *storage, const char **text);
void mr_bq_binding_destroy(struct mr_bq_binding *binding);

/* ---- bq_rows.c: rows into cells ---- */

enum mr_bq_change { MR_BQ_INSERT, MR_BQ_UPSERT, MR_BQ_DELETE };

struct mr_bq_row {
    struct mr_bq_cell *cells; /* table->column_count of them */
    enum mr_bq_change change;
    bool sequenced;
    uint8_t sequence[32];
};

struct mr_bq_decoder {
    struct mr_bq_table *table;
    const struct mr_bq_binding *binding;
    int64_t now_us;
    uint8_t *missing; /* one enum mr_bigquery_missing a column */
};
/* NULL, or the row's error, on the heap. */
const char *mr_bq_row_decode(const struct mr_bq_decoder *decoder, struct mr_span bytes,
                             struct mr_bq_row *row);
/* Fills what a row does not say: defaults, NULL, or the complaint about a REQUIRED column. */
const char *mr_bq_row_complete(const struct mr_bq_decoder *decoder, struct mr_bq_row *row);

/* JSON text under construction, on the heap. */
struct mr_bq_json {
    struct mr_bq_heap *heap;
    char *data;
    size_t bytes, room;
};
void mr_bq_json_put(struct mr_bq_json *json, const char *data, size_t bytes);
void mr_bq_json_string(struct mr_bq_json *json, struct mr_span text);
void mr_bq_json_cell(struct mr_bq_json *json, const struct mr_bq_column *column,
                     const struct mr_bq_cell *cell);

/* ---- bq_write.c: rows into SQLite; all of them or none ---- */

int mr_bq_rows_write(struct mr_bq_table *table, struct mr_bq_stream *stream,
                     const struct mr_bq_row *rows, uint32_t count, int64_t now_us);
/* Held rows [stream->shown, end) become visible. */
int mr_bq_rows_show(struct mr_bq_stream *stream, int64_t end, int64_t now_us);
void mr_bq_statements_drop(struct mr_bq_table *table);

/* ---- bq_cdc.c ---- */

/* One to four sections of hexadecimal digits into 32 bytes that compare as the number does. */
bool mr_bq_sequence_parse(struct mr_span text, uint8_t sequence[32]);
int mr_bq_change_apply(struct mr_bq_table *table, const struct mr_bq_row *row, int64_t now_us);
/* Forgets deletions older than two days. */
int mr_bq_tombstones_forget(struct mr_bq *store, int64_t now_us);

/* ---- bq_sql.c ---- */

/* A GoogleSQL query as SQLite takes it: names of tables, literals, casts. NULL: *wrong says why,
 * and *missing whether a table was not found. */
const char *mr_bq_sql_translate(struct mr_bq *store, struct mr_span sql, const char *project,
                                const char *dataset, int64_t now_us, const char **wrong,
                                bool *missing);

/* ---- bq_rest*.c ---- */

/* Reads schema, primary key and view of a Table resource. NULL, or what is wrong with it; all on
 * the heap. */
const char *mr_bq_rest_plan(struct mr_bq *store, const char *resource,
                            struct mr_bq_table_plan *plan);
bool mr_bq_rest_json_valid(struct mr_span text);
void mr_bq_rest_jobs_forget(struct mr_bq *store);

#endif
