#include "sources/event.h"

#include "core/hash.h"
#include "core/key.h"

#include <stdio.h>

/* Appends the key value of one field; NULL when it does not fit before `end`. */
static uint8_t *put_field(const struct mr_field *field, const struct mr_value *value, uint8_t *at,
                          const uint8_t *end)
{
    size_t room = (size_t)(end - at);

    if (room == 0)
        return NULL;
    if (value->kind == MR_VALUE_ABSENT)
        return mr_key_put_tag(at, MR_KEY_ABSENT);
    switch (field->type) {
    case MR_TYPE_STRING:
        if (value->text.bytes + 5 > room)
            return NULL;
        return mr_key_put_string(at, value->text);
    case MR_TYPE_BOOL:
        return mr_key_put_tag(at, value->number ? MR_KEY_TRUE : MR_KEY_FALSE);
    default:
        return room < 9 ? NULL : mr_key_put_int(at, value->number);
    }
}

static bool put_key(const struct mr_config *config, const struct mr_decoded *decoded,
                    const uint32_t *fields, uint32_t count, uint8_t *at, struct mr_span *key)
{
    uint8_t *start = at, *end = at + MR_KEY_BYTES_MAX;

    for (uint32_t i = 0; i < count; i++) {
        at = put_field(&config->decode.fields[fields[i]], &decoded->values[fields[i]], at, end);
        if (!at)
            return false;
    }
    *key = mr_span_of(start, (size_t)(at - start));
    return true;
}

static bool same_fields(const struct mr_config *config, const struct mr_grouping *grouping)
{
    return grouping->field_count == config->route_count &&
           memcmp(grouping->fields, config->route_by,
                  config->route_count * sizeof config->route_by[0]) == 0;
}

/* A string as it is, a number by its decimal spelling: "7" and 7 are one id. */
static struct mr_id field_id(const struct mr_plan *plan, const struct mr_decoded *decoded,
                             uint64_t route)
{
    uint32_t field = plan->config->decode.dedup_field;
    const struct mr_value *value = &decoded->values[field];
    char digits[24];
    struct mr_span text = value->text;

    if (plan->config->decode.fields[field].type != MR_TYPE_STRING)
        text = mr_span_of(
            digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)value->number));
    struct mr_id id = mr_id_from_text(text, plan->hash_seed);
    if (plan->config->route_count == 0)
        return id;
    /* Bound to the route by hashing: 128 bits, so two orders meet once in 2^64 orders. */
    uint64_t words[3] = {id.high, id.low, route};
    return (struct mr_id){mr_hash64(words, sizeof words, plan->hash_seed ^ MR_HASH_K1),
                          mr_hash64(words, sizeof words, plan->hash_seed ^ MR_HASH_K2)};
}

bool mr_event_make(const struct mr_plan *plan, const struct mr_decoded *decoded,
                   struct mr_event *event, struct mr_event_scratch *scratch)
{
    const struct mr_config *config = plan->config;
    uint8_t *at = scratch->bytes;
    bool routed = false;

    event->event_us = decoded->event_us;
    event->publish_us = MR_TIME_MAX;
    event->lease = 0;
    event->valid = 0;
    event->route = 0;
    for (uint32_t m = 0; m < plan->measure_count; m++) {
        const struct mr_value *value = &decoded->values[plan->measures[m]];
        event->measures[m] = value->kind == MR_VALUE_PRESENT ? value->number : 0;
        event->valid |= (uint32_t)(value->kind == MR_VALUE_PRESENT) << m;
    }
    for (uint32_t g = 0; g < plan->grouping_count; g++) {
        const struct mr_grouping *grouping = &plan->groupings[g];
        struct mr_event_key *key = &event->keys[g];
        if (!put_key(config, decoded, grouping->fields, grouping->field_count, at, &key->bytes))
            return false;
        key->hash = mr_hash64(key->bytes.data, key->bytes.bytes, plan->hash_seed);
        at += MR_KEY_BYTES_MAX;
        if (!routed && same_fields(config, grouping)) {
            event->route = key->hash;
            routed = true;
        }
    }
    if (!routed && config->route_count > 0) {
        struct mr_span route;
        if (!put_key(config, decoded, config->route_by, config->route_count, at, &route))
            return false;
        event->route = mr_hash64(route.data, route.bytes, plan->hash_seed);
    }
    event->id = MR_ID_NONE;
    if (config->decode.dedup_by == MR_DEDUP_FIELD &&
        decoded->values[config->decode.dedup_field].kind == MR_VALUE_PRESENT)
        event->id = field_id(plan, decoded, event->route);
    return true;
}
