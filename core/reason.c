#include "core/reason.h"

#include "core/base.h"

static const char *const names[MR_REASONS] = {
    [MR_REASON_NONE] = "none",
    [MR_REASON_TOO_LARGE] = "too_large",
    [MR_REASON_MALFORMED_JSON] = "malformed_json",
    [MR_REASON_MISSING_FIELD] = "missing_field",
    [MR_REASON_BAD_TYPE] = "bad_type",
    [MR_REASON_BAD_TIMESTAMP] = "bad_timestamp",
    [MR_REASON_OUT_OF_RANGE] = "out_of_range",
    [MR_REASON_FUTURE_TIMESTAMP] = "future_timestamp",
    [MR_REASON_LATE] = "late",
    [MR_REASON_KEY_LIMIT] = "key_limit",
    [MR_REASON_SINK_REJECTED] = "sink_rejected",
};

const char *mr_reason_name(enum mr_reason reason)
{
    MR_ASSERT(reason < MR_REASONS);
    return names[reason];
}
