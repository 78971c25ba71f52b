#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/err.h"
#include "core/hash.h"
#include "local/pubsub_file.h"
#include "local/pubsub_state.h"

/* The first error sticks. */
struct writer {
    int fd;
    bool failed;
    uint64_t hash;
    size_t at;
    uint8_t block[MR_PUBSUB_FILE_BLOCK];
};

static void flush(struct writer *w)
{
    size_t done = 0;

    if (w->at == 0)
        return;
    w->hash = mr_hash64(w->block, w->at, w->hash);
    while (!w->failed && done < w->at) {
        ssize_t n = write(w->fd, w->block + done, w->at - done);
        if (n < 0 && errno == EINTR)
            continue;
        w->failed = n <= 0;
        done += n > 0 ? (size_t)n : 0;
    }
    w->at = 0;
}

static void put(struct writer *w, const void *data, size_t bytes)
{
    const uint8_t *from = data;

    while (bytes > 0) {
        size_t part = MR_MIN(bytes, sizeof w->block - w->at);
        memcpy(w->block + w->at, from, part);
        w->at += part;
        from += part;
        bytes -= part;
        if (w->at == sizeof w->block)
            flush(w);
    }
}

static void put_word(struct writer *w, uint64_t word)
{
    put(w, &word, sizeof word);
}

static void put_span(struct writer *w, struct mr_span span)
{
    put_word(w, span.bytes);
    put(w, span.data, span.bytes);
}

static void put_head(struct writer *w, const struct mr_pubsub_store *s)
{
    put_word(w, MR_PUBSUB_FILE_MAGIC);
    put_word(w, MR_PUBSUB_FILE_VERSION);
    put_word(w, s->secret);
    put_word(w, s->incarnation);
    put_word(w, s->next_uid);
    put_word(w, s->next_stamp);
    put_word(w, s->next_id);
    put_word(w, (uint64_t)s->now_us);
}

static void put_topics(struct writer *w, const struct mr_pubsub_store *s)
{
    struct resource *r;

    put_word(w, s->topics.count);
    TAILQ_FOREACH(r, &s->topics.list, link)
    {
        const struct mr_pubsub_topic_settings *t =
            &MR_CONTAINER(r, struct topic, resource)->settings;
        put_word(w, r->uid);
        put_span(w, t->name);
        put_word(w, (uint64_t)t->retention_us);
        put_span(w, t->extra);
    }
}

static void put_message(struct writer *w, const struct message *m)
{
    put_word(w, m->id);
    put_word(w, (uint64_t)m->publish_us);
    put_span(w, m->data);
    put_span(w, m->ordering_key);
    put_word(w, m->pair_count);
    for (uint32_t i = 0; i < m->pair_count; i++) {
        put_span(w, m->pairs[i].key);
        put_span(w, m->pairs[i].value);
    }
}

#define EACH_ENTRY(s, sub, index)                                                                  \
    for (uint32_t index = (sub)->all.head; index; index = mr_pubsub_entry(s, index)->next[LINK_ALL])

/* A message is written when it is first met, and marked with its place from 1. */
static void put_messages(struct writer *w, struct mr_pubsub_store *s)
{
    struct resource *r;
    uint32_t place = 0;

    TAILQ_FOREACH(r, &s->subscriptions.list, link)
    EACH_ENTRY(s, MR_CONTAINER(r, struct subscription, resource), index)
    mr_pubsub_entry(s, index)->message->mark = 0;
    put_word(w, s->figures.messages);
    TAILQ_FOREACH(r, &s->subscriptions.list, link)
    {
        EACH_ENTRY(s, MR_CONTAINER(r, struct subscription, resource), index)
        {
            struct message *m = mr_pubsub_entry(s, index)->message;
            if (m->mark == 0) {
                m->mark = ++place;
                put_message(w, m);
            }
        }
    }
    MR_ASSERT(place == s->figures.messages);
}

static void put_settings(struct writer *w, const struct mr_pubsub_subscription_settings *t)
{
    put_span(w, t->name);
    put_span(w, t->topic);
    put_span(w, t->filter);
    put_span(w, t->dead_letter);
    put_span(w, t->extra);
    put_word(w, (uint64_t)t->ack_deadline_s);
    put_word(w, (uint64_t)t->attempts_max);
    put_word(w, (uint64_t)t->retention_us);
    put_word(w, (uint64_t)t->backoff_min_us);
    put_word(w, (uint64_t)t->backoff_max_us);
    put_word(w, (uint64_t)t->expiration_us);
    put_word(w, (t->retain_acked ? MR_PUBSUB_FILE_RETAIN : 0u) |
                    (t->ordering ? MR_PUBSUB_FILE_ORDERING : 0u) |
                    (t->exactly_once ? MR_PUBSUB_FILE_EXACTLY_ONCE : 0u) |
                    (t->detached ? MR_PUBSUB_FILE_DETACHED : 0u) |
                    (t->push ? MR_PUBSUB_FILE_PUSH : 0u) | (t->retry ? MR_PUBSUB_FILE_RETRY : 0u));
}

static void put_subscriptions(struct writer *w, const struct mr_pubsub_store *s)
{
    struct resource *r;

    put_word(w, s->subscriptions.count);
    TAILQ_FOREACH(r, &s->subscriptions.list, link)
    {
        const struct subscription *sub = MR_CONTAINER(r, struct subscription, resource);
        uint64_t count = 0;
        put_word(w, r->uid);
        put_settings(w, &sub->settings);
        EACH_ENTRY(s, sub, index)
        count++;
        put_word(w, count);
        EACH_ENTRY(s, sub, index)
        {
            const struct entry *e = mr_pubsub_entry(s, index);
            put_word(w, e->message->mark - 1);
            put_word(w, e->failures);
            put_word(w, e->state == ACKED);
        }
    }
}

/* True when all bytes are on the disk. */
static bool write_all(struct mr_pubsub_store *s, const char *path)
{
    struct writer *w = mr_pubsub_memory(sizeof *w);
    bool good;

    w->hash = MR_PUBSUB_FILE_SEED;
    w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    w->failed = w->fd < 0;
    if (!w->failed) {
        put_head(w, s);
        put_topics(w, s);
        put_messages(w, s);
        put_subscriptions(w, s);
        flush(w);
        put_word(w, w->hash);
        flush(w);
        w->failed |= fsync(w->fd) != 0;
        w->failed |= close(w->fd) != 0;
    }
    good = !w->failed;
    free(w);
    return good;
}

int mr_pubsub_save(struct mr_pubsub_store *s, const char *directory)
{
    char path[MR_PUBSUB_PATH_BYTES], fresh[MR_PUBSUB_PATH_BYTES];
    int fd, synced;

    if (snprintf(path, sizeof path, "%s/" MR_PUBSUB_FILE_NAME, directory) >= (int)sizeof path ||
        snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        return MR_E_FILE_OPEN;
    if (!write_all(s, fresh) || rename(fresh, path) != 0)
        return MR_E_FILE_WRITE;
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return MR_E_FILE_OPEN;
    synced = fsync(fd);
    close(fd);
    return synced == 0 ? MR_OK : MR_E_FILE_WRITE;
}
