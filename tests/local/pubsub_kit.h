/* What the Pub/Sub store's tests share: short ways to set up, publish, pull and ack. */
#ifndef MR_TESTS_LOCAL_PUBSUB_KIT_H
#define MR_TESTS_LOCAL_PUBSUB_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "local/pubsub.h"

#define S        INT64_C(1000000)
#define TOPIC    "projects/p/topics/orders"
#define DEAD     "projects/p/topics/orders-dlq"
#define SUB      "projects/p/subscriptions/orders-sub"
#define DEAD_SUB "projects/p/subscriptions/orders-dlq-sub"
#define START    (INT64_C(1700000000) * S)

struct kit {
    struct mr_pubsub_store *store;
    int64_t now;
    struct mr_pubsub_puller *puller;
    const struct mr_pubsub_delivery *got;
    uint32_t count;
    char ids[1000][200]; /* ack ids of the last pull, still there after the next call */
    struct mr_span acks[1000];
};

static inline struct mr_span text(const char *t)
{
    return mr_span_text(t);
}

static inline struct kit kit_with(struct mr_pubsub_options options)
{
    struct kit k = {.now = START};

    k.store = mr_pubsub_create(&options);
    assert_int_equal(mr_pubsub_topic_create(
                         k.store, &(struct mr_pubsub_topic_settings){.name = text(TOPIC)}, NULL)
                         .code,
                     0);
    return k;
}

static inline struct kit kit(void)
{
    return kit_with((struct mr_pubsub_options){.seed = 7});
}

static inline void finish(struct kit *k)
{
    mr_pubsub_destroy(k->store);
}

static inline struct mr_pubsub_status subscribe(struct kit *k,
                                                struct mr_pubsub_subscription_settings t)
{
    if (!t.name.data)
        t.name = text(SUB);
    if (!t.topic.data)
        t.topic = text(TOPIC);
    return mr_pubsub_subscription_create(k->store, &t, NULL);
}

static inline void topic(struct kit *k, const char *name)
{
    struct mr_pubsub_topic_settings t = {.name = text(name)};
    assert_int_equal(mr_pubsub_topic_create(k->store, &t, NULL).code, 0);
}

static inline uint64_t publish_key(struct kit *k, const char *data, const char *key)
{
    struct mr_pubsub_post post = {.data = text(data), .ordering_key = text(key)};
    uint64_t id = 0;

    assert_int_equal(mr_pubsub_publish(k->store, text(TOPIC), &post, 1, k->now, &id).code, 0);
    return id;
}

static inline uint64_t publish(struct kit *k, const char *data)
{
    return publish_key(k, data, "");
}

static inline struct mr_pubsub_puller *open_with(struct kit *k, const char *sub,
                                                 struct mr_pubsub_puller_settings settings)
{
    struct mr_pubsub_puller *p = NULL;

    assert_int_equal(mr_pubsub_puller_open(k->store, text(sub), &settings, k->now, &p).code, 0);
    return p;
}

static inline struct mr_pubsub_puller *open_stream(struct kit *k, const char *sub)
{
    return open_with(k, sub,
                     (struct mr_pubsub_puller_settings){.stream = true, .ack_deadline_s = 10});
}

static inline uint32_t next(struct kit *k, struct mr_pubsub_puller *p)
{
    struct mr_pubsub_status status = mr_pubsub_next(k->store, p, k->now, 1000, 10000000, &k->got,
                                                    &k->count);

    assert_int_equal(status.code, 0);
    for (uint32_t i = 0; i < k->count; i++) {
        assert_true(k->got[i].ack_id.bytes <= sizeof k->ids[i]);
        memcpy(k->ids[i], k->got[i].ack_id.data, k->got[i].ack_id.bytes);
        k->acks[i] = mr_span_of(k->ids[i], k->got[i].ack_id.bytes);
    }
    return k->count;
}

/* Pulls by a stream that lives as long as the kit. */
static inline uint32_t pull(struct kit *k)
{
    if (!k->puller)
        k->puller = open_stream(k, SUB);
    return next(k, k->puller);
}

static inline enum mr_pubsub_ack ack(struct kit *k, struct mr_span id)
{
    enum mr_pubsub_ack result;

    mr_pubsub_ack(k->store, text(SUB), &id, 1, k->now, &result);
    return result;
}

static inline enum mr_pubsub_ack modify(struct kit *k, struct mr_span id, int32_t seconds)
{
    enum mr_pubsub_ack result;

    mr_pubsub_modify(k->store, text(SUB), &id, 1, &seconds, 1, k->now, &result);
    return result;
}

static inline bool data_is(const struct mr_pubsub_delivery *d, const char *wanted)
{
    return mr_span_equal(d->data, text(wanted));
}

#endif
