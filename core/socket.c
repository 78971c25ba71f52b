#include "core/socket.h"

#include <errno.h>

#define BACKLOG 1024

static const struct mr_io_tcp tcp_default = {.keepalive_s = 30};

static void flush_soon(struct mr_socket *s)
{
    if (s->flush_due)
        return;
    s->flush_due = true;
    mr_io_defer(s->io, &s->flush);
}

/* Each operation's end comes by here; the last one closes. */
static void finish_closing(struct mr_socket *s)
{
    if (s->connecting || s->receiving || s->sending || s->flush_due)
        return;
    mr_io_close(s->io, s->fd);
    s->fd = -1;
    s->calls->closed(s, s->error);
}

void mr_socket_close(struct mr_socket *s, int error)
{
    if (s->closing)
        return;
    s->closing = true;
    s->error = error;
    if (s->connecting)
        mr_io_cancel(s->io, &s->connect);
    if (s->receiving)
        mr_io_cancel(s->io, &s->recv.op);
    if (s->sending)
        mr_io_cancel(s->io, &s->send);
    flush_soon(s); /* so that `closed` comes from a turn even when nothing was in flight */
}

/* ---- Receiving ---- */

static void got(struct mr_io_recv *recv, struct mr_span bytes)
{
    struct mr_socket *s = MR_CONTAINER(recv, struct mr_socket, recv);
    s->calls->bytes(s, bytes);
}

static void recv_done(struct mr_io_op *op, int32_t result)
{
    struct mr_socket *s = MR_CONTAINER(op, struct mr_socket, recv.op);

    s->receiving = false;
    if (s->closing)
        finish_closing(s);
    else if (result == 0 && s->calls->ended)
        s->calls->ended(s);
    else
        mr_socket_close(s, result);
}

static void begin(struct mr_socket *s)
{
    s->open = true;
    s->receiving = true;
    mr_io_recv_start(s->io, &s->recv, s->fd);
    if (s->paused)
        mr_io_recv_pause(s->io, &s->recv);
    if (s->filled > 0 || s->end_wanted)
        flush_soon(s);
    if (s->calls->opened)
        s->calls->opened(s);
}

void mr_socket_pause(struct mr_socket *s)
{
    s->paused = true;
    if (s->receiving)
        mr_io_recv_pause(s->io, &s->recv);
}

void mr_socket_resume(struct mr_socket *s)
{
    s->paused = false;
    if (s->receiving)
        mr_io_recv_resume(s->io, &s->recv);
}

/* ---- Sending ---- */

static void send_half(struct mr_socket *s)
{
    s->sending = true;
    mr_io_send(s->io, &s->send, s->fd, s->halves[s->filling], s->filled);
    s->filling ^= 1;
    s->filled = 0;
}

static void end_sending(struct mr_socket *s)
{
    int result = mr_io_tcp_end(s->io, s->fd);

    s->end_told = true;
    if (result != 0)
        mr_socket_close(s, result);
}

static void flushed(struct mr_io_op *op, int32_t result)
{
    struct mr_socket *s = MR_CONTAINER(op, struct mr_socket, flush);

    s->flush_due = false;
    if (s->closing)
        finish_closing(s);
    else if (result < 0)
        mr_socket_close(s, result);
    else if (!s->open)
        begin(s); /* adopted */
    else if (!s->sending && s->filled > 0)
        send_half(s);
    else if (!s->sending && s->end_wanted && !s->end_told)
        end_sending(s);
}

static void send_done(struct mr_io_op *op, int32_t result)
{
    struct mr_socket *s = MR_CONTAINER(op, struct mr_socket, send);

    s->sending = false;
    if (s->closing) {
        finish_closing(s);
        return;
    }
    if (result < 0) {
        mr_socket_close(s, result);
        return;
    }
    if (s->filled > 0 || s->end_wanted)
        flush_soon(s);
    if (s->calls->room)
        s->calls->room(s);
}

uint8_t *mr_socket_room(struct mr_socket *s, size_t *bytes)
{
    *bytes = s->half_bytes - s->filled;
    return s->halves[s->filling] + s->filled;
}

void mr_socket_commit(struct mr_socket *s, size_t bytes)
{
    MR_ASSERT(bytes <= s->half_bytes - s->filled && !s->end_wanted);
    if (s->closing || bytes == 0)
        return;
    s->filled += (uint32_t)bytes;
    /* While a send is under way its end asks for the next one. */
    if (s->open && !s->sending)
        flush_soon(s);
}

size_t mr_socket_unsent(const struct mr_socket *s)
{
    return s->filled + (s->sending ? s->send.bytes - s->send.moved : 0);
}

void mr_socket_end(struct mr_socket *s)
{
    if (s->end_wanted || s->closing)
        return;
    s->end_wanted = true;
    if (s->open && !s->sending)
        flush_soon(s);
}

/* ---- Beginnings ---- */

static void connect_done(struct mr_io_op *op, int32_t result)
{
    struct mr_socket *s = MR_CONTAINER(op, struct mr_socket, connect);

    s->connecting = false;
    if (s->closing)
        finish_closing(s);
    else if (result < 0)
        mr_socket_close(s, result);
    else
        begin(s);
}

void mr_socket_init(struct mr_socket *s, struct mr_io *io, const struct mr_socket_calls *calls,
                    uint8_t *buffer, size_t bytes)
{
    MR_ASSERT(bytes >= 2 && bytes % 2 == 0 && bytes <= 1u << 30);
    memset(s, 0, sizeof *s);
    s->io = io;
    s->calls = calls;
    s->half_bytes = (uint32_t)(bytes / 2);
    s->halves[0] = buffer;
    s->halves[1] = buffer + s->half_bytes;
    s->fd = -1;
    s->recv.got = got;
    s->recv.op.done = recv_done;
    s->connect.done = connect_done;
    s->send.done = send_done;
    s->flush.done = flushed;
}

int mr_socket_connect(struct mr_socket *s, const struct mr_address *address,
                      const struct mr_io_tcp *tcp)
{
    int fd = mr_io_tcp_open(s->io, address->storage.ss_family, tcp ? tcp : &tcp_default);

    if (fd < 0)
        return fd;
    s->fd = fd;
    s->address = *address;
    s->connecting = true;
    mr_io_connect(s->io, &s->connect, fd, (const struct sockaddr *)&s->address.storage,
                  s->address.bytes);
    return 0;
}

int mr_socket_adopt(struct mr_socket *s, int fd, const struct mr_io_tcp *tcp)
{
    int result = mr_io_tcp_adopt(s->io, fd, tcp ? tcp : &tcp_default);

    if (result != 0) {
        mr_io_close(s->io, fd);
        return result;
    }
    s->fd = fd;
    flush_soon(s);
    return 0;
}

/* ---- The listener ---- */

static void listener_accepted(struct mr_io_accept *accept, int fd)
{
    struct mr_listener *l = MR_CONTAINER(accept, struct mr_listener, accept);
    l->accepted(l, fd);
}

static void listener_done(struct mr_io_op *op, int32_t result)
{
    struct mr_listener *l = MR_CONTAINER(op, struct mr_listener, accept.op);

    l->accepting = false;
    if (!l->closing) {
        l->failed(l, result);
        return;
    }
    mr_io_close(l->io, l->fd);
    l->fd = -1;
    if (l->closed)
        l->closed(l);
}

void mr_listener_resume(struct mr_listener *l)
{
    if (l->accepting || l->closing)
        return;
    l->accepting = true;
    mr_io_accept(l->io, &l->accept, l->fd);
}

int mr_listener_open(struct mr_listener *l, struct mr_io *io, const struct mr_address *address)
{
    MR_ASSERT(l->accepted && l->failed);
    l->io = io;
    l->accepting = l->closing = false;
    memset(&l->accept, 0, sizeof l->accept);
    l->accept.accepted = listener_accepted;
    l->accept.op.done = listener_done;
    l->fd = mr_io_tcp_listen(io, (const struct sockaddr *)&address->storage, address->bytes,
                             BACKLOG, &l->port);
    if (l->fd < 0)
        return l->fd;
    mr_listener_resume(l);
    return 0;
}

void mr_listener_close(struct mr_listener *l)
{
    if (l->closing)
        return;
    l->closing = true;
    if (l->accepting) {
        mr_io_cancel(l->io, &l->accept.op);
        return;
    }
    /* Accepting had failed: a deferred end keeps the law that `closed` comes from a turn. */
    l->accepting = true;
    mr_io_defer(l->io, &l->accept.op);
}
