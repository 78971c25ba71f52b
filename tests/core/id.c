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
        cmocka_unit_test(anything_else_is_hashed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
