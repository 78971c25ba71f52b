/* Aim: gRPC frames, headers' texts and statuses bear any bytes; splits do not matter. */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "wire/grpc.h"

#define MESSAGE_MAX 4096

struct result {
    uint64_t sum;
    int err;
};

static struct result whole(struct mr_span stream, size_t step)
{
    uint8_t carry[MESSAGE_MAX];
    struct mr_grpc_whole reader = mr_grpc_whole_of(carry, sizeof carry);
    struct result result = {1, MR_PARTIAL};
    struct mr_span message;

    while (stream.bytes && result.err == MR_PARTIAL) {
        struct mr_span input = mr_span_of(stream.data, MR_MIN(step, stream.bytes));
        stream.data += input.bytes, stream.bytes -= input.bytes;
        while ((result.err = mr_grpc_whole_next(&reader, &input, &message)) == MR_OK) {
            result.sum = result.sum * 31 + message.bytes;
            for (size_t i = 0; i < message.bytes; i++)
                result.sum = result.sum * 31 + message.data[i];
        }
    }
    return result;
}

static void texts(struct mr_span span)
{
    size_t room = span.bytes * 3 + 16;
    uint8_t *a = malloc(room), *b = malloc(room);
    struct mr_pen pen = mr_pen_of(a, room);

    mr_grpc_message_encode(&pen, span);
    size_t decoded = mr_grpc_message_decode((char *)b, room, mr_pen_span(&pen));
    MR_ASSERT(mr_span_equal(mr_span_of(b, decoded), span));
    pen = mr_pen_of(a, room);
    mr_grpc_base64_encode(&pen, span);
    int64_t bytes = mr_grpc_base64_decode(b, room, mr_pen_span(&pen));
    MR_ASSERT(bytes >= 0 && mr_span_equal(mr_span_of(b, (size_t)bytes), span));
    mr_grpc_base64_decode(b, room, span);
    mr_grpc_message_decode((char *)b, room, span);
    mr_grpc_timeout_us(span);
    free(a);
    free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct mr_span span = mr_span_of(data, bytes), value;
    struct mr_rpc_status status;

    struct result once = whole(span, SIZE_MAX), split = whole(span, bytes ? data[0] % 17 + 1 : 1);
    MR_ASSERT(once.sum == split.sum && once.err == split.err);
    texts(span);
    if (mr_rpc_status_parse(&status, span) == MR_OK)
        mr_rpc_detail(&status, MR_RPC_ERROR_INFO, &value);
    return 0;
}
