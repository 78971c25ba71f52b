#include "local/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "local/bigquery_front.h"
#include "local/connection.h"
#include "local/pubsub_front.h"
#include "local/rest_front.h"

#define CHORES_US  500000
#define GOODBYE_US 2000000

struct door {
    struct mr_listener listener;
    struct mr_server *server;
    bool open, tls, rest;
};

struct mr_server {
    struct mr_io *io;
    struct mr_hall hall;
    struct mr_front fronts[2];
    struct mr_pubsub_store *pubsub;
    struct mr_pubsub_front *pubsub_front;
    struct mr_bq *bq;
    struct mr_bigquery_front bigquery;
    struct mr_rest_front rest;
    struct mr_tls_context *tls;
    struct door doors[MR_SERVER_DOORS];
    uint32_t doors_open;
    char *data, *database;
    int lock;
    int64_t chores_us;
    uint64_t turns;
    int failed; /* why it ends by itself */
    atomic_bool stop;
};

static int told(char *why, int err, const char *what, const char *detail)
{
    snprintf(why, MR_SERVER_WHY_BYTES, "%.200s%s%.100s", what, detail[0] ? ": " : "", detail);
    return err;
}

/* ---- doors ---- */

static void on_accepted(struct mr_listener *listener, int fd)
{
    struct door *door = MR_CONTAINER(listener, struct door, listener);

    door->server->hall.now_us = mr_wall_us();
    if (door->rest)
        mr_rest_open(&door->server->rest, fd);
    else
        mr_connection_open(&door->server->hall, fd, door->tls ? door->server->tls : NULL);
}

/* Out of descriptors, say: the chores try again. */
static void on_failed(struct mr_listener *listener, int error)
{
    (void)listener, (void)error;
}

static void on_closed(struct mr_listener *listener)
{
    struct door *door = MR_CONTAINER(listener, struct door, listener);

    door->open = false;
    door->server->doors_open--;
}

static int door_open(struct mr_server *s, enum mr_server_door which, const char *host, int32_t port,
                     char *why)
{
    struct door *door = &s->doors[which];
    struct mr_address address;
    char text[300];
    uint32_t count;
    int err;

    snprintf(text, sizeof text, strchr(host, ':') && host[0] != '[' ? "[%s]:%d" : "%s:%d", host,
             port);
    err = mr_resolve(text, &address, 1, &count);
    if (err != MR_OK)
        return told(why, err, text, "");
    door->server = s;
    door->tls = which == MR_SERVER_PUBSUB_TLS || which == MR_SERVER_BIGQUERY_TLS;
    door->rest = which == MR_SERVER_REST;
    door->listener.accepted = on_accepted;
    door->listener.failed = on_failed;
    door->listener.closed = on_closed;
    err = mr_listener_open(&door->listener, s->io, &address);
    if (err != 0)
        return told(why, MR_E_LOCAL_PORT, text, strerror(-err));
    door->open = true;
    s->doors_open++;
    return MR_OK;
}

/* ---- the state directory ---- */

static int data_open(struct mr_server *s, const char *data, char *why)
{
    char path[4096];

    if (mkdir(data, 0755) != 0 && errno != EEXIST)
        return told(why, MR_E_FILE_OPEN, data, strerror(errno));
    snprintf(path, sizeof path, "%s/lock", data);
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (s->lock < 0)
        return told(why, MR_E_FILE_OPEN, data, strerror(errno));
    if (flock(s->lock, LOCK_EX | LOCK_NB) != 0)
        return told(why, MR_E_LOCAL_BUSY, data, "");
    s->data = strdup(data);
    MR_ASSERT(s->data);
    snprintf(path, sizeof path, "%s/bigquery.db", data);
    s->database = strdup(path);
    MR_ASSERT(s->database);
    int err = mr_pubsub_restore(s->pubsub, data);
    return err == MR_OK ? MR_OK : told(why, err, data, "pubsub.state");
}

static int bigquery_open(struct mr_server *s, const struct mr_bq_options *given, char *why)
{
    struct mr_bq_options options = *given;
    int err;

    options.path = s->database;
    err = mr_bq_create(&s->bq, &options);
    s->bigquery.bq = s->rest.bq = s->bq;
    s->rest.hall = &s->hall;
    return err == MR_OK ? MR_OK
                        : told(why, err, s->database ? s->database : "", mr_bq_problem(s->bq));
}

/* ---- beginning and end ---- */

static int set_up(struct mr_server *s, const struct mr_server_options *options, char *why)
{
    int err = mr_io_create(&s->io, options->io, NULL);

    if (err != MR_OK)
        return told(why, err, "io", "");
    s->hall.io = s->io;
    s->pubsub = mr_pubsub_create(&options->pubsub);
    s->pubsub_front = s->pubsub ? mr_pubsub_front_create(s->pubsub) : NULL;
    if (!s->pubsub_front)
        return told(why, MR_E_MEMORY, "Pub/Sub", "");
    if (options->certificate) {
        s->tls = mr_tls_server_context(options->certificate, options->key, why);
        if (!s->tls)
            return MR_E_TLS_FILE;
    }
    if (options->data && (err = data_open(s, options->data, why)) != MR_OK)
        return err;
    if ((err = bigquery_open(s, &options->bigquery, why)) != MR_OK)
        return err;
    s->fronts[0] = mr_pubsub_front_service(s->pubsub_front);
    s->fronts[1] = mr_bigquery_front_service(&s->bigquery);
    s->hall.fronts = s->fronts;
    s->hall.front_count = MR_COUNT(s->fronts);
    for (int door = 0; door < MR_SERVER_DOORS && err == MR_OK; door++)
        if (options->ports[door] != MR_SERVER_CLOSED)
            err = door_open(s, (enum mr_server_door)door, options->listen, options->ports[door],
                            why);
    return err;
}

int mr_server_create(struct mr_server **out, const struct mr_server_options *options, char *why)
{
    struct mr_server *s = calloc(1, sizeof *s);
    int err;

    *out = NULL;
    why[0] = 0;
    if (!s)
        return told(why, MR_E_MEMORY, "server", "");
    s->lock = -1;
    s->hall.due_us = INT64_MAX;
    s->hall.now_us = mr_wall_us();
    err = set_up(s, options, why);
    if (err != MR_OK)
        mr_server_destroy(s);
    else
        *out = s;
    return err;
}

static void close_all(struct mr_server *s)
{
    for (int door = 0; door < MR_SERVER_DOORS; door++)
        if (s->doors[door].open)
            mr_listener_close(&s->doors[door].listener);
    mr_connections_close(&s->hall);
    mr_rest_close(&s->rest);
    while (s->doors_open > 0 || s->hall.connection_count > 0)
        mr_io_turn(s->io, UINT64_MAX);
}

void mr_server_destroy(struct mr_server *s)
{
    if (!s)
        return;
    if (s->io)
        close_all(s);
    mr_pubsub_front_destroy(s->pubsub_front);
    if (s->pubsub)
        mr_pubsub_destroy(s->pubsub);
    mr_bq_destroy(s->bq);
    mr_tls_context_destroy(s->tls);
    mr_io_destroy(s->io);
    if (s->lock >= 0)
        close(s->lock);
    free(s->data);
    free(s->database);
    free(s);
}

uint16_t mr_server_port(const struct mr_server *s, enum mr_server_door door)
{
    return s->doors[door].open ? s->doors[door].listener.port : 0;
}

const char *mr_server_io(const struct mr_server *s)
{
    return mr_io_body(s->io);
}

struct mr_pubsub_store *mr_server_pubsub(struct mr_server *s)
{
    return s->pubsub;
}

struct mr_bq *mr_server_bigquery(struct mr_server *s)
{
    return s->bq;
}

const char *mr_server_problem(const struct mr_server *s)
{
    return mr_bq_problem(s->bq);
}

/* ---- running ---- */

static void chores(struct mr_server *s)
{
    s->chores_us = s->hall.now_us + CHORES_US;
    for (int door = 0; door < MR_SERVER_DOORS; door++)
        if (s->doors[door].open)
            mr_listener_resume(&s->doors[door].listener);
    mr_connections_chores(&s->hall);
    mr_rest_chores(&s->rest);
}

static uint64_t wait_ns(const struct mr_server *s)
{
    int64_t due_us = MR_MIN(MR_MIN(s->hall.due_us, mr_pubsub_due_us(s->pubsub)), s->chores_us);
    int64_t wait_us = MR_MIN(due_us, mr_bq_due(s->bq)) - mr_wall_us();

    return wait_us > 0 ? (uint64_t)wait_us * 1000 : 0;
}

/* What is answered is durable first: all answers of a turn share one commit. */
static void commit(struct mr_server *s)
{
    int err = MR_OK;

    if (s->bigquery.answered || s->rest.answered)
        err = mr_bq_commit(s->bq);
    else if (mr_bq_due(s->bq) <= s->hall.now_us)
        err = mr_bq_chores(s->bq, s->hall.now_us);
    s->bigquery.answered = s->rest.answered = false;
    if (err != MR_OK)
        s->failed = err;
}

static void turn(struct mr_server *s)
{
    uint32_t done;

    s->turns++;
    s->hall.now_us = mr_wall_us();
    done = mr_pubsub_front_turn(s->pubsub_front, s->hall.now_us);
    done += mr_bigquery_front_turn(&s->bigquery, s->hall.now_us);
    commit(s);
    if (s->failed)
        return;
    done += mr_connections_turn(&s->hall);
    done += mr_rest_turn(&s->rest);
    if (s->hall.now_us >= s->chores_us)
        chores(s);
    mr_io_turn(s->io, done ? 0 : wait_ns(s));
}

static bool stopping(struct mr_server *s)
{
    return s->failed || atomic_load_explicit(&s->stop, memory_order_acquire);
}

int mr_server_run(struct mr_server *s)
{
    int64_t until_us;
    int err;

    while (!stopping(s))
        turn(s);
    if (s->failed) {
        close_all(s); /* without a word: nobody was told of what is lost */
        return s->failed;
    }
    for (int door = 0; door < MR_SERVER_DOORS; door++)
        if (s->doors[door].open)
            mr_listener_close(&s->doors[door].listener);
    mr_connections_leave(&s->hall);
    until_us = mr_wall_us() + GOODBYE_US;
    while (s->hall.connection_count > 0 && !s->failed && mr_wall_us() < until_us) {
        s->chores_us = MR_MIN(s->chores_us, until_us);
        turn(s);
    }
    close_all(s);
    err = s->data ? mr_pubsub_save(s->pubsub, s->data) : MR_OK;
    return s->failed ? s->failed : err;
}

void mr_server_stop(struct mr_server *s)
{
    atomic_store_explicit(&s->stop, true, memory_order_release);
    mr_io_wake(s->io);
}

struct mr_server_figures mr_server_figures(const struct mr_server *s)
{
    return (struct mr_server_figures){
        .pubsub = mr_pubsub_figures(s->pubsub),
        .connections = s->hall.accepted,
        .requests = s->rest.requests,
        .calls = s->hall.calls,
        .messages_in = s->hall.messages_in,
        .messages_out = s->hall.messages_out,
        .bytes_in = s->hall.bytes_in,
        .bytes_out = s->hall.bytes_out,
        .turns = s->turns,
    };
}
