/* A thread and the workers it carries. Every worker is the same loop, a turn again and again; a
 * turn never waits. When no worker has anything to do, the thread idles in its mr_io: it spins for
 * a while, then parks in submit-and-wait until an operation ends or somebody wakes it.
 *
 * Who carries whom is decided by app/topology.c alone: on one core all of them are fused. */
#ifndef MR_CORE_WORKER_H
#define MR_CORE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/config.h"
#include "core/io.h"

#define MR_THREAD_WORKERS_MAX 8

struct mr_worker {
    char name[24]; /* "puller 0" */
    void *self;
    /* Does a bounded piece of work; returns how much was done, 0 for none. */
    uint32_t (*turn)(void *self, uint64_t now_ns);
    /* Called on the thread when it ends, to cancel what is in flight; NULL: nothing to cancel. */
    void (*close)(void *self);
};

struct mr_thread {
    struct mr_worker workers[MR_THREAD_WORKERS_MAX];
    uint32_t worker_count;
    struct mr_io *io;
    int cpu;   /* -1: floating */
    bool spin; /* never park */
    atomic_bool running;
    pthread_t handle;
    bool started;
    /* Written by the thread, relaxed. */
    atomic_ullong turns, busy_turns, parks, cpu_ns;
};

int mr_thread_init(struct mr_thread *thread, enum mr_io_choice io);
struct mr_worker *mr_thread_add(struct mr_thread *thread, const char *role, uint32_t number,
                                void *self, uint32_t (*turn)(void *self, uint64_t now_ns));

/* Errors: MR_E_THREAD, also when the CPU is not ours to pin to. */
int mr_thread_start(struct mr_thread *thread);

/* Asks the loop to end, lets the workers close and what is in flight come home (for a bounded
 * time), and waits for it. */
void mr_thread_stop(struct mr_thread *thread);

/* Joins what was started; frees the I/O. Accepts a zeroed thread. */
void mr_thread_finish(struct mr_thread *thread);

#endif
