/* What the bodies of the I/O seam share: the front of `struct mr_io`, its lists, and the word that
 * owner and wakers meet on. Private to core/io*.c.
 *
 * An operation is in at most one list at a time, by its one link:
 *
 *   start -> queue --body submits--> kernel or watch --> done
 *              \-- refused, cancelled --> ready ---------/ */
#ifndef MR_CORE_IO_BODY_H
#define MR_CORE_IO_BODY_H

#include <errno.h>
#include <stdatomic.h>

#include "core/io.h"

enum verb {
    VERB_READ,
    VERB_WRITE,
    VERB_FDATASYNC,
    VERB_POLL,
    VERB_CONNECT,
    VERB_SEND,
    VERB_ACCEPT,
    VERB_RECV,
    VERB_DEFER,
};

enum stage {
    STAGE_IDLE,    /* not started, or done was called */
    STAGE_QUEUED,  /* in queue, for the body to submit; deferred ones in `deferred` */
    STAGE_KERNEL,  /* io_uring: the request itself is in the kernel */
    STAGE_POLLING, /* io_uring: a poll on its behalf is; epoll: waits in a watch */
    STAGE_RUNNING, /* epoll: its system call or callback is on the stack */
    STAGE_PARKED,  /* a paused receive of which nothing is in the kernel */
    STAGE_READY,   /* in ready, its result is known */
};

/* mr_io_op.flags */
enum {
    OP_CANCELLED = 1,  /* the owner asked for the end */
    OP_PAUSED = 2,     /* receive: no `got` now */
    OP_ENDED = 4,      /* receive: over with op->result, told after what is held */
    OP_POLL_FIRST = 8, /* io_uring: wait for readiness before trying again */
};

enum signal { AWAKE, SLEEPING, SIGNALLED };

struct mr_io_body {
    const char *name;
    /* Takes memory and kernel objects, and calls mr_io_init; NULL and *err on failure. */
    struct mr_io *(*create)(const struct mr_io_limits *limits, int event_fd, int *err);
    void (*destroy)(struct mr_io *io);
    void (*turn)(struct mr_io *io, uint64_t wait_ns);
    void (*cancel)(struct mr_io *io, struct mr_io_op *op); /* OP_CANCELLED is already set */
    void (*pause)(struct mr_io *io, struct mr_io_recv *recv);
    void (*resume)(struct mr_io *io, struct mr_io_recv *recv);
    void (*closing)(struct mr_io *io, int fd);
};

struct mr_io {
    const struct mr_io_body *body;
    struct mr_io_limits limits;
    struct mr_io_counters counters;
    uint32_t pending;
    struct mr_io_link queue, ready, deferred;
    char reason[200];
    int event_fd;
    /* The only word that other threads write. */
    MR_ALIGNED(MR_FALSE_SHARING) _Atomic uint32_t signal;
    uint8_t apart[MR_FALSE_SHARING - sizeof(uint32_t)];
};

extern const struct mr_io_body mr_io_body_uring, mr_io_body_epoll;

/* Fills the front of a zeroed `io`. */
void mr_io_init(struct mr_io *io, const struct mr_io_body *body, const struct mr_io_limits *limits,
                int event_fd);

static inline void list_init(struct mr_io_link *list)
{
    list->next = list->prev = list;
}

static inline bool list_empty(const struct mr_io_link *list)
{
    return list->next == list;
}

static inline void list_put(struct mr_io_link *list, struct mr_io_link *link)
{
    MR_ASSERT(link->next == NULL);
    link->prev = list->prev;
    link->next = list;
    list->prev->next = link;
    list->prev = link;
}

static inline void list_drop(struct mr_io_link *link)
{
    if (!link->next)
        return;
    link->next->prev = link->prev;
    link->prev->next = link->next;
    link->next = link->prev = NULL;
}

static inline struct mr_io_op *list_take(struct mr_io_link *list)
{
    if (list_empty(list))
        return NULL;
    struct mr_io_op *op = MR_CONTAINER(list->next, struct mr_io_op, link);
    list_drop(&op->link);
    return op;
}

/* Moves all of `from` into `to`, so that a pass over it ends although callbacks add to `from`. */
static inline void list_move(struct mr_io_link *to, struct mr_io_link *from)
{
    list_init(to);
    if (list_empty(from))
        return;
    *to = *from;
    to->next->prev = to->prev->next = to;
    list_init(from);
}

static inline struct mr_io_recv *recv_of(struct mr_io_op *op)
{
    return MR_CONTAINER(op, struct mr_io_recv, op);
}

static inline struct mr_io_accept *accept_of(struct mr_io_op *op)
{
    return MR_CONTAINER(op, struct mr_io_accept, op);
}

static inline void op_queue(struct mr_io *io, struct mr_io_op *op)
{
    op->stage = STAGE_QUEUED;
    list_put(&io->queue, &op->link);
}

/* `done` will be called with `result` at the head of the next turn. */
static inline void op_ready(struct mr_io *io, struct mr_io_op *op, int32_t result)
{
    op->stage = STAGE_READY;
    op->result = result;
    list_put(&io->ready, &op->link);
}

/* The last touch of an operation: `done` may free it. */
static inline void op_done(struct mr_io *io, struct mr_io_op *op, int32_t result)
{
    MR_ASSERT(op->stage != STAGE_IDLE && io->pending > 0);
    list_drop(&op->link);
    op->stage = STAGE_IDLE;
    io->pending--;
    io->counters.completions++;
    op->done(op, result);
}

/* False: a wake-up is due, do not wait. True: wait, then call io_awake. See mr_io_wake. */
static inline bool io_sleep(struct mr_io *io)
{
    uint32_t expected = AWAKE;
    if (!atomic_compare_exchange_strong(&io->signal, &expected, SLEEPING))
        return false;
    io->counters.waits++;
    return true;
}

static inline void io_awake(struct mr_io *io)
{
    if (atomic_exchange(&io->signal, AWAKE) == SIGNALLED)
        io->counters.wakes++;
}

#endif
