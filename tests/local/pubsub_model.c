/* Random operations on the local Pub/Sub against a naive model of what the service promises.
 * Usage: test_local_pubsub_model [SEED [OPERATIONS]]; without arguments a few seeds, 240,000
 * operations in all. The model knows no queues and no wheel: it is lists that are searched. */
#include <unistd.h>

#include "tests/local/pubsub_kit.h"

#define ITEMS   1024
#define PULLERS 4 /* of each subscription */
#define OLD_IDS 32

enum item_state { IDLE, OUT, HELD };

struct item {
    uint64_t tag;
    uint32_t key, bytes; /* key 0: none */
    enum item_state state;
    int64_t due_us, not_before_us;
    uint64_t order;         /* in which leases of one tick end */
    uint64_t puller, batch; /* while OUT */
    uint32_t failures;
    char id[200];
    size_t id_bytes;
};

struct puller {
    struct mr_pubsub_puller *real;
    uint64_t serial;
    int64_t messages_max, bytes_max;
};

struct sub {
    char name[64];
    struct mr_pubsub_subscription_settings settings;
    struct item items[ITEMS]; /* in order of publication */
    uint32_t count;
    struct puller pullers[PULLERS];
    char old[OLD_IDS][200];
    size_t old_bytes[OLD_IDS];
    uint32_t old_count;
};

enum { PLAIN, ORDERED, LETTERED, EXACT, ALL, LETTERS, SUBS };

static struct sub subs[SUBS];
static struct mr_pubsub_store *store;
static int64_t now;
static char directory[64];
static struct mr_pubsub_figures before; /* of the stores before the last restart */
static uint64_t dice, serial, tags, forwarded, deliveries, redeliveries;

static uint64_t roll(uint64_t sides)
{
    dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (dice >> 33) % sides;
}

static int64_t tick_up(int64_t us)
{
    return (us + MR_PUBSUB_TICK_US - 1) / MR_PUBSUB_TICK_US * MR_PUBSUB_TICK_US;
}

static void item_remove(struct sub *s, struct item *it)
{
    memmove(it, it + 1, (size_t)(s->items + s->count - (it + 1)) * sizeof *it);
    s->count--;
}

static void item_add(struct sub *s, uint64_t tag, uint32_t key, uint32_t bytes)
{
    assert_true(s->count < ITEMS);
    s->items[s->count++] = (struct item){
        .tag = tag, .key = s->settings.ordering ? key : 0, .bytes = bytes};
}

static void forget_id(struct sub *s, struct item *it)
{
    uint32_t at = s->old_count++ % OLD_IDS;

    memcpy(s->old[at], it->id, it->id_bytes);
    s->old_bytes[at] = it->id_bytes;
}

/* Held items whose elders are all gone are gone too. */
static void drop_held(struct sub *s, uint32_t key)
{
    for (uint32_t i = 0; i < s->count;) {
        struct item *it = &s->items[i];
        if (it->key != key) {
            i++;
        } else if (it->state == HELD) {
            item_remove(s, it);
        } else {
            return;
        }
    }
}

static void model_ack(struct sub *s, struct item *it)
{
    uint32_t key = it->key;

    if (key && !s->settings.exactly_once) {
        for (struct item *e = s->items; e < it; e++) {
            if (e->key == key) {
                it->state = HELD;
                return;
            }
        }
    }
    item_remove(s, it);
    if (key)
        drop_held(s, key);
}

static void replay_later(struct sub *s, struct item *it)
{
    for (struct item *l = it + 1; l < s->items + s->count; l++) {
        if (l->key != it->key || l->state == IDLE)
            continue;
        if (l->state == OUT)
            forget_id(s, l);
        l->state = IDLE;
        l->not_before_us = 0;
    }
}

/* A nack or an expiry at `now`. */
static void model_fail(struct sub *s, struct item *it)
{
    int64_t wait = s->settings.backoff_min_us;

    forget_id(s, it);
    it->state = IDLE;
    it->failures++;
    if (s->settings.dead_letter.bytes > 0 && it->failures >= 5) {
        uint32_t key = it->key;
        item_add(&subs[LETTERS], it->tag, 0, it->bytes);
        forwarded++;
        item_remove(s, it);
        if (key)
            drop_held(s, key);
        return;
    }
    for (uint32_t i = 1; i < it->failures && s->settings.retry; i++)
        wait = MR_MIN(wait * 2, s->settings.backoff_max_us);
    it->not_before_us = s->settings.retry ? now + wait : 0;
    if (it->key)
        replay_later(s, it);
}

static bool expire_one(void)
{
    struct sub *s = NULL;
    struct item *first = NULL;

    for (int i = 0; i < SUBS; i++) {
        for (uint32_t j = 0; j < subs[i].count; j++) {
            struct item *it = &subs[i].items[j];
            if (it->state != OUT || it->due_us > now)
                continue;
            if (first && (it->due_us > first->due_us ||
                          (it->due_us == first->due_us && it->order > first->order)))
                continue;
            s = &subs[i];
            first = it;
        }
    }
    if (first)
        model_fail(s, first);
    return first != NULL;
}

static void advance(int64_t us)
{
    now += us;
    while (expire_one())
        ;
}

static void publish_some(void)
{
    char data[5][128], key_text[16] = "";
    struct mr_pubsub_post posts[5];
    uint32_t count = 1 + (uint32_t)roll(5), key = (uint32_t)roll(5);
    uint64_t ids[5];

    for (int i = 0; i < SUBS; i++)
        if (subs[i].count > 100)
            return;
    if (key)
        snprintf(key_text, sizeof key_text, "key%u", key);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bytes = 8 + (uint32_t)roll(120);
        tags++;
        memset(data[i], 'x', bytes);
        memcpy(data[i], &tags, 8);
        posts[i] = (struct mr_pubsub_post){.data = mr_span_of(data[i], bytes),
                                           .ordering_key = mr_span_text(key_text)};
        for (int s = 0; s < LETTERS; s++)
            item_add(&subs[s], tags, key, bytes + (uint32_t)strlen(key_text));
    }
    assert_int_equal(mr_pubsub_publish(store, text(TOPIC), posts, count, now, ids).code, 0);
}

static struct item *find_idle(struct sub *s, uint64_t tag)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->items[i].tag == tag && s->items[i].state == IDLE)
            return &s->items[i];
    return NULL;
}

static void check_order(const struct sub *s, const struct item *it, uint64_t batch)
{
    for (const struct item *e = s->items; e < s->items + s->count; e++) {
        if (e->key != it->key || e == it)
            continue;
        if (e < it)
            assert_true(e->state == OUT && e->batch == batch);
        else
            assert_int_equal(e->state, IDLE);
    }
}

static void check_limits(const struct sub *s, const struct puller *p)
{
    int64_t messages = 0, bytes = 0;

    for (uint32_t i = 0; i < s->count; i++) {
        if (s->items[i].state == OUT && s->items[i].puller == p->serial) {
            messages++;
            bytes += s->items[i].bytes;
        }
    }
    assert_true(p->messages_max <= 0 || messages <= p->messages_max);
    assert_true(p->bytes_max <= 0 || bytes <= p->bytes_max || messages == 1);
}

static uint32_t pull_from(struct sub *s, struct puller *p)
{
    const struct mr_pubsub_delivery *got;
    uint32_t count, most = 1 + (uint32_t)roll(20);
    uint64_t batch = ++serial;

    assert_int_equal(mr_pubsub_next(store, p->real, now, most, 10000, &got, &count).code, 0);
    assert_true(count <= most);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t tag = mr_load64(got[i].data.data);
        struct item *it = find_idle(s, tag);
        assert_non_null(it); /* else lost to us, acked before, or leased to somebody */
        assert_true(now >= it->not_before_us);
        assert_int_equal(got[i].attempt, s->settings.dead_letter.bytes > 0 ? it->failures + 1 : 0);
        if (it->key)
            check_order(s, it, batch);
        it->state = OUT;
        it->batch = batch;
        it->puller = p->serial;
        it->due_us = tick_up(now + 10 * S);
        it->order = ++serial;
        if (s == &subs[LETTERS])
            it->bytes = (uint32_t)got[i].data.bytes; /* its attributes count too: not modelled */
        redeliveries += it->id_bytes > 0;
        it->id_bytes = got[i].ack_id.bytes;
        memcpy(it->id, got[i].ack_id.data, it->id_bytes);
        deliveries++;
    }
    check_limits(s, p);
    return count;
}

static void open_puller(struct sub *s, struct puller *p)
{
    struct mr_pubsub_puller_settings settings = {
        .stream = true,
        .ack_deadline_s = 10,
        .messages_max = roll(4) ? 1 + (int64_t)roll(12) : 0,
        .bytes_max = roll(3) ? 0 : 100 + (int64_t)roll(500),
        .context = p,
    };

    p->serial = ++serial;
    p->messages_max = settings.messages_max;
    p->bytes_max = settings.bytes_max;
    assert_int_equal(mr_pubsub_puller_open(store, text(s->name), &settings, now, &p->real).code, 0);
}

static bool holds_nothing(const struct sub *s, const struct puller *p)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->items[i].state == OUT && s->items[i].puller == p->serial)
            return false;
    return true;
}

/* What the front does: serve whoever is named, until nobody is. Then nobody may have been missed.
 */
static void serve_all_ready(void)
{
    struct mr_pubsub_puller *real;
    uint32_t turns = 0;

    mr_pubsub_tick(store, now);
    while ((real = mr_pubsub_ready(store)) != NULL) {
        struct puller *p = mr_pubsub_puller_context(real);
        for (int i = 0; i < SUBS; i++)
            if (p >= subs[i].pullers && p < subs[i].pullers + PULLERS)
                pull_from(&subs[i], p);
        assert_true(++turns < 10000);
    }
    for (int i = 0; i < SUBS; i++)
        for (int j = 0; j < PULLERS; j++)
            if (subs[i].pullers[j].bytes_max <= 0 || holds_nothing(&subs[i], &subs[i].pullers[j]))
                assert_int_equal(pull_from(&subs[i], &subs[i].pullers[j]), 0);
}

static struct item *random_out(struct sub *s)
{
    uint32_t start = (uint32_t)roll(s->count ? s->count : 1);

    for (uint32_t i = 0; i < s->count; i++) {
        struct item *it = &s->items[(start + i) % s->count];
        if (it->state == OUT)
            return it;
    }
    return NULL;
}

static void ack_one(struct sub *s)
{
    struct item *it = random_out(s);
    enum mr_pubsub_ack result;
    struct mr_span id;

    if (!it)
        return;
    id = mr_span_of(it->id, it->id_bytes);
    assert_int_equal(mr_pubsub_ack(store, text(s->name), &id, 1, now, &result).code, 0);
    assert_int_equal(result, MR_PUBSUB_ACK_DONE);
    model_ack(s, it);
}

static void modify_one(struct sub *s, int32_t seconds)
{
    struct item *it = random_out(s);
    enum mr_pubsub_ack result;
    struct mr_span id;

    if (!it)
        return;
    id = mr_span_of(it->id, it->id_bytes);
    assert_int_equal(mr_pubsub_modify(store, text(s->name), &id, 1, &seconds, 1, now, &result).code,
                     0);
    assert_int_equal(result, MR_PUBSUB_ACK_DONE);
    it->due_us = tick_up(now + S * seconds);
    it->order = ++serial;
    if (seconds == 0)
        model_fail(s, it);
}

static void use_old_id(struct sub *s)
{
    uint32_t at = (uint32_t)roll(OLD_IDS);
    struct mr_span id = mr_span_of(s->old[at], s->old_bytes[at]);
    enum mr_pubsub_ack result;
    int32_t seconds = 0;

    if (at >= s->old_count)
        return;
    if (roll(2))
        mr_pubsub_ack(store, text(s->name), &id, 1, now, &result);
    else
        mr_pubsub_modify(store, text(s->name), &id, 1, &seconds, 1, now, &result);
    assert_int_equal(result,
                     s->settings.exactly_once ? MR_PUBSUB_ACK_INVALID : MR_PUBSUB_ACK_STALE);
}

/* All leases end unpunished, all back-off is forgotten, and the old ack ids are stale. */
static void restart(void)
{
    struct mr_pubsub_options options = {.seed = ++serial};
    struct mr_pubsub_figures figures;

    mr_pubsub_tick(store, now);
    figures = mr_pubsub_figures(store);
    before.delivered += figures.delivered;
    before.dead_lettered += figures.dead_lettered;
    assert_int_equal(mr_pubsub_save(store, directory), 0);
    mr_pubsub_destroy(store);
    store = mr_pubsub_create(&options);
    assert_int_equal(mr_pubsub_restore(store, directory), 0);
    for (int i = 0; i < SUBS; i++) {
        for (struct item *it = subs[i].items; it < subs[i].items + subs[i].count; it++) {
            if (it->state == OUT)
                forget_id(&subs[i], it);
            it->state = IDLE;
            it->not_before_us = 0;
        }
        for (int j = 0; j < PULLERS; j++)
            open_puller(&subs[i], &subs[i].pullers[j]);
    }
}

static void one_operation(void)
{
    struct sub *s = &subs[roll(SUBS)];
    struct puller *p = &s->pullers[roll(PULLERS)];
    uint64_t what = roll(100);

    if (roll(1000) == 0) {
        restart();
    } else if (what < 12) {
        publish_some();
    } else if (what < 30) {
        pull_from(s, p);
    } else if (what < 34) {
        serve_all_ready();
    } else if (what < 66) {
        ack_one(s);
    } else if (what < 76) {
        modify_one(s, 0);
    } else if (what < 82) {
        modify_one(s, 1 + (int32_t)roll(30));
    } else if (what < 88) {
        use_old_id(s);
    } else if (what < 89) {
        mr_pubsub_puller_close(store, p->real);
        open_puller(s, p);
    } else {
        advance(roll(10) ? (int64_t)roll(500000) : (int64_t)roll(12 * S));
    }
}

static void begin(uint64_t seed)
{
    static const char *const names[SUBS] = {"plain", "ordered", "lettered",
                                            "exact", "all",     "letters"};
    struct mr_pubsub_options options = {.seed = seed};

    dice = seed;
    before = (struct mr_pubsub_figures){0};
    now = START;
    store = mr_pubsub_create(&options);
    mr_pubsub_topic_create(store, &(struct mr_pubsub_topic_settings){.name = text(TOPIC)}, NULL);
    mr_pubsub_topic_create(store, &(struct mr_pubsub_topic_settings){.name = text(DEAD)}, NULL);
    for (int i = 0; i < SUBS; i++) {
        struct sub *s = &subs[i];
        bool letters = i == LETTERED || i == ALL, retry = i == EXACT || i == ALL;
        memset(s, 0, sizeof *s);
        snprintf(s->name, sizeof s->name, "projects/p/subscriptions/%s", names[i]);
        s->settings = (struct mr_pubsub_subscription_settings){
            .name = text(s->name),
            .topic = i == LETTERS ? text(DEAD) : text(TOPIC),
            .ordering = i == ORDERED || i == ALL,
            .exactly_once = i == EXACT || i == ALL,
            .dead_letter = letters ? text(DEAD) : text(""),
            .retry = retry,
            .backoff_min_us = retry ? S / 2 : 0,
            .backoff_max_us = retry ? 4 * S : 0,
        };
        assert_int_equal(mr_pubsub_subscription_create(store, &s->settings, NULL).code, 0);
        for (int j = 0; j < PULLERS; j++)
            open_puller(s, &s->pullers[j]);
    }
}

static uint32_t left(void)
{
    uint32_t count = 0;

    for (int i = 0; i < SUBS; i++)
        count += subs[i].count;
    return count;
}

/* Everything that the model still holds must come, and can be acked. */
static void drain(void)
{
    for (int round = 0; left() > 0; round++) {
        assert_true(round < 10000);
        serve_all_ready();
        for (int i = 0; i < SUBS; i++)
            while (random_out(&subs[i]))
                ack_one(&subs[i]);
        advance(S / 4);
    }
}

static void run(uint64_t seed, uint64_t operations)
{
    struct mr_pubsub_figures figures;

    forwarded = deliveries = redeliveries = 0;
    begin(seed);
    for (uint64_t i = 0; i < operations; i++)
        one_operation();
    drain();
    figures = mr_pubsub_figures(store);
    print_message("seed %lu: %lu operations, %lu published, %lu delivered, %lu of them again, "
                  "%lu dead letters\n",
                  seed, operations, tags, deliveries, redeliveries, forwarded);
    assert_int_equal(figures.messages, 0);
    assert_int_equal(figures.entries, 0);
    assert_int_equal(figures.leased, 0);
    assert_int_equal(before.dead_lettered + figures.dead_lettered, forwarded);
    assert_int_equal(before.delivered + figures.delivered, deliveries);
    /* One empty slab chunk is kept; keys and messages are all gone. */
    assert_true(figures.memory_bytes < 300000);
    assert_true(operations < 10000 || forwarded > 10);
    mr_pubsub_destroy(store);
}

static uint64_t seed_given, operations_given;

static void keeps_its_promises(void **state)
{
    (void)state;
    if (seed_given) {
        run(seed_given, operations_given ? operations_given : 60000);
        return;
    }
    for (uint64_t seed = 1; seed <= 4; seed++)
        run(seed, 60000);
}

static int make_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/mr-pubsub-model-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    char path[96];
    (void)state;

    snprintf(path, sizeof path, "%s/pubsub.state", directory);
    unlink(path);
    snprintf(path, sizeof path, "%s/pubsub.lives", directory);
    unlink(path);
    return rmdir(directory);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keeps_its_promises, make_directory, remove_directory)};

    seed_given = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    operations_given = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
