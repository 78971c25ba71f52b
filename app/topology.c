#include "app/topology.h"

#include <sched.h>
#include <stdlib.h>

#include "app/assembly.h"

/* ---- which worker runs where ---- */

/* The n-th CPU this process may use, or -1. */
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

/* Hot workers spin only when each has a CPU of its own and one is left over for all else. */
static bool may_spin(const struct mr_topology *t)
{
    cpu_set_t allowed;

    if (t->plan->config->workers.idle != MR_IDLE_AUTO)
        return t->plan->config->workers.idle == MR_IDLE_SPIN;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return false;
    return cpu_of(&allowed, t->puller_count + t->aggregator_count) >= 0;
}

static struct mr_thread *add_thread(struct mr_topology *t, const char *role, uint32_t n, bool spin)
{
    const struct mr_config *config = t->plan->config;
    struct mr_thread *thread = &t->threads[t->thread_count];

    if (mr_thread_init(thread, config->workers.io) != MR_OK)
        return NULL;
    t->thread_count++;
    thread->cpu = cpu_from_affinity(config->workers.affinity, role, n);
    thread->spin = spin;
    return thread;
}

static void close_bigquery(void *self)
{
    mr_bigquery_writer_finish(self);
}

/* One thread a puller, one an aggregator, the writers beside the first aggregator; the keeper on
 * one of its own, for the cold room never shares a thread with a hot one. */
static int place_workers(struct mr_topology *t)
{
    bool spin = may_spin(t);

    for (uint32_t p = 0; p < t->puller_count; p++) {
        struct mr_thread *thread = add_thread(t, "puller", p, spin);
        if (!thread)
            return MR_E_THREAD;
        if (t->from_pubsub)
            mr_thread_add(thread, "puller", p, &t->subscribers[p], mr_subscriber_turn);
        else
            mr_thread_add(thread, "puller", p, &t->pullers[p], mr_file_puller_turn);
    }
    for (uint32_t a = 0; a < t->aggregator_count; a++) {
        struct mr_thread *thread = add_thread(t, "aggregator", a, spin);
        if (!thread)
            return MR_E_THREAD;
        mr_thread_add(thread, "aggregator", a, &t->aggregators[a], mr_aggregator_turn);
        if (a == 0) {
            mr_thread_add(thread, "writer", 0, &t->writer, mr_file_writer_turn);
            if (t->bigquery)
                mr_thread_add(thread, "writer", 1, t->bigquery, mr_bigquery_writer_turn)->close =
                    close_bigquery;
        }
    }
    struct mr_thread *cold = add_thread(t, "keeper", 0, false);
    if (!cold)
        return MR_E_THREAD;
    mr_thread_add(cold, "keeper", 0, &t->keeper, mr_keeper_turn);
    return MR_OK;
}

struct mr_io *mr_topology_puller_io(struct mr_topology *t, uint32_t puller)
{
    return t->threads[puller].io;
}

struct mr_io *mr_topology_aggregator_io(struct mr_topology *t, uint32_t aggregator)
{
    return t->threads[t->puller_count + aggregator].io;
}

struct mr_io *mr_topology_keeper_io(struct mr_topology *t)
{
    return t->threads[t->puller_count + t->aggregator_count].io;
}

/* ---- which ring joins whom ---- */

static void *take(struct mr_topology *t, size_t count, size_t bytes)
{
    return mr_arena_take(&t->arena, count * bytes, MR_FALSE_SHARING);
}

/* A ring of its own for this edge; its taking end is stored where the consumer looks. */
static bool join(struct mr_topology *t, struct mr_edge *edge, uint32_t capacity,
                 struct mr_io *consumer, struct mr_spsc **taken_from)
{
    struct mr_spsc *ring = take(t, 1, sizeof *ring);

    if (!edge || !ring || mr_spsc_init(ring, &t->arena, capacity) != MR_OK)
        return false;
    *edge = (struct mr_edge){ring, consumer};
    *taken_from = ring;
    return true;
}

/* The edges themselves, in memory that both ends can point to. */
static struct mr_edge *edges(struct mr_topology *t, uint32_t count)
{
    return take(t, count, sizeof(struct mr_edge));
}

static bool join_puller_to_aggregators(struct mr_topology *t, uint32_t p)
{
    uint32_t batches = mr_assembly_batches(t);
    struct mr_edge *out = edges(t, t->aggregator_count);
    struct mr_spsc **back = take(t, t->aggregator_count, sizeof *back);

    if (!out || !back)
        return false;
    for (uint32_t a = 0; a < t->aggregator_count; a++) {
        struct mr_aggregator_in *in = &t->aggregators[a].in[p];
        in->returned = edges(t, 1);
        if (!join(t, &out[a], batches, mr_topology_aggregator_io(t, a), &in->batches) ||
            !join(t, in->returned, batches, mr_topology_puller_io(t, p), &back[a]))
            return false;
    }
    if (t->from_pubsub) {
        t->subscribers[p].batches_out = out;
        t->subscribers[p].batches_back = back;
    } else {
        t->pullers[p].batches_out = out;
        t->pullers[p].batches_back = back;
    }
    return true;
}

/* Texts go from the reading puller to every puller, the token around the circle of them. */
static bool join_file_pullers(struct mr_topology *t)
{
    struct mr_file_puller *reading = &t->pullers[0];
    uint32_t texts = mr_assembly_texts(t);

    reading->reader = &t->reader;
    reading->texts_out = edges(t, t->puller_count);
    reading->texts_back = take(t, t->puller_count, sizeof *reading->texts_back);
    if (!reading->texts_out || !reading->texts_back)
        return false;
    for (uint32_t p = 0; p < t->puller_count; p++) {
        struct mr_file_puller *puller = &t->pullers[p];
        uint32_t next = (p + 1) % t->puller_count;
        puller->texts_returned = edges(t, 1);
        puller->token_out = edges(t, 1);
        if (!join(t, &reading->texts_out[p], texts, mr_topology_puller_io(t, p),
                  &puller->texts_in) ||
            !join(t, puller->texts_returned, texts, mr_topology_puller_io(t, 0),
                  &reading->texts_back[p]) ||
            !join(t, puller->token_out, 1, mr_topology_puller_io(t, next),
                  &t->pullers[next].token_in))
            return false;
    }
    t->token.watermark_us = MR_TIME_MIN;
    return mr_spsc_put(t->pullers[0].token_in, &t->token);
}

/* From the keeper to each subscriber: as many as it can have letters under way. */
static bool join_subscribers(struct mr_topology *t)
{
    t->keeper.letters_safe = edges(t, t->puller_count);
    if (!t->keeper.letters_safe)
        return false;
    for (uint32_t p = 0; p < t->puller_count; p++)
        if (!join(t, &t->keeper.letters_safe[p], t->subscribers[p].leases.capacity,
                  mr_topology_puller_io(t, p), &t->subscribers[p].letters_safe))
            return false;
    return true;
}

/* Rows pass the writers one after another; the last one gives the block back. */
static bool join_rows(struct mr_topology *t, uint32_t a)
{
    struct mr_aggregator *aggregator = &t->aggregators[a];
    struct mr_io *io = mr_topology_aggregator_io(t, a);
    struct mr_io *writers = mr_topology_aggregator_io(t, 0);
    struct mr_file_writer_in *file = &t->writer.in[a];

    aggregator->rows_out = edges(t, 1);
    file->returned = edges(t, 1);
    if (!join(t, aggregator->rows_out, MR_ROW_BLOCKS, writers, &file->blocks))
        return false;
    if (!t->bigquery)
        return join(t, file->returned, MR_ROW_BLOCKS, io, &aggregator->rows_back);
    struct mr_bigquery_writer_in *bigquery = &t->bigquery->in[a];
    bigquery->returned = edges(t, 1);
    return join(t, file->returned, MR_ROW_BLOCKS, writers, &bigquery->blocks) &&
           join(t, bigquery->returned, MR_ROW_BLOCKS, io, &aggregator->rows_back);
}

static bool join_aggregators_down(struct mr_topology *t)
{
    struct mr_mpsc *letters = take(t, 1, sizeof *letters);

    t->keeper.letters_out = edges(t, t->aggregator_count);
    if (!letters || !t->keeper.letters_out ||
        mr_mpsc_init(letters, &t->arena, MR_LETTER_BLOCKS * t->aggregator_count) != MR_OK)
        return false;
    t->keeper.letters_in = letters;
    for (uint32_t a = 0; a < t->aggregator_count; a++) {
        struct mr_aggregator *aggregator = &t->aggregators[a];
        struct mr_io *io = mr_topology_aggregator_io(t, a);
        aggregator->letters_out = take(t, 1, sizeof *aggregator->letters_out);
        if (!aggregator->letters_out || !join_rows(t, a) ||
            !join(t, &t->keeper.letters_out[a], MR_LETTER_BLOCKS, io, &aggregator->letters_back))
            return false;
        *aggregator->letters_out = (struct mr_shared_edge){letters, mr_topology_keeper_io(t)};
    }
    return true;
}

static bool join_all(struct mr_topology *t)
{
    bool joined = t->from_pubsub ? join_subscribers(t) : join_file_pullers(t);

    for (uint32_t p = 0; joined && p < t->puller_count; p++)
        joined = join_puller_to_aggregators(t, p);
    return joined && join_aggregators_down(t);
}

/* ---- life ---- */

static bool take_workers(struct mr_topology *t)
{
    t->aggregators = take(t, t->aggregator_count, sizeof *t->aggregators);
    t->client_ids = take(t, t->puller_count, sizeof *t->client_ids);
    if (t->plan->config->sinks.bigquery.dataset && !(t->bigquery = take(t, 1, sizeof *t->bigquery)))
        return false;
    if (t->from_pubsub)
        t->subscribers = take(t, t->puller_count, sizeof *t->subscribers);
    else
        t->pullers = take(t, t->puller_count, sizeof *t->pullers);
    return t->aggregators && t->client_ids && (t->subscribers || t->pullers);
}

int mr_topology_init(struct mr_topology *t, const struct mr_plan *plan,
                     const struct mr_topology_files *files)
{
    const struct mr_config *config = plan->config;

    *t = (struct mr_topology){.plan = plan};
    t->from_pubsub = config->source.pubsub.subscription != NULL;
    /* One of each unless told otherwise: a second aggregator pays beyond eight pullers. */
    t->puller_count = MR_MAX(config->workers.pullers, 1u);
    t->aggregator_count = MR_MAX(config->workers.aggregators, 1u);
    int err = mr_assembly_endpoints(t);
    if (err != MR_OK)
        return err;
    if (mr_arena_init(&t->arena, mr_assembly_memory(t)) != MR_OK || !take_workers(t) ||
        place_workers(t) != MR_OK) {
        mr_fault_raise(&t->fault, MR_E_MEMORY, "threads and their I/O");
        return MR_E_MEMORY;
    }
    err = mr_assembly_workers(t, files);
    if (err == MR_OK && !join_all(t)) {
        mr_fault_raise(&t->fault, MR_E_MEMORY, "rings");
        err = MR_E_MEMORY;
    }
    return err;
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
    for (uint32_t p = 0; t->subscribers && p < t->puller_count; p++)
        if (!atomic_load_explicit(&t->subscribers[p].done, memory_order_acquire))
            return false;
    if (t->bigquery && !atomic_load_explicit(&t->bigquery->done, memory_order_acquire))
        return false;
    return atomic_load_explicit(&t->writer.done, memory_order_acquire) &&
           atomic_load_explicit(&t->keeper.done, memory_order_acquire);
}

void mr_topology_stop(struct mr_topology *t)
{
    for (uint32_t i = 0; i < t->thread_count; i++)
        mr_thread_stop(&t->threads[i]);
}

void mr_topology_finish(struct mr_topology *t)
{
    mr_topology_stop(t);
    for (uint32_t i = 0; i < t->thread_count; i++)
        mr_thread_finish(&t->threads[i]);
    mr_assembly_finish(t);
    mr_arena_finish(&t->arena);
}

static uint64_t read_counter(atomic_ullong *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void mr_topology_intake(struct mr_topology *t, struct mr_intake *intake)
{
    *intake = (struct mr_intake){.idle_ns = UINT64_MAX};
    for (uint32_t p = 0; t->pullers && p < t->puller_count; p++) {
        intake->received += read_counter(&t->pullers[p].received);
        intake->bytes += read_counter(&t->pullers[p].bytes);
        intake->decimals_rounded += read_counter(&t->pullers[p].decimals_rounded);
    }
    for (uint32_t p = 0; t->subscribers && p < t->puller_count; p++) {
        struct mr_subscriber *puller = &t->subscribers[p];
        uint64_t idle_ns = read_counter(&puller->idle_ns);
        intake->received += read_counter(&puller->received);
        intake->bytes += read_counter(&puller->bytes);
        intake->decimals_rounded += read_counter(&puller->decimals_rounded);
        intake->outstanding += read_counter(&puller->outstanding);
        intake->dropped += read_counter(&puller->dropped);
        intake->idle_ns = MR_MIN(intake->idle_ns, idle_ns);
    }
}
