/* GoogleSQL into SQLite's SQL, token by token: names of tables, string and typed literals, types of
 * casts, a few functions. What else the two share, which simple SELECTs do, passes through. */
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "local/bq_state.h"

#define PARTS_MAX 6

struct translation {
    struct mr_bq *store;
    struct mr_cursor in;
    struct mr_bq_json out; /* the text so far */
    const char *project, *dataset;
    int64_t now_us;
    const char *wrong;
    bool missing;
    bool from;   /* a table is expected: after FROM, JOIN, and commas between tables */
    bool tables; /* within a list of tables */
    bool as;     /* the last word was AS */
    uint32_t depth, tables_depth;
};

/* Words of a query that cannot be the alias of a table. */
static const char *KEYWORDS[] = {"where",   "group",  "order",  "limit",     "join",   "inner",
                                 "left",    "right",  "full",   "cross",     "on",     "using",
                                 "union",   "having", "window", "intersect", "except", "offset",
                                 "natural", "outer",  "qualify"};

static const struct {
    const char *google, *sqlite;
} TYPES[] = {{"string", "text"},    {"int64", "integer"},   {"float64", "real"},
             {"bool", "integer"},   {"numeric", "numeric"}, {"bignumeric", "numeric"},
             {"timestamp", "text"}, {"date", "text"},       {"datetime", "text"},
             {"time", "text"},      {"bytes", "blob"},      {"json", "text"}};

static const struct {
    const char *google, *sqlite;
} FUNCTIONS[] = {{"if", "iif"}, {"safe_cast", "cast"}, {"char_length", "length"}};

static void put(struct translation *t, const char *text)
{
    mr_bq_json_put(&t->out, text, strlen(text));
}

static bool is(struct mr_span word, const char *text)
{
    return word.bytes == strlen(text) &&
           strncasecmp((const char *)word.data, text, word.bytes) == 0;
}

static bool is_keyword(struct mr_span word)
{
    for (size_t i = 0; i < MR_COUNT(KEYWORDS); i++)
        if (is(word, KEYWORDS[i]))
            return true;
    return false;
}

static int peek(const struct translation *t, size_t ahead)
{
    return mr_cursor_left(&t->in) > ahead ? t->in.at[ahead] : -1;
}

static bool word_byte(int c)
{
    return c >= 128 || (c > 0 && (isalnum(c) || c == '_'));
}

static void skip_space(struct translation *t)
{
    while (peek(t, 0) > 0 && isspace(peek(t, 0)))
        t->in.at++;
}

/* ---- literals ---- */

/* A quoted string, escapes undone, on the heap. */
static struct mr_span take_string(struct translation *t)
{
    uint8_t quote = *t->in.at++;
    char *text = mr_bq_heap_take(&t->store->heap, mr_cursor_left(&t->in) + 1), *at = text;

    while (peek(t, 0) >= 0 && *t->in.at != quote) {
        uint8_t c = *t->in.at++;
        if (c == '\\' && peek(t, 0) >= 0) {
            c = *t->in.at++;
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
        }
        *at++ = (char)c;
    }
    if (peek(t, 0) < 0)
        t->wrong = "Syntax error: Unclosed string literal";
    else
        t->in.at++;
    return mr_span_of(text, (size_t)(at - text));
}

static void put_string(struct translation *t, struct mr_span text)
{
    put(t, "'");
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] == '\'')
            put(t, "'");
        mr_bq_json_put(&t->out, (const char *)&text.data[i], 1);
    }
    put(t, "'");
}

/* TIMESTAMP '...' and its like as the cell that a column of the type would hold. */
static void put_typed(struct translation *t, int32_t type, struct mr_span text)
{
    struct mr_bq_column column = {.type = type, .mode = MR_BIGQUERY_NULLABLE};
    struct mr_bq_cell cell;

    t->wrong = mr_bq_cell_of_text(&t->store->heap, &column, text, &cell);
    if (t->wrong)
        return;
    if (cell.kind == MR_BQ_TEXT)
        put_string(t, mr_span_of(cell.data, cell.bytes));
    else
        mr_bq_json_put(&t->out, (const char *)text.data, text.bytes);
}

static int32_t literal_type(struct mr_span word)
{
    return is(word, "timestamp")    ? MR_BIGQUERY_TIMESTAMP
           : is(word, "datetime")   ? MR_BIGQUERY_DATETIME
           : is(word, "date")       ? MR_BIGQUERY_DATE
           : is(word, "time")       ? MR_BIGQUERY_TIME
           : is(word, "numeric")    ? MR_BIGQUERY_NUMERIC
           : is(word, "bignumeric") ? MR_BIGQUERY_BIGNUMERIC
                                    : 0;
}

static bool put_now(struct translation *t, struct mr_span word)
{
    char text[MR_BQ_TIME_BYTES];

    if (!is(word, "current_timestamp") && !is(word, "current_date"))
        return false;
    mr_bq_timestamp_print(t->now_us, true, text);
    put_string(t, mr_span_of(text, is(word, "current_date") ? 10 : strlen(text)));
    skip_space(t);
    if (peek(t, 0) == '(' && peek(t, 1) == ')')
        t->in.at += 2;
    return true;
}

/* ---- names ---- */

struct path {
    struct mr_span parts[PARTS_MAX];
    uint32_t count;
    bool quoted; /* part of it stood in backticks */
};

static void path_add(struct path *path, const uint8_t *start, const uint8_t *end)
{
    if (path->count < PARTS_MAX)
        path->parts[path->count++] = mr_span_of(start, (size_t)(end - start));
}

/* One piece, bare or in backticks; backticks may hold several parts. */
static void take_piece(struct translation *t, struct path *path)
{
    const uint8_t *start = t->in.at;

    if (peek(t, 0) != '`') {
        while (word_byte(peek(t, 0)) || (t->from && peek(t, 0) == '-' && word_byte(peek(t, 1))))
            t->in.at++;
        path_add(path, start, t->in.at);
        return;
    }
    path->quoted = true;
    start = ++t->in.at;
    for (; peek(t, 0) >= 0 && *t->in.at != '`'; t->in.at++) {
        if (*t->in.at == '.') {
            path_add(path, start, t->in.at);
            start = t->in.at + 1;
        }
    }
    path_add(path, start, t->in.at);
    if (peek(t, 0) < 0)
        t->wrong = "Syntax error: Unclosed identifier literal";
    else
        t->in.at++;
}

static struct mr_bq_table *table_of(struct translation *t, const struct path *path, uint32_t parts)
{
    const struct mr_span *p = path->parts;
    struct mr_span project = mr_span_text(t->project);

    if (parts == 1 && t->dataset)
        return mr_bq_table_find(t->store, project, mr_span_text(t->dataset), p[0]);
    if (parts == 2)
        return mr_bq_table_find(t->store, project, p[0], p[1]);
    return parts == 3 ? mr_bq_table_find(t->store, p[0], p[1], p[2]) : NULL;
}

/* SQLite knows the table by its full name; the query may go on calling it by its last part. */
static void put_alias(struct translation *t, const struct mr_bq_table *table)
{
    struct translation ahead = *t;
    struct path path = {0};

    ahead.from = false;
    skip_space(&ahead);
    if (word_byte(peek(&ahead, 0)) || peek(&ahead, 0) == '`')
        take_piece(&ahead, &path);
    if (path.count && (path.quoted || !is_keyword(path.parts[0])))
        return;
    put(t, " as ");
    put(t, mr_bq_quote(t->store, table->name, ""));
}

static void put_parts(struct translation *t, const struct path *path, uint32_t from)
{
    for (uint32_t i = from; i < path->count; i++) {
        if (i)
            put(t, ".");
        if (path->quoted)
            put(t, "`");
        mr_bq_json_put(&t->out, (const char *)path->parts[i].data, path->parts[i].bytes);
        if (path->quoted)
            put(t, "`");
    }
}

static void put_path(struct translation *t, const struct path *path)
{
    struct mr_bq_table *table = t->from ? table_of(t, path, path->count) : NULL;

    if (table) {
        put(t, mr_bq_quote(t->store, table->sql_name, ""));
        put_alias(t, table);
    } else if (t->from && path->count > 1) {
        struct mr_span all = mr_span_of(
            path->parts[0].data, (size_t)(path->parts[path->count - 1].data - path->parts[0].data) +
                                     path->parts[path->count - 1].bytes);
        t->missing = true;
        t->wrong = mr_bq_heap_print(&t->store->heap, "Not found: Table %s was not found",
                                    mr_bq_heap_copy(&t->store->heap, all));
    } else {
        put_parts(t, path, 0);
    }
}

static void word(struct translation *t, struct mr_span text)
{
    if (t->as) {
        for (size_t i = 0; i < MR_COUNT(TYPES); i++) {
            if (is(text, TYPES[i].google) && !t->tables) {
                put(t, TYPES[i].sqlite);
                return;
            }
        }
    }
    skip_space(t);
    int32_t type = literal_type(text);
    if (type && (peek(t, 0) == '\'' || peek(t, 0) == '"')) {
        put_typed(t, type, take_string(t));
        return;
    }
    if (put_now(t, text))
        return;
    for (size_t i = 0; i < MR_COUNT(FUNCTIONS); i++) {
        if (is(text, FUNCTIONS[i].google) && peek(t, 0) == '(') {
            put(t, FUNCTIONS[i].sqlite);
            return;
        }
    }
    mr_bq_json_put(&t->out, (const char *)text.data, text.bytes);
}

static void name(struct translation *t)
{
    struct path path = {0};

    take_piece(t, &path);
    while (peek(t, 0) == '.' && (word_byte(peek(t, 1)) || peek(t, 1) == '`')) {
        t->in.at++;
        take_piece(t, &path);
    }
    if (t->wrong || path.count == 0)
        return;
    struct mr_span first = path.parts[0];
    bool bare = path.count == 1 && !path.quoted;
    if (bare && (is(first, "from") || is(first, "join"))) {
        put_parts(t, &path, 0);
        t->from = t->tables = true;
        t->tables_depth = t->depth;
        t->as = false;
        return;
    }
    if (t->from && (!bare || table_of(t, &path, 1)))
        put_path(t, &path);
    else if (bare && !t->from)
        word(t, first);
    else
        put_parts(t, &path, 0);
    t->from = false;
    if (bare && is_keyword(first) && t->depth == t->tables_depth)
        t->tables = false;
    t->as = bare && is(first, "as");
    put(t, " ");
}

/* ---- the text ---- */

static bool comment(struct translation *t)
{
    int c = peek(t, 0), next = peek(t, 1);

    if (c == '#' || (c == '-' && next == '-')) {
        while (peek(t, 0) >= 0 && *t->in.at != '\n')
            t->in.at++;
        return true;
    }
    if (c != '/' || next != '*')
        return false;
    while (peek(t, 0) >= 0 && !(peek(t, 0) == '*' && peek(t, 1) == '/'))
        t->in.at++;
    t->in.at += MR_MIN(mr_cursor_left(&t->in), 2u);
    return true;
}

static void symbol(struct translation *t)
{
    char c = (char)*t->in.at++;

    if (c == '(') {
        t->depth++;
        t->from = false; /* a subquery, or a function's arguments */
    }
    if (c == ')')
        t->depth -= t->depth > 0;
    if (c == ',')
        t->from = t->tables && t->depth == t->tables_depth;
    if (c == '@') { /* a parameter's name is no name of ours */
        mr_bq_json_put(&t->out, &c, 1);
        while (word_byte(peek(t, 0)))
            mr_bq_json_put(&t->out, (const char *)t->in.at++, 1);
        return;
    }
    mr_bq_json_put(&t->out, &c, 1);
}

static bool begins_well(struct translation *t)
{
    struct translation ahead = *t;

    skip_space(&ahead);
    while (comment(&ahead) || peek(&ahead, 0) == '(') {
        if (peek(&ahead, 0) == '(')
            ahead.in.at++;
        skip_space(&ahead);
    }
    struct path path = {0};
    if (word_byte(peek(&ahead, 0)))
        take_piece(&ahead, &path);
    return path.count && (is(path.parts[0], "select") || is(path.parts[0], "with"));
}

const char *mr_bq_sql_translate(struct mr_bq *store, struct mr_span sql, const char *project,
                                const char *dataset, int64_t now_us, const char **wrong,
                                bool *missing)
{
    struct translation t = {.store = store,
                            .in = mr_cursor_of(sql),
                            .out = {.heap = &store->heap},
                            .project = project,
                            .dataset = dataset,
                            .now_us = now_us,
                            .tables_depth = UINT32_MAX};

    if (!begins_well(&t))
        t.wrong = "Only SELECT queries are taken here";
    while (!t.wrong && !mr_cursor_done(&t.in)) {
        int c = peek(&t, 0);
        if (comment(&t)) {
            put(&t, " ");
        } else if (isspace(c)) {
            put(&t, " ");
            t.in.at++;
        } else if (c == '\'' || c == '"') {
            put_string(&t, take_string(&t));
        } else if (c == '`' || (word_byte(c) && !isdigit(c))) {
            name(&t);
        } else if (isdigit(c)) {
            while (word_byte(peek(&t, 0)) || peek(&t, 0) == '.')
                mr_bq_json_put(&t.out, (const char *)t.in.at++, 1);
        } else {
            symbol(&t);
        }
    }
    mr_bq_json_put(&t.out, "", 1);
    *wrong = t.wrong;
    *missing = t.missing;
    return t.wrong ? NULL : t.out.data;
}
