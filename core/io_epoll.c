#include "core/io_body.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX  256        /* taken from the kernel in one turn */
#define ACCEPTS_MAX 64         /* of one listener in one turn */
#define RECVS_MAX   4          /* of one socket in one turn, so that a fast peer starves no one */
#define NO_WATCH    UINT32_MAX /* end of a chain of watches */
#define WAKE_TAG    UINT64_MAX /* epoll data of the eventfd */

/* A descriptor with operations that wait for it; epoll admits one registration a descriptor. */
struct watch {
    int fd;
    uint32_t mask;       /* as registered; 0: not registered */
    uint32_t generation; /* tells events of an earlier use of this slot from ours */
    uint32_t next;       /* in its bucket, or in the free chain */
    bool busy;           /* its events are being handled: settled afterwards */
    struct mr_io_link ops;
};

struct epoll {
    struct mr_io io;
    int fd;
    bool coarse; /* no epoll_pwait2 here: milliseconds must do */
    uint32_t watched, free_first, bucket_mask;
    struct watch *watches;
    uint32_t *buckets;
    uint8_t *scratch;
    struct epoll_event events[EVENTS_MAX];
};

static struct epoll *epoll_of(struct mr_io *io)
{
    return MR_CONTAINER(io, struct epoll, io);
}

/* ---- Watches ---- */

static struct watch *watch_find(struct epoll *e, int fd)
{
    uint32_t at = e->buckets[(uint32_t)fd & e->bucket_mask];

    while (at != NO_WATCH && e->watches[at].fd != fd)
        at = e->watches[at].next;
    return at == NO_WATCH ? NULL : &e->watches[at];
}

static struct watch *watch_make(struct epoll *e, int fd)
{
    uint32_t *bucket = &e->buckets[(uint32_t)fd & e->bucket_mask];
    uint32_t at = e->free_first;
    struct watch *w = &e->watches[at];

    /* There are as many watches as operations, and each has one at least. */
    MR_ASSERT(at != NO_WATCH);
    e->free_first = w->next;
    w->fd = fd;
    w->mask = 0;
    w->generation++;
    w->busy = false;
    list_init(&w->ops);
    w->next = *bucket;
    *bucket = at;
    e->watched++;
    return w;
}

static void watch_free(struct epoll *e, struct watch *w)
{
    uint32_t *place = &e->buckets[(uint32_t)w->fd & e->bucket_mask];
    uint32_t at = (uint32_t)(w - e->watches);

    while (*place != at)
        place = &e->watches[*place].next;
    *place = w->next;
    w->next = e->free_first;
    e->free_first = at;
    e->watched--;
}

static uint32_t interest(const struct mr_io_op *op)
{
    switch (op->verb) {
    case VERB_READ:
    case VERB_RECV:
    case VERB_ACCEPT:
        return EPOLLIN;
    case VERB_POLL:
        return op->events;
    default:
        return EPOLLOUT;
    }
}

/* Makes the registration what the waiting operations ask for; drops the watch of none. */
static int watch_settle(struct epoll *e, struct watch *w)
{
    uint32_t mask = 0, index = (uint32_t)(w - e->watches);
    struct epoll_event event = {.data.u64 = (uint64_t)w->generation << 32 | index};
    int result = 0;

    if (w->busy)
        return 0;
    for (struct mr_io_link *at = w->ops.next; at != &w->ops; at = at->next)
        mask |= interest(MR_CONTAINER(at, struct mr_io_op, link));
    if (mask != w->mask) {
        event.events = mask;
        e->io.counters.system_calls++;
        if (epoll_ctl(e->fd,
                      !mask     ? EPOLL_CTL_DEL
                      : w->mask ? EPOLL_CTL_MOD
                                : EPOLL_CTL_ADD,
                      w->fd, &event) != 0)
            result = -errno;
        else
            w->mask = mask;
    }
    if (list_empty(&w->ops))
        watch_free(e, w);
    return result;
}

/* -EPERM: the descriptor knows no readiness, as regular files. */
static int watch_put(struct epoll *e, struct mr_io_op *op)
{
    struct watch *w = watch_find(e, op->fd);
    int result;

    if (!w)
        w = watch_make(e, op->fd);
    op->stage = STAGE_POLLING;
    list_put(&w->ops, &op->link);
    if (w->busy && w->mask)
        return 0;
    result = watch_settle(e, w);
    if (result == 0)
        return 0;
    list_drop(&op->link);
    watch_settle(e, w);
    return result;
}

static void watch_drop(struct epoll *e, struct mr_io_op *op)
{
    bool waited = op->stage == STAGE_POLLING;
    struct watch *w = waited ? watch_find(e, op->fd) : NULL;

    list_drop(&op->link);
    if (w)
        watch_settle(e, w);
}

static void wait_for(struct epoll *e, struct mr_io_op *op)
{
    int result = watch_put(e, op);

    if (result != 0)
        op_done(&e->io, op, result);
}

/* ---- The verbs ---- */

static bool transient(int error)
{
    return error == EINTR || error == EAGAIN;
}

/* Regular files and what else epoll does not know: all at once, however long the disk takes. */
static void run_file(struct epoll *e, struct mr_io_op *op)
{
    int flags = op->write_flags & MR_IO_DSYNC ? RWF_DSYNC : 0;

    while (op->moved < op->bytes) {
        struct iovec rest = {(uint8_t *)op->buffer + op->moved, op->bytes - op->moved};
        int64_t offset = op->offset < 0 ? -1 : op->offset + op->moved;
        ssize_t n = op->verb == VERB_READ ? preadv2(op->fd, &rest, 1, offset, 0)
                                          : pwritev2(op->fd, &rest, 1, offset, flags);

        e->io.counters.system_calls++;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            op_done(&e->io, op, -errno);
            return;
        }
        op->moved += (uint32_t)n;
        if (n == 0 || (op->verb == VERB_READ && op->offset < 0))
            break;
    }
    /* A write that moves nothing and names no error would otherwise pass for success. */
    bool stuck = op->verb == VERB_WRITE && op->moved < op->bytes;
    op_done(&e->io, op, stuck ? -EIO : (int32_t)op->moved);
}

static void run_read(struct epoll *e, struct mr_io_op *op)
{
    ssize_t n = read(op->fd, op->buffer, op->bytes);

    e->io.counters.system_calls++;
    if (n < 0 && transient(errno)) {
        wait_for(e, op);
        return;
    }
    if (n < 0) {
        op_done(&e->io, op, -errno);
        return;
    }
    op->moved = (uint32_t)n;
    op_done(&e->io, op, (int32_t)n);
}

/* A pipe or terminal may be in blocking mode and shared with others, so its mode stays as it is.
 * What cannot be told not to wait gets no more than PIPE_BUF bytes at a time: a writable pipe has
 * room for that. */
static ssize_t write_some(struct epoll *e, struct mr_io_op *op)
{
    struct iovec rest = {(uint8_t *)op->buffer + op->moved, op->bytes - op->moved};
    ssize_t n = pwritev2(op->fd, &rest, 1, -1, RWF_NOWAIT);

    e->io.counters.system_calls++;
    if (n >= 0 || errno != EOPNOTSUPP)
        return n;
    e->io.counters.system_calls++;
    return write(op->fd, rest.iov_base, MR_MIN(rest.iov_len, (size_t)PIPE_BUF));
}

static void run_write(struct epoll *e, struct mr_io_op *op)
{
    ssize_t n = write_some(e, op);

    if (n < 0 && !transient(errno)) {
        op_done(&e->io, op, -errno);
        return;
    }
    if (n > 0)
        op->moved += (uint32_t)n;
    if (op->moved == op->bytes)
        op_done(&e->io, op, (int32_t)op->bytes);
    else
        wait_for(e, op);
}

static void run_send(struct epoll *e, struct mr_io_op *op)
{
    while (op->moved < op->bytes) {
        ssize_t n = send(op->fd, (uint8_t *)op->buffer + op->moved, op->bytes - op->moved,
                         MSG_DONTWAIT | MSG_NOSIGNAL);

        e->io.counters.system_calls++;
        if (n < 0 && errno == EAGAIN) {
            wait_for(e, op);
            return;
        }
        if (n < 0 && errno != EINTR) {
            op_done(&e->io, op, -errno);
            return;
        }
        op->moved += n > 0 ? (uint32_t)n : 0;
    }
    op_done(&e->io, op, (int32_t)op->bytes);
}

static void run_recv(struct epoll *e, struct mr_io_op *op)
{
    struct mr_io_recv *recv_op = recv_of(op);
    uint32_t capacity = e->io.limits.recv_buffer_bytes;
    ssize_t n = capacity;

    op->stage = STAGE_RUNNING;
    for (uint32_t i = 0; i < RECVS_MAX && n == (ssize_t)capacity; i++) {
        n = recv(op->fd, e->scratch, capacity, MSG_DONTWAIT);
        e->io.counters.system_calls++;
        if (n == 0 || (n < 0 && !transient(errno))) {
            op_done(&e->io, op, n == 0 ? 0 : -errno);
            return;
        }
        if (n > 0) {
            e->io.counters.completions++;
            recv_op->got(recv_op, mr_span_of(e->scratch, (size_t)n));
        }
        if (op->flags & (OP_CANCELLED | OP_PAUSED))
            break;
    }
    if (op->flags & OP_CANCELLED)
        op_done(&e->io, op, -ECANCELED);
    else if (op->flags & OP_PAUSED)
        op->stage = STAGE_PARKED;
    else
        wait_for(e, op);
}

static void run_accept(struct epoll *e, struct mr_io_op *op)
{
    struct mr_io_accept *accept_op = accept_of(op);

    op->stage = STAGE_RUNNING;
    for (uint32_t i = 0; i < ACCEPTS_MAX && !(op->flags & OP_CANCELLED); i++) {
        int fd = accept4(op->fd, NULL, NULL, SOCK_CLOEXEC);

        e->io.counters.system_calls++;
        if (fd < 0 && errno == EAGAIN)
            break;
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED || errno == EPROTO))
            continue;
        if (fd < 0) {
            op_done(&e->io, op, -errno);
            return;
        }
        e->io.counters.completions++;
        accept_op->accepted(accept_op, fd);
    }
    if (op->flags & OP_CANCELLED)
        op_done(&e->io, op, -ECANCELED);
    else
        wait_for(e, op);
}

static int set_nonblocking(struct epoll *e, int fd)
{
    int flags = fcntl(fd, F_GETFL);

    e->io.counters.system_calls += 2;
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ? -errno : 0;
}

static void begin_connect(struct epoll *e, struct mr_io_op *op)
{
    int result = set_nonblocking(e, op->fd);

    e->io.counters.system_calls++;
    if (result == 0 && connect(op->fd, op->buffer, (socklen_t)op->bytes) != 0)
        result = -errno;
    if (result == -EINPROGRESS || result == -EINTR)
        wait_for(e, op);
    else
        op_done(&e->io, op, result);
}

static void end_connect(struct epoll *e, struct mr_io_op *op)
{
    int error = 0;
    socklen_t bytes = sizeof error;

    e->io.counters.system_calls++;
    if (getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0)
        error = errno;
    op_done(&e->io, op, -error);
}

/* ---- The turn ---- */

static void begin_stream(struct epoll *e, struct mr_io_op *op)
{
    int result = watch_put(e, op);

    if (result == -EPERM && op->verb == VERB_POLL)
        op_done(&e->io, op, (int32_t)(op->events & (POLLIN | POLLOUT)));
    else if (result == -EPERM && op->verb != VERB_RECV)
        run_file(e, op);
    else if (result != 0)
        op_done(&e->io, op, result);
}

static void begin(struct epoll *e, struct mr_io_op *op)
{
    int result;

    op->stage = STAGE_RUNNING;
    switch (op->verb) {
    case VERB_READ:
    case VERB_WRITE:
        if (op->offset >= 0)
            run_file(e, op);
        else
            begin_stream(e, op);
        break;
    case VERB_FDATASYNC:
        e->io.counters.system_calls++;
        op_done(&e->io, op, fdatasync(op->fd) == 0 ? 0 : -errno);
        break;
    case VERB_CONNECT:
        begin_connect(e, op);
        break;
    case VERB_SEND:
        run_send(e, op);
        break;
    case VERB_ACCEPT:
        result = set_nonblocking(e, op->fd);
        if (result == 0)
            wait_for(e, op);
        else
            op_done(&e->io, op, result);
        break;
    default:
        begin_stream(e, op);
    }
}

static void go_on(struct epoll *e, struct mr_io_op *op, uint32_t events)
{
    op->stage = STAGE_RUNNING;
    switch (op->verb) {
    case VERB_READ:
        run_read(e, op);
        break;
    case VERB_WRITE:
        run_write(e, op);
        break;
    case VERB_SEND:
        run_send(e, op);
        break;
    case VERB_CONNECT:
        end_connect(e, op);
        break;
    case VERB_ACCEPT:
        run_accept(e, op);
        break;
    case VERB_RECV:
        run_recv(e, op);
        break;
    default:
        op_done(&e->io, op, (int32_t)(events & (op->events | EPOLLERR | EPOLLHUP)));
    }
}

static void submit(struct epoll *e)
{
    struct mr_io_link now;
    struct mr_io_op *op;

    list_move(&now, &e->io.queue);
    while ((op = list_take(&now)))
        begin(e, op);
}

static void handle(struct epoll *e, const struct epoll_event *event)
{
    struct watch *w = &e->watches[(uint32_t)event->data.u64];
    uint32_t all = EPOLLERR | EPOLLHUP;
    struct mr_io_link fired, *next;
    struct mr_io_op *op;

    /* Freed, and perhaps used again, by a callback of an earlier event of this turn. */
    if (w->generation != event->data.u64 >> 32 || w->mask == 0)
        return;
    list_init(&fired);
    for (struct mr_io_link *at = w->ops.next; at != &w->ops; at = next) {
        next = at->next;
        op = MR_CONTAINER(at, struct mr_io_op, link);
        if (!(event->events & (interest(op) | all)))
            continue;
        list_drop(at);
        list_put(&fired, at);
    }
    w->busy = true;
    while ((op = list_take(&fired)))
        go_on(e, op, event->events);
    w->busy = false;
    watch_settle(e, w);
}

static int wait_events(struct epoll *e, uint64_t wait_ns)
{
    struct timespec limit = {(time_t)(wait_ns / 1000000000u), (long)(wait_ns % 1000000000u)};
    int count, milliseconds = -1;

    e->io.counters.system_calls++;
    if (!e->coarse) {
        count = epoll_pwait2(e->fd, e->events, EVENTS_MAX, wait_ns == UINT64_MAX ? NULL : &limit,
                             NULL);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM))
            return count;
        e->coarse = true;
        e->io.counters.system_calls++;
    }
    if (wait_ns != UINT64_MAX)
        milliseconds = (int)MR_MIN(wait_ns / 1000000u + (wait_ns % 1000000u != 0), INT_MAX);
    return epoll_wait(e->fd, e->events, EVENTS_MAX, milliseconds);
}

static void turn(struct mr_io *io, uint64_t wait_ns)
{
    struct epoll *e = epoll_of(io);
    uint64_t before = io->counters.completions;
    bool asleep;
    int count;

    submit(e);
    if (io->counters.completions != before || !list_empty(&io->queue) || !list_empty(&io->ready) ||
        !list_empty(&io->deferred))
        wait_ns = 0;
    asleep = wait_ns > 0 && io_sleep(io);
    if (!asleep && e->watched == 0)
        return;
    count = wait_events(e, asleep ? wait_ns : 0);
    MR_ASSERT(count >= 0 || errno == EINTR);
    if (asleep)
        io_awake(io);
    /* The eventfd is edge-triggered, so it need not be read: each write is one event. */
    for (int i = 0; i < count; i++)
        if (e->events[i].data.u64 != WAKE_TAG)
            handle(e, &e->events[i]);
}

/* ---- Cancel, pause, close ---- */

static void cancel(struct mr_io *io, struct mr_io_op *op)
{
    if (op->stage == STAGE_RUNNING)
        return; /* seen by the loop that called us */
    watch_drop(epoll_of(io), op);
    op_ready(io, op, -ECANCELED);
}

static void pause_recv(struct mr_io *io, struct mr_io_recv *recv_op)
{
    if (recv_op->op.stage == STAGE_RUNNING)
        return;
    watch_drop(epoll_of(io), &recv_op->op);
    recv_op->op.stage = STAGE_PARKED;
}

static void resume_recv(struct mr_io *io, struct mr_io_recv *recv_op)
{
    if (recv_op->op.stage == STAGE_PARKED)
        op_queue(io, &recv_op->op);
}

static void closing(struct mr_io *io, int fd)
{
    struct epoll *e = epoll_of(io);
    struct watch *w = watch_find(e, fd);

    if (!w)
        return;
    /* Its events are being handled by our caller, who would otherwise settle a descriptor that by
     * then may be another's. */
    MR_ASSERT(list_empty(&w->ops) && w->busy);
    if (w->mask)
        epoll_ctl(e->fd, EPOLL_CTL_DEL, fd, NULL);
    w->mask = 0;
}

/* ---- Beginning and end ---- */

static void destroy(struct mr_io *io)
{
    struct epoll *e = epoll_of(io);

    if (e->fd >= 0)
        close(e->fd);
    free(e->watches);
    free(e->buckets);
    free(e->scratch);
    free(e);
}

static struct mr_io *create(const struct mr_io_limits *limits, int event_fd, int *err)
{
    struct epoll *e = aligned_alloc(MR_FALSE_SHARING, mr_round_up(sizeof *e, MR_FALSE_SHARING));
    uint32_t count = limits->operations;
    struct epoll_event wake = {.events = EPOLLIN | EPOLLET, .data.u64 = WAKE_TAG};

    *err = MR_E_MEMORY;
    if (!e)
        return NULL;
    memset(e, 0, sizeof *e);
    mr_io_init(&e->io, &mr_io_body_epoll, limits, event_fd);
    e->fd = epoll_create1(EPOLL_CLOEXEC);
    e->bucket_mask = (uint32_t)mr_pow2_at_least(count) - 1;
    e->watches = calloc(count, sizeof *e->watches);
    e->buckets = malloc((e->bucket_mask + 1) * sizeof *e->buckets);
    e->scratch = malloc(limits->recv_buffer_bytes);
    if (e->fd < 0 || epoll_ctl(e->fd, EPOLL_CTL_ADD, event_fd, &wake) != 0)
        *err = MR_E_IO_BODY;
    else if (e->watches && e->buckets && e->scratch)
        *err = MR_OK;
    if (*err != MR_OK) {
        destroy(&e->io);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        e->watches[i].next = i + 1 < count ? i + 1 : NO_WATCH;
    memset(e->buckets, 0xff, (e->bucket_mask + 1) * sizeof *e->buckets);
    return &e->io;
}

const struct mr_io_body mr_io_body_epoll = {
    .name = "epoll",
    .create = create,
    .destroy = destroy,
    .turn = turn,
    .cancel = cancel,
    .pause = pause_recv,
    .resume = resume_recv,
    .closing = closing,
};
