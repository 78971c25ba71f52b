#include "core/io_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int choose(enum mr_io_choice *choice)
{
    const char *forced = getenv("MILLRACE_IO");

    if (*choice != MR_IO_AUTO || !forced || !*forced)
        return MR_OK;
    if (strcmp(forced, "io_uring") == 0)
        *choice = MR_IO_URING;
    else if (strcmp(forced, "epoll") == 0)
        *choice = MR_IO_EPOLL;
    else if (strcmp(forced, "auto") != 0)
        return MR_E_USAGE;
    return MR_OK;
}

static struct mr_io *create_with(const struct mr_io_body *body, const struct mr_io_limits *limits,
                                 int *err)
{
    struct mr_io *io;
    int event_fd = eventfd(0, EFD_CLOEXEC);

    if (event_fd < 0) {
        *err = MR_E_IO_BODY;
        return NULL;
    }
    io = body->create(limits, event_fd, err);
    if (!io)
        close(event_fd);
    return io;
}

int mr_io_create(struct mr_io **io, enum mr_io_choice choice, const struct mr_io_limits *limits)
{
    static const struct mr_io_limits standard = MR_IO_LIMITS_DEFAULT;
    char reason[sizeof(*io)->reason] = "";
    const struct mr_io_body *body = &mr_io_body_epoll;
    int err = MR_OK;

    *io = NULL;
    limits = limits ? limits : &standard;
    MR_ASSERT(limits->operations >= 1 && limits->operations <= 65536);
    MR_ASSERT(limits->recv_buffers >= 1 && limits->recv_buffers <= 32768);
    MR_ASSERT((limits->recv_buffers & (limits->recv_buffers - 1)) == 0);
    MR_ASSERT(limits->recv_buffer_bytes >= 1 && limits->recv_buffer_bytes <= 1u << 30);
    if (choose(&choice) != MR_OK)
        return MR_E_USAGE;
    if (choice == MR_IO_EPOLL)
        snprintf(reason, sizeof reason, "epoll was asked for");
    else if (mr_io_uring_refusal(reason, sizeof reason) == 0)
        body = &mr_io_body_uring;
    else if (choice == MR_IO_URING)
        return MR_E_IO_URING;

    *io = create_with(body, limits, &err);
    if (*io)
        memcpy((*io)->reason, reason, sizeof reason);
    return err;
}

void mr_io_init(struct mr_io *io, const struct mr_io_body *body, const struct mr_io_limits *limits,
                int event_fd)
{
    io->body = body;
    io->limits = *limits;
    io->event_fd = event_fd;
    list_init(&io->queue);
    list_init(&io->ready);
    list_init(&io->deferred);
    atomic_init(&io->signal, AWAKE);
}

void mr_io_destroy(struct mr_io *io)
{
    if (!io)
        return;
    MR_ASSERT(io->pending == 0);
    int event_fd = io->event_fd;
    io->body->destroy(io);
    close(event_fd);
}

const char *mr_io_body(const struct mr_io *io)
{
    return io->body->name;
}

const char *mr_io_body_reason(const struct mr_io *io)
{
    return io->reason;
}

const struct mr_io_counters *mr_io_counters(const struct mr_io *io)
{
    return &io->counters;
}

uint32_t mr_io_pending(const struct mr_io *io)
{
    return io->pending;
}

/* One pass over what is in `list` now; what callbacks add waits for the next turn. */
static void call_all(struct mr_io *io, struct mr_io_link *list)
{
    struct mr_io_link now;
    struct mr_io_op *op;

    list_move(&now, list);
    while ((op = list_take(&now)))
        op_done(io, op, op->result);
}

uint32_t mr_io_turn(struct mr_io *io, uint64_t wait_ns)
{
    uint64_t before = io->counters.completions, flushed;

    io->counters.turns++;
    if (atomic_load_explicit(&io->signal, memory_order_relaxed) == SIGNALLED) {
        io_awake(io);
        wait_ns = 0;
    }
    call_all(io, &io->deferred);
    flushed = io->counters.completions;
    call_all(io, &io->ready);
    /* Flushing is no news to the caller, so the turn may still wait; an operation's end is. */
    if (io->counters.completions != flushed || !list_empty(&io->ready) ||
        !list_empty(&io->deferred))
        wait_ns = 0;
    io->body->turn(io, wait_ns);
    return (uint32_t)(io->counters.completions - before);
}

void mr_io_wake(struct mr_io *io)
{
    uint64_t one = 1;

    if (atomic_exchange(&io->signal, SIGNALLED) == SLEEPING) {
        ssize_t written = write(io->event_fd, &one, sizeof one);
        MR_ASSERT(written == sizeof one);
    }
}

static void start(struct mr_io *io, struct mr_io_op *op, enum verb verb, int fd)
{
    MR_ASSERT(op->stage == STAGE_IDLE && op->done);
    op->verb = verb;
    op->fd = fd;
    op->moved = 0;
    op->flags = 0;
    op->result = 0;
    io->pending++;
    if (MR_UNLIKELY(io->pending > io->limits.operations))
        op_ready(io, op, -ENOBUFS);
    else
        op_queue(io, op);
}

static void start_transfer(struct mr_io *io, struct mr_io_op *op, enum verb verb, int fd,
                           void *buffer, uint32_t bytes, int64_t offset)
{
    MR_ASSERT(bytes >= 1 && bytes <= 1u << 30 && offset >= -1);
    op->buffer = buffer;
    op->bytes = bytes;
    op->offset = offset;
    op->write_flags = 0;
    start(io, op, verb, fd);
}

void mr_io_read(struct mr_io *io, struct mr_io_op *op, int fd, void *buffer, uint32_t bytes,
                int64_t offset)
{
    start_transfer(io, op, VERB_READ, fd, buffer, bytes, offset);
}

void mr_io_write(struct mr_io *io, struct mr_io_op *op, int fd, const void *data, uint32_t bytes,
                 int64_t offset, uint8_t flags)
{
    start_transfer(io, op, VERB_WRITE, fd, (void *)(uintptr_t)data, bytes, offset);
    op->write_flags = flags;
}

void mr_io_send(struct mr_io *io, struct mr_io_op *op, int fd, const void *data, uint32_t bytes)
{
    start_transfer(io, op, VERB_SEND, fd, (void *)(uintptr_t)data, bytes, -1);
}

void mr_io_fdatasync(struct mr_io *io, struct mr_io_op *op, int fd)
{
    start(io, op, VERB_FDATASYNC, fd);
}

void mr_io_poll(struct mr_io *io, struct mr_io_op *op, int fd, uint32_t events)
{
    op->events = events;
    start(io, op, VERB_POLL, fd);
}

void mr_io_connect(struct mr_io *io, struct mr_io_op *op, int fd, const struct sockaddr *address,
                   socklen_t bytes)
{
    op->buffer = (void *)(uintptr_t)address;
    op->bytes = bytes;
    start(io, op, VERB_CONNECT, fd);
}

void mr_io_accept(struct mr_io *io, struct mr_io_accept *accept, int fd)
{
    start(io, &accept->op, VERB_ACCEPT, fd);
}

void mr_io_recv_start(struct mr_io *io, struct mr_io_recv *recv, int fd)
{
    recv->held_first = recv->held_last = -1;
    start(io, &recv->op, VERB_RECV, fd);
}

void mr_io_recv_pause(struct mr_io *io, struct mr_io_recv *recv)
{
    MR_ASSERT(recv->op.stage != STAGE_IDLE);
    if (recv->op.stage == STAGE_READY || recv->op.flags & (OP_PAUSED | OP_CANCELLED))
        return;
    recv->op.flags |= OP_PAUSED;
    io->body->pause(io, recv);
}

void mr_io_recv_resume(struct mr_io *io, struct mr_io_recv *recv)
{
    MR_ASSERT(recv->op.stage != STAGE_IDLE);
    if (!(recv->op.flags & OP_PAUSED) || recv->op.flags & OP_CANCELLED)
        return;
    recv->op.flags &= (uint8_t)~OP_PAUSED;
    io->body->resume(io, recv);
}

void mr_io_cancel(struct mr_io *io, struct mr_io_op *op)
{
    MR_ASSERT(op->stage != STAGE_IDLE);
    if (op->stage == STAGE_READY || op->flags & OP_CANCELLED)
        return;
    op->flags |= OP_CANCELLED;
    if (op->verb != VERB_DEFER) {
        io->body->cancel(io, op);
        return;
    }
    list_drop(&op->link);
    op_ready(io, op, -ECANCELED);
}

void mr_io_defer(struct mr_io *io, struct mr_io_op *op)
{
    start(io, op, VERB_DEFER, -1);
    if (op->stage != STAGE_QUEUED)
        return;
    list_drop(&op->link);
    list_put(&io->deferred, &op->link);
}
