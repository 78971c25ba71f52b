#include "core/worker.h"

#include <sched.h>
#include <stdio.h>

#include "core/clock.h"

/* Parking costs the waker 9-10 us and the sleeper starts 30 us later: spin for about as long. */
#define SPIN_NS 40000u
/* Chores run at least this often, whatever happens. */
#define PARK_NS 20000000u
/* What is in flight at the end has two seconds to come home. */
#define CLOSE_TURNS   2000u
#define CLOSE_WAIT_NS 1000000u

int mr_thread_init(struct mr_thread *thread, enum mr_io_choice io)
{
    *thread = (struct mr_thread){.cpu = -1};
    return mr_io_create(&thread->io, io, NULL);
}

struct mr_worker *mr_thread_add(struct mr_thread *thread, const char *role, uint32_t number,
                                void *self, uint32_t (*turn)(void *self, uint64_t now_ns))
{
    MR_ASSERT(thread->worker_count < MR_THREAD_WORKERS_MAX);
    struct mr_worker *worker = &thread->workers[thread->worker_count++];
    snprintf(worker->name, sizeof worker->name, "%s %u", role, number);
    worker->self = self;
    worker->turn = turn;
    return worker;
}

static void count(atomic_ullong *counter)
{
    /* Single writer: a plain add, published relaxed. */
    unsigned long long n = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, n + 1, memory_order_relaxed);
}

static uint64_t wait_ns(struct mr_thread *thread, uint64_t now_ns, uint64_t idle_since_ns)
{
    if (thread->spin || now_ns - idle_since_ns < SPIN_NS)
        return 0;
    count(&thread->parks);
    return PARK_NS;
}

static void close_workers(struct mr_thread *thread)
{
    for (uint32_t w = 0; w < thread->worker_count; w++)
        if (thread->workers[w].close)
            thread->workers[w].close(thread->workers[w].self);
    for (uint32_t tries = 0; mr_io_pending(thread->io) > 0 && tries < CLOSE_TURNS; tries++)
        mr_io_turn(thread->io, CLOSE_WAIT_NS);
}

static void *loop(void *self)
{
    struct mr_thread *thread = self;
    uint64_t idle_since_ns = mr_now_ns();

    while (atomic_load_explicit(&thread->running, memory_order_relaxed)) {
        uint64_t now_ns = mr_now_ns();
        uint32_t done = 0;
        for (uint32_t w = 0; w < thread->worker_count; w++)
            done += thread->workers[w].turn(thread->workers[w].self, now_ns);
        count(&thread->turns);
        if (done > 0) {
            count(&thread->busy_turns);
            idle_since_ns = now_ns;
        }
        mr_io_turn(thread->io, done > 0 ? 0 : wait_ns(thread, now_ns, idle_since_ns));
    }
    close_workers(thread);
    atomic_store(&thread->cpu_ns, mr_thread_cpu_ns());
    return NULL;
}

int mr_thread_start(struct mr_thread *thread)
{
    pthread_attr_t attributes;
    char name[16];

    pthread_attr_init(&attributes);
    if (thread->cpu >= 0) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET(thread->cpu, &cpus);
        pthread_attr_setaffinity_np(&attributes, sizeof cpus, &cpus);
    }
    atomic_store(&thread->running, true);
    int err = pthread_create(&thread->handle, &attributes, loop, thread);
    pthread_attr_destroy(&attributes);
    if (err != 0)
        return MR_E_THREAD;
    thread->started = true;
    snprintf(name, sizeof name, "mr %.12s", thread->workers[0].name);
    pthread_setname_np(thread->handle, name);
    return MR_OK;
}

void mr_thread_stop(struct mr_thread *thread)
{
    if (!thread->started)
        return;
    atomic_store(&thread->running, false);
    mr_io_wake(thread->io);
    pthread_join(thread->handle, NULL);
    thread->started = false;
}

void mr_thread_finish(struct mr_thread *thread)
{
    mr_thread_stop(thread);
    mr_io_destroy(thread->io);
    thread->io = NULL;
}
