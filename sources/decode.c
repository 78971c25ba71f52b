#include "sources/decode.h"

#include <stdlib.h>

#include "core/err.h"
#include "sources/event_time.h"
#include "sources/layout.h"
#include "sources/walk.h"

struct mr_decoder {
    const struct mr_field *fields;
    uint32_t field_count;
    uint64_t payload_bytes_max;
    struct mr_tree tree;
    struct mr_walk walk;
    struct mr_layout layout; /* of the last payload that decoded */
};

int mr_decoder_create(struct mr_decoder **out, const struct mr_config *config)
{
    struct mr_decoder *d = calloc(1, sizeof *d);

    *out = NULL;
    if (d == NULL)
        return MR_E_MEMORY;
    /* Strings shrink as escapes are decoded, so a payload's worth holds all of one payload's. Pages
     * that no escape ever needed are never touched. */
    d->walk.scratch = malloc(config->decode.payload_bytes_max + 1);
    if (d->walk.scratch == NULL) {
        free(d);
        return MR_E_MEMORY;
    }
    d->fields = config->decode.fields;
    d->field_count = config->decode.field_count;
    d->payload_bytes_max = config->decode.payload_bytes_max;
    mr_tree_init(&d->tree, d->fields, d->field_count);
    *out = d;
    return MR_OK;
}

void mr_decoder_destroy(struct mr_decoder *decoder)
{
    if (decoder == NULL)
        return;
    free(decoder->walk.scratch);
    free(decoder);
}

void mr_decoder_forget(struct mr_decoder *decoder)
{
    decoder->layout.known = false;
}

/* What one field makes of its slot: a reason, with *detail when it is one. */
static enum mr_reason refuse(const char **detail, enum mr_reason reason, const char *why)
{
    *detail = why;
    return reason;
}

/* The number in a slot, as a JSON number or, where the field allows, as a string that spells one.
 */
static const struct mr_number *number_of(const struct mr_slot *slot, const struct mr_field *field,
                                         struct mr_number *from_text)
{
    if (slot->found == MR_FOUND_NUMBER)
        return &slot->number;
    if (slot->found == MR_FOUND_STRING && field->from_string &&
        mr_number_read(slot->text, MR_NUMBER_JSON, from_text))
        return from_text;
    return NULL;
}

static enum mr_reason take_int(const struct mr_slot *slot, const struct mr_field *field,
                               struct mr_value *value, const char **detail)
{
    struct mr_number from_text;
    const struct mr_number *number = number_of(slot, field, &from_text);
    bool inexact, fits;

    if (number == NULL)
        return refuse(detail, MR_REASON_BAD_TYPE, "an integer is wanted");
    fits = mr_number_scale(number, 0, MR_ROUND_HALF_AWAY, &value->number, &inexact);
    if (inexact)
        return refuse(detail, MR_REASON_BAD_TYPE, "an integer is wanted, not a fraction");
    if (!fits)
        return refuse(detail, MR_REASON_OUT_OF_RANGE, "the integer does not fit 64 bits");
    return MR_REASON_NONE;
}

static enum mr_reason take_decimal(const struct mr_slot *slot, const struct mr_field *field,
                                   struct mr_decoded *out, struct mr_value *value,
                                   const char **detail)
{
    struct mr_number from_text;
    const struct mr_number *number = number_of(slot, field, &from_text);
    bool inexact;

    if (number == NULL)
        return refuse(detail, MR_REASON_BAD_TYPE, "a number is wanted");
    if (!mr_number_scale(number, field->scale, MR_ROUND_HALF_AWAY, &value->number, &inexact))
        return refuse(detail, MR_REASON_OUT_OF_RANGE,
                      "the decimal does not fit 64 bits of its smallest unit");
    out->decimals_rounded += inexact;
    return MR_REASON_NONE;
}

static enum mr_reason take_time(const struct mr_slot *slot, const struct mr_field *field,
                                struct mr_decoded *out, struct mr_value *value, const char **detail)
{
    bool good;

    if (slot->found == MR_FOUND_STRING)
        good = mr_time_from_text(slot->text, field->unit, &value->number);
    else if (slot->found == MR_FOUND_NUMBER)
        good = mr_time_from_number(&slot->number, field->unit, &value->number);
    else
        return refuse(detail, MR_REASON_BAD_TYPE, "a time is wanted, as a string or a number");
    if (!good)
        return refuse(detail, MR_REASON_BAD_TIMESTAMP, "no such time, or no spelling of one");
    out->event_us = value->number;
    return MR_REASON_NONE;
}

static enum mr_reason take(const struct mr_slot *slot, const struct mr_field *field,
                           struct mr_decoded *out, struct mr_value *value, const char **detail)
{
    value->kind = MR_VALUE_PRESENT;
    switch (field->type) {
    case MR_TYPE_STRING:
        value->text = slot->text;
        if (slot->found != MR_FOUND_STRING)
            return refuse(detail, MR_REASON_BAD_TYPE, "a string is wanted");
        return MR_REASON_NONE;
    case MR_TYPE_INT:
        return take_int(slot, field, value, detail);
    case MR_TYPE_BOOL:
        value->number = slot->found == MR_FOUND_TRUE;
        if (slot->found != MR_FOUND_TRUE && slot->found != MR_FOUND_FALSE)
            return refuse(detail, MR_REASON_BAD_TYPE, "true or false is wanted");
        return MR_REASON_NONE;
    case MR_TYPE_DECIMAL:
        return take_decimal(slot, field, out, value, detail);
    case MR_TYPE_EVENT_TIME:
        return take_time(slot, field, out, value, detail);
    }
    MR_ASSERT(!"a field type of the configuration");
    return MR_REASON_BAD_TYPE;
}

/* Keeps the first failing rule: the smallest reason, and of equal ones the first field's. */
static void blame(struct mr_decoded *out, enum mr_reason reason, uint32_t field, size_t offset,
                  const char *detail)
{
    if (out->reason != MR_REASON_NONE && out->reason <= reason)
        return;
    out->reason = reason;
    out->field = field;
    out->error_offset = (uint32_t)MR_MIN(offset, UINT32_MAX);
    out->detail_static = detail;
}

static void take_fields(struct mr_decoder *d, const uint8_t *start, struct mr_decoded *out)
{
    for (uint32_t i = 0; i < d->field_count; i++) {
        const struct mr_field *field = &d->fields[i];
        uint16_t leaf = d->tree.leaf_of_field[i];
        const struct mr_slot *slot = &d->walk.slots[leaf == MR_NONE ? 0 : leaf];
        struct mr_value *value = &out->values[i];
        const char *detail = NULL;

        if (MR_LIKELY(field->type == MR_TYPE_STRING && d->walk.present >> leaf & 1 &&
                      slot->found == MR_FOUND_STRING)) {
            *value = (struct mr_value){.kind = MR_VALUE_PRESENT, .text = slot->text};
            continue;
        }
        *value = (struct mr_value){.kind = MR_VALUE_ABSENT};
        if (leaf == MR_NONE)
            continue;
        if (!(d->walk.present >> leaf & 1) || slot->found == MR_FOUND_NULL) {
            if (!field->optional || field->type == MR_TYPE_EVENT_TIME)
                blame(out, MR_REASON_MISSING_FIELD, i, 0, "a required field is absent or null");
            continue;
        }
        enum mr_reason reason = take(slot, field, out, value, &detail);
        if (MR_UNLIKELY(reason != MR_REASON_NONE))
            blame(out, reason, i, (size_t)(slot->at - start), detail);
    }
}

enum mr_reason mr_decode(struct mr_decoder *decoder, struct mr_span payload, struct mr_decoded *out)
{
    struct mr_walk *walk = &decoder->walk;
    bool predicted;

    out->event_us = 0;
    out->decimals_rounded = 0;
    out->reason = MR_REASON_NONE;
    out->error_offset = 0;
    out->detail_static = "";
    out->field = MR_FIELDS_MAX;
    if (payload.bytes > decoder->payload_bytes_max) {
        blame(out, MR_REASON_TOO_LARGE, MR_FIELDS_MAX, decoder->payload_bytes_max,
              "more bytes than decode.payload_bytes_max");
        return out->reason;
    }
    predicted = mr_layout_match(&decoder->layout, walk, payload);
    if (!predicted && !mr_walk_payload(walk, &decoder->tree, payload)) {
        blame(out, MR_REASON_MALFORMED_JSON, MR_FIELDS_MAX, (size_t)(walk->json.at - payload.data),
              walk->json.wrong);
        return out->reason;
    }
    take_fields(decoder, payload.data, out);
    if (!predicted && out->reason == MR_REASON_NONE)
        mr_layout_learn(&decoder->layout, walk, payload);
    return out->reason;
}

enum mr_reason mr_decode_event_time(struct mr_span text, enum mr_time_unit unit, int64_t *us)
{
    return mr_time_from_text(text, unit, us) ? MR_REASON_NONE : MR_REASON_BAD_TIMESTAMP;
}
