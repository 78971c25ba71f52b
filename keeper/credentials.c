#include "keeper/credentials.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "keeper/credentials_file.h"
#include "keeper/credentials_jwt.h"
#include "keeper/document.h"
#include "wire/grpc.h"

#define SECOND_US         INT64_C(1000000)
#define RENEW_AGAIN_S     10 /* a server that hands out what is left of a cached token */
#define TOKEN_BYTES_MAX   16384
#define FORM_BYTES_MAX    8192
#define METADATA_TOTAL_MS 2000
#define FORM_TYPE         "Content-Type: application/x-www-form-urlencoded"

static const struct mr_retry_policy policy = {
    .base_ns = 1000000000, .cap_ns = UINT64_C(60000000000), .factor_percent = 200};

struct mr_credentials_text {
    struct mr_credentials_text *next;
    char text[];
};

/* ---- bearers ---- */

/* A reader may hold an old text for as long as it likes, so none is freed before the end: about
 * one an hour and service. */
static const char *keep(struct mr_credentials *c, const char *token)
{
    size_t bytes = strlen(token) + sizeof "Bearer ";
    struct mr_credentials_text *kept = malloc(sizeof *kept + bytes);

    MR_ASSERT(kept);
    snprintf(kept->text, bytes, "Bearer %s", token);
    kept->next = c->texts;
    c->texts = kept;
    return kept->text;
}

static void tell(struct mr_bearer *bearer, const char *text)
{
    atomic_store_explicit(&bearer->text, text, memory_order_release);
}

static bool has_token(const struct mr_credentials *c)
{
    return c->expires_us > c->now_us;
}

/* A token until `lifetime_s` from now. */
static void renewed(struct mr_credentials *c, int64_t lifetime_s)
{
    int64_t soonest_s = MR_MIN(RENEW_AGAIN_S, MR_MAX(lifetime_s / 2, 1));

    c->expires_us = c->now_us + lifetime_s * SECOND_US;
    c->renew_us = c->now_us + MR_MAX(lifetime_s - MR_CREDENTIALS_RENEW_S, soonest_s) * SECOND_US;
    c->why[0] = '\0';
    mr_retry_succeeded(&c->retry);
}

/* `lasting`: trying again would get the same answer. */
static void failed(struct mr_credentials *c, bool lasting, const char *why)
{
    snprintf(c->why, sizeof c->why, "%s: %.180s", c->from, why);
    mr_retry_failed(&c->retry, c->now_ns, 0);
    bool never = c->expires_us == 0 && c->retry.attempts >= MR_CREDENTIALS_TRIES;
    if ((lasting && !has_token(c)) || never)
        c->err = MR_E_CREDENTIALS;
}

/* ---- by our own key ---- */

static bool sign_for(struct mr_credentials *c, uint32_t service)
{
    char token[MR_JWT_BYTES_MAX];

    if (mr_jwt_sign(c->key, c->key_id, c->email, c->services[service].audience, c->now_us, token) <
        0)
        return false;
    tell(c->services[service].bearer, keep(c, token));
    OPENSSL_cleanse(token, sizeof token);
    return true;
}

static void sign_all(struct mr_credentials *c)
{
    for (uint32_t i = 0; i < c->service_count; i++) {
        if (!sign_for(c, i)) {
            failed(c, true, "a token cannot be signed with its key");
            return;
        }
    }
    renewed(c, MR_JWT_LIFETIME_S);
}

/* ---- by a token server ---- */

static void take_token(struct mr_credentials *c, struct mr_span answer)
{
    char token[TOKEN_BYTES_MAX];
    int64_t lifetime_s;

    int64_t bytes = mr_document_text(answer, "access_token", token, sizeof token);
    /* What is not a token's alphabet would end up in a header. */
    bool sound = bytes > 0 && strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                            "0123456789-._~+/=") == (size_t)bytes;
    if (!sound || !mr_document_int(answer, "expires_in", &lifetime_s) || lifetime_s <= 0 ||
        lifetime_s > 366 * 86400) {
        failed(c, false, "its answer holds no usable token");
        return;
    }
    const char *text = keep(c, token);
    for (uint32_t i = 0; i < c->service_count; i++)
        tell(c->services[i].bearer, text);
    OPENSSL_cleanse(token, sizeof token);
    renewed(c, lifetime_s);
}

static void answered(struct mr_rest_call *call)
{
    struct mr_credentials *c = MR_CONTAINER(call, struct mr_credentials, call);
    enum mr_rest_verdict verdict = mr_rest_judge(call);

    c->asking = false;
    if (c->form) {
        OPENSSL_cleanse(c->form, strlen(c->form));
        free(c->form);
        c->form = NULL;
    }
    if (verdict == MR_REST_DONE)
        take_token(c, call->answer);
    else
        failed(c, verdict != MR_REST_RETRY, call->why);
}

static void put_pair(struct mr_pen *pen, const char *name, const char *value)
{
    if (pen->bytes > 0)
        mr_pen_u8(pen, '&');
    mr_grpc_routing(pen, name, mr_span_text(value));
}

static bool make_form(struct mr_credentials *c)
{
    c->form = malloc(FORM_BYTES_MAX);
    struct mr_pen pen = mr_pen_of(c->form, FORM_BYTES_MAX - 1);

    MR_ASSERT(c->form);
    put_pair(&pen, "grant_type", "refresh_token");
    put_pair(&pen, "client_id", c->client_id);
    put_pair(&pen, "client_secret", c->client_secret);
    put_pair(&pen, "refresh_token", c->refresh_token);
    c->form[pen.bytes] = '\0';
    return pen.err == MR_OK;
}

static void ask(struct mr_credentials *c)
{
    bool user = c->kind == MR_CREDENTIALS_USER;

    c->call = (struct mr_rest_call){.method = user ? "POST" : "GET",
                                    .url = c->url,
                                    .headers = {user ? FORM_TYPE : "Metadata-Flavor: Google"},
                                    .total_ms = user ? 0 : METADATA_TOTAL_MS,
                                    .direct = !user,
                                    .done = answered};
    if (user) {
        if (!make_form(c)) {
            failed(c, true, "its texts are too long");
            return;
        }
        c->call.body = mr_span_text(c->form);
    }
    c->asking = true;
    mr_rest_start(c->rest, &c->call);
}

/* ---- the outside ---- */

int mr_credentials_init(struct mr_credentials *c, struct mr_rest *rest)
{
    *c = (struct mr_credentials){.rest = rest};
    mr_retry_init(&c->retry, &policy, (uint64_t)(uintptr_t)c);
    c->err = mr_credentials_find(c);
    return c->err;
}

static void wipe(char **text)
{
    if (*text)
        OPENSSL_cleanse(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

void mr_credentials_finish(struct mr_credentials *c)
{
    if (c->asking)
        mr_rest_cancel(&c->call);
    for (uint32_t i = 0; i < c->service_count; i++)
        tell(c->services[i].bearer, NULL);
    while (c->texts) {
        struct mr_credentials_text *next = c->texts->next;
        OPENSSL_cleanse(c->texts->text, strlen(c->texts->text));
        free(c->texts);
        c->texts = next;
    }
    mr_jwt_key_destroy(c->key);
    wipe(&c->email);
    wipe(&c->key_id);
    wipe(&c->client_id);
    wipe(&c->client_secret);
    wipe(&c->refresh_token);
    wipe(&c->url);
    wipe(&c->form);
    *c = (struct mr_credentials){0};
}

int mr_credentials_serve(struct mr_credentials *c, const char *audience, struct mr_bearer *bearer,
                         int64_t now_us)
{
    MR_ASSERT(c->service_count < MR_CREDENTIALS_SERVICES_MAX);
    c->services[c->service_count].audience = audience;
    c->services[c->service_count++].bearer = bearer;
    bearer->wanted = true;
    c->now_us = now_us;
    if (c->kind == MR_CREDENTIALS_KEY && c->err == MR_OK)
        sign_all(c);
    return c->err;
}

uint32_t mr_credentials_turn(struct mr_credentials *c, uint64_t now_ns, int64_t now_us)
{
    c->now_ns = now_ns;
    c->now_us = now_us;
    if (c->expires_us != 0 && now_us >= c->expires_us)
        for (uint32_t i = 0; i < c->service_count; i++)
            tell(c->services[i].bearer, NULL);
    if (c->err != MR_OK || c->asking || c->service_count == 0 || now_us < c->renew_us ||
        !mr_retry_is_due(&c->retry, now_ns))
        return 0;
    if (c->kind == MR_CREDENTIALS_KEY)
        sign_all(c);
    else
        ask(c);
    return 1;
}

int mr_credentials_wait(struct mr_credentials *c)
{
    while (c->err == MR_OK && !has_token(c)) {
        c->now_us = mr_wall_us();
        mr_credentials_turn(c, mr_now_ns(), c->now_us);
        mr_rest_wait(c->rest);
        if (!has_token(c) && c->err == MR_OK)
            nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return c->err;
}
