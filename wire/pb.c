#include "wire/pb.h"

bool mr_pb_each_varint(struct mr_pb_each *each, uint64_t *value)
{
    struct mr_pb_field field;

    for (;;) {
        if (!mr_cursor_done(&each->packed)) {
            *value = mr_pb_varint(&each->packed);
            if (each->packed.err == MR_OK)
                return true;
            mr_cursor_fail(&each->cursor, each->packed.err);
        }
        if (!mr_pb_next(&each->cursor, &field))
            return false;
        if (field.tag == MR_PB_TAG(each->number, MR_PB_BYTES))
            each->packed = mr_cursor_of(field.bytes);
        if (field.tag == MR_PB_TAG(each->number, MR_PB_VARINT)) {
            *value = field.value;
            return true;
        }
    }
}

bool mr_pb_each_pair(struct mr_pb_each *each, struct mr_span *key, struct mr_span *value)
{
    struct mr_span entry;
    struct mr_pb_field field;

    if (!mr_pb_each_span(each, &entry))
        return false;
    *key = *value = mr_span_of(NULL, 0);
    struct mr_cursor cursor = mr_cursor_of(entry);
    while (mr_pb_next(&cursor, &field)) {
        if (field.tag == MR_PB_TAG(1, MR_PB_BYTES))
            *key = field.bytes;
        else if (field.tag == MR_PB_TAG(2, MR_PB_BYTES))
            *value = field.bytes;
    }
    if (cursor.err != MR_OK)
        mr_cursor_fail(&each->cursor, cursor.err);
    return cursor.err == MR_OK;
}

int64_t mr_pb_count(struct mr_span message, uint32_t number)
{
    struct mr_pb_each each = mr_pb_each_of(message, number);
    struct mr_span span;
    int64_t count = 0;

    while (mr_pb_each_span(&each, &span))
        count++;
    return each.cursor.err == MR_OK ? count : each.cursor.err;
}

int mr_pb_check(struct mr_span message)
{
    struct mr_cursor cursor = mr_cursor_of(message);
    struct mr_pb_field field;

    while (mr_pb_next(&cursor, &field))
        ;
    return cursor.err;
}

/* Length of the sequence that starts at `at`, 0 when it is not well formed. The second byte's
 * range depends on the first: that is what shuts out overlong forms and surrogates. */
static size_t utf8_sequence(const uint8_t *at, size_t left)
{
    uint8_t first = at[0], low = 0x80, high = 0xBF;
    size_t bytes = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;

    if (bytes == 0 || bytes > left)
        return 0;
    if (first == 0xE0)
        low = 0xA0;
    else if (first == 0xED)
        high = 0x9F;
    else if (first == 0xF0)
        low = 0x90;
    else if (first == 0xF4)
        high = 0x8F;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < bytes; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    return bytes;
}

bool mr_utf8_valid(struct mr_span text)
{
    const uint8_t *at = text.data;
    size_t left = text.bytes;

    while (left > 0) {
        if (left >= 8 && (mr_load64(at) & UINT64_C(0x8080808080808080)) == 0) {
            at += 8, left -= 8;
            continue;
        }
        size_t bytes = at[0] < 0x80 ? 1 : utf8_sequence(at, left);
        if (bytes == 0)
            return false;
        at += bytes, left -= bytes;
    }
    return true;
}

static uint32_t varint_bytes(uint64_t value)
{
    return (uint32_t)(63 - __builtin_clzll(value | 1)) / 7 + 1;
}

static void varint_fill(uint8_t *place, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i + 1 < bytes; i++, value >>= 7)
        place[i] = (uint8_t)(value | 128);
    place[bytes - 1] = (uint8_t)(value & 127);
}

void mr_pb_put_varint(struct mr_pen *pen, uint64_t value)
{
    uint32_t bytes = varint_bytes(value);
    uint8_t *place;

    if (mr_pen_claim(pen, bytes, &place) && place)
        varint_fill(place, value, bytes);
}

void mr_pb_put_pair(struct mr_pen *pen, uint32_t number, struct mr_span key, struct mr_span value)
{
    size_t mark = mr_pb_open(pen, number);
    mr_pb_put_bytes(pen, 1, key);
    mr_pb_put_bytes(pen, 2, value);
    mr_pb_close(pen, mark);
}

/* The mark is where the length begins. */
static size_t open_with(struct mr_pen *pen, uint32_t number, size_t length_bytes)
{
    uint8_t *place;

    mr_pb_put_tag(pen, number, MR_PB_BYTES);
    size_t mark = pen->bytes;
    mr_pen_claim(pen, length_bytes, &place);
    return mark;
}

size_t mr_pb_open(struct mr_pen *pen, uint32_t number)
{
    return open_with(pen, number, 1);
}

void mr_pb_close(struct mr_pen *pen, size_t mark)
{
    if (pen->err != MR_OK)
        return;
    size_t body = pen->bytes - mark - 1;
    uint32_t bytes = varint_bytes(body);
    uint8_t *place;
    if (!mr_pen_claim(pen, bytes - 1, &place) || !pen->data)
        return;
    if (bytes > 1)
        memmove(pen->data + mark + bytes, pen->data + mark + 1, body);
    varint_fill(pen->data + mark, body, bytes);
}

size_t mr_pb_open_wide(struct mr_pen *pen, uint32_t number)
{
    return open_with(pen, number, MR_PB_WIDE_BYTES);
}

void mr_pb_close_wide(struct mr_pen *pen, size_t mark)
{
    if (pen->err != MR_OK)
        return;
    size_t body = pen->bytes - mark - MR_PB_WIDE_BYTES;
    if (body >> (7 * MR_PB_WIDE_BYTES))
        mr_pen_fail(pen, MR_E_WIRE_ROOM);
    else if (pen->data)
        varint_fill(pen->data + mark, body, MR_PB_WIDE_BYTES);
}

int mr_pb_time_parse(struct mr_pb_time *time, struct mr_span message)
{
    struct mr_cursor cursor = mr_cursor_of(message);
    struct mr_pb_field field;

    *time = (struct mr_pb_time){.present = true};
    while (mr_pb_next(&cursor, &field)) {
        if (field.tag == MR_PB_TAG(1, MR_PB_VARINT))
            time->seconds = (int64_t)field.value;
        else if (field.tag == MR_PB_TAG(2, MR_PB_VARINT))
            time->nanos = (int32_t)field.value;
    }
    return cursor.err;
}

void mr_pb_put_time(struct mr_pen *pen, uint32_t number, const struct mr_pb_time *time)
{
    if (!time->present)
        return;
    size_t mark = mr_pb_open(pen, number);
    mr_pb_add_int(pen, 1, time->seconds);
    mr_pb_add_int(pen, 2, time->nanos);
    mr_pb_close(pen, mark);
}

int64_t mr_pb_time_us(const struct mr_pb_time *time)
{
    int64_t us;

    if (__builtin_mul_overflow(time->seconds, INT64_C(1000000), &us) ||
        __builtin_add_overflow(us, mr_floor_div(time->nanos, 1000), &us))
        return time->seconds < 0 ? INT64_MIN : INT64_MAX;
    return us;
}

struct mr_pb_time mr_pb_time_from_us(int64_t us)
{
    return (struct mr_pb_time){.present = true,
                               .seconds = mr_floor_div(us, 1000000),
                               .nanos = (int32_t)mr_floor_mod(us, 1000000) * 1000};
}

int mr_pb_int64_parse(struct mr_pb_int64 *wrapped, struct mr_span message)
{
    struct mr_cursor cursor = mr_cursor_of(message);
    struct mr_pb_field field;

    *wrapped = (struct mr_pb_int64){.present = true};
    while (mr_pb_next(&cursor, &field))
        if (field.tag == MR_PB_TAG(1, MR_PB_VARINT))
            wrapped->value = (int64_t)field.value;
    return cursor.err;
}

void mr_pb_put_int64(struct mr_pen *pen, uint32_t number, const struct mr_pb_int64 *wrapped)
{
    if (!wrapped->present)
        return;
    size_t mark = mr_pb_open(pen, number);
    mr_pb_add_int(pen, 1, wrapped->value);
    mr_pb_close(pen, mark);
}
