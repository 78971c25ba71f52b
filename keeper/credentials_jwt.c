#include "keeper/credentials_jwt.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "core/text.h"
#include "wire/grpc.h"

#define RSA_BITS_MIN        2048
#define SIGNATURE_BYTES_MAX 1024 /* RSA of 8,192 bits */
#define PART_BYTES_MAX      2048

static EVP_PKEY *openssl_key(const struct mr_jwt_key *key)
{
    return (EVP_PKEY *)(uintptr_t)key;
}

struct mr_jwt_key *mr_jwt_key_read(struct mr_span pem, const char **why)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.bytes);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    if (!key) {
        *why = "private_key is not a private key in PEM form";
        return NULL;
    }
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) >= RSA_BITS_MIN)
        return (struct mr_jwt_key *)key;
    *why = "private_key is not an RSA key of at least 2048 bits";
    EVP_PKEY_free(key);
    return NULL;
}

void mr_jwt_key_destroy(struct mr_jwt_key *key)
{
    EVP_PKEY_free(openssl_key(key));
}

/* base64url without padding */
static void put_base64url(struct mr_pen *pen, struct mr_span bytes)
{
    size_t from = pen->bytes;

    mr_grpc_base64_encode(pen, bytes);
    for (size_t i = from; pen->err == MR_OK && i < pen->bytes; i++) {
        if (pen->data[i] == '+')
            pen->data[i] = '-';
        else if (pen->data[i] == '/')
            pen->data[i] = '_';
    }
}

static void put_text(struct mr_pen *pen, const char *text)
{
    mr_pen_put(pen, mr_span_text(text));
}

static void put_json(struct mr_pen *pen, const char *text)
{
    char place[MR_TEXT_STRING_MAX(512)];

    if (strlen(text) > 512) {
        mr_pen_fail(pen, MR_E_WIRE_ROOM);
        return;
    }
    char *end = mr_text_put_json(place, mr_span_text(text));
    mr_pen_put(pen, mr_span_of(place, (size_t)(end - place)));
}

static void put_header(struct mr_pen *pen, const char *key_id)
{
    put_text(pen, "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":");
    put_json(pen, key_id);
    put_text(pen, "}");
}

static void put_claims(struct mr_pen *pen, const char *email, const char *audience, int64_t now_us)
{
    char times[64];
    int64_t now_s = now_us / 1000000;

    put_text(pen, "{\"iss\":");
    put_json(pen, email);
    put_text(pen, ",\"sub\":");
    put_json(pen, email);
    put_text(pen, ",\"aud\":");
    put_json(pen, audience);
    snprintf(times, sizeof times, ",\"iat\":%lld,\"exp\":%lld}",
             (long long)(now_s - MR_JWT_CLOCK_DRIFT_S), (long long)(now_s + MR_JWT_LIFETIME_S));
    put_text(pen, times);
}

static bool sign(const struct mr_jwt_key *key, struct mr_span text, uint8_t *signature,
                 size_t *bytes)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool signed_now = context &&
                      EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, openssl_key(key)) ==
                          1 &&
                      EVP_DigestSign(context, signature, bytes, text.data, text.bytes) == 1;

    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return signed_now;
}

int64_t mr_jwt_sign(const struct mr_jwt_key *key, const char *key_id, const char *email,
                    const char *audience, int64_t now_us, char *text)
{
    uint8_t part_place[PART_BYTES_MAX], signature[SIGNATURE_BYTES_MAX];
    size_t signature_bytes = sizeof signature;
    struct mr_pen token = mr_pen_of(text, MR_JWT_BYTES_MAX - 1);
    struct mr_pen part = mr_pen_of(part_place, sizeof part_place);

    put_header(&part, key_id);
    put_base64url(&token, mr_pen_span(&part));
    mr_pen_u8(&token, '.');
    if (part.err != MR_OK)
        return -1;
    mr_pen_rewind(&part, 0);
    put_claims(&part, email, audience, now_us);
    put_base64url(&token, mr_pen_span(&part));
    if (part.err != MR_OK || token.err != MR_OK ||
        !sign(key, mr_pen_span(&token), signature, &signature_bytes))
        return -1;
    mr_pen_u8(&token, '.');
    put_base64url(&token, mr_span_of(signature, signature_bytes));
    if (token.err != MR_OK)
        return -1;
    text[token.bytes] = '\0';
    return (int64_t)token.bytes;
}
