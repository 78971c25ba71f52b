#include "wire/bigquery.h"

/* ---- methods ---- */

static const struct {
    const char *path, *key;
} methods[MR_BIGQUERY_METHOD_COUNT] = {
#define ROW(name, method, key) {"/google.cloud.bigquery.storage.v1.BigQueryWrite/" method, key},
    MR_BIGQUERY_METHODS(ROW)
#undef ROW
};

const char *mr_bigquery_path(enum mr_bigquery_method method)
{
    MR_ASSERT(method < MR_BIGQUERY_METHOD_COUNT);
    return methods[method].path;
}

const char *mr_bigquery_routing_key(enum mr_bigquery_method method)
{
    MR_ASSERT(method < MR_BIGQUERY_METHOD_COUNT);
    return methods[method].key;
}

enum mr_bigquery_method mr_bigquery_method_of(struct mr_span path)
{
    for (uint32_t i = 0; i < MR_BIGQUERY_METHOD_COUNT; i++)
        if (mr_span_equal(path, mr_span_text(methods[i].path)))
            return (enum mr_bigquery_method)i;
    return MR_BIGQUERY_METHOD_COUNT;
}

/* ---- a request, row by row ---- */

int mr_bigquery_append_begin(struct mr_bigquery_append *append, void *buffer, size_t limit,
                             const struct mr_bigquery_append_head *head)
{
    struct mr_pen *pen = &append->pen;

    *append = (struct mr_bigquery_append){.pen = mr_pen_of(buffer, limit)};
    mr_pb_add_bytes(pen, 1, head->write_stream);
    mr_pb_put_int64(pen, 2, &head->offset);
    mr_pb_add_bytes(pen, 6, head->trace_id);
    mr_pb_add_int(pen, 8, head->default_missing_value_interpretation);
    /* The rows come last, so that nothing but the two lengths is left to say at the end. */
    append->data_mark = mr_pb_open_wide(pen, 4);
    if (head->descriptor.present) {
        size_t schema = mr_pb_open(pen, 1);
        mr_pb_put_bytes(pen, 1, head->descriptor.bytes);
        mr_pb_close(pen, schema);
    }
    append->rows_mark = mr_pb_open_wide(pen, 2);
    return pen->err;
}

bool mr_bigquery_append_row(struct mr_bigquery_append *append, struct mr_span row)
{
    size_t before = append->pen.bytes;

    mr_pb_put_bytes(&append->pen, 1, row);
    if (append->pen.err != MR_OK) {
        mr_pen_rewind(&append->pen, before);
        return false;
    }
    append->row_count++;
    return true;
}

/* The mark is where the tag stands; mr_pb_close wants the place after it. */
size_t mr_bigquery_row_open(struct mr_bigquery_append *append)
{
    size_t mark = append->pen.bytes;

    mr_pb_open(&append->pen, 1);
    return mark;
}

bool mr_bigquery_row_close(struct mr_bigquery_append *append, size_t mark)
{
    mr_pb_close(&append->pen, mark + 1);
    if (append->pen.err != MR_OK) {
        mr_pen_rewind(&append->pen, mark);
        return false;
    }
    append->row_count++;
    return true;
}

struct mr_span mr_bigquery_append_finish(struct mr_bigquery_append *append)
{
    mr_pb_close_wide(&append->pen, append->rows_mark);
    mr_pb_close_wide(&append->pen, append->data_mark);
    return mr_pen_span(&append->pen);
}

bool mr_bigquery_storage_error_of(const struct mr_rpc_status *status,
                                  struct mr_bigquery_storage_error *error)
{
    struct mr_span value;

    return mr_rpc_detail(status, MR_BIGQUERY_STORAGE_ERROR, &value) &&
           mr_bigquery_storage_error_parse(error, value) == MR_OK;
}

/* ---- NUMERIC ---- */

static bool numeric_range(mr_i128 scaled)
{
    mr_i128 limit = (mr_i128)INT64_C(1000000000000000000) * INT64_C(1000000000000000000) * 100;
    return scaled > -limit && scaled < limit;
}

int mr_numeric_encode(uint8_t bytes[MR_NUMERIC_BYTES_MAX], mr_i128 scaled)
{
    int count = 0;

    if (!numeric_range(scaled))
        return MR_E_WIRE_RANGE;
    /* Until what is left is only the sign that the last byte already shows. */
    for (;;) {
        int8_t low = (int8_t)scaled;
        bytes[count++] = (uint8_t)low;
        scaled >>= 8;
        if (scaled == (low < 0 ? -1 : 0))
            return count;
    }
}

int mr_numeric_decode(struct mr_span bytes, mr_i128 *scaled)
{
    if (bytes.bytes == 0 || bytes.bytes > MR_NUMERIC_BYTES_MAX)
        return MR_E_WIRE_RANGE;
    mr_u128 value = bytes.data[bytes.bytes - 1] & 128 ? ~(mr_u128)0 : 0;
    for (size_t i = bytes.bytes; i-- > 0;)
        value = value << 8 | bytes.data[i];
    *scaled = (mr_i128)value;
    return numeric_range(*scaled) ? MR_OK : MR_E_WIRE_RANGE;
}

/* ---- tables ---- */

#define SLOT(type, number, kind, member)                                                           \
    {                                                                                              \
        number, MR_SHAPE_##kind, offsetof(struct type, member)                                     \
    }
#define NEST(type, number, member, nested)                                                         \
    {                                                                                              \
        number, MR_SHAPE_NESTED, offsetof(struct type, member), &nested##_shape                    \
    }
#define S1(type, ...) MR_SHAPE_DEFINE(type, true, __VA_ARGS__)
#define S0(type, ...) MR_SHAPE_DEFINE(type, false, __VA_ARGS__)

#define T mr_bigquery_writer_schema
S1(mr_bigquery_writer_schema, SLOT(T, 1, PART, descriptor));
#undef T
#define T mr_bigquery_rows
S1(mr_bigquery_rows, SLOT(T, 1, LIST, serialized_rows));
#undef T
#define T mr_bigquery_proto_data
S1(mr_bigquery_proto_data, NEST(T, 1, writer_schema, mr_bigquery_writer_schema),
   NEST(T, 2, rows, mr_bigquery_rows));
#undef T
#define T mr_bigquery_append_request
S0(mr_bigquery_append_request, SLOT(T, 1, TEXT, write_stream), SLOT(T, 2, WRAPPED, offset),
   NEST(T, 4, proto_rows, mr_bigquery_proto_data), SLOT(T, 5, PART, arrow_rows),
   SLOT(T, 6, TEXT, trace_id), SLOT(T, 7, LIST, missing_value_interpretations),
   SLOT(T, 8, INT32, default_missing_value_interpretation), SLOT(T, 9, PART, client_stats));
#undef T
#define T mr_bigquery_missing_entry
S0(mr_bigquery_missing_entry, SLOT(T, 1, TEXT, column), SLOT(T, 2, INT32, interpretation));
#undef T
#define T mr_bigquery_append_result
S1(mr_bigquery_append_result, SLOT(T, 1, WRAPPED, offset));
#undef T
#define T mr_bigquery_append_response
S0(mr_bigquery_append_response, NEST(T, 1, append_result, mr_bigquery_append_result),
   NEST(T, 2, error, mr_rpc_status), SLOT(T, 3, PART, updated_schema), SLOT(T, 4, LIST, row_errors),
   SLOT(T, 5, TEXT, write_stream));
#undef T
#define T mr_bigquery_row_error
S0(mr_bigquery_row_error, SLOT(T, 1, INT64, index), SLOT(T, 2, INT32, code),
   SLOT(T, 3, TEXT, message));
#undef T
#define T mr_bigquery_storage_error
S0(mr_bigquery_storage_error, SLOT(T, 1, INT32, code), SLOT(T, 2, TEXT, entity),
   SLOT(T, 3, TEXT, error_message));
#undef T
#define T mr_bigquery_write_stream
S1(mr_bigquery_write_stream, SLOT(T, 1, TEXT, name), SLOT(T, 2, INT32, type),
   SLOT(T, 3, TIME, create_time), SLOT(T, 4, TIME, commit_time), SLOT(T, 5, PART, table_schema),
   SLOT(T, 7, INT32, write_mode), SLOT(T, 8, TEXT, location));
#undef T
#define T mr_bigquery_schema
S0(mr_bigquery_schema, SLOT(T, 1, LIST, fields));
#undef T
#define T mr_bigquery_column
S0(mr_bigquery_column, SLOT(T, 1, TEXT, name), SLOT(T, 2, INT32, type), SLOT(T, 3, INT32, mode),
   SLOT(T, 4, LIST, fields), SLOT(T, 6, TEXT, description), SLOT(T, 7, INT64, max_length),
   SLOT(T, 8, INT64, precision), SLOT(T, 9, INT64, scale),
   SLOT(T, 10, TEXT, default_value_expression), SLOT(T, 11, PART, range_element_type),
   SLOT(T, 27, WRAPPED, timestamp_precision));
#undef T
#define T mr_bigquery_create_write_stream
S0(mr_bigquery_create_write_stream, SLOT(T, 1, TEXT, parent),
   NEST(T, 2, write_stream, mr_bigquery_write_stream));
#undef T
#define T mr_bigquery_get_write_stream
S0(mr_bigquery_get_write_stream, SLOT(T, 1, TEXT, name), SLOT(T, 3, INT32, view));
#undef T
#define T mr_bigquery_finalize
S0(mr_bigquery_finalize, SLOT(T, 1, TEXT, name));
#undef T
#define T mr_bigquery_finalize_response
S0(mr_bigquery_finalize_response, SLOT(T, 1, INT64, row_count));
#undef T
#define T mr_bigquery_batch_commit
S0(mr_bigquery_batch_commit, SLOT(T, 1, TEXT, parent), SLOT(T, 2, TEXTS, write_streams));
#undef T
#define T mr_bigquery_batch_commit_response
S0(mr_bigquery_batch_commit_response, SLOT(T, 1, TIME, commit_time),
   SLOT(T, 2, LIST, stream_errors));
#undef T
#define T mr_bigquery_flush
S0(mr_bigquery_flush, SLOT(T, 1, TEXT, write_stream), SLOT(T, 2, WRAPPED, offset));
#undef T
#define T mr_bigquery_flush_response
S0(mr_bigquery_flush_response, SLOT(T, 1, INT64, offset));
#undef T
