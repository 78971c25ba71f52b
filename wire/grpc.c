#include "wire/grpc.h"

#include <stdio.h>

int mr_grpc_next(struct mr_grpc_cursor *cursor, struct mr_span *input, struct mr_grpc_piece *piece)
{
    *piece = (struct mr_grpc_piece){.begin = false};
    while (cursor->head_bytes < MR_GRPC_PREFIX_BYTES) {
        if (input->bytes == 0)
            return MR_PARTIAL;
        cursor->head[cursor->head_bytes++] = *input->data++;
        input->bytes--;
        if (cursor->head[0] != 0)
            return MR_E_GRPC_FRAME;
        if (cursor->head_bytes < MR_GRPC_PREFIX_BYTES)
            continue;
        cursor->left = __builtin_bswap32(mr_load32(cursor->head + 1));
        if (cursor->left > cursor->message_bytes_max)
            return MR_E_GRPC_TOO_LARGE;
        piece->begin = true;
        piece->message_bytes = cursor->left;
    }
    if (input->bytes == 0 && !piece->begin)
        return MR_PARTIAL;
    size_t bytes = MR_MIN((size_t)cursor->left, input->bytes);
    piece->bytes = mr_span_of(input->data, bytes);
    if (bytes)
        input->data += bytes;
    input->bytes -= bytes;
    cursor->left -= (uint32_t)bytes;
    if (cursor->left == 0) {
        piece->end = true;
        cursor->head_bytes = 0;
    }
    return MR_OK;
}

int mr_grpc_end(const struct mr_grpc_cursor *cursor)
{
    return cursor->head_bytes == 0 ? MR_OK : MR_E_GRPC_FRAME;
}

int mr_grpc_whole_next(struct mr_grpc_whole *whole, struct mr_span *input, struct mr_span *message)
{
    struct mr_grpc_piece piece;
    int err;

    while ((err = mr_grpc_next(&whole->cursor, input, &piece)) == MR_OK) {
        if (piece.begin)
            whole->used = 0;
        if (piece.begin && piece.end) {
            *message = piece.bytes;
            return MR_OK;
        }
        if (piece.bytes.bytes)
            memcpy(whole->carry + whole->used, piece.bytes.data, piece.bytes.bytes);
        whole->used += (uint32_t)piece.bytes.bytes;
        if (piece.end) {
            *message = mr_span_of(whole->carry, whole->used);
            return MR_OK;
        }
    }
    return err;
}

/* ---- status ---- */

static int32_t decimal(struct mr_span text)
{
    int32_t value = 0;

    if (text.bytes == 0 || text.bytes > 9)
        return -1;
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        value = value * 10 + (text.data[i] - '0');
    }
    return value;
}

static bool named(const struct mr_h2_header *header, const char *name)
{
    return mr_span_equal(header->name, mr_span_text(name));
}

static bool begins(struct mr_span text, const char *with)
{
    size_t bytes = strlen(with);
    return text.bytes >= bytes && memcmp(text.data, with, bytes) == 0;
}

void mr_grpc_outcome_read(struct mr_grpc_outcome *outcome, const struct mr_h2_header *headers,
                          size_t count)
{
    *outcome = (struct mr_grpc_outcome){.code = -1};
    for (size_t i = 0; i < count; i++) {
        if (named(&headers[i], ":status"))
            outcome->http_status = MR_MAX(decimal(headers[i].value), 0);
        else if (named(&headers[i], "grpc-status"))
            outcome->code = decimal(headers[i].value);
        else if (named(&headers[i], "grpc-message"))
            outcome->message = headers[i].value;
        else if (named(&headers[i], "grpc-status-details-bin"))
            outcome->details = headers[i].value;
        else if (named(&headers[i], "content-type"))
            outcome->grpc = begins(headers[i].value, "application/grpc");
    }
}

enum mr_grpc_code mr_grpc_code_of_http(int32_t http_status)
{
    switch (http_status) {
    case 400:
    case 431:
        return MR_GRPC_INTERNAL;
    case 401:
        return MR_GRPC_UNAUTHENTICATED;
    case 403:
        return MR_GRPC_PERMISSION_DENIED;
    case 404:
        return MR_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return MR_GRPC_UNAVAILABLE;
    default:
        return MR_GRPC_UNKNOWN;
    }
}

enum mr_grpc_code mr_grpc_code_of_reset(uint32_t h2_code)
{
    switch (h2_code) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 6:
    case 9:
    case 10:
        return MR_GRPC_INTERNAL;
    case MR_H2_REFUSED_STREAM:
        return MR_GRPC_UNAVAILABLE;
    case MR_H2_CANCEL:
        return MR_GRPC_CANCELLED;
    case MR_H2_ENHANCE_YOUR_CALM:
        return MR_GRPC_RESOURCE_EXHAUSTED;
    case 12: /* INADEQUATE_SECURITY */
        return MR_GRPC_PERMISSION_DENIED;
    default:
        return MR_GRPC_UNKNOWN;
    }
}

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t mr_grpc_message_decode(char *text, size_t limit, struct mr_span encoded)
{
    size_t written = 0;

    for (size_t i = 0; i < encoded.bytes && written < limit; i++) {
        uint8_t c = encoded.data[i];
        if (c == '%' && encoded.bytes - i > 2 && hex(encoded.data[i + 1]) >= 0 &&
            hex(encoded.data[i + 2]) >= 0) {
            c = (uint8_t)(hex(encoded.data[i + 1]) << 4 | hex(encoded.data[i + 2]));
            i += 2;
        }
        text[written++] = (char)c;
    }
    return written;
}

static void put_escaped(struct mr_pen *pen, uint8_t c)
{
    static const char digits[] = "0123456789ABCDEF";
    mr_pen_u8(pen, '%');
    mr_pen_u8(pen, (uint8_t)digits[c >> 4]);
    mr_pen_u8(pen, (uint8_t)digits[c & 15]);
}

void mr_grpc_message_encode(struct mr_pen *pen, struct mr_span text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t c = text.data[i];
        if (c < 0x20 || c > 0x7E || c == '%')
            put_escaped(pen, c);
        else
            mr_pen_u8(pen, c);
    }
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Digits up to padding or comma; negative when something else stands there. */
static int64_t base64_digits(struct mr_span text)
{
    size_t digits = 0, end = 0;

    while (end < text.bytes && text.data[end] != ',')
        end++;
    while (digits < end && base64_digit(text.data[digits]) >= 0)
        digits++;
    size_t padding = end - digits;
    for (size_t i = digits; i < end; i++)
        if (text.data[i] != '=')
            return MR_E_GRPC_FRAME;
    if (digits % 4 == 1 || (padding && (digits % 4 == 0 || (digits + padding) % 4 != 0)))
        return MR_E_GRPC_FRAME;
    return (int64_t)digits;
}

int64_t mr_grpc_base64_decode(uint8_t *bytes, size_t limit, struct mr_span text)
{
    int64_t digits = base64_digits(text);
    uint32_t bits = 0;
    size_t written = 0;

    if (digits < 0)
        return digits;
    if ((size_t)digits * 3 / 4 > limit)
        return MR_E_WIRE_ROOM;
    for (size_t i = 0; i < (size_t)digits; i++) {
        bits = bits << 6 | (uint32_t)base64_digit(text.data[i]);
        if (i % 4 != 0)
            bytes[written++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    return (int64_t)written;
}

void mr_grpc_base64_encode(struct mr_pen *pen, struct mr_span bytes)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < bytes.bytes; i++) {
        bits = bits << 8 | bytes.data[i];
        mr_pen_u8(pen, (uint8_t)base64[bits >> (2 + 2 * (i % 3)) & 63]);
        if (i % 3 == 2)
            mr_pen_u8(pen, (uint8_t)base64[bits & 63]);
    }
    if (bytes.bytes % 3 == 1)
        mr_pen_u8(pen, (uint8_t)base64[bits << 4 & 63]);
    else if (bytes.bytes % 3 == 2)
        mr_pen_u8(pen, (uint8_t)base64[bits << 2 & 63]);
}

/* ---- headers ---- */

static size_t header(struct mr_h2_header *headers, size_t count, const char *name,
                     struct mr_span value)
{
    if (value.bytes == 0)
        return count;
    MR_ASSERT(count < MR_GRPC_HEADERS_MAX);
    headers[count] = (struct mr_h2_header){mr_span_text(name), value};
    return count + 1;
}

size_t mr_grpc_request_headers(struct mr_h2_header *headers, const struct mr_grpc_request *request)
{
    size_t count = 0;

    count = header(headers, count, ":method", mr_span_text("POST"));
    count = header(headers, count, ":scheme", mr_span_text(request->plaintext ? "http" : "https"));
    count = header(headers, count, ":path", request->path);
    count = header(headers, count, ":authority", request->authority);
    count = header(headers, count, "te", mr_span_text("trailers"));
    count = header(headers, count, "content-type", mr_span_text("application/grpc"));
    count = header(headers, count, "grpc-timeout", request->timeout);
    count = header(headers, count, "user-agent", request->user_agent);
    count = header(headers, count, "authorization", request->authorization);
    count = header(headers, count, "x-goog-request-params", request->request_params);
    count = header(headers, count, "x-goog-api-client", request->api_client);
    count = header(headers, count, "x-goog-user-project", request->user_project);
    return count;
}

static bool unreserved(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~' || c == '/';
}

void mr_grpc_routing(struct mr_pen *pen, const char *key, struct mr_span value)
{
    mr_pen_put(pen, mr_span_text(key));
    mr_pen_u8(pen, '=');
    for (size_t i = 0; i < value.bytes; i++) {
        if (unreserved(value.data[i]))
            mr_pen_u8(pen, value.data[i]);
        else
            put_escaped(pen, value.data[i]);
    }
}

size_t mr_grpc_response_headers(struct mr_h2_header *headers)
{
    size_t count = header(headers, 0, ":status", mr_span_text("200"));
    return header(headers, count, "content-type", mr_span_text("application/grpc"));
}

static struct mr_span written_since(const struct mr_pen *pen, size_t mark)
{
    return mr_span_of(pen->data + mark, pen->bytes - mark);
}

size_t mr_grpc_trailers(struct mr_h2_header *headers, struct mr_pen *pen, bool only, int32_t code,
                        struct mr_span message, struct mr_span details)
{
    size_t count = only ? mr_grpc_response_headers(headers) : 0;
    size_t mark = pen->bytes;
    char digits[12];

    int length = snprintf(digits, sizeof digits, "%d", code);
    mr_pen_put(pen, mr_span_of(digits, (size_t)length));
    count = header(headers, count, "grpc-status", written_since(pen, mark));
    mark = pen->bytes;
    mr_grpc_message_encode(pen, message);
    count = header(headers, count, "grpc-message", written_since(pen, mark));
    mark = pen->bytes;
    mr_grpc_base64_encode(pen, details);
    return header(headers, count, "grpc-status-details-bin", written_since(pen, mark));
}

int64_t mr_grpc_timeout_us(struct mr_span text)
{
    if (text.bytes < 2 || text.bytes > 9)
        return -1;
    int64_t value = decimal(mr_span_of(text.data, text.bytes - 1));
    if (value < 0)
        return -1;
    switch (text.data[text.bytes - 1]) {
    case 'H':
        return value * 3600000000;
    case 'M':
        return value * 60000000;
    case 'S':
        return value * 1000000;
    case 'm':
        return value * 1000;
    case 'u':
        return value;
    case 'n':
        return (value + 999) / 1000;
    default:
        return -1;
    }
}
