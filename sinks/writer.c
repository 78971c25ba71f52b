#include "sinks/writer.h"

#include <stdio.h>

#include "core/clock.h"
#include "ring/edge.h"

#define BLOCKS_A_TURN 8
#define BUFFERS_MIN   8
#define BUFFERS_MAX   32
#define CHORES_NS     UINT64_C(1000000000)
#define NOTE_EVERY_NS UINT64_C(15000000000)
#define FINISH_TURNS  2000

static struct mr_bigquery_writer *of_channel(struct mr_channel *channel)
{
    return MR_CONTAINER(channel, struct mr_bigquery_writer, channel);
}

/* ---- blocks in, rows into append streams ---- */

static bool take_block(struct mr_bigquery_writer *w)
{
    void *block;

    for (uint32_t tried = 0; !w->held && tried < w->in_count; tried++) {
        uint32_t in = w->next_in;
        w->next_in = in + 1 == w->in_count ? 0 : in + 1;
        if (mr_spsc_take(w->in[in].blocks, &block, 1) != 1)
            continue;
        w->held = block;
        w->held_in = in;
        w->row = mr_block_first(w->held);
        w->rows_left = w->held->count;
        w->origin.share = w->held->share;
        w->origin.emitted_us = mr_wall_us();
    }
    return w->held != NULL;
}

static bool is_wanted(const struct mr_bigquery_writer *w, const struct mr_row *row)
{
    static const uint32_t bits[] = {
        [MR_EARLY] = MR_FIRE_EARLY, [MR_ON_TIME] = MR_FIRE_ON_TIME, [MR_LATE] = MR_FIRE_LATE};

    return (w->plan->config->sinks.bigquery.firings & bits[row->timing]) != 0;
}

static struct mr_append_stream *stream_of(struct mr_bigquery_writer *w, const struct mr_row *row)
{
    uint32_t in = w->streams_a_definition == 1 ? 0 : w->held_in;

    return &w->streams[row->definition * w->streams_a_definition + in];
}

/* Encodes the rows of the block in hand; false when no buffer is left. Then all that is being
 * filled goes on its way, so that buffers come back. */
static bool put_rows(struct mr_bigquery_writer *w, uint64_t now_ns)
{
    for (; w->rows_left > 0; w->rows_left--, w->row = mr_block_next(w->row)) {
        struct mr_row *row = w->row;
        if (!is_wanted(w, row)) {
            mr_append_count(&w->skipped, 1);
            continue;
        }
        if (mr_append_stream_put(stream_of(w, row), row, &w->origin, now_ns))
            continue;
        for (uint32_t i = 0; i < w->stream_count; i++)
            mr_append_stream_cut(&w->streams[i]);
        return false;
    }
    return true;
}

static void release_block(struct mr_bigquery_writer *w)
{
    bool end = w->held->flags & MR_BLOCK_END;

    mr_edge_put(w->in[w->held_in].returned, w->held);
    w->held = NULL;
    w->ends += end ? 1 : 0;
    if (!end || w->ends < w->in_count)
        return;
    for (uint32_t i = 0; i < w->stream_count; i++)
        mr_append_stream_end(&w->streams[i]);
}

/* ---- the connection ---- */

static void channel_up(struct mr_channel *channel)
{
    mr_retry_succeeded(&of_channel(channel)->retry);
}

static void channel_down(struct mr_channel *channel, const char *why)
{
    (void)why; /* kept in channel->why */
    of_channel(channel)->down = true;
}

static const struct mr_channel_events channel_events = {.up = channel_up, .down = channel_down};

static void note_connection(struct mr_bigquery_writer *w, uint64_t now_ns)
{
    char line[512];

    if (!w->options.note || (w->noted_ns != 0 && now_ns - w->noted_ns < NOTE_EVERY_NS))
        return;
    w->noted_ns = now_ns;
    snprintf(line, sizeof line, "%s: %s; connecting again", w->options.host_port, w->channel.why);
    w->options.note(w->options.self, line);
}

static void heed_connection(struct mr_bigquery_writer *w, uint64_t now_ns)
{
    if (!w->down)
        return;
    w->down = false;
    mr_retry_failed(&w->retry, now_ns, 0);
    if (w->retry.attempts > 1) /* it did not even come up */
        note_connection(w, now_ns);
}

static bool wants_connection(const struct mr_bigquery_writer *w)
{
    for (uint32_t i = 0; i < w->stream_count; i++)
        if (mr_append_stream_wants(&w->streams[i]))
            return true;
    return false;
}

static void connect_again(struct mr_bigquery_writer *w, uint64_t now_ns)
{
    w->channel.options.address = w->addresses[w->next_address];
    w->next_address = (w->next_address + 1) % w->options.address_count;
    int err = mr_channel_open(&w->channel);
    if (err == MR_OK)
        return;
    snprintf(w->channel.why, sizeof w->channel.why, "%s", mr_err_cause(err));
    w->down = true;
    heed_connection(w, now_ns);
}

static void keep_connected(struct mr_bigquery_writer *w, uint64_t now_ns)
{
    heed_connection(w, now_ns);
    if (w->channel.open) {
        if (now_ns >= w->chores_ns) {
            w->chores_ns = now_ns + CHORES_NS;
            mr_channel_chores(&w->channel, now_ns);
        }
    } else if (!w->channel.link && mr_retry_is_due(&w->retry, now_ns) && wants_connection(w)) {
        connect_again(w, now_ns);
    }
}

/* ---- its turn ---- */

/* Every stream has ended: close the connection, and be done when it is down. */
static void end_when_all_have(struct mr_bigquery_writer *w)
{
    for (uint32_t i = 0; i < w->stream_count; i++)
        if (!mr_append_stream_ended(&w->streams[i]))
            return;
    if (!w->closing && w->channel.open)
        mr_channel_close(&w->channel, "all rows are written");
    w->closing = true;
    if (!w->channel.link)
        atomic_store_explicit(&w->done, true, memory_order_release);
}

uint32_t mr_bigquery_writer_turn(void *self, uint64_t now_ns)
{
    struct mr_bigquery_writer *w = self;
    uint32_t done = 0;

    if (mr_fault_err(w->fault) != MR_OK)
        return 0;
    while (done < BLOCKS_A_TURN && take_block(w) && put_rows(w, now_ns)) {
        release_block(w);
        done++;
    }
    for (uint32_t i = 0; i < w->stream_count; i++)
        done += mr_append_stream_turn(&w->streams[i], now_ns);
    if (w->ends == w->in_count)
        end_when_all_have(w);
    if (!w->closing)
        keep_connected(w, now_ns);
    return done;
}

/* ---- beginning and end ---- */

static uint32_t streams_a_definition(const struct mr_plan *plan, uint32_t in_count)
{
    return plan->config->sinks.bigquery.delivery == MR_EXACTLY_ONCE ? in_count : 1;
}

static uint32_t buffers_for(uint32_t streams)
{
    return MR_MIN(MR_MAX(2 * streams, BUFFERS_MIN), BUFFERS_MAX);
}

size_t mr_bigquery_writer_bytes(const struct mr_plan *plan, uint32_t in_count)
{
    uint32_t streams = plan->config->window_count * streams_a_definition(plan, in_count);

    return streams * (MR_APPEND_STREAM_BYTES + sizeof(struct mr_append_stream)) +
           buffers_for(streams) * (MR_APPEND_BYTES + 256) + MR_CHANNEL_SEND_BYTES + 65536;
}

static int make_streams(struct mr_bigquery_writer *w, struct mr_arena *arena)
{
    w->streams = mr_arena_take(arena, w->stream_count * sizeof *w->streams, MR_FALSE_SHARING);
    if (!w->streams)
        return MR_E_MEMORY;
    for (uint32_t i = 0; i < w->stream_count; i++) {
        int err = mr_append_stream_init(&w->streams[i], &w->shared, arena,
                                        i / w->streams_a_definition, i % w->streams_a_definition);
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

int mr_bigquery_writer_init(struct mr_bigquery_writer *w, const struct mr_plan *plan,
                            struct mr_io *io, struct mr_arena *arena, struct mr_fault *fault,
                            uint32_t in_count, const struct mr_bigquery_options *options)
{
    struct mr_channel_options channel = {
        .host_port = options->host_port,
        .host = options->host,
        .tls = options->tls,
        .bearer = options->bearer,
    };
    uint8_t *send_buffer = mr_arena_take(arena, MR_CHANNEL_SEND_BYTES, MR_FALSE_SHARING);

    w->plan = plan;
    w->fault = fault;
    w->io = io;
    w->in_count = in_count;
    w->options = *options;
    w->options.address_count = MR_MIN(options->address_count, MR_BIGQUERY_ADDRESSES_MAX);
    MR_ASSERT(w->options.address_count > 0 && in_count > 0);
    memcpy(w->addresses, options->addresses, w->options.address_count * sizeof w->addresses[0]);
    w->origin.instance = mr_span_text(options->instance);
    w->origin.lineage = options->lineage;
    w->streams_a_definition = streams_a_definition(plan, in_count);
    w->stream_count = plan->config->window_count * w->streams_a_definition;
    w->shared = (struct mr_append_shared){
        .plan = plan,
        .fault = fault,
        .channel = &w->channel,
        .buffers = &w->buffers,
        .counters = &w->counters,
        .rejected = options->rejected,
        .note = options->note,
        .self = options->self,
    };
    mr_retry_init(&w->retry, &mr_append_retry_policy, (uint64_t)(uintptr_t)w);
    if (w->stream_count > MR_BIGQUERY_STREAMS_MAX)
        return MR_E_BIGQUERY_STREAMS;
    if (!send_buffer ||
        mr_slab_init(&w->buffers, arena, buffers_for(w->stream_count), MR_APPEND_BYTES) != MR_OK)
        return MR_E_MEMORY;
    mr_channel_init(&w->channel, io, &channel, &channel_events, send_buffer);
    return make_streams(w, arena);
}

void mr_bigquery_writer_finish(struct mr_bigquery_writer *w)
{
    if (!w->channel.link)
        return;
    mr_channel_close(&w->channel, "the run ends");
    for (uint32_t turn = 0; w->channel.link && turn < FINISH_TURNS; turn++)
        mr_io_turn(w->io, 1000000);
}
