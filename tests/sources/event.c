/* Aim: equal values are equal keys, routes and ids, and different ones different, to the last byte
 * that a key may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/key.h"
#include "sources/event.h"

enum { ID, REGION, PAID, AMOUNT };

static struct mr_config config;
static struct mr_plan plan;
static struct mr_decoded decoded;
static struct mr_event_scratch scratch;

static void put_text(uint32_t field, const void *data, size_t bytes)
{
    decoded.values[field] = (struct mr_value){.kind = MR_VALUE_PRESENT,
                                              .text = mr_span_of(data, bytes)};
}

static void put_number(uint32_t field, int64_t number)
{
    decoded.values[field] = (struct mr_value){.kind = MR_VALUE_PRESENT, .number = number};
}

/* One definition grouped by region and paid; routed by region, repeats told by order id. */
static int open_plan(void **state)
{
    (void)state;
    memset(&config, 0, sizeof config);
    memset(&decoded, 0, sizeof decoded);
    config.decode.field_count = 4;
    config.decode.fields[ID].type = config.decode.fields[REGION].type = MR_TYPE_STRING;
    config.decode.fields[PAID].type = MR_TYPE_BOOL;
    config.decode.fields[AMOUNT].type = MR_TYPE_DECIMAL;
    config.decode.dedup_by = MR_DEDUP_FIELD;
    config.decode.dedup_field = ID;
    config.window_count = 1;
    config.windows[0] = (struct mr_window){.group_by = {REGION, PAID},
                                           .group_count = 2,
                                           .size_us = 10,
                                           .hop_us = 10,
                                           .aggregates = {{MR_SUM_OF, AMOUNT}},
                                           .aggregate_count = 1};
    config.route_by[0] = REGION;
    config.route_count = 1;
    config.workers.batch_rows = 16;
    put_text(ID, "o-1", 3);
    put_text(REGION, "eu", 2);
    put_number(PAID, 1);
    put_number(AMOUNT, 250);
    return mr_plan_init(&plan, &config) != NULL;
}

static struct mr_event make(void)
{
    struct mr_event event;
    memset(&event, 0, sizeof event);
    assert_true(mr_event_make(&plan, &decoded, &event, &scratch));
    return event;
}

static bool same_id(const struct mr_event *a, const struct mr_event *b)
{
    return a->id.high == b->id.high && a->id.low == b->id.low;
}

static void an_id_is_bound_to_its_route(void **state)
{
    struct mr_event eu = make(), again = make();

    (void)state;
    assert_true(same_id(&eu, &again));
    put_number(PAID, 0);
    struct mr_event unpaid = make();
    assert_true(same_id(&eu, &unpaid));
    assert_int_equal(eu.route, unpaid.route);
    put_text(REGION, "us", 2);
    struct mr_event us = make();
    assert_false(same_id(&eu, &us));
    assert_int_not_equal(eu.route, us.route);
    decoded.values[ID].kind = MR_VALUE_ABSENT;
    struct mr_event none = make();
    assert_true(mr_id_is_none(none.id));
}

static void absent_and_present_differ(void **state)
{
    struct mr_key_value value;
    struct mr_event event;

    (void)state;
    put_text(REGION, "", 0);
    event = make();
    uint64_t empty = event.keys[0].hash;
    decoded.values[REGION].kind = decoded.values[AMOUNT].kind = MR_VALUE_ABSENT;
    event = make();
    assert_int_not_equal(event.keys[0].hash, empty);
    assert_int_equal(event.valid, 0);
    assert_int_equal(event.measures[0], 0);
    const uint8_t *next = mr_key_get(event.keys[0].bytes.data, &value);
    assert_int_equal(value.tag, MR_KEY_ABSENT);
    next = mr_key_get(next, &value);
    assert_int_equal(value.tag, MR_KEY_TRUE);
    assert_ptr_equal(next, event.keys[0].bytes.data + event.keys[0].bytes.bytes);
}

/* tag, length, text, and one byte for paid: the limit is met exactly. */
static void the_longest_key_is_exact(void **state)
{
    static uint8_t text[MR_KEY_BYTES_MAX];
    struct mr_event event;

    (void)state;
    put_text(REGION, text, MR_KEY_BYTES_MAX - 6);
    event = make();
    assert_int_equal(event.keys[0].bytes.bytes, MR_KEY_BYTES_MAX);
    put_text(REGION, text, MR_KEY_BYTES_MAX - 5);
    assert_false(mr_event_make(&plan, &decoded, &event, &scratch));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_id_is_bound_to_its_route, open_plan),
        cmocka_unit_test_setup(absent_and_present_differ, open_plan),
        cmocka_unit_test_setup(the_longest_key_is_exact, open_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
