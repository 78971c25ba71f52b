/* A tiny HTTP server over loopback on a thread of its own: answers come from a list, the last one
 * again and again; what was asked is kept. */
#ifndef MR_TESTS_KEEPER_HTTP_KIT_H
#define MR_TESTS_KEEPER_HTTP_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base.h"

#define ASKED_MAX 64

struct http_answer {
    int status; /* 0: hang up without a word */
    const char *body;
};

struct http {
    int fd;
    uint16_t port;
    pthread_t thread;
    const struct http_answer *answers;
    uint32_t answer_count;
    char asked[ASKED_MAX][4096];
    atomic_uint asked_count;
    atomic_bool stop;
};

static void http_talk(struct http *http, int fd)
{
    char request[4096], head[256];
    size_t bytes = 0, wanted = SIZE_MAX;
    uint32_t n = atomic_load(&http->asked_count);

    while (bytes < wanted && bytes < sizeof request - 1) {
        ssize_t got = read(fd, request + bytes, sizeof request - 1 - bytes);
        if (got <= 0)
            return;
        bytes += (size_t)got;
        request[bytes] = '\0';
        char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "Content-Length:");
        if (end)
            wanted = (size_t)(end + 4 - request) + (length ? strtoul(length + 15, NULL, 10) : 0);
    }
    memcpy(http->asked[n % ASKED_MAX], request, bytes + 1);
    atomic_store(&http->asked_count, n + 1);
    const struct http_answer *answer = &http->answers[MR_MIN(n, http->answer_count - 1)];
    if (answer->status == 0)
        return;
    int head_bytes = snprintf(head, sizeof head,
                              "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
                              "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                              answer->status, strlen(answer->body));
    if (write(fd, head, (size_t)head_bytes) > 0 && answer->body[0] &&
        write(fd, answer->body, strlen(answer->body)) < 0)
        return;
    shutdown(fd, SHUT_WR);
}

static void *http_run(void *self)
{
    struct http *http = self;

    while (!atomic_load(&http->stop)) {
        struct pollfd ready = {.fd = http->fd, .events = POLLIN};
        if (poll(&ready, 1, 10) <= 0)
            continue;
        int fd = accept(http->fd, NULL, NULL);
        if (fd < 0)
            continue;
        http_talk(http, fd);
        close(fd);
    }
    return NULL;
}

static void http_open(struct http *http, const struct http_answer *answers, uint32_t count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;

    memset(http, 0, sizeof *http);
    http->answers = answers;
    http->answer_count = count;
    http->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(http->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(http->fd, 8), 0);
    assert_int_equal(getsockname(http->fd, (struct sockaddr *)&address, &bytes), 0);
    http->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&http->thread, NULL, http_run, http), 0);
}

static void http_close(struct http *http)
{
    atomic_store(&http->stop, true);
    pthread_join(http->thread, NULL);
    close(http->fd);
}

#endif
