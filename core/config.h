/* The configuration as one typed tree, filled from YAML, environment and --set.
 * One table (core/settings.def) names each scalar setting with its type, unit, range, default and
 * line of help; it gives parsing, messages, --help, the JSON Schema and the reference page.
 *
 * Units   `_us` and `_ns` as everywhere; sizes in bytes.
 * Owns    strings live in the configuration until mr_config_finish.
 * Thread  filled by one thread at start, read-only afterwards. */
#ifndef MR_CORE_CONFIG_H
#define MR_CORE_CONFIG_H

#include <stdio.h>

#include "core/base.h"

#define MR_FIELDS_MAX       64 /* decoded fields */
#define MR_WINDOWS_MAX      16 /* window definitions */
#define MR_GROUP_FIELDS_MAX 8  /* fields of one group_by, and of route_by */
#define MR_AGGREGATES_MAX   32 /* aggregates of one definition */
#define MR_PATH_MAX         8  /* nesting of `from: a.b.c` */
#define MR_WORKERS_MAX      64 /* of each role */
#define MR_SCALE_MAX        9  /* decimal digits: NUMERIC's nine */
#define MR_BATCH_ROWS_MAX   4096

enum mr_type { MR_TYPE_STRING, MR_TYPE_INT, MR_TYPE_BOOL, MR_TYPE_DECIMAL, MR_TYPE_EVENT_TIME };
enum mr_time_unit { MR_UNIT_AUTO, MR_UNIT_S, MR_UNIT_MS, MR_UNIT_US, MR_UNIT_NS };
enum mr_time_from { MR_TIME_FROM_PAYLOAD, MR_TIME_FROM_ATTRIBUTE, MR_TIME_FROM_PUBLISH };

/* One entry of decode.fields. Exactly one field is the event time. */
struct mr_field {
    const char *name;
    enum mr_type type;
    uint8_t scale;          /* decimal digits after the point, [0, MR_SCALE_MAX] */
    bool optional;          /* absent or null is no error */
    bool from_string;       /* `string: true`: numbers also as JSON strings */
    enum mr_time_unit unit; /* event time given as a number */
    enum mr_time_from time_from;
    const char *attribute;         /* for MR_TIME_FROM_ATTRIBUTE */
    const char *path[MR_PATH_MAX]; /* `from: a.b` -> {"a", "b"}; defaults to {name} */
    uint32_t path_count;
};

enum mr_aggregate_kind { MR_COUNT_OF, MR_SUM_OF, MR_MIN_OF, MR_MAX_OF, MR_AVG_OF };

struct mr_aggregate {
    enum mr_aggregate_kind kind;
    uint32_t field; /* index into fields; unused by count */
};

/* "count", "sum", "min", "max", "avg": as in sum(amount), and amount_sum as a column. */
const char *mr_aggregate_name(enum mr_aggregate_kind kind);

enum mr_accumulation { MR_ACCUMULATING, MR_DISCARDING };

/* When a window fires besides on time; at most one of the two is non-zero. */
struct mr_trigger {
    int64_t every_us;
    uint64_t count;
};

/* One entry of windows. Windows are [k*hop + offset, k*hop + offset + size). */
struct mr_window {
    const char *name;
    uint32_t group_by[MR_GROUP_FIELDS_MAX];
    uint32_t group_count;
    int64_t size_us, hop_us; /* > 0; hop defaults to size */
    int64_t offset_us;       /* normalised into [0, hop) */
    int64_t lateness_us;     /* >= 0 */
    enum mr_accumulation accumulation;
    struct mr_trigger early; /* none by default */
    struct mr_trigger late;  /* default: count 1, each late order fires at once */
    struct mr_aggregate aggregates[MR_AGGREGATES_MAX];
    uint32_t aggregate_count;
};

enum mr_format { MR_FORMAT_JSON };
enum mr_strategy { MR_WATERMARK_BOUNDED, MR_WATERMARK_BACKLOG };
enum mr_dedup_by { MR_DEDUP_NONE, MR_DEDUP_MESSAGE_ID, MR_DEDUP_FIELD };
enum mr_delivery { MR_EXACTLY_ONCE, MR_AT_LEAST_ONCE, MR_UPSERT };
enum mr_idle { MR_IDLE_AUTO, MR_IDLE_SPIN, MR_IDLE_PARK };
enum mr_io_choice { MR_IO_AUTO, MR_IO_URING, MR_IO_EPOLL };
enum { MR_FIRE_EARLY = 1, MR_FIRE_ON_TIME = 2, MR_FIRE_LATE = 4 };

struct mr_config {
    struct {
        const char *file; /* NULL: not a file source; "-" is standard input */
        struct {
            const char *subscription;  /* NULL: not a Pub/Sub source */
            const char *endpoint;      /* host:port, default pubsub.googleapis.com:443 */
            bool plaintext, anonymous; /* anonymous: TLS, but no credentials */
            const char *ca_file;
            uint32_t streams;
        } pubsub;
    } source;
    struct {
        enum mr_format format;
        struct mr_field fields[MR_FIELDS_MAX];
        uint32_t field_count;
        uint32_t event_time; /* index of the event time field */
        uint64_t payload_bytes_max;
        enum mr_dedup_by dedup_by;
        uint32_t dedup_field;
        int64_t dedup_horizon_us;
    } decode;
    struct mr_window windows[MR_WINDOWS_MAX];
    uint32_t window_count;
    uint32_t route_by[MR_GROUP_FIELDS_MAX]; /* fields common to all group_by unless given */
    uint32_t route_count;
    struct {
        enum mr_strategy strategy;
        int64_t max_disorder_us, max_future_skew_us, idle_after_us, max_hold_us;
    } watermark;
    struct {
        const char *file;             /* rows as NDJSON; NULL: none; "-" is standard output */
        const char *dead_letter_file; /* NULL: none */
        const char *dead_letter_topic;
        const char *late_file;
        const char *redis_url;
        struct {
            const char *dataset; /* project.dataset; NULL: none */
            const char *endpoint, *rest_endpoint;
            bool plaintext, anonymous;
            const char *ca_file;
            enum mr_delivery delivery;
            const char *raw_orders; /* table name or NULL */
            uint32_t firings;       /* MR_FIRE_* bits */
        } bigquery;
    } sinks;
    const char *journal; /* directory; NULL: none */
    struct {
        uint64_t memory_bytes, keys, dedup_bytes;
    } limits;
    struct {
        uint32_t pullers, aggregators, writers; /* 0: auto */
        uint32_t batch_rows;                    /* [1, MR_BATCH_ROWS_MAX] */
        const char *affinity;                   /* "puller=2,aggregator=3" or NULL: floating */
        enum mr_idle idle;
        enum mr_io_choice io;
    } workers;
    struct {
        const char *listen; /* NULL: none */
    } admin;
    struct mr_config_text *text; /* strings, source lines, origins; private */
};

/* One `--set a.b=c`. */
struct mr_config_set {
    const char *path, *value;
};

/* mr_config_read fills `config` from a YAML file ("-" = standard input), then `sets`, then derived
 * defaults, and checks every rule, cross-field ones too. All errors are told on `errors`, each with
 * code, file:line:col, the line quoted with a caret, the value found, the rule, and a suggestion.
 * Returns the number of errors; `config` may be used only when it is 0.
 * Needs mr_config_finish in either case. */
uint32_t mr_config_read(struct mr_config *config, const char *path,
                        const struct mr_config_set *sets, uint32_t set_count, FILE *errors);
void mr_config_finish(struct mr_config *config);

/* Every value in force, with its origin (file:line, --set, environment or default); secrets are
 * redacted. */
void mr_config_print_effective(const struct mr_config *config, FILE *out);
void mr_config_print_schema(FILE *out);                /* JSON Schema of the file */
void mr_config_print_reference(FILE *out);             /* Markdown, one row a setting */
void mr_config_print_example(FILE *out, bool minimal); /* what `millrace init` writes */

#endif
