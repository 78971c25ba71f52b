#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "core/hash.h"
#include "local/pubsub_file.h"
#include "local/pubsub_state.h"

/* A bounded cursor over the mapped file whose first error sticks. */
struct reader {
    const uint8_t *at, *end;
    bool failed;
};

static struct mr_span get_bytes(struct reader *r, uint64_t bytes)
{
    struct mr_span span = {NULL, 0};

    if (r->failed || bytes > (uint64_t)(r->end - r->at)) {
        r->failed = true;
        return span;
    }
    span = mr_span_of(r->at, bytes);
    r->at += bytes;
    return span;
}

static uint64_t get_word(struct reader *r)
{
    struct mr_span span = get_bytes(r, sizeof(uint64_t));

    return r->failed ? 0 : mr_load64(span.data);
}

static struct mr_span get_span(struct reader *r)
{
    return get_bytes(r, get_word(r));
}

/* A count of things of at least a word each: more than the file can hold is damage. */
static uint64_t get_count(struct reader *r)
{
    uint64_t count = get_word(r);

    if (count > (uint64_t)(r->end - r->at) / sizeof(uint64_t))
        r->failed = true;
    return r->failed ? 0 : count;
}

static void get_head(struct reader *r, struct mr_pubsub_store *s)
{
    if (get_word(r) != MR_PUBSUB_FILE_MAGIC || get_word(r) != MR_PUBSUB_FILE_VERSION)
        r->failed = true;
    s->secret = get_word(r);
    s->incarnation = (uint32_t)get_word(r);
    s->next_uid = (uint32_t)get_word(r);
    s->next_stamp = (uint32_t)get_word(r);
    s->next_id = get_word(r);
    mr_pubsub_advance(s, (int64_t)get_word(r));
}

static void get_topics(struct reader *r, struct mr_pubsub_store *s)
{
    uint32_t next_uid = s->next_uid;

    for (uint64_t n = get_count(r); n > 0 && !r->failed; n--) {
        struct mr_pubsub_topic_settings t = {0};
        s->next_uid = (uint32_t)get_word(r);
        t.name = get_span(r);
        t.retention_us = (int64_t)get_word(r);
        t.extra = get_span(r);
        if (!r->failed && mr_pubsub_topic_create(s, &t, NULL).code != MR_PUBSUB_OK)
            r->failed = true;
    }
    s->next_uid = next_uid;
}

static struct message *get_message(struct reader *r, struct mr_pubsub_store *s)
{
    struct mr_pubsub_pair pairs[2 * MR_PUBSUB_PAIRS_MAX];
    struct mr_pubsub_post post = {.pairs = pairs};
    uint64_t id = get_word(r), count;
    int64_t publish_us = (int64_t)get_word(r);

    post.data = get_span(r);
    post.ordering_key = get_span(r);
    count = get_word(r);
    if (count > MR_COUNT(pairs))
        r->failed = true;
    for (uint64_t i = 0; i < count && !r->failed; i++) {
        pairs[i].key = get_span(r);
        pairs[i].value = get_span(r);
    }
    post.pair_count = (uint32_t)count;
    return r->failed ? NULL : mr_pubsub_message_create(s, &post, id, publish_us);
}

static struct mr_pubsub_subscription_settings get_settings(struct reader *r)
{
    struct mr_pubsub_subscription_settings t = {0};
    uint64_t flags;

    t.name = get_span(r);
    t.topic = get_span(r);
    t.filter = get_span(r);
    t.dead_letter = get_span(r);
    t.extra = get_span(r);
    t.ack_deadline_s = (int32_t)get_word(r);
    t.attempts_max = (int32_t)get_word(r);
    t.retention_us = (int64_t)get_word(r);
    t.backoff_min_us = (int64_t)get_word(r);
    t.backoff_max_us = (int64_t)get_word(r);
    t.expiration_us = (int64_t)get_word(r);
    flags = get_word(r);
    t.retain_acked = flags & MR_PUBSUB_FILE_RETAIN;
    t.ordering = flags & MR_PUBSUB_FILE_ORDERING;
    t.exactly_once = flags & MR_PUBSUB_FILE_EXACTLY_ONCE;
    t.detached = flags & MR_PUBSUB_FILE_DETACHED;
    t.push = flags & MR_PUBSUB_FILE_PUSH;
    t.retry = flags & MR_PUBSUB_FILE_RETRY;
    return t;
}

static struct subscription *get_subscription(struct reader *r, struct mr_pubsub_store *s)
{
    uint32_t uid = (uint32_t)get_word(r), position;
    struct mr_pubsub_subscription_settings t = get_settings(r);
    struct mr_pubsub_filter *filter = NULL;
    const char *why;

    if (!r->failed && t.filter.bytes > 0) {
        filter = mr_pubsub_filter_create(t.filter, &position, &why);
        r->failed = filter == NULL;
    }
    return r->failed ? NULL : mr_pubsub_subscription_add(s, &t, filter, uid);
}

static void get_entries(struct reader *r, struct mr_pubsub_store *s, struct subscription *sub,
                        struct message **messages, uint64_t message_count)
{
    for (uint64_t n = get_count(r); n > 0 && !r->failed; n--) {
        uint64_t place = get_word(r), failures = get_word(r), acked = get_word(r);
        uint32_t index;
        if (place >= message_count)
            r->failed = true;
        if (r->failed)
            return;
        index = mr_pubsub_entry_add(s, sub, messages[place]);
        mr_pubsub_entry(s, index)->failures = (uint32_t)failures;
        if (acked) {
            mr_pubsub_entry_withdraw(s, sub, index);
            if (mr_pubsub_entry(s, index)->key)
                mr_pubsub_order_remove(s, sub, index);
            mr_pubsub_entry(s, index)->state = ACKED;
        }
    }
}

static void get_all(struct reader *r, struct mr_pubsub_store *s)
{
    struct message **messages;
    uint64_t count, done = 0;

    get_head(r, s);
    get_topics(r, s);
    count = get_count(r);
    messages = mr_pubsub_memory((count + 1) * sizeof(struct message *));
    while (done < count && (messages[done] = get_message(r, s)) != NULL)
        done++;
    for (uint64_t n = get_count(r); n > 0 && !r->failed; n--) {
        struct subscription *sub = get_subscription(r, s);
        if (sub)
            get_entries(r, s, sub, messages, done);
    }
    /* A file that ends early leaves messages that no entry holds. */
    for (uint64_t i = 0; i < done; i++)
        if (messages[i]->refs == 0)
            mr_pubsub_message_drop(s, messages[i]);
    free(messages);
}

static bool hash_fits(const uint8_t *data, size_t bytes)
{
    uint64_t hash = MR_PUBSUB_FILE_SEED;

    if (bytes < sizeof hash)
        return false;
    bytes -= sizeof hash;
    for (size_t at = 0; at < bytes; at += MR_PUBSUB_FILE_BLOCK)
        hash = mr_hash64(data + at, MR_MIN(bytes - at, (size_t)MR_PUBSUB_FILE_BLOCK), hash);
    return hash == mr_load64(data + bytes);
}

static int restore_from(struct mr_pubsub_store *s, int fd)
{
    struct stat stat;
    struct reader r = {NULL, NULL, false};
    size_t bytes;
    uint8_t *data;

    if (fstat(fd, &stat) != 0 || stat.st_size < (off_t)sizeof(uint64_t))
        return MR_E_FILE_READ;
    bytes = (size_t)stat.st_size;
    data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return MR_E_FILE_READ;
    r.failed = !hash_fits(data, bytes);
    r.at = data;
    r.end = data + bytes - sizeof(uint64_t);
    if (!r.failed)
        get_all(&r, s);
    munmap(data, bytes);
    return r.failed || r.at != r.end ? MR_E_FILE_READ : MR_OK;
}

/* Counts this life, durably, before anything is handed out in it. */
static int begin_life(struct mr_pubsub_store *s, const char *directory)
{
    char path[MR_PUBSUB_PATH_BYTES], fresh[MR_PUBSUB_PATH_BYTES];
    unsigned lives = 0;
    FILE *file;
    bool good;

    if (snprintf(path, sizeof path, "%s/" MR_PUBSUB_LIVES_NAME, directory) >= (int)sizeof path ||
        snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        return MR_E_FILE_OPEN;
    file = fopen(path, "re");
    if (file) {
        good = fscanf(file, "%u", &lives) == 1;
        fclose(file);
        if (!good)
            return MR_E_FILE_READ;
    }
    lives = MR_MAX(lives, s->incarnation) + 1;
    file = fopen(fresh, "we");
    if (!file)
        return MR_E_FILE_OPEN;
    good = fprintf(file, "%u\n", lives) > 0 && fflush(file) == 0 && fsync(fileno(file)) == 0;
    good &= fclose(file) == 0;
    if (!good || rename(fresh, path) != 0)
        return MR_E_FILE_WRITE;
    s->incarnation = lives;
    s->next_id = MR_MAX(s->next_id, ID_FIRST + lives % ID_LIVES * ID_BLOCK);
    return MR_OK;
}

int mr_pubsub_restore(struct mr_pubsub_store *s, const char *directory)
{
    char path[MR_PUBSUB_PATH_BYTES];
    int fd, err;

    MR_ASSERT(s->topics.count == 0 && s->subscriptions.count == 0);
    if (snprintf(path, sizeof path, "%s/" MR_PUBSUB_FILE_NAME, directory) >= (int)sizeof path)
        return MR_E_FILE_OPEN;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? begin_life(s, directory) : MR_E_FILE_OPEN;
    err = restore_from(s, fd);
    close(fd);
    return err == MR_OK ? begin_life(s, directory) : err;
}
