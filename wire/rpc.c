#include "wire/rpc.h"

#define SLOT(type, number, kind, member)                                                           \
    {                                                                                              \
        number, MR_SHAPE_##kind, offsetof(struct type, member)                                     \
    }

MR_SHAPE_DEFINE(mr_rpc_status, true, SLOT(mr_rpc_status, 1, INT32, code),
                SLOT(mr_rpc_status, 2, TEXT, message), SLOT(mr_rpc_status, 3, LIST, details));
MR_SHAPE_DEFINE(mr_rpc_any, false, SLOT(mr_rpc_any, 1, TEXT, type_url),
                SLOT(mr_rpc_any, 2, BYTES, value));
MR_SHAPE_DEFINE(mr_rpc_error_info, false, SLOT(mr_rpc_error_info, 1, TEXT, reason),
                SLOT(mr_rpc_error_info, 2, TEXT, domain),
                SLOT(mr_rpc_error_info, 3, MAP, metadata));
MR_SHAPE_DEFINE(mr_rpc_retry_info, false, SLOT(mr_rpc_retry_info, 1, TIME, delay));

static const char *const names[MR_GRPC_CODES] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

const char *mr_grpc_code_name(int32_t code)
{
    return names[code >= 0 && code < MR_GRPC_CODES ? code : MR_GRPC_UNKNOWN];
}

static bool ends_with_type(struct mr_span url, const char *type)
{
    size_t bytes = strlen(type);
    return url.bytes > bytes && url.data[url.bytes - bytes - 1] == '/' &&
           memcmp(url.data + url.bytes - bytes, type, bytes) == 0;
}

bool mr_rpc_detail(const struct mr_rpc_status *status, const char *type, struct mr_span *value)
{
    struct mr_pb_each each = mr_pb_list_each(&status->details);
    struct mr_span item;
    struct mr_rpc_any any;

    while (mr_pb_each_span(&each, &item)) {
        if (mr_rpc_any_parse(&any, item) == MR_OK && ends_with_type(any.type_url, type)) {
            *value = any.value;
            return true;
        }
    }
    return false;
}

void mr_rpc_any_put_typed(struct mr_pen *pen, const char *type, struct mr_span value)
{
    static const char prefix[] = "type.googleapis.com/";

    mr_pb_put_tag(pen, 1, MR_PB_BYTES);
    mr_pb_put_varint(pen, sizeof prefix - 1 + strlen(type));
    mr_pen_put(pen, mr_span_text(prefix));
    mr_pen_put(pen, mr_span_text(type));
    mr_pb_add_bytes(pen, 2, value);
}
