/* The messages of google.cloud.bigquery.storage.v1.BigQueryWrite, both directions.
 *
 * Requests with rows are built row by row into the caller's buffer (mr_bigquery_append); the rest
 * are structs with _parse, _put and _nest (wire/shape.h). The writer's descriptor, a tree, is laid
 * flat in arrays that the caller gives (mr_bigquery_descriptor).
 *
 * Zero is not absent: an offset of 0 is an empty wrapper that is sent, append_result may be an
 * empty message, and rows carry every zero explicitly; hence `present` everywhere.
 * Owns    spans point into the input or are the caller's.   Thread  plain memory.
 * Allocates never.   Errors  MR_E_PROTOBUF unless said otherwise.
 * Source  google/cloud/bigquery/storage/v1/{storage,stream,table,protobuf,annotations}.proto,
 *         google/protobuf/descriptor.proto. */
#ifndef MR_WIRE_BIGQUERY_H
#define MR_WIRE_BIGQUERY_H

#include "wire/rpc.h"

/* ---- methods ---- */

/* X(NAME, method, key of x-goog-request-params) */
#define MR_BIGQUERY_METHODS(X)                                                                     \
    X(CREATE_WRITE_STREAM, "CreateWriteStream", "parent")                                          \
    X(APPEND_ROWS, "AppendRows", "write_stream")                                                   \
    X(GET_WRITE_STREAM, "GetWriteStream", "name")                                                  \
    X(FINALIZE_WRITE_STREAM, "FinalizeWriteStream", "name")                                        \
    X(BATCH_COMMIT_WRITE_STREAMS, "BatchCommitWriteStreams", "parent")                             \
    X(FLUSH_ROWS, "FlushRows", "write_stream")

enum mr_bigquery_method {
#define MR_BIGQUERY_METHOD(name, method, key) MR_BIGQUERY_##name,
    MR_BIGQUERY_METHODS(MR_BIGQUERY_METHOD)
#undef MR_BIGQUERY_METHOD
        MR_BIGQUERY_METHOD_COUNT
};

/* "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows" and "write_stream"; static. */
const char *mr_bigquery_path(enum mr_bigquery_method method);
const char *mr_bigquery_routing_key(enum mr_bigquery_method method);
/* MR_BIGQUERY_METHOD_COUNT for a path that names no method. */
enum mr_bigquery_method mr_bigquery_method_of(struct mr_span path);

/* ---- AppendRowsRequest ---- */

enum mr_bigquery_missing {
    MR_BIGQUERY_MISSING_UNSPECIFIED = 0,
    MR_BIGQUERY_MISSING_NULL = 1,
    MR_BIGQUERY_MISSING_DEFAULT = 2,
};

/* What stands around the rows. Sent whole with the first request of a connection; later the stream
 * name may be empty and the descriptor absent. */
struct mr_bigquery_append_head {
    struct mr_span write_stream;
    struct mr_pb_int64 offset;
    struct mr_pb_part descriptor; /* DescriptorProto, encoded by mr_bigquery_descriptor_put */
    struct mr_span trace_id;
    int32_t default_missing_value_interpretation;
};

/* A request under construction. To frame it in place begin at buffer + MR_GRPC_PREFIX_BYTES. */
struct mr_bigquery_append {
    struct mr_pen pen;
    size_t data_mark, rows_mark;
    uint32_t row_count;
};

/* `limit` is the byte cap of the message. MR_OK or MR_E_WIRE_ROOM (the head alone is too large). */
int mr_bigquery_append_begin(struct mr_bigquery_append *append, void *buffer, size_t limit,
                             const struct mr_bigquery_append_head *head);

/* Adds one encoded row. False: it does not fit, nothing was written; finish, and begin again. */
bool mr_bigquery_append_row(struct mr_bigquery_append *append, struct mr_span row);

/* A row encoded in place: open, write its fields with append->pen, close. mr_bigquery_row_close is
 * false, with the row taken back, when it did not fit. */
size_t mr_bigquery_row_open(struct mr_bigquery_append *append);
bool mr_bigquery_row_close(struct mr_bigquery_append *append, size_t mark);

/* Closes the lengths; the request, in `buffer`. Always fits. A request without rows is legal here
 * and refused by the service. */
struct mr_span mr_bigquery_append_finish(struct mr_bigquery_append *append);

struct mr_bigquery_writer_schema {
    bool present;
    struct mr_pb_part descriptor;
};
MR_SHAPE_MESSAGE(mr_bigquery_writer_schema);

struct mr_bigquery_rows {
    bool present;
    struct mr_pb_list serialized_rows;
};
MR_SHAPE_MESSAGE(mr_bigquery_rows);

struct mr_bigquery_proto_data {
    bool present;
    struct mr_bigquery_writer_schema writer_schema;
    struct mr_bigquery_rows rows;
};
MR_SHAPE_MESSAGE(mr_bigquery_proto_data);

/* The whole request, for the server. */
struct mr_bigquery_append_request {
    struct mr_span write_stream;
    struct mr_pb_int64 offset;
    struct mr_bigquery_proto_data proto_rows;
    struct mr_pb_part arrow_rows;
    struct mr_span trace_id;
    struct mr_pb_list missing_value_interpretations; /* entries, mr_bigquery_missing_entry */
    int32_t default_missing_value_interpretation;
    struct mr_pb_part client_stats;
};
MR_SHAPE_MESSAGE(mr_bigquery_append_request);

struct mr_bigquery_missing_entry {
    struct mr_span column;
    int32_t interpretation;
};
MR_SHAPE_MESSAGE(mr_bigquery_missing_entry);

/* ---- AppendRowsResponse ---- */

struct mr_bigquery_append_result {
    bool present;
    struct mr_pb_int64 offset; /* of the first row; absent on the default stream */
};
MR_SHAPE_MESSAGE(mr_bigquery_append_result);

struct mr_bigquery_append_response {
    struct mr_bigquery_append_result append_result; /* either this */
    struct mr_rpc_status error;                     /* or that */
    struct mr_pb_part updated_schema;               /* mr_bigquery_schema */
    struct mr_pb_list row_errors;                   /* mr_bigquery_row_error, encoded */
    struct mr_span write_stream;
};
MR_SHAPE_MESSAGE(mr_bigquery_append_response);

struct mr_bigquery_row_error {
    int64_t index; /* of the row within the request */
    int32_t code;  /* 1 FIELDS_ERROR */
    struct mr_span message;
};
MR_SHAPE_MESSAGE(mr_bigquery_row_error);

enum mr_bigquery_code {
    MR_BIGQUERY_CODE_UNSPECIFIED = 0,
    MR_BIGQUERY_TABLE_NOT_FOUND = 1,
    MR_BIGQUERY_STREAM_ALREADY_COMMITTED = 2,
    MR_BIGQUERY_STREAM_NOT_FOUND = 3,
    MR_BIGQUERY_INVALID_STREAM_TYPE = 4,
    MR_BIGQUERY_INVALID_STREAM_STATE = 5,
    MR_BIGQUERY_STREAM_FINALIZED = 6,
    MR_BIGQUERY_SCHEMA_MISMATCH_EXTRA_FIELDS = 7,
    MR_BIGQUERY_OFFSET_ALREADY_EXISTS = 8,
    MR_BIGQUERY_OFFSET_OUT_OF_RANGE = 9,
    MR_BIGQUERY_CMEK_NOT_PROVIDED = 10,
    MR_BIGQUERY_INVALID_CMEK_PROVIDED = 11,
    MR_BIGQUERY_CMEK_ENCRYPTION_ERROR = 12,
    MR_BIGQUERY_KMS_SERVICE_ERROR = 13,
    MR_BIGQUERY_KMS_PERMISSION_DENIED = 14,
};

#define MR_BIGQUERY_STORAGE_ERROR "google.cloud.bigquery.storage.v1.StorageError"

struct mr_bigquery_storage_error {
    int32_t code; /* enum mr_bigquery_code */
    struct mr_span entity, error_message;
};
MR_SHAPE_MESSAGE(mr_bigquery_storage_error);

/* The StorageError packed in a status; false: there is none, or it is malformed. */
bool mr_bigquery_storage_error_of(const struct mr_rpc_status *status,
                                  struct mr_bigquery_storage_error *error);

/* ---- streams and tables ---- */

enum mr_bigquery_stream_type {
    MR_BIGQUERY_COMMITTED = 1,
    MR_BIGQUERY_PENDING = 2,
    MR_BIGQUERY_BUFFERED = 3,
};

struct mr_bigquery_write_stream {
    bool present;
    struct mr_span name;
    int32_t type; /* enum mr_bigquery_stream_type */
    struct mr_pb_time create_time, commit_time;
    struct mr_pb_part table_schema; /* mr_bigquery_schema */
    int32_t write_mode;             /* 1 INSERT */
    struct mr_span location;
};
MR_SHAPE_MESSAGE(mr_bigquery_write_stream);

struct mr_bigquery_schema {
    struct mr_pb_list fields; /* mr_bigquery_column, encoded */
};
MR_SHAPE_MESSAGE(mr_bigquery_schema);

enum mr_bigquery_type {
    MR_BIGQUERY_STRING = 1,
    MR_BIGQUERY_INT64 = 2,
    MR_BIGQUERY_DOUBLE = 3,
    MR_BIGQUERY_STRUCT = 4,
    MR_BIGQUERY_BYTES = 5,
    MR_BIGQUERY_BOOL = 6,
    MR_BIGQUERY_TIMESTAMP = 7,
    MR_BIGQUERY_DATE = 8,
    MR_BIGQUERY_TIME = 9,
    MR_BIGQUERY_DATETIME = 10,
    MR_BIGQUERY_GEOGRAPHY = 11,
    MR_BIGQUERY_NUMERIC = 12,
    MR_BIGQUERY_BIGNUMERIC = 13,
    MR_BIGQUERY_INTERVAL = 14,
    MR_BIGQUERY_JSON = 15,
    MR_BIGQUERY_RANGE = 16,
};

enum mr_bigquery_mode {
    MR_BIGQUERY_NULLABLE = 1,
    MR_BIGQUERY_REQUIRED = 2,
    MR_BIGQUERY_REPEATED = 3,
};

/* TableFieldSchema. */
struct mr_bigquery_column {
    struct mr_span name;
    int32_t type;             /* enum mr_bigquery_type */
    int32_t mode;             /* enum mr_bigquery_mode */
    struct mr_pb_list fields; /* of a STRUCT: mr_bigquery_column, encoded */
    struct mr_span description;
    int64_t max_length, precision, scale;
    struct mr_span default_value_expression;
    struct mr_pb_part range_element_type;
    struct mr_pb_int64 timestamp_precision;
};
MR_SHAPE_MESSAGE(mr_bigquery_column);

/* ---- the other calls ---- */

struct mr_bigquery_create_write_stream {
    struct mr_span parent;
    struct mr_bigquery_write_stream write_stream; /* only `type` counts */
};
MR_SHAPE_MESSAGE(mr_bigquery_create_write_stream);

struct mr_bigquery_get_write_stream {
    struct mr_span name;
    int32_t view; /* 1 BASIC, 2 FULL */
};
MR_SHAPE_MESSAGE(mr_bigquery_get_write_stream);

struct mr_bigquery_finalize {
    struct mr_span name;
};
MR_SHAPE_MESSAGE(mr_bigquery_finalize);

struct mr_bigquery_finalize_response {
    int64_t row_count;
};
MR_SHAPE_MESSAGE(mr_bigquery_finalize_response);

struct mr_bigquery_batch_commit {
    struct mr_span parent;
    struct mr_pb_list write_streams;
};
MR_SHAPE_MESSAGE(mr_bigquery_batch_commit);

struct mr_bigquery_batch_commit_response {
    struct mr_pb_time commit_time;   /* absent: nothing was committed */
    struct mr_pb_list stream_errors; /* mr_bigquery_storage_error, encoded */
};
MR_SHAPE_MESSAGE(mr_bigquery_batch_commit_response);

struct mr_bigquery_flush {
    struct mr_span write_stream;
    struct mr_pb_int64 offset; /* last row to make visible */
};
MR_SHAPE_MESSAGE(mr_bigquery_flush);

struct mr_bigquery_flush_response {
    int64_t offset;
};
MR_SHAPE_MESSAGE(mr_bigquery_flush_response);

/* ---- the writer's descriptor, flat ---- */

/* FieldDescriptorProto.Type */
enum mr_bigquery_proto {
    MR_PROTO_DOUBLE = 1,
    MR_PROTO_FLOAT = 2,
    MR_PROTO_INT64 = 3,
    MR_PROTO_UINT64 = 4,
    MR_PROTO_INT32 = 5,
    MR_PROTO_FIXED64 = 6,
    MR_PROTO_FIXED32 = 7,
    MR_PROTO_BOOL = 8,
    MR_PROTO_STRING = 9,
    MR_PROTO_GROUP = 10,
    MR_PROTO_MESSAGE = 11,
    MR_PROTO_BYTES = 12,
    MR_PROTO_UINT32 = 13,
    MR_PROTO_ENUM = 14,
    MR_PROTO_SFIXED32 = 15,
    MR_PROTO_SFIXED64 = 16,
    MR_PROTO_SINT32 = 17,
    MR_PROTO_SINT64 = 18,
};

enum mr_bigquery_label {
    MR_PROTO_OPTIONAL = 1,
    MR_PROTO_REQUIRED = 2,
    MR_PROTO_REPEATED = 3,
};

#define MR_BIGQUERY_NESTING_MAX 16 /* BigQuery allows 15 levels of STRUCT */
#define MR_BIGQUERY_NO_MESSAGE  UINT32_MAX

/* One field. `column_name` is the option of the same name: it replaces `name` when present. */
struct mr_bigquery_field {
    struct mr_span name, column_name, type_name;
    uint32_t number;
    int32_t label, type;
    uint32_t message;     /* of a MESSAGE: index into messages */
    uint32_t enumeration; /* of an ENUM: index into enums */
    bool packed;          /* option packed, proto2 says no unless asked */
};

/* One message; its fields stand together. Message 0 is the root. */
struct mr_bigquery_message {
    struct mr_span name;
    uint32_t parent; /* MR_BIGQUERY_NO_MESSAGE for the root */
    uint32_t field_first, field_count;
    uint32_t deepest; /* scratch of mr_bigquery_descriptor_recursive */
};

struct mr_bigquery_enum {
    struct mr_span name;
    uint32_t parent;
    struct mr_span bytes; /* EnumDescriptorProto; see mr_bigquery_enum_name */
};

/* The caller gives the arrays with their lengths (`_max`); the parser fills and counts. */
struct mr_bigquery_descriptor {
    struct mr_bigquery_message *messages;
    struct mr_bigquery_field *fields;
    struct mr_bigquery_enum *enums;
    uint32_t message_max, field_max, enum_max;
    uint32_t message_count, field_count, enum_count;
};

/* mr_bigquery_descriptor_parse lays an encoded DescriptorProto flat and resolves type names.
 * Errors  MR_E_PROTOBUF malformed, a group, a field without name or number, or nesting beyond
 *         MR_BIGQUERY_NESTING_MAX; MR_E_WIRE_ROOM an array is too short; MR_E_BIGQUERY_TYPE_NAME a
 *         type that the descriptor does not hold. Recursive types are found by
 *         mr_bigquery_descriptor_recursive. */
int mr_bigquery_descriptor_parse(struct mr_bigquery_descriptor *descriptor, struct mr_span bytes);

/* True if the root contains itself, directly or not, or nests deeper than
 * MR_BIGQUERY_NESTING_MAX: such descriptors are refused. */
bool mr_bigquery_descriptor_recursive(const struct mr_bigquery_descriptor *descriptor);

/* Writes the descriptor of messages[0] with all it nests; a message stands after its parent. Fields
 * of kind MESSAGE or ENUM are named by their type_name as given. */
void mr_bigquery_descriptor_put(struct mr_pen *pen,
                                const struct mr_bigquery_descriptor *descriptor);

/* The name of the enum value `number`; false: none. Aliases: the first declared. */
bool mr_bigquery_enum_name(const struct mr_bigquery_enum *enumeration, int32_t number,
                           struct mr_span *name);

/* The name by which a field meets its column. */
static inline struct mr_span mr_bigquery_field_column(const struct mr_bigquery_field *field)
{
    return field->column_name.bytes ? field->column_name : field->name;
}

/* ---- NUMERIC ---- */

#define MR_NUMERIC_SCALE     9
#define MR_NUMERIC_BYTES_MAX 16

/* Value times 10^9 as two's complement, little-endian, shortest. Returns how many bytes, [1, 16].
 * MR_E_WIRE_RANGE beyond 38 digits. */
int mr_numeric_encode(uint8_t bytes[MR_NUMERIC_BYTES_MAX], mr_i128 scaled);
/* Any length in [1, 16], shortest or not. MR_OK or MR_E_WIRE_RANGE. */
int mr_numeric_decode(struct mr_span bytes, mr_i128 *scaled);

#endif
