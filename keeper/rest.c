#include "keeper/rest.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "keeper/document.h"

#define CONNECT_MS 2000
#define TOTAL_MS   10000
#define POLL_MS    1000
#define USER_AGENT "millrace/" MR_VERSION

int mr_rest_init(struct mr_rest *rest, const char *ca_file)
{
    *rest = (struct mr_rest){.ca_file = ca_file};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return MR_E_MEMORY;
    rest->multi = curl_multi_init();
    return rest->multi ? MR_OK : MR_E_MEMORY;
}

void mr_rest_finish(struct mr_rest *rest)
{
    if (!rest->multi)
        return;
    curl_multi_cleanup(rest->multi);
    rest->multi = NULL;
    curl_global_cleanup();
}

static size_t on_body(char *data, size_t one, size_t bytes, void *self)
{
    struct mr_rest_call *call = self;
    (void)one;

    if (bytes > MR_REST_ANSWER_BYTES_MAX - call->answer.bytes)
        return 0; /* libcurl ends the call with a write error */
    if (call->answer.bytes + bytes > call->room) {
        size_t room = MR_MAX(2 * call->room, call->answer.bytes + bytes);
        char *grown = realloc(call->bytes, room);
        if (!grown)
            return 0;
        call->bytes = grown;
        call->room = room;
    }
    memcpy(call->bytes + call->answer.bytes, data, bytes);
    call->answer = mr_span_of(call->bytes, call->answer.bytes + bytes);
    return bytes;
}

static bool set_up(struct mr_rest_call *call)
{
    CURL *easy = call->easy;
    struct curl_slist *list = NULL;

    for (uint32_t i = 0; i < MR_REST_HEADERS_MAX && call->headers[i]; i++) {
        struct curl_slist *longer = curl_slist_append(list, call->headers[i]);
        if (!longer) {
            curl_slist_free_all(list);
            return false;
        }
        list = longer;
    }
    call->header_list = list;
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, USER_AGENT);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->why);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(call->connect_ms ? call->connect_ms : CONNECT_MS));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(call->total_ms ? call->total_ms : TOTAL_MS));
    if (call->rest->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, call->rest->ca_file);
    if (call->direct)
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (call->body.bytes > 0) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.bytes);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)call->body.data);
    }
    return true;
}

void mr_rest_start(struct mr_rest *rest, struct mr_rest_call *call)
{
    call->rest = rest;
    call->err = MR_OK;
    call->status = 0;
    call->answer = mr_span_of(NULL, 0);
    call->why[0] = '\0';
    call->bytes = NULL;
    call->room = 0;
    call->header_list = NULL;
    call->easy = curl_easy_init();
    /* Without memory for a handful of pointers nothing else goes on either. */
    MR_ASSERT(call->easy && set_up(call));
    MR_ASSERT(curl_multi_add_handle(rest->multi, call->easy) == CURLM_OK);
    rest->under_way++;
}

static void let_go(struct mr_rest_call *call)
{
    curl_multi_remove_handle(call->rest->multi, call->easy);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->header_list);
    call->easy = call->header_list = NULL;
    call->rest->under_way--;
}

void mr_rest_cancel(struct mr_rest_call *call)
{
    if (!call->easy)
        return;
    let_go(call);
    free(call->bytes);
    call->bytes = NULL;
}

static void end(struct mr_rest_call *call, CURLcode result)
{
    long status = 0;

    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    call->status = (int32_t)status;
    if (result != CURLE_OK) {
        call->err = MR_E_REST;
        if (call->why[0] == '\0')
            snprintf(call->why, sizeof call->why, "%s", curl_easy_strerror(result));
    }
    let_go(call);
    char *bytes = call->bytes; /* `done` may start the call anew */
    call->done(call);
    free(bytes);
}

uint32_t mr_rest_turn(struct mr_rest *rest)
{
    int running, left;
    uint32_t ended = 0;
    CURLMsg *message;

    if (rest->under_way == 0)
        return 0;
    curl_multi_perform(rest->multi, &running);
    while ((message = curl_multi_info_read(rest->multi, &left)) != NULL) {
        struct mr_rest_call *call;
        CURLcode result = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        end(call, result);
        ended++;
    }
    return ended;
}

void mr_rest_wait(struct mr_rest *rest)
{
    while (rest->under_way > 0) {
        if (mr_rest_turn(rest) == 0)
            curl_multi_poll(rest->multi, NULL, 0, POLL_MS, NULL);
    }
}

/* ---- what an answer means ---- */

static bool reason_is_one_of(const char *reason, const char *const *known)
{
    for (; *known; known++)
        if (strcmp(reason, *known) == 0)
            return true;
    return false;
}

/* "HTTP 403 accessDenied: Access Denied: ..." */
static void tell(struct mr_rest_call *call, const char *reason)
{
    char text[MR_REST_WHY_BYTES / 2];

    if (mr_document_text(call->answer, "error.message", text, sizeof text) < 0 &&
        mr_document_text(call->answer, "error_description", text, sizeof text) < 0)
        text[0] = '\0';
    snprintf(call->why, sizeof call->why, "HTTP %d%s%s%s%s", call->status, reason[0] ? " " : "",
             reason, text[0] ? ": " : "", text);
}

enum mr_rest_verdict mr_rest_judge(struct mr_rest_call *call)
{
    static const char *const passing[] = {"rateLimitExceeded",       "backendError",
                                          "internalError",           "jobRateLimitExceeded",
                                          "temporarily_unavailable", NULL};
    char reason[64];

    if (call->err != MR_OK)
        return MR_REST_RETRY; /* `why` is libcurl's */
    if (call->status >= 200 && call->status < 300)
        return MR_REST_DONE;
    if (mr_document_text(call->answer, "error.errors.0.reason", reason, sizeof reason) < 0 &&
        mr_document_text(call->answer, "error", reason, sizeof reason) < 0)
        reason[0] = '\0';
    tell(call, reason);
    if (call->status == 409)
        return MR_REST_EXISTS;
    if (call->status == 404)
        return MR_REST_ABSENT;
    if (call->status == 408 || call->status == 429 || call->status >= 500 ||
        reason_is_one_of(reason, passing))
        return MR_REST_RETRY;
    return MR_REST_REFUSED;
}
