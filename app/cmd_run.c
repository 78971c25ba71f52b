#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/cmd.h"
#include "app/progress.h"
#include "app/summary.h"
#include "app/topology.h"
#include "core/clock.h"
#include "core/units.h"

#define SETS_MAX   64
#define LOOK_US    10000                /* between looks at the workers */
#define DRAINED_NS UINT64_C(2000000000) /* nothing came and nothing is in flight for so long */

static const char usage[] =
    "usage: millrace run CONFIG [--set a.b=c]... [--until-drained] [--dry-run] [--quiet]\n"
    "                    [--summary-json FILE] [--progress DURATION]\n"
    "Runs the pipeline: a file to its end, a subscription until it is interrupted (it then\n"
    "fires every window, acknowledges and ends; a second signal ends at once).\n"
    "  --set a.b=c          replace a value of the configuration; windows.0.size=10m\n"
    "  --until-drained      end a subscription once it has been empty for two seconds (after a\n"
    "                       broken connection: for a minute, as long as lost messages are leased)\n"
    "  --dry-run            check and prepare everything, then stop\n"
    "  --quiet              no progress, no summary\n"
    "  --summary-json FILE  write the counts as one JSON object; - is standard output\n"
    "  --progress DURATION  how often to tell progress (default 100ms on a terminal, else 10s)\n"
    "examples:\n"
    "  millrace run orders.yaml\n"
    "  cat orders.ndjson | millrace run orders.yaml --set source.file.path=-\n"
    "exit: 0 done, 64 usage, 65 a law of conservation is broken, 66 no input, 69 a service refuses "
    "or\n"
    "      is not the right one, 70 out of memory or keys, 73 an output cannot be made, 74 reading "
    "or\n"
    "      writing failed, 75 drained but not all acknowledged, 77 no credentials, 78 "
    "configuration, 130 "
    "interrupted\n";

struct options {
    const char *config, *summary_json;
    bool dry_run, quiet, until_drained;
    struct mr_config_set sets[SETS_MAX];
    uint32_t set_count;
    int64_t progress_us; /* 0: what suits the place */
};

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    (void)number;
    interrupted++;
}

static bool misused(const char *what, const char *which)
{
    fprintf(stderr, "millrace run: %s %s: %s\n%s", mr_err_code(MR_E_USAGE), what, which, usage);
    return false;
}

static bool add_set(struct options *options, char *set)
{
    char *equals = set ? strchr(set, '=') : NULL;

    if (!equals || equals == set)
        return misused("--set takes a.b=c", set ? set : "nothing");
    if (options->set_count == SETS_MAX)
        return misused("too many --set", set);
    *equals = '\0';
    options->sets[options->set_count++] = (struct mr_config_set){set, equals + 1};
    return true;
}

static bool parse(struct options *options, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--set") == 0) {
            if (!add_set(options, ++i < argc ? argv[i] : NULL))
                return false;
        } else if (strcmp(word, "--summary-json") == 0) {
            if (++i == argc)
                return misused("a file name is missing after", word);
            options->summary_json = argv[i];
        } else if (strcmp(word, "--progress") == 0) {
            const char *text = ++i < argc ? argv[i] : "nothing";
            if (mr_duration_parse(text, &options->progress_us) || options->progress_us <= 0)
                return misused("--progress takes a duration, as 1s", text);
        } else if (strcmp(word, "--dry-run") == 0) {
            options->dry_run = true;
        } else if (strcmp(word, "--until-drained") == 0) {
            options->until_drained = true;
        } else if (strcmp(word, "--quiet") == 0) {
            options->quiet = true;
        } else if (word[0] == '-' && word[1] != '\0') {
            return misused("unknown option", word);
        } else if (options->config) {
            return misused("one configuration only", word);
        } else {
            options->config = word;
        }
    }
    return options->config || misused("which configuration?", "CONFIG is missing");
}

static int tell(int exit_code, int err, const char *text)
{
    fprintf(stderr, "millrace: %s %s: %s\n  fix: %s\n", mr_err_code(err), mr_err_cause(err), text,
            mr_err_fix(err));
    return exit_code;
}

static int open_output(const char *path)
{
    if (!path)
        return -1;
    if (strcmp(path, "-") == 0)
        return dup(STDOUT_FILENO);
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
}

static int open_files(const struct mr_config *config, struct mr_topology_files *files)
{
    const char *source = config->source.file;
    char text[300];

    *files = (struct mr_topology_files){-1, -1, -1};
    if (source)
        files->source = strcmp(source, "-") == 0 ? dup(STDIN_FILENO)
                                                 : open(source, O_RDONLY | O_CLOEXEC);
    if (source && files->source < 0) {
        snprintf(text, sizeof text, "%s: %s", source, strerror(errno));
        return tell(MR_EXIT_NO_INPUT, MR_E_FILE_OPEN, text);
    }
    const char *outputs[] = {config->sinks.file, config->sinks.dead_letter_file};
    int *descriptors[] = {&files->rows, &files->letters};
    for (int i = 0; i < 2; i++) {
        *descriptors[i] = open_output(outputs[i]);
        if (outputs[i] && *descriptors[i] < 0) {
            snprintf(text, sizeof text, "%s: %s", outputs[i], strerror(errno));
            return tell(MR_EXIT_CANNOT_CREATE, MR_E_FILE_OPEN, text);
        }
    }
    return MR_EXIT_OK;
}

static void close_files(const struct mr_topology_files *files)
{
    const int descriptors[] = {files->source, files->rows, files->letters};

    for (int i = 0; i < 3; i++)
        if (descriptors[i] >= 0)
            close(descriptors[i]);
}

static uint64_t size_of(int descriptor)
{
    struct stat status;
    return fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) ? (uint64_t)status.st_size
                                                                      : 0;
}

static int exit_code_of(int err)
{
    switch (err) {
    case MR_OK:
        return MR_EXIT_OK;
    case MR_E_FILE_READ:
    case MR_E_FILE_WRITE:
        return MR_EXIT_IO;
    case MR_E_TLS_FILE:
        return MR_EXIT_NO_INPUT;
    case MR_E_ADDRESS:
        return MR_EXIT_CONFIG;
    case MR_E_CREDENTIALS:
        return MR_EXIT_PERMISSION;
    case MR_E_REST:
    case MR_E_DEAD_LETTERS:
    case MR_E_RESOLVE:
    case MR_E_CONNECT:
    case MR_E_HTTP2:
    case MR_E_TLS:
    case MR_E_TLS_CERTIFICATE:
    case MR_E_TLS_ALPN:
    case MR_E_PUBSUB_REFUSED:
    case MR_E_PUBLISH:
    case MR_E_BIGQUERY_REFUSED:
    case MR_E_BIGQUERY_TABLE:
    case MR_E_BIGQUERY_CREDENTIAL:
        return MR_EXIT_UNAVAILABLE;
    default:
        return MR_EXIT_SOFTWARE;
    }
}

static void begin_draining(struct mr_topology *topology, const struct options *options)
{
    if (interrupted > 0 && !options->quiet && !atomic_load(&topology->drain))
        fprintf(stderr, "millrace: draining: nothing more is pulled, every window fires, all is "
                        "acknowledged; interrupt again to end at once\n");
    atomic_store(&topology->drain, true);
}

/* Watches the workers until they are done or one fails. The first signal drains a subscription
 * and ends a file at once; the second ends anything. */
static void watch(struct mr_topology *topology, struct mr_progress *progress,
                  const struct options *options)
{
    struct mr_intake intake;

    while (!mr_topology_is_done(topology) && mr_fault_err(&topology->fault) == MR_OK &&
           interrupted < (topology->from_pubsub ? 2 : 1)) {
        mr_topology_intake(topology, &intake);
        if (interrupted > 0 ||
            (options->until_drained && topology->from_pubsub && intake.idle_ns >= DRAINED_NS))
            begin_draining(topology, options);
        mr_progress_tell(progress, intake.received, intake.bytes);
        usleep(LOOK_US);
    }
    mr_progress_end(progress);
}

static int write_summary_json(const struct mr_summary *summary, const char *path)
{
    FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    bool written = out != NULL;

    if (out) {
        mr_summary_print_json(summary, out);
        written = fflush(out) == 0;
        if (out != stdout)
            written = fclose(out) == 0 && written;
    }
    return written ? MR_EXIT_OK : tell(MR_EXIT_CANNOT_CREATE, MR_E_FILE_WRITE, path);
}

static bool all_is_acknowledged(struct mr_topology *topology)
{
    struct mr_intake intake;

    mr_topology_intake(topology, &intake);
    if (intake.unacknowledged == 0)
        return true;
    fprintf(stderr,
            "millrace: %llu messages are in the rows but not acknowledged, for Pub/Sub does not "
            "answer: they will come again\n",
            (unsigned long long)intake.unacknowledged);
    return false;
}

static int report(struct mr_topology *topology, const struct options *options, double seconds)
{
    struct mr_summary summary;
    int err = mr_fault_err(&topology->fault);

    if (err != MR_OK)
        return tell(exit_code_of(err), err, topology->fault.text);
    if (!mr_topology_is_done(topology)) {
        fprintf(stderr, "millrace: interrupted before the source was drained; the rows written so "
                        "far are not complete\n");
        return 128 + SIGINT;
    }
    mr_summary_read(&summary, topology, seconds);
    if (!options->quiet)
        mr_summary_print(&summary, topology->plan->config, stderr);
    if (options->summary_json) {
        int code = write_summary_json(&summary, options->summary_json);
        if (code != MR_EXIT_OK)
            return code;
    }
    if (summary.broken_law)
        return MR_EXIT_DATA;
    return all_is_acknowledged(topology) ? MR_EXIT_OK : MR_EXIT_TEMPORARY;
}

static int run(const struct mr_plan *plan, const struct options *options,
               const struct mr_topology_files *files)
{
    struct mr_topology *topology = calloc(1, sizeof *topology);
    struct mr_progress progress;
    uint64_t started_ns = mr_now_ns();

    if (!topology)
        return tell(MR_EXIT_SOFTWARE, MR_E_MEMORY, "the topology");
    int err = mr_topology_init(topology, plan, files);
    if (err == MR_OK && !options->dry_run) {
        mr_progress_init(&progress, options->quiet, options->progress_us, size_of(files->source));
        if (mr_topology_start(topology) == MR_OK)
            watch(topology, &progress, options);
        mr_topology_stop(topology);
    }
    int code = options->dry_run && err == MR_OK
                   ? MR_EXIT_OK
                   : report(topology, options, (double)(mr_now_ns() - started_ns) / 1e9);
    mr_topology_finish(topology);
    free(topology);
    return code;
}

static int run_config(const struct mr_config *config, const struct options *options)
{
    struct mr_topology_files files;
    struct mr_plan plan;
    const char *refusal = mr_plan_init(&plan, config);

    if (refusal) {
        fprintf(stderr, "millrace run: %s\n", refusal);
        return MR_EXIT_CONFIG;
    }
    int code = open_files(config, &files);
    if (code == MR_EXIT_OK)
        code = run(&plan, options, &files);
    close_files(&files);
    return code;
}

int mr_cmd_run(int argc, char **argv)
{
    struct options options = {0};
    struct mr_config config;
    struct sigaction action = {.sa_handler = interrupt};

    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return MR_EXIT_OK;
    }
    if (!parse(&options, argc, argv))
        return MR_EXIT_USAGE;
    if (strcmp(options.config, "-") != 0 && access(options.config, R_OK) != 0) {
        fprintf(stderr, "millrace run: %s: %s\n", options.config, strerror(errno));
        return MR_EXIT_NO_INPUT;
    }
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    uint32_t errors = mr_config_read(&config, options.config, options.sets, options.set_count,
                                     stderr);
    int code = errors > 0 ? MR_EXIT_CONFIG : run_config(&config, &options);
    mr_config_finish(&config);
    return code;
}
