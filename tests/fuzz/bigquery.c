/* Aim: every Storage Write message bears any bytes; a descriptor that parses can be put and parsed
 * again, with the same types found; a NUMERIC that decodes encodes to no more bytes. */
#include <stdlib.h>

#include "tests/fuzz/round.h"
#include "tests/fuzz/fuzz.h"
#include "wire/bigquery.h"

static void describe(struct mr_span span)
{
    static struct mr_bigquery_message messages[2][64];
    static struct mr_bigquery_field fields[2][256];
    static struct mr_bigquery_enum enums[2][16];
    struct mr_bigquery_descriptor d[2];
    struct mr_span name;

    for (int i = 0; i < 2; i++)
        d[i] = (struct mr_bigquery_descriptor){messages[i], fields[i], enums[i], 64, 256, 16};
    if (mr_bigquery_descriptor_parse(&d[0], span) != MR_OK)
        return;
    mr_bigquery_descriptor_recursive(&d[0]);
    for (uint32_t i = 0; i < d[0].enum_count; i++)
        mr_bigquery_enum_name(&enums[0][i], 1, &name);
    size_t room = 64 * span.bytes + 64;
    struct mr_pen pen = mr_pen_of(malloc(room), room);
    mr_bigquery_descriptor_put(&pen, &d[0]);
    MR_ASSERT(pen.err == MR_OK);
    MR_ASSERT(mr_bigquery_descriptor_parse(&d[1], mr_pen_span(&pen)) == MR_OK);
    MR_ASSERT(d[0].message_count == d[1].message_count && d[0].field_count == d[1].field_count);
    for (uint32_t i = 0; i < d[0].field_count; i++)
        MR_ASSERT(fields[0][i].number == fields[1][i].number &&
                  fields[0][i].message == fields[1][i].message);
    free(pen.data);
}

static void number(struct mr_span span)
{
    uint8_t bytes[MR_NUMERIC_BYTES_MAX];
    mr_i128 value, again;

    if (mr_numeric_decode(span, &value) != MR_OK)
        return;
    int count = mr_numeric_encode(bytes, value);
    MR_ASSERT(count > 0 && (size_t)count <= span.bytes);
    MR_ASSERT(mr_numeric_decode(mr_span_of(bytes, (size_t)count), &again) == MR_OK);
    MR_ASSERT(again == value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct mr_span span = mr_span_of(data, bytes);

    describe(span);
    number(span);
    ROUND(mr_bigquery_append_request, span);
    ROUND(mr_bigquery_append_response, span);
    ROUND(mr_bigquery_storage_error, span);
    ROUND(mr_bigquery_write_stream, span);
    ROUND(mr_bigquery_column, span);
    ROUND(mr_bigquery_create_write_stream, span);
    ROUND(mr_bigquery_batch_commit_response, span);
    ROUND(mr_bigquery_flush, span);
    return 0;
}
