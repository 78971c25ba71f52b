#include "wire/link.h"

#include <stdlib.h>

#define RECORD_BYTES (16u << 10) /* the largest TLS record: one sealing for as much as goes in */

struct mr_link {
    struct mr_tls *tls;
    struct mr_h2 *h2;
    int failed;
    uint8_t plain[MR_LINK_PLAIN_BYTES];
};

struct mr_link *mr_link_create(const struct mr_link_options *options,
                               const struct mr_h2_events *events, void *self)
{
    struct mr_link *link = malloc(sizeof *link);

    if (!link)
        return NULL;
    link->failed = MR_OK;
    link->tls = NULL;
    link->h2 = mr_h2_create(&options->h2, events, self);
    if (options->tls)
        link->tls = mr_tls_create(options->tls, options->host);
    if (link->h2 && (link->tls || !options->tls))
        return link;
    mr_link_destroy(link);
    return NULL;
}

void mr_link_destroy(struct mr_link *link)
{
    if (!link)
        return;
    mr_tls_destroy(link->tls);
    mr_h2_destroy(link->h2);
    free(link);
}

static int failed(struct mr_link *link, int err)
{
    if (link->failed == MR_OK)
        link->failed = err;
    return link->failed;
}

int mr_link_feed(struct mr_link *link, struct mr_span bytes)
{
    int64_t plain;
    int err;

    if (link->failed != MR_OK)
        return link->failed;
    if (!link->tls) {
        err = mr_h2_feed(link->h2, bytes);
        return err == MR_OK ? MR_OK : failed(link, err);
    }
    err = mr_tls_feed(link->tls, bytes);
    if (err != MR_OK)
        return failed(link, err);
    while ((plain = mr_tls_read(link->tls, link->plain, sizeof link->plain)) >= 0) {
        err = mr_h2_feed(link->h2, mr_span_of(link->plain, (size_t)plain));
        if (err != MR_OK)
            return failed(link, err);
    }
    return plain == MR_PARTIAL ? MR_OK : failed(link, (int)plain);
}

int64_t mr_link_take(struct mr_link *link, uint8_t *buffer, size_t limit)
{
    size_t taken = 0;

    if (!link->tls)
        return mr_h2_take(link->h2, buffer, limit);
    /* A client speaks first: its handshake begins here. */
    if (!mr_tls_ready(link->tls) && link->failed == MR_OK) {
        int64_t none = mr_tls_read(link->tls, link->plain, 0);
        if (none < 0 && none != MR_PARTIAL)
            failed(link, (int)none);
    }
    while ((taken += mr_tls_take(link->tls, buffer + taken, limit - taken)) < limit &&
           mr_tls_ready(link->tls)) {
        int64_t plain = mr_h2_take(link->h2, link->plain, RECORD_BYTES);
        if (plain < 0)
            return taken ? (int64_t)taken : failed(link, (int)plain);
        if (plain == 0)
            break;
        int err = mr_tls_write(link->tls, mr_span_of(link->plain, (size_t)plain));
        if (err != MR_OK)
            return taken ? (int64_t)taken : failed(link, err);
    }
    if (taken == 0 && link->failed != MR_OK && !mr_tls_ready(link->tls))
        return link->failed;
    return (int64_t)taken;
}

struct mr_h2 *mr_link_h2(struct mr_link *link)
{
    return link->h2;
}

bool mr_link_ready(const struct mr_link *link)
{
    return !link->tls || mr_tls_ready(link->tls);
}

bool mr_link_done(const struct mr_link *link)
{
    return mr_h2_done(link->h2);
}

const char *mr_link_why(const struct mr_link *link)
{
    if (link->tls && link->failed != MR_E_HTTP2)
        return mr_tls_why(link->tls);
    return mr_h2_why(link->h2);
}
