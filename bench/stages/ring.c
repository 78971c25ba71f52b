#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "bench/stages/load.h"
#include "core/clock.h"
#include "ring/spsc.h"

#define ROUNDS        4096
#define BATCHES       64 /* as many as a puller has */
#define BATCH_BYTES   ((size_t)32 << 10)
#define BATCHES_A_RUN 1024

/* Two pinned threads, a ring each way. The other end sends back what it gets, at once, or having
 * read every line of it. Where there is one CPU only, the threads yield and the figures mean
 * little.
 */
struct ring_stage {
    struct mr_arena arena;
    struct mr_spsc there, back;
    struct mr_slab slab;
    pthread_t other;
    cpu_set_t before;
    int cpus[2];
    bool filled;
    uint64_t read_ns, sum; /* the other's, read after what it sent back has been taken */
};

static const uint64_t the_end;

static int find_cpus(struct ring_stage *s)
{
    int found = 0;

    mr_load_need(sched_getaffinity(0, sizeof s->before, &s->before) == 0, "no affinity");
    for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
        if (CPU_ISSET(cpu, &s->before))
            s->cpus[found++] = cpu;
    return found;
}

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static void *take_one(struct mr_spsc *ring, bool alone)
{
    void *item;

    while (mr_spsc_take(ring, &item, 1) == 0) {
        if (alone)
            sched_yield();
        else
            __builtin_ia32_pause();
    }
    return item;
}

static uint64_t sum_of(const uint64_t *words)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < BATCH_BYTES / sizeof *words; i++)
        sum += words[i];
    return sum;
}

static bool alone(const struct ring_stage *s)
{
    return s->cpus[0] == s->cpus[1];
}

static void *other_end(void *self)
{
    struct ring_stage *s = self;
    void *item;

    pin(s->cpus[1]);
    while ((item = take_one(&s->there, alone(s))) != &the_end) {
        if (s->filled) {
            uint64_t start_ns = mr_now_ns();
            s->sum += sum_of(item);
            s->read_ns += mr_now_ns() - start_ns;
        }
        mr_load_need(mr_spsc_put(&s->back, item), "a full ring");
    }
    return NULL;
}

static void *create(const struct mr_stage_shape *shape)
{
    struct ring_stage *s = aligned_alloc(MR_FALSE_SHARING,
                                         mr_round_up(sizeof *s, MR_FALSE_SHARING));

    mr_load_need(s != NULL, "no memory");
    memset(s, 0, sizeof *s);
    s->filled = shape->filled;
    if (find_cpus(s) == 1)
        s->cpus[1] = s->cpus[0];
    mr_load_need(mr_arena_init(&s->arena, (size_t)4 << 20) == MR_OK &&
                     mr_spsc_init(&s->there, &s->arena, BATCHES) == MR_OK &&
                     mr_spsc_init(&s->back, &s->arena, BATCHES) == MR_OK &&
                     mr_slab_init(&s->slab, &s->arena, BATCHES, BATCH_BYTES) == MR_OK,
                 "no arena");
    mr_load_need(pthread_create(&s->other, NULL, other_end, s) == 0, "no thread");
    pin(s->cpus[0]);
    return s;
}

static struct mr_done run_pointers(struct ring_stage *s)
{
    struct mr_done done = {.items = ROUNDS};
    void *batch = mr_slab_take(&s->slab);

    for (uint32_t i = 0; i < ROUNDS; i++) {
        mr_load_need(mr_spsc_put(&s->there, batch), "a full ring");
        done.checksum += take_one(&s->back, alone(s)) == batch;
    }
    mr_slab_return(&s->slab, batch);
    return done;
}

static void fill(uint64_t *words, uint64_t value)
{
    for (size_t i = 0; i < BATCH_BYTES / sizeof *words; i++)
        words[i] = value + i;
}

/* Batches written here and read there, as many under way as the slab has. */
static struct mr_done run_batches(struct ring_stage *s)
{
    uint64_t read_ns = s->read_ns, sum = s->sum;
    uint32_t under_way = 0;

    for (uint32_t i = 0; i < BATCHES_A_RUN; i++) {
        uint64_t *batch = mr_slab_take(&s->slab);
        fill(batch, i);
        mr_load_need(mr_spsc_put(&s->there, batch), "a full ring");
        if (++under_way == BATCHES) {
            mr_slab_return(&s->slab, take_one(&s->back, alone(s)));
            under_way--;
        }
    }
    for (; under_way > 0; under_way--)
        mr_slab_return(&s->slab, take_one(&s->back, alone(s)));
    return (struct mr_done){
        .items = BATCHES_A_RUN * BATCH_BYTES / MR_CACHE_LINE,
        .checksum = s->sum - sum,
        .ns = s->read_ns - read_ns,
    };
}

static struct mr_done run(void *self)
{
    struct ring_stage *s = self;

    return s->filled ? run_batches(s) : run_pointers(s);
}

static void destroy(void *self)
{
    struct ring_stage *s = self;

    mr_spsc_put(&s->there, (void *)(uintptr_t)&the_end);
    pthread_join(s->other, NULL);
    sched_setaffinity(0, sizeof s->before, &s->before);
    mr_arena_finish(&s->arena);
    free(s);
}

const struct mr_stage mr_stage_ring = {"ring", "item", create, run, destroy};
