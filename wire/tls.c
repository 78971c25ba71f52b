#include "wire/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t alpn_h2[] = {2, 'h', '2'};

/* AES-128 first: fastest where AES is in hardware, and strong enough. */
#define SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

struct mr_tls_context {
    SSL_CTX *ctx;
    bool server;
};

struct mr_tls {
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
    bool ready;
    int failed; /* the error that ended the session */
    char why[MR_TLS_WHY_BYTES];
};

/* The oldest entry of OpenSSL's queue names the cause; the queue is left empty. */
static void explain(char *why, const char *what)
{
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    snprintf(why, MR_TLS_WHY_BYTES, "%s%s%s", what, *what ? ": " : "",
             reason ? reason : "no reason given");
    ERR_clear_error();
}

/* ---- contexts ---- */

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
                       const unsigned char *in, unsigned int in_bytes, void *unused)
{
    unsigned char *chosen;

    (void)ssl, (void)unused;
    if (SSL_select_next_proto(&chosen, out_bytes, alpn_h2, sizeof alpn_h2, in, in_bytes) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static struct mr_tls_context *context_create(const SSL_METHOD *method, char *why)
{
    struct mr_tls_context *context = calloc(1, sizeof *context);

    ERR_clear_error();
    if (context)
        context->ctx = SSL_CTX_new(method);
    if (!context || !context->ctx || !SSL_CTX_set_min_proto_version(context->ctx, TLS1_2_VERSION) ||
        !SSL_CTX_set_ciphersuites(context->ctx, SUITES)) {
        explain(why, "TLS cannot be set up");
        mr_tls_context_destroy(context);
        return NULL;
    }
    SSL_CTX_set_mode(context->ctx, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

static struct mr_tls_context *refuse(struct mr_tls_context *context, const char *file, char *why)
{
    explain(why, file);
    mr_tls_context_destroy(context);
    return NULL;
}

struct mr_tls_context *mr_tls_client_context(const char *ca_file, char *why)
{
    struct mr_tls_context *context = context_create(TLS_client_method(), why);

    if (!context)
        return NULL;
    SSL_CTX_set_verify(context->ctx, SSL_VERIFY_PEER, NULL);
    if (!(ca_file ? SSL_CTX_load_verify_file(context->ctx, ca_file)
                  : SSL_CTX_set_default_verify_paths(context->ctx)))
        return refuse(context, ca_file ? ca_file : "the system's certificate store", why);
    if (SSL_CTX_set_alpn_protos(context->ctx, alpn_h2, sizeof alpn_h2) != 0)
        return refuse(context, "ALPN", why);
    return context;
}

struct mr_tls_context *mr_tls_server_context(const char *certificate_file, const char *key_file,
                                             char *why)
{
    struct mr_tls_context *context = context_create(TLS_server_method(), why);

    if (!context)
        return NULL;
    context->server = true;
    if (SSL_CTX_use_certificate_chain_file(context->ctx, certificate_file) != 1)
        return refuse(context, certificate_file, why);
    if (SSL_CTX_use_PrivateKey_file(context->ctx, key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context->ctx) != 1)
        return refuse(context, key_file, why);
    SSL_CTX_set_alpn_select_cb(context->ctx, choose_alpn, NULL);
    return context;
}

void mr_tls_context_destroy(struct mr_tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ctx);
    free(context);
}

/* ---- sessions ---- */

static bool is_address(const char *host)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(host);
    bool is = address != NULL;

    ASN1_OCTET_STRING_free(address);
    ERR_clear_error();
    return is;
}

static bool expect(SSL *ssl, const char *host)
{
    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

struct mr_tls *mr_tls_create(struct mr_tls_context *context, const char *host)
{
    struct mr_tls *tls = calloc(1, sizeof *tls);

    MR_ASSERT(context->server == (host == NULL));
    if (!tls)
        return NULL;
    tls->ssl = SSL_new(context->ctx);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    if (!tls->ssl || !tls->in || !tls->out || (host && !expect(tls->ssl, host))) {
        BIO_free(tls->in);
        BIO_free(tls->out);
        SSL_free(tls->ssl);
        free(tls);
        return NULL;
    }
    /* An empty BIO means "later", not end of file. */
    BIO_set_mem_eof_return(tls->in, -1);
    BIO_set_mem_eof_return(tls->out, -1);
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    if (context->server)
        SSL_set_accept_state(tls->ssl);
    else
        SSL_set_connect_state(tls->ssl);
    return tls;
}

void mr_tls_destroy(struct mr_tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

static int fail(struct mr_tls *tls, int err, const char *what)
{
    if (tls->failed == MR_OK) {
        tls->failed = err;
        explain(tls->why, what);
    }
    ERR_clear_error();
    return tls->failed;
}

/* What OpenSSL's refusal means: a certificate verdict outranks the alert that it caused. */
static int refused(struct mr_tls *tls, int ssl_error)
{
    long verdict = SSL_get_verify_result(tls->ssl);

    if (ssl_error == SSL_ERROR_ZERO_RETURN) {
        fail(tls, MR_E_TLS_CLOSED, "");
        snprintf(tls->why, sizeof tls->why, "the peer closed the session");
        return tls->failed;
    }
    if (verdict != X509_V_OK && !SSL_is_server(tls->ssl) && tls->failed == MR_OK) {
        fail(tls, MR_E_TLS_CERTIFICATE, "");
        snprintf(tls->why, sizeof tls->why, "%s", X509_verify_cert_error_string(verdict));
        return tls->failed;
    }
    if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL)
        return fail(tls, MR_E_TLS_ALPN, "");
    return fail(tls, MR_E_TLS, "");
}

int mr_tls_feed(struct mr_tls *tls, struct mr_span ciphertext)
{
    size_t written;

    if (tls->failed != MR_OK)
        return tls->failed;
    if (ciphertext.bytes == 0)
        return MR_OK;
    ERR_clear_error();
    if (BIO_write_ex(tls->in, ciphertext.data, ciphertext.bytes, &written) != 1 ||
        written != ciphertext.bytes)
        return fail(tls, MR_E_TLS, "no memory");
    return MR_OK;
}

static int agreed(struct mr_tls *tls)
{
    const unsigned char *protocol;
    unsigned int bytes;

    SSL_get0_alpn_selected(tls->ssl, &protocol, &bytes);
    if (bytes != sizeof alpn_h2 - 1 || memcmp(protocol, alpn_h2 + 1, bytes) != 0)
        return fail(tls, MR_E_TLS_ALPN, "the peer did not choose h2");
    tls->ready = true;
    return MR_OK;
}

static int shake(struct mr_tls *tls)
{
    int done = SSL_do_handshake(tls->ssl);
    int error;

    if (done == 1)
        return agreed(tls);
    error = SSL_get_error(tls->ssl, done);
    return error == SSL_ERROR_WANT_READ ? MR_PARTIAL : refused(tls, error);
}

int64_t mr_tls_read(struct mr_tls *tls, uint8_t *plaintext, size_t limit)
{
    size_t bytes = 0;

    if (tls->failed != MR_OK)
        return tls->failed;
    ERR_clear_error();
    if (!tls->ready) {
        int err = shake(tls);
        if (err != MR_OK)
            return err;
    }
    if (limit == 0)
        return 0;
    int done = SSL_read_ex(tls->ssl, plaintext, limit, &bytes);
    if (done == 1)
        return (int64_t)bytes;
    int error = SSL_get_error(tls->ssl, done);
    return error == SSL_ERROR_WANT_READ ? MR_PARTIAL : refused(tls, error);
}

bool mr_tls_ready(const struct mr_tls *tls)
{
    return tls->ready;
}

int mr_tls_write(struct mr_tls *tls, struct mr_span plaintext)
{
    size_t written;

    if (tls->failed != MR_OK)
        return tls->failed;
    if (!tls->ready)
        return MR_AGAIN;
    if (plaintext.bytes == 0)
        return MR_OK;
    ERR_clear_error();
    /* A memory BIO grows, so a write is never short. */
    int done = SSL_write_ex(tls->ssl, plaintext.data, plaintext.bytes, &written);
    if (done == 1 && written == plaintext.bytes)
        return MR_OK;
    return refused(tls, SSL_get_error(tls->ssl, done));
}

size_t mr_tls_take(struct mr_tls *tls, uint8_t *buffer, size_t limit)
{
    size_t bytes = 0;

    if (limit == 0 || BIO_read_ex(tls->out, buffer, limit, &bytes) != 1)
        return 0;
    return bytes;
}

void mr_tls_close(struct mr_tls *tls)
{
    if (tls->failed == MR_OK && tls->ready)
        SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

const char *mr_tls_why(const struct mr_tls *tls)
{
    return tls->why;
}

/* ---- certificates of our own ---- */

static bool extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool added = extension && X509_add_ext(certificate, extension, -1) == 1;

    X509_EXTENSION_free(extension);
    return added;
}

/* Everything but extensions and signature. */
static X509 *draft(const char *name, long serial, EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    const unsigned char *text = (const unsigned char *)name;

    if (certificate && X509_set_version(certificate, 2) == 1 &&
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial) == 1 &&
        ASN1_TIME_set_string(X509_getm_notBefore(certificate), "20200101000000Z") == 1 &&
        ASN1_TIME_set_string(X509_getm_notAfter(certificate), "20491231235959Z") == 1 &&
        X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, text,
                                   -1, -1, 0) == 1 &&
        X509_set_pubkey(certificate, key) == 1)
        return certificate;
    X509_free(certificate);
    return NULL;
}

static bool sign(X509 *certificate, X509 *issuer, EVP_PKEY *key)
{
    return X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
           X509_sign(certificate, key, EVP_sha256()) > 0;
}

static X509 *make_authority(EVP_PKEY *key)
{
    X509 *ca = draft("millrace local authority", 1, key);

    if (ca && extend(ca, ca, NID_basic_constraints, "critical,CA:TRUE") &&
        extend(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        extend(ca, ca, NID_subject_key_identifier, "hash") && sign(ca, ca, key))
        return ca;
    X509_free(ca);
    return NULL;
}

static X509 *make_leaf(const char *host, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key)
{
    X509 *leaf = draft("millrace local", 2, key);
    char names[300];

    snprintf(names, sizeof names, "%s:%s", is_address(host) ? "IP" : "DNS", host);
    if (leaf && extend(leaf, ca, NID_basic_constraints, "critical,CA:FALSE") &&
        extend(leaf, ca, NID_ext_key_usage, "serverAuth") &&
        extend(leaf, ca, NID_authority_key_identifier, "keyid:always") &&
        extend(leaf, ca, NID_subject_alt_name, names) && sign(leaf, ca, ca_key))
        return leaf;
    X509_free(leaf);
    return NULL;
}

/* The text of a memory BIO, which is freed. */
static char *text_of(BIO *bio)
{
    char *data, *text = NULL;
    long bytes = bio ? BIO_get_mem_data(bio, &data) : 0;

    if (bytes > 0)
        text = strndup(data, (size_t)bytes);
    BIO_free(bio);
    return text;
}

static char *certificate_text(X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio)
        PEM_write_bio_X509(bio, certificate);
    return text_of(bio);
}

static char *key_text(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio)
        PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    return text_of(bio);
}

int mr_tls_make(struct mr_tls_made *made, const char *host)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = ca_key ? make_authority(ca_key) : NULL;
    X509 *leaf = ca && key ? make_leaf(host, key, ca, ca_key) : NULL;

    *made = (struct mr_tls_made){NULL, NULL, NULL};
    if (leaf)
        *made = (struct mr_tls_made){certificate_text(ca), certificate_text(leaf), key_text(key)};
    X509_free(leaf);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    ERR_clear_error();
    if (made->ca && made->certificate && made->key)
        return MR_OK;
    mr_tls_made_finish(made);
    return MR_E_TLS;
}

void mr_tls_made_finish(struct mr_tls_made *made)
{
    free(made->ca);
    free(made->certificate);
    free(made->key);
    *made = (struct mr_tls_made){NULL, NULL, NULL};
}
