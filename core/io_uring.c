#include "core/io_body.h"

#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SUBMISSIONS_MAX 256  /* handed over in one turn; the rest waits in the queue */
#define GROUP           0    /* the one group of provided buffers */
#define NONE            (-1) /* end of a chain of held buffers */

/* user_data of requests that are no operation's; all others carry the operation's address. */
enum { TAG_CANCEL, TAG_WAKE };

#define SETUP_FLAGS                                                                                \
    (IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |           \
     IORING_SETUP_TASKRUN_FLAG)

struct uring {
    struct mr_io io;
    struct io_uring ring;
    bool adopted;          /* the owner's thread has enabled the ring */
    bool wake_armed;       /* a read of the eventfd is in the ring */
    uint64_t wake_count;   /* where that read goes */
    uint32_t free_buffers; /* not in a held chain and not in an unseen completion */
    size_t group_bytes;
    struct io_uring_buf_ring *group;
    uint8_t *buffers; /* recv_buffers of them, and one more: the scratch buffer of starved ones */
    int32_t *held_next;
    uint32_t *held_bytes;
    struct mr_io_link resumed;  /* receives whose held bytes are to be given */
    struct mr_io_link recalled; /* a cancel was submitted, the end has not come back */
    bool recall_again;
};

static struct uring *uring_of(struct mr_io *io)
{
    return MR_CONTAINER(io, struct uring, io);
}

/* ---- Receive buffers ---- */

static uint8_t *buffer_at(struct uring *u, uint32_t index)
{
    return u->buffers + (size_t)index * u->io.limits.recv_buffer_bytes;
}

static void buffer_return(struct uring *u, int32_t index)
{
    io_uring_buf_ring_add(u->group, buffer_at(u, (uint32_t)index), u->io.limits.recv_buffer_bytes,
                          (unsigned short)index, (int)u->io.limits.recv_buffers - 1, 0);
    io_uring_buf_ring_advance(u->group, 1);
    u->free_buffers++;
}

static void hold(struct uring *u, struct mr_io_recv *recv, int32_t index, uint32_t bytes)
{
    u->held_next[index] = NONE;
    u->held_bytes[index] = bytes;
    if (recv->held_first == NONE)
        recv->held_first = index;
    else
        u->held_next[recv->held_last] = index;
    recv->held_last = index;
}

static int32_t unhold(struct uring *u, struct mr_io_recv *recv)
{
    int32_t index = recv->held_first;
    recv->held_first = u->held_next[index];
    return index;
}

static void give(struct uring *u, struct mr_io_recv *recv, int32_t index, uint32_t bytes)
{
    u->io.counters.completions++;
    recv->got(recv, mr_span_of(buffer_at(u, (uint32_t)index), bytes));
    buffer_return(u, index);
}

/* ---- From the queue into the submission ring ---- */

static void prepare_write(struct io_uring_sqe *sqe, const struct mr_io_op *op, uint64_t offset)
{
    io_uring_prep_write(sqe, op->fd, (uint8_t *)op->buffer + op->moved, op->bytes - op->moved,
                        offset);
    if (op->write_flags & MR_IO_DSYNC)
        sqe->rw_flags = RWF_DSYNC;
}

static void prepare(struct io_uring_sqe *sqe, const struct mr_io_op *op)
{
    uint64_t offset = op->offset < 0 ? UINT64_MAX : (uint64_t)op->offset + op->moved;

    switch (op->verb) {
    case VERB_READ:
        io_uring_prep_read(sqe, op->fd, (uint8_t *)op->buffer + op->moved, op->bytes - op->moved,
                           offset);
        break;
    case VERB_WRITE:
        prepare_write(sqe, op, offset);
        break;
    case VERB_FDATASYNC:
        io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
        break;
    case VERB_POLL:
        io_uring_prep_poll_add(sqe, op->fd, op->events);
        break;
    case VERB_CONNECT:
        io_uring_prep_connect(sqe, op->fd, op->buffer, (socklen_t)op->bytes);
        break;
    case VERB_SEND:
        /* With MSG_WAITALL the kernel itself goes on after a part. */
        io_uring_prep_send(sqe, op->fd, (uint8_t *)op->buffer + op->moved, op->bytes - op->moved,
                           MSG_WAITALL | MSG_NOSIGNAL);
        break;
    case VERB_ACCEPT:
        io_uring_prep_multishot_accept(sqe, op->fd, NULL, NULL, SOCK_CLOEXEC);
        break;
    default:
        io_uring_prep_recv_multishot(sqe, op->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = GROUP;
    }
}

static uint32_t readiness(const struct mr_io_op *op)
{
    bool reads = op->verb == VERB_READ || op->verb == VERB_RECV || op->verb == VERB_ACCEPT;
    return reads ? POLLIN : POLLOUT;
}

static void submit_one(struct uring *u, struct io_uring_sqe *sqe, struct mr_io_op *op)
{
    if (op->stage != STAGE_QUEUED) {
        io_uring_prep_cancel64(sqe, (uintptr_t)op, 0);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        sqe->user_data = TAG_CANCEL;
        list_put(&u->recalled, &op->link);
        return;
    }
    if (op->flags & OP_POLL_FIRST) {
        io_uring_prep_poll_add(sqe, op->fd, readiness(op));
        op->stage = STAGE_POLLING;
    } else {
        prepare(sqe, op);
        op->stage = STAGE_KERNEL;
    }
    op->flags &= (uint8_t)~OP_POLL_FIRST;
    sqe->user_data = (uintptr_t)op;
}

static void fill(struct uring *u)
{
    struct io_uring_sqe *sqe;

    if (!u->wake_armed && (sqe = io_uring_get_sqe(&u->ring))) {
        io_uring_prep_read(sqe, u->io.event_fd, &u->wake_count, sizeof u->wake_count, 0);
        sqe->user_data = TAG_WAKE;
        u->wake_armed = true;
    }
    while (!list_empty(&u->io.queue) && (sqe = io_uring_get_sqe(&u->ring)))
        submit_one(u, sqe, list_take(&u->io.queue));
}

static void try_again(struct uring *u, struct mr_io_op *op, bool poll_first)
{
    op->flags |= poll_first ? OP_POLL_FIRST : 0;
    op_queue(&u->io, op);
}

/* ---- Completions ---- */

/* Once the end of a receive is known it is told, unless bytes before it are still held. */
static void recv_over(struct uring *u, struct mr_io_recv *recv, int32_t result)
{
    struct mr_io_op *op = &recv->op;

    op->result = result;
    op->flags |= OP_ENDED;
    if (op->flags & OP_PAUSED || recv->held_first != NONE)
        op->stage = STAGE_PARKED;
    else
        op_done(&u->io, op, result);
}

/* Without a free provided buffer (paused receives hold them all), or on a non-blocking socket, a
 * receive waits for readiness and then takes what is there through the scratch buffer. That keeps
 * everyone served whatever one owner does. */
static void recv_by_hand(struct uring *u, struct mr_io_recv *recv_op)
{
    struct mr_io_op *op = &recv_op->op;
    uint32_t capacity = u->io.limits.recv_buffer_bytes;
    uint8_t *scratch = buffer_at(u, u->io.limits.recv_buffers);
    ssize_t n;

    if (op->flags & OP_PAUSED || recv_op->held_first != NONE) {
        op->stage = STAGE_PARKED;
        return;
    }
    n = recv(op->fd, scratch, capacity, MSG_DONTWAIT);
    u->io.counters.system_calls++;
    if (n > 0) {
        op->stage = STAGE_RUNNING;
        u->io.counters.completions++;
        recv_op->got(recv_op, mr_span_of(scratch, (size_t)n));
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
        recv_over(u, recv_op, n == 0 ? 0 : -errno);
        return;
    }
    if (op->flags & OP_CANCELLED)
        op_done(&u->io, op, -ECANCELED);
    else if (op->flags & OP_PAUSED)
        op->stage = STAGE_PARKED;
    else
        try_again(u, op, u->free_buffers == 0);
}

static void recv_bytes(struct uring *u, struct mr_io_recv *recv, int32_t index, uint32_t bytes)
{
    u->free_buffers--;
    if (recv->op.flags & OP_CANCELLED)
        buffer_return(u, index);
    else if (recv->op.flags & OP_PAUSED || recv->held_first != NONE)
        hold(u, recv, index, bytes);
    else
        give(u, recv, index, bytes);
}

/* A receive has left the kernel: by its end, by our cancel, or for want of buffers. */
static void recv_left(struct uring *u, struct mr_io_recv *recv, int32_t result)
{
    struct mr_io_op *op = &recv->op;
    bool resumed = recv->held_first != NONE && !(op->flags & OP_PAUSED);

    if (!resumed) /* else it stays in the list of those whose held bytes are to be given */
        list_drop(&op->link);
    if (op->flags & OP_CANCELLED) {
        op_done(&u->io, op, result == 0 ? 0 : -ECANCELED);
        return;
    }
    if (result == -ENOBUFS)
        u->io.counters.starved++;
    if (result == 0 || (result < 0 && result != -ENOBUFS && result != -ECANCELED &&
                        result != -EINTR && result != -EAGAIN))
        recv_over(u, recv, result);
    else if (op->flags & OP_PAUSED || recv->held_first != NONE)
        op->stage = STAGE_PARKED;
    else
        try_again(u, op, result == -EAGAIN || (result == -ENOBUFS && u->free_buffers == 0));
}

static void recv_completed(struct uring *u, struct mr_io_recv *recv, int32_t result, uint32_t flags)
{
    if (recv->op.stage == STAGE_POLLING) {
        list_drop(&recv->op.link);
        if (recv->op.flags & OP_CANCELLED)
            op_done(&u->io, &recv->op, -ECANCELED);
        else
            recv_by_hand(u, recv);
        return;
    }
    if (flags & IORING_CQE_F_BUFFER) {
        int32_t index = (int32_t)(flags >> IORING_CQE_BUFFER_SHIFT);
        if (result > 0)
            recv_bytes(u, recv, index, (uint32_t)result);
        else {
            u->free_buffers--;
            buffer_return(u, index);
        }
    }
    if (!(flags & IORING_CQE_F_MORE))
        recv_left(u, recv, result);
}

static void accept_completed(struct uring *u, struct mr_io_accept *accept, int32_t result,
                             uint32_t flags)
{
    struct mr_io_op *op = &accept->op;
    bool more = flags & IORING_CQE_F_MORE, polled = op->stage == STAGE_POLLING;

    if (result >= 0 && !polled && op->flags & OP_CANCELLED) {
        close(result);
        u->io.counters.system_calls++;
    } else if (result >= 0 && !polled) {
        u->io.counters.completions++;
        accept->accepted(accept, result);
    }
    if (more)
        return;
    list_drop(&op->link);
    if (op->flags & OP_CANCELLED)
        op_done(&u->io, op, -ECANCELED);
    else if (result >= 0 || result == -EINTR || result == -EAGAIN || result == -ECONNABORTED ||
             result == -EPROTO || result == -ECANCELED)
        try_again(u, op, result == -EAGAIN);
    else
        op_done(&u->io, op, result);
}

/* Whether a transfer goes on after having moved some bytes. */
static bool unfinished(const struct mr_io_op *op)
{
    bool one_read = op->verb == VERB_READ && op->offset < 0;
    return op->moved < op->bytes && !one_read;
}

static void transfer_completed(struct uring *u, struct mr_io_op *op, int32_t result)
{
    op->moved += (uint32_t)result;
    if (result > 0 && unfinished(op)) {
        if (op->flags & OP_CANCELLED)
            op_done(&u->io, op, -ECANCELED);
        else
            try_again(u, op, false);
        return;
    }
    /* A write that moves nothing and names no error would otherwise pass for success. */
    if (op->verb != VERB_READ && op->moved < op->bytes)
        op_done(&u->io, op, -EIO);
    else
        op_done(&u->io, op, (int32_t)op->moved);
}

static void op_completed(struct uring *u, struct mr_io_op *op, int32_t result)
{
    bool transfer = op->verb == VERB_READ || op->verb == VERB_WRITE || op->verb == VERB_SEND;

    list_drop(&op->link);
    if (op->stage == STAGE_POLLING && result >= 0)
        result = -EINTR; /* readiness on its behalf: now the request itself */
    if (result == -EINTR || result == -EAGAIN || result == -ECANCELED) {
        /* A cancel that nobody asked for hit this operation instead of an earlier one in the same
         * struct; nothing is lost by trying again. */
        if (op->flags & OP_CANCELLED)
            op_done(&u->io, op, -ECANCELED);
        else
            try_again(u, op, result == -EAGAIN);
    } else if (result >= 0 && transfer) {
        transfer_completed(u, op, result);
    } else {
        op_done(&u->io, op, result);
    }
}

static void completed(struct uring *u, const struct io_uring_cqe *cqe)
{
    struct mr_io_op *op;

    if (cqe->user_data == TAG_CANCEL) {
        u->recall_again |= cqe->res == -ENOENT;
        return;
    }
    if (cqe->user_data == TAG_WAKE) {
        u->wake_armed = false;
        return;
    }
    op = (struct mr_io_op *)(uintptr_t)cqe->user_data;
    if (op->verb == VERB_RECV)
        recv_completed(u, recv_of(op), cqe->res, cqe->flags);
    else if (op->verb == VERB_ACCEPT)
        accept_completed(u, accept_of(op), cqe->res, cqe->flags);
    else
        op_completed(u, op, cqe->res);
}

/* A cancel that found nothing came after the end, whose completion we have then seen, or between
 * two steps of a multishot request, which stands in no table of the kernel at that moment. Such a
 * one is still in `recalled`, and is asked again. */
static void recall_again(struct uring *u)
{
    struct mr_io_op *op;

    u->recall_again = false;
    while ((op = list_take(&u->recalled)))
        list_put(&u->io.queue, &op->link);
}

static void reap(struct uring *u)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0;

    io_uring_for_each_cqe(&u->ring, head, cqe)
    {
        completed(u, cqe);
        seen++;
    }
    io_uring_cq_advance(&u->ring, seen);
    if (MR_UNLIKELY(u->recall_again))
        recall_again(u);
}

/* ---- The turn ---- */

static void give_held(struct uring *u, struct mr_io_recv *recv)
{
    struct mr_io_op *op = &recv->op;
    enum stage stage = op->stage;

    while (recv->held_first != NONE && !(op->flags & (OP_PAUSED | OP_CANCELLED))) {
        int32_t index = unhold(u, recv);
        give(u, recv, index, u->held_bytes[index]);
    }
    if (op->flags & (OP_PAUSED | OP_CANCELLED))
        return;
    list_drop(&op->link); /* paused and resumed by its own callback */
    if (stage != STAGE_PARKED)
        return;
    if (op->flags & OP_ENDED)
        op_done(&u->io, op, op->result);
    else
        try_again(u, op, false);
}

static void give_all_held(struct uring *u)
{
    struct mr_io_link now;
    struct mr_io_op *op;

    list_move(&now, &u->resumed);
    while ((op = list_take(&now)))
        give_held(u, recv_of(op));
}

/* SINGLE_ISSUER binds the ring to the thread that enables it, so that happens in the first turn. */
static void adopt(struct uring *u)
{
    int result = io_uring_register(u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);

    MR_ASSERT(result == 0);
    io_uring_register_ring_fd(&u->ring); /* saves a lookup a call; without it all works too */
    u->io.counters.system_calls += 2;
    u->adopted = true;
}

static void enter(struct uring *u, bool wait, uint64_t wait_ns)
{
    struct __kernel_timespec limit = {(int64_t)(wait_ns / 1000000000u),
                                      (long long)(wait_ns % 1000000000u)};
    struct io_uring_cqe *cqe;
    int result;

    u->io.counters.system_calls++;
    if (wait)
        result = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1,
                                                  wait_ns == UINT64_MAX ? NULL : &limit, NULL);
    else
        result = io_uring_submit_and_get_events(&u->ring);
    /* What was not taken over now stays in the ring for the next turn. */
    MR_ASSERT(result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN ||
              result == -EBUSY);
}

static void turn(struct mr_io *io, uint64_t wait_ns)
{
    struct uring *u = uring_of(io);
    uint64_t before = io->counters.completions;
    bool wait, wanted;

    if (MR_UNLIKELY(!u->adopted))
        adopt(u);
    give_all_held(u);
    fill(u);
    wait = wait_ns > 0 && io->counters.completions == before && list_empty(&io->queue) &&
           list_empty(&io->ready) && list_empty(&io->deferred) && list_empty(&u->resumed) &&
           io_uring_cq_ready(&u->ring) == 0 && io_sleep(io);
    wanted = IO_URING_READ_ONCE(*u->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
    if (wait || wanted || io_uring_sq_ready(&u->ring) > 0)
        enter(u, wait, wait_ns);
    if (wait)
        io_awake(io);
    reap(u);
}

/* ---- Cancel, pause, close ---- */

static void cancel(struct mr_io *io, struct mr_io_op *op)
{
    struct uring *u = uring_of(io);

    list_drop(&op->link);
    if (op->verb == VERB_RECV)
        while (recv_of(op)->held_first != NONE)
            buffer_return(u, unhold(u, recv_of(op)));
    if (op->stage == STAGE_KERNEL || op->stage == STAGE_POLLING)
        list_put(&io->queue, &op->link);
    else if (op->stage != STAGE_RUNNING)
        op_ready(io, op, op->flags & OP_ENDED ? op->result : -ECANCELED);
}

static void pause_recv(struct mr_io *io, struct mr_io_recv *recv)
{
    struct mr_io_op *op = &recv->op;

    list_drop(&op->link);
    if (op->stage == STAGE_KERNEL || op->stage == STAGE_POLLING)
        list_put(&io->queue, &op->link);
    else if (op->stage == STAGE_QUEUED)
        op->stage = STAGE_PARKED;
}

static void resume_recv(struct mr_io *io, struct mr_io_recv *recv)
{
    struct mr_io_op *op = &recv->op;

    if (op->stage == STAGE_RUNNING)
        return;
    list_drop(&op->link); /* a recall not yet submitted is taken back */
    if (op->stage == STAGE_PARKED || recv->held_first != NONE)
        list_put(&uring_of(io)->resumed, &op->link);
}

static void closing(struct mr_io *io, int fd)
{
    (void)io;
    (void)fd;
}

/* ---- Beginning and end ---- */

static void destroy(struct mr_io *io)
{
    struct uring *u = uring_of(io);

    if (u->ring.ring_fd >= 0)
        io_uring_queue_exit(&u->ring);
    if (u->group)
        munmap(u->group, u->group_bytes);
    if (u->buffers)
        munmap(u->buffers,
               (size_t)(u->io.limits.recv_buffers + 1) * u->io.limits.recv_buffer_bytes);
    free(u->held_next);
    free(u->held_bytes);
    free(u);
}

static void *take_pages(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

static int set_up_group(struct io_uring *ring, void *pages, uint32_t entries)
{
    struct io_uring_buf_reg group = {
        .ring_addr = (uintptr_t)pages, .ring_entries = entries, .bgid = GROUP};
    return io_uring_register_buf_ring(ring, &group, 0);
}

static bool take_memory(struct uring *u)
{
    const struct mr_io_limits *limits = &u->io.limits;

    u->group_bytes = mr_round_up(limits->recv_buffers * sizeof(struct io_uring_buf), 4096);
    u->group = take_pages(u->group_bytes);
    u->buffers = take_pages((size_t)(limits->recv_buffers + 1) * limits->recv_buffer_bytes);
    u->held_next = calloc(limits->recv_buffers, sizeof *u->held_next);
    u->held_bytes = calloc(limits->recv_buffers, sizeof *u->held_bytes);
    return u->group && u->buffers && u->held_next && u->held_bytes;
}

static bool set_up_ring(struct uring *u)
{
    uint32_t submissions = MR_MIN(u->io.limits.operations + 1, (uint32_t)SUBMISSIONS_MAX);
    struct io_uring_params params = {
        .flags = SETUP_FLAGS | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
        .cq_entries = (uint32_t)mr_pow2_at_least(2 * (u->io.limits.operations + submissions))};

    return io_uring_queue_init_params(submissions, &u->ring, &params) == 0;
}

static struct mr_io *create(const struct mr_io_limits *limits, int event_fd, int *err)
{
    struct uring *u = aligned_alloc(MR_FALSE_SHARING, mr_round_up(sizeof *u, MR_FALSE_SHARING));

    *err = MR_E_MEMORY;
    if (!u)
        return NULL;
    memset(u, 0, sizeof *u);
    mr_io_init(&u->io, &mr_io_body_uring, limits, event_fd);
    list_init(&u->resumed);
    list_init(&u->recalled);
    u->ring.ring_fd = -1;
    if (take_memory(u)) {
        *err = MR_E_IO_BODY;
        if (!set_up_ring(u))
            u->ring.ring_fd = -1;
        else if (set_up_group(&u->ring, u->group, limits->recv_buffers) == 0)
            *err = MR_OK;
    }
    if (*err != MR_OK) {
        destroy(&u->io);
        return NULL;
    }
    io_uring_buf_ring_init(u->group);
    for (uint32_t i = 0; i < limits->recv_buffers; i++)
        buffer_return(u, (int32_t)i);
    return &u->io;
}

const struct mr_io_body mr_io_body_uring = {
    .name = "io_uring",
    .create = create,
    .destroy = destroy,
    .turn = turn,
    .cancel = cancel,
    .pause = pause_recv,
    .resume = resume_recv,
    .closing = closing,
};

/* ---- Is it allowed here? ---- */

static char disabled_by_sysctl(void)
{
    char value = '0';
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");

    if (file && fread(&value, 1, 1, file) != 1)
        value = '0';
    if (file)
        fclose(file);
    return value;
}

static void explain(char *sentence, size_t bytes, const char *step, int error)
{
    if (error == EPERM && disabled_by_sysctl() != '0')
        snprintf(sentence, bytes, "io_uring is switched off: sysctl kernel.io_uring_disabled is %c",
                 disabled_by_sysctl());
    else if (error == EPERM || error == EACCES)
        snprintf(sentence, bytes,
                 "%s is not permitted: a seccomp filter or container profile refuses io_uring",
                 step);
    else if (error == ENOSYS)
        snprintf(sentence, bytes, "%s is unknown here: the kernel or its sandbox has no io_uring",
                 step);
    else if (error == EINVAL)
        snprintf(sentence, bytes, "%s is refused: Linux 6.1 or later is needed", step);
    else if (error == ENOMEM)
        snprintf(sentence, bytes, "%s gets no memory: raise the memlock limit", step);
    else
        snprintf(sentence, bytes, "%s fails: %s", step, strerror(error));
}

/* Each of the three system calls once, since a filter may let some of them pass. */
static int try_out(struct io_uring *ring, void *pages, const char **step)
{
    struct io_uring_cqe *cqe;
    struct io_uring_sqe *sqe;
    int result;

    *step = "registering a ring of provided buffers with io_uring";
    result = set_up_group(ring, pages, 1);
    if (result < 0)
        return result;
    *step = "io_uring_enter";
    sqe = io_uring_get_sqe(ring);
    io_uring_prep_nop(sqe);
    result = io_uring_submit_and_wait(ring, 1);
    if (result < 0)
        return result;
    result = io_uring_peek_cqe(ring, &cqe);
    return result < 0 ? result : cqe->res;
}

int mr_io_uring_refusal(char *sentence, size_t bytes)
{
    const char *step = "io_uring_setup";
    struct io_uring ring;
    void *pages = take_pages(4096);
    int result;

    if (bytes)
        *sentence = '\0';
    if (!pages)
        return -ENOMEM;
    result = io_uring_queue_init(4, &ring, SETUP_FLAGS);
    if (result == 0) {
        result = try_out(&ring, pages, &step);
        io_uring_queue_exit(&ring);
    }
    munmap(pages, 4096);
    if (result < 0)
        explain(sentence, bytes, step, -result);
    return result;
}
