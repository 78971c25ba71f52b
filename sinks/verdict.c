#include "sinks/verdict.h"

/* Google's published settings for AppendRows: 100 ms to 60 s, by 1.3. */
const struct mr_retry_policy mr_append_retry_policy = {
    .base_ns = UINT64_C(100000000), .cap_ns = UINT64_C(60000000000), .factor_percent = 130};
/* Their clients' for throughput: from 2 s up to 5 min; a region's quota may need ten minutes. */
const struct mr_retry_policy mr_append_quota_policy = {
    .base_ns = UINT64_C(2000000000), .cap_ns = UINT64_C(300000000000), .factor_percent = 200};

static enum mr_verdict by_storage_error(int32_t code)
{
    switch (code) {
    case MR_BIGQUERY_OFFSET_ALREADY_EXISTS:
        return MR_VERDICT_EXISTS;
    case MR_BIGQUERY_OFFSET_OUT_OF_RANGE:
        return MR_VERDICT_BEYOND;
    case MR_BIGQUERY_STREAM_FINALIZED:
    case MR_BIGQUERY_STREAM_NOT_FOUND:
    case MR_BIGQUERY_STREAM_ALREADY_COMMITTED:
        return MR_VERDICT_NO_STREAM;
    case MR_BIGQUERY_TABLE_NOT_FOUND:
    case MR_BIGQUERY_SCHEMA_MISMATCH_EXTRA_FIELDS:
        return MR_VERDICT_NO_TABLE;
    case MR_BIGQUERY_KMS_SERVICE_ERROR:
        return MR_VERDICT_AGAIN;
    default: /* INVALID_STREAM_TYPE, keys that are missing or not ours to use */
        return MR_VERDICT_FATAL;
    }
}

static enum mr_verdict by_code(int32_t code)
{
    switch (code) {
    case MR_GRPC_OK: /* of a call: it ended with requests unanswered */
    case MR_GRPC_CANCELLED:
    case MR_GRPC_UNKNOWN:
    case MR_GRPC_DEADLINE_EXCEEDED:
    case MR_GRPC_ABORTED:
    case MR_GRPC_INTERNAL:
    case MR_GRPC_UNAVAILABLE:
    case MR_GRPC_DATA_LOSS:
        return MR_VERDICT_AGAIN;
    case MR_GRPC_ALREADY_EXISTS:
        return MR_VERDICT_EXISTS;
    case MR_GRPC_OUT_OF_RANGE:
        return MR_VERDICT_BEYOND;
    case MR_GRPC_INVALID_ARGUMENT:
        return MR_VERDICT_REFUSED;
    case MR_GRPC_NOT_FOUND: /* of what, nobody says: a new stream tells */
        return MR_VERDICT_NO_STREAM;
    case MR_GRPC_RESOURCE_EXHAUSTED:
        return MR_VERDICT_QUOTA;
    case MR_GRPC_UNAUTHENTICATED:
        return MR_VERDICT_CREDENTIAL;
    default: /* PERMISSION_DENIED, FAILED_PRECONDITION, UNIMPLEMENTED */
        return MR_VERDICT_FATAL;
    }
}

enum mr_verdict mr_verdict_of(const struct mr_rpc_status *status)
{
    struct mr_bigquery_storage_error error;

    if (mr_bigquery_storage_error_of(status, &error) && error.code != MR_BIGQUERY_CODE_UNSPECIFIED)
        return by_storage_error(error.code);
    return by_code(status->code);
}

uint64_t mr_verdict_delay_ns(const struct mr_rpc_status *status)
{
    const int64_t longest_us = INT64_C(300000000);
    struct mr_rpc_retry_info info;
    struct mr_span value;

    if (!mr_rpc_detail(status, MR_RPC_RETRY_INFO, &value) ||
        mr_rpc_retry_info_parse(&info, value) != MR_OK)
        return 0;
    int64_t us = mr_pb_time_us(&info.delay);
    return us <= 0 ? 0 : (uint64_t)MR_MIN(us, longest_us) * 1000;
}

int64_t mr_expected_offset(struct mr_span text)
{
    static const char words[] = "expected offset ";
    const size_t bytes = sizeof words - 1;
    const uint8_t *end = text.data + text.bytes;

    for (const uint8_t *at = text.data; at && (size_t)(end - at) > bytes; at++) {
        if (memcmp(at, words, bytes) != 0)
            continue;
        const uint8_t *digit = at + bytes;
        int64_t number = 0;
        for (; digit < end && *digit >= '0' && *digit <= '9'; digit++)
            if (__builtin_mul_overflow(number, 10, &number) ||
                __builtin_add_overflow(number, *digit - '0', &number))
                return -1;
        return digit > at + bytes ? number : -1;
    }
    return -1;
}
