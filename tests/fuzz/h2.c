/* Aim: no bytes from the peer break the HTTP/2 connection's own memory, as client or as server. The
 * first byte chooses the role and how the rest is split; a server is given the preface. */
#include "tests/fuzz/fuzz.h"
#include "wire/grpc.h"

static void on_headers(void *self, struct mr_h2_stream *stream, enum mr_h2_block block,
                       const struct mr_h2_header *headers, size_t count, bool end)
{
    struct mr_h2 *h2 = *(struct mr_h2 **)self;
    struct mr_grpc_outcome outcome;
    struct mr_h2_header answer[MR_GRPC_HEADERS_MAX];

    (void)end;
    mr_grpc_outcome_read(&outcome, headers, count);
    if (block == MR_H2_REQUEST)
        mr_h2_respond(h2, stream, answer, mr_grpc_response_headers(answer), false);
}

static void on_data(void *self, struct mr_h2_stream *stream, struct mr_span bytes)
{
    struct mr_h2 *h2 = *(struct mr_h2 **)self;

    mr_h2_consume_stream(h2, stream, bytes.bytes);
    mr_h2_consume_connection(h2, bytes.bytes);
    mr_h2_send_copy(h2, stream, bytes);
}

static void on_end(void *self, struct mr_h2_stream *stream)
{
    mr_h2_end(*(struct mr_h2 **)self, stream);
}

static const struct mr_h2_events events = {.headers = on_headers, .data = on_data, .end = on_end};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct mr_h2 *h2;
    uint8_t out[4096];

    if (bytes == 0)
        return 0;
    struct mr_h2_options options = {.server = data[0] & 1};
    size_t step = (size_t)(data[0] >> 1) + 1;
    h2 = mr_h2_create(&options, &events, &h2);
    MR_ASSERT(h2);
    if (options.server) {
        mr_h2_feed(h2, mr_span_text(preface));
    } else {
        struct mr_grpc_request request = {.authority = mr_span_text("h"),
                                          .path = mr_span_text("/s/m")};
        struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];
        mr_h2_open(h2, headers, mr_grpc_request_headers(headers, &request));
    }
    for (size_t at = 1; at < bytes; at += step) {
        int err = mr_h2_feed(h2, mr_span_of(data + at, MR_MIN(step, bytes - at)));
        while (mr_h2_take(h2, out, sizeof out) > 0)
            ;
        if (err != MR_OK)
            break;
    }
    mr_h2_done(h2);
    mr_h2_destroy(h2);
    return 0;
}
