/* Why an order (or row) became a letter: a closed list, in the order in which the rules are
 * applied; the first that fails names the letter. */
#ifndef MR_CORE_REASON_H
#define MR_CORE_REASON_H

enum mr_reason {
    MR_REASON_NONE,
    MR_REASON_TOO_LARGE,
    MR_REASON_MALFORMED_JSON,
    MR_REASON_MISSING_FIELD,
    MR_REASON_BAD_TYPE,
    MR_REASON_BAD_TIMESTAMP,
    MR_REASON_OUT_OF_RANGE,
    MR_REASON_FUTURE_TIMESTAMP,
    MR_REASON_LATE,
    MR_REASON_KEY_LIMIT,
    MR_REASON_SINK_REJECTED,
    MR_REASONS,
};

/* "too_large", ...; static. */
const char *mr_reason_name(enum mr_reason reason);

#endif
