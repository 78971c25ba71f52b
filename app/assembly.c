#include "app/assembly.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"

#define BATCHES_A_PULLER                                                                           \
    64 /* beyond two a share: a few MiB, so that lines leave the other cache                       \
        */
#define TEXTS_A_PULLER   6
#define ROW_BLOCK_BYTES  ((size_t)64 << 10)
#define OUT_BYTES        ((size_t)1 << 20)
#define PUBSUB_ENDPOINT  "pubsub.googleapis.com:443"
#define STORAGE_ENDPOINT "bigquerystorage.googleapis.com:443"

uint32_t mr_assembly_batches(const struct mr_topology *t)
{
    return BATCHES_A_PULLER + 2 * t->aggregator_count;
}

uint32_t mr_assembly_texts(const struct mr_topology *t)
{
    return TEXTS_A_PULLER * t->puller_count;
}

static uint32_t streams_of(const struct mr_topology *t, uint32_t puller)
{
    uint32_t streams = t->plan->config->source.pubsub.streams;
    return MR_MAX(streams / t->puller_count + (puller < streams % t->puller_count), 1u);
}

size_t mr_assembly_memory(const struct mr_topology *t)
{
    size_t batches = mr_assembly_batches(t) * ((size_t)t->plan->order.block_bytes + 256);
    size_t dictionaries = (size_t)t->aggregator_count * MR_GROUPINGS_MAX *
                          (4 * MR_BATCH_ROWS_MAX * sizeof(uint64_t));
    size_t source = t->from_pubsub
                        ? mr_subscriber_memory(streams_of(t, 0)) + sizeof(struct mr_subscriber)
                        : TEXTS_A_PULLER * (MR_TEXT_BLOCK_BYTES + 4096u) + sizeof(struct mr_stage) +
                              sizeof(struct mr_event_scratch) + sizeof(struct mr_decoded) +
                              sizeof(struct mr_file_puller);
    size_t aggregator = MR_ROW_BLOCKS * (ROW_BLOCK_BYTES + 256) +
                        MR_LETTER_BLOCKS * ((size_t)t->plan->order.heap_bytes + 1024) +
                        sizeof(struct mr_aggregator);
    size_t rings = (size_t)t->puller_count * t->aggregator_count * 4 * 8192 + ((size_t)32 << 20);

    return t->puller_count * (batches + dictionaries + source) + t->aggregator_count * aggregator +
           4 * OUT_BYTES + rings;
}

/* ---- endpoint ---- */

static int refuse(struct mr_topology *t, int err, const char *what, const char *why)
{
    mr_fault_raise(&t->fault, err, "%s: %s", what, why);
    return err;
}

static int find_endpoint(struct mr_topology *t, struct mr_endpoint *endpoint, const char *host_port,
                         bool plaintext, const char *ca_file)
{
    char why[MR_TLS_WHY_BYTES];
    int err = mr_resolve(host_port, endpoint->addresses, MR_BIGQUERY_ADDRESSES_MAX,
                         &endpoint->address_count);

    if (err != MR_OK)
        return refuse(t, err, host_port, mr_err_cause(err));
    endpoint->host_port = host_port;
    snprintf(endpoint->host, sizeof endpoint->host, "%s", host_port);
    char *port = strrchr(endpoint->host, ':');
    if (port)
        *port = '\0';
    if (plaintext)
        return MR_OK;
    endpoint->tls = mr_tls_client_context(ca_file, why);
    return endpoint->tls ? MR_OK : refuse(t, MR_E_TLS_FILE, host_port, why);
}

int mr_assembly_endpoints(struct mr_topology *t)
{
    const struct mr_config *config = t->plan->config;
    const char *emulator = getenv("PUBSUB_EMULATOR_HOST");
    const char *pubsub = config->source.pubsub.endpoint, *storage = config->sinks.bigquery.endpoint;
    bool emulated = emulator && *emulator;
    int err = MR_OK;

    if (t->from_pubsub)
        err = find_endpoint(
            t, &t->pubsub, emulated ? emulator : (pubsub ? pubsub : PUBSUB_ENDPOINT),
            emulated || config->source.pubsub.plaintext, config->source.pubsub.ca_file);
    if (err == MR_OK && config->sinks.bigquery.dataset)
        err = find_endpoint(t, &t->storage, storage ? storage : STORAGE_ENDPOINT,
                            config->sinks.bigquery.plaintext, config->sinks.bigquery.ca_file);
    return err;
}

/* ---- workers ---- */

static void *take(struct mr_topology *t, size_t count, size_t bytes)
{
    return mr_arena_take(&t->arena, count * bytes, MR_FALSE_SHARING);
}

static void close_subscriber(void *self)
{
    mr_subscriber_close(self);
}

static bool make_subscriber(struct mr_topology *t, uint32_t p)
{
    struct mr_channel_options channel = {
        .address = t->pubsub.addresses[0],
        .host_port = t->pubsub.host_port,
        .host = t->pubsub.host,
        .tls = t->pubsub.tls,
        .bearer = &t->pubsub.bearer,
    };
    struct mr_subscriber_options options = {
        .plan = t->plan,
        .arena = &t->arena,
        .io = mr_topology_puller_io(t, p),
        .fault = &t->fault,
        .channel = &channel,
        .drain = &t->drain,
        .jumbo_bytes = &t->jumbo_bytes,
        .number = p,
        .stream_count = streams_of(t, p),
        .share_count = t->aggregator_count,
        .batches = mr_assembly_batches(t),
        .client_id = t->client_ids[p],
    };

    snprintf(t->client_ids[p], sizeof t->client_ids[p], "millrace-%d-%llx-%u", getpid(),
             (unsigned long long)mr_wall_us(), p);
    t->threads[p].workers[0].close = close_subscriber;
    return mr_subscriber_init(&t->subscribers[p], &options) == MR_OK;
}

static void close_reader(void *self)
{
    struct mr_file_puller *puller = self;
    if (puller->reader && puller->reader->reading)
        mr_io_cancel(puller->reader->io, &puller->reader->op);
}

static bool make_file_puller(struct mr_topology *t, uint32_t p)
{
    struct mr_file_puller *puller = &t->pullers[p];

    puller->plan = t->plan;
    puller->number = p;
    puller->puller_count = t->puller_count;
    puller->fault = &t->fault;
    puller->decoded = take(t, 1, sizeof *puller->decoded);
    puller->scratch = take(t, 1, sizeof *puller->scratch);
    puller->stage = take(t, 1, sizeof *puller->stage);
    t->threads[p].workers[0].close = close_reader;
    return puller->decoded && puller->scratch && puller->stage &&
           mr_decoder_create(&puller->decoder, t->plan->config) == MR_OK &&
           mr_batcher_init(&puller->batcher, t->plan, &t->arena, mr_assembly_batches(t),
                           t->aggregator_count, (uint16_t)p, 0, &t->jumbo_bytes) == MR_OK;
}

static bool make_aggregator(struct mr_topology *t, uint32_t a)
{
    const struct mr_config *config = t->plan->config;
    struct mr_aggregator *aggregator = &t->aggregators[a];
    struct mr_share_limits limits = {
        .memory_bytes = config->limits.memory_bytes / t->aggregator_count,
        .keys = config->limits.keys,
        .dedup_bytes = config->limits.dedup_bytes / t->aggregator_count,
        .clocks = t->from_pubsub ? t->puller_count : 1,
    };
    size_t letter_bytes = sizeof(struct mr_block) + t->plan->order.heap_bytes;

    aggregator->in_count = t->puller_count;
    aggregator->ordered = !t->from_pubsub;
    aggregator->ends_expected = limits.clocks;
    aggregator->fault = &t->fault;
    return mr_slab_init(&aggregator->row_blocks, &t->arena, MR_ROW_BLOCKS, ROW_BLOCK_BYTES) ==
               MR_OK &&
           mr_slab_init(&aggregator->letter_blocks, &t->arena, MR_LETTER_BLOCKS, letter_bytes) ==
               MR_OK &&
           mr_share_init(&aggregator->share, t->plan, (uint16_t)a, &limits, &aggregator->row_blocks,
                         &aggregator->letter_blocks) == MR_OK;
}

static void tell_rejected(void *self, const struct mr_refused_row *row)
{
    (void)self;
    fprintf(stderr, "millrace: BigQuery takes no row of %s: %s: %.*s\n", row->table,
            mr_grpc_code_name(row->code), (int)row->text.bytes, (const char *)row->text.data);
}

static void tell_note(void *self, const char *line)
{
    (void)self;
    fprintf(stderr, "millrace: %s\n", line);
}

static bool make_bigquery(struct mr_topology *t)
{
    struct mr_bigquery_options options = {
        .addresses = t->storage.addresses,
        .address_count = t->storage.address_count,
        .host_port = t->storage.host_port,
        .host = t->storage.host,
        .tls = t->storage.tls,
        .bearer = &t->storage.bearer,
        .instance = t->instance,
        .lineage = mr_wall_us(), /* without a journal every run is a lineage of its own */
        .rejected = tell_rejected,
        .note = tell_note,
    };
    char host[64] = "";

    if (!t->bigquery)
        return true;
    gethostname(host, sizeof host - 1);
    snprintf(t->instance, sizeof t->instance, "%s-%d", host, getpid());
    return mr_bigquery_writer_init(t->bigquery, t->plan, mr_topology_aggregator_io(t, 0), &t->arena,
                                   &t->fault, t->aggregator_count, &options) == MR_OK;
}

static bool make_out(struct mr_topology *t, struct mr_out *out, struct mr_io *io, int fd,
                     const char *path)
{
    return fd < 0 || mr_out_init(out, &t->arena, io, &t->fault, fd, path, OUT_BYTES) == MR_OK;
}

static bool make_ends(struct mr_topology *t, const struct mr_topology_files *files)
{
    const struct mr_config *config = t->plan->config;

    t->writer.plan = t->plan;
    t->writer.fault = &t->fault;
    t->writer.in_count = t->aggregator_count;
    t->writer.out = files->rows >= 0 ? &t->row_file : NULL;
    t->keeper.config = config;
    t->keeper.fault = &t->fault;
    t->keeper.aggregator_count = t->aggregator_count;
    t->keeper.jumbo_bytes = &t->jumbo_bytes;
    t->keeper.letter_file = files->letters >= 0 ? &t->letter_file : NULL;
    return make_bigquery(t) &&
           make_out(t, &t->row_file, mr_topology_aggregator_io(t, 0), files->rows,
                    config->sinks.file) &&
           make_out(t, &t->letter_file, mr_topology_keeper_io(t), files->letters,
                    config->sinks.dead_letter_file) &&
           (t->from_pubsub ||
            mr_reader_init(&t->reader, &t->arena, mr_topology_puller_io(t, 0), &t->fault,
                           files->source, config->source.file, mr_assembly_texts(t),
                           config->decode.payload_bytes_max) == MR_OK);
}

int mr_assembly_workers(struct mr_topology *t, const struct mr_topology_files *files)
{
    bool made = make_ends(t, files);

    for (uint32_t p = 0; made && p < t->puller_count; p++)
        made = t->from_pubsub ? make_subscriber(t, p) : make_file_puller(t, p);
    for (uint32_t a = 0; made && a < t->aggregator_count; a++)
        made = make_aggregator(t, a);
    return made ? MR_OK : refuse(t, MR_E_MEMORY, "batches and state", "limits.memory");
}

void mr_assembly_finish(struct mr_topology *t)
{
    for (uint32_t p = 0; p < t->puller_count; p++) {
        if (t->pullers)
            mr_decoder_destroy(t->pullers[p].decoder);
        if (t->subscribers)
            mr_decoder_destroy(t->subscribers[p].decoder);
    }
    for (uint32_t a = 0; t->aggregators && a < t->aggregator_count; a++)
        mr_share_finish(&t->aggregators[a].share);
    mr_tls_context_destroy(t->pubsub.tls);
    mr_tls_context_destroy(t->storage.tls);
}
