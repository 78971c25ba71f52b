/* The filter language of the local Pub/Sub: what it means, and where it is wrong. */
#include "tests/local/pubsub_kit.h"
#include "local/pubsub_filter.h"

static const struct mr_pubsub_pair pairs[] = {
    {{(const uint8_t *)"region", 6}, {(const uint8_t *)"eu-west1", 8}},
    {{(const uint8_t *)"kind", 4}, {(const uint8_t *)"order", 5}},
    {{(const uint8_t *)"odd-key", 7}, {(const uint8_t *)"say \"hi\"", 8}},
};

static bool matches(const char *t)
{
    uint32_t position;
    const char *why;
    struct mr_pubsub_filter *f = mr_pubsub_filter_create(text(t), &position, &why);
    bool result;

    if (!f)
        fail_msg("%s: %s at %u", t, why, position);
    result = mr_pubsub_filter_matches(f, pairs, MR_COUNT(pairs));
    free(f);
    return result;
}

static void each_operator_means_what_it_says(void **state)
{
    static const char *const yes[] = {
        "attributes:region",
        " attributes : region ",
        "attributes.kind = \"order\"",
        "attributes.kind != \"refund\"",
        "attributes.absent != \"x\"",
        "hasPrefix(attributes.region, \"eu-\")",
        "hasPrefix(attributes.region, \"\")",
        "NOT attributes:absent",
        "-attributes:absent",
        "attributes:region AND attributes:kind AND NOT attributes:absent",
        "attributes:absent OR attributes:kind",
        "(attributes:absent OR attributes:kind) AND attributes:region",
        "attributes:absent OR (attributes:kind AND attributes:region)",
        "attributes:\"odd-key\"",
        "attributes.\"odd-key\" = \"say \\\"hi\\\"\"",
        "NOT (attributes:absent AND attributes:kind)",
    };
    static const char *const no[] = {
        "attributes:absent",
        "attributes.kind = \"orde\"",
        "attributes.kind = \"Order\"",
        "attributes.absent = \"\"",
        "attributes.kind != \"order\"",
        "hasPrefix(attributes.region, \"eu-west12\")",
        "hasPrefix(attributes.absent, \"\")",
        "NOT attributes:kind",
        "attributes:region AND attributes:absent",
        "(attributes:absent OR attributes:kind) AND attributes:gone",
    };
    (void)state;

    for (size_t i = 0; i < MR_COUNT(yes); i++)
        if (!matches(yes[i]))
            fail_msg("should match: %s", yes[i]);
    for (size_t i = 0; i < MR_COUNT(no); i++)
        if (matches(no[i]))
            fail_msg("should not match: %s", no[i]);
}

static void errors_name_their_place(void **state)
{
    static const struct {
        const char *text;
        uint32_t position;
    } cases[] = {
        {"nonsense", 0},
        {"attributes", 10},
        {"attributes.", 11},
        {"attributes.a", 12},
        {"attributes.a = b", 15},
        {"attributes.a = \"b", 17},
        {"attributes.a > \"b\"", 13},
        {"attributes:a attributes:b", 13},
        {"attributes:a AND", 16},
        {"attributes:a AND attributes:b OR attributes:c", 30},
        {"(attributes:a", 13},
        {"attributes:a)", 12},
        {"hasPrefix(attributes.a \"b\")", 23},
        {"attributes:a ANDattributes:b", 13},
        {"attributesX:a", 0},
        {"data = \"x\"", 0},
    };
    (void)state;

    for (size_t i = 0; i < MR_COUNT(cases); i++) {
        uint32_t position;
        const char *why;
        struct mr_pubsub_filter *f = mr_pubsub_filter_create(text(cases[i].text), &position, &why);
        if (f)
            fail_msg("accepted: %s", cases[i].text);
        assert_non_null(why);
        if (position != cases[i].position)
            fail_msg("%s: %s at %u", cases[i].text, why, position);
    }
}

static void any_bytes_are_refused_or_understood_without_harm(void **state)
{
    static const char *const words[] = {"attributes", ":",    ".",  "a",    "\"",       "=",
                                        "!=",         "NOT ", "-",  "AND",  " OR ",     "(",
                                        ")",          ",",    "\\", "\xff", "hasPrefix"};
    uint64_t dice = 12345;
    (void)state;

    for (int i = 0; i < 200000; i++) {
        char t[MR_PUBSUB_FILTER_BYTES + 16] = "";
        uint32_t position;
        const char *why;
        struct mr_pubsub_filter *f;
        do {
            dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407u;
            strcat(t, words[(dice >> 33) % MR_COUNT(words)]);
        } while (strlen(t) < (dice >> 50) % 256 && strlen(t) < 256);
        f = mr_pubsub_filter_create(text(t), &position, &why);
        assert_true(f || position <= strlen(t) || position == MR_PUBSUB_FILTER_BYTES);
        if (f)
            mr_pubsub_filter_matches(f, pairs, MR_COUNT(pairs));
        free(f);
    }
}

static void the_longest_nesting_fits(void **state)
{
    char t[MR_PUBSUB_FILTER_BYTES + 2] = "";
    uint32_t position;
    const char *why;
    (void)state;

    memset(t, '-', 244);
    strcpy(t + 244, "attributes:a");
    assert_false(matches(t));
    strcpy(t + 244, "attributes:ab");
    assert_null(mr_pubsub_filter_create(text(t), &position, &why));
    memset(t, '(', 256);
    t[256] = 0;
    assert_null(mr_pubsub_filter_create(text(t), &position, &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_operator_means_what_it_says),
        cmocka_unit_test(errors_name_their_place),
        cmocka_unit_test(any_bytes_are_refused_or_understood_without_harm),
        cmocka_unit_test(the_longest_nesting_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
