#include "keeper/credentials_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "keeper/credentials_jwt.h"
#include "keeper/document.h"

#define FILE_BYTES_MAX (64u << 10)
#define WELL_KNOWN     ".config/gcloud/application_default_credentials.json"
#define TOKEN_SERVER   "https://oauth2.googleapis.com/token"
#define METADATA_HOST  "metadata.google.internal"
#define METADATA_PATH  "/computeMetadata/v1/instance/service-accounts/default/token"
#define SCOPE          "https://www.googleapis.com/auth/cloud-platform"
#define SUPPORTED      "service_account and authorized_user files and the metadata server are supported"

static int refuse(struct mr_credentials *c, const char *why)
{
    snprintf(c->why, sizeof c->why, "%s: %.180s", c->from, why);
    return MR_E_CREDENTIALS;
}

/* A copy of the string called `name`; NULL: there is none. */
static char *text_of(struct mr_span document, const char *name)
{
    char *text = malloc(FILE_BYTES_MAX);

    MR_ASSERT(text);
    int64_t bytes = mr_document_text(document, name, text, FILE_BYTES_MAX);
    char *copy = bytes > 0 ? strdup(text) : NULL;
    OPENSSL_cleanse(text, bytes > 0 ? (size_t)bytes : 0);
    free(text);
    return copy;
}

static int read_key(struct mr_credentials *c, struct mr_span document)
{
    const char *why = "private_key is missing";
    char *pem = text_of(document, "private_key");

    c->kind = MR_CREDENTIALS_KEY;
    c->email = text_of(document, "client_email");
    c->key_id = text_of(document, "private_key_id");
    if (pem) {
        c->key = mr_jwt_key_read(mr_span_text(pem), &why);
        OPENSSL_cleanse(pem, strlen(pem));
        free(pem);
    }
    if (!c->key)
        return refuse(c, why);
    if (!c->email || !c->key_id)
        return refuse(c, c->email ? "private_key_id is missing" : "client_email is missing");
    return MR_OK;
}

/* A refresh token may leave this machine only encrypted. */
static bool may_send_secrets(const char *url)
{
    static const char *const allowed[] = {"https://", "http://127.0.0.1:", "http://[::1]:"};

    for (size_t i = 0; i < MR_COUNT(allowed); i++)
        if (strncmp(url, allowed[i], strlen(allowed[i])) == 0 && !strchr(url, '@'))
            return true;
    return false;
}

static int read_user(struct mr_credentials *c, struct mr_span document)
{
    c->kind = MR_CREDENTIALS_USER;
    c->client_id = text_of(document, "client_id");
    c->client_secret = text_of(document, "client_secret");
    c->refresh_token = text_of(document, "refresh_token");
    c->url = text_of(document, "token_uri");
    if (!c->url)
        c->url = strdup(TOKEN_SERVER);
    if (!c->client_id || !c->client_secret || !c->refresh_token)
        return refuse(c, "client_id, client_secret or refresh_token is missing");
    return may_send_secrets(c->url) ? MR_OK : refuse(c, "token_uri is not an https address");
}

static int read_document(struct mr_credentials *c, struct mr_span document)
{
    char type[64], why[256];

    if (!mr_document_is_valid(document))
        return refuse(c, "it is not a JSON document");
    if (mr_document_text(document, "type", type, sizeof type) < 0)
        return refuse(c, "it has no `type`; " SUPPORTED);
    if (strcmp(type, "service_account") == 0)
        return read_key(c, document);
    if (strcmp(type, "authorized_user") == 0)
        return read_user(c, document);
    snprintf(why, sizeof why, "type `%s` is not supported; " SUPPORTED, type);
    return refuse(c, why);
}

/* MR_OK, an error, or MR_AGAIN: there is no such file and it need not be there. */
static int read_file(struct mr_credentials *c, const char *path, bool may_be_absent)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t bytes = 0;
    ssize_t got;

    if (fd < 0)
        return may_be_absent && (errno == ENOENT || errno == ENOTDIR) ? MR_AGAIN
                                                                      : refuse(c, strerror(errno));
    char *text = malloc(FILE_BYTES_MAX);
    MR_ASSERT(text);
    do {
        got = read(fd, text + bytes, FILE_BYTES_MAX - bytes);
        bytes += got > 0 ? (size_t)got : 0;
    } while ((got > 0 && bytes < FILE_BYTES_MAX) || (got < 0 && errno == EINTR));
    int err = got < 0                   ? refuse(c, strerror(errno))
              : bytes == FILE_BYTES_MAX ? refuse(c, "it is too large for a credential file")
                                        : read_document(c, mr_span_of(text, bytes));
    OPENSSL_cleanse(text, bytes);
    free(text);
    close(fd);
    return err;
}

static int use_metadata(struct mr_credentials *c)
{
    const char *host = getenv("GCE_METADATA_HOST");

    if (!host || !*host)
        host = METADATA_HOST;
    c->kind = MR_CREDENTIALS_METADATA;
    snprintf(c->from, sizeof c->from, "the metadata server at %.200s", host);
    if (strpbrk(host, "/@? #\\"))
        return refuse(c, "GCE_METADATA_HOST is not of the form host or host:port");
    if (asprintf(&c->url, "http://%s" METADATA_PATH "?scopes=" SCOPE, host) < 0)
        c->url = NULL;
    return c->url ? MR_OK : refuse(c, "out of memory");
}

int mr_credentials_find(struct mr_credentials *c)
{
    const char *named = getenv("GOOGLE_APPLICATION_CREDENTIALS");
    const char *home = getenv("HOME");
    char path[256];

    if (named && *named) {
        snprintf(c->from, sizeof c->from, "%.250s (by GOOGLE_APPLICATION_CREDENTIALS)", named);
        return read_file(c, named, false);
    }
    if (home && *home &&
        (size_t)snprintf(path, sizeof path, "%s/" WELL_KNOWN, home) < sizeof path) {
        snprintf(c->from, sizeof c->from, "%s", path);
        int err = read_file(c, path, true);
        if (err != MR_AGAIN)
            return err;
    }
    return use_metadata(c);
}
