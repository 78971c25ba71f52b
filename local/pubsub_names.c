#include "core/hash.h"
#include "local/pubsub_state.h"

#include <stdlib.h>

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool takes(struct mr_span *rest, const char *text)
{
    size_t bytes = strlen(text);

    if (rest->bytes < bytes || memcmp(rest->data, text, bytes) != 0)
        return false;
    *rest = mr_span_of(rest->data + bytes, rest->bytes - bytes);
    return true;
}

/* projects/{p}/{kind}/{id}: id of 3 to 255 characters, a letter first, then letters, digits and
 * -_.~+%, and not beginning with "goog". */
bool mr_pubsub_name_valid(struct mr_span name, const char *kind)
{
    const uint8_t *slash;

    if (!takes(&name, "projects/") || !(slash = memchr(name.data, '/', name.bytes)) ||
        slash == name.data)
        return false;
    name.bytes -= (size_t)(slash - name.data);
    name.data = slash;
    if (!takes(&name, "/") || !takes(&name, kind) || !takes(&name, "/"))
        return false;
    if (name.bytes < 3 || name.bytes > 255 || !is_letter(name.data[0]) ||
        (name.bytes >= 4 && memcmp(name.data, "goog", 4) == 0))
        return false;
    for (size_t i = 1; i < name.bytes; i++) {
        uint8_t c = name.data[i];
        if (!is_letter(c) && !(c >= '0' && c <= '9') && (c == 0 || !strchr("-_.~+%", c)))
            return false;
    }
    return true;
}

struct mr_span mr_pubsub_name_short(struct mr_span name)
{
    const uint8_t *slash = name.bytes ? memrchr(name.data, '/', name.bytes) : NULL;

    if (!slash)
        return name;
    return mr_span_of(slash + 1, name.bytes - (size_t)(slash + 1 - name.data));
}

void mr_pubsub_directory_init(struct directory *d)
{
    TAILQ_INIT(&d->list);
    d->bucket_count = 64;
    d->buckets = mr_pubsub_memory(d->bucket_count * sizeof *d->buckets);
}

void mr_pubsub_directory_finish(struct directory *d)
{
    free(d->buckets);
    *d = (struct directory){0};
}

static struct resource **bucket(const struct directory *d, struct mr_span name)
{
    return &d->buckets[mr_hash64(name.data, name.bytes, 0) & (d->bucket_count - 1)];
}

struct resource *mr_pubsub_directory_find(const struct directory *d, struct mr_span name)
{
    struct resource *r = *bucket(d, name);

    while (r && !mr_span_equal(r->name, name))
        r = r->chain;
    return r;
}

static void grow(struct directory *d)
{
    struct resource *r;

    free(d->buckets);
    d->bucket_count *= 2;
    d->buckets = mr_pubsub_memory(d->bucket_count * sizeof *d->buckets);
    TAILQ_FOREACH(r, &d->list, link)
    {
        struct resource **at = bucket(d, r->name);
        r->chain = *at;
        *at = r;
    }
}

void mr_pubsub_directory_add(struct directory *d, struct resource *r)
{
    struct resource **at = bucket(d, r->name);

    r->chain = *at;
    *at = r;
    TAILQ_INSERT_TAIL(&d->list, r, link);
    if (++d->count > d->bucket_count)
        grow(d);
}

void mr_pubsub_directory_remove(struct directory *d, struct resource *r)
{
    struct resource **at = bucket(d, r->name);

    while (*at != r)
        at = &(*at)->chain;
    *at = r->chain;
    TAILQ_REMOVE(&d->list, r, link);
    d->count--;
}

/* Does `r` belong to `parent`, a project's or a topic's name? */
static bool belongs(enum mr_pubsub_listing list, struct resource *r, struct mr_span parent)
{
    if (list == MR_PUBSUB_TOPIC_SUBSCRIPTIONS)
        return mr_span_equal(MR_CONTAINER(r, struct subscription, resource)->settings.topic,
                             parent);
    return r->name.bytes > parent.bytes && r->name.data[parent.bytes] == '/' &&
           memcmp(r->name.data, parent.data, parent.bytes) == 0;
}

static void fill(struct mr_pubsub_store *s, enum mr_pubsub_listing list, struct mr_span parent,
                 uint32_t size, uint32_t after_uid, struct mr_pubsub_page *out)
{
    struct directory *d = list == MR_PUBSUB_TOPICS ? &s->topics : &s->subscriptions;
    struct resource *r;
    uint32_t last_uid = 0;

    TAILQ_FOREACH(r, &d->list, link)
    {
        if (r->uid <= after_uid || !belongs(list, r, parent))
            continue;
        if (out->count == size) {
            mr_pubsub_page_token_write(s, last_uid, out->next_token);
            return;
        }
        out->names[out->count++] = r->name;
        last_uid = r->uid;
    }
}

struct mr_pubsub_status mr_pubsub_page_get(struct mr_pubsub_store *s, enum mr_pubsub_listing list,
                                           struct mr_span parent, int32_t page_size,
                                           struct mr_span token, struct mr_pubsub_page *out)
{
    uint32_t after_uid = 0;

    out->count = 0;
    out->next_token[0] = 0;
    if (page_size < 0 || page_size > MR_PUBSUB_PAGE_MAX)
        return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT,
                              "Invalid page size: %d (must be between 0 and 1000).", page_size);
    if (token.bytes > 0 && !mr_pubsub_page_token_read(s, token, &after_uid))
        return mr_pubsub_fail(s, MR_PUBSUB_INVALID_ARGUMENT, "Invalid page token.");
    if (list == MR_PUBSUB_TOPIC_SUBSCRIPTIONS && !mr_pubsub_topic_find(s, parent))
        return mr_pubsub_missing(s, parent);
    fill(s, list, parent, page_size ? (uint32_t)page_size : MR_PUBSUB_PAGE_DEFAULT, after_uid, out);
    return mr_pubsub_ok();
}
