#include "local/http1.h"

#include <stdlib.h>
#include <strings.h>

enum stage { HEAD, LENGTH, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

#define CHUNK_LINE_BYTES 256 /* a size and its extensions */

uint8_t *mr_http1_room(struct mr_http1 *r, size_t *bytes)
{
    if (r->room - r->bytes < MR_HTTP1_ROOM_BYTES) {
        size_t room = mr_pow2_at_least(r->bytes + MR_HTTP1_ROOM_BYTES);
        uint8_t *buffer = realloc(r->buffer, room);
        if (!buffer)
            return NULL;
        r->buffer = buffer;
        r->room = room;
    }
    *bytes = r->room - r->bytes;
    return r->buffer + r->bytes;
}

void mr_http1_add(struct mr_http1 *r, size_t bytes)
{
    MR_ASSERT(bytes <= r->room - r->bytes);
    r->bytes += bytes;
}

void mr_http1_finish(struct mr_http1 *r)
{
    free(r->buffer);
    *r = (struct mr_http1){0};
}

/* ---- the head ---- */

/* The line at `from` without its CR LF; false: none ends before `end`. */
static bool line_of(const uint8_t *from, const uint8_t *end, struct mr_span *line)
{
    const uint8_t *stop = memchr(from, '\n', (size_t)(end - from));

    if (!stop)
        return false;
    *line = mr_span_of(from, (size_t)(stop - from));
    return true;
}

static bool is_token(struct mr_span text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t c = text.data[i];
        if (c <= ' ' || c >= 127 || strchr("\"(),/:;<=>?@[\\]{}", c))
            return false;
    }
    return text.bytes > 0;
}

static bool is_plain(struct mr_span text)
{
    for (size_t i = 0; i < text.bytes; i++)
        if (text.data[i] <= ' ' || text.data[i] == 127)
            return false;
    return text.bytes > 0;
}

static bool named(struct mr_span name, const char *wanted)
{
    return name.bytes == strlen(wanted) &&
           strncasecmp((const char *)name.data, wanted, name.bytes) == 0;
}

static struct mr_span trimmed(struct mr_span text)
{
    while (text.bytes > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = mr_span_of(text.data + 1, text.bytes - 1);
    while (text.bytes > 0 &&
           (text.data[text.bytes - 1] == ' ' || text.data[text.bytes - 1] == '\t'))
        text.bytes--;
    return text;
}

static struct mr_http1_part part_of(const struct mr_http1 *r, struct mr_span text)
{
    return (struct mr_http1_part){(size_t)(text.data - r->buffer), text.bytes};
}

static struct mr_span span_of(const struct mr_http1 *r, struct mr_http1_part part)
{
    return mr_span_of(r->buffer + part.at, part.bytes);
}

/* METHOD SP target SP HTTP/1.x; MR_OK or a status. */
static int read_request_line(struct mr_http1 *r, struct mr_span line)
{
    const uint8_t *end = line.data + line.bytes;
    const uint8_t *first = memchr(line.data, ' ', line.bytes);
    const uint8_t *second = first ? memchr(first + 1, ' ', (size_t)(end - first - 1)) : NULL;
    struct mr_span method, target;

    if (!second)
        return 400;
    method = mr_span_of(line.data, (size_t)(first - line.data));
    target = mr_span_of(first + 1, (size_t)(second - first - 1));
    if (!is_token(method) || !is_plain(target))
        return 400;
    r->method = part_of(r, method);
    r->target = part_of(r, target);
    if (end - second != 9 || memcmp(second + 1, "HTTP/1.", 7) != 0)
        return 505;
    if (second[8] != '0' && second[8] != '1')
        return 505;
    r->close = second[8] == '0';
    return MR_OK;
}

static int read_length(struct mr_http1 *r, struct mr_span value, bool *has_length)
{
    size_t bytes = 0;

    if (*has_length || value.bytes == 0)
        return 400;
    for (size_t i = 0; i < value.bytes; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return 400;
        bytes = bytes * 10 + (value.data[i] - '0');
        if (bytes > MR_HTTP1_BODY_BYTES)
            return 413;
    }
    *has_length = true;
    r->body_bytes = bytes;
    return MR_OK;
}

static int read_field(struct mr_http1 *r, struct mr_span line, bool *has_length, bool *chunked)
{
    const uint8_t *colon = memchr(line.data, ':', line.bytes);
    struct mr_span name, value;

    if (!colon)
        return 400;
    name = mr_span_of(line.data, (size_t)(colon - line.data));
    value = trimmed(mr_span_of(colon + 1, line.bytes - name.bytes - 1));
    if (!is_token(name) || memchr(value.data, 0, value.bytes) ||
        memchr(value.data, '\r', value.bytes))
        return 400; /* folded lines and spaces before the colon too */
    if (named(name, "content-length"))
        return read_length(r, value, has_length);
    if (named(name, "transfer-encoding")) {
        if (*chunked || !named(value, "chunked"))
            return 501;
        *chunked = true;
    }
    if (named(name, "connection") && named(value, "close"))
        r->close = true;
    if (named(name, "expect") && named(value, "100-continue"))
        r->expects = true;
    if (named(name, "if-match"))
        r->if_match = part_of(r, value);
    return MR_OK;
}

static int read_head(struct mr_http1 *r)
{
    const uint8_t *at = r->buffer, *end = r->buffer + r->head_bytes;
    bool has_length = false, chunked = false;
    struct mr_span line;
    int status = MR_OK;

    r->if_match = (struct mr_http1_part){0, 0};
    r->body_bytes = 0;
    for (bool first = true; status == MR_OK && line_of(at, end, &line); first = false) {
        at = line.data + line.bytes + 1;
        if (line.bytes == 0 || line.data[line.bytes - 1] != '\r')
            return 400;
        line.bytes--;
        if (line.bytes > 0)
            status = first ? read_request_line(r, line)
                           : read_field(r, line, &has_length, &chunked);
    }
    if (status == MR_OK && has_length && chunked)
        return 400;
    r->stage = chunked ? CHUNK_SIZE : LENGTH;
    r->at = r->head_bytes;
    return status;
}

static int find_head(struct mr_http1 *r)
{
    size_t from = r->looked > 3 ? r->looked - 3 : 0;
    const uint8_t *end;

    if (r->bytes == 0)
        return MR_PARTIAL;
    end = memmem(r->buffer + from, r->bytes - from, "\r\n\r\n", 4);
    r->looked = r->bytes;
    if (!end)
        return r->bytes >= MR_HTTP1_HEAD_BYTES ? 431 : MR_PARTIAL;
    r->head_bytes = (size_t)(end - r->buffer) + 4;
    return r->head_bytes > MR_HTTP1_HEAD_BYTES ? 431 : read_head(r);
}

/* ---- chunks, decoded in place ---- */

static int hex_of(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* MR_OK when the line at r->at is whole; *line without CR LF. */
static int chunk_line(struct mr_http1 *r, struct mr_span *line)
{
    if (!line_of(r->buffer + r->at, r->buffer + r->bytes, line))
        return r->bytes - r->at > CHUNK_LINE_BYTES ? 400 : MR_PARTIAL;
    if (line->bytes == 0 || line->bytes > CHUNK_LINE_BYTES || line->data[line->bytes - 1] != '\r')
        return 400;
    r->at += line->bytes + 1;
    line->bytes--;
    return MR_OK;
}

static int chunk_size(struct mr_http1 *r)
{
    struct mr_span line;
    size_t bytes = 0, digits = 0;
    int status = chunk_line(r, &line);

    if (status != MR_OK)
        return status;
    for (; digits < line.bytes && hex_of(line.data[digits]) >= 0; digits++) {
        bytes = bytes * 16 + (size_t)hex_of(line.data[digits]);
        if (bytes > MR_HTTP1_BODY_BYTES - r->body_bytes)
            return 413;
    }
    if (digits == 0 || (digits < line.bytes && line.data[digits] != ';'))
        return 400;
    r->chunk_bytes = bytes;
    r->stage = bytes > 0 ? CHUNK_DATA : TRAILER;
    return MR_OK;
}

static int chunk_data(struct mr_http1 *r)
{
    size_t now = MR_MIN(r->chunk_bytes, r->bytes - r->at);

    if (now > 0)
        memmove(r->buffer + r->head_bytes + r->body_bytes, r->buffer + r->at, now);
    r->at += now;
    r->body_bytes += now;
    r->chunk_bytes -= now;
    if (r->chunk_bytes > 0)
        return MR_PARTIAL;
    r->stage = CHUNK_END;
    return MR_OK;
}

static int chunk_end(struct mr_http1 *r)
{
    struct mr_span line;
    int status = chunk_line(r, &line);

    if (status == MR_OK && line.bytes > 0)
        return 400;
    if (status == MR_OK)
        r->stage = CHUNK_SIZE;
    return status;
}

/* Trailers are dropped; the empty line ends the request. */
static int trailer(struct mr_http1 *r, bool *done)
{
    struct mr_span line;
    int status = chunk_line(r, &line);

    if (status == MR_OK && line.bytes == 0)
        *done = true;
    return status;
}

static int chunks(struct mr_http1 *r)
{
    bool done = false;
    int status = MR_OK;

    while (status == MR_OK && !done) {
        switch ((enum stage)r->stage) {
        case CHUNK_SIZE:
            status = chunk_size(r);
            break;
        case CHUNK_DATA:
            status = chunk_data(r);
            break;
        case CHUNK_END:
            status = chunk_end(r);
            break;
        default:
            status = trailer(r, &done);
        }
    }
    if (status == MR_OK)
        r->taken = r->at;
    return status;
}

/* ---- requests ---- */

static void drop_taken(struct mr_http1 *r)
{
    if (r->taken == 0)
        return;
    memmove(r->buffer, r->buffer + r->taken, r->bytes - r->taken);
    r->bytes -= r->taken;
    r->taken = r->looked = r->head_bytes = 0;
    r->stage = HEAD;
}

int mr_http1_next(struct mr_http1 *r, struct mr_http1_request *request)
{
    int status;

    drop_taken(r);
    if (r->stage == HEAD) {
        status = find_head(r);
        if (status != MR_OK)
            return status;
    }
    if (r->stage == LENGTH) {
        if (r->bytes - r->head_bytes < r->body_bytes)
            return MR_PARTIAL;
        r->taken = r->head_bytes + r->body_bytes;
    } else {
        status = chunks(r);
        if (status != MR_OK)
            return status;
    }
    *request = (struct mr_http1_request){
        .method = span_of(r, r->method),
        .target = span_of(r, r->target),
        .body = mr_span_of(r->buffer + r->head_bytes, r->body_bytes),
        .if_match = span_of(r, r->if_match),
        .close = r->close,
    };
    return MR_OK;
}
