/* Aim: protobuf fields are walked and written exactly, and nothing malformed passes or is read past
 * its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/wire/edge.h"
#include "wire/pb.h"

#define BYTES(...)                                                                                 \
    mr_span_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static int check(struct mr_span message)
{
    return mr_pb_check(edge_copy(message));
}

static void varints_are_at_most_64_bits(void **state)
{
    (void)state;
    uint8_t bytes[16];
    static const uint64_t values[] = {
        0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX >> 1, UINT64_MAX};
    for (size_t i = 0; i < MR_COUNT(values); i++) {
        struct mr_pen pen = mr_pen_of(bytes, sizeof bytes);
        mr_pb_put_varint(&pen, values[i]);
        struct mr_cursor cursor = mr_cursor_of(edge_copy(mr_pen_span(&pen)));
        assert_true(mr_pb_varint(&cursor) == values[i]);
        assert_true(mr_cursor_done(&cursor) && cursor.err == MR_OK);
        cursor = mr_cursor_of(edge_copy(mr_span_of(bytes, pen.bytes - 1)));
        assert_true(mr_pb_varint(&cursor) == 0);
        assert_int_equal(cursor.err, MR_E_PROTOBUF);
    }
    /* padded one; 65 bits; eleven bytes */
    assert_int_equal(check(BYTES(0x08, 0x81, 0x80, 0x00)), MR_OK);
    assert_int_equal(check(BYTES(8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2)),
                     MR_E_PROTOBUF);
    assert_int_equal(check(BYTES(8, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0)),
                     MR_E_PROTOBUF);
}

static void malformed_fields_are_refused(void **state)
{
    (void)state;
    assert_int_equal(check(BYTES(0x00, 0x00)), MR_E_PROTOBUF);       /* field 0 */
    assert_int_equal(check(BYTES(0x0B, 0x0C)), MR_E_PROTOBUF);       /* group */
    assert_int_equal(check(BYTES(0x0E)), MR_E_PROTOBUF);             /* wire type 6 */
    assert_int_equal(check(BYTES(0x0A, 0x02, 0x41)), MR_E_PROTOBUF); /* cut length */
    assert_int_equal(check(BYTES(0x09, 1, 2, 3)), MR_E_PROTOBUF);    /* cut fixed64 */
    assert_int_equal(check(BYTES(0x0D, 1, 2)), MR_E_PROTOBUF);       /* cut fixed32 */
    /* field 2^29 - 1 is the last */
    assert_int_equal(check(BYTES(0xF8, 0xFF, 0xFF, 0xFF, 0x0F, 0x00)), MR_OK);
    assert_int_equal(check(BYTES(0x80, 0x80, 0x80, 0x80, 0x10, 0x00)), MR_E_PROTOBUF);
    /* a length of 2^64 - 1 does not wrap */
    assert_int_equal(check(BYTES(0x0A, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1)),
                     MR_E_PROTOBUF);
}

static void every_prefix_is_shorter_or_refused(void **state)
{
    (void)state;
    uint8_t bytes[128];
    struct mr_pen pen = mr_pen_of(bytes, sizeof bytes);
    mr_pb_put_int(&pen, 1, -5);
    mr_pb_put_bytes(&pen, 2, mr_span_text("hello"));
    mr_pb_put_fixed64(&pen, 3, 77);
    mr_pb_put_pair(&pen, 4, mr_span_text("k"), mr_span_text("v"));
    struct mr_span whole = mr_pen_span(&pen);
    static const size_t borders[] = {0, 11, 18, 27, 35};
    assert_int_equal(whole.bytes, 35);
    for (size_t n = 0; n <= whole.bytes; n++) {
        bool border = false;
        for (size_t i = 0; i < MR_COUNT(borders); i++)
            border |= borders[i] == n;
        assert_int_equal(check(mr_span_of(bytes, n)), border ? MR_OK : MR_E_PROTOBUF);
    }
}

static void repeated_numbers_come_packed_and_unpacked(void **state)
{
    (void)state;
    struct mr_span message = edge_copy(
        BYTES(0x18, 10, 0x1A, 3, 0xAC, 0x02, 7, 0x10, 9, 0x1A, 0, 0x18, 11));
    static const uint64_t expected[] = {10, 300, 7, 11};
    struct mr_pb_each each = mr_pb_each_of(message, 3);
    uint64_t value;
    for (size_t i = 0; i < MR_COUNT(expected); i++) {
        assert_true(mr_pb_each_varint(&each, &value));
        assert_true(value == expected[i]);
    }
    assert_false(mr_pb_each_varint(&each, &value));
    assert_int_equal(each.cursor.err, MR_OK);
    each = mr_pb_each_of(edge_copy(BYTES(0x1A, 1, 0x80)), 3);
    assert_false(mr_pb_each_varint(&each, &value));
    assert_int_equal(each.cursor.err, MR_E_PROTOBUF);
}

/* The same nest written with both kinds of length; sizes around where the length grows. */
static void nested_lengths_grow(void **state)
{
    (void)state;
    static uint8_t body[20000], bytes[20100];
    static const size_t sizes[] = {0, 1, 124, 125, 126, 127, 128, 16379, 16380, 16381, 20000};
    memset(body, 'x', sizeof body);
    for (size_t i = 0; i < 2 * MR_COUNT(sizes); i++) {
        bool wide = i & 1;
        struct mr_pen pens[2] = {mr_pen_of(bytes, sizeof bytes), mr_pen_measure()};
        for (int p = 0; p < 2; p++) {
            size_t outer = wide ? mr_pb_open_wide(&pens[p], 1) : mr_pb_open(&pens[p], 1);
            size_t inner = wide ? mr_pb_open_wide(&pens[p], 2) : mr_pb_open(&pens[p], 2);
            mr_pen_put(&pens[p], mr_span_of(body, sizes[i / 2]));
            (wide ? mr_pb_close_wide : mr_pb_close)(&pens[p], inner);
            (wide ? mr_pb_close_wide : mr_pb_close)(&pens[p], outer);
            assert_int_equal(pens[p].err, MR_OK);
        }
        assert_int_equal(pens[0].bytes, pens[1].bytes);
        struct mr_pb_each each = mr_pb_each_of(mr_pen_span(&pens[0]), 1);
        struct mr_span outer = {0}, inner = {0};
        assert_true(mr_pb_each_span(&each, &outer));
        each = mr_pb_each_of(outer, 2);
        assert_true(mr_pb_each_span(&each, &inner));
        assert_true(mr_span_equal(inner, mr_span_of(body, sizes[i / 2])));
    }
}

static void a_full_pen_stops_and_rewinds(void **state)
{
    (void)state;
    uint8_t bytes[12];
    struct mr_pen pen = mr_pen_of(bytes, sizeof bytes);
    uint32_t written = 0;
    for (;; written++) {
        size_t before = pen.bytes;
        mr_pb_put_bytes(&pen, 1, mr_span_text("abc"));
        if (pen.err == MR_OK)
            continue;
        assert_int_equal(pen.err, MR_E_WIRE_ROOM);
        assert_int_equal(mr_pen_room(&pen), 0);
        mr_pen_rewind(&pen, before);
        break;
    }
    assert_int_equal(written, 2);
    assert_int_equal(mr_pb_count(mr_pen_span(&pen), 1), 2);
}

static void utf8_is_strict(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"", true},
        {"plain ascii, longer than one word", true},
        {"gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x8D\x9E", true},
        {"\xF4\x8F\xBF\xBF", true},
        {"\xC0\xAF", false},
        {"\xE0\x9F\xBF", false},
        {"\xED\xA0\x80", false},
        {"\xF0\x8F\xBF\xBF", false},
        {"\xF4\x90\x80\x80", false},
        {"\xF5\x80\x80\x80", false},
        {"\x80", false},
        {"abcdefgh\xE2\x82", false},
        {"\xE2\x82", false},
        {"\xE2\x28\xA1", false},
    };
    for (size_t i = 0; i < MR_COUNT(cases); i++)
        assert_int_equal(mr_utf8_valid(edge_copy(mr_span_text(cases[i].text))), cases[i].valid);
}

static void times_and_wrappers_keep_presence(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct mr_pen pen = mr_pen_of(bytes, sizeof bytes);
    struct mr_pb_time time = mr_pb_time_from_us(-1);
    assert_true(time.seconds == -1 && time.nanos == 999999000);
    assert_true(mr_pb_time_us(&time) == -1);
    struct mr_pb_int64 zero = {.present = true};
    mr_pb_put_int64(&pen, 2, &zero);
    assert_memory_equal(bytes, "\x12\x00", 2);
    zero.present = false;
    mr_pb_put_int64(&pen, 2, &zero);
    assert_int_equal(pen.bytes, 2);
    time = (struct mr_pb_time){.present = true, .seconds = INT64_MAX};
    assert_true(mr_pb_time_us(&time) == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_are_at_most_64_bits),
        cmocka_unit_test(malformed_fields_are_refused),
        cmocka_unit_test(every_prefix_is_shorter_or_refused),
        cmocka_unit_test(repeated_numbers_come_packed_and_unpacked),
        cmocka_unit_test(nested_lengths_grow),
        cmocka_unit_test(a_full_pen_stops_and_rewinds),
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(times_and_wrappers_keep_presence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
