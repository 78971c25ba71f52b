/* The I/O seam: everything a worker asks of descriptors, and the one place where it may sleep.
 *
 * A worker owns one `struct mr_io`. Starting an operation only writes it down; mr_io_turn hands all
 * that was written down to the kernel in one go, waits if told to, and calls back what has ended:
 *
 *     mr_io_send(io, &op, fd, data, bytes);   no system call, no callback
 *     mr_io_turn(io, wait_ns);                one submit-and-wait; op.done(&op, result) from here
 *
 * Two bodies stand behind it, chosen once at create: io_uring (Linux 6.1 and later) and epoll, for
 * hosts that refuse io_uring. A simulation links its own body under the same names.
 *
 * The laws, the same in every body:
 * - `done` is called exactly once per started operation, always from mr_io_turn. When it is called
 *   the operation is over and its struct may be started again, or freed.
 * - Callbacks may start, cancel, pause and close, but not call mr_io_turn.
 * - What is started in a callback reaches the kernel in the next turn.
 * - Buffers, addresses and the operation's struct stay put until `done`.
 * - Interrupted calls, spurious readiness, short writes and exhausted receive buffers are dealt
 *   with below; an owner never sees EINTR, EAGAIN or a part of a send.
 * - A descriptor is closed by mr_io_close only, when nothing is in flight on it.
 * - The process ignores SIGPIPE: writing to a pipe without reader then ends with -EPIPE. (Sends on
 *   sockets never raise it.)
 *
 * Where the bodies differ: on epoll, regular files are read, written and synced synchronously in
 * the turn that submits them, so a slow disk stalls that turn. Connecting and accepting put the
 * descriptor into non-blocking mode there. Nothing else is visible.
 *
 * Owns    all memory is taken by mr_io_create; nothing is allocated later. The only system calls
 *         outside mr_io_turn are those of the set-up and closing functions at the foot, and the
 *         eventfd write of mr_io_wake.
 * Thread  everything by one thread, the owner: the thread of the first mr_io_turn. Before that,
 *         the creating thread may already start operations. Only mr_io_wake is for any thread.
 * Source  flags and their kernels: io_uring_setup(2), "IORING_SETUP_DEFER_TASKRUN ... since 6.1".
 */
#ifndef MR_CORE_IO_H
#define MR_CORE_IO_H

#include <sys/socket.h>

#include "core/base.h"
#include "core/config.h"
#include "core/err.h"

struct mr_io;

/* For the bodies: a place in one of their lists. */
struct mr_io_link {
    struct mr_io_link *next, *prev;
};

/* One operation, embedded in its owner's struct; zeroed once before its first use. The owner sets
 * `done` before each start and reads `moved` in it; all else belongs to the body. */
struct mr_io_op {
    /* result: what the starting function says, >= 0, or -errno; -ECANCELED after mr_io_cancel. */
    void (*done)(struct mr_io_op *op, int32_t result);
    uint32_t moved; /* bytes read, written or sent so far, also when the operation failed */

    /* The body's own. */
    uint32_t bytes;
    struct mr_io_link link;
    void *buffer;
    int64_t offset;
    int32_t fd, result;
    uint32_t events;
    uint8_t verb, stage, flags, write_flags;
};

/* A standing receive: `got` many times, then op.done once. */
struct mr_io_recv {
    struct mr_io_op op;
    /* The bytes are valid during the call only; never empty. */
    void (*got)(struct mr_io_recv *recv, struct mr_span bytes);
    int32_t held_first, held_last; /* the body's own: buffers that arrived while paused */
};

/* A standing accept: `accepted` many times, then op.done once. */
struct mr_io_accept {
    struct mr_io_op op;
    void (*accepted)(struct mr_io_accept *accept, int fd); /* the descriptor is the owner's */
};

struct mr_io_limits {
    uint32_t operations;        /* in flight at once, in [1, 65536]; one more ends with -ENOBUFS */
    uint32_t recv_buffers;      /* a power of two in [1, 32768], shared by all receives */
    uint32_t recv_buffer_bytes; /* of each; the largest span that `got` sees */
};
/* 4,096 operations and 32 receive buffers of 16 KiB: together they stay in a level-2 cache. */
#define MR_IO_LIMITS_DEFAULT ((struct mr_io_limits){4096, 32, 16384})

/* Counted by the owner, for metrics in its chores: system calls per turn = system_calls / turns. */
struct mr_io_counters {
    uint64_t turns;
    uint64_t system_calls; /* made inside mr_io_turn */
    uint64_t waits;        /* turns that were ready to sleep and asked the kernel to */
    uint64_t completions;  /* calls of done, got and accepted */
    uint64_t wakes;        /* turns that found a wake-up */
    uint64_t starved;      /* receives that found no free receive buffer and went another way */
};

/* mr_io_create takes all memory and chooses the body: MR_IO_AUTO tries io_uring first, the other
 * choices insist. The environment variable MILLRACE_IO=io_uring|epoll stands in for MR_IO_AUTO.
 * `limits` NULL: MR_IO_LIMITS_DEFAULT.
 * Errors  MR_E_IO_URING: insisted on and refused (mr_io_uring_refusal says why); MR_E_IO_BODY: no
 *         epoll either; MR_E_MEMORY; MR_E_USAGE: MILLRACE_IO has another value. */
int mr_io_create(struct mr_io **io, enum mr_io_choice choice, const struct mr_io_limits *limits);

/* Nothing may be in flight (mr_io_pending is 0). Accepts NULL. */
void mr_io_destroy(struct mr_io *io);

/* "io_uring" or "epoll", and one sentence that says why not io_uring ("" when it is). */
const char *mr_io_body(const struct mr_io *io);
const char *mr_io_body_reason(const struct mr_io *io);

/* Tries io_uring out with a small ring of its own. Returns 0, or -errno and writes why into
 * sentence[bytes], with the smallest remedy. Start-up and audits only. */
int mr_io_uring_refusal(char *sentence, size_t bytes);

/* mr_io_turn submits all that was started, waits up to `wait_ns` for the first completion, and
 * calls back what has ended. wait_ns 0 polls only; UINT64_MAX waits for as long as it takes. It
 * does not wait when there is already something to call back or a wake-up is due.
 * Returns how many callbacks ran. */
uint32_t mr_io_turn(struct mr_io *io, uint64_t wait_ns);

/* mr_io_wake ends the owner's present wait or, if it is not waiting, keeps the next one from
 * waiting. What the caller wrote before mr_io_wake is visible to the owner after that turn: put
 * into a ring first, then wake, and no wake-up can be lost.
 * Thread  any, wait-free; one atomic exchange, plus an eventfd write only if the owner sleeps.
 * Order   one word with three values. The waker exchanges in SIGNALLED (release) and writes the
 *         eventfd if it took out SLEEPING. The owner goes AWAKE -> SLEEPING by compare and swap
 *         before it waits, which fails if it is SIGNALLED, and exchanges in AWAKE (acquire) after
 *         the wait or on finding SIGNALLED. All are read-modify-writes of one word, so for any
 *         waker either its exchange comes before the owner's, and the owner acquires what it wrote
 *         and looks at its rings afterwards, or it comes later, and the owner's next compare and
 *         swap fails. No fence is needed, hence none can be forgotten. */
void mr_io_wake(struct mr_io *io);

const struct mr_io_counters *mr_io_counters(const struct mr_io *io);
uint32_t mr_io_pending(const struct mr_io *io); /* operations started whose done is still to come */

/* ---- Operations. None makes a system call; each ends in op->done. ---- */

/* Reads up to `bytes` (in [1, 2^30]). With offset >= 0 it goes on until all are read or the file
 * ends, so a short result is the end of the file. With offset -1 (pipes, terminals, the file's own
 * position) it is one read: what there is, at least one byte; 0 at the end. */
void mr_io_read(struct mr_io *io, struct mr_io_op *op, int fd, void *buffer, uint32_t bytes,
                int64_t offset);

/* Writes all `bytes` or fails; op->moved tells how far it came. Offset as above; for O_APPEND files
 * use -1. MR_IO_DSYNC: the data (and the size) are durable when it ends. */
enum { MR_IO_DSYNC = 1 };
void mr_io_write(struct mr_io *io, struct mr_io_op *op, int fd, const void *data, uint32_t bytes,
                 int64_t offset, uint8_t flags);

void mr_io_fdatasync(struct mr_io *io, struct mr_io_op *op, int fd);

/* Ends once one of `events` (POLLIN, POLLOUT, ...) or an error is there; result: the poll bits. */
void mr_io_poll(struct mr_io *io, struct mr_io_op *op, int fd, uint32_t events);

/* The address stays until done; result 0. */
void mr_io_connect(struct mr_io *io, struct mr_io_op *op, int fd, const struct sockaddr *address,
                   socklen_t bytes);

/* Sends all `bytes` or fails. One send at a time per socket, or the bytes may interleave. */
void mr_io_send(struct mr_io *io, struct mr_io_op *op, int fd, const void *data, uint32_t bytes);

/* Takes connections until cancelled or failed (-EMFILE and the like: start it again later).
 * Connections that the peer gave up while queued are passed over. */
void mr_io_accept(struct mr_io *io, struct mr_io_accept *accept, int fd);

/* Receives until the peer ends (done with 0), failure, or mr_io_cancel. At most one standing
 * receive per socket. */
void mr_io_recv_start(struct mr_io *io, struct mr_io_recv *recv, int fd);

/* After pause no `got` until resume, not even for bytes already taken from the kernel: they are
 * kept in receive buffers, and others receive by a slower way if none is left. An end or error met
 * while paused is told after resume. Both may be called at any time between start and done. */
void mr_io_recv_pause(struct mr_io *io, struct mr_io_recv *recv);
void mr_io_recv_resume(struct mr_io *io, struct mr_io_recv *recv);

/* Asks for the end: `done` comes in a later turn with -ECANCELED, or with the result if that came
 * first; `got` and `accepted` come no more. A read or write of a regular file runs to its end. */
void mr_io_cancel(struct mr_io *io, struct mr_io_op *op);

/* `done` is called with 0 at the head of the next turn, before it submits: the place to gather what
 * a turn has produced into one send. It does not keep that turn from waiting. */
void mr_io_defer(struct mr_io *io, struct mr_io_op *op);

/* ---- Set-up and closing: plain system calls, for connections' beginnings and ends. ---- */

struct mr_io_tcp {
    uint32_t recv_bytes, send_bytes; /* SO_RCVBUF, SO_SNDBUF; 0: the kernel tunes them itself */
    uint32_t keepalive_s;            /* idle seconds before the first probe; 0: no keep-alive */
};

/* A TCP socket of that family with TCP_NODELAY and `tcp`; the descriptor or -errno. */
int mr_io_tcp_open(struct mr_io *io, int family, const struct mr_io_tcp *tcp);
/* The same settings for an accepted descriptor; 0 or -errno. */
int mr_io_tcp_adopt(struct mr_io *io, int fd, const struct mr_io_tcp *tcp);
/* A listening TCP socket; the descriptor or -errno. *port is the port it got (host order). */
int mr_io_tcp_listen(struct mr_io *io, const struct sockaddr *address, socklen_t bytes, int backlog,
                     uint16_t *port);
/* Tells the peer that no more bytes follow; receiving goes on. 0 or -errno. */
int mr_io_tcp_end(struct mr_io *io, int fd);
void mr_io_close(struct mr_io *io, int fd);

#endif
