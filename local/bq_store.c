#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/hash.h"
#include "local/bq_state.h"

/* ---- SQL ---- */

static int problem_keep(struct mr_bq *store, const char *where)
{
    free(store->problem);
    if (asprintf(&store->problem, "%s: %s", sqlite3_errmsg(store->db), where) < 0)
        store->problem = NULL;
    return MR_E_LOCAL_DATABASE;
}

int mr_bq_sql(struct mr_bq *store, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    char *text = sqlite3_vmprintf(format, list);
    va_end(list);
    MR_ASSERT(text);
    int err = sqlite3_exec(store->db, text, NULL, NULL, NULL) == SQLITE_OK
                  ? MR_OK
                  : problem_keep(store, text);
    sqlite3_free(text);
    return err;
}

sqlite3_stmt *mr_bq_prepare(struct mr_bq *store, const char *format, ...)
{
    sqlite3_stmt *statement = NULL;
    va_list list;

    va_start(list, format);
    char *text = sqlite3_vmprintf(format, list);
    va_end(list);
    MR_ASSERT(text);
    if (sqlite3_prepare_v3(store->db, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
        SQLITE_OK)
        problem_keep(store, text);
    sqlite3_free(text);
    return statement;
}

int mr_bq_step(struct mr_bq *store, sqlite3_stmt *statement)
{
    if (!statement)
        return MR_E_LOCAL_DATABASE;
    int state = sqlite3_step(statement);
    int err = state == SQLITE_DONE || state == SQLITE_ROW
                  ? MR_OK
                  : problem_keep(store, sqlite3_sql(statement));
    sqlite3_reset(statement);
    return err;
}

void mr_bq_bind(sqlite3_stmt *statement, int index, const struct mr_bq_cell *cell)
{
    switch (cell->kind) {
    case MR_BQ_INTEGER:
        sqlite3_bind_int64(statement, index, cell->integer);
        break;
    case MR_BQ_REAL:
        sqlite3_bind_double(statement, index, cell->real);
        break;
    case MR_BQ_TEXT:
        sqlite3_bind_text(statement, index, cell->data, (int)cell->bytes, SQLITE_STATIC);
        break;
    case MR_BQ_BLOB: /* SQLite takes a NULL pointer for NULL */
        sqlite3_bind_blob(statement, index, cell->bytes ? cell->data : "", (int)cell->bytes,
                          SQLITE_STATIC);
        break;
    default:
        sqlite3_bind_null(statement, index);
    }
}

void mr_bq_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT);
}

const char *mr_bq_quote(struct mr_bq *store, const char *name, const char *suffix)
{
    char *text = sqlite3_mprintf("\"%w%w\"", name, suffix);
    MR_ASSERT(text);
    char *copy = mr_bq_heap_copy(&store->heap, mr_span_text(text));
    sqlite3_free(text);
    return copy;
}

double mr_bq_chance(struct mr_bq *store)
{
    store->random += MR_HASH_K0;
    return (double)(mr_hash_mix(store->random, MR_HASH_K1) >> 11) * 0x1p-53;
}

/* ---- opening and closing ---- */

static int open_database(struct mr_bq *store)
{
    const char *path = store->options.path ? store->options.path : ":memory:";

    if (sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
        SQLITE_OK)
        return problem_keep(store, path);
    sqlite3_busy_timeout(store->db, 5000);
    return mr_bq_sql(store, "pragma journal_mode=wal; pragma synchronous=normal;"
                            "pragma temp_store=memory; pragma cache_size=-65536;"
                            "pragma wal_autocheckpoint=4096;"
                            "create table if not exists \"$meta\"(name text primary key, value);"
                            "create table if not exists \"$datasets\"(project text, dataset text,"
                            " resource text, primary key(project, dataset));"
                            "create table if not exists \"$tables\"(id integer primary key,"
                            " project text, dataset text, name text, sql_name text unique"
                            " collate nocase, resource text, create_us integer,"
                            " unique(project, dataset, name));"
                            "create table if not exists \"$streams\"(id integer primary key"
                            " autoincrement, table_id integer, name text, type integer,"
                            " rows integer, shown integer, finalized integer, committed integer,"
                            " create_us integer, commit_us integer)");
}

static int prepare_statements(struct mr_bq *store)
{
    store->begin = mr_bq_prepare(store, "begin immediate");
    store->commit = mr_bq_prepare(store, "commit");
    store->save = mr_bq_prepare(store, "savepoint step");
    store->release = mr_bq_prepare(store, "release step");
    store->undo = mr_bq_prepare(store, "rollback to step");
    store->stream_put = mr_bq_prepare(store,
                                      "update \"$streams\" set rows=?2, shown=?3, finalized=?4,"
                                      " committed=?5, commit_us=?6 where id=?1");
    return store->begin && store->commit && store->save && store->release && store->undo &&
                   store->stream_put
               ? MR_OK
               : MR_E_LOCAL_DATABASE;
}

/* Requests are numbered on from one opening to the next: CDC keeps the numbers. */
static int requests_number(struct mr_bq *store)
{
    int err = mr_bq_sql(store, "insert into \"$meta\" values('opened', 1)"
                               " on conflict(name) do update set value = value + 1");
    sqlite3_stmt *row = mr_bq_prepare(store, "select value from \"$meta\" where name='opened'");

    if (row && sqlite3_step(row) == SQLITE_ROW)
        store->append_count = (uint64_t)sqlite3_column_int64(row, 0) << 40;
    sqlite3_finalize(row);
    return row ? err : MR_E_LOCAL_DATABASE;
}

int mr_bq_create(struct mr_bq **out, const struct mr_bq_options *options)
{
    struct mr_bq *store = calloc(1, sizeof *store);
    MR_ASSERT(store);

    *out = store;
    store->options = *options;
    struct mr_bq_options *own = &store->options;
    own->commit_us = own->commit_us ? own->commit_us : MR_BQ_COMMIT_US;
    own->idle_us = own->idle_us ? own->idle_us : MR_BQ_IDLE_US;
    own->refill_us = own->refill_us ? own->refill_us : MR_BQ_REFILL_US;
    own->location = own->location ? own->location : "US";
    store->random = own->seed;
    store->bucket_bytes = (double)own->throttle_bytes;
    int err = open_database(store);
    if (err == MR_OK)
        err = prepare_statements(store);
    if (err == MR_OK)
        err = mr_bq_catalogue_load(store);
    if (err == MR_OK)
        err = mr_bq_streams_load(store);
    if (err == MR_OK)
        err = requests_number(store);
    return err;
}

void mr_bq_destroy(struct mr_bq *store)
{
    if (!store)
        return;
    mr_bq_commit(store);
    while (store->connections)
        mr_bq_connection_destroy(store->connections);
    mr_bq_rest_jobs_forget(store);
    while (store->tables) {
        struct mr_bq_table *table = store->tables;
        store->tables = table->next;
        mr_bq_streams_forget(table);
        mr_bq_table_forget(table);
    }
    while (store->datasets) {
        struct mr_bq_dataset *dataset = store->datasets;
        store->datasets = dataset->next;
        mr_bq_dataset_forget(dataset);
    }
    sqlite3_stmt *statements[] = {store->begin,   store->commit, store->save,
                                  store->release, store->undo,   store->stream_put};
    for (size_t i = 0; i < MR_COUNT(statements); i++)
        sqlite3_finalize(statements[i]);
    sqlite3_close(store->db);
    mr_bq_heap_finish(&store->heap);
    free(store->home);
    free(store->problem);
    free(store);
}

const char *mr_bq_problem(const struct mr_bq *store)
{
    return store->problem ? store->problem : "";
}

void mr_bq_faults_set(struct mr_bq *store, const struct mr_bq_faults *faults)
{
    store->options.faults = *faults;
}

struct sqlite3 *mr_bq_handle(struct mr_bq *store)
{
    return store->db;
}

/* ---- transactions ---- */

int mr_bq_begin(struct mr_bq *store, int64_t now_us)
{
    if (store->in_transaction)
        return MR_OK;
    int err = mr_bq_step(store, store->begin);
    if (err == MR_OK) {
        store->in_transaction = true;
        store->begun_us = now_us;
    }
    return err;
}

int mr_bq_commit(struct mr_bq *store)
{
    if (!store->in_transaction)
        return MR_OK;
    int err = mr_bq_streams_write(store);
    if (err == MR_OK)
        err = mr_bq_step(store, store->commit);
    if (err == MR_OK)
        store->in_transaction = false;
    return err;
}

int mr_bq_chores(struct mr_bq *store, int64_t now_us)
{
    if (store->in_transaction && now_us - store->begun_us >= store->options.commit_us) {
        int err = mr_bq_tombstones_forget(store, now_us);
        return err == MR_OK ? mr_bq_commit(store) : err;
    }
    return MR_OK;
}

int64_t mr_bq_due(const struct mr_bq *store)
{
    int64_t due = MR_BQ_NEVER;

    if (store->in_transaction)
        due = store->begun_us + store->options.commit_us;
    for (const struct mr_bq_connection *c = store->connections; c; c = c->next)
        due = MR_MIN(due, c->heard_us + store->options.idle_us);
    return due;
}
