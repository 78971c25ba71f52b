#include "local/bq_state.h"

void mr_bq_statements_drop(struct mr_bq_table *table)
{
    sqlite3_stmt **all[] = {&table->insert, &table->hold, &table->key_find, &table->key_put,
                            &table->row_delete};
    for (size_t i = 0; i < MR_COUNT(all); i++) {
        sqlite3_finalize(*all[i]);
        *all[i] = NULL;
    }
}

/* "?, ?, ..." */
static const char *marks(struct mr_bq *store, uint32_t count)
{
    char *text = mr_bq_heap_take(&store->heap, 2 * (size_t)count + 1);
    for (uint32_t i = 0; i < count; i++)
        memcpy(text + 2 * i, i ? ",?" : " ?", 2);
    text[2 * (size_t)count] = 0;
    return text;
}

static sqlite3_stmt *insert_of(struct mr_bq_table *table, bool held)
{
    struct mr_bq *store = table->store;
    sqlite3_stmt **statement = held ? &table->hold : &table->insert;

    if (!*statement)
        *statement = mr_bq_prepare(store, "insert into %s values(%s)",
                                   mr_bq_quote(store, table->sql_name, held ? "$held" : ""),
                                   marks(store, table->column_count + (held ? 2 : 0)));
    return *statement;
}

static int row_insert(struct mr_bq_table *table, sqlite3_stmt *insert, int first,
                      const struct mr_bq_row *row)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        mr_bq_bind(insert, first + (int)i, &row->cells[i]);
    return mr_bq_step(table->store, insert);
}

static int rows_put(struct mr_bq_table *table, struct mr_bq_stream *stream,
                    const struct mr_bq_row *rows, uint32_t count, int64_t now_us)
{
    bool held = stream && stream->type != MR_BIGQUERY_COMMITTED;
    sqlite3_stmt *insert = insert_of(table, held);
    int err = insert ? MR_OK : MR_E_LOCAL_DATABASE;

    for (uint32_t i = 0; err == MR_OK && i < count; i++) {
        if (held) {
            sqlite3_bind_int64(insert, 1, stream->id);
            sqlite3_bind_int64(insert, 2, stream->end + i);
        }
        if (rows[i].change != MR_BQ_INSERT)
            err = mr_bq_change_apply(table, &rows[i], now_us);
        if (err == MR_OK && rows[i].change == MR_BQ_INSERT)
            err = row_insert(table, insert, held ? 3 : 1, &rows[i]);
    }
    return err;
}

int mr_bq_rows_write(struct mr_bq_table *table, struct mr_bq_stream *stream,
                     const struct mr_bq_row *rows, uint32_t count, int64_t now_us)
{
    struct mr_bq *store = table->store;

    int err = mr_bq_begin(store, now_us);
    if (err == MR_OK)
        err = mr_bq_step(store, store->save);
    if (err != MR_OK)
        return err;
    store->append_count++;
    err = rows_put(table, stream, rows, count, now_us);
    if (err != MR_OK)
        mr_bq_step(store, store->undo);
    int released = mr_bq_step(store, store->release);
    return err == MR_OK ? released : err;
}

int mr_bq_rows_show(struct mr_bq_stream *stream, int64_t end, int64_t now_us)
{
    struct mr_bq_table *table = stream->table;
    struct mr_bq *store = table->store;
    const char *names = "";

    if (end <= stream->shown)
        return MR_OK;
    for (uint32_t i = 0; i < table->column_count; i++)
        names = mr_bq_heap_print(&store->heap, "%s%s%s", names, i ? "," : "",
                                 mr_bq_quote(store, table->columns[i].name, ""));
    int err = mr_bq_begin(store, now_us);
    if (err == MR_OK)
        err = mr_bq_step(store, store->save);
    if (err != MR_OK)
        return err;
    err = mr_bq_sql(store,
                    "insert into %s(%s) select %s from %s where \"$stream\"=%lld and"
                    " \"$offset\"<%lld order by \"$offset\";"
                    "delete from %s where \"$stream\"=%lld and \"$offset\"<%lld",
                    mr_bq_quote(store, table->sql_name, ""), names, names,
                    mr_bq_quote(store, table->sql_name, "$held"), (long long)stream->id,
                    (long long)end, mr_bq_quote(store, table->sql_name, "$held"),
                    (long long)stream->id, (long long)end);
    if (err != MR_OK)
        mr_bq_step(store, store->undo);
    int released = mr_bq_step(store, store->release);
    if (err == MR_OK)
        err = released;
    if (err == MR_OK) {
        stream->shown = end;
        mr_bq_stream_dirty(store, stream);
    }
    return err;
}
