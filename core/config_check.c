#include "core/config_parts.h"

#include "core/err.h"
#include "core/units.h"

#define HOPS_MAX          100000
#define BATCHES_IN_FLIGHT 64 /* of each pair of puller and aggregator */

static struct mr_place place(const struct mr_config *config, const char *path)
{
    return mr_config_place(config->text->root, path);
}

static void check_source(struct mr_config *config)
{
    struct mr_complaints *all = &config->text->complaints;
    const struct mr_yaml *source = mr_yaml_at(config->text->root, "source");
    const struct mr_yaml *file = mr_yaml_get(source, "file"),
                         *pubsub = mr_yaml_get(source, "pubsub");

    if (file && pubsub) {
        mr_complain(all, MR_E_CONFIG_SOURCE, pubsub->key_at, "a second source");
        mr_complain_also(all, file->key_at, "the other");
    } else if (!source) {
        mr_complain(all, MR_E_CONFIG_SOURCE, config->text->root->at, "there is no source");
        mr_complain_fix(all, "add: source: { file: orders.ndjson }");
    } else if (!file && !pubsub && source->kind == MR_YAML_MAP) {
        mr_complain(all, MR_E_CONFIG_SOURCE, source->key_at, "the source is empty");
        mr_complain_fix(all, "write `file: orders.ndjson` or `pubsub: { subscription: ... }`");
    }
}

static void check_sinks(struct mr_config *config)
{
    struct mr_complaints *all = &config->text->complaints;
    const struct mr_yaml *sinks = mr_yaml_at(config->text->root, "sinks");
    const struct mr_yaml *letters = mr_yaml_get(sinks, "dead_letter");
    const struct mr_yaml *topic = mr_yaml_get(letters, "topic"),
                         *file = mr_yaml_get(letters, "file");

    if (!mr_yaml_get(sinks, "bigquery") && !mr_yaml_get(sinks, "file") &&
        (!sinks || sinks->kind == MR_YAML_MAP))
        mr_complain(all, MR_E_CONFIG_SINK, sinks ? sinks->key_at : config->text->root->at,
                    "no sink takes the rows");
    if (topic && file) {
        mr_complain(all, MR_E_CONFIG_CONTRADICTION, file->key_at, "both `topic` and `file`");
        mr_complain_also(all, topic->key_at, "the other");
        mr_complain_rule(all, "letters go to one place");
    } else if (letters && letters->kind == MR_YAML_MAP && !topic && !file) {
        mr_complain(all, MR_E_CONFIG_MISSING, letters->key_at, "`dead_letter` names no place");
        mr_complain_rule(all, "it has a topic or a file");
        mr_complain_fix(all, "write `{ file: letters.ndjson }`");
    }
}

static void check_needs_pubsub(struct mr_config *config)
{
    struct mr_complaints *all = &config->text->complaints;
    uint32_t time = config->decode.event_time;
    struct mr_place file = place(config, "source.file");

    if (!config->source.file || mr_yaml_at(config->text->root, "source.pubsub"))
        return;
    if (config->decode.field_count &&
        config->decode.fields[time].time_from != MR_TIME_FROM_PAYLOAD) {
        mr_complain(all, MR_E_CONFIG_SOURCE_MISMATCH, config->text->fields[time]->at,
                    "the event time comes from %s",
                    config->decode.fields[time].time_from == MR_TIME_FROM_PUBLISH
                        ? "the publish time"
                        : "an attribute");
        mr_complain_also(all, file, "the source");
    }
    if (config->decode.dedup_by == MR_DEDUP_MESSAGE_ID) {
        mr_complain(all, MR_E_CONFIG_SOURCE_MISMATCH, place(config, "decode.dedup.by"),
                    "duplicates are told by message id");
        mr_complain_also(all, file, "the source");
        mr_complain_fix(all, "write `{ field: order_id }` or `by: none`");
    }
}

static bool has_event_time_type(const struct mr_config *config, uint32_t field)
{
    return field < config->decode.field_count &&
           config->decode.fields[field].type == MR_TYPE_EVENT_TIME;
}

static void check_dedup(struct mr_config *config)
{
    struct mr_complaints *all = &config->text->complaints;

    if (config->decode.dedup_by != MR_DEDUP_FIELD ||
        !has_event_time_type(config, config->decode.dedup_field))
        return;
    mr_complain(all, MR_E_CONFIG_FIELD_TYPE, place(config, "decode.dedup.field"),
                "the event time as identity");
    mr_complain_rule(all, "an identity is a string, an int, a bool or a decimal");
    mr_complain_fix(all, "write for example `{ field: order_id }`");
}

static void check_aggregators(struct mr_config *config)
{
    struct mr_complaints *all = &config->text->complaints;

    if (config->route_count || config->workers.aggregators <= 1 || !config->window_count)
        return;
    mr_complain(all, MR_E_CONFIG_AGGREGATORS, place(config, "workers.aggregators"),
                "%u aggregators, and nothing to route by", config->workers.aggregators);
    for (uint32_t w = 0; w < config->window_count; w++)
        if (config->windows[w].group_count == 0 || w + 1 == config->window_count) {
            mr_complain_also(all, mr_config_place(config->text->windows[w], "group_by"),
                             "shares no field with all others");
            break;
        }
}

static const char *size_text(struct mr_config *config, int64_t bytes)
{
    char text[MR_UNITS_TEXT_BYTES];

    mr_size_print((bytes + (1 << 20) - 1) >> 20 << 20, text);
    return mr_texts_copy(&config->text->strings, text, strlen(text));
}

/* A lower bound of what must be held at once: a message carried over on each stream, the batches
 * between each puller and aggregator, and the remembered identities. */
static void check_memory(struct mr_config *config)
{
    struct mr_complaints *all = &config->text->complaints;
    int64_t pullers = MR_MAX(config->workers.pullers, 1u);
    int64_t aggregators = MR_MAX(config->workers.aggregators, 1u);
    int64_t row = 32 + 8 * (int64_t)config->decode.field_count;
    int64_t streams = config->source.pubsub.subscription
                          ? (int64_t)config->source.pubsub.streams *
                                (int64_t)config->decode.payload_bytes_max
                          : (int64_t)config->decode.payload_bytes_max;
    int64_t batches = pullers * aggregators * BATCHES_IN_FLIGHT * config->workers.batch_rows * row;
    int64_t dedup = config->decode.dedup_by == MR_DEDUP_NONE ? 0
                                                             : (int64_t)config->limits.dedup_bytes;
    int64_t need = streams + batches + dedup;
    const char *worst = streams >= batches && streams >= dedup ? "source.pubsub.streams"
                        : batches >= dedup                     ? "workers.batch"
                                                               : "limits.dedup";

    if (need <= (int64_t)config->limits.memory_bytes)
        return;
    bool given = mr_yaml_at(config->text->root, "limits.memory");
    mr_complain(all, MR_E_CONFIG_MEMORY, place(config, given ? "limits.memory" : worst),
                "limits.memory is %s, and %s are needed",
                size_text(config, (int64_t)config->limits.memory_bytes), size_text(config, need));
    if (given && mr_yaml_at(config->text->root, worst))
        mr_complain_also(all, place(config, worst), "the largest part");
    mr_complain_rule(all,
                     "streams x max_payload (%s) + pullers x aggregators x %d batches (%s) + "
                     "dedup (%s) fit limits.memory",
                     size_text(config, streams), BATCHES_IN_FLIGHT, size_text(config, batches),
                     size_text(config, dedup));
    mr_complain_fix(all, "raise limits.memory to %s, or lower %s", size_text(config, need), worst);
}

static void check_trigger(struct mr_config *config, const struct mr_yaml *node)
{
    struct mr_complaints *all = &config->text->complaints;
    const struct mr_yaml *every = mr_yaml_get(node, "every"), *count = mr_yaml_get(node, "count");

    if (every && count) {
        mr_complain(all, MR_E_CONFIG_CONTRADICTION, count->key_at, "both `every` and `count`");
        mr_complain_also(all, every->key_at, "the other");
        mr_complain_rule(all, "a trigger goes by time or by count");
    } else if (node && node->kind == MR_YAML_MAP && !every && !count) {
        mr_complain(all, MR_E_CONFIG_MISSING, node->key_at, "a trigger without `every` or `count`");
        mr_complain_rule(all, "a trigger goes by time or by count");
        mr_complain_fix(all, "write `{ count: 1 }`");
    }
}

static void check_shape(struct mr_config *config, uint32_t w)
{
    struct mr_complaints *all = &config->text->complaints;
    const struct mr_window *window = &config->windows[w];
    const struct mr_yaml *node = config->text->windows[w];
    char hop[MR_UNITS_TEXT_BYTES];

    if (window->hop_us <= 0 || window->size_us / window->hop_us < HOPS_MAX ||
        (window->size_us / window->hop_us == HOPS_MAX && window->size_us % window->hop_us == 0))
        return;
    int64_t least = (window->size_us + HOPS_MAX - 1) / HOPS_MAX;
    mr_complain(all, MR_E_CONFIG_WINDOW_SHAPE, mr_config_place(node, "hop"),
                "each order is in %lld windows",
                (long long)((window->size_us + window->hop_us - 1) / window->hop_us));
    mr_complain_also(all, mr_config_place(node, "size"), "of this size");
    mr_complain_fix(all, "take a hop of at least %s", mr_duration_print(least, hop));
}

void mr_config_check_windows(struct mr_config *config)
{
    for (uint32_t w = 0; w < config->window_count; w++) {
        check_trigger(config, mr_yaml_get(config->text->windows[w], "early"));
        check_trigger(config, mr_yaml_get(config->text->windows[w], "late"));
        check_shape(config, w);
    }
}

void mr_config_check(struct mr_config *config)
{
    check_source(config);
    check_sinks(config);
    check_needs_pubsub(config);
    check_dedup(config);
    check_aggregators(config);
    check_memory(config);
    mr_config_check_windows(config);
    mr_config_check_names(config);
    mr_config_check_columns(config);
    mr_config_check_unbuilt(config);
}
