/* google.rpc: the error model of Google's services, both directions.
 * Travels as `grpc-status-details-bin` (wire/grpc.h) and in-band in AppendRowsResponse.
 * Source  google/rpc/{code,status,error_details}.proto. */
#ifndef MR_WIRE_RPC_H
#define MR_WIRE_RPC_H

#include "wire/shape.h"

enum mr_grpc_code {
    MR_GRPC_OK = 0,
    MR_GRPC_CANCELLED = 1,
    MR_GRPC_UNKNOWN = 2,
    MR_GRPC_INVALID_ARGUMENT = 3,
    MR_GRPC_DEADLINE_EXCEEDED = 4,
    MR_GRPC_NOT_FOUND = 5,
    MR_GRPC_ALREADY_EXISTS = 6,
    MR_GRPC_PERMISSION_DENIED = 7,
    MR_GRPC_RESOURCE_EXHAUSTED = 8,
    MR_GRPC_FAILED_PRECONDITION = 9,
    MR_GRPC_ABORTED = 10,
    MR_GRPC_OUT_OF_RANGE = 11,
    MR_GRPC_UNIMPLEMENTED = 12,
    MR_GRPC_INTERNAL = 13,
    MR_GRPC_UNAVAILABLE = 14,
    MR_GRPC_DATA_LOSS = 15,
    MR_GRPC_UNAUTHENTICATED = 16,
    MR_GRPC_CODES,
};

/* "UNAVAILABLE", ...; "UNKNOWN" for a number outside the list. Static. */
const char *mr_grpc_code_name(int32_t code);

/* `details` are encoded google.protobuf.Any. */
struct mr_rpc_status {
    bool present;
    int32_t code;
    struct mr_span message;
    struct mr_pb_list details;
};
MR_SHAPE_MESSAGE(mr_rpc_status);

struct mr_rpc_any {
    struct mr_span type_url, value;
};
MR_SHAPE_MESSAGE(mr_rpc_any);

struct mr_rpc_error_info {
    struct mr_span reason, domain;
    struct mr_pb_map metadata; /* exactly-once failures: ack id -> reason */
};
MR_SHAPE_MESSAGE(mr_rpc_error_info);

struct mr_rpc_retry_info {
    struct mr_pb_time delay;
};
MR_SHAPE_MESSAGE(mr_rpc_retry_info);

#define MR_RPC_ERROR_INFO "google.rpc.ErrorInfo"
#define MR_RPC_RETRY_INFO "google.rpc.RetryInfo"

/* The value of the first detail whose type_url ends in "/" `type`. False: there is none. */
bool mr_rpc_detail(const struct mr_rpc_status *status, const char *type, struct mr_span *value);

/* Writes one Any with type_url "type.googleapis.com/" `type`: an item for `details`, written bare
 * (as submessage 3 of a Status by mr_rpc_any_nest). */
void mr_rpc_any_put_typed(struct mr_pen *pen, const char *type, struct mr_span value);

#endif
