#include "core/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "core/io_body.h"

static int set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0 ? 0 : -errno;
}

/* Three probes, a third of the idle time apart: a dead peer is known after twice the idle time. */
static int set_keepalive(int fd, uint32_t idle_s)
{
    int result = set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);

    if (result == 0)
        result = set(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)idle_s);
    if (result == 0)
        result = set(fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)MR_MAX(idle_s / 3, 1u));
    if (result == 0)
        result = set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    return result;
}

int mr_io_tcp_adopt(struct mr_io *io, int fd, const struct mr_io_tcp *tcp)
{
    int result = set(fd, IPPROTO_TCP, TCP_NODELAY, 1);

    (void)io;
    if (result == 0 && tcp->recv_bytes)
        result = set(fd, SOL_SOCKET, SO_RCVBUF, (int)tcp->recv_bytes);
    if (result == 0 && tcp->send_bytes)
        result = set(fd, SOL_SOCKET, SO_SNDBUF, (int)tcp->send_bytes);
    if (result == 0 && tcp->keepalive_s)
        result = set_keepalive(fd, tcp->keepalive_s);
    return result;
}

int mr_io_tcp_open(struct mr_io *io, int family, const struct mr_io_tcp *tcp)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    int result;

    if (fd < 0)
        return -errno;
    result = mr_io_tcp_adopt(io, fd, tcp);
    if (result == 0)
        return fd;
    close(fd);
    return result;
}

static int bind_and_listen(int fd, const struct sockaddr *address, socklen_t bytes, int backlog,
                           uint16_t *port)
{
    struct sockaddr_storage got;
    socklen_t got_bytes = sizeof got;
    int result = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);

    if (result != 0)
        return result;
    if (bind(fd, address, bytes) != 0 || listen(fd, backlog) != 0 ||
        getsockname(fd, (struct sockaddr *)&got, &got_bytes) != 0)
        return -errno;
    if (got.ss_family == AF_INET6)
        *port = ntohs(((struct sockaddr_in6 *)&got)->sin6_port);
    else
        *port = ntohs(((struct sockaddr_in *)&got)->sin_port);
    return 0;
}

int mr_io_tcp_listen(struct mr_io *io, const struct sockaddr *address, socklen_t bytes, int backlog,
                     uint16_t *port)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    int result;

    (void)io;
    if (fd < 0)
        return -errno;
    result = bind_and_listen(fd, address, bytes, backlog, port);
    if (result == 0)
        return fd;
    close(fd);
    return result;
}

int mr_io_tcp_end(struct mr_io *io, int fd)
{
    (void)io;
    return shutdown(fd, SHUT_WR) == 0 ? 0 : -errno;
}

void mr_io_close(struct mr_io *io, int fd)
{
    io->body->closing(io, fd);
    close(fd);
}
