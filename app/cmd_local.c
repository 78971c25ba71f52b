#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/cmd.h"
#include "app/local_options.h"
#include "app/local_tables.h"
#include "core/clock.h"
#include "core/err.h"

#define NAME_BYTES 600

static const char *const door_names[MR_SERVER_DOORS] = {
    [MR_SERVER_PUBSUB] = "pubsub",
    [MR_SERVER_BIGQUERY] = "bigquery",
    [MR_SERVER_REST] = "rest",
    [MR_SERVER_PUBSUB_TLS] = "pubsub_tls",
    [MR_SERVER_BIGQUERY_TLS] = "bigquery_tls",
};

/* For the handler only; set before it can run. */
static struct mr_server *running;

static void interrupt(int signal)
{
    (void)signal;
    mr_server_stop(running);
}

/* The first signal ends the run in order; the second finds the default action again. */
static void watch_signals(struct mr_server *server)
{
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};

    running = server;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int tell_failure(int err, const char *why)
{
    fprintf(stderr, "millrace local: error %s: %s: %s\n  fix:  %s\n", mr_err_code(err),
            mr_err_cause(err), why, mr_err_fix(err));
    switch (err) {
    case MR_E_FILE_OPEN:
        return MR_EXIT_CANNOT_CREATE;
    case MR_E_FILE_READ:
        return MR_EXIT_DATA;
    case MR_E_FILE_WRITE:
    case MR_E_LOCAL_DATABASE:
        return MR_EXIT_IO;
    case MR_E_TLS_FILE:
        return MR_EXIT_NO_INPUT;
    case MR_E_MEMORY:
        return MR_EXIT_SOFTWARE;
    case MR_E_ADDRESS:
        return MR_EXIT_USAGE;
    default:
        return MR_EXIT_UNAVAILABLE;
    }
}

/* ---- topics and subscriptions of the command line ---- */

static struct mr_span full_name(char *out, const char *project, const char *kind, const char *name,
                                size_t name_bytes)
{
    int bytes;

    if (name_bytes > 9 && memcmp(name, "projects/", 9) == 0)
        bytes = snprintf(out, NAME_BYTES, "%.*s", (int)name_bytes, name);
    else
        bytes = snprintf(out, NAME_BYTES, "projects/%s/%s/%.*s", project, kind, (int)name_bytes,
                         name);
    return mr_span_of(out, (size_t)MR_MIN(bytes, NAME_BYTES - 1));
}

/* True if it is there now, from before too. */
static bool there(struct mr_pubsub_status status, const char *name)
{
    if (status.code == MR_PUBSUB_OK || status.code == MR_PUBSUB_ALREADY_EXISTS)
        return true;
    fprintf(stderr, "millrace local: error %s: %s cannot be made\n  rule: %s\n  fix:  %s\n",
            mr_err_code(MR_E_USAGE), name, status.text, mr_err_fix(MR_E_USAGE));
    return false;
}

static bool make_topic(struct mr_pubsub_store *store, const struct mr_local_options *o,
                       const char *name)
{
    struct mr_pubsub_topic_settings settings = {0};
    char full[NAME_BYTES];

    settings.name = full_name(full, o->project, "topics", name, strlen(name));
    return there(mr_pubsub_topic_create(store, &settings, NULL), full);
}

static bool make_subscription(struct mr_pubsub_store *store, const struct mr_local_options *o,
                              const char *pair)
{
    struct mr_pubsub_subscription_settings settings = {0};
    const char *colon = strchr(pair, ':');
    char full[NAME_BYTES], topic[NAME_BYTES];

    settings.name = full_name(full, o->project, "subscriptions", pair, (size_t)(colon - pair));
    settings.topic = full_name(topic, o->project, "topics", colon + 1, strlen(colon + 1));
    return make_topic(store, o, topic) &&
           there(mr_pubsub_subscription_create(store, &settings, NULL), full);
}

static bool make_names(struct mr_pubsub_store *store, const struct mr_local_options *o)
{
    for (uint32_t i = 0; i < o->topic_count; i++)
        if (!make_topic(store, o, o->topics[i]))
            return false;
    for (uint32_t i = 0; i < o->subscription_count; i++)
        if (!make_subscription(store, o, o->subscriptions[i]))
            return false;
    return true;
}

/* ---- what is told ---- */

/* By rename: a reader sees no file or all of it. */
static int write_ports(const struct mr_server *server, const struct mr_local_options *o)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof path, "%s.%ld", o->port_file, (long)getpid());
    file = fopen(path, "w");
    if (!file)
        return tell_failure(MR_E_FILE_OPEN, o->port_file);
    fprintf(file, "{\"pid\": %ld, \"listen\": \"%s\"", (long)getpid(), o->server.listen);
    for (int door = 0; door < MR_SERVER_DOORS; door++) {
        uint16_t port = mr_server_port(server, (enum mr_server_door)door);
        if (port)
            fprintf(file, ", \"%s\": %u", door_names[door], port);
    }
    fputs("}\n", file);
    bool bad = ferror(file) != 0;
    if (fclose(file) != 0 || bad || rename(path, o->port_file) != 0) {
        remove(path);
        return tell_failure(MR_E_FILE_WRITE, o->port_file);
    }
    return MR_EXIT_OK;
}

static void tell_ports(const struct mr_server *server, const struct mr_local_options *o)
{
    static const char *const lines[MR_SERVER_DOORS] = {
        [MR_SERVER_PUBSUB] = "export PUBSUB_EMULATOR_HOST=%s%s%s:%u\n",
        [MR_SERVER_BIGQUERY] = "# Storage Write, plaintext: %s%s%s:%u\n",
        [MR_SERVER_REST] = "export BIGQUERY_EMULATOR_HOST=http://%s%s%s:%u\n",
        [MR_SERVER_PUBSUB_TLS] = "# Pub/Sub with TLS: %s%s%s:%u\n",
        [MR_SERVER_BIGQUERY_TLS] = "# Storage Write with TLS: %s%s%s:%u\n",
    };
    const char *host = o->server.listen;
    bool six = strchr(host, ':') && host[0] != '[';

    for (int door = 0; door < MR_SERVER_DOORS; door++) {
        uint16_t port = mr_server_port(server, (enum mr_server_door)door);
        if (!port)
            continue;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        printf(lines[door], six ? "[" : "", host, six ? "]" : "", port);
#pragma GCC diagnostic pop
    }
    printf("export PUBSUB_PROJECT_ID=%s\n", o->project);
    fflush(stdout);
    fprintf(stderr, "local: ready (%s); interrupt to end\n", mr_server_io(server));
}

static void tell_summary(const struct mr_server *server, const struct mr_local_options *o,
                         uint64_t start_ns)
{
    struct mr_server_figures f = mr_server_figures(server);
    double seconds = (double)(mr_now_ns() - start_ns) / 1e9;

    fprintf(stderr,
            "local: %" PRIu64 " messages published, %" PRIu64 " delivered, %" PRIu64
            " acknowledged, %" PRIu64 " held, in %.1f s; %" PRIu64 " calls and %" PRIu64
            " REST requests on %" PRIu64 " connections%s%s\n",
            f.pubsub.published, f.pubsub.delivered, f.pubsub.acked, f.pubsub.messages, seconds,
            f.calls, f.requests, f.connections, o->server.data ? "; saved to " : "",
            o->server.data ? o->server.data : "");
}

static int serve(struct mr_server *server, const struct mr_local_options *o)
{
    uint64_t start_ns = mr_now_ns();
    int exit_code = MR_EXIT_OK;

    if (!make_names(mr_server_pubsub(server), o))
        return MR_EXIT_USAGE;
    if (o->tables && !mr_local_tables_make(mr_server_bigquery(server), o->tables))
        return MR_EXIT_CONFIG;
    watch_signals(server);
    if (o->port_file)
        exit_code = write_ports(server, o);
    if (exit_code != MR_EXIT_OK)
        return exit_code;
    if (!o->quiet)
        tell_ports(server, o);
    int err = mr_server_run(server);
    if (err != MR_OK)
        return tell_failure(err, err == MR_E_LOCAL_DATABASE ? mr_server_problem(server)
                                                            : o->server.data);
    tell_summary(server, o, start_ns);
    return MR_EXIT_OK;
}

int mr_cmd_local(int argc, char **argv)
{
    struct mr_local_options *options = calloc(1, sizeof *options);
    char why[MR_SERVER_WHY_BYTES];
    struct mr_server *server;
    int exit_code = MR_EXIT_OK;

    MR_ASSERT(options);
    if (mr_local_options_read(options, argc, argv, stderr) != MR_OK) {
        exit_code = MR_EXIT_USAGE;
    } else if (options->help) {
        mr_local_options_help(stdout);
    } else {
        int err = mr_server_create(&server, &options->server, why);
        exit_code = err == MR_OK ? serve(server, options) : tell_failure(err, why);
        if (err == MR_OK)
            mr_server_destroy(server);
    }
    free(options);
    return exit_code;
}
