#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "app/cmd.h"
#include "app/emitter.h"
#include "app/sim_options.h"
#include "core/clock.h"
#include "core/err.h"

#define SECOND_NS        UINT64_C(1000000000)
#define TERMINAL_NS      (SECOND_NS / 5)
#define PLAIN_NS         (10 * SECOND_NS)
#define UNPACED_BURST    4096              /* orders between looks at the clock */
#define PACED_SLEEP_NS   (SECOND_NS / 500) /* shorter sleeps cost more than they smooth */
#define INTERRUPT_NS_MAX (SECOND_NS / 10)  /* longest sleep between looks at `interrupted` */

struct totals {
    uint64_t kinds[MR_ORDERS_KINDS], reasons[MR_REASONS];
    uint64_t payloads, bytes;
    int64_t cents;
    int64_t event_us_min, event_us_max;
};

struct sim {
    struct mr_sim_options options;
    struct mr_orders orders;
    struct mr_emitter *emitter;
    struct totals totals;
    char *payload;
    size_t payload_bytes;
    uint64_t start_ns, told_ns;
    bool terminal;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* The first signal ends the run in order; the second finds the default action again. */
static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};

    interrupted = 0;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is then an error of write, told like any other */
}

static void count_payload(struct totals *totals, const struct mr_orders_info *info, size_t bytes)
{
    totals->payloads++;
    totals->bytes += bytes + 1;
    totals->kinds[info->kind]++;
    totals->reasons[info->reason]++;
    if (info->kind == MR_ORDERS_REPEAT || info->kind == MR_ORDERS_INVALID)
        return;
    totals->cents += info->cents;
    totals->event_us_min = MR_MIN(totals->event_us_min, info->event_us);
    totals->event_us_max = MR_MAX(totals->event_us_max, info->event_us);
}

static uint64_t orders_of(const struct totals *totals)
{
    return totals->kinds[MR_ORDERS_FRESH] + totals->kinds[MR_ORDERS_LATE] +
           totals->kinds[MR_ORDERS_FAST];
}

/* One line that replaces itself on a terminal, else a line of its own now and then. */
static void tell_progress(struct sim *sim, uint64_t now_ns)
{
    uint64_t done = sim->totals.payloads, count = sim->options.count;
    double seconds = (double)(now_ns - sim->start_ns) / (double)SECOND_NS;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    char of[64] = "", eta[64] = "";

    uint64_t every_ns = sim->terminal ? TERMINAL_NS : PLAIN_NS;
    if (sim->options.progress_us > 0)
        every_ns = (uint64_t)sim->options.progress_us * 1000;
    if (now_ns - sim->told_ns < every_ns)
        return;
    sim->told_ns = now_ns;
    if (count != MR_SIM_FOREVER) {
        snprintf(of, sizeof of, "/%" PRIu64, count);
        if (rate > 0)
            snprintf(eta, sizeof eta, ", %.0f s to go", (double)(count - done) / rate);
    }
    fprintf(stderr, "%ssim: %" PRIu64 "%s payloads, %.0f/s%s%s", sim->terminal ? "\r" : "", done,
            of, rate, eta, sim->terminal ? "\033[K" : "\n");
}

static void tell_summary(const struct sim *sim)
{
    const struct totals *totals = &sim->totals;
    double seconds = (double)(mr_now_ns() - sim->start_ns) / (double)SECOND_NS;

    fprintf(stderr,
            "%ssim: %s%" PRIu64 " payloads, %" PRIu64 " bytes in %.1f s (%.0f/s): %" PRIu64
            " orders (%" PRIu64 " meant late, %" PRIu64 " ahead), %" PRIu64 " repeats, %" PRIu64
            " broken\n",
            sim->terminal ? "\r\033[K" : "", interrupted ? "interrupted after " : "",
            totals->payloads, totals->bytes, seconds,
            seconds > 0 ? (double)totals->payloads / seconds : 0, orders_of(totals),
            totals->kinds[MR_ORDERS_LATE], totals->kinds[MR_ORDERS_FAST],
            totals->kinds[MR_ORDERS_REPEAT], totals->kinds[MR_ORDERS_INVALID]);
}

static int tell_failure(int err, const char *path, int error, uint64_t payloads)
{
    fprintf(stderr,
            "millrace sim: error %s: %s: %s: %s, after %" PRIu64 " payloads drawn\n  fix:  %s\n",
            mr_err_code(err), strcmp(path, "-") == 0 ? "standard output" : path, mr_err_cause(err),
            strerror(error), payloads, mr_err_fix(err));
    return err == MR_E_FILE_OPEN ? MR_EXIT_CANNOT_CREATE : MR_EXIT_IO;
}

/* How many payloads are due: all that fit a burst, or what the rate says by now. */
static uint64_t due(const struct sim *sim, uint64_t now_ns)
{
    uint64_t left = sim->options.count - sim->totals.payloads;
    uint64_t burst = MR_MIN(left, (uint64_t)UNPACED_BURST);

    if (sim->options.rate > 0) {
        double by_now = (double)(now_ns - sim->start_ns) * sim->options.rate / (double)SECOND_NS;
        uint64_t total = (uint64_t)by_now + 1; /* the first is due at once */
        burst = MR_MIN(burst, total - MR_MIN(total, sim->totals.payloads));
    }
    return burst;
}

static void sleep_until_due(const struct sim *sim, uint64_t now_ns)
{
    double at = (double)sim->totals.payloads / sim->options.rate * (double)SECOND_NS;
    uint64_t due_ns = sim->start_ns + (uint64_t)at;
    uint64_t wait_ns = due_ns > now_ns ? due_ns - now_ns : 0;

    wait_ns = MR_MAX(PACED_SLEEP_NS, MR_MIN(wait_ns, INTERRUPT_NS_MAX));
    nanosleep(&(struct timespec){0, (long)wait_ns}, NULL);
}

/* Returns 0 or the emitter's errno. */
static int run(struct sim *sim)
{
    struct mr_orders_info info;
    int error = 0;

    sim->start_ns = sim->told_ns = mr_now_ns();
    while (!error && !interrupted && sim->totals.payloads < sim->options.count) {
        uint64_t now_ns = mr_now_ns();
        uint64_t burst = due(sim, now_ns);
        for (uint64_t i = 0; i < burst && !error; i++) {
            size_t bytes = mr_orders_next(&sim->orders, sim->payload, sim->payload_bytes, &info);
            error = sim->emitter->put(sim->emitter, sim->payload, bytes);
            count_payload(&sim->totals, &info, bytes);
        }
        tell_progress(sim, now_ns);
        if (burst == 0) {
            error = sim->emitter->flush(sim->emitter); /* readers see what is due, when it is due */
            if (!error)
                sleep_until_due(sim, now_ns);
        }
    }
    return error ? error : sim->emitter->finish(sim->emitter);
}

static int write_truth(const struct sim *sim)
{
    const struct totals *totals = &sim->totals;
    bool any = orders_of(totals) > 0;
    FILE *file = fopen(sim->options.truth, "w");

    if (!file)
        return tell_failure(MR_E_FILE_OPEN, sim->options.truth, errno, totals->payloads);
    fprintf(file,
            "{\"payloads\": %" PRIu64 ", \"orders\": %" PRIu64 ", \"duplicates\": %" PRIu64
            ", \"late_intended\": %" PRIu64 ", \"ahead_intended\": %" PRIu64
            ", \"amount_cents\": %" PRId64 ", \"event_us_min\": %" PRId64
            ", \"event_us_max\": %" PRId64 ", \"invalid\": {",
            totals->payloads, orders_of(totals), totals->kinds[MR_ORDERS_REPEAT],
            totals->kinds[MR_ORDERS_LATE], totals->kinds[MR_ORDERS_FAST], totals->cents,
            any ? totals->event_us_min : 0, any ? totals->event_us_max : 0);
    const char *separator = "";
    for (int reason = MR_REASON_TOO_LARGE; reason <= MR_REASON_OUT_OF_RANGE; reason++) {
        fprintf(file, "%s\"%s\": %" PRIu64, separator, mr_reason_name((enum mr_reason)reason),
                totals->reasons[reason]);
        separator = ", ";
    }
    fputs("}}\n", file);
    int error = fflush(file) != 0 ? errno : 0;
    if (fclose(file) != 0 && !error)
        error = errno;
    if (error)
        return tell_failure(MR_E_FILE_WRITE, sim->options.truth, error, totals->payloads);
    return MR_EXIT_OK;
}

/* Where the payloads go, by the options; NULL after telling why not. */
static struct mr_emitter *make_emitter(const struct sim *sim, int fd, int *exit_code)
{
    struct mr_emitter *emitter;
    char why[256];

    *exit_code = MR_EXIT_SOFTWARE;
    if (!sim->options.topic) {
        emitter = mr_emitter_file(fd, sim->payload_bytes);
        if (!emitter)
            fprintf(stderr, "millrace sim: error %s: %s\n", mr_err_code(MR_E_MEMORY),
                    mr_err_cause(MR_E_MEMORY));
        return emitter;
    }
    emitter = mr_emitter_topic(sim->options.endpoint, sim->options.topic, why);
    if (!emitter) {
        *exit_code = MR_EXIT_UNAVAILABLE;
        fprintf(stderr, "millrace sim: error %s: %s: %s\n  fix:  %s\n", mr_err_code(MR_E_CONNECT),
                mr_err_cause(MR_E_CONNECT), why, mr_err_fix(MR_E_CONNECT));
    }
    return emitter;
}

static int tell_end(struct sim *sim, int error)
{
    if (sim->terminal && error)
        fputc('\n', stderr);
    if (error && sim->options.topic) {
        fprintf(stderr,
                "millrace sim: error %s: %s: %s: %s, after %" PRIu64
                " payloads drawn\n  fix:  %s\n",
                mr_err_code(MR_E_PUBLISH), sim->options.topic, mr_err_cause(MR_E_PUBLISH),
                sim->emitter->why, sim->totals.payloads, mr_err_fix(MR_E_PUBLISH));
        return MR_EXIT_UNAVAILABLE;
    }
    if (error)
        return tell_failure(MR_E_FILE_WRITE, sim->options.out, error, sim->totals.payloads);
    tell_summary(sim);
    return sim->options.truth ? write_truth(sim) : MR_EXIT_OK;
}

static int simulate(struct sim *sim, int fd)
{
    int exit_code;

    sim->payload_bytes = mr_orders_bytes_max(&sim->options.orders);
    sim->payload = malloc(sim->payload_bytes);
    sim->terminal = isatty(STDERR_FILENO);
    sim->totals.event_us_min = INT64_MAX;
    sim->totals.event_us_max = INT64_MIN;
    sim->emitter = make_emitter(sim, fd, &exit_code);
    if (!sim->emitter) {
        free(sim->payload);
        return exit_code;
    }
    if (!sim->payload || mr_orders_init(&sim->orders, &sim->options.orders) != MR_OK) {
        fprintf(stderr, "millrace sim: error %s: %s\n  fix:  fewer --products, or more memory\n",
                mr_err_code(MR_E_MEMORY), mr_err_cause(MR_E_MEMORY));
    } else {
        watch_signals();
        exit_code = tell_end(sim, run(sim));
        mr_orders_finish(&sim->orders);
    }
    sim->emitter->destroy(sim->emitter);
    free(sim->payload);
    return exit_code;
}

int mr_cmd_sim(int argc, char **argv)
{
    struct sim *sim = calloc(1, sizeof *sim);
    int fd = STDOUT_FILENO, exit_code;

    MR_ASSERT(sim);
    if (mr_sim_options_read(&sim->options, argc, argv, stderr) != MR_OK) {
        exit_code = MR_EXIT_USAGE;
        goto out;
    }
    if (sim->options.help) {
        mr_sim_options_help(stdout);
        exit_code = MR_EXIT_OK;
        goto out;
    }
    if (!sim->options.topic && strcmp(sim->options.out, "-") != 0)
        fd = open(sim->options.out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        exit_code = tell_failure(MR_E_FILE_OPEN, sim->options.out, errno, 0);
        goto out;
    }
    exit_code = simulate(sim, fd);
    /* Some file systems tell of a full disk only here. */
    if (fd != STDOUT_FILENO && close(fd) != 0 && exit_code == MR_EXIT_OK)
        exit_code = tell_failure(MR_E_FILE_WRITE, sim->options.out, errno, sim->totals.payloads);
out:
    free(sim);
    return exit_code;
}
