#include "sinks/append.h"

static uint8_t *base(const struct mr_append *append)
{
    return (uint8_t *)(uintptr_t)append;
}

struct mr_append *mr_append_init(void *buffer, size_t bytes, size_t head_bytes)
{
    struct mr_append *append = buffer;

    MR_ASSERT(bytes <= UINT32_MAX && sizeof *append + head_bytes < bytes);
    *append = (struct mr_append){
        .head_bytes = (uint32_t)head_bytes,
        .rows_at = (uint32_t)(sizeof *append + head_bytes),
        .limit = (uint32_t)bytes,
    };
    return append;
}

void mr_append_row_begin(struct mr_append *append, struct mr_append_row *row)
{
    row->pen = mr_pen_of(base(append), append->limit);
    row->pen.bytes = append->rows_at + append->rows_bytes;
    if (append->row_count == MR_APPEND_ROWS_MAX)
        mr_pen_fail(&row->pen, MR_E_WIRE_ROOM);
    row->mark = mr_pb_open(&row->pen, 1);
}

int mr_append_row_end(struct mr_append *append, struct mr_append_row *row)
{
    mr_pb_close(&row->pen, row->mark);
    if (row->pen.err != MR_OK)
        return row->pen.err == MR_E_WIRE_ROOM ? MR_AGAIN : row->pen.err;
    append->rows_bytes = (uint32_t)(row->pen.bytes - append->rows_at);
    append->row_count++;
    return MR_OK;
}

/* Steps over one row at `at`, tag and all; `row` is what it holds. */
static const uint8_t *step(const struct mr_append *append, const uint8_t *at, struct mr_span *row)
{
    const uint8_t *end = base(append) + append->rows_at + append->rows_bytes;
    struct mr_cursor cursor = mr_cursor_of(mr_span_of(at, (size_t)(end - at)));
    struct mr_pb_field field;

    MR_ASSERT(mr_pb_next(&cursor, &field));
    *row = field.bytes;
    return cursor.at;
}

/* Bytes of the first `rows` rows. */
static uint32_t bytes_of(const struct mr_append *append, uint32_t rows)
{
    const uint8_t *start = base(append) + append->rows_at, *at = start;
    struct mr_span row;

    if (rows == append->row_count)
        return append->rows_bytes;
    while (rows-- > 0)
        at = step(append, at, &row);
    return (uint32_t)(at - start);
}

struct mr_span mr_append_message(struct mr_append *append, uint32_t rows,
                                 const struct mr_bigquery_append_head *head)
{
    struct mr_bigquery_append message;
    uint8_t *first = base(append) + append->rows_at;
    uint32_t bytes = bytes_of(append, rows);

    /* Once to learn how long the head is, and once where it then belongs. */
    MR_ASSERT(mr_bigquery_append_begin(&message, first - append->head_bytes, append->head_bytes,
                                       head) == MR_OK);
    size_t head_bytes = message.pen.bytes;
    MR_ASSERT(mr_bigquery_append_begin(&message, first - head_bytes, head_bytes + bytes, head) ==
              MR_OK);
    message.pen.bytes += bytes;
    message.row_count = rows;
    return mr_bigquery_append_finish(&message);
}

struct mr_span mr_append_row_at(const struct mr_append *append, uint32_t n)
{
    const uint8_t *at = base(append) + append->rows_at;
    struct mr_span row;

    MR_ASSERT(n < append->row_count);
    do
        at = step(append, at, &row);
    while (n-- > 0);
    return row;
}

void mr_append_drop_front(struct mr_append *append, uint32_t rows)
{
    uint32_t bytes = bytes_of(append, rows);

    append->rows_at += bytes;
    append->rows_bytes -= bytes;
    append->row_count -= rows;
}

void mr_append_drop_marked(struct mr_append *append, const uint64_t *bad)
{
    const uint8_t *at = base(append) + append->rows_at;
    uint8_t *to = base(append) + append->rows_at;
    uint32_t left = 0;

    for (uint32_t i = 0; i < append->row_count; i++) {
        struct mr_span row;
        const uint8_t *next = step(append, at, &row);
        if (!(bad[i / 64] >> i % 64 & 1)) {
            memmove(to, at, (size_t)(next - at));
            to += next - at;
            left++;
        }
        at = next;
    }
    append->rows_bytes = (uint32_t)(to - (base(append) + append->rows_at));
    append->row_count = left;
}
