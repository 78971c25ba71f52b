/* Topics, subscriptions, names, lists and limits of the local Pub/Sub. */
#include "tests/local/pubsub_kit.h"

static void names_follow_the_rules(void **state)
{
    static const char *const good[] = {"projects/p/topics/abc", "projects/p/topics/goo",
                                       "projects/my-p:x/topics/a-_.~+%9"};
    static const char *const bad[] = {
        "",
        "abc",
        "projects//topics/abc",
        "projects/p/topics/ab",
        "projects/p/topics/9abc",
        "projects/p/topics/goog-abc",
        "projects/p/topics/a/bc",
        "projects/p/topics/a bc",
        "projects/p/subscriptions/abc",
        "projects/p/topics",
    };
    char longest[300] = "projects/p/topics/";
    struct kit k = kit();
    (void)state;

    for (size_t i = 0; i < MR_COUNT(good); i++)
        topic(&k, good[i]);
    for (size_t i = 0; i < MR_COUNT(bad); i++) {
        struct mr_pubsub_topic_settings t = {.name = text(bad[i])};
        assert_int_equal(mr_pubsub_topic_create(k.store, &t, NULL).code,
                         MR_PUBSUB_INVALID_ARGUMENT);
    }
    memset(longest + 18, 'a', 255);
    topic(&k, longest);
    longest[18 + 255] = 'a';
    struct mr_pubsub_topic_settings t = {.name = text(longest)};
    assert_int_equal(mr_pubsub_topic_create(k.store, &t, NULL).code, MR_PUBSUB_INVALID_ARGUMENT);
    finish(&k);
}

static void what_exists_or_not_is_told_with_its_short_name(void **state)
{
    struct mr_pubsub_topic_settings t = {.name = mr_span_text(TOPIC)};
    struct mr_pubsub_status status;
    struct kit k = kit();
    (void)state;

    assert_int_equal(mr_pubsub_topic_create(k.store, &t, NULL).code, MR_PUBSUB_ALREADY_EXISTS);
    status = mr_pubsub_topic_get(k.store, text(DEAD), NULL);
    assert_int_equal(status.code, MR_PUBSUB_NOT_FOUND);
    assert_non_null(strstr(status.text, "resource=orders-dlq"));
    assert_int_equal(
        subscribe(&k, (struct mr_pubsub_subscription_settings){.topic = text(DEAD)}).code,
        MR_PUBSUB_NOT_FOUND);
    assert_int_equal(
        subscribe(&k, (struct mr_pubsub_subscription_settings){.dead_letter = text(DEAD)}).code,
        MR_PUBSUB_NOT_FOUND);
    assert_int_equal(subscribe(&k, (struct mr_pubsub_subscription_settings){0}).code, 0);
    assert_int_equal(subscribe(&k, (struct mr_pubsub_subscription_settings){0}).code,
                     MR_PUBSUB_ALREADY_EXISTS);
    assert_int_equal(mr_pubsub_subscription_delete(k.store, text(DEAD_SUB)).code,
                     MR_PUBSUB_NOT_FOUND);
    finish(&k);
}

static void a_subscription_has_the_services_defaults(void **state)
{
    struct mr_pubsub_subscription_settings t;
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){.dead_letter = text(TOPIC),
                                                           .extra = text("labels")});
    assert_int_equal(mr_pubsub_subscription_get(k.store, text(SUB), &t).code, 0);
    assert_int_equal(t.ack_deadline_s, 10);
    assert_int_equal(t.retention_us, 604800 * S);
    assert_int_equal(t.expiration_us, 2678400 * S);
    assert_int_equal(t.attempts_max, 5);
    assert_true(mr_span_equal(t.extra, text("labels")));
    finish(&k);
}

static void settings_outside_their_ranges_are_refused(void **state)
{
    const struct mr_pubsub_subscription_settings wrong[] = {
        {.ack_deadline_s = 9},
        {.ack_deadline_s = 601},
        {.retention_us = 600 * S - 1},
        {.retention_us = 31 * 86400 * S + 1},
        {.expiration_us = 86400 * S - 1},
        {.dead_letter = text(TOPIC), .attempts_max = 4},
        {.dead_letter = text(TOPIC), .attempts_max = 101},
        {.retry = true, .backoff_min_us = -1, .backoff_max_us = S},
        {.retry = true, .backoff_min_us = 0, .backoff_max_us = 600 * S + 1},
        {.retry = true, .backoff_min_us = 2 * S, .backoff_max_us = S},
        {.filter = text("nonsense")},
        {.name = text("projects/p/subscriptions/x")},
    };
    struct kit k = kit();
    (void)state;

    for (size_t i = 0; i < MR_COUNT(wrong); i++)
        assert_int_equal(subscribe(&k, wrong[i]).code, MR_PUBSUB_INVALID_ARGUMENT);
    assert_int_equal(mr_pubsub_figures(k.store).subscriptions, 0);
    finish(&k);
}

static void an_update_replaces_what_may_change(void **state)
{
    struct mr_pubsub_subscription_settings t, after;
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){.extra = text("old")});
    mr_pubsub_subscription_get(k.store, text(SUB), &t);
    t.ack_deadline_s = 60;
    t.exactly_once = true;
    assert_int_equal(mr_pubsub_subscription_update(k.store, &t, &after).code, 0);
    assert_int_equal(after.ack_deadline_s, 60);
    assert_true(after.exactly_once);
    assert_true(mr_span_equal(after.extra, text("old")));
    t = after;
    t.ordering = true;
    assert_int_equal(mr_pubsub_subscription_update(k.store, &t, NULL).code,
                     MR_PUBSUB_INVALID_ARGUMENT);
    t = after;
    t.filter = text("attributes:a");
    assert_int_equal(mr_pubsub_subscription_update(k.store, &t, NULL).code,
                     MR_PUBSUB_INVALID_ARGUMENT);
    t = after;
    t.topic = text(DEAD);
    assert_int_equal(mr_pubsub_subscription_update(k.store, &t, NULL).code,
                     MR_PUBSUB_INVALID_ARGUMENT);
    t = after;
    t.ack_deadline_s = 5;
    assert_int_equal(mr_pubsub_subscription_update(k.store, &t, NULL).code,
                     MR_PUBSUB_INVALID_ARGUMENT);
    finish(&k);
}

static void a_topic_keeps_what_the_front_gives_it(void **state)
{
    struct mr_pubsub_topic_settings t = {.name = mr_span_text(TOPIC),
                                         .extra = mr_span_text("labels")};
    struct mr_pubsub_topic_settings after;
    struct kit k = kit();
    (void)state;

    assert_int_equal(mr_pubsub_topic_update(k.store, &t, &after).code, 0);
    assert_true(mr_span_equal(after.extra, text("labels")));
    t.retention_us = 599 * S;
    assert_int_equal(mr_pubsub_topic_update(k.store, &t, NULL).code, MR_PUBSUB_INVALID_ARGUMENT);
    t.name = text(DEAD);
    t.retention_us = 600 * S;
    assert_int_equal(mr_pubsub_topic_update(k.store, &t, NULL).code, MR_PUBSUB_NOT_FOUND);
    finish(&k);
}

static void a_deleted_topic_leaves_its_subscription_pullable(void **state)
{
    struct mr_pubsub_subscription_settings t;
    struct mr_pubsub_post post = {.data = mr_span_text("b")};
    struct kit k = kit();
    uint64_t id;
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    assert_int_equal(mr_pubsub_topic_delete(k.store, text(TOPIC)).code, 0);
    mr_pubsub_subscription_get(k.store, text(SUB), &t);
    assert_true(mr_span_equal(t.topic, text("_deleted-topic_")));
    assert_int_equal(mr_pubsub_publish(k.store, text(TOPIC), &post, 1, k.now, &id).code,
                     MR_PUBSUB_NOT_FOUND);
    assert_int_equal(pull(&k), 1);
    topic(&k, TOPIC);
    publish(&k, "c");
    assert_int_equal(pull(&k), 0);
    finish(&k);
}

static void a_new_subscription_sees_nothing_older(void **state)
{
    struct kit k = kit();
    (void)state;

    publish(&k, "a");
    assert_int_equal(mr_pubsub_figures(k.store).messages, 0);
    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "b");
    assert_int_equal(pull(&k), 1);
    assert_true(data_is(&k.got[0], "b"));
    finish(&k);
}

static void a_filter_acks_what_does_not_match(void **state)
{
    struct mr_pubsub_pair eu = {mr_span_text("region"), mr_span_text("eu")};
    struct mr_pubsub_post posts[] = {{.data = mr_span_text("a")},
                                     {.data = mr_span_text("b"), .pairs = &eu, .pair_count = 1}};
    struct kit k = kit();
    uint64_t ids[2];
    (void)state;

    subscribe(
        &k, (struct mr_pubsub_subscription_settings){.filter = text("attributes.region = \"eu\"")});
    assert_int_equal(mr_pubsub_publish(k.store, text(TOPIC), posts, 2, k.now, ids).code, 0);
    assert_int_equal(mr_pubsub_figures(k.store).messages, 1);
    assert_int_equal(pull(&k), 1);
    assert_int_equal(k.got[0].message_id, ids[1]);
    finish(&k);
}

static enum mr_pubsub_code try_publish(struct kit *k, const struct mr_pubsub_post *posts,
                                       uint32_t count)
{
    static uint64_t ids[1001];

    return mr_pubsub_publish(k->store, text(TOPIC), posts, count, k->now, ids).code;
}

static void a_request_holds_1_to_1000_messages(void **state)
{
    static struct mr_pubsub_post posts[1001];
    struct kit k = kit();
    (void)state;

    for (int i = 0; i < 1001; i++)
        posts[i].data = text("a");
    assert_int_equal(try_publish(&k, posts, 0), MR_PUBSUB_INVALID_ARGUMENT);
    assert_int_equal(try_publish(&k, posts, 1000), 0);
    assert_int_equal(try_publish(&k, posts, 1001), MR_PUBSUB_INVALID_ARGUMENT);
    finish(&k);
}

static void an_empty_message_is_refused(void **state)
{
    struct mr_pubsub_pair pair = {mr_span_text("a"), mr_span_text("")};
    struct mr_pubsub_post post = {.ordering_key = mr_span_text("k")};
    struct kit k = kit();
    (void)state;

    assert_int_equal(try_publish(&k, &post, 1), MR_PUBSUB_INVALID_ARGUMENT);
    post.pairs = &pair;
    post.pair_count = 1;
    assert_int_equal(try_publish(&k, &post, 1), 0);
    finish(&k);
}

static void a_request_holds_10_million_bytes(void **state)
{
    /* topic 2 + 26, message 1 + 4, data 1 + 4: what is left is the largest data. */
    size_t most = 10000000 - (2 + strlen(TOPIC)) - 5 - 5;
    uint8_t *data = calloc(1, most + 1);
    struct mr_pubsub_post post = {.data = mr_span_of(data, most)};
    struct kit k = kit();
    (void)state;

    assert_int_equal(try_publish(&k, &post, 1), 0);
    post.data.bytes++;
    assert_int_equal(try_publish(&k, &post, 1), MR_PUBSUB_INVALID_ARGUMENT);
    free(data);
    finish(&k);
}

static void attributes_and_keys_have_limits(void **state)
{
    static struct mr_pubsub_pair pairs[101];
    static uint8_t bytes[1025];
    struct mr_pubsub_post post = {.data = mr_span_text("a"), .pairs = pairs};
    struct kit k = kit();
    char names[101][8];
    (void)state;

    memset(bytes, 'a', sizeof bytes);
    for (int i = 0; i < 101; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
        pairs[i].key = text(names[i]);
    }
    post.pair_count = 100;
    assert_int_equal(try_publish(&k, &post, 1), 0);
    post.pair_count = 101;
    assert_int_equal(try_publish(&k, &post, 1), MR_PUBSUB_INVALID_ARGUMENT);
    post.pair_count = 1;
    for (size_t over = 0; over < 2; over++) {
        enum mr_pubsub_code wanted = over ? MR_PUBSUB_INVALID_ARGUMENT : MR_PUBSUB_OK;
        pairs[0] = (struct mr_pubsub_pair){mr_span_of(bytes, 256 + over), text("v")};
        assert_int_equal(try_publish(&k, &post, 1), wanted);
        pairs[0] = (struct mr_pubsub_pair){text("k"), mr_span_of(bytes, 1024 + over)};
        assert_int_equal(try_publish(&k, &post, 1), wanted);
        pairs[0] = (struct mr_pubsub_pair){text("k"), text("v")};
        post.ordering_key = mr_span_of(bytes, 1024 + over);
        assert_int_equal(try_publish(&k, &post, 1), wanted);
        post.ordering_key.bytes = 0;
    }
    pairs[0].key.bytes = 0;
    assert_int_equal(try_publish(&k, &post, 1), MR_PUBSUB_INVALID_ARGUMENT);
    finish(&k);
}

static void a_full_store_refuses_and_recovers(void **state)
{
    struct kit k = kit_with((struct mr_pubsub_options){.memory_bytes_limit = 400000});
    static uint8_t data[100000];
    struct mr_pubsub_post post = {.data = mr_span_of(data, sizeof data)};
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    assert_int_equal(try_publish(&k, &post, 1), 0);
    assert_int_equal(try_publish(&k, &post, 1), MR_PUBSUB_RESOURCE_EXHAUSTED);
    pull(&k);
    ack(&k, k.acks[0]);
    assert_int_equal(try_publish(&k, &post, 1), 0);
    finish(&k);
}

static uint32_t list(struct kit *k, enum mr_pubsub_listing kind, const char *parent, int32_t size,
                     const char *token, struct mr_pubsub_page *page)
{
    assert_int_equal(mr_pubsub_page_get(k->store, kind, text(parent), size, text(token), page).code,
                     0);
    return page->count;
}

static void lists_come_in_pages(void **state)
{
    static struct mr_pubsub_page page;
    struct kit k = kit();
    char token[27];
    (void)state;

    topic(&k, "projects/p/topics/two");
    topic(&k, "projects/other/topics/one");
    topic(&k, "projects/p/topics/three");
    assert_int_equal(list(&k, MR_PUBSUB_TOPICS, "projects/p", 2, "", &page), 2);
    assert_true(mr_span_equal(page.names[1], text("projects/p/topics/two")));
    assert_int_equal(strlen(page.next_token), 26);
    memcpy(token, page.next_token, sizeof token);
    mr_pubsub_topic_delete(k.store, text("projects/p/topics/two"));
    assert_int_equal(list(&k, MR_PUBSUB_TOPICS, "projects/p", 2, token, &page), 1);
    assert_true(mr_span_equal(page.names[0], text("projects/p/topics/three")));
    assert_string_equal(page.next_token, "");
    assert_int_equal(list(&k, MR_PUBSUB_SUBSCRIPTIONS, "projects/p", 0, "", &page), 0);
    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    assert_int_equal(list(&k, MR_PUBSUB_SUBSCRIPTIONS, "projects/p", 0, "", &page), 1);
    assert_int_equal(list(&k, MR_PUBSUB_TOPIC_SUBSCRIPTIONS, TOPIC, 0, "", &page), 1);
    assert_int_equal(
        list(&k, MR_PUBSUB_TOPIC_SUBSCRIPTIONS, "projects/p/topics/three", 0, "", &page), 0);
    finish(&k);
}

static void bad_pages_are_refused(void **state)
{
    static struct mr_pubsub_page page;
    static const char *const tokens[] = {"x", "AAAAAAAAAAAAAAAAAAAAAAAAAA"};
    int32_t sizes[] = {-1, 1001};
    struct kit k = kit();
    (void)state;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(mr_pubsub_page_get(k.store, MR_PUBSUB_TOPICS, text("projects/p"), sizes[i],
                                            text(""), &page)
                             .code,
                         MR_PUBSUB_INVALID_ARGUMENT);
        assert_int_equal(mr_pubsub_page_get(k.store, MR_PUBSUB_TOPICS, text("projects/p"), 1,
                                            text(tokens[i]), &page)
                             .code,
                         MR_PUBSUB_INVALID_ARGUMENT);
    }
    finish(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_follow_the_rules),
        cmocka_unit_test(what_exists_or_not_is_told_with_its_short_name),
        cmocka_unit_test(a_subscription_has_the_services_defaults),
        cmocka_unit_test(settings_outside_their_ranges_are_refused),
        cmocka_unit_test(an_update_replaces_what_may_change),
        cmocka_unit_test(a_topic_keeps_what_the_front_gives_it),
        cmocka_unit_test(a_deleted_topic_leaves_its_subscription_pullable),
        cmocka_unit_test(a_new_subscription_sees_nothing_older),
        cmocka_unit_test(a_filter_acks_what_does_not_match),
        cmocka_unit_test(a_request_holds_1_to_1000_messages),
        cmocka_unit_test(an_empty_message_is_refused),
        cmocka_unit_test(a_request_holds_10_million_bytes),
        cmocka_unit_test(attributes_and_keys_have_limits),
        cmocka_unit_test(a_full_store_refuses_and_recovers),
        cmocka_unit_test(lists_come_in_pages),
        cmocka_unit_test(bad_pages_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
