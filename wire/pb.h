/* Protocol Buffers on the wire, both directions, without descriptors.
 *
 * Reading: mr_pb_next walks the fields of one message. A parser switches on the tag (number and
 * wire type together), so that a known number with another wire type is skipped like any unknown
 * field. Repeated fields are not collected: keep the message's span and walk it again with
 * mr_pb_each, which takes packed and unpacked scalars alike.
 *   Strict  a varint beyond 10 bytes or 64 bits, field number 0 or beyond 2^29 - 1, a length past
 *           the end, and groups are MR_E_PROTOBUF. Padded varints are legal and taken.
 *
 * Writing: `put` writes the field whatever its value (proto2 presence, oneof, wrappers); `add`
 * follows proto3, where adding zero adds nothing. A nested message is opened and closed.
 *
 * Owns    spans point into the input.    Thread  plain memory.    Allocates never.
 * Source  protobuf.dev "Encoding". */
#ifndef MR_WIRE_PB_H
#define MR_WIRE_PB_H

#include "wire/cursor.h"

enum mr_pb_wire { MR_PB_VARINT = 0, MR_PB_FIXED64 = 1, MR_PB_BYTES = 2, MR_PB_FIXED32 = 5 };

#define MR_PB_NUMBER_MAX          ((1u << 29) - 1)
#define MR_PB_TAG(number, wire)   ((uint32_t)(number) << 3 | (uint32_t)(wire))
#define MR_PB_VARINT_BYTES_MAX    10
#define MR_PB_TIMESTAMP_BYTES_MAX 22 /* two tags, two varints */

/* Any malformed varint is MR_E_PROTOBUF, as is one cut short: a message is always whole here. */
static inline uint64_t mr_pb_varint(struct mr_cursor *cursor)
{
    uint64_t value = 0;

    for (uint32_t shift = 0; shift < 70 && cursor->at < cursor->end; shift += 7) {
        uint8_t byte = *cursor->at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            if (MR_UNLIKELY(shift == 63 && byte > 1))
                break;
            return value;
        }
    }
    mr_cursor_fail(cursor, MR_E_PROTOBUF);
    return 0;
}

struct mr_pb_field {
    uint32_t tag;         /* MR_PB_TAG(number, wire type) */
    uint64_t value;       /* varint and fixed; 0 for bytes */
    struct mr_span bytes; /* MR_PB_BYTES */
};

static inline uint32_t mr_pb_number(const struct mr_pb_field *field)
{
    return field->tag >> 3;
}

/* The value of a length-delimited field, the cursor standing at its length. */
static inline struct mr_span mr_pb_delimited(struct mr_cursor *cursor)
{
    uint64_t bytes = mr_pb_varint(cursor);
    if (MR_UNLIKELY(bytes > mr_cursor_left(cursor))) {
        mr_cursor_fail(cursor, MR_E_PROTOBUF);
        return mr_span_of(NULL, 0);
    }
    return mr_cursor_take(cursor, (size_t)bytes);
}

/* mr_pb_next reads one field. False at the end of the message and on error: ask cursor->err. */
static inline bool mr_pb_next(struct mr_cursor *cursor, struct mr_pb_field *field)
{
    if (cursor->at == cursor->end)
        return false;
    uint64_t tag = mr_pb_varint(cursor);
    if (MR_UNLIKELY(tag > UINT32_MAX || tag >> 3 == 0))
        mr_cursor_fail(cursor, MR_E_PROTOBUF);
    *field = (struct mr_pb_field){.tag = (uint32_t)tag};
    switch (tag & 7) {
    case MR_PB_VARINT:
        field->value = mr_pb_varint(cursor);
        break;
    case MR_PB_BYTES:
        field->bytes = mr_pb_delimited(cursor);
        break;
    case MR_PB_FIXED64:
        field->value = mr_cursor_le64(cursor);
        break;
    case MR_PB_FIXED32:
        field->value = mr_cursor_le32(cursor);
        break;
    default: /* groups and the two unassigned types */
        mr_cursor_fail(cursor, MR_E_PROTOBUF);
    }
    if (MR_UNLIKELY(cursor->err == MR_E_WIRE_SHORT))
        cursor->err = MR_E_PROTOBUF;
    return cursor->err == MR_OK;
}

static inline int64_t mr_pb_zigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* Walks the occurrences of one repeated field of a message. `err` as in the cursor. */
struct mr_pb_each {
    struct mr_cursor cursor; /* rest of the message */
    struct mr_cursor packed; /* rest of the packed run under way */
    uint32_t number;
};

static inline struct mr_pb_each mr_pb_each_of(struct mr_span message, uint32_t number)
{
    return (struct mr_pb_each){mr_cursor_of(message), mr_cursor_of(mr_span_of(NULL, 0)), number};
}

/* Next submessage, string or bytes value. */
static inline bool mr_pb_each_span(struct mr_pb_each *each, struct mr_span *span)
{
    struct mr_pb_field field;
    while (mr_pb_next(&each->cursor, &field)) {
        if (field.tag == MR_PB_TAG(each->number, MR_PB_BYTES)) {
            *span = field.bytes;
            return true;
        }
    }
    return false;
}

/* Next varint (int32, int64, bool, enum), packed or not. */
bool mr_pb_each_varint(struct mr_pb_each *each, uint64_t *value);

/* Next entry of a map<string, string>; an entry without key or value has it empty. On the wire a
 * key may come twice: the last one wins. */
bool mr_pb_each_pair(struct mr_pb_each *each, struct mr_span *key, struct mr_span *value);

/* How often the length-delimited field occurs; negative when the message is malformed. */
int64_t mr_pb_count(struct mr_span message, uint32_t number);

/* Walks the whole message and returns MR_OK or MR_E_PROTOBUF; nested messages are not entered. */
int mr_pb_check(struct mr_span message);

/* Well-formed UTF-8 as Unicode 15 table 3-7: no overlong forms, surrogates or beyond U+10FFFF. */
bool mr_utf8_valid(struct mr_span text);

/* ---- writing ---- */

void mr_pb_put_varint(struct mr_pen *pen, uint64_t value); /* bare, no tag */

static inline void mr_pb_put_tag(struct mr_pen *pen, uint32_t number, enum mr_pb_wire wire)
{
    MR_ASSERT(number > 0 && number <= MR_PB_NUMBER_MAX);
    mr_pb_put_varint(pen, MR_PB_TAG(number, wire));
}

/* Varint field; negative int32 and int64 are sign-extended to ten bytes by the cast to uint64_t. */
static inline void mr_pb_put_int(struct mr_pen *pen, uint32_t number, int64_t value)
{
    mr_pb_put_tag(pen, number, MR_PB_VARINT);
    mr_pb_put_varint(pen, (uint64_t)value);
}

static inline void mr_pb_put_bytes(struct mr_pen *pen, uint32_t number, struct mr_span span)
{
    mr_pb_put_tag(pen, number, MR_PB_BYTES);
    mr_pb_put_varint(pen, span.bytes);
    mr_pen_put(pen, span);
}

static inline void mr_pb_put_fixed64(struct mr_pen *pen, uint32_t number, uint64_t value)
{
    mr_pb_put_tag(pen, number, MR_PB_FIXED64);
    mr_pen_le64(pen, value);
}

static inline void mr_pb_put_double(struct mr_pen *pen, uint32_t number, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    mr_pb_put_fixed64(pen, number, bits);
}

static inline void mr_pb_add_int(struct mr_pen *pen, uint32_t number, int64_t value)
{
    if (value)
        mr_pb_put_int(pen, number, value);
}

static inline void mr_pb_add_bytes(struct mr_pen *pen, uint32_t number, struct mr_span span)
{
    if (span.bytes)
        mr_pb_put_bytes(pen, number, span);
}

static inline void mr_pb_add_double(struct mr_pen *pen, uint32_t number, double value)
{
    uint64_t bits; /* by its bits: minus zero is sent */
    memcpy(&bits, &value, 8);
    if (bits)
        mr_pb_put_fixed64(pen, number, bits);
}

/* One entry of a map<string, string>. */
void mr_pb_put_pair(struct mr_pen *pen, uint32_t number, struct mr_span key, struct mr_span value);

/* A nested message: write tag, leave room for the length, return a mark for mr_pb_close.
 * mr_pb_close gives the shortest length, moving the body when it is 128 bytes or more.
 * mr_pb_open_wide and mr_pb_close_wide use a length of MR_PB_WIDE_BYTES padded bytes instead: for
 * bodies too large to move; the body is at most 2^28 - 1 bytes (else MR_E_WIRE_ROOM). */
#define MR_PB_WIDE_BYTES 4
size_t mr_pb_open(struct mr_pen *pen, uint32_t number);
void mr_pb_close(struct mr_pen *pen, size_t mark);
size_t mr_pb_open_wide(struct mr_pen *pen, uint32_t number);
void mr_pb_close_wide(struct mr_pen *pen, size_t mark);

/* google.protobuf.Timestamp and Duration: both are {1 seconds, 2 nanos}. */
struct mr_pb_time {
    bool present; /* the submessage was there, even if empty */
    int64_t seconds;
    int32_t nanos;
};

/* MR_OK or MR_E_PROTOBUF. Values are not range-checked. */
int mr_pb_time_parse(struct mr_pb_time *time, struct mr_span message);
/* Writes the submessage if present. */
void mr_pb_put_time(struct mr_pen *pen, uint32_t number, const struct mr_pb_time *time);

/* Microseconds, rounding towards minus infinity; saturates far outside any calendar. */
int64_t mr_pb_time_us(const struct mr_pb_time *time);
struct mr_pb_time mr_pb_time_from_us(int64_t us);

/* Wrapper {1 value} as Int64Value: absent, or present with a value that may be zero. */
struct mr_pb_int64 {
    bool present;
    int64_t value;
};

int mr_pb_int64_parse(struct mr_pb_int64 *wrapped, struct mr_span message);
/* Writes the wrapper if present; a value of zero is the empty message, as generated code does. */
void mr_pb_put_int64(struct mr_pen *pen, uint32_t number, const struct mr_pb_int64 *wrapped);

#endif
