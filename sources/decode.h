/* One event's payload, JSON, turned into the configured fields, exactly; or the reason why not.
 *
 * The reason is the first rule that fails, over all fields, in the order of enum mr_reason:
 * too_large, malformed_json, missing_field, bad_type, bad_timestamp, out_of_range. So a payload is
 * judged as JSON to its last byte, skipped values included, before any field is looked at.
 *
 * Fields come in any order. A repeated key counts as written last, whole: fields found under an
 * earlier occurrence are absent again. Keys are compared, and strings given, after their escapes
 * are decoded. Nesting beyond 256 is malformed. Whatever the fast path for a repeated layout does
 * (sources/layout.h), the result is that of the complete parser (sources/walk.h).
 *
 * Values  string: text · int: number · bool: number 0 or 1 · decimal: number in units of
 *         10^-scale, half away from zero · event time: number = event_us. The event time is
 *         required even if its field says optional.
 * Source  RFC 8259 for JSON, RFC 3629 for UTF-8. */
#ifndef MR_SOURCES_DECODE_H
#define MR_SOURCES_DECODE_H

#include "core/base.h"
#include "core/config.h"
#include "core/reason.h"

#define MR_JSON_DEPTH_MAX 256 /* arrays and objects within each other */

enum mr_value_kind { MR_VALUE_ABSENT, MR_VALUE_PRESENT };

struct mr_value {
    uint8_t kind; /* enum mr_value_kind */
    int64_t number;
    struct mr_span text; /* strings only */
};

/* All but reason, error_offset, detail_static and field is meaningful only if reason is
 * MR_REASON_NONE; values[0, field_count) are written. */
struct mr_decoded {
    int64_t event_us; /* 0 when the event time is not in the payload */
    struct mr_value values[MR_FIELDS_MAX];
    uint32_t decimals_rounded; /* how many decimals lost digits */
    enum mr_reason reason;
    uint32_t error_offset;     /* byte of the payload where the rule failed, 0 for missing fields */
    const char *detail_static; /* one clause for people */
    uint32_t field;            /* index of the field at fault; MR_FIELDS_MAX: the whole payload */
};

struct mr_decoder;

/* mr_decoder_create compiles the fields; the configuration must outlive the decoder.
 * Owns    the caller, until mr_decoder_destroy (which accepts NULL).
 * Errors  MR_E_MEMORY. */
int mr_decoder_create(struct mr_decoder **out, const struct mr_config *config);
void mr_decoder_destroy(struct mr_decoder *decoder);

/* mr_decoder_forget makes the next payload take the complete parser, as if it were the first: for
 * tests and benches that compare the two ways. */
void mr_decoder_forget(struct mr_decoder *decoder);

/* mr_decode judges one payload; returns out->reason.
 * Bounds  reads only [payload.data, payload.data + payload.bytes).
 * Owns    texts point into the payload or, if they had escapes, into the decoder, until the next
 *         call.
 * Thread  the decoder's one thread; never blocks, never allocates. */
enum mr_reason mr_decode(struct mr_decoder *decoder, struct mr_span payload,
                         struct mr_decoded *out);

/* The event time of a message attribute: any spelling that a string in the payload may have.
 * Returns MR_REASON_NONE or MR_REASON_BAD_TIMESTAMP.
 * Thread  pure. */
enum mr_reason mr_decode_event_time(struct mr_span text, enum mr_time_unit unit, int64_t *us);

#endif
