/* The HTTP/1.1 reader: whole requests at every split, bodies by length and in chunks, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "local/http1.h"

static void add(struct mr_http1 *r, const char *bytes, size_t count)
{
    while (count > 0) {
        size_t room;
        uint8_t *place = mr_http1_room(r, &room);
        assert_non_null(place);
        assert_true(room >= MR_HTTP1_ROOM_BYTES);
        room = MR_MIN(room, count);
        memcpy(place, bytes, room);
        mr_http1_add(r, room);
        bytes += room;
        count -= room;
    }
}

static void assert_span(struct mr_span span, const char *wanted)
{
    assert_int_equal(span.bytes, strlen(wanted));
    assert_memory_equal(span.data, wanted, span.bytes);
}

static const char two[] = "POST /a?b=c HTTP/1.1\r\nHost: h\r\nIF-Match:  \"tag\" \r\n"
                          "Content-Length: 5\r\n\r\nhelloGET /next HTTP/1.1\r\n\r\n";
static const char chunked[] = "PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "4;x=y\r\nfour\r\n0A\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
                              "DELETE /d HTTP/1.0\r\n\r\n";

static void check_two(const struct mr_http1_request *request, int which)
{
    assert_span(request->method, which == 0 ? "POST" : "GET");
    assert_span(request->target, which == 0 ? "/a?b=c" : "/next");
    assert_span(request->body, which == 0 ? "hello" : "");
    assert_span(request->if_match, which == 0 ? "\"tag\"" : "");
    assert_false(request->close);
}

static void check_chunked(const struct mr_http1_request *request, int which)
{
    assert_span(request->method, which == 0 ? "PUT" : "DELETE");
    assert_span(request->target, which == 0 ? "/c" : "/d");
    assert_span(request->body, which == 0 ? "four0123456789" : "");
    assert_int_equal(request->close, which == 1);
}

static void at_every_split(const char *text, size_t count,
                           void (*check)(const struct mr_http1_request *, int))
{
    struct mr_http1_request request;

    for (size_t step = 1; step <= count; step++) {
        struct mr_http1 r = {0};
        int found = 0, status = MR_PARTIAL;
        for (size_t at = 0; at < count; at += step) {
            add(&r, text + at, MR_MIN(step, count - at));
            while ((status = mr_http1_next(&r, &request)) == MR_OK)
                check(&request, found++);
            assert_int_equal(status, MR_PARTIAL);
        }
        assert_int_equal(found, 2);
        assert_false(mr_http1_pending(&r));
        mr_http1_finish(&r);
    }
}

static void whole_requests_at_every_split(void **state)
{
    (void)state;
    at_every_split(two, sizeof two - 1, check_two);
    at_every_split(chunked, sizeof chunked - 1, check_chunked);
}

static int status_of(const char *text)
{
    struct mr_http1_request request;
    struct mr_http1 r = {0};
    int status;

    add(&r, text, strlen(text));
    status = mr_http1_next(&r, &request);
    mr_http1_finish(&r);
    return status;
}

static void broken_requests_are_refused(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", MR_OK},
        {"GET / HTTP/1.1\r\n", MR_PARTIAL},
        {"GET /\r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\n\r\n", 400},
        {"GET /\x01 HTTP/1.1\r\n\r\n", 400},
        {"\r\nGET / HTTP/1.1\r\n\r\n", 400},
        {"G(T / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\n\r\n", 505},
        {"GET / HTTP/1.2\r\n\r\n", 505},
        {"GET / HTTP/1.1\nHost: h\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost h\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n: empty\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400},
        {"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nContent-Length:\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 413},
        {"PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
        {"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
        {"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
        {"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 413},
        {"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nC00001\r\n", 413},
        {"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", MR_PARTIAL},
    };
    (void)state;

    for (size_t i = 0; i < MR_COUNT(cases); i++)
        if (status_of(cases[i].text) != cases[i].status)
            fail_msg("%s: %d", cases[i].text, status_of(cases[i].text));
}

static void heads_and_lines_are_bounded(void **state)
{
    struct mr_http1_request request;
    struct mr_http1 r = {0};
    char *long_text = malloc(MR_HTTP1_HEAD_BYTES + 1);
    static const char head[] = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;";
    (void)state;

    memset(long_text, 'a', MR_HTTP1_HEAD_BYTES);
    add(&r, long_text, MR_HTTP1_HEAD_BYTES);
    assert_int_equal(mr_http1_next(&r, &request), 431);
    mr_http1_finish(&r);
    add(&r, head, sizeof head - 1);
    add(&r, long_text, 300);
    assert_int_equal(mr_http1_next(&r, &request), 400);
    mr_http1_finish(&r);
    free(long_text);
}

static void a_waiting_client_is_seen(void **state)
{
    static const char head[] =
        "PUT / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    struct mr_http1_request request;
    struct mr_http1 r = {0};
    (void)state;

    add(&r, head, sizeof head - 1);
    assert_int_equal(mr_http1_next(&r, &request), MR_PARTIAL);
    assert_true(r.expects);
    add(&r, "ok", 2);
    assert_int_equal(mr_http1_next(&r, &request), MR_OK);
    assert_span(request.body, "ok");
    mr_http1_finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_requests_at_every_split),
        cmocka_unit_test(broken_requests_are_refused),
        cmocka_unit_test(heads_and_lines_are_bounded),
        cmocka_unit_test(a_waiting_client_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
