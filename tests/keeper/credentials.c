/* Aim: credentials are found in their order, tokens are right and renewed in time, failures say
 * which file or host, and no secret is in what they say. */
#include "tests/keeper/http_kit.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "core/clock.h"
#include "keeper/credentials.h"
#include "keeper/credentials_jwt.h"
#include "keeper/document.h"
#include "wire/grpc.h"

#define SECOND_US INT64_C(1000000)
#define NOW_US    (INT64_C(1753185600) * SECOND_US)

static char folder[] = "/tmp/millrace-credentials-XXXXXX";
static char key_path[64];
static EVP_PKEY *key;
static struct mr_rest rest;
static struct http http;
static struct mr_credentials credentials;
static struct mr_bearer pubsub, storage;

/* ---- files ---- */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A service account's file; the line breaks of the key are escaped, as in real ones. */
static void write_key_file(void)
{
    char pem[4096], escaped[8192], text[12000];
    BIO *bio = BIO_new(BIO_s_mem());
    size_t at = 0;

    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    int bytes = BIO_read(bio, pem, sizeof pem);
    BIO_free(bio);
    for (int i = 0; i < bytes; i++) {
        if (pem[i] == '\n')
            escaped[at++] = '\\';
        escaped[at++] = pem[i] == '\n' ? 'n' : pem[i];
    }
    escaped[at] = '\0';
    snprintf(text, sizeof text,
             "{\"type\":\"service_account\",\"project_id\":\"p\",\"private_key_id\":\"kid-1\","
             "\"private_key\":\"%s\",\"client_email\":\"mill\\u0040p.example\"}",
             escaped);
    write_file(key_path, text);
}

static int group_setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(key_path, sizeof key_path, "%s/key.json", folder);
    key = EVP_RSA_gen(2048);
    assert_non_null(key);
    write_key_file();
    return mr_rest_init(&rest, NULL) == MR_OK ? 0 : -1;
}

static int group_teardown(void **state)
{
    (void)state;
    unlink(key_path);
    rmdir(folder);
    EVP_PKEY_free(key);
    mr_rest_finish(&rest);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
    unsetenv("GCE_METADATA_HOST");
    setenv("HOME", folder, 1);
    pubsub = storage = (struct mr_bearer){NULL, false};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mr_credentials_finish(&credentials);
    assert_null(atomic_load(&pubsub.text));
    return 0;
}

static const char *token_of(struct mr_bearer *bearer)
{
    const char *text = atomic_load(&bearer->text);
    return text && strncmp(text, "Bearer ", 7) == 0 ? text + 7 : NULL;
}

/* ---- a key file ---- */

static struct mr_span decoded(const char *part, size_t bytes, uint8_t *place, size_t limit)
{
    char text[4096];

    assert_true(bytes < sizeof text);
    for (size_t i = 0; i < bytes; i++) {
        assert_true(part[i] != '+' && part[i] != '/' && part[i] != '=');
        text[i] = (char)(part[i] == '-' ? '+' : part[i] == '_' ? '/' : part[i]);
    }
    int64_t got = mr_grpc_base64_decode(place, limit, mr_span_of(text, bytes));
    assert_true(got > 0);
    return mr_span_of(place, (size_t)got);
}

static void assert_text(struct mr_span document, const char *path, const char *expected)
{
    char text[256];
    assert_true(mr_document_text(document, path, text, sizeof text) >= 0);
    assert_string_equal(text, expected);
}

static void assert_int(struct mr_span document, const char *path, int64_t expected)
{
    int64_t number;
    assert_true(mr_document_int(document, path, &number));
    assert_int_equal(number, expected);
}

static void assert_token(const char *token, const char *audience, int64_t now_us)
{
    uint8_t head_place[1024], claims_place[1024], signature_place[1024];
    const char *dot = strchr(token, '.'), *last = strrchr(token, '.');
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    assert_true(dot && last > dot);
    struct mr_span head = decoded(token, (size_t)(dot - token), head_place, sizeof head_place);
    struct mr_span claims = decoded(dot + 1, (size_t)(last - dot - 1), claims_place,
                                    sizeof claims_place);
    struct mr_span signature = decoded(last + 1, strlen(last + 1), signature_place,
                                       sizeof signature_place);
    assert_text(head, "alg", "RS256");
    assert_text(head, "typ", "JWT");
    assert_text(head, "kid", "kid-1");
    assert_text(claims, "iss", "mill@p.example");
    assert_text(claims, "sub", "mill@p.example");
    assert_text(claims, "aud", audience);
    assert_int(claims, "iat", now_us / SECOND_US - 10);
    assert_int(claims, "exp", now_us / SECOND_US + 3600);
    assert_int_equal(mr_document_get(claims, "scope").kind, MR_VALUE_NONE);
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestVerify(context, signature.data, signature.bytes,
                                      (const uint8_t *)token, (size_t)(last - token)),
                     1);
    EVP_MD_CTX_free(context);
}

static void test_key_file(void **state)
{
    (void)state;

    setenv("GOOGLE_APPLICATION_CREDENTIALS", key_path, 1);
    assert_int_equal(mr_credentials_init(&credentials, &rest), MR_OK);
    assert_int_equal(mr_credentials_serve(&credentials, MR_AUDIENCE_PUBSUB, &pubsub, NOW_US),
                     MR_OK);
    assert_int_equal(mr_credentials_serve(&credentials, MR_AUDIENCE_STORAGE, &storage, NOW_US),
                     MR_OK);
    assert_true(pubsub.wanted);
    assert_token(token_of(&pubsub), MR_AUDIENCE_PUBSUB, NOW_US);
    assert_token(token_of(&storage), MR_AUDIENCE_STORAGE, NOW_US);

    const char *first = token_of(&pubsub);
    int64_t due_us = NOW_US + (3600 - 225) * SECOND_US;
    assert_int_equal(mr_credentials_turn(&credentials, 1, due_us - 1), 0);
    assert_ptr_equal(token_of(&pubsub), first);
    assert_int_equal(mr_credentials_turn(&credentials, 1, due_us), 1);
    assert_ptr_not_equal(token_of(&pubsub), first);
    assert_token(token_of(&pubsub), MR_AUDIENCE_PUBSUB, due_us);
    assert_token(token_of(&storage), MR_AUDIENCE_STORAGE, due_us);
    assert_token(first, MR_AUDIENCE_PUBSUB, NOW_US); /* a reader may still hold it */
}

static void assert_refused(const char *path, const char *contents, const char *why)
{
    if (contents)
        write_file(path, contents);
    setenv("GOOGLE_APPLICATION_CREDENTIALS", path, 1);
    assert_int_equal(mr_credentials_init(&credentials, &rest), MR_E_CREDENTIALS);
    if (!strstr(credentials.why, path) || !strstr(credentials.why, why))
        fail_msg("said: %s; wanted: %s", credentials.why, why);
    assert_null(strstr(credentials.why, "sesame"));
    mr_credentials_finish(&credentials);
    if (contents)
        unlink(path);
}

static void test_files_that_do_not_do(void **state)
{
    char path[64];
    (void)state;

    snprintf(path, sizeof path, "%s/other.json", folder);
    assert_refused(path, NULL, "No such file"); /* and not the metadata server instead */
    assert_refused(folder, NULL, "directory");
    assert_refused(path, "{", "not a JSON document");
    assert_refused(path, "{\"a\":1}", "no `type`");
    assert_refused(path, "{\"type\":\"external_account\"}",
                   "`external_account` is not supported; service_account and authorized_user");
    assert_refused(path, "{\"type\":\"impersonated_service_account\"}", "is not supported");
    assert_refused(path, "{\"type\":\"service_account\"}", "private_key is missing");
    assert_refused(path, "{\"type\":\"service_account\",\"private_key\":\"sesame\"}",
                   "not a private key");
    assert_refused(path, "{\"type\":\"authorized_user\",\"client_id\":\"x\"}", "is missing");
    assert_refused(path,
                   "{\"type\":\"authorized_user\",\"client_id\":\"x\",\"client_secret\":\"sesame\","
                   "\"refresh_token\":\"sesame\",\"token_uri\":\"http://example.com/\"}",
                   "not an https address");
}

/* ---- servers ---- */

static void serve(const struct http_answer *answers, uint32_t count)
{
    char host[32];

    http_open(&http, answers, count);
    snprintf(host, sizeof host, "127.0.0.1:%u", http.port);
    setenv("GCE_METADATA_HOST", host, 1);
}

static void init_metadata(void)
{
    assert_int_equal(mr_credentials_init(&credentials, &rest), MR_OK);
    assert_int_equal(mr_credentials_serve(&credentials, MR_AUDIENCE_PUBSUB, &pubsub, NOW_US),
                     MR_OK);
    assert_int_equal(mr_credentials_serve(&credentials, MR_AUDIENCE_STORAGE, &storage, NOW_US),
                     MR_OK);
    assert_true(mr_bearer_is_missing(&pubsub));
}

/* One turn that asks, and what comes of it. */
static uint32_t ask(uint64_t now_ns, int64_t now_us)
{
    uint32_t done = mr_credentials_turn(&credentials, now_ns, now_us);
    mr_rest_wait(&rest);
    return done;
}

#define TOKEN(text, seconds)                                                                       \
    "{\"access_token\":\"" text "\",\"expires_in\":" seconds ",\"token_type\":\"Bearer\"}"
#define HOUR_NS UINT64_C(3600000000000)

static void test_metadata_rotation(void **state)
{
    static const struct http_answer answers[] = {
        {200, TOKEN("sesame-1", "3600")}, {503, "sesame"}, {0, ""},
        {200, TOKEN("sesame-2", "100")},  {500, "sesame"}, {200, TOKEN("sesame-3", "3600")}};
    (void)state;

    serve(answers, MR_COUNT(answers));
    init_metadata();
    assert_int_equal(ask(1, NOW_US), 1);
    assert_string_equal(token_of(&pubsub), "sesame-1");
    assert_string_equal(token_of(&storage), "sesame-1");
    assert_int_equal(strncmp(http.asked[0],
                             "GET /computeMetadata/v1/instance/service-accounts/default/token?"
                             "scopes=https://www.googleapis.com/auth/cloud-platform HTTP/1.1\r\n",
                             126),
                     0);
    assert_non_null(strstr(http.asked[0], "Metadata-Flavor: Google\r\n"));

    int64_t due_us = NOW_US + (3600 - 225) * SECOND_US;
    assert_int_equal(ask(2, due_us - 1), 0);
    assert_int_equal(ask(2, due_us), 1); /* 503: the old token serves, the next try waits */
    assert_string_equal(token_of(&pubsub), "sesame-1");
    assert_non_null(strstr(credentials.why, "503"));
    assert_null(strstr(credentials.why, "sesame"));
    uint64_t now_ns = 2 + credentials.retry.due_ns;
    assert_int_equal(mr_credentials_turn(&credentials, credentials.retry.due_ns - 1, due_us), 0);
    assert_int_equal(ask(now_ns, due_us), 1); /* hung up */
    assert_string_equal(token_of(&pubsub), "sesame-1");

    int64_t expired_us = NOW_US + 3600 * SECOND_US;
    assert_int_equal(mr_credentials_turn(&credentials, 0, expired_us), 0);
    assert_true(mr_bearer_is_missing(&pubsub)); /* calls wait now */
    assert_int_equal(ask(now_ns + HOUR_NS, expired_us), 1);
    assert_string_equal(token_of(&pubsub), "sesame-2");
    assert_string_equal(credentials.why, "");

    /* 100 s are less than the margin: not asked at once again, but before it expires. */
    assert_int_equal(ask(now_ns + HOUR_NS, expired_us + 9 * SECOND_US), 0);
    assert_int_equal(ask(now_ns + HOUR_NS, expired_us + 10 * SECOND_US), 1);
    assert_string_equal(token_of(&pubsub), "sesame-2");
    assert_int_equal(ask(now_ns + 2 * HOUR_NS, expired_us + 10 * SECOND_US), 1);
    assert_string_equal(token_of(&pubsub), "sesame-3");
    assert_int_equal(credentials.err, MR_OK);
    http_close(&http);
}

static void test_metadata_never_answers(void **state)
{
    static const struct http_answer answers[] = {{503, ""}};
    (void)state;

    serve(answers, 1);
    init_metadata();
    for (uint64_t i = 1; i <= MR_CREDENTIALS_TRIES; i++) {
        assert_int_equal(credentials.err, MR_OK);
        ask(i * HOUR_NS, NOW_US);
    }
    assert_int_equal(credentials.err, MR_E_CREDENTIALS);
    assert_non_null(strstr(credentials.why, "metadata server at 127.0.0.1"));
    assert_int_equal(atomic_load(&http.asked_count), MR_CREDENTIALS_TRIES);
    http_close(&http);
}

static void test_metadata_refuses(void **state)
{
    static const struct http_answer answers[] = {{404, "{\"error\":\"no account\"}"}};
    (void)state;

    serve(answers, 1);
    init_metadata();
    ask(1, NOW_US);
    assert_int_equal(credentials.err, MR_E_CREDENTIALS);
    assert_non_null(strstr(credentials.why, "404"));
    http_close(&http);
}

static void test_answers_without_a_token(void **state)
{
    static const struct http_answer answers[] = {
        {200, "no json"},
        {200, "{\"access_token\":\"a b\",\"expires_in\":3600}"},
        {200, "{\"access_token\":\"sesame\\r\\nX: y\",\"expires_in\":3600}"},
        {200, TOKEN("sesame", "-1")},
        {200, TOKEN("good", "3599")}};
    (void)state;

    serve(answers, MR_COUNT(answers));
    init_metadata();
    for (uint64_t i = 1; i < MR_COUNT(answers); i++) {
        ask(i * HOUR_NS, NOW_US);
        assert_true(mr_bearer_is_missing(&pubsub));
        assert_non_null(strstr(credentials.why, "no usable token"));
    }
    ask(9 * HOUR_NS, NOW_US);
    assert_string_equal(token_of(&pubsub), "good");
    http_close(&http);
}

static void test_user_file(void **state)
{
    static const struct http_answer answers[] = {
        {200, TOKEN("user-token", "3600")},
        {400, "{\"error\":\"invalid_grant\",\"error_description\":\"revoked\"}"}};
    char path[64], text[512];
    (void)state;

    http_open(&http, answers, 2);
    snprintf(path, sizeof path, "%s/user.json", folder);
    snprintf(text, sizeof text,
             "{\"type\":\"authorized_user\",\"client_id\":\"c&d\",\"client_secret\":\"s=e\","
             "\"refresh_token\":\"1//r+t\",\"token_uri\":\"http://127.0.0.1:%u/token\"}",
             http.port);
    write_file(path, text);
    setenv("GOOGLE_APPLICATION_CREDENTIALS", path, 1);
    init_metadata();
    unlink(path);
    ask(1, NOW_US);
    assert_string_equal(token_of(&pubsub), "user-token");
    assert_int_equal(strncmp(http.asked[0], "POST /token HTTP/1.1\r\n", 22), 0);
    assert_non_null(strstr(http.asked[0], "application/x-www-form-urlencoded"));
    assert_non_null(strstr(http.asked[0], "\r\n\r\ngrant_type=refresh_token&client_id=c%26d&"
                                          "client_secret=s%3De&refresh_token=1//r%2Bt"));
    ask(2, NOW_US + 3500 * SECOND_US); /* revoked, but the token holds for a while */
    assert_int_equal(credentials.err, MR_OK);
    ask(HOUR_NS, NOW_US + 3601 * SECOND_US);
    assert_int_equal(credentials.err, MR_E_CREDENTIALS);
    assert_non_null(strstr(credentials.why, "invalid_grant: revoked"));
    http_close(&http);
}

static void test_waiting_for_the_first(void **state)
{
    static const struct http_answer answers[] = {{503, ""}, {200, TOKEN("at-last", "3600")}};
    (void)state;

    serve(answers, 2);
    init_metadata();
    assert_int_equal(mr_credentials_wait(&credentials), MR_OK);
    assert_string_equal(token_of(&pubsub), "at-last");
    http_close(&http);
}

/* ---- REST ---- */

static struct mr_rest_call call;
static enum mr_rest_verdict verdict;
static char told[256], answer[256];

static void on_done(struct mr_rest_call *ended)
{
    verdict = mr_rest_judge(ended);
    snprintf(told, sizeof told, "%s", ended->why);
    snprintf(answer, sizeof answer, "%.*s", (int)ended->answer.bytes,
             ended->answer.bytes ? (const char *)ended->answer.data : "");
}

static void test_rest_verdicts(void **state)
{
    static const struct http_answer answers[] = {
        {200, "{\"ok\":true}"},
        {409, "{\"error\":{\"errors\":[{\"reason\":\"duplicate\"}],\"message\":\"Already\"}}"},
        {404, "{\"error\":{\"errors\":[{\"reason\":\"notFound\"}]}}"},
        {403, "{\"error\":{\"errors\":[{\"reason\":\"rateLimitExceeded\"}]}}"},
        {403, "{\"error\":{\"errors\":[{\"reason\":\"accessDenied\"}],\"message\":\"No\"}}"},
        {503, "gone"},
        {302, ""}};
    static const enum mr_rest_verdict expected[] = {MR_REST_DONE,   MR_REST_EXISTS,  MR_REST_ABSENT,
                                                    MR_REST_RETRY,  MR_REST_REFUSED, MR_REST_RETRY,
                                                    MR_REST_REFUSED};
    char url[64];
    (void)state;

    http_open(&http, answers, MR_COUNT(answers));
    snprintf(url, sizeof url, "http://127.0.0.1:%u/bigquery/v2/x", http.port);
    for (uint32_t i = 0; i < MR_COUNT(answers); i++) {
        call = (struct mr_rest_call){
            .method = "POST",
            .url = url,
            .headers = {"Content-Type: application/json", "Authorization: Bearer sesame"},
            .body = mr_span_text("{\"a\":1}"),
            .done = on_done};
        mr_rest_start(&rest, &call);
        mr_rest_wait(&rest);
        assert_int_equal(verdict, expected[i]);
        assert_string_equal(answer, answers[i].body);
        assert_null(strstr(told, "sesame"));
    }
    assert_non_null(strstr(http.asked[0], "Authorization: Bearer sesame\r\n"));
    assert_non_null(strstr(http.asked[0], "\r\n\r\n{\"a\":1}"));
    http_close(&http);
    mr_rest_start(&rest, &call); /* nobody listens any more */
    mr_rest_wait(&rest);
    assert_int_equal(verdict, MR_REST_RETRY);
    assert_true(told[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_key_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_that_do_not_do, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metadata_rotation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metadata_never_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metadata_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers_without_a_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_user_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiting_for_the_first, setup, teardown),
        cmocka_unit_test(test_rest_verdicts),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
