/* Two bounded cursors over memory that somebody else owns: mr_cursor reads, mr_pen writes.
 * The first error sticks: after it a cursor yields zeroes and empty spans, a pen writes nothing,
 * so a parser or builder is written straight down and asks once, at its end.
 * Thread  plain memory; one thread at a time.
 * Errors  cursor MR_E_WIRE_SHORT, pen MR_E_WIRE_ROOM, or what the user put by *_fail.
 * Source  the sticking error is Knot's wire_ctx. */
#ifndef MR_WIRE_CURSOR_H
#define MR_WIRE_CURSOR_H

#include "core/base.h"
#include "core/err.h"

struct mr_cursor {
    const uint8_t *at, *end; /* both NULL or into one object, at <= end */
    int err;                 /* MR_OK or the first error */
};

static inline struct mr_cursor mr_cursor_of(struct mr_span span)
{
    return (struct mr_cursor){span.data, span.bytes ? span.data + span.bytes : span.data, MR_OK};
}

/* True when all is read, also after an error. */
static inline bool mr_cursor_done(const struct mr_cursor *cursor)
{
    return cursor->at == cursor->end;
}

static inline size_t mr_cursor_left(const struct mr_cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static inline void mr_cursor_fail(struct mr_cursor *cursor, int err)
{
    if (cursor->err == MR_OK)
        cursor->err = err;
    cursor->at = cursor->end;
}

/* The next `bytes` bytes, or an empty span and the error. The span lives as long as the input. */
static inline struct mr_span mr_cursor_take(struct mr_cursor *cursor, size_t bytes)
{
    if (MR_UNLIKELY(bytes > mr_cursor_left(cursor))) {
        mr_cursor_fail(cursor, MR_E_WIRE_SHORT);
        return (struct mr_span){NULL, 0};
    }
    struct mr_span span = {cursor->at, bytes};
    if (bytes)
        cursor->at += bytes;
    return span;
}

static inline uint8_t mr_cursor_u8(struct mr_cursor *cursor)
{
    struct mr_span span = mr_cursor_take(cursor, 1);
    return span.bytes ? span.data[0] : 0;
}

static inline uint32_t mr_cursor_be32(struct mr_cursor *cursor)
{
    struct mr_span span = mr_cursor_take(cursor, 4);
    return span.bytes ? __builtin_bswap32(mr_load32(span.data)) : 0;
}

static inline uint32_t mr_cursor_le32(struct mr_cursor *cursor)
{
    struct mr_span span = mr_cursor_take(cursor, 4);
    return span.bytes ? mr_load32(span.data) : 0;
}

static inline uint64_t mr_cursor_le64(struct mr_cursor *cursor)
{
    struct mr_span span = mr_cursor_take(cursor, 8);
    return span.bytes ? mr_load64(span.data) : 0;
}

/* A pen without memory (mr_pen_measure) counts what it would have written. */
struct mr_pen {
    uint8_t *data;       /* NULL: measuring */
    size_t bytes, limit; /* written, and room in all; bytes <= limit */
    int err;             /* MR_OK or the first error */
};

static inline struct mr_pen mr_pen_of(void *data, size_t limit)
{
    return (struct mr_pen){(uint8_t *)data, 0, data ? limit : 0, MR_OK};
}

static inline struct mr_pen mr_pen_measure(void)
{
    return (struct mr_pen){NULL, 0, SIZE_MAX, MR_OK};
}

static inline size_t mr_pen_room(const struct mr_pen *pen)
{
    return pen->err == MR_OK ? pen->limit - pen->bytes : 0;
}

static inline void mr_pen_fail(struct mr_pen *pen, int err)
{
    if (pen->err == MR_OK)
        pen->err = err;
}

/* What is written so far; empty for a measuring pen. */
static inline struct mr_span mr_pen_span(const struct mr_pen *pen)
{
    return pen->data ? mr_span_of(pen->data, pen->bytes) : mr_span_of(NULL, 0);
}

/* Claims `bytes` bytes. True if they count as written; *place is where they go, NULL when
 * measuring. */
static inline bool mr_pen_claim(struct mr_pen *pen, size_t bytes, uint8_t **place)
{
    if (MR_UNLIKELY(pen->err != MR_OK || pen->limit - pen->bytes < bytes)) {
        mr_pen_fail(pen, MR_E_WIRE_ROOM);
        *place = NULL;
        return false;
    }
    *place = pen->data ? pen->data + pen->bytes : NULL;
    pen->bytes += bytes;
    return true;
}

static inline void mr_pen_put(struct mr_pen *pen, struct mr_span span)
{
    uint8_t *place;
    if (mr_pen_claim(pen, span.bytes, &place) && place && span.bytes)
        memcpy(place, span.data, span.bytes);
}

static inline void mr_pen_u8(struct mr_pen *pen, uint8_t value)
{
    mr_pen_put(pen, mr_span_of(&value, 1));
}

static inline void mr_pen_be32(struct mr_pen *pen, uint32_t value)
{
    value = __builtin_bswap32(value);
    mr_pen_put(pen, mr_span_of(&value, 4));
}

static inline void mr_pen_le32(struct mr_pen *pen, uint32_t value)
{
    mr_pen_put(pen, mr_span_of(&value, 4));
}

static inline void mr_pen_le64(struct mr_pen *pen, uint64_t value)
{
    mr_pen_put(pen, mr_span_of(&value, 8));
}

/* Back to an earlier `bytes`, forgetting want of room (and only that): the way to add items one by
 * one until the next no longer fits. */
static inline void mr_pen_rewind(struct mr_pen *pen, size_t bytes)
{
    MR_ASSERT(bytes <= pen->bytes);
    pen->bytes = bytes;
    if (pen->err == MR_E_WIRE_ROOM)
        pen->err = MR_OK;
}

#endif
