#include "sources/pubsub_puller.h"

#include "ring/edge.h"

#define BURST_MAX          16
#define CHORES_NS          UINT64_C(100000000)
#define OUTSTANDING_MAX    262144u /* messages of one puller, over all its streams */
#define OUTSTANDING_MIN    256u
#define OUTSTANDING_STREAM 10000u
#define OUTSTANDING_BYTES  ((size_t)10 << 20) /* of one stream, one largest message at least */
#define PARK_MAX           ((size_t)256 << 20)
#define STREAM_WINDOW      ((uint32_t)1 << 20)
#define AWAY_NS            UINT64_C(1000000000)  /* longer without a stream is no idling */
#define DRAIN_PATIENCE_NS  UINT64_C(10000000000) /* for acknowledgements that nobody answers */
#define SMALLEST_MESSAGE   64                    /* on the wire, to bound how many a window holds */
#define MESSAGE_DATA_MAX   10000000u             /* the service's limit */
#define ATTRIBUTES_BYTES   ((size_t)160 << 10)   /* 100 of 256 + 1024 bytes, and some more */
#define MESSAGE_OVERHEAD   ((uint32_t)256 << 10) /* attributes, ids, ack id around the data */

static void add(atomic_ullong *counter, uint64_t n)
{
    unsigned long long before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + n, memory_order_relaxed);
}

/* ---- acknowledging ---- */

static void ack_later(struct mr_subscriber *p, uint32_t lease)
{
    MR_ASSERT(p->to_ack_count < p->leases.capacity);
    uint32_t at = p->to_ack_head + p->to_ack_count++;
    p->to_ack[at >= p->leases.capacity ? at - p->leases.capacity : at] = lease;
}

static void write_acks(struct mr_subscriber *p)
{
    while (p->to_ack_count > 0) {
        uint32_t lease = p->to_ack[p->to_ack_head];
        if (!mr_acks_add(&p->acks, MR_ACK_VERB_ACK, mr_lease_ack_id(&p->leases, lease), p->now_ns))
            return;
        mr_lease_end(&p->leases, lease);
        p->to_ack_head = p->to_ack_head + 1 == p->leases.capacity ? 0 : p->to_ack_head + 1;
        p->to_ack_count--;
    }
}

static void extend_leases(struct mr_subscriber *p)
{
    uint32_t lease;

    while ((lease = mr_lease_due(&p->leases, p->now_ns)) != MR_LEASE_NONE) {
        if (!mr_acks_add(&p->acks, MR_ACK_VERB_EXTEND, mr_lease_ack_id(&p->leases, lease),
                         p->now_ns))
            return;
        mr_lease_extend(&p->leases, lease, p->now_ns);
    }
}

static uint32_t take_back_batches(struct mr_subscriber *p)
{
    void *batches[BURST_MAX];
    uint32_t total = 0;

    for (uint32_t a = 0; a < p->batcher.share_count; a++) {
        uint32_t taken = mr_spsc_take(p->batches_back[a], batches, BURST_MAX);
        for (uint32_t i = 0; i < taken; i++) {
            struct mr_order_batch *batch = batches[i];
            for (uint32_t row = 0; row < batch->rows; row++)
                ack_later(p, *mr_order_lease(batch, &p->plan->order, row));
            mr_batcher_return(&p->batcher, batch);
        }
        total += taken;
    }
    return total;
}

static uint32_t take_safe_letters(struct mr_subscriber *p)
{
    void *items[BURST_MAX];
    uint32_t total = 0, taken;

    while ((taken = mr_spsc_take(p->letters_safe, items, BURST_MAX)) > 0) {
        for (uint32_t i = 0; i < taken; i++)
            ack_later(p, (uint32_t)((uintptr_t)items[i] - 1));
        total += taken;
    }
    return total;
}

/* ---- messages into batches ---- */

static uint32_t send_cut(struct mr_subscriber *p)
{
    uint32_t count = p->batcher.cut_count;

    for (uint32_t i = 0; i < count; i++) {
        struct mr_order_batch *batch = p->batcher.cut[i];
        mr_edge_put(&p->batches_out[batch->share], batch);
    }
    p->batcher.cut_count = 0;
    return count;
}

/* The event time, if it stands beside the payload; else as decoded. */
static enum mr_reason event_time(struct mr_subscriber *p, const struct mr_pubsub_message *message)
{
    const struct mr_config *config = p->plan->config;
    const struct mr_field *field = &config->decode.fields[config->decode.event_time];
    struct mr_decoded *decoded = p->decoded;
    struct mr_span text;

    decoded->field = config->decode.event_time;
    if (field->time_from == MR_TIME_FROM_PUBLISH) {
        decoded->event_us = message->publish_us;
    } else if (field->time_from == MR_TIME_FROM_ATTRIBUTE) {
        decoded->detail_static = "the attribute with the event time is absent";
        if (!mr_pb_map_get(&message->attributes, mr_span_text(field->attribute), &text))
            return MR_REASON_MISSING_FIELD;
        decoded->detail_static = "the attribute is no time";
        if (mr_decode_event_time(text, field->unit, &decoded->event_us) != MR_REASON_NONE)
            return MR_REASON_BAD_TIMESTAMP;
    }
    decoded->detail_static = "later than the publish time by more than max_future_skew";
    if (message->publish_us != 0 &&
        decoded->event_us > message->publish_us + config->watermark.max_future_skew_us)
        return MR_REASON_FUTURE_TIMESTAMP;
    return MR_REASON_NONE;
}

static enum mr_reason decode(struct mr_subscriber *p, const struct mr_pubsub_message *message)
{
    enum mr_reason reason = mr_decode(p->decoder, message->data, p->decoded);

    if (reason == MR_REASON_NONE) {
        p->decoded->error_offset = 0;
        reason = event_time(p, message);
    }
    if (reason == MR_REASON_NONE && !mr_event_make(p->plan, p->decoded, &p->event, p->scratch)) {
        p->decoded->field = MR_FIELDS_MAX;
        p->decoded->detail_static = "the group_by values are longer than 4096 bytes together";
        reason = MR_REASON_OUT_OF_RANGE;
    }
    return reason;
}

/* The message's own attributes, for its letter: those within the service's limits. */
static struct mr_span letter_attributes(struct mr_subscriber *p,
                                        const struct mr_pubsub_message *message)
{
    struct mr_pb_each each = mr_pb_map_each(&message->attributes);
    uint8_t *at = p->attributes, *end = at + ATTRIBUTES_BYTES;
    struct mr_span key, value;

    while (mr_pb_each_pair(&each, &key, &value)) {
        uint16_t bytes[2] = {(uint16_t)key.bytes, (uint16_t)value.bytes};
        if (key.bytes > UINT16_MAX || value.bytes > UINT16_MAX ||
            (size_t)(end - at) < sizeof bytes + key.bytes + value.bytes)
            continue;
        memcpy(at, bytes, sizeof bytes);
        memcpy(at + sizeof bytes, key.data, key.bytes);
        memcpy(at + sizeof bytes + key.bytes, value.data, value.bytes);
        at += sizeof bytes + key.bytes + value.bytes;
    }
    return mr_span_of(p->attributes, (size_t)(at - p->attributes));
}

/* Decodes a message and puts it into its batch; false: there is no room for it now. */
static bool batch_message(struct mr_subscriber *p, uint32_t lease,
                          const struct mr_pubsub_message *message)
{
    const struct mr_config *config = p->plan->config;
    enum mr_reason reason = decode(p, message);
    bool added;

    if (reason == MR_REASON_NONE) {
        p->event.publish_us = message->publish_us != 0 ? message->publish_us : MR_TIME_MAX;
        p->event.lease = lease;
        if (config->decode.dedup_by == MR_DEDUP_MESSAGE_ID)
            p->event.id = mr_id_from_text(message->message_id, p->plan->hash_seed);
        added = mr_batcher_add(&p->batcher, &p->event);
    } else {
        struct mr_letter_source letter = {
            .reason = reason,
            .field = p->decoded->field < config->decode.field_count ? (uint16_t)p->decoded->field
                                                                    : MR_NO_FIELD,
            .position = lease,
            .error_offset = p->decoded->error_offset,
            .detail = p->decoded->detail_static,
            .message_id = message->message_id,
            .attributes = letter_attributes(p, message),
            .payload = message->data,
        };
        if (letter.message_id.bytes > UINT16_MAX)
            letter.message_id.bytes = UINT16_MAX;
        added = mr_batcher_letter(&p->batcher, &letter);
    }
    send_cut(p);
    if (added) {
        add(&p->received, 1);
        add(&p->bytes, message->data.bytes);
        if (reason == MR_REASON_NONE)
            add(&p->decimals_rounded, p->decoded->decimals_rounded);
    }
    return added;
}

/* A message that we cannot even hold: not acknowledged, so it comes again. */
static bool drop(struct mr_subscriber *p, uint32_t lease)
{
    if (lease != MR_LEASE_NONE)
        mr_lease_end(&p->leases, lease);
    add(&p->dropped, 1);
    return true;
}

static bool received(void *self, struct mr_pull_stream *stream, const struct mr_pubsub_event *event)
{
    struct mr_subscriber *p = self;
    const struct mr_pubsub_received *received = &event->received;

    p->received_ns = p->now_ns;
    p->worked++;
    if (received->ack_id.bytes > MR_ACK_ID_BYTES_MAX)
        return drop(p, MR_LEASE_NONE);
    uint32_t lease = mr_lease_take(&p->leases, received->ack_id, p->now_ns);
    if (lease == MR_LEASE_NONE)
        return drop(p, lease);
    if (p->park.count == 0 && batch_message(p, lease, &received->message))
        return true;
    struct mr_parked head = {
        .lease = lease, .stream = stream->number, .incarnation = stream->incarnation};
    if (!mr_park_put(&p->park, &head, event->bytes))
        return drop(p, lease);
    return false;
}

static uint32_t unpark(struct mr_subscriber *p)
{
    const struct mr_parked *parked;
    uint32_t done = 0;

    while ((parked = mr_park_first(&p->park)) != NULL) {
        struct mr_pubsub_received received;
        int err = mr_pubsub_received_parse(&received, mr_parked_message(parked));
        MR_ASSERT(err == MR_OK); /* it was parsed when it came */
        if (!batch_message(p, parked->lease, &received.message))
            break;
        mr_pull_stream_consume(&p->streams[parked->stream], parked->incarnation, parked->bytes);
        mr_park_drop(&p->park);
        done++;
    }
    return done;
}

static void properties(void *self, const struct mr_pubsub_properties *properties)
{
    struct mr_subscriber *p = self;
    p->acks.exactly_once = properties->exactly_once;
}

/* ---- connections ---- */

static void tend_connections(struct mr_subscriber *p, bool draining)
{
    for (uint32_t c = 0; c < p->connection_count; c++)
        mr_pull_connection_chores(&p->connections[c], p->now_ns, !draining);
    for (uint32_t s = 0; s < p->stream_count; s++) {
        if (draining && p->streams[s].wanted)
            mr_pull_stream_stop(&p->streams[s]);
        mr_pull_stream_chores(&p->streams[s], p->now_ns);
    }
}

static bool streams_have_stopped(const struct mr_subscriber *p)
{
    for (uint32_t s = 0; s < p->stream_count; s++)
        if (p->streams[s].active)
            return false;
    return true;
}

/* ---- the end ---- */

static void drain_on(struct mr_subscriber *p)
{
    if (!p->ended && streams_have_stopped(p) && p->park.count == 0 &&
        mr_batcher_close(&p->batcher, MR_BATCH_END)) {
        send_cut(p);
        p->ended = true;
    }
    bool clean = p->to_ack_count == 0 && mr_acks_are_clean(&p->acks);
    if (clean || p->drain_moved_ns == 0 || p->acks.answered != p->drain_acked) {
        p->drain_moved_ns = p->now_ns;
        p->drain_acked = p->acks.answered;
    }
    bool lost = p->now_ns - p->drain_moved_ns > DRAIN_PATIENCE_NS;
    if (p->ended && lost)
        atomic_store_explicit(&p->unacknowledged, p->leases.count + mr_acks_held(&p->acks),
                              memory_order_relaxed);
    if (p->ended && (lost || (p->leases.count == 0 && clean)))
        atomic_store_explicit(&p->done, true, memory_order_release);
}

/* ---- the turn ---- */

static bool streams_are_ready(const struct mr_subscriber *p)
{
    for (uint32_t s = 0; s < p->stream_count; s++)
        if (!mr_pull_stream_is_ready(&p->streams[s]))
            return false;
    return true;
}

/* Streams end and are opened again all the time; only one that stays away for long may hide
 * messages. What was on its way when a connection broke is leased to nobody until it expires. */
static uint64_t idle_since_ns(struct mr_subscriber *p)
{
    if (streams_are_ready(p))
        p->ready_ns = p->now_ns;
    else if (p->now_ns - p->ready_ns > AWAY_NS)
        p->away_ns = p->now_ns;
    uint64_t since_ns = MR_MAX(p->received_ns, p->away_ns);
    for (uint32_t s = 0; s < p->stream_count; s++)
        if (p->streams[s].cut_ns != 0)
            since_ns = MR_MAX(since_ns, p->streams[s].cut_ns + MR_LEASE_NS);
    return since_ns;
}

static void tell(struct mr_subscriber *p)
{
    uint64_t since_ns = idle_since_ns(p);
    bool quiet = p->leases.count == 0 && p->park.count == 0 && mr_acks_are_clean(&p->acks);
    atomic_store_explicit(&p->outstanding, p->leases.count, memory_order_relaxed);
    atomic_store_explicit(&p->idle_ns, quiet && p->now_ns > since_ns ? p->now_ns - since_ns : 0,
                          memory_order_relaxed);
}

static void chores(struct mr_subscriber *p, bool draining)
{
    tend_connections(p, draining);
    extend_leases(p);
    mr_acks_chores(&p->acks, p->now_ns, draining);
    tell(p);
    p->chores_due_ns = p->now_ns + CHORES_NS;
}

uint32_t mr_subscriber_turn(void *self, uint64_t now_ns)
{
    struct mr_subscriber *p = self;
    bool draining = atomic_load_explicit(p->drain, memory_order_relaxed);
    uint32_t done = p->worked;

    p->now_ns = now_ns;
    if (p->received_ns == 0)
        p->received_ns = p->ready_ns = p->away_ns = now_ns;
    if (mr_fault_err(p->fault) != MR_OK)
        return 0;
    done += take_back_batches(p) + take_safe_letters(p);
    done += unpark(p);
    if (p->worked == 0 && p->park.count == 0) { /* dry: what is there goes on its way */
        mr_batcher_flush(&p->batcher);
        done += send_cut(p);
    }
    p->worked = 0;
    write_acks(p);
    if (now_ns >= p->chores_due_ns || draining)
        chores(p, draining);
    if (draining)
        drain_on(p);
    return done;
}

/* ---- set-up ---- */

static uint32_t outstanding_messages(uint32_t stream_count)
{
    return MR_MIN(MR_MAX(OUTSTANDING_MAX / stream_count, OUTSTANDING_MIN), OUTSTANDING_STREAM);
}

/* Asked for, plus what the windows may bring from a server that does not keep to it. */
static uint32_t lease_count(uint32_t stream_count)
{
    return stream_count * (outstanding_messages(stream_count) + STREAM_WINDOW / SMALLEST_MESSAGE);
}

static size_t park_bytes(uint32_t stream_count)
{
    return MR_MIN(stream_count * (OUTSTANDING_BYTES + 2 * (size_t)STREAM_WINDOW), PARK_MAX);
}

static uint32_t connections_for(uint32_t stream_count)
{
    return (stream_count + MR_PULL_STREAMS_A_CONNECTION - 1) / MR_PULL_STREAMS_A_CONNECTION;
}

size_t mr_subscriber_memory(uint32_t stream_count)
{
    size_t leases = lease_count(stream_count) * (sizeof(struct mr_lease) + sizeof(uint32_t));
    size_t connections = (connections_for(stream_count) + 1) * MR_PULL_CONNECTION_BYTES;
    return leases + park_bytes(stream_count) + connections +
           MR_ACK_REQUESTS * MR_ACK_REQUEST_BYTES + stream_count * sizeof(struct mr_pull_stream) +
           sizeof(struct mr_event_scratch) + sizeof(struct mr_decoded) + ((size_t)1 << 20);
}

static int init_connections(struct mr_subscriber *p, const struct mr_subscriber_options *options)
{
    p->connection_count = connections_for(options->stream_count);
    MR_ASSERT(p->connection_count <= MR_PULL_CONNECTIONS_MAX);
    for (uint32_t c = 0; c < p->connection_count; c++)
        if (mr_pull_connection_init(&p->connections[c], &p->peer, options->arena, options->io,
                                    STREAM_WINDOW, options->number * 64 + c, c == 0) != MR_OK)
            return MR_E_MEMORY;
    p->stream_count = options->stream_count;
    p->streams = mr_arena_take(options->arena, p->stream_count * sizeof *p->streams,
                               MR_FALSE_SHARING);
    if (!p->streams)
        return MR_E_MEMORY;
    for (uint32_t s = 0; s < p->stream_count; s++)
        mr_pull_stream_init(&p->streams[s], &p->settings, &p->connections[s % p->connection_count],
                            s);
    return MR_OK;
}

static int init_memory(struct mr_subscriber *p, const struct mr_subscriber_options *options)
{
    uint32_t leases = lease_count(options->stream_count);

    p->decoded = mr_arena_take(options->arena, sizeof *p->decoded, MR_CACHE_LINE);
    p->scratch = mr_arena_take(options->arena, sizeof *p->scratch, MR_CACHE_LINE);
    p->attributes = mr_arena_take(options->arena, ATTRIBUTES_BYTES, MR_CACHE_LINE);
    p->to_ack = mr_arena_take(options->arena, leases * sizeof *p->to_ack, MR_CACHE_LINE);
    if (!p->decoded || !p->scratch || !p->attributes || !p->to_ack ||
        mr_leases_init(&p->leases, options->arena, leases) != MR_OK ||
        mr_park_init(&p->park, options->arena, park_bytes(options->stream_count)) != MR_OK)
        return MR_E_MEMORY;
    return mr_decoder_create(&p->decoder, options->plan->config);
}

int mr_subscriber_init(struct mr_subscriber *p, const struct mr_subscriber_options *options)
{
    struct mr_span subscription = mr_span_text(options->plan->config->source.pubsub.subscription);

    p->plan = options->plan;
    p->number = options->number;
    p->fault = options->fault;
    p->drain = options->drain;
    p->peer = *options->peer;
    p->settings = (struct mr_pull_settings){
        .subscription = subscription,
        .client_id = mr_span_text(options->client_id),
        .outstanding_messages = outstanding_messages(options->stream_count),
        .outstanding_bytes = (int64_t)MR_MAX(
            park_bytes(options->stream_count) / options->stream_count - 2 * (size_t)STREAM_WINDOW,
            (size_t)STREAM_WINDOW),
        .message_bytes_max = MESSAGE_DATA_MAX + MESSAGE_OVERHEAD,
        .fault = options->fault,
        .self = p,
        .received = received,
        .properties = properties,
    };
    if (init_memory(p, options) != MR_OK || init_connections(p, options) != MR_OK ||
        mr_acks_init(&p->acks, options->arena, options->io, &p->peer, subscription) != MR_OK)
        return MR_E_MEMORY;
    return mr_batcher_init(&p->batcher, options->plan, options->arena, options->batches,
                           options->share_count, (uint16_t)options->number,
                           (uint16_t)options->number, options->jumbo_bytes);
}

void mr_subscriber_close(struct mr_subscriber *p)
{
    for (uint32_t s = 0; s < p->stream_count; s++)
        mr_pull_stream_stop(&p->streams[s]);
    for (uint32_t c = 0; c < p->connection_count; c++)
        mr_pull_connection_close(&p->connections[c]);
    mr_acks_close(&p->acks);
}
