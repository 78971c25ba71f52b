#include "app/local_options.h"

#include "core/err.h"
#include "core/units.h"

#define MEMORY_BYTES INT64_C(4294967296)
#define AGE_US       INT64_C(1800000000) /* of a stream: what the service is seen to do */

enum kind { TEXT, PORT, TLS, TOPIC, SUBSCRIPTION, IO, COUNT, SIZE, DURATION, FLAG };

struct option {
    const char *name, *argument;
    enum kind kind;
    size_t place; /* in struct mr_local_options */
    const char *rule, *example, *help;
};

#define OWN(member)    offsetof(struct mr_local_options, member)
#define SERVER(member) offsetof(struct mr_local_options, server.member)
#define DOOR(door)     (SERVER(ports) + sizeof(int32_t) * (door))

/* clang-format off */
static const struct option table[] = {
    {"--listen", "ADDRESS", TEXT, SERVER(listen), "an address or name of this machine",
     "127.0.0.1", "where to listen (default 127.0.0.1)"},
    {"--pubsub-port", "PORT", PORT, DOOR(MR_SERVER_PUBSUB),
     "a port in [0, 65535], or none", "8085", "Pub/Sub, plaintext; 0: any (default 8085)"},
    {"--bigquery-port", "PORT", PORT, DOOR(MR_SERVER_BIGQUERY),
     "a port in [0, 65535], or none", "9060", "Storage Write, plaintext; 0: any (default 9060)"},
    {"--rest-port", "PORT", PORT, DOOR(MR_SERVER_REST),
     "a port in [0, 65535], or none", "9050", "BigQuery's REST calls; 0: any (default 9050)"},
    {"--tls", "CERT,KEY", TLS, 0, "two PEM files parted by a comma", "cert.pem,key.pem",
     "also listen with TLS, on the two ports below"},
    {"--pubsub-tls-port", "PORT", PORT, DOOR(MR_SERVER_PUBSUB_TLS),
     "a port in [0, 65535], or none", "8443", "with --tls: Pub/Sub; 0: any (default 8443)"},
    {"--bigquery-tls-port", "PORT", PORT, DOOR(MR_SERVER_BIGQUERY_TLS),
     "a port in [0, 65535], or none", "9443", "with --tls: Storage Write; 0: any (default 9443)"},
    {"--data", "DIR", TEXT, SERVER(data), "a directory, made if absent", "./cloud",
     "keep topics, messages and tables there between runs (default: keep nothing)"},
    {"--project", "P", TEXT, OWN(project), "a project's id", "demo",
     "project of the names below, where they have none (default demo)"},
    {"--topic", "T", TOPIC, 0, "a name, or projects/P/topics/T; at most 256 of them",
     "orders-stream", "make this topic; any number of times"},
    {"--subscription", "S:T", SUBSCRIPTION, 0,
     "a subscription's name, a colon, its topic's name; at most 256 of them",
     "orders-millrace:orders-stream", "make this subscription to topic T, and T; any number of times"},
    {"--tables", "CONFIG", TEXT, OWN(tables), "a path", "orders.yaml",
     "make the dataset and tables that this configuration writes to"},
    {"--io", "auto|io_uring|epoll", IO, SERVER(io), "auto, io_uring or epoll", "epoll",
     "how to ask the kernel (default auto: io_uring where allowed)"},
    {"--port-file", "FILE", TEXT, OWN(port_file), "a path", "ports.json",
     "write the ports there as one line of JSON, once they are open"},
    {"--seed", "N", COUNT, SERVER(pubsub.seed), "a whole number, as 42 or 1M", "42",
     "for all that is left to chance (default 1)"},
    {"--stream-age", "DURATION", DURATION, SERVER(pubsub.stream_age_us),
     "a duration with a unit, or 0", "30m",
     "end each StreamingPull at this age, as the service does; 0: never (default 30m)"},
    {"--memory", "SIZE", SIZE, SERVER(pubsub.memory_bytes_limit), "a size with a unit, or 0",
     "4GiB", "publishes beyond it are refused RESOURCE_EXHAUSTED; 0: no limit (default 4GiB)"},
    {"--quiet", "", FLAG, OWN(quiet), "", "", "print only errors and the last line"},
};
/* clang-format on */

static bool read_port(const char *text, int32_t *port)
{
    int64_t value;

    if (strcmp(text, "none") == 0) {
        *port = MR_SERVER_CLOSED;
        return true;
    }
    if (mr_count_parse(text, &value) != NULL || value < 0 || value > 65535)
        return false;
    *port = (int32_t)value;
    return true;
}

static bool read_tls(const char *text, struct mr_local_options *options)
{
    const char *comma = strchr(text, ',');

    if (!comma || comma == text || comma[1] == 0 || strlen(text) >= sizeof options->tls[0])
        return false;
    snprintf(options->tls[0], sizeof options->tls[0], "%.*s", (int)(comma - text), text);
    snprintf(options->tls[1], sizeof options->tls[1], "%s", comma + 1);
    options->server.certificate = options->tls[0];
    options->server.key = options->tls[1];
    return true;
}

static bool read_io(const char *text, enum mr_io_choice *io)
{
    static const char *const names[] = {
        [MR_IO_AUTO] = "auto", [MR_IO_URING] = "io_uring", [MR_IO_EPOLL] = "epoll"};

    for (size_t i = 0; i < MR_COUNT(names); i++)
        if (strcmp(text, names[i]) == 0) {
            *io = (enum mr_io_choice)i;
            return true;
        }
    return false;
}

static bool add_name(const char *text, const char **names, uint32_t *count)
{
    if (text[0] == 0 || *count == MR_LOCAL_NAMES_MAX)
        return false;
    names[(*count)++] = text;
    return true;
}

static bool not_negative(const char *wrong, int64_t value, int64_t *place)
{
    if (wrong || value < 0)
        return false;
    *place = value;
    return true;
}

static bool read_value(const struct option *option, const char *text, struct mr_local_options *o)
{
    void *place = (char *)o + option->place;
    const char *colon = strchr(text, ':');
    const char *wrong;
    int64_t value = 0;

    switch (option->kind) {
    case TEXT:
        *(const char **)place = text;
        return text[0] != 0;
    case PORT:
        return read_port(text, place);
    case TLS:
        return read_tls(text, o);
    case TOPIC:
        return add_name(text, o->topics, &o->topic_count);
    case SUBSCRIPTION:
        return colon && colon > text && colon[1] != 0 &&
               add_name(text, o->subscriptions, &o->subscription_count);
    case IO:
        return read_io(text, place);
    case COUNT:
        wrong = mr_count_parse(text, &value);
        return not_negative(wrong, value, place);
    case SIZE:
        wrong = mr_size_parse(text, &value);
        return not_negative(wrong, value, place);
    case DURATION:
        wrong = mr_duration_parse(text, &value);
        return not_negative(wrong, value, place);
    case FLAG:
        break;
    }
    return false;
}

static int wrong(FILE *errors, const char *what, const char *value, const char *rule,
                 const char *fix)
{
    fprintf(errors, "millrace local: error %s: %s", mr_err_code(MR_E_USAGE), what);
    if (value)
        fprintf(errors, " '%s'", value);
    fprintf(errors, "\n  rule: %s\n  fix:  %s\n", rule, fix);
    return 1;
}

static const struct option *find(const char *name, size_t bytes)
{
    for (size_t i = 0; i < MR_COUNT(table); i++)
        if (strlen(table[i].name) == bytes && memcmp(table[i].name, name, bytes) == 0)
            return &table[i];
    return NULL;
}

/* Takes one option, "--name value" or "--name=value" or a flag; returns the errors told. */
static int take(struct mr_local_options *options, char **argv, int argc, int *at, FILE *errors)
{
    const char *word = argv[*at];
    const char *equals = strchr(word, '=');
    const struct option *option = find(word, equals ? (size_t)(equals - word) : strlen(word));
    char what[64], fix[128];

    if (!option) {
        if (word[0] == '-' && !equals && *at + 1 < argc && argv[*at + 1][0] != '-')
            ++*at; /* its value, else told as a second mistake */
        return wrong(errors, "no such option", word,
                     "options begin with -- and are listed by --help", "millrace local --help");
    }
    if (option->kind == FLAG) {
        *(bool *)((char *)options + option->place) = true;
        return 0;
    }
    snprintf(fix, sizeof fix, "for example %s %s", option->name, option->example);
    snprintf(what, sizeof what, "%s has no value", option->name);
    if (!equals && *at + 1 >= argc)
        return wrong(errors, what, NULL, option->rule, fix);
    const char *value = equals ? equals + 1 : argv[++*at];
    snprintf(what, sizeof what, "%s cannot be", option->name);
    return read_value(option, value, options) ? 0 : wrong(errors, what, value, option->rule, fix);
}

int mr_local_options_read(struct mr_local_options *options, int argc, char **argv, FILE *errors)
{
    int count = 0;

    memset(options, 0, sizeof *options);
    options->project = "demo";
    options->server = (struct mr_server_options){
        .listen = "127.0.0.1",
        .ports = {[MR_SERVER_PUBSUB] = 8085,
                  [MR_SERVER_BIGQUERY] = 9060,
                  [MR_SERVER_REST] = 9050,
                  [MR_SERVER_PUBSUB_TLS] = 8443,
                  [MR_SERVER_BIGQUERY_TLS] = 9443},
        .pubsub = {.seed = 1, .memory_bytes_limit = MEMORY_BYTES, .stream_age_us = AGE_US},
    };
    for (int at = 1; at < argc; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            options->help = true;
            return MR_OK;
        }
        count += take(options, argv, argc, &at, errors);
    }
    if (!options->server.certificate)
        options->server.ports[MR_SERVER_PUBSUB_TLS] =
            options->server.ports[MR_SERVER_BIGQUERY_TLS] = MR_SERVER_CLOSED;
    return count > 0 ? MR_E_USAGE : MR_OK;
}

void mr_local_options_help(FILE *out)
{
    fputs("Usage: millrace local [OPTION...]\n\n"
          "Pub/Sub and BigQuery on this machine, for any client that speaks to the real ones.\n"
          "It runs until it is interrupted.\n\nOptions:\n",
          out);
    for (size_t i = 0; i < MR_COUNT(table); i++) {
        char head[64];
        snprintf(head, sizeof head, "%s %s", table[i].name, table[i].argument);
        fprintf(out, "  %-26s %s\n", head, table[i].help);
    }
    fputs(
        "  --help                     this text\n\nExamples:\n"
        "  millrace local --subscription orders-millrace:orders-stream\n"
        "  millrace local --pubsub-port 0 --bigquery-port 0 --rest-port 0 --port-file ports.json\n"
        "  millrace local --data ./cloud --stream-age 5m --topic orders-dlq\n"
        "  millrace local --listen ::1 --tls cert.pem,key.pem\n\n"
        "Exit: 0 interrupted, state saved · 64 usage · 65 the state cannot be read · 69 a port or "
        "the\n"
        "      directory is taken · 70 memory · 73 cannot create a file · 74 cannot write\n",
        out);
}
