/* Aim: gRPC frames come out the same however they are split, and statuses keep their meaning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/wire/edge.h"
#include "wire/grpc.h"

/* Three messages of 3, 0 and 300 bytes. */
static struct mr_span stream_bytes(uint8_t *bytes)
{
    static const uint32_t lengths[] = {3, 0, 300};
    size_t at = 0;

    for (size_t i = 0; i < MR_COUNT(lengths); i++) {
        mr_grpc_prefix(bytes + at, lengths[i]);
        at += MR_GRPC_PREFIX_BYTES;
        for (uint32_t b = 0; b < lengths[i]; b++)
            bytes[at++] = (uint8_t)(b + i);
    }
    return mr_span_of(bytes, at);
}

static void every_split_gives_the_same_messages(void **state)
{
    uint8_t bytes[400], carry[300];
    struct mr_span whole = stream_bytes(bytes), message;

    (void)state;
    for (size_t cut = 0; cut <= whole.bytes; cut++) {
        struct mr_grpc_whole reader = mr_grpc_whole_of(carry, sizeof carry);
        struct mr_grpc_cursor cursor = mr_grpc_cursor_of(300);
        uint32_t begins = 0, ends = 0, messages = 0, total = 0;
        for (int part = 0; part < 2; part++) {
            struct mr_span input = edge_copy(part ? mr_span_of(bytes + cut, whole.bytes - cut)
                                                  : mr_span_of(bytes, cut));
            struct mr_span again = input;
            struct mr_grpc_piece piece;
            int err;
            while ((err = mr_grpc_next(&cursor, &again, &piece)) == MR_OK) {
                begins += piece.begin, ends += piece.end;
                total += (uint32_t)piece.bytes.bytes;
            }
            assert_int_equal(err, MR_PARTIAL);
            while ((err = mr_grpc_whole_next(&reader, &input, &message)) == MR_OK) {
                static const uint32_t lengths[] = {3, 0, 300};
                assert_int_equal(message.bytes, lengths[messages]);
                for (size_t b = 0; b < message.bytes; b++)
                    assert_int_equal(message.data[b], (uint8_t)(b + messages));
                messages++;
            }
            assert_int_equal(err, MR_PARTIAL);
        }
        assert_true(begins == 3 && ends == 3 && messages == 3 && total == 303);
        assert_int_equal(mr_grpc_end(&cursor), MR_OK);
    }
}

static void bad_frames_are_refused(void **state)
{
    (void)state;
    struct mr_grpc_cursor cursor = mr_grpc_cursor_of(10);
    struct mr_grpc_piece piece;
    struct mr_span input = mr_span_of("\x01\0\0\0\0", 5);
    assert_int_equal(mr_grpc_next(&cursor, &input, &piece), MR_E_GRPC_FRAME);
    cursor = mr_grpc_cursor_of(10);
    input = mr_span_of("\0\0\0\0\x0B", 5);
    assert_int_equal(mr_grpc_next(&cursor, &input, &piece), MR_E_GRPC_TOO_LARGE);
    cursor = mr_grpc_cursor_of(10);
    input = mr_span_of("\0\0\0\0\x0Axyz", 8);
    assert_int_equal(mr_grpc_next(&cursor, &input, &piece), MR_OK);
    assert_true(piece.begin && !piece.end && piece.message_bytes == 10);
    assert_int_equal(mr_grpc_end(&cursor), MR_E_GRPC_FRAME);
}

static void messages_are_percent_encoded(void **state)
{
    (void)state;
    static const char text[] = "100% \xC3\xBC\n";
    uint8_t memory[64];
    char decoded[64];
    struct mr_pen pen = mr_pen_of(memory, sizeof memory);
    mr_grpc_message_encode(&pen, mr_span_text(text));
    assert_true(mr_span_equal(mr_pen_span(&pen), mr_span_text("100%25 %C3%BC%0A")));
    size_t bytes = mr_grpc_message_decode(decoded, sizeof decoded, edge_copy(mr_pen_span(&pen)));
    assert_true(mr_span_equal(mr_span_of(decoded, bytes), mr_span_text(text)));
    bytes = mr_grpc_message_decode(decoded, sizeof decoded, edge_copy(mr_span_text("%zz%4%4")));
    assert_true(mr_span_equal(mr_span_of(decoded, bytes), mr_span_text("%zz%4%4")));
    assert_int_equal(mr_grpc_message_decode(decoded, 2, mr_span_text("abc")), 2);
}

static void base64_takes_both_paddings(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *padded, *bare;
    } vectors[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"\xFB\xFF\xFE", "+//+", "+//+"},
    };
    uint8_t memory[16];
    for (size_t i = 0; i < MR_COUNT(vectors); i++) {
        const char *texts[] = {vectors[i].padded, vectors[i].bare};
        for (int t = 0; t < 2; t++) {
            int64_t bytes = mr_grpc_base64_decode(memory, sizeof memory,
                                                  edge_copy(mr_span_text(texts[t])));
            assert_int_equal(bytes, strlen(vectors[i].plain));
            assert_memory_equal(memory, vectors[i].plain, (size_t)bytes);
        }
        struct mr_pen pen = mr_pen_of(memory, sizeof memory);
        mr_grpc_base64_encode(&pen, edge_copy(mr_span_text(vectors[i].plain)));
        assert_true(mr_span_equal(mr_pen_span(&pen), mr_span_text(vectors[i].bare)));
    }
    static const char *const bad[] = {"Z", "Zg=", "Zm9v=", "Z!==", "Zg==x", "===="};
    for (size_t i = 0; i < MR_COUNT(bad); i++)
        assert_int_equal(mr_grpc_base64_decode(memory, sizeof memory, mr_span_text(bad[i])),
                         MR_E_GRPC_FRAME);
    assert_int_equal(mr_grpc_base64_decode(memory, sizeof memory, mr_span_text("Zg==,Zm8=")), 1);
    assert_int_equal(mr_grpc_base64_decode(memory, 2, mr_span_text("Zm9v")), MR_E_WIRE_ROOM);
}

static void missing_statuses_are_mapped(void **state)
{
    (void)state;
    static const struct {
        int32_t http;
        enum mr_grpc_code code;
    } statuses[] = {{400, MR_GRPC_INTERNAL},
                    {401, MR_GRPC_UNAUTHENTICATED},
                    {403, MR_GRPC_PERMISSION_DENIED},
                    {404, MR_GRPC_UNIMPLEMENTED},
                    {429, MR_GRPC_UNAVAILABLE},
                    {431, MR_GRPC_INTERNAL},
                    {502, MR_GRPC_UNAVAILABLE},
                    {503, MR_GRPC_UNAVAILABLE},
                    {504, MR_GRPC_UNAVAILABLE},
                    {200, MR_GRPC_UNKNOWN},
                    {418, MR_GRPC_UNKNOWN}};
    static const enum mr_grpc_code resets[] = {
        MR_GRPC_INTERNAL,         MR_GRPC_INTERNAL, MR_GRPC_INTERNAL, MR_GRPC_INTERNAL,
        MR_GRPC_INTERNAL,         MR_GRPC_UNKNOWN,  MR_GRPC_INTERNAL, MR_GRPC_UNAVAILABLE,
        MR_GRPC_CANCELLED,        MR_GRPC_INTERNAL, MR_GRPC_INTERNAL, MR_GRPC_RESOURCE_EXHAUSTED,
        MR_GRPC_PERMISSION_DENIED};
    for (size_t i = 0; i < MR_COUNT(statuses); i++)
        assert_int_equal(mr_grpc_code_of_http(statuses[i].http), statuses[i].code);
    for (uint32_t i = 0; i < MR_COUNT(resets); i++)
        assert_int_equal(mr_grpc_code_of_reset(i), resets[i]);
}

static void details_travel_in_trailers(void **state)
{
    (void)state;
    uint8_t info[200], any[400], encoded[600], text[1200], decoded[600];
    struct mr_pb_pair pair = {mr_span_text("ack-1"),
                              mr_span_text("PERMANENT_FAILURE_INVALID_ACK_ID")};
    struct mr_rpc_error_info sent = {.reason = mr_span_text("EXACTLY_ONCE_ACKID_FAILURE"),
                                     .metadata = {.pairs = &pair, .count = 1}};
    struct mr_pen info_pen = mr_pen_of(info, sizeof info), any_pen = mr_pen_of(any, sizeof any);
    struct mr_pen pen = mr_pen_of(encoded, sizeof encoded);
    mr_rpc_error_info_put(&info_pen, &sent);
    mr_rpc_any_put_typed(&any_pen, MR_RPC_ERROR_INFO, mr_pen_span(&info_pen));
    struct mr_span item = mr_pen_span(&any_pen);
    struct mr_rpc_status status = {.code = 3,
                                   .message = mr_span_text("some ids failed"),
                                   .details = {.items = &item, .count = 1}};
    mr_rpc_status_put(&pen, &status);

    struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];
    struct mr_pen text_pen = mr_pen_of(text, sizeof text);
    size_t count = mr_grpc_trailers(headers, &text_pen, false, 3, status.message,
                                    mr_pen_span(&pen));
    assert_int_equal(text_pen.err, MR_OK);
    struct mr_grpc_outcome outcome;
    mr_grpc_outcome_read(&outcome, headers, count);
    assert_int_equal(outcome.code, 3);
    int64_t bytes = mr_grpc_base64_decode(decoded, sizeof decoded, outcome.details);
    assert_true(bytes > 0);
    struct mr_rpc_error_info got;
    struct mr_span value;
    assert_int_equal(mr_rpc_status_parse(&status, edge_copy(mr_span_of(decoded, (size_t)bytes))),
                     MR_OK);
    assert_false(mr_rpc_detail(&status, MR_RPC_RETRY_INFO, &value));
    assert_true(mr_rpc_detail(&status, MR_RPC_ERROR_INFO, &value));
    assert_int_equal(mr_rpc_error_info_parse(&got, value), MR_OK);
    assert_true(mr_pb_map_get(&got.metadata, mr_span_text("ack-1"), &value));
    assert_true(mr_span_equal(value, pair.value));
    assert_false(mr_pb_map_get(&got.metadata, mr_span_text("ack-2"), &value));
}

static void requests_have_their_headers(void **state)
{
    (void)state;
    uint8_t memory[128];
    struct mr_pen pen = mr_pen_of(memory, sizeof memory);
    mr_grpc_routing(&pen, "subscription", mr_span_text("projects/p/subscriptions/a+b c"));
    assert_true(mr_span_equal(mr_pen_span(&pen),
                              mr_span_text("subscription=projects/p/subscriptions/a%2Bb%20c")));
    struct mr_grpc_request request = {.authority = mr_span_text("h"),
                                      .path = mr_span_text("/s/m"),
                                      .request_params = mr_pen_span(&pen)};
    struct mr_h2_header headers[MR_GRPC_HEADERS_MAX];
    size_t count = mr_grpc_request_headers(headers, &request);
    assert_int_equal(count, 7);
    assert_true(mr_span_equal(headers[1].value, mr_span_text("https")));
    assert_true(mr_span_equal(headers[4].name, mr_span_text("te")));
    assert_true(mr_span_equal(headers[6].name, mr_span_text("x-goog-request-params")));
    assert_int_equal(mr_grpc_timeout_us(mr_span_text("100m")), 100000);
    assert_int_equal(mr_grpc_timeout_us(mr_span_text("1H")), 3600000000);
    assert_int_equal(mr_grpc_timeout_us(mr_span_text("1n")), 1);
    assert_int_equal(mr_grpc_timeout_us(mr_span_text("123456789S")), -1);
    assert_int_equal(mr_grpc_timeout_us(mr_span_text("S")), -1);
    assert_int_equal(mr_grpc_timeout_us(mr_span_text("1x")), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_split_gives_the_same_messages),
        cmocka_unit_test(bad_frames_are_refused),
        cmocka_unit_test(messages_are_percent_encoded),
        cmocka_unit_test(base64_takes_both_paddings),
        cmocka_unit_test(missing_statuses_are_mapped),
        cmocka_unit_test(details_travel_in_trailers),
        cmocka_unit_test(requests_have_their_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
