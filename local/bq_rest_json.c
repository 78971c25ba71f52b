#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "local/bq_rest.h"

json_t *mr_bq_rest_parse(struct mr_span text)
{
    return json_loadb((const char *)text.data, text.bytes, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES,
                      NULL);
}

/* A number beyond the range of a double is no fault of the text. */
bool mr_bq_rest_json_valid(struct mr_span text)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)text.data, text.bytes,
                              JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    bool valid = json || json_error_code(&error) == json_error_numeric_overflow;
    json_decref(json);
    return valid;
}

struct mr_span mr_bq_rest_dump(struct mr_bq *store, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    MR_ASSERT(text);
    struct mr_span span = mr_span_text(text);
    span.data = (const uint8_t *)mr_bq_heap_copy(&store->heap, span);
    free(text);
    return span;
}

void mr_bq_rest_reply(struct mr_bq_rest *rest, int status, json_t *json)
{
    rest->reply->status = status;
    if (json)
        rest->reply->body = mr_bq_rest_dump(rest->store, json);
    json_decref(json);
}

static const char *status_name(int status)
{
    switch (status) {
    case 400:
        return "INVALID_ARGUMENT";
    case 404:
        return "NOT_FOUND";
    case 409:
        return "ALREADY_EXISTS";
    case 412:
        return "FAILED_PRECONDITION";
    default:
        return "INTERNAL";
    }
}

void mr_bq_rest_error(struct mr_bq_rest *rest, int status, const char *reason, const char *format,
                      ...)
{
    char text[2048];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    /* The client's own words come back; what is no UTF-8 in them does not. */
    const char *message = mr_utf8_valid(mr_span_text(text)) ? text : "The request is malformed.";
    mr_bq_rest_reply(rest, status,
                     json_pack("{s{sissss s[{ssssss}]}}", "error", "code", status, "message",
                               message, "status", status_name(status), "errors", "domain", "global",
                               "reason", reason, "message", message));
}

void mr_bq_rest_broken(struct mr_bq_rest *rest, int status, const char *reason)
{
    mr_bq_rest_error(rest, status, reason, "%s", mr_bq_problem(rest->store));
}

const char *mr_bq_rest_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static int64_t number_of(const char *text, int64_t otherwise)
{
    char *end;
    int64_t value = strtoll(text, &end, 10);
    return *text && !*end ? value : otherwise;
}

int64_t mr_bq_rest_number(const json_t *object, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(object, name);
    if (json_is_integer(value))
        return json_integer_value(value);
    return json_is_string(value) ? number_of(json_string_value(value), otherwise) : otherwise;
}

void mr_bq_rest_set_number(json_t *object, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    json_object_set_new(object, name, json_string(text));
}

static int nibble(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *mr_bq_rest_decode(struct mr_bq_heap *heap, struct mr_span text)
{
    char *out = mr_bq_heap_take(heap, text.bytes + 1), *at = out;

    for (size_t i = 0; i < text.bytes; i++) {
        bool coded = text.data[i] == '%' && i + 2 < text.bytes && nibble(text.data[i + 1]) >= 0 &&
                     nibble(text.data[i + 2]) >= 0;
        *at = (char)(text.data[i] == '+' ? ' ' : text.data[i]);
        if (coded) {
            *at = (char)(nibble(text.data[i + 1]) << 4 | nibble(text.data[i + 2]));
            i += 2;
        }
        if (*at)
            at++;
    }
    *at = 0;
    return out;
}

const char *mr_bq_rest_parameter(struct mr_bq_rest *rest, const char *name)
{
    struct mr_span query = rest->query;
    size_t bytes = strlen(name);

    while (query.bytes) {
        const uint8_t *and = memchr(query.data, '&', query.bytes);
        size_t end = and? (size_t)(and-query.data) : query.bytes;
        if (end > bytes && memcmp(query.data, name, bytes) == 0 && query.data[bytes] == '=')
            return mr_bq_rest_decode(&rest->store->heap,
                                     mr_span_of(query.data + bytes + 1, end - bytes - 1));
        size_t used = end + (and != NULL);
        query = mr_span_of(query.data + used, query.bytes - used);
    }
    return NULL;
}

int64_t mr_bq_rest_parameter_number(struct mr_bq_rest *rest, const char *name, int64_t otherwise)
{
    const char *text = mr_bq_rest_parameter(rest, name);
    return text ? number_of(text, otherwise) : otherwise;
}
