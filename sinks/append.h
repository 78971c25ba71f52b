/* One append: encoded rows in a buffer, kept until the service has them, and sent as often as it
 * takes. What stands before the rows (stream name, offset, descriptor) differs from one sending to
 * the next, so it is written anew each time, right before the first row:
 *
 *     | free | head | rows to send | rows after them |
 *                   ^ rows_at
 *
 * Rows leave from the front when a part of the append was taken, from anywhere when they are
 * refused. The struct stands at the start of its buffer.
 * Thread  plain memory; its holder's. */
#ifndef MR_SINKS_APPEND_H
#define MR_SINKS_APPEND_H

#include "wire/bigquery.h"

/* An answer may name each row as bad, and must fit the memory for an answer. */
#define MR_APPEND_ROWS_MAX 4096

enum mr_append_state { MR_APPEND_WAITING, MR_APPEND_SENT, MR_APPEND_DONE };

struct mr_append {
    struct mr_append *next;
    enum mr_append_state state;
    bool borrowed;       /* the connection still reads the buffer */
    uint32_t row_count;  /* rows left */
    uint32_t sent_rows;  /* of them, in the sending under way */
    uint32_t part_rows;  /* while a bad row is looked for: send no more than so many; 0: all */
    uint64_t first_ns;   /* when its first row came */
    int64_t offset;      /* of its first row, by our count */
    uint32_t head_bytes; /* room reserved for the head */
    uint32_t rows_at, rows_bytes, limit; /* within the buffer, from the struct */
};

/* Lays an append out in `buffer` of `bytes`; `head_bytes` is the most that a head can take. */
struct mr_append *mr_append_init(void *buffer, size_t bytes, size_t head_bytes);

/* A row is encoded in place: begin, write its fields with the pen, end. mr_append_row_end is MR_OK,
 * or takes the row back and says why: MR_AGAIN, it does not fit; or what the pen's user put. */
struct mr_append_row {
    struct mr_pen pen;
    size_t mark;
};
void mr_append_row_begin(struct mr_append *append, struct mr_append_row *row);
int mr_append_row_end(struct mr_append *append, struct mr_append_row *row);

/* Writes the head before the first `rows` rows. The message lies in the buffer; it may be written
 * again once it is no longer borrowed. */
struct mr_span mr_append_message(struct mr_append *append, uint32_t rows,
                                 const struct mr_bigquery_append_head *head);

/* The n-th row that is left, as it was encoded. */
struct mr_span mr_append_row_at(const struct mr_append *append, uint32_t n);

/* The first `rows` rows are done with. */
void mr_append_drop_front(struct mr_append *append, uint32_t rows);

/* Takes out the rows whose bit is set in `bad`, which has MR_APPEND_ROWS_MAX bits. */
void mr_append_drop_marked(struct mr_append *append, const uint64_t *bad);

#endif
