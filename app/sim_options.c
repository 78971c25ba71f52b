#include "app/sim_options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "core/err.h"

#define DAY_S     86400.0
#define RATE_MIN  0.001         /* payloads a second, as mr_orders_settings has it */
#define SPAN_MAX  (366 * DAY_S) /* of durations */
#define YEAR_9999 INT64_C(253402300799)
#define YEAR_1    INT64_C(-62135596800)

enum kind { REAL, WHOLE, WHOLE_32, SPAN, COUNT, TEXT, PROFILE, START, REGIONS, FAST };

struct option {
    const char *name, *argument;
    enum kind kind;
    size_t place; /* in struct mr_sim_options */
    double min, max;
    const char *rule, *example, *help;
};

#define OWN(member)   offsetof(struct mr_sim_options, member)
#define ORDER(member) offsetof(struct mr_sim_options, orders.member)

/* clang-format off */
static const struct option table[] = {
    {"--out", "FILE", TEXT, OWN(out), 0, 0, "a path, or - for standard output", "orders.ndjson",
     "where the orders go, one a line (default -)"},
    {"--topic", "TOPIC", TEXT, OWN(topic), 0, 0, "projects/P/topics/T",
     "projects/demo/topics/orders-stream", "publish to this topic instead of writing lines"},
    {"--endpoint", "HOST:PORT", TEXT, OWN(endpoint), 0, 0, "host:port", "127.0.0.1:8085",
     "of Pub/Sub, plaintext (default $PUBSUB_EMULATOR_HOST, else 127.0.0.1:8085)"},
    {"--count", "N", COUNT, OWN(count), 0, 1e15,
     "a whole number up to 1000000000000000, or forever", "1000000",
     "payloads in all, repeats and broken ones included (default 1000)"},
    {"--rate", "R", REAL, OWN(rate), 0, 1e7,
     "payloads a second: 0, or in [0.001, 10000000]", "250",
     "payloads a second; 0: as fast as possible (default 0)"},
    {"--seed", "N", WHOLE, ORDER(seed), 0, 9e18, "a whole number up to 9000000000000000000", "42",
     "same seed and settings, same bytes (default 1)"},
    {"--profile", "live|seed", PROFILE, ORDER(profile), 0, 0, "live or seed", "live",
     "live: event time moves on from --start; seed: 0 to 120 days before it (default live)"},
    {"--start", "TIME", START, ORDER(start_us), 0, 0,
     "now, or a time such as 2025-07-22T12:00:00, UTC, in years 1 to 9999", "2025-07-22T12:00:00",
     "event time of the first order (default 2025-07-22T12:00:00)"},
    {"--event-rate", "R", REAL, ORDER(orders_per_s), 0.001, 1e9,
     "orders a second of event time in [0.001, 1000000000]", "250",
     "with --rate 0: orders a second of event time at speed 1 (default 250)"},
    {"--speed", "X", REAL, ORDER(speed), 0, 1e6, "a factor in [0, 1000000]", "60",
     "event time runs X times as fast as publish time (default 1)"},
    {"--disorder", "DURATION", SPAN, ORDER(disorder_us), 0, SPAN_MAX,
     "a duration in [0s, 366d], with a unit (us, ms, s, m, h, d)", "5s",
     "live: event time is up to so far behind the clock (default 5s)"},
    {"--late-ratio", "P", REAL, ORDER(late_ratio), 0, 1, "a share in [0, 1]", "0.01",
     "live: share of orders behind the disorder (default 0)"},
    {"--late-by", "DURATION", SPAN, ORDER(late_by_us), 0, 30 * DAY_S,
     "a duration in [0s, 30d], with a unit (us, ms, s, m, h, d)", "2m",
     "three in four are late by up to this, one by up to 20 times this (default 2m)"},
    {"--clock-skew", "P:DURATION", FAST, 0, 0, 0,
     "a share in [0, 1], a colon, a duration up to 366d with a unit", "0.001:30s",
     "live: share of orders from clocks that run ahead, and by how much (default 0:30s)"},
    {"--invalid-ratio", "P", REAL, ORDER(invalid_ratio), 0, 1, "a share in [0, 1]", "0.005",
     "share of broken payloads, each fault in turn (default 0)"},
    {"--too-large", "BYTES", WHOLE_32, ORDER(too_large_bytes), 1024, 10 << 20,
     "a whole number of bytes in [1024, 10485760]", "2000000",
     "one broken payload in 50 has this size (default: none)"},
    {"--duplicate-ratio", "P", REAL, ORDER(duplicate_ratio), 0, 1, "a share in [0, 1]", "0.01",
     "share of payloads that repeat an earlier order (default 0)"},
    {"--duplicate-within", "N", WHOLE_32, ORDER(recent), 1, MR_ORDERS_RECENT_MAX,
     "a whole number in [1, 4096]", "1024", "repeats reach back so many orders (default 1024)"},
    {"--skew", "S", REAL, ORDER(skew), 0, 5, "an exponent in [0, 5]", "1.1",
     "Zipf's exponent for products and regions; 0: all alike (default 0)"},
    {"--products", "N", WHOLE_32, ORDER(products), 1, MR_ORDERS_PRODUCTS_MAX,
     "a whole number in [1, 1000000]", "1000", "products P001 to PN (default 4)"},
    {"--regions", "A,B,...", REGIONS, 0, 0, 0,
     "1 to 64 names parted by commas, each 1 to 31 of A-Z a-z 0-9 _ . -", "us-west,asia",
     "names of regions (default us-west,us-east,europe,asia)"},
    {"--truth", "FILE", TEXT, OWN(truth), 0, 0, "a path", "truth.json",
     "write the totals there at the end, as one line of JSON"},
    {"--progress", "DURATION", SPAN, OWN(progress_us), 0.01, DAY_S,
     "a duration in [10ms, 1d], with a unit", "1s",
     "how often to tell progress (default 200ms on a terminal, else 10s)"},
};
/* clang-format on */

static bool read_real(const char *text, double min, double max, double *value)
{
    char *end;

    if (!isdigit((unsigned char)text[0]) && text[0] != '.')
        return false;
    double read = strtod(text, &end);
    if (*end != 0 || !isfinite(read) || read < min || read > max)
        return false;
    *value = read; /* a wrong value stays out, or rules between options would tell it again */
    return true;
}

static bool read_whole(const char *text, double min, double max, uint64_t *value)
{
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return *end == 0 && errno == 0 && (double)*value >= min && (double)*value <= max;
}

static bool read_span(const char *text, double min_s, double max_s, int64_t *value_us)
{
    static const struct {
        const char *name;
        double us;
    } units[] = {{"us", 1},   {"ms", 1e3},   {"s", 1e6},
                 {"m", 60e6}, {"h", 3600e6}, {"d", DAY_S * 1e6}};
    char *end;

    if (!isdigit((unsigned char)text[0]) && text[0] != '.')
        return false;
    double number = strtod(text, &end);
    for (size_t i = 0; i < MR_COUNT(units); i++) {
        if (strcmp(end, units[i].name) != 0)
            continue;
        double us = number * units[i].us;
        if (!(us >= min_s * 1e6 && us <= max_s * 1e6))
            return false;
        *value_us = (int64_t)(us + 0.5);
        return true;
    }
    return false;
}

/* "now", "2025-07-22" or "2025-07-22T12:00:00" with or without a Z, always UTC. */
static bool read_start(const char *text, int64_t *value_us)
{
    struct tm tm = {.tm_mday = 1}, again;

    if (strcmp(text, "now") == 0) {
        *value_us = mr_wall_us();
        return true;
    }
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    if (end && *end == 'T')
        end = strptime(end + 1, "%H:%M:%S", &tm);
    if (!end || strcmp(*end == 'Z' ? end + 1 : end, "") != 0)
        return false;
    int day = tm.tm_mday;
    time_t seconds = timegm(&tm);
    /* strptime lets 30 February through; the way back does not. */
    if (!gmtime_r(&seconds, &again) || again.tm_mday != day)
        return false;
    *value_us = (int64_t)seconds * 1000000;
    return seconds >= YEAR_1 && seconds <= YEAR_9999;
}

static bool read_regions(const char *text, struct mr_orders_settings *orders)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    uint32_t count = 0;

    for (;;) {
        size_t bytes = strspn(text, letters);
        if (bytes == 0 || bytes >= MR_ORDERS_REGION_BYTES || count == MR_ORDERS_REGIONS_MAX)
            return false;
        memcpy(orders->regions[count], text, bytes);
        orders->regions[count++][bytes] = 0;
        text += bytes;
        if (*text == 0)
            break;
        if (*text++ != ',')
            return false;
    }
    orders->region_count = count;
    return true;
}

static bool read_fast(const char *text, struct mr_orders_settings *orders)
{
    const char *colon = strchr(text, ':');
    char share[32];

    if (!colon || (size_t)(colon - text) >= sizeof share)
        return false;
    memcpy(share, text, (size_t)(colon - text));
    share[colon - text] = 0;
    return read_real(share, 0, 1, &orders->fast_ratio) &&
           read_span(colon + 1, 0, SPAN_MAX, &orders->fast_by_us);
}

static bool read_value(const struct option *option, const char *text,
                       struct mr_sim_options *options)
{
    void *place = (char *)options + option->place;
    uint64_t whole;

    switch (option->kind) {
    case REAL:
        return read_real(text, option->min, option->max, place);
    case COUNT:
        if (strcmp(text, "forever") == 0) {
            *(uint64_t *)place = MR_SIM_FOREVER;
            return true;
        }
        return read_whole(text, option->min, option->max, place);
    case WHOLE:
        return read_whole(text, option->min, option->max, place);
    case WHOLE_32:
        if (!read_whole(text, option->min, option->max, &whole))
            return false;
        *(uint32_t *)place = (uint32_t)whole;
        return true;
    case SPAN:
        return read_span(text, option->min, option->max, place);
    case TEXT:
        *(const char **)place = text;
        return text[0] != 0;
    case PROFILE:
        options->orders.profile = strcmp(text, "seed") == 0 ? MR_ORDERS_SEED : MR_ORDERS_LIVE;
        return strcmp(text, "seed") == 0 || strcmp(text, "live") == 0;
    case START:
        return read_start(text, place);
    case REGIONS:
        return read_regions(text, &options->orders);
    case FAST:
        return read_fast(text, &options->orders);
    }
    return false;
}

static int wrong(FILE *errors, const char *what, const char *value, const char *rule,
                 const char *fix)
{
    fprintf(errors, "millrace sim: error %s: %s", mr_err_code(MR_E_USAGE), what);
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

/* Takes one option with its value, "--name value" or "--name=value"; returns the errors told. */
static int take(struct mr_sim_options *options, char **argv, int argc, int *at, uint32_t *given,
                FILE *errors)
{
    const char *word = argv[*at];
    const char *equals = strchr(word, '=');
    const struct option *option = find(word, equals ? (size_t)(equals - word) : strlen(word));
    char what[64], fix[128];

    if (!option) {
        if (word[0] == '-' && !equals && *at + 1 < argc && argv[*at + 1][0] != '-')
            ++*at; /* its value, else told as a second mistake */
        return wrong(errors, "no such option", word,
                     "options begin with -- and are listed by --help", "millrace sim --help");
    }
    snprintf(fix, sizeof fix, "for example %s %s", option->name, option->example);
    snprintf(what, sizeof what, "%s has no value", option->name);
    if (!equals && *at + 1 >= argc)
        return wrong(errors, what, NULL, option->rule, fix);
    const char *value = equals ? equals + 1 : argv[++*at];
    snprintf(what, sizeof what, "%s cannot be", option->name);
    if (!read_value(option, value, options))
        return wrong(errors, what, value, option->rule, fix);
    *given |= 1u << (option - table);
    return 0;
}

static bool has(uint32_t given, const char *name)
{
    return given >> (find(name, strlen(name)) - table) & 1;
}

/* Rules between options. */
static int check(struct mr_sim_options *options, uint32_t given, FILE *errors)
{
    static const char *const live[] = {"--disorder", "--late-ratio", "--late-by", "--clock-skew"};
    struct mr_orders_settings *orders = &options->orders;
    double sum = orders->late_ratio + orders->fast_ratio + orders->invalid_ratio +
                 orders->duplicate_ratio;
    char found[32];
    int count = 0;

    for (size_t i = 0; i < MR_COUNT(live); i++)
        if (orders->profile == MR_ORDERS_SEED && has(given, live[i]))
            count += wrong(errors, live[i], "with --profile seed",
                           "the seed's times are spread over 120 days, so none is late by design",
                           "leave it out, or use --profile live");
    snprintf(found, sizeof found, "%g", sum);
    if (sum > 1)
        count += wrong(errors,
                       "--late-ratio, --clock-skew, --invalid-ratio and --duplicate-ratio sum to",
                       found, "together at most 1", "lower one of them");
    if (has(given, "--event-rate") && options->rate > 0)
        count += wrong(errors, "--event-rate beside --rate", NULL,
                       "at a given --rate the event rate is --rate divided by --speed",
                       "leave --event-rate out, or set --rate 0");
    if (options->rate > 0 && options->rate < RATE_MIN)
        count += wrong(errors, "--rate is too low", NULL, "0, or in [0.001, 10000000]",
                       "--rate 0.001, or --rate 0 for as fast as possible");
    if (options->topic && has(given, "--out"))
        count += wrong(errors, "--out beside --topic", options->topic,
                       "orders go to a file or to a topic", "leave one of them out");
    if (options->topic && strncmp(options->topic, "projects/", 9) != 0)
        count += wrong(errors, "--topic", options->topic, "the full name of a topic",
                       "--topic projects/demo/topics/orders-stream");
    if (options->truth && strcmp(options->truth, options->out) == 0)
        count += wrong(errors, "--truth and --out are both", options->out,
                       "orders and totals go to different files", "--truth truth.json");
    if (options->rate > 0)
        orders->orders_per_s = options->rate;
    return count;
}

int mr_sim_options_read(struct mr_sim_options *options, int argc, char **argv, FILE *errors)
{
    uint32_t given = 0;
    int count = 0;

    _Static_assert(MR_COUNT(table) <= 32, "one bit an option");
    const char *emulator = getenv("PUBSUB_EMULATOR_HOST");
    *options = (struct mr_sim_options){.count = 1000, .out = "-"};
    options->endpoint = emulator && *emulator ? emulator : "127.0.0.1:8085";
    mr_orders_defaults(&options->orders);
    for (int at = 1; at < argc; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            options->help = true;
            return MR_OK;
        }
        count += take(options, argv, argc, &at, &given, errors);
    }
    count += check(options, given, errors);
    return count > 0 ? MR_E_USAGE : MR_OK;
}

void mr_sim_options_help(FILE *out)
{
    fputs("Usage: millrace sim [OPTION...]\n\n"
          "Writes seeded orders as NDJSON, one a line, or publishes them: same seed and settings, "
          "same\n"
          "bytes.\n"
          "Late, broken and repeated orders come in the shares asked for.\n\nOptions:\n",
          out);
    for (size_t i = 0; i < MR_COUNT(table); i++) {
        char head[48];
        snprintf(head, sizeof head, "%s %s", table[i].name, table[i].argument);
        fprintf(out, "  %-24s %s\n", head, table[i].help);
    }
    fputs("  --help                   this text\n\nExamples:\n"
          "  millrace sim --out orders.ndjson --count 1000000\n"
          "  millrace sim --count 1000000 --event-rate 277 --late-ratio 0.01 \\\n"
          "      --invalid-ratio 0.005 --duplicate-ratio 0.01 --out orders.ndjson --truth "
          "truth.json\n"
          "  millrace sim --rate 250 --speed 60 --start now --count forever\n"
          "  millrace sim --profile seed --count 500 --out seed.ndjson\n"
          "  millrace sim --topic projects/demo/topics/orders-stream --rate 1000 --start now\n\n"
          "Exit: 0 done or interrupted · 64 usage · 69 no Pub/Sub · 70 memory · 73 cannot create a "
          "file\n"
          "      74 cannot write\n",
          out);
}
