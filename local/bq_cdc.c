#include "local/bq_state.h"

#define TOMBSTONE_US (INT64_C(2) * 86400 * 1000000) /* "Change data capture": two days */
#define FORGET_US    (INT64_C(3600) * 1000000)

/* ---- sequence numbers ---- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Sections stand left to right as big-endian words, so that memcmp compares section by section; a
 * missing one counts as zero. */
bool mr_bq_sequence_parse(struct mr_span text, uint8_t sequence[32])
{
    struct mr_cursor cursor = mr_cursor_of(text);
    int section = 0, digits = 0;
    uint64_t value = 0;

    memset(sequence, 0, 32);
    for (;;) {
        bool end = mr_cursor_done(&cursor);
        uint8_t c = end ? '/' : *cursor.at++;
        if (c == '/') {
            if (digits == 0 || section == 4)
                return false;
            mr_store64(sequence + 8 * section++, __builtin_bswap64(value));
            value = 0;
            digits = 0;
            if (end)
                return true;
            continue;
        }
        int digit = hex_digit(c);
        if (digit < 0 || ++digits > 16)
            return false;
        value = value << 4 | (uint64_t)digit;
    }
}

/* ---- keys ---- */

/* The key columns' cells as one byte string; equal keys and only those give equal strings. */
static struct mr_span key_of(struct mr_bq_table *table, const struct mr_bq_row *row)
{
    size_t room = 0;
    for (uint32_t i = 0; i < table->key_count; i++)
        room += 16 + row->cells[table->keys[i]].bytes;
    struct mr_pen pen = mr_pen_of(mr_bq_heap_take(&table->store->heap, room), room);

    for (uint32_t i = 0; i < table->key_count; i++) {
        const struct mr_bq_cell *cell = &row->cells[table->keys[i]];
        mr_pen_u8(&pen, cell->kind);
        if (cell->kind >= MR_BQ_TEXT) {
            mr_pen_le32(&pen, cell->bytes);
            mr_pen_put(&pen, mr_span_of(cell->data, cell->bytes));
        } else if (cell->kind > MR_BQ_NULL) {
            mr_pen_le64(&pen, (uint64_t)cell->integer); /* a REAL by its bits */
        }
    }
    return mr_pen_span(&pen);
}

static int statements_make(struct mr_bq_table *table)
{
    struct mr_bq *store = table->store;
    const char *where = "";

    if (table->row_delete)
        return MR_OK;
    for (uint32_t i = 0; i < table->key_count; i++)
        where = mr_bq_heap_print(&store->heap, "%s%s%s is ?", where, i ? " and " : "",
                                 mr_bq_quote(store, table->columns[table->keys[i]].name, ""));
    const char *keys = mr_bq_quote(store, table->sql_name, "$keys");
    table->key_find = mr_bq_prepare(store, "select sequence, request from %s where \"key\"=?",
                                    keys);
    table->key_put = mr_bq_prepare(store, "insert or replace into %s values(?,?,?,?)", keys);
    table->row_delete = mr_bq_prepare(store, "delete from %s where %s",
                                      mr_bq_quote(store, table->sql_name, ""), where);
    return table->key_find && table->key_put && table->row_delete ? MR_OK : MR_E_LOCAL_DATABASE;
}

/* Whether the row is newer than what the key has. Larger number wins, of equal ones the later to
 * come; without numbers the later request wins, but within one request the first row (observed by
 * users of the service). */
static bool newer(struct mr_bq_table *table, struct mr_span key, const struct mr_bq_row *row)
{
    sqlite3_stmt *find = table->key_find;
    bool wins = true;

    sqlite3_bind_blob(find, 1, key.data, (int)key.bytes, SQLITE_STATIC);
    if (sqlite3_step(find) == SQLITE_ROW) {
        const void *old = sqlite3_column_blob(find, 0);
        bool same_request = sqlite3_column_int64(find, 1) == (int64_t)table->store->append_count;
        if (old && row->sequenced)
            wins = memcmp(row->sequence, old, 32) >= 0;
        else if (!old && !row->sequenced)
            wins = !same_request;
    }
    sqlite3_reset(find);
    return wins;
}

int mr_bq_change_apply(struct mr_bq_table *table, const struct mr_bq_row *row, int64_t now_us)
{
    struct mr_bq *store = table->store;
    struct mr_span key = key_of(table, row);

    int err = statements_make(table);
    if (err != MR_OK || !newer(table, key, row))
        return err;
    sqlite3_bind_blob(table->key_put, 1, key.data, (int)key.bytes, SQLITE_STATIC);
    if (row->sequenced)
        sqlite3_bind_blob(table->key_put, 2, row->sequence, 32, SQLITE_STATIC);
    else
        sqlite3_bind_null(table->key_put, 2);
    sqlite3_bind_int64(table->key_put, 3, (int64_t)store->append_count);
    if (row->change == MR_BQ_DELETE)
        sqlite3_bind_int64(table->key_put, 4, now_us);
    else
        sqlite3_bind_null(table->key_put, 4);
    err = mr_bq_step(store, table->key_put);
    for (uint32_t i = 0; i < table->key_count; i++)
        mr_bq_bind(table->row_delete, (int)i + 1, &row->cells[table->keys[i]]);
    if (err == MR_OK)
        err = mr_bq_step(store, table->row_delete);
    if (err != MR_OK || row->change == MR_BQ_DELETE)
        return err;
    for (uint32_t i = 0; i < table->column_count; i++)
        mr_bq_bind(table->insert, (int)i + 1, &row->cells[i]);
    return mr_bq_step(store, table->insert);
}

int mr_bq_tombstones_forget(struct mr_bq *store, int64_t now_us)
{
    int err = MR_OK;

    if (now_us < store->forget_us)
        return MR_OK;
    store->forget_us = now_us + FORGET_US;
    for (struct mr_bq_table *table = store->tables; err == MR_OK && table; table = table->next)
        if (table->key_count && !table->view)
            err = mr_bq_sql(store, "delete from %s where deleted_us < %lld",
                            mr_bq_quote(store, table->sql_name, "$keys"),
                            (long long)(now_us - TOMBSTONE_US));
    return err;
}
