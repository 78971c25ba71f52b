/* Aim: a decoder that remembers layouts gives what one that never does gives, on orders of the same
 * layout, of shuffled and repeated keys, and with bytes changed; and it does match the usual ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sources/layout.h"
#include "tests/sources/fixture.h"

#define ROUNDS 200000

static uint64_t seed = 20250722;

static uint32_t below(uint32_t limit)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % limit;
}

static char *put_member(char *at, uint32_t key)
{
    static const char *const regions[] = {"europe", "asia", "us-\\u0077est", "caf\xc3\xa9", ""};

    switch (key) {
    case 0:
        return at + sprintf(at, "\"order_id\":\"%08x-%u\"", below(UINT32_MAX), below(1000));
    case 1:
        return at + sprintf(at, "\"product_id\":\"P00%u\"", below(5));
    case 2:
        return at + sprintf(at, "\"timestamp\":\"2025-07-22T11:%02u:03.%06u\"", below(61),
                            below(1000000));
    case 3:
        return at + sprintf(at, "\"amount\":%u.%02u", below(1000), below(100));
    case 4:
        return at + sprintf(at, "\"region\":\"%s\"", regions[below(5)]);
    case 5:
        return at +
               sprintf(at, "\"extra\":[%u,{\"amount\":%s}]", below(9), below(2) ? "null" : "true");
    default:
        return at + sprintf(at, "\"extra\":{}");
    }
}

/* Mostly the usual order of keys, else any, some of them twice or not at all. */
static size_t make_order(char *text)
{
    uint32_t keys[8] = {0, 1, 2, 3, 4, 5, 6, 2}, count = 5 + below(10) / 8;
    char *at = text;

    if (below(8) == 0)
        for (uint32_t i = 0; i < 8; i++) {
            uint32_t j = below(8), key = keys[i];
            keys[i] = keys[j];
            keys[j] = key;
        }
    if (below(16) == 0)
        count = 1 + below(8);
    *at++ = '{';
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            *at++ = ',';
        at = put_member(at, keys[i]);
    }
    *at++ = '}';
    return (size_t)(at - text);
}

static size_t change(char *text, size_t bytes)
{
    static const char odd[] = "\"\\,:{}[] 0-e.\x1f\xff";

    for (uint32_t i = below(6) == 0 ? 1 + below(2) : 0; i > 0; i--) {
        size_t at = below((uint32_t)bytes);
        if (below(3) > 0) {
            text[at] = below(2) ? odd[below(sizeof odd - 1)] : (char)(text[at] ^ 1 << below(8));
        } else {
            memmove(text + at, text + at + 1, bytes - at - 1);
            bytes--;
        }
    }
    return bytes;
}

static void assert_same(const struct mr_decoded *a, const struct mr_decoded *b, uint32_t fields)
{
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->error_offset, b->error_offset);
    assert_int_equal(a->field, b->field);
    assert_string_equal(a->detail_static, b->detail_static);
    if (a->reason != MR_REASON_NONE)
        return;
    assert_int_equal(a->event_us, b->event_us);
    assert_int_equal(a->decimals_rounded, b->decimals_rounded);
    for (uint32_t i = 0; i < fields; i++) {
        assert_int_equal(a->values[i].kind, b->values[i].kind);
        assert_int_equal(a->values[i].number, b->values[i].number);
        assert_true(mr_span_equal(a->values[i].text, b->values[i].text));
    }
}

static void same_as_complete(void **state)
{
    static struct mr_config config;
    static struct mr_decoded quick, complete;
    struct mr_decoder *remembering, *forgetful;
    char text[1024];
    uint32_t good = 0;

    (void)state;
    mr_fixture_order(&config);
    config.decode.fields[1].optional = true;
    assert_int_equal(mr_decoder_create(&remembering, &config), MR_OK);
    assert_int_equal(mr_decoder_create(&forgetful, &config), MR_OK);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct mr_span payload = mr_fixture_edge(text, change(text, make_order(text)));
        mr_decode(remembering, payload, &quick);
        mr_decoder_forget(forgetful);
        mr_decode(forgetful, payload, &complete);
        assert_same(&quick, &complete, config.decode.field_count);
        good += quick.reason == MR_REASON_NONE;
    }
    assert_in_range(good, ROUNDS / 2, ROUNDS - 1);
    mr_decoder_destroy(remembering);
    mr_decoder_destroy(forgetful);
}

static bool matches(const char *first, const char *second)
{
    static struct mr_config config;
    static struct mr_tree tree;
    static struct mr_walk walk;
    static struct mr_layout layout;
    static uint8_t scratch[256];

    mr_fixture_order(&config);
    mr_tree_init(&tree, config.decode.fields, config.decode.field_count);
    walk.scratch = scratch;
    assert_true(mr_walk_payload(&walk, &tree, mr_span_text(first)));
    mr_layout_learn(&layout, &walk, mr_span_text(first));
    return mr_layout_match(&layout, &walk, mr_span_text(second));
}

/* No bytes at all, at no address, are no match for anything. */
static void nothing_matches_nothing(void **state)
{
    static struct mr_layout layout = {.known = true};
    static struct mr_walk walk;

    (void)state;
    assert_false(mr_layout_match(&layout, &walk, mr_span_of(NULL, 0)));
}

static void what_matches(void **state)
{
    (void)state;
    assert_true(matches("{\"amount\":1,\"region\":\"a\"}", "{\"amount\":-2.5e1,\"region\":\"\"}"));
    assert_true(matches("{\"amount\":1}", "{\"amount\":\"\\u0041\"}"));
    assert_true(matches("{\"amount\":1}", "{\"amount\":null}"));
    assert_true(matches("[1,[2,{}]]\n", "[true,[\"\",{}]]\n"));
    assert_true(matches("1", "\"x\""));
    assert_true(matches("{}", "{}"));
    assert_false(matches("{}", "{} "));
    assert_false(matches("{\"amount\":1}", "{\"amount\":1}x"));
    assert_false(matches("{\"amount\":1}", "{\"amount\":1"));
    assert_false(matches("{\"amount\":1}", "{\"amount\":01}"));
    assert_false(matches("{\"amount\":1}", "{\"amount\":tru}"));
    assert_false(matches("{\"amount\":1}", "{\"amount\":[]}"));
    assert_false(matches("{\"amount\":1}", "{\"amounts\":1}"));
    assert_false(matches("{\"amount\":1}", "{\"amount\":\"\n\"}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_complete),
        cmocka_unit_test(what_matches),
        cmocka_unit_test(nothing_matches_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
