#include "local/connection.h"

#include <stdlib.h>

#include "core/clock.h"
#include "local/connection_parts.h"

static struct mr_connection *of_socket(struct mr_socket *socket)
{
    return MR_CONTAINER(socket, struct mr_connection, socket);
}

void mr_connection_dirty(struct mr_connection *c)
{
    if (c->dirty)
        return;
    c->dirty = true;
    c->next_dirty = c->hall->dirty;
    c->hall->dirty = c;
}

/* ---- events of the socket ---- */

static void on_bytes(struct mr_socket *socket, struct mr_span bytes)
{
    struct mr_connection *c = of_socket(socket);

    if (c->ending)
        return;
    /* The turn may have slept since its head. */
    c->hall->now_us = mr_wall_us();
    c->hall->bytes_in += bytes.bytes;
    if (mr_link_feed(c->link, bytes) != MR_OK)
        c->broken = true;
    mr_connection_dirty(c);
}

static void on_room(struct mr_socket *socket)
{
    mr_connection_dirty(of_socket(socket));
}

static void on_ended(struct mr_socket *socket)
{
    mr_socket_close(socket, 0);
}

static void unlink_dirty(struct mr_connection *c)
{
    struct mr_connection **at = &c->hall->dirty;

    while (c->dirty && *at != c)
        at = &(*at)->next_dirty;
    if (c->dirty)
        *at = c->next_dirty;
    c->dirty = false;
}

static void on_closed(struct mr_socket *socket, int error)
{
    struct mr_connection *c = of_socket(socket);

    (void)error;
    unlink_dirty(c);
    while (c->calls)
        mr_served_destroy(c->calls);
    mr_link_destroy(c->link); /* raises no event: borrowed buffers are let go here */
    while (c->buffers)
        mr_served_buffer_destroy(c->buffers);
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
    c->hall->connection_count--;
    free(c);
}

static const struct mr_socket_calls socket_calls = {
    .bytes = on_bytes, .room = on_room, .ended = on_ended, .closed = on_closed};

/* ---- beginning and end ---- */

bool mr_connection_open(struct mr_hall *hall, int fd, struct mr_tls_context *tls)
{
    struct mr_link_options options = {.tls = tls, .h2 = {.server = true}};
    struct mr_connection *c = NULL;

    if (hall->connection_count < MR_CONNECTIONS_MAX && !hall->leaving)
        c = malloc(sizeof *c);
    if (!c) {
        mr_io_close(hall->io, fd);
        return false;
    }
    memset(c, 0, offsetof(struct mr_connection, send));
    c->hall = hall;
    c->since_us = hall->now_us;
    c->link = mr_link_create(&options, &mr_served_events, c);
    mr_socket_init(&c->socket, hall->io, &socket_calls, c->send, sizeof c->send);
    if (!c->link || mr_socket_adopt(&c->socket, fd, NULL) != 0) {
        if (!c->link)
            mr_io_close(hall->io, fd);
        mr_link_destroy(c->link);
        free(c);
        return false;
    }
    c->next = hall->connections;
    c->at = &hall->connections;
    if (c->next)
        c->next->at = &c->next;
    hall->connections = c;
    hall->connection_count++;
    hall->accepted++;
    mr_connection_dirty(c);
    return true;
}

static void end(struct mr_connection *c)
{
    if (c->ending)
        return;
    c->ending = true;
    c->since_us = c->hall->now_us;
    mr_socket_end(&c->socket);
}

static void flush(struct mr_connection *c)
{
    size_t room;
    uint8_t *place = mr_socket_room(&c->socket, &room);
    int64_t taken = 0;

    while (!c->ending && room > 0) {
        taken = mr_link_take(c->link, place, room);
        if (taken <= 0)
            break;
        mr_socket_commit(&c->socket, (size_t)taken);
        c->hall->bytes_out += (uint64_t)taken;
        place = mr_socket_room(&c->socket, &room);
    }
    if (taken < 0 || (taken == 0 && (c->broken || mr_link_done(c->link))))
        end(c);
}

/* `due` may end calls, which makes connections dirty; flushing may call `room` for calls. */
uint32_t mr_connections_turn(struct mr_hall *hall)
{
    uint32_t done = mr_served_due_all(hall);

    done += mr_served_room_all(hall);
    while (hall->dirty) {
        struct mr_connection *c = hall->dirty;
        hall->dirty = c->next_dirty;
        c->dirty = false;
        flush(c);
        done++;
    }
    return done;
}

void mr_connections_chores(struct mr_hall *hall)
{
    for (struct mr_connection *c = hall->connections; c; c = c->next) {
        int64_t age_us = hall->now_us - c->since_us;
        if (!c->greeted && !c->ending && age_us > MR_CONNECTION_HELLO_US)
            mr_socket_close(&c->socket, 0);
        if (c->ending && age_us > MR_CONNECTION_GOODBYE_US)
            mr_socket_close(&c->socket, 0);
    }
}

void mr_connections_leave(struct mr_hall *hall)
{
    hall->leaving = true;
    for (struct mr_connection *c = hall->connections; c; c = c->next) {
        mr_h2_goaway(mr_link_h2(c->link), MR_H2_NO_ERROR, mr_span_text("shutting down"));
        for (struct mr_served *call = c->calls; call; call = call->next)
            mr_served_end(call, MR_GRPC_UNAVAILABLE, "The server is shutting down.");
        mr_connection_dirty(c);
    }
}

void mr_connections_close(struct mr_hall *hall)
{
    for (struct mr_connection *c = hall->connections; c; c = c->next)
        mr_socket_close(&c->socket, 0);
}
