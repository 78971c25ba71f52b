/* Aim: identities are exact for decimals and UUIDs, and the three kinds never meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/id.h"

static struct mr_id of(const char *text)
{
    return mr_id_from_text(mr_span_text(text), 7);
}

static void decimals_are_exact(void **state)
{
    (void)state;
    assert_int_equal(of("0").low, 0);
    assert_int_equal(of("12345678901234567").low, 12345678901234567u);
    assert_true(of("18446744073709551615").low == UINT64_MAX);
    assert_int_equal(of("18446744073709551615").high, 0);
    assert_int_not_equal(of("18446744073709551616").high, 0);
    assert_int_not_equal(of("007").high, 0);
}

static void uuids_are_their_bits(void **state)
{
    (void)state;
    struct mr_id id = of("123e4567-e89b-42d3-a456-426614174000");
    assert_true(id.high == UINT64_C(0x123e4567e89b42d3));
    assert_true(id.low == UINT64_C(0xa456426614174000));
    struct mr_id upper = of("123E4567-e89b-42d3-a456-426614174000");
    assert_int_equal(upper.high >> 12 & 15, 15);
}

/* Digit by digit, as RFC 9562 spells it; false: none in lower case. */
static bool plain_uuid(const char *text, struct mr_id *id)
{
    static const char hex[] = "0123456789abcdef";
    uint64_t words[2] = {0, 0};
    uint32_t digits = 0;

    for (uint32_t i = 0; i < 36; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        const char *digit = text[i] != '\0' ? strchr(hex, text[i]) : NULL;
        if (hyphen ? text[i] != '-' : digit == NULL)
            return false;
        if (!hyphen) {
            words[digits / 16] = words[digits / 16] << 4 | (uint64_t)(digit - hex);
            digits++;
        }
    }
    *id = (struct mr_id){words[0], words[1]};
    return (words[0] >> 12 & 15) >= 1 && (words[0] >> 12 & 15) <= 8;
}

static void uuids_are_read_byte_by_byte(void **state)
{
    (void)state;
    for (uint32_t place = 0; place < 36; place++)
        for (uint32_t byte = 0; byte < 256; byte++) {
            char text[] = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0";
            struct mr_id expected;
            text[place] = (char)byte;
            bool good = plain_uuid(text, &expected);
            struct mr_id id = mr_id_from_text(mr_span_of(text, 36), 7);
            if (good) {
                assert_true(id.high == expected.high);
                assert_true(id.low == expected.low);
            } else {
                assert_int_equal(id.high >> 12 & 15, 15);
            }
        }
}

static void anything_else_is_hashed(void **state)
{
    (void)state;
    assert_int_equal(of("").high >> 12 & 15, 15);
    assert_int_equal(of("order-1").high >> 12 & 15, 15);
    assert_true(of("order-1").low != of("order-2").low);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_are_exact),
        cmocka_unit_test(uuids_are_their_bits),
        cmocka_unit_test(uuids_are_read_byte_by_byte),
        cmocka_unit_test(anything_else_is_hashed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
