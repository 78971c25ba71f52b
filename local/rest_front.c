#include "local/rest_front.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "local/http1.h"

#define SEND_BYTES (128u << 10)
#define HEAD_BYTES 256

struct mr_rest_front_visitor {
    struct mr_rest_front *front;
    struct mr_rest_front_visitor *next, **at;
    struct mr_socket socket;
    struct mr_http1 reader;
    uint8_t *out; /* the answer under way; NULL: none */
    size_t out_bytes, out_at, counted;
    int64_t since_us; /* the last step: a request's first byte, an answer's progress */
    bool last, ending;
    uint8_t send[SEND_BYTES]; /* last: not cleared */
};

static struct mr_rest_front_visitor *of_socket(struct mr_socket *socket)
{
    return MR_CONTAINER(socket, struct mr_rest_front_visitor, socket);
}

/* ---- answers ---- */

static const char *phrase(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 409:
        return "Conflict";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Content Too Large";
    case 431:
        return "Request Header Fields Too Large";
    case 501:
        return "Not Offered";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return status < 500 ? "Refused" : "Failed";
    }
}

static void answer(struct mr_rest_front_visitor *v, int status, struct mr_span body, bool last)
{
    int head;

    v->out = malloc(HEAD_BYTES + body.bytes);
    MR_ASSERT(v->out);
    head = snprintf((char *)v->out, HEAD_BYTES,
                    "HTTP/1.1 %d %s\r\nContent-Type: application/json; charset=UTF-8\r\n"
                    "Content-Length: %zu\r\n%s\r\n",
                    status, phrase(status), body.bytes, last ? "Connection: close\r\n" : "");
    MR_ASSERT(head > 0 && head < HEAD_BYTES);
    if (body.bytes)
        memcpy(v->out + head, body.data, body.bytes);
    v->out_bytes = (size_t)head + body.bytes;
    v->out_at = 0;
    v->last = last;
    v->since_us = v->front->hall->now_us;
    v->front->answered = true;
    mr_socket_pause(&v->socket);
}

static void refuse(struct mr_rest_front_visitor *v, int status)
{
    char body[256];

    snprintf(
        body, sizeof body,
        "{\"error\": {\"code\": %d, \"message\": \"%s\", \"errors\": [{\"message\": \"%s\", "
        "\"domain\": \"global\", \"reason\": \"invalid\"}], \"status\": \"INVALID_ARGUMENT\"}}",
        status, phrase(status), phrase(status));
    answer(v, status, mr_span_text(body), true);
}

static bool known(struct mr_span method)
{
    static const char *const methods[] = {"GET", "POST", "PATCH", "PUT", "DELETE"};

    for (size_t i = 0; i < MR_COUNT(methods); i++)
        if (mr_span_equal(method, mr_span_text(methods[i])))
            return true;
    return false;
}

static void serve(struct mr_rest_front_visitor *v, const struct mr_http1_request *request)
{
    struct mr_bq_request call = {request->method, request->target, request->body,
                                 request->if_match};
    struct mr_bq_reply reply;

    v->front->requests++;
    if (!known(request->method)) {
        refuse(v, 501);
        return;
    }
    mr_bq_rest(v->front->bq, &call, v->front->hall->now_us, &reply);
    answer(v, reply.status, reply.body, request->close);
}

/* Unfinished requests of all connections share one bound. */
static bool counts(struct mr_rest_front_visitor *v)
{
    struct mr_hall *hall = v->front->hall;

    hall->carry_bytes += v->reader.room - v->counted;
    v->counted = v->reader.room;
    return hall->carry_bytes <= MR_CARRY_BYTES;
}

static void read_on(struct mr_rest_front_visitor *v)
{
    struct mr_http1_request request;
    int status;

    if (v->out || v->ending)
        return;
    status = mr_http1_next(&v->reader, &request);
    if (status == MR_OK)
        serve(v, &request);
    else if (status != MR_PARTIAL)
        refuse(v, status);
    else if (v->reader.expects) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        size_t room;
        uint8_t *place = mr_socket_room(&v->socket, &room);
        v->reader.expects = false;
        if (room >= sizeof go_on - 1) {
            memcpy(place, go_on, sizeof go_on - 1);
            mr_socket_commit(&v->socket, sizeof go_on - 1);
        }
    }
}

/* ---- the socket ---- */

static void on_bytes(struct mr_socket *socket, struct mr_span bytes)
{
    struct mr_rest_front_visitor *v = of_socket(socket);

    v->front->hall->now_us = mr_wall_us();
    v->front->hall->bytes_in += bytes.bytes;
    if (!mr_http1_pending(&v->reader))
        v->since_us = v->front->hall->now_us;
    while (bytes.bytes > 0) {
        size_t room = 0;
        uint8_t *place = mr_http1_room(&v->reader, &room);
        size_t now = MR_MIN(room, bytes.bytes);
        if (!place || !counts(v)) {
            mr_socket_close(socket, 0);
            return;
        }
        memcpy(place, bytes.data, now);
        mr_http1_add(&v->reader, now);
        bytes = mr_span_of(bytes.data + now, bytes.bytes - now);
    }
    read_on(v);
}

static void on_ended(struct mr_socket *socket)
{
    struct mr_rest_front_visitor *v = of_socket(socket);

    /* A client may close its half after its last request and still read the answer. */
    if (v->out)
        v->last = true;
    else if (!v->ending)
        mr_socket_close(socket, 0);
}

static void on_closed(struct mr_socket *socket, int error)
{
    struct mr_rest_front_visitor *v = of_socket(socket);

    (void)error;
    v->front->hall->carry_bytes -= v->counted;
    v->front->hall->connection_count--;
    *v->at = v->next;
    if (v->next)
        v->next->at = v->at;
    mr_http1_finish(&v->reader);
    free(v->out);
    free(v);
}

static const struct mr_socket_calls socket_calls = {
    .bytes = on_bytes, .ended = on_ended, .closed = on_closed};

void mr_rest_front_open(struct mr_rest_front *front, int fd)
{
    struct mr_hall *hall = front->hall;
    struct mr_rest_front_visitor *v = NULL;

    if (hall->connection_count < MR_CONNECTIONS_MAX && !hall->leaving)
        v = malloc(sizeof *v);
    if (!v) {
        mr_io_close(hall->io, fd);
        return;
    }
    memset(v, 0, offsetof(struct mr_rest_front_visitor, send));
    v->front = front;
    v->since_us = hall->now_us;
    mr_socket_init(&v->socket, hall->io, &socket_calls, v->send, sizeof v->send);
    if (mr_socket_adopt(&v->socket, fd, NULL) != 0) {
        free(v);
        return;
    }
    v->next = front->visitors;
    v->at = &front->visitors;
    if (v->next)
        v->next->at = &v->next;
    front->visitors = v;
    hall->connection_count++;
    hall->accepted++;
}

/* ---- turns ---- */

static void done(struct mr_rest_front_visitor *v)
{
    free(v->out);
    v->out = NULL;
    if (v->last || v->front->hall->leaving) {
        v->ending = true;
        mr_socket_end(&v->socket);
        mr_socket_resume(&v->socket); /* for the client's end */
        return;
    }
    mr_socket_resume(&v->socket);
    read_on(v); /* what came behind the last request */
}

static bool move(struct mr_rest_front_visitor *v)
{
    size_t room, now;
    uint8_t *place;

    if (!v->out || v->ending)
        return false;
    place = mr_socket_room(&v->socket, &room);
    now = MR_MIN(room, v->out_bytes - v->out_at);
    if (now == 0)
        return false;
    memcpy(place, v->out + v->out_at, now);
    mr_socket_commit(&v->socket, now);
    v->out_at += now;
    v->since_us = v->front->hall->now_us;
    v->front->hall->bytes_out += now;
    if (v->out_at == v->out_bytes)
        done(v);
    return true;
}

/* An answer to what `done` read on is for the next turn, behind the next commit. */
uint32_t mr_rest_front_turn(struct mr_rest_front *front)
{
    uint32_t moved = 0;

    for (struct mr_rest_front_visitor *v = front->visitors; v; v = v->next)
        moved += move(v);
    return moved;
}

void mr_rest_front_chores(struct mr_rest_front *front)
{
    for (struct mr_rest_front_visitor *v = front->visitors; v; v = v->next) {
        int64_t age_us = front->hall->now_us - v->since_us;
        bool slow = !v->out && mr_http1_pending(&v->reader) && age_us > MR_REST_REQUEST_US;
        if (slow || age_us > MR_REST_IDLE_US || (v->ending && age_us > MR_CONNECTION_GOODBYE_US))
            mr_socket_close(&v->socket, 0);
    }
}

void mr_rest_front_close(struct mr_rest_front *front)
{
    for (struct mr_rest_front_visitor *v = front->visitors; v; v = v->next)
        mr_socket_close(&v->socket, 0);
}
