/* Aim: byte streams arrive whole, in order and once, on both bodies, whatever the peer does. */
#include "tests/core/io_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>

#include "core/socket.h"

#define BUFFER_BYTES 24002u
#define PEERS_MAX    200u

/* One end of a connection; the same struct plays all parts. */
struct peer {
    struct mr_socket socket;
    uint8_t buffer[BUFFER_BYTES];
    uint8_t kept[16384]; /* what an echo could not send yet */
    uint32_t kept_bytes;
    uint64_t sent, to_send, received, next_in, next_out;
    uint32_t opened, ended, closed, misplaced;
    int error;
    bool echoes, pauses;
};

static struct peer clients[PEERS_MAX], servers[PEERS_MAX];
static uint32_t server_count;
static struct mr_listener listener;
static uint32_t listener_closed;
static bool non_blocking; /* what is accepted is put into that mode */

/* The byte at a position of every test stream: no period that a buffer size could divide. */
static uint8_t pattern(uint64_t at)
{
    return (uint8_t)((at * 0x9E3779B1u) >> 11 ^ at >> 17);
}

static void pump(struct peer *p)
{
    size_t room, chunk;
    uint8_t *to = mr_socket_room(&p->socket, &room);

    while (room > 0 && p->sent < p->to_send) {
        chunk = MR_MIN(MR_MIN(room, 1 + (size_t)(p->sent * 7919 % 9973)), p->to_send - p->sent);
        for (size_t i = 0; i < chunk; i++)
            to[i] = pattern(p->sent + i);
        p->sent += chunk;
        mr_socket_commit(&p->socket, chunk);
        to = mr_socket_room(&p->socket, &room);
    }
}

static void send_kept(struct peer *p)
{
    size_t room, chunk;
    uint8_t *to = mr_socket_room(&p->socket, &room);

    chunk = MR_MIN(room, (size_t)p->kept_bytes);
    memcpy(to, p->kept, chunk);
    memmove(p->kept, p->kept + chunk, p->kept_bytes - chunk);
    p->kept_bytes -= (uint32_t)chunk;
    mr_socket_commit(&p->socket, chunk);
    if (p->kept_bytes == 0)
        mr_socket_resume(&p->socket);
    if (p->kept_bytes == 0 && p->ended)
        mr_socket_end(&p->socket);
}

static void on_opened(struct mr_socket *s)
{
    struct peer *p = MR_CONTAINER(s, struct peer, socket);
    p->opened++;
    pump(p);
}

static void on_bytes(struct mr_socket *s, struct mr_span bytes)
{
    struct peer *p = MR_CONTAINER(s, struct peer, socket);

    for (size_t i = 0; i < bytes.bytes; i++)
        p->misplaced += bytes.data[i] != pattern(p->received + i);
    p->received += bytes.bytes;
    if (p->pauses)
        mr_socket_pause(s);
    if (!p->echoes)
        return;
    /* Paused while something is kept, so the bytes always fit. */
    assert_true(bytes.bytes <= sizeof p->kept && p->kept_bytes == 0);
    memcpy(p->kept, bytes.data, bytes.bytes);
    p->kept_bytes = (uint32_t)bytes.bytes;
    mr_socket_pause(s);
    send_kept(p);
}

static void on_room(struct mr_socket *s)
{
    struct peer *p = MR_CONTAINER(s, struct peer, socket);
    if (p->echoes)
        send_kept(p);
    else
        pump(p);
}

static void on_ended(struct mr_socket *s)
{
    struct peer *p = MR_CONTAINER(s, struct peer, socket);
    p->ended++;
    if (p->echoes && p->kept_bytes == 0)
        mr_socket_end(s);
}

static void on_closed(struct mr_socket *s, int error)
{
    struct peer *p = MR_CONTAINER(s, struct peer, socket);
    p->closed++;
    p->error = error;
}

static const struct mr_socket_calls calls = {on_opened, on_bytes, on_room, on_ended, on_closed};

static void on_accepted(struct mr_listener *l, int fd)
{
    struct peer *p = &servers[server_count++];
    (void)l;
    assert_true(server_count <= PEERS_MAX);
    p->echoes = true;
    if (non_blocking)
        assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    mr_socket_init(&p->socket, io, &calls, p->buffer, sizeof p->buffer);
    assert_int_equal(mr_socket_adopt(&p->socket, fd, NULL), 0);
}

static void on_failed(struct mr_listener *l, int error)
{
    (void)l;
    fail_msg("accepting failed: %d", error);
}

static void on_listener_closed(struct mr_listener *l)
{
    (void)l;
    listener_closed++;
}

static struct mr_address loopback(uint16_t port)
{
    struct mr_address address;
    uint32_t count;
    char text[32];

    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    assert_int_equal(mr_resolve(text, &address, 1, &count), MR_OK);
    assert_int_equal(count, 1);
    return address;
}

static void listen_on_loopback(void)
{
    struct mr_address any = loopback(0);

    memset(clients, 0, sizeof clients);
    memset(servers, 0, sizeof servers);
    server_count = listener_closed = 0;
    listener.accepted = on_accepted;
    listener.failed = on_failed;
    listener.closed = on_listener_closed;
    assert_int_equal(mr_listener_open(&listener, io, &any), 0);
    assert_true(listener.port > 0);
}

static struct peer *connect_client(uint32_t index, uint64_t to_send)
{
    struct mr_address address = loopback(listener.port);
    struct peer *p = &clients[index];

    p->to_send = to_send;
    mr_socket_init(&p->socket, io, &calls, p->buffer, sizeof p->buffer);
    assert_int_equal(mr_socket_connect(&p->socket, &address, NULL), 0);
    return p;
}

static void close_listener(void)
{
    mr_listener_close(&listener);
    TURN_UNTIL(listener_closed > 0);
    TURN_UNTIL(mr_io_pending(io) == 0);
    assert_int_equal(listener_closed, 1);
}

/* Closes both ends and checks that each was told exactly once. */
static void close_all(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        mr_socket_close(&clients[i].socket, 0);
    for (uint32_t i = 0; i < server_count; i++)
        if (!servers[i].closed)
            mr_socket_close(&servers[i].socket, 0);
    close_listener();
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(clients[i].closed, 1);
    for (uint32_t i = 0; i < server_count; i++)
        assert_int_equal(servers[i].closed, 1);
}

static void echo_of_100_mb(void **state)
{
    struct peer *p;

    (void)state;
    listen_on_loopback();
    p = connect_client(0, 100000000);
    TURN_UNTIL(p->received == p->to_send || p->closed);
    idle_turns();
    assert_int_equal(p->received, 100000000);
    assert_int_equal(p->misplaced, 0);
    assert_int_equal(servers[0].received, 100000000);
    assert_int_equal(servers[0].misplaced, 0);
    close_all(1);
}

static bool all_received(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (clients[i].received < clients[i].to_send)
            return false;
    return true;
}

/* Connects all at once, so that the listener sees a storm. */
static void two_hundred_connections_at_once(void **state)
{
    (void)state;
    listen_on_loopback();
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        connect_client(i, 20000 + 137 * i);
    TURN_UNTIL(all_received(PEERS_MAX));
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        assert_int_equal(clients[i].opened, 1);
        assert_int_equal(clients[i].received, clients[i].to_send);
        assert_int_equal(clients[i].misplaced, 0);
    }
    assert_int_equal(server_count, PEERS_MAX);
    close_all(PEERS_MAX);
}

static void half_closed_streams_still_answer(void **state)
{
    struct peer *p;

    (void)state;
    listen_on_loopback();
    p = connect_client(0, 300000);
    TURN_UNTIL(p->sent == p->to_send);
    mr_socket_end(&p->socket);
    TURN_UNTIL(p->ended);
    assert_int_equal(p->received, 300000);
    assert_int_equal(servers[0].ended, 1);
    assert_int_equal(mr_socket_unsent(&p->socket), 0);
    assert_int_equal(p->closed, 0);
    close_all(1);
}

static void resets_are_told_once(void **state)
{
    struct linger now = {1, 0};
    struct peer *p;

    (void)state;
    listen_on_loopback();
    p = connect_client(0, 10);
    TURN_UNTIL(p->received == 10);
    assert_int_equal(setsockopt(p->socket.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    mr_socket_close(&p->socket, 0);
    TURN_UNTIL(servers[0].closed);
    idle_turns();
    assert_int_equal(servers[0].closed, 1);
    assert_int_equal(servers[0].error, -ECONNRESET);
    assert_int_equal(p->error, 0);
    close_listener();
}

static void nobody_listens_is_refused(void **state)
{
    struct peer *p;

    (void)state;
    listen_on_loopback();
    close_listener();
    p = connect_client(0, 10);
    TURN_UNTIL(p->closed);
    assert_int_equal(p->error, -ECONNREFUSED);
    assert_int_equal(p->opened, 0);
    assert_int_equal(mr_io_pending(io), 0);
}

static void closing_while_connecting_ends(void **state)
{
    struct peer *p;

    (void)state;
    listen_on_loopback();
    p = connect_client(0, 10);
    mr_socket_close(&p->socket, -ETIMEDOUT);
    TURN_UNTIL(p->closed);
    assert_int_equal(p->error, -ETIMEDOUT);
    assert_int_equal(p->opened, 0);
    close_all(0);
}

/* While the reader pauses it sees nothing, the sender runs out of room, and nothing is lost. */
static void a_slow_reader_holds_the_writer(void **state)
{
    struct peer *p;
    uint64_t seen;

    (void)state;
    listen_on_loopback();
    p = connect_client(0, 30000000);
    TURN_UNTIL(server_count == 1 && servers[0].opened);
    servers[0].echoes = false;
    for (int round = 0; round < 50; round++) {
        mr_socket_pause(&servers[0].socket);
        seen = servers[0].received;
        for (int i = 0; i < 20; i++)
            mr_io_turn(io, 0);
        assert_int_equal(servers[0].received, seen);
        mr_socket_resume(&servers[0].socket);
        for (int i = 0; i < round % 5; i++)
            mr_io_turn(io, 0);
    }
    mr_socket_pause(&servers[0].socket);
    seen = servers[0].received;
    for (int i = 0; i < 100; i++)
        mr_io_turn(io, 1000000);
    assert_int_equal(servers[0].received, seen);
    assert_true(p->sent < p->to_send);
    mr_socket_resume(&servers[0].socket);
    TURN_UNTIL(servers[0].received == p->to_send);
    assert_int_equal(servers[0].misplaced, 0);
    close_all(1);
}

static void a_pause_inside_the_callback_counts(void **state)
{
    struct peer *p;

    (void)state;
    listen_on_loopback();
    p = connect_client(0, 1000000);
    TURN_UNTIL(server_count == 1);
    servers[0].echoes = false;
    servers[0].pauses = true;
    for (uint64_t seen = 0; servers[0].received < p->to_send;) {
        TURN_UNTIL(servers[0].received > seen);
        seen = servers[0].received;
        mr_io_turn(io, 0);
        mr_io_turn(io, 0);
        assert_int_equal(servers[0].received, seen);
        mr_socket_resume(&servers[0].socket);
    }
    assert_int_equal(servers[0].misplaced, 0);
    close_all(1);
}

/* Such descriptors come from elsewhere; io_uring answers EAGAIN for them instead of waiting. */
static void non_blocking_sockets_serve_as_well(void **state)
{
    struct peer *p;

    (void)state;
    listen_on_loopback();
    non_blocking = true;
    p = connect_client(0, 5000000);
    TURN_UNTIL(p->received == p->to_send);
    non_blocking = false;
    assert_int_equal(p->misplaced, 0);
    assert_int_equal(servers[0].received, p->to_send);
    close_all(1);
}

/* Paused readers may hold every receive buffer; the others still receive. */
static void paused_readers_starve_no_one(void **state)
{
    (void)state;
    listen_on_loopback();
    for (uint32_t i = 0; i < 8; i++)
        connect_client(i, 5000000);
    TURN_UNTIL(server_count == 8 && servers[7].opened);
    for (uint32_t i = 0; i < 8; i++) {
        servers[i].echoes = false;
        mr_socket_pause(&servers[i].socket);
    }
    for (int i = 0; i < 50; i++)
        mr_io_turn(io, 1000000);
    connect_client(8, 1000000);
    TURN_UNTIL(clients[8].received == 1000000);
    assert_int_equal(clients[8].misplaced, 0);
    for (uint32_t i = 0; i < 8; i++)
        mr_socket_resume(&servers[i].socket);
    for (uint32_t i = 0; i < 8; i++) {
        TURN_UNTIL(servers[i].received == 5000000);
        assert_int_equal(servers[i].misplaced, 0);
    }
    close_all(9);
}

/* Nothing is told after the close, though bytes and sends were under way. */
static void closing_in_full_flow_ends_once(void **state)
{
    (void)state;
    listen_on_loopback();
    for (uint32_t i = 0; i < 20; i++)
        connect_client(i, UINT64_MAX / 2);
    TURN_UNTIL(server_count == 20 && clients[19].received > 100000);
    for (uint32_t i = 0; i < 20; i++) {
        uint64_t seen = clients[i].received;
        mr_socket_close(&clients[i].socket, -ECANCELED);
        mr_io_turn(io, 0);
        assert_int_equal(clients[i].received, seen);
    }
    TURN_UNTIL(servers[19].closed || servers[19].ended);
    close_all(20);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(clients[i].error, -ECANCELED);
}

static void what_is_committed_in_a_turn_leaves_at_once(void **state)
{
    struct peer *p;
    uint64_t before;
    size_t room;

    (void)state;
    listen_on_loopback();
    p = connect_client(0, 0);
    TURN_UNTIL(server_count == 1 && servers[0].opened && p->opened);
    servers[0].echoes = false;
    idle_turns();
    for (uint32_t i = 0; i < 100; i++) {
        *mr_socket_room(&p->socket, &room) = pattern(i);
        mr_socket_commit(&p->socket, 1);
    }
    assert_int_equal(mr_socket_unsent(&p->socket), 100);
    before = mr_io_counters(io)->completions;
    TURN_UNTIL(servers[0].received == 100);
    assert_int_equal(servers[0].misplaced, 0);
    idle_turns();
    /* The flush, the send, and one receive. */
    assert_true(mr_io_counters(io)->completions - before <= 3);
    close_all(1);
}

static void addresses_are_read_strictly(void **state)
{
    static const char *const bad[] = {
        "",      "localhost", ":80",  "127.0.0.1:", "::1:80",  "[::1]80",
        "[]:80", "a:65536",   "a:-1", "a: 80",      "[::1:80", "a:8o"};
    struct mr_address address[4];
    uint32_t count;

    (void)state;
    for (size_t i = 0; i < MR_COUNT(bad); i++)
        assert_int_equal(mr_resolve(bad[i], address, 4, &count), MR_E_ADDRESS);
    assert_int_equal(mr_resolve("[::1]:8085", address, 4, &count), MR_OK);
    assert_int_equal(address[0].storage.ss_family, AF_INET6);
    assert_int_equal(ntohs(((struct sockaddr_in6 *)&address[0].storage)->sin6_port), 8085);
    assert_int_equal(mr_resolve("localhost:80", address, 1, &count), MR_OK);
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IO_TEST(addresses_are_read_strictly),
        IO_TEST(nobody_listens_is_refused),
        IO_TEST(closing_while_connecting_ends),
        IO_TEST(what_is_committed_in_a_turn_leaves_at_once),
        IO_TEST(half_closed_streams_still_answer),
        IO_TEST(resets_are_told_once),
        IO_TEST(a_slow_reader_holds_the_writer),
        IO_TEST(a_pause_inside_the_callback_counts),
        IO_TEST(non_blocking_sockets_serve_as_well),
        IO_TEST(paused_readers_starve_no_one),
        IO_TEST(closing_in_full_flow_ends_once),
        IO_TEST(two_hundred_connections_at_once),
        IO_TEST(echo_of_100_mb),
    };
    RUN_ON_BOTH(tests);
}
