#include "app/topology.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCHES_A_PULLER 64 /* beyond two a share: a few MiB, so that lines leave the other cache  \
                             */
#define TEXTS_A_PULLER  6
#define ROW_BLOCKS      48
#define ROW_BLOCK_BYTES ((size_t)64 << 10)
#define LETTER_BLOCKS   8
#define OUT_BYTES       ((size_t)1 << 20)

/* ---- Who carries whom ---- */

/* The CPUs this process may use, in order; a thread without one floats. */
static int cpu_of(const cpu_set_t *allowed, uint32_t n)
{
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, allowed) && n-- == 0)
            return cpu;
    return -1;
}

/* "puller=2,aggregator=3-4": the n-th CPU given to a role, or -1. */
static int cpu_from_affinity(const char *affinity, const char *role, uint32_t n)
{
    size_t role_bytes = strlen(role);

    for (const char *at = affinity; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, role, role_bytes) != 0 || at[role_bytes] != '=')
            continue;
        char *end;
        long first = strtol(at + role_bytes + 1, &end, 10), last = first;
        if (*end == '-')
            last = strtol(end + 1, NULL, 10);
        for (long cpu = first; cpu <= last; cpu++)
            if (n-- == 0)
                return (int)cpu;
    }
    return -1;
}

/* Roles of workers: auto is one puller, one aggregator, one writer; a file needs no more to keep a
 * disk busy, and a second aggregator pays only beyond eight pullers. */
static void count_workers(struct mr_topology *t)
{
    const struct mr_config *config = t->plan->config;

    t->puller_count = MR_MAX(config->workers.pullers, 1u);
    t->aggregator_count = MR_MAX(config->workers.aggregators, 1u);
    t->writer_count = 1;
}

static struct mr_thread *add_thread(struct mr_topology *t, const char *role, uint32_t n)
{
    const struct mr_config *config = t->plan->config;
    struct mr_thread *thread = &t->threads[t->thread_count];

    if (mr_thread_init(thread, config->workers.io) != MR_OK)
        return NULL;
    t->thread_count++;
    if (role)
        thread->cpu = cpu_from_affinity(config->workers.affinity, role, n);
    return thread;
}

/* Hot workers spin only when each has a CPU of its own and one is left over for all else. */
static bool may_spin(const struct mr_topology *t, uint32_t hot_threads)
{
    cpu_set_t allowed;

    if (t->plan->config->workers.idle != MR_IDLE_AUTO)
        return t->plan->config->workers.idle == MR_IDLE_SPIN;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return false;
    return cpu_of(&allowed, hot_threads) >= 0;
}

/* One thread a puller, one an aggregator, the writer beside the first aggregator, the keeper on
 * one of its own: the cold room never shares a thread with a hot one. */
static int place_workers(struct mr_topology *t)
{
    uint32_t hot = t->puller_count + t->aggregator_count;

    for (uint32_t p = 0; p < t->puller_count; p++) {
        struct mr_thread *thread = add_thread(t, "puller", p);
        if (!thread)
            return MR_E_THREAD;
        mr_thread_add(thread, "puller", p, &t->pullers[p], mr_file_puller_turn);
        thread->spin = may_spin(t, hot);
    }
    for (uint32_t a = 0; a < t->aggregator_count; a++) {
        struct mr_thread *thread = add_thread(t, "aggregator", a);
        if (!thread)
            return MR_E_THREAD;
        mr_thread_add(thread, "aggregator", a, &t->aggregators[a], mr_aggregator_turn);
        if (a == 0)
            mr_thread_add(thread, "writer", 0, &t->writers[0], mr_file_writer_turn);
        thread->spin = may_spin(t, hot);
    }
    struct mr_thread *cold = add_thread(t, NULL, 0);
    if (!cold)
        return MR_E_THREAD;
    mr_thread_add(cold, "keeper", 0, &t->keeper, mr_keeper_turn);
    return MR_OK;
}

static struct mr_io *puller_io(struct mr_topology *t, uint32_t p)
{
    return t->threads[p].io;
}

static struct mr_io *aggregator_io(struct mr_topology *t, uint32_t a)
{
    return t->threads[t->puller_count + a].io;
}

static struct mr_io *keeper_io(struct mr_topology *t)
{
    return t->threads[t->puller_count + t->aggregator_count].io;
}

/* ---- Which ring joins whom ---- */

static void *take(struct mr_topology *t, size_t count, size_t bytes)
{
    return mr_arena_take(&t->arena, count * bytes, MR_FALSE_SHARING);
}

static bool ring(struct mr_topology *t, struct mr_spsc **ring, uint32_t capacity)
{
    *ring = take(t, 1, sizeof **ring);
    return *ring && mr_spsc_init(*ring, &t->arena, capacity) == MR_OK;
}

static bool edge(struct mr_topology *t, struct mr_edge *edge, uint32_t capacity,
                 struct mr_io *consumer, struct mr_spsc **taken_from)
{
    if (!ring(t, &edge->ring, capacity))
        return false;
    edge->consumer = consumer;
    *taken_from = edge->ring;
    return true;
}

static uint32_t batches_a_puller(const struct mr_topology *t)
{
    return BATCHES_A_PULLER + 2 * t->aggregator_count;
}

static bool join_puller_to_aggregators(struct mr_topology *t, uint32_t p)
{
    struct mr_file_puller *puller = &t->pullers[p];
    uint32_t batches = batches_a_puller(t);

    puller->batches_out = take(t, t->aggregator_count, sizeof *puller->batches_out);
    puller->batches_back = take(t, t->aggregator_count, sizeof *puller->batches_back);
    if (!puller->batches_out || !puller->batches_back)
        return false;
    for (uint32_t a = 0; a < t->aggregator_count; a++) {
        struct mr_aggregator_in *in = &t->aggregators[a].in[p];
        in->returned = take(t, 1, sizeof *in->returned);
        if (!in->returned ||
            !edge(t, &puller->batches_out[a], batches, aggregator_io(t, a), &in->batches) ||
            !edge(t, in->returned, batches, puller_io(t, p), &puller->batches_back[a]))
            return false;
    }
    return true;
}

/* Texts go from the reading puller to every puller, the token around the circle of them. */
static bool join_pullers(struct mr_topology *t)
{
    struct mr_file_puller *reading = &t->pullers[0];
    uint32_t texts = TEXTS_A_PULLER * t->puller_count;

    reading->reader = &t->reader;
    reading->texts_out = take(t, t->puller_count, sizeof *reading->texts_out);
    reading->texts_back = take(t, t->puller_count, sizeof *reading->texts_back);
    if (!reading->texts_out || !reading->texts_back)
        return false;
    for (uint32_t p = 0; p < t->puller_count; p++) {
        struct mr_file_puller *puller = &t->pullers[p];
        uint32_t next = (p + 1) % t->puller_count;
        puller->texts_returned = take(t, 1, sizeof *puller->texts_returned);
        puller->token_out = take(t, 1, sizeof *puller->token_out);
        if (!puller->texts_returned || !puller->token_out ||
            !edge(t, &reading->texts_out[p], texts, puller_io(t, p), &puller->texts_in) ||
            !edge(t, puller->texts_returned, texts, puller_io(t, 0), &reading->texts_back[p]) ||
            !edge(t, puller->token_out, 1, puller_io(t, next), &t->pullers[next].token_in))
            return false;
    }
    t->token.watermark_us = MR_TIME_MIN;
    return mr_spsc_put(t->pullers[0].token_in, &t->token);
}

static bool join_aggregators_down(struct mr_topology *t)
{
    struct mr_mpsc *letters = take(t, 1, sizeof *letters);
    uint32_t letter_blocks = LETTER_BLOCKS * t->aggregator_count;

    t->keeper.letters_out = take(t, t->aggregator_count, sizeof *t->keeper.letters_out);
    if (!letters || !t->keeper.letters_out ||
        mr_mpsc_init(letters, &t->arena, letter_blocks) != MR_OK)
        return false;
    t->keeper.letters_in = letters;
    for (uint32_t a = 0; a < t->aggregator_count; a++) {
        struct mr_aggregator *aggregator = &t->aggregators[a];
        struct mr_file_writer_in *in = &t->writers[0].in[a];
        aggregator->rows_out = take(t, 1, sizeof *aggregator->rows_out);
        aggregator->letters_out = take(t, 1, sizeof *aggregator->letters_out);
        in->returned = take(t, 1, sizeof *in->returned);
        if (!aggregator->rows_out || !aggregator->letters_out || !in->returned ||
            !edge(t, aggregator->rows_out, ROW_BLOCKS, aggregator_io(t, 0), &in->blocks) ||
            !edge(t, in->returned, ROW_BLOCKS, aggregator_io(t, a), &aggregator->rows_back) ||
            !edge(t, &t->keeper.letters_out[a], LETTER_BLOCKS, aggregator_io(t, a),
                  &aggregator->letters_back))
            return false;
        *aggregator->letters_out = (struct mr_shared_edge){letters, keeper_io(t)};
    }
    return true;
}

/* ---- The workers themselves ---- */

static bool make_puller(struct mr_topology *t, uint32_t p)
{
    struct mr_file_puller *puller = &t->pullers[p];

    puller->plan = t->plan;
    puller->number = p;
    puller->puller_count = t->puller_count;
    puller->fault = &t->fault;
    puller->decoded = take(t, 1, sizeof *puller->decoded);
    puller->scratch = take(t, 1, sizeof *puller->scratch);
    puller->stage = take(t, 1, sizeof *puller->stage);
    return puller->decoded && puller->scratch && puller->stage &&
           mr_decoder_create(&puller->decoder, t->plan->config) == MR_OK &&
           mr_batcher_init(&puller->batcher, t->plan, &t->arena, batches_a_puller(t),
                           t->aggregator_count, (uint16_t)p, 0, &t->jumbo_bytes) == MR_OK;
}

/* Half of limits.memory is for state, in equal shares; the other half is room for growth of
 * tables (old and new stand side by side while one grows) and for what a batch carries. */
static bool make_aggregator(struct mr_topology *t, uint32_t a)
{
    const struct mr_config *config = t->plan->config;
    struct mr_aggregator *aggregator = &t->aggregators[a];
    struct mr_share_limits limits = {
        .memory_bytes = config->limits.memory_bytes / t->aggregator_count,
        .keys = config->limits.keys,
        .dedup_bytes = config->limits.dedup_bytes / t->aggregator_count,
        .clocks = 1,
    };
    size_t letter_bytes = sizeof(struct mr_block) + t->plan->order.heap_bytes;

    aggregator->in_count = t->puller_count;
    aggregator->ordered = true;
    aggregator->ends_expected = 1;
    aggregator->fault = &t->fault;
    return mr_slab_init(&aggregator->row_blocks, &t->arena, ROW_BLOCKS, ROW_BLOCK_BYTES) == MR_OK &&
           mr_slab_init(&aggregator->letter_blocks, &t->arena, LETTER_BLOCKS, letter_bytes) ==
               MR_OK &&
           mr_share_init(&aggregator->share, t->plan, (uint16_t)a, &limits, &aggregator->row_blocks,
                         &aggregator->letter_blocks) == MR_OK;
}

static bool make_ends(struct mr_topology *t, const struct mr_topology_files *files)
{
    const struct mr_config *config = t->plan->config;

    t->writers[0].plan = t->plan;
    t->writers[0].fault = &t->fault;
    t->writers[0].in_count = t->aggregator_count;
    t->writers[0].out = files->rows >= 0 ? &t->row_file : NULL;
    t->keeper.config = config;
    t->keeper.fault = &t->fault;
    t->keeper.aggregator_count = t->aggregator_count;
    t->keeper.jumbo_bytes = &t->jumbo_bytes;
    t->keeper.letter_file = files->letters >= 0 ? &t->letter_file : NULL;
    return (files->rows < 0 || mr_out_init(&t->row_file, &t->arena, aggregator_io(t, 0), &t->fault,
                                           files->rows, config->sinks.file, OUT_BYTES) == MR_OK) &&
           (files->letters < 0 ||
            mr_out_init(&t->letter_file, &t->arena, keeper_io(t), &t->fault, files->letters,
                        config->sinks.dead_letter_file, OUT_BYTES) == MR_OK) &&
           mr_reader_init(&t->reader, &t->arena, puller_io(t, 0), &t->fault, files->source,
                          config->source.file, TEXTS_A_PULLER * t->puller_count,
                          config->decode.payload_bytes_max) == MR_OK;
}

/* An upper bound, reserved and touched only where used. */
static size_t memory_needed(const struct mr_topology *t)
{
    size_t batches = batches_a_puller(t) * ((size_t)t->plan->order.block_bytes + 256);
    size_t dictionaries = (size_t)t->aggregator_count * MR_GROUPINGS_MAX *
                          (4 * MR_BATCH_ROWS_MAX * sizeof(uint64_t));
    size_t texts = TEXTS_A_PULLER * (MR_TEXT_BLOCK_BYTES + 4096u);
    size_t puller = batches + dictionaries + texts + sizeof(struct mr_stage) +
                    sizeof(struct mr_event_scratch) + sizeof(struct mr_decoded);
    size_t aggregator = ROW_BLOCKS * (ROW_BLOCK_BYTES + 256) +
                        LETTER_BLOCKS * ((size_t)t->plan->order.heap_bytes + 1024);
    size_t rings = (size_t)t->puller_count * t->aggregator_count * 4 * 8192 + ((size_t)4 << 20);

    return t->puller_count * puller + t->aggregator_count * aggregator + 4 * OUT_BYTES + rings;
}

int mr_topology_init(struct mr_topology *t, const struct mr_plan *plan,
                     const struct mr_topology_files *files)
{
    *t = (struct mr_topology){.plan = plan};
    count_workers(t);
    if (mr_arena_init(&t->arena, memory_needed(t)) != MR_OK || place_workers(t) != MR_OK) {
        mr_fault_raise(&t->fault, MR_E_MEMORY, "threads and their I/O");
        return MR_E_MEMORY;
    }
    bool made = make_ends(t, files);
    for (uint32_t p = 0; made && p < t->puller_count; p++)
        made = make_puller(t, p);
    for (uint32_t a = 0; made && a < t->aggregator_count; a++)
        made = make_aggregator(t, a);
    made = made && join_pullers(t) && join_aggregators_down(t);
    for (uint32_t p = 0; made && p < t->puller_count; p++)
        made = join_puller_to_aggregators(t, p);
    if (!made)
        mr_fault_raise(&t->fault, MR_E_MEMORY, "batches, rings and state");
    return made ? MR_OK : MR_E_MEMORY;
}

int mr_topology_start(struct mr_topology *t)
{
    for (uint32_t i = 0; i < t->thread_count; i++) {
        int err = mr_thread_start(&t->threads[i]);
        if (err != MR_OK) {
            mr_fault_raise(&t->fault, err, "%s on CPU %d", t->threads[i].workers[0].name,
                           t->threads[i].cpu);
            return err;
        }
    }
    return MR_OK;
}

bool mr_topology_is_done(struct mr_topology *t)
{
    return atomic_load_explicit(&t->writers[0].done, memory_order_acquire) &&
           atomic_load_explicit(&t->keeper.done, memory_order_acquire);
}

void mr_topology_stop(struct mr_topology *t)
{
    for (uint32_t i = 0; i < t->thread_count; i++)
        mr_thread_stop(&t->threads[i]);
}

/* Ends what is in flight, so that no completion finds its owner gone. */
static void quiet(struct mr_io *io, struct mr_io_op *op, bool in_flight)
{
    if (in_flight)
        mr_io_cancel(io, op);
    for (uint32_t tries = 0; mr_io_pending(io) > 0 && tries < 1000; tries++)
        mr_io_turn(io, 1000000);
}

void mr_topology_finish(struct mr_topology *t)
{
    mr_topology_stop(t);
    if (t->thread_count == t->puller_count + t->aggregator_count + 1) {
        quiet(puller_io(t, 0), &t->reader.op, t->reader.reading);
        quiet(aggregator_io(t, 0), &t->row_file.op, t->row_file.busy);
        quiet(keeper_io(t), &t->letter_file.op, t->letter_file.busy);
    }
    for (uint32_t p = 0; p < t->puller_count; p++)
        mr_decoder_destroy(t->pullers[p].decoder);
    for (uint32_t a = 0; a < t->aggregator_count; a++)
        mr_share_finish(&t->aggregators[a].share);
    for (uint32_t i = 0; i < t->thread_count; i++)
        mr_thread_finish(&t->threads[i]);
    mr_arena_finish(&t->arena);
}
