/* The local Pub/Sub's state on disk: what survives, and what a damaged file does. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "tests/local/pubsub_kit.h"

static char directory[64], path[96];

static int make_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/mr-pubsub-save-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/pubsub.state", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    snprintf(path, sizeof path, "%s/pubsub.lives", directory);
    unlink(path);
    return rmdir(directory);
}

/* Saves, and goes on with a store that read what was saved. */
static void restart(struct kit *k)
{
    struct mr_pubsub_options options = {.seed = 99};

    assert_int_equal(mr_pubsub_save(k->store, directory), MR_OK);
    mr_pubsub_destroy(k->store);
    k->store = mr_pubsub_create(&options);
    k->puller = NULL;
    assert_int_equal(mr_pubsub_restore(k->store, directory), MR_OK);
}

static void nothing_saved_is_nothing_restored(void **state)
{
    struct mr_pubsub_store *store = mr_pubsub_create(&(struct mr_pubsub_options){.seed = 1});
    (void)state;

    assert_int_equal(mr_pubsub_restore(store, directory), MR_OK);
    assert_int_equal(mr_pubsub_figures(store).topics, 0);
    mr_pubsub_destroy(store);
}

static void unacked_messages_survive_and_acked_ones_do_not_return(void **state)
{
    struct mr_pubsub_pair pair = {mr_span_text("region"), mr_span_text("eu")};
    struct mr_pubsub_post post = {
        .data = mr_span_text("d"), .pairs = &pair, .pair_count = 1, .ordering_key = text("key")};
    struct kit k = kit();
    uint64_t id;
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    publish(&k, "b");
    assert_int_equal(pull(&k), 2);
    ack(&k, k.acks[0]);
    mr_pubsub_publish(k.store, text(TOPIC), &post, 1, k.now, &id);
    restart(&k);
    assert_int_equal(mr_pubsub_figures(k.store).messages, 2);
    assert_int_equal(pull(&k), 2);
    assert_true(data_is(&k.got[0], "b"));
    assert_true(data_is(&k.got[1], "d"));
    assert_int_equal(k.got[1].message_id, id);
    assert_true(mr_span_equal(k.got[1].pairs[0].value, text("eu")));
    assert_true(mr_span_equal(k.got[1].ordering_key, text("key")));
    assert_true(publish(&k, "e") > id);
    finish(&k);
}

static void ack_ids_of_before_are_stale_not_malformed(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    publish(&k, "a");
    pull(&k);
    restart(&k);
    assert_int_equal(ack(&k, k.acks[0]), MR_PUBSUB_ACK_STALE);
    assert_int_equal(pull(&k), 1);
    finish(&k);
}

static void a_life_that_was_not_saved_leaves_its_ids_unused(void **state)
{
    struct kit k = kit();
    uint64_t unsaved;
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    restart(&k);
    for (int life = 0; life < 3; life++) {
        unsaved = publish(&k, "lost");
        assert_int_equal(pull(&k), 1);
        mr_pubsub_destroy(k.store);
        k.store = mr_pubsub_create(&(struct mr_pubsub_options){.seed = 99});
        k.puller = NULL;
        assert_int_equal(mr_pubsub_restore(k.store, directory), MR_OK);
        struct mr_span old = k.acks[0];
        char kept[200];
        memcpy(kept, k.ids[0], sizeof kept);
        old.data = (const uint8_t *)kept;
        assert_true(publish(&k, "new") > unsaved);
        assert_int_equal(pull(&k), 1);
        assert_int_equal(ack(&k, old), MR_PUBSUB_ACK_STALE);
        assert_int_equal(ack(&k, k.acks[0]), MR_PUBSUB_ACK_DONE);
    }
    assert_in_range(unsaved, UINT64_C(10000000000000000), UINT64_C(99999999999999999));
    finish(&k);
}

static void settings_attempts_and_order_survive(void **state)
{
    struct mr_pubsub_subscription_settings before, after;
    struct kit k = kit();
    (void)state;

    topic(&k, DEAD);
    subscribe(&k, (struct mr_pubsub_subscription_settings){.ack_deadline_s = 77,
                                                           .retention_us = 1000 * S,
                                                           .retain_acked = true,
                                                           .ordering = true,
                                                           .exactly_once = true,
                                                           .filter = text("-attributes:skip"),
                                                           .dead_letter = text(DEAD),
                                                           .attempts_max = 9,
                                                           .retry = true,
                                                           .backoff_min_us = 0,
                                                           .backoff_max_us = 0,
                                                           .expiration_us = -1,
                                                           .extra = text("extra")});
    publish_key(&k, "a", "k");
    publish_key(&k, "b", "k");
    publish_key(&k, "c", "k");
    pull(&k);
    ack(&k, k.acks[0]);
    modify(&k, k.acks[1], 0);
    mr_pubsub_subscription_get(k.store, text(SUB), &before);
    struct mr_span extra = before.extra;
    assert_true(mr_span_equal(extra, text("extra")));
    restart(&k);
    mr_pubsub_subscription_get(k.store, text(SUB), &after);
    assert_int_equal(after.ack_deadline_s, 77);
    assert_int_equal(after.retention_us, 1000 * S);
    assert_int_equal(after.attempts_max, 9);
    assert_int_equal(after.expiration_us, -1);
    assert_true(after.retain_acked && after.ordering && after.exactly_once && after.retry);
    assert_true(mr_span_equal(after.filter, text("-attributes:skip")));
    assert_true(mr_span_equal(after.dead_letter, text(DEAD)));
    assert_true(mr_span_equal(after.extra, text("extra")));
    assert_int_equal(pull(&k), 2);
    assert_true(data_is(&k.got[0], "b") && data_is(&k.got[1], "c"));
    assert_int_equal(k.got[0].attempt, 2);
    assert_int_equal(k.got[1].attempt, 1);
    assert_int_equal(mr_pubsub_seek(k.store, text(SUB), START, k.now).code, 0);
    assert_int_equal(pull(&k), 3);
    finish(&k);
}

static void a_shared_message_stays_one_copy(void **state)
{
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    subscribe(&k, (struct mr_pubsub_subscription_settings){.name = text(DEAD_SUB)});
    for (int i = 0; i < 10000; i++)
        publish(&k, "0123456789");
    restart(&k);
    assert_int_equal(mr_pubsub_figures(k.store).messages, 10000);
    assert_int_equal(mr_pubsub_figures(k.store).entries, 20000);
    restart(&k);
    assert_int_equal(mr_pubsub_figures(k.store).entries, 20000);
    finish(&k);
}

static void deleted_topics_and_detached_subscriptions_survive(void **state)
{
    struct mr_pubsub_subscription_settings t;
    struct kit k = kit();
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){0});
    subscribe(&k, (struct mr_pubsub_subscription_settings){.name = text(DEAD_SUB)});
    mr_pubsub_detach(k.store, text(DEAD_SUB));
    mr_pubsub_topic_delete(k.store, text(TOPIC));
    restart(&k);
    mr_pubsub_subscription_get(k.store, text(SUB), &t);
    assert_true(mr_span_equal(t.topic, text("_deleted-topic_")));
    mr_pubsub_subscription_get(k.store, text(DEAD_SUB), &t);
    assert_true(t.detached);
    finish(&k);
}

static int restore_bytes(const uint8_t *bytes, size_t count)
{
    struct mr_pubsub_store *store = mr_pubsub_create(&(struct mr_pubsub_options){.seed = 1});
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), err;

    assert_int_equal(write(fd, bytes, count), count);
    close(fd);
    err = mr_pubsub_restore(store, directory);
    mr_pubsub_destroy(store);
    return err;
}

static void every_cut_and_every_flipped_bit_is_noticed(void **state)
{
    static uint8_t bytes[4096];
    struct kit k = kit();
    ssize_t count;
    int fd;
    (void)state;

    subscribe(&k, (struct mr_pubsub_subscription_settings){.ordering = true});
    publish_key(&k, "a", "k");
    publish(&k, "b");
    assert_int_equal(mr_pubsub_save(k.store, directory), MR_OK);
    finish(&k);
    fd = open(path, O_RDONLY);
    count = read(fd, bytes, sizeof bytes);
    close(fd);
    assert_in_range(count, 100, sizeof bytes - 1);
    assert_int_equal(restore_bytes(bytes, (size_t)count), MR_OK);
    for (ssize_t i = 0; i < count; i++) {
        assert_int_equal(restore_bytes(bytes, (size_t)i), MR_E_FILE_READ);
        bytes[i] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(restore_bytes(bytes, (size_t)count), MR_E_FILE_READ);
        bytes[i] ^= (uint8_t)(1 << i % 8);
    }
}

static void a_directory_that_is_not_there_is_told(void **state)
{
    struct kit k = kit();
    (void)state;

    assert_int_equal(mr_pubsub_save(k.store, "/nonexistent/for/sure"), MR_E_FILE_WRITE);
    finish(&k);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_saved_is_nothing_restored),
        TEST(unacked_messages_survive_and_acked_ones_do_not_return),
        TEST(ack_ids_of_before_are_stale_not_malformed),
        TEST(a_life_that_was_not_saved_leaves_its_ids_unused),
        TEST(settings_attempts_and_order_survive),
        TEST(a_shared_message_stays_one_copy),
        TEST(deleted_topics_and_detached_subscriptions_survive),
        TEST(every_cut_and_every_flipped_bit_is_noticed),
        TEST(a_directory_that_is_not_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
