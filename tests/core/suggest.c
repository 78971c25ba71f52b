/* Aim: edit distances are right, and the nearest name is offered only when it is near. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/suggest.h"

static void distances(void **state)
{
    (void)state;
    assert_int_equal(mr_edit_distance("", ""), 0);
    assert_int_equal(mr_edit_distance("", "hop"), 3);
    assert_int_equal(mr_edit_distance("hop", ""), 3);
    assert_int_equal(mr_edit_distance("hop", "hpo"), 1);
    assert_int_equal(mr_edit_distance("HOP", "hop"), 0);
    assert_int_equal(mr_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(mr_edit_distance("alowed_lateness", "allowed_lateness"), 1);
    char long_name[100] = {0};
    memset(long_name, 'a', sizeof long_name - 1);
    assert_true(mr_edit_distance(long_name, "a") == UINT32_MAX);
}

static void nearest(void **state)
{
    static const char *const names[] = {"name", "group_by", "size", "hop", "offset"};

    (void)state;
    assert_string_equal(mr_suggest("sise", names, 5), "size");
    assert_string_equal(mr_suggest("groupby", names, 5), "group_by");
    assert_string_equal(mr_suggest("ofset", names, 5), "offset");
    assert_null(mr_suggest("watermark", names, 5));
    assert_null(mr_suggest("xy", names, 5));
    assert_null(mr_suggest("size", names, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(distances), cmocka_unit_test(nearest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
