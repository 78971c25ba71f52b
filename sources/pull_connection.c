#include "sources/pull_connection.h"

#include <stdio.h>

static const struct mr_retry_policy policy = {
    .base_ns = 100000000, .cap_ns = 60000000000, .factor_percent = 200};

static struct mr_pull_connection *of_channel(struct mr_channel *channel)
{
    return channel->user;
}

/* ---- telling ---- */

static void note(struct mr_pull_connection *c, const char *why, const char *then)
{
    char line[MR_TLS_WHY_BYTES + 300];

    if (!c->peer->note || !c->tells)
        return;
    snprintf(line, sizeof line, "%s: %s%s", c->peer->channel.host_port, why, then);
    c->peer->note(line);
}

/* Whoever answers so is not Pub/Sub, and trying again will not make it so. */
static bool is_the_wrong_peer(int err)
{
    return err == MR_E_TLS_CERTIFICATE || err == MR_E_TLS_ALPN || err == MR_E_TLS ||
           err == MR_E_HTTP2;
}

static void tell_trouble(struct mr_pull_connection *c, const char *why)
{
    if (c->in_trouble && strcmp(c->told, why) == 0)
        return;
    c->in_trouble = true;
    snprintf(c->told, sizeof c->told, "%s", why);
    note(c, why, "; trying again");
}

static void tell_answer(struct mr_pull_connection *c)
{
    c->has_answered = true;
    if (c->in_trouble)
        note(c, "connected", "");
    c->in_trouble = false;
}

static void down(struct mr_channel *channel, const char *why)
{
    struct mr_pull_connection *c = of_channel(channel);
    bool failed = !channel->answered || channel->err != MR_OK;

    if (c->closing)
        return;
    if (!c->has_answered && is_the_wrong_peer(channel->err)) {
        mr_fault_raise(c->peer->fault, channel->err, "%s: %s", c->peer->channel.host_port, why);
        return;
    }
    if (!channel->answered)
        c->next_address = (c->next_address + 1) % c->peer->address_count;
    if (failed)
        tell_trouble(c, why);
}

static const struct mr_channel_events events = {.down = down};

/* ---- life ---- */

int mr_pull_connection_init(struct mr_pull_connection *c, const struct mr_pull_peer *peer,
                            struct mr_arena *arena, struct mr_io *io, uint32_t stream_window,
                            uint64_t seed, bool tells)
{
    struct mr_channel_options options = peer->channel;

    MR_ASSERT(peer->address_count > 0);
    *c = (struct mr_pull_connection){.peer = peer, .tells = tells};
    options.address = peer->addresses[0];
    options.stream_window = stream_window;
    mr_retry_init(&c->retry, &policy, seed);
    for (int i = 0; i < 2; i++) {
        uint8_t *buffer = mr_arena_take(arena, MR_CHANNEL_SEND_BYTES, MR_FALSE_SHARING);
        if (!buffer)
            return MR_E_MEMORY;
        mr_channel_init(&c->channels[i], io, &options, &events, buffer);
        c->channels[i].user = c;
    }
    return MR_OK;
}

static bool is_free(const struct mr_channel *channel)
{
    return !channel->open && !channel->link;
}

/* Counted as a failure until it has answered. */
static void open_now(struct mr_pull_connection *c)
{
    struct mr_channel *channel = mr_pull_connection_channel(c);

    channel->options.address = c->peer->addresses[c->next_address];
    mr_retry_failed(&c->retry, c->now_ns, 0);
    if (mr_channel_open(channel) != MR_OK)
        tell_trouble(c, mr_err_cause(MR_E_CONNECT));
}

void mr_pull_connection_chores(struct mr_pull_connection *c, uint64_t now_ns, bool wanted)
{
    c->now_ns = now_ns;
    for (int i = 0; i < 2; i++)
        mr_channel_chores(&c->channels[i], now_ns);
    if (c->closing || !wanted)
        return;
    if (mr_pull_connection_channel(c)->draining && is_free(&c->channels[!c->current]))
        c->current = !c->current;
    struct mr_channel *channel = mr_pull_connection_channel(c);
    if (channel->answered && channel->open) {
        mr_retry_succeeded(&c->retry);
        tell_answer(c);
    } else if (is_free(channel) && mr_retry_is_due(&c->retry, now_ns)) {
        open_now(c);
    }
}

void mr_pull_connection_close(struct mr_pull_connection *c)
{
    c->closing = true;
    for (int i = 0; i < 2; i++)
        if (c->channels[i].open)
            mr_channel_close(&c->channels[i], "the run has ended");
}
