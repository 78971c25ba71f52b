/* Aim: no bytes make the protobuf reader read past its end, and what it reads can be written and
 * read again with the same meaning. */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "wire/shape.h"

static void put(struct mr_pen *pen, const struct mr_pb_field *field)
{
    uint32_t number = mr_pb_number(field);

    switch (field->tag & 7) {
    case MR_PB_VARINT:
        mr_pb_put_int(pen, number, (int64_t)field->value);
        break;
    case MR_PB_FIXED64:
        mr_pb_put_fixed64(pen, number, field->value);
        break;
    case MR_PB_FIXED32:
        mr_pb_put_tag(pen, number, MR_PB_FIXED32);
        mr_pen_le32(pen, (uint32_t)field->value);
        break;
    default:
        mr_pb_put_bytes(pen, number, field->bytes);
    }
}

static void iterate(struct mr_span message)
{
    struct mr_span key, value;
    uint64_t number;

    for (uint32_t i = 1; i < 6; i++) {
        struct mr_pb_each numbers = mr_pb_each_of(message, i), pairs = numbers;
        while (mr_pb_each_varint(&numbers, &number))
            ;
        while (mr_pb_each_pair(&pairs, &key, &value))
            MR_ASSERT(key.bytes + value.bytes <= message.bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct mr_span message = mr_span_of(data, bytes);
    struct mr_cursor cursor = mr_cursor_of(message);
    struct mr_pen pen = mr_pen_of(malloc(2 * bytes + 16), 2 * bytes + 16);
    struct mr_pb_field field, again;

    while (mr_pb_next(&cursor, &field))
        put(&pen, &field);
    MR_ASSERT(pen.err == MR_OK && (cursor.err == mr_pb_check(message)));
    struct mr_cursor first = mr_cursor_of(message);
    struct mr_cursor second = mr_cursor_of(mr_pen_span(&pen));
    while (mr_pb_next(&second, &again)) {
        MR_ASSERT(mr_pb_next(&first, &field));
        MR_ASSERT(field.tag == again.tag && field.value == again.value);
        MR_ASSERT(mr_span_equal(field.bytes, again.bytes));
    }
    MR_ASSERT(second.err == MR_OK);
    iterate(message);
    mr_utf8_valid(message);
    free(pen.data);
    return 0;
}
