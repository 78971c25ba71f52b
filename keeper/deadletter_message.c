#include "keeper/deadletter_message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/text.h"
#include "keeper/letter_json.h"

#define OURS     "millrace_"
#define OURS_MAX 8 /* attributes that we add, the note of truncation included */

/* ---- as a message ---- */

static bool begins(struct mr_span text, const char *with)
{
    size_t bytes = strlen(with);
    return text.bytes >= bytes && memcmp(text.data, with, bytes) == 0;
}

/* The longest prefix of at most `limit` bytes that does not end within a character. */
static size_t cut_at(struct mr_span text, size_t limit)
{
    size_t bytes = MR_MIN(text.bytes, limit);

    while (bytes < text.bytes && bytes > 0 && (text.data[bytes] & 0xC0) == 0x80)
        bytes--;
    return bytes;
}

static void put_attribute(struct mr_pen *pen, struct mr_span key, struct mr_span value,
                          bool *truncated)
{
    uint8_t place[MR_ATTRIBUTE_VALUE_BYTES_MAX];
    size_t bytes = cut_at(value, MR_ATTRIBUTE_VALUE_BYTES_MAX);

    *truncated |= bytes < value.bytes;
    value.bytes = bytes;
    if (!mr_utf8_valid(value)) {
        for (size_t i = 0; i < bytes; i++)
            place[i] = value.data[i] < 0x80 ? value.data[i] : '?';
        value.data = place;
        *truncated = true;
    }
    mr_pb_put_pair(pen, 2, key, value);
}

static void put_original(struct mr_pen *pen, const struct mr_pb_map *attributes, bool *truncated)
{
    struct mr_pb_each each = mr_pb_map_each(attributes);
    struct mr_span key, value;
    uint32_t count = 0;

    while (mr_pb_each_pair(&each, &key, &value)) {
        if (begins(key, OURS))
            continue;
        if (begins(key, "goog") || key.bytes == 0 || key.bytes > MR_ATTRIBUTE_KEY_BYTES_MAX ||
            !mr_utf8_valid(key) || count >= MR_ATTRIBUTES_MAX - OURS_MAX) {
            *truncated = true;
            continue;
        }
        put_attribute(pen, key, value, truncated);
        count++;
    }
}

static void put_ours(struct mr_pen *pen, const char *name, struct mr_span value, bool *truncated)
{
    if (value.bytes > 0)
        put_attribute(pen, mr_span_text(name), value, truncated);
}

static void put_number(struct mr_pen *pen, const char *name, uint64_t number)
{
    char text[24];
    char *end = mr_text_put_u64(text, number);

    mr_pb_put_pair(pen, 2, mr_span_text(name), mr_span_of(text, (size_t)(end - text)));
}

static void put_attributes(struct mr_pen *pen, const struct mr_deadletter *letter, bool cut)
{
    bool truncated = cut;

    if (!cut)
        put_original(pen, &letter->attributes, &truncated);
    put_ours(pen, OURS "reason", mr_span_text(letter->reason), &truncated);
    put_ours(pen, OURS "stage", mr_span_text(letter->stage), &truncated);
    if (!cut)
        put_ours(pen, OURS "detail", letter->detail, &truncated);
    put_ours(pen, OURS "field", letter->field, &truncated);
    put_ours(pen, OURS "message_id", letter->message_id, &truncated);
    if (letter->line != 0)
        put_number(pen, OURS "line", letter->line);
    put_number(pen, OURS "byte_offset", letter->byte_offset);
    if (truncated)
        mr_pb_put_pair(pen, 2, mr_span_text(OURS "truncated"), mr_span_text("1"));
}

void mr_deadletter_put(struct mr_pen *pen, const struct mr_deadletter *letter,
                       enum mr_deadletter_cut cut)
{
    size_t mark = mr_pb_open(pen, 2);

    mr_pb_add_bytes(pen, 1, letter->body);
    /* A message is not empty: without a body it keeps its attributes. */
    if (cut != MR_CUT_ALL || letter->body.bytes == 0)
        put_attributes(pen, letter, cut != MR_CUT_NONE);
    mr_pb_close(pen, mark);
}

/* ---- as a line ---- */

static char *put(char *at, const char *text)
{
    return mr_text_put(at, mr_span_text(text));
}

static bool is_number(struct mr_span key)
{
    return mr_span_equal(key, mr_span_text(OURS "line")) ||
           mr_span_equal(key, mr_span_text(OURS "byte_offset"));
}

/* Ours as members of the line, then the original ones as `attributes`. */
static char *put_members(char *at, const struct mr_pb_map *attributes)
{
    struct mr_pb_each each = mr_pb_map_each(attributes);
    struct mr_span key, value;
    bool any = false;

    while (mr_pb_each_pair(&each, &key, &value)) {
        if (!begins(key, OURS))
            continue;
        at = put(at, ",");
        at = mr_text_put_json(at, mr_span_of(key.data + strlen(OURS), key.bytes - strlen(OURS)));
        at = put(at, ":");
        at = is_number(key) ? mr_text_put(at, value) : mr_text_put_json(at, value);
    }
    each = mr_pb_map_each(attributes);
    while (mr_pb_each_pair(&each, &key, &value)) {
        if (begins(key, OURS))
            continue;
        at = mr_text_put_json(put(at, any ? "," : ",\"attributes\":{"), key);
        at = mr_text_put_json(put(at, ":"), value);
        any = true;
    }
    return any ? put(at, "}") : at;
}

static bool write_all(int fd, const char *at, const char *end)
{
    while (at < end) {
        ssize_t written = write(fd, at, (size_t)(end - at));
        if (written < 0 && errno != EINTR)
            return false;
        at += written > 0 ? written : 0;
    }
    return fdatasync(fd) == 0 || errno == EINVAL; /* a pipe has nothing to sync */
}

bool mr_deadletter_spill(int fd, const struct mr_pubsub_message *message, const char *why)
{
    /* Text grows at most sixfold when escaped, an attribute by its five signs too; the map's
     * message holds the attributes and the body. */
    size_t bytes = 256 + MR_TEXT_STRING_MAX(strlen(why)) + MR_TEXT_STRING_MAX(message->data.bytes) +
                   8 * message->attributes.message.bytes;
    char *text = malloc(bytes);

    if (!text) {
        errno = ENOMEM;
        return false;
    }
    char *at = put(text, "{\"kind\":\"order\",\"refused\":");
    at = mr_text_put_json(at, mr_span_text(why));
    at = put_members(at, &message->attributes);
    at = put(mr_letter_json_put_data(at, message->data), "}\n");
    MR_ASSERT((size_t)(at - text) <= bytes);
    bool written = write_all(fd, text, at);
    free(text);
    return written;
}
