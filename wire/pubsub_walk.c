#include "wire/pubsub.h"

_Static_assert(sizeof(struct mr_pubsub_walk) <= 104, "with a gRPC cursor: 128 bytes a stream");

/* ---- one ReceivedMessage ---- */

int mr_pubsub_message_parse(struct mr_pubsub_message *message, struct mr_span bytes)
{
    struct mr_cursor cursor = mr_cursor_of(bytes);
    struct mr_pb_field field;
    struct mr_pb_time publish = {.present = false};

    *message = (struct mr_pubsub_message){.attributes = {.message = bytes, .number = 2}};
    while (mr_pb_next(&cursor, &field)) {
        switch (field.tag) {
        case MR_PB_TAG(1, MR_PB_BYTES):
            message->data = field.bytes;
            break;
        case MR_PB_TAG(2, MR_PB_BYTES):
            message->attributes.found++;
            break;
        case MR_PB_TAG(3, MR_PB_BYTES):
            message->message_id = field.bytes;
            break;
        case MR_PB_TAG(4, MR_PB_BYTES):
            if (mr_pb_time_parse(&publish, field.bytes) != MR_OK)
                return MR_E_PROTOBUF;
            break;
        case MR_PB_TAG(5, MR_PB_BYTES):
            message->ordering_key = field.bytes;
            break;
        default:
            break;
        }
    }
    message->publish_us = mr_pb_time_us(&publish);
    return cursor.err;
}

static int parse_any_order(struct mr_pubsub_received *received, struct mr_span bytes)
{
    struct mr_cursor cursor = mr_cursor_of(bytes);
    struct mr_pb_field field;
    int err = MR_OK;

    *received = (struct mr_pubsub_received){.delivery_attempt = 0};
    while (err == MR_OK && mr_pb_next(&cursor, &field)) {
        switch (field.tag) {
        case MR_PB_TAG(1, MR_PB_BYTES):
            received->ack_id = field.bytes;
            break;
        case MR_PB_TAG(2, MR_PB_BYTES):
            err = mr_pubsub_message_parse(&received->message, field.bytes);
            break;
        case MR_PB_TAG(3, MR_PB_VARINT):
            received->delivery_attempt = (int32_t)field.value;
            break;
        default:
            break;
        }
    }
    return err == MR_OK ? cursor.err : err;
}

/* Reads `tag` and its span if they stand at *at; an absent field is no error. Lengths of up to
 * three bytes; false for anything else, which is left to the complete parser. */
static inline bool expect(const uint8_t **at, const uint8_t *end, uint8_t tag, struct mr_span *span)
{
    const uint8_t *p = *at;

    if (p == end || *p != tag)
        return true;
    if (end - p < 4) /* so that a length can be read; rare, at the very end only */
        return false;
    size_t bytes = p[1];
    p += 2;
    if (bytes >= 128) {
        bytes = (bytes & 127) | (size_t)*p << 7;
        if (*p++ >= 128) {
            bytes = (bytes & 16383) | (size_t)*p << 14;
            if (*p++ >= 128)
                return false;
        }
    }
    if (bytes > (size_t)(end - p))
        return false;
    *span = mr_span_of(p, bytes);
    *at = p + bytes;
    return true;
}

/* The varint behind `tag`, if that stands at *at. */
static inline bool expect_number(const uint8_t **at, const uint8_t *end, uint8_t tag,
                                 uint64_t *value)
{
    const uint8_t *p = *at;

    if (p == end || *p != tag)
        return true;
    for (uint32_t shift = 0; shift < 63 && ++p < end; shift += 7) {
        *value |= (uint64_t)(*p & 127) << shift;
        if (*p < 128) {
            *at = p + 1;
            return true;
        }
    }
    return false;
}

/* Times of this and any near century; all others go the long way. */
static inline bool publish_time(struct mr_span bytes, int64_t *us)
{
    const uint8_t *at = bytes.data, *end = bytes.data + bytes.bytes;
    uint64_t seconds = 0, nanos = 0;

    if (!expect_number(&at, end, 0x08, &seconds) || !expect_number(&at, end, 0x10, &nanos) ||
        at != end || seconds >> 40 || nanos >> 30)
        return false;
    *us = (int64_t)(seconds * 1000000 + nanos / 1000);
    return true;
}

/* The order of fields that servers write. False: not so, or malformed; nothing is decided. */
static inline bool parse_known_order(struct mr_pubsub_received *received, struct mr_span bytes)
{
    const uint8_t *at = bytes.data, *end = at + bytes.bytes;
    struct mr_pubsub_message *message = &received->message;
    struct mr_span inner = {NULL, 0}, entry, time = {at, 0};

    *received = (struct mr_pubsub_received){.delivery_attempt = 0};
    if (!expect(&at, end, 0x0A, &received->ack_id) || !expect(&at, end, 0x12, &inner) ||
        !inner.data)
        return false;
    if (end - at == 2 && at[0] == 0x18 && at[1] < 128) {
        received->delivery_attempt = at[1];
        at += 2;
    }
    if (at != end)
        return false;
    at = inner.data, end = at + inner.bytes;
    message->attributes = (struct mr_pb_map){.message = inner, .number = 2};
    if (!expect(&at, end, 0x0A, &message->data))
        return false;
    for (; at != end && *at == 0x12; message->attributes.found++)
        if (!expect(&at, end, 0x12, &entry))
            return false;
    return expect(&at, end, 0x1A, &message->message_id) && expect(&at, end, 0x22, &time) &&
           expect(&at, end, 0x2A, &message->ordering_key) && at == end &&
           publish_time(time, &message->publish_us);
}

int mr_pubsub_received_parse(struct mr_pubsub_received *received, struct mr_span bytes)
{
    if (MR_LIKELY(bytes.bytes && parse_known_order(received, bytes)))
        return MR_OK;
    return parse_any_order(received, bytes);
}

/* ---- a response in pieces ---- */

void mr_pubsub_walk_init(struct mr_pubsub_walk *walk, const struct mr_pubsub_lender *lender,
                         uint32_t part_bytes_max)
{
    *walk = (struct mr_pubsub_walk){.lender = lender, .part_bytes_max = part_bytes_max};
}

static void give_back(struct mr_pubsub_walk *walk)
{
    if (walk->carry)
        walk->lender->give_back(walk->lender->self, walk->carry, walk->carry_bytes);
    walk->carry = NULL;
    walk->emitted = 0;
}

void mr_pubsub_walk_finish(struct mr_pubsub_walk *walk)
{
    give_back(walk);
    walk->response_left = walk->skip_left = 0;
    walk->head_bytes = 0;
}

void mr_pubsub_walk_begin(struct mr_pubsub_walk *walk, uint32_t bytes)
{
    MR_ASSERT(mr_pubsub_walk_end(walk) == MR_OK);
    walk->response_left = bytes;
}

int mr_pubsub_walk_end(struct mr_pubsub_walk *walk)
{
    if (walk->emitted)
        give_back(walk);
    if (walk->carry || walk->skip_left || walk->head_bytes || walk->response_left)
        return MR_E_PROTOBUF;
    return MR_OK;
}

static void advance(struct mr_pubsub_walk *walk, struct mr_span *input, size_t bytes)
{
    if (bytes == 0)
        return;
    input->data += bytes;
    input->bytes -= bytes;
    walk->response_left -= (uint32_t)bytes;
}

struct head {
    uint32_t tag;
    uint64_t body; /* bytes that follow */
    size_t bytes;  /* of the head itself */
};

/* MR_PARTIAL when `bytes` may be the beginning of a head. */
static int head_parse(struct head *head, struct mr_span bytes)
{
    struct mr_cursor cursor = mr_cursor_of(bytes);
    uint64_t tag = mr_pb_varint(&cursor);
    uint64_t value = 0;

    if (cursor.err == MR_OK && (tag > UINT32_MAX || tag >> 3 == 0))
        return MR_E_PROTOBUF;
    switch (tag & 7) {
    case MR_PB_BYTES:
    case MR_PB_VARINT:
        value = cursor.err == MR_OK ? mr_pb_varint(&cursor) : 0;
        break;
    case MR_PB_FIXED64:
        value = 8;
        break;
    case MR_PB_FIXED32:
        value = 4;
        break;
    default:
        return MR_E_PROTOBUF;
    }
    if (cursor.err != MR_OK) {
        /* Cut short, or too long: a varint that may still go on ends in a continuation byte. */
        bool open = bytes.bytes < 2 * MR_PB_VARINT_BYTES_MAX;
        return open ? MR_PARTIAL : MR_E_PROTOBUF;
    }
    head->tag = (uint32_t)tag;
    head->body = (tag & 7) == MR_PB_VARINT ? 0 : value;
    head->bytes = bytes.bytes - mr_cursor_left(&cursor);
    return MR_OK;
}

/* Finds the next head, from `input` or put together in walk->head. The head is consumed either
 * way, and stands in walk->head until its body has a place. */
static int head_take(struct mr_pubsub_walk *walk, struct mr_span *input, struct head *head)
{
    int err = MR_PARTIAL;

    if (walk->head_bytes == 0) {
        size_t seen = MR_MIN(input->bytes, walk->response_left);
        seen = MR_MIN(seen, sizeof walk->head);
        err = head_parse(head, mr_span_of(input->data, seen));
        size_t used = err == MR_OK ? head->bytes : seen;
        memcpy(walk->head, input->data, used);
        walk->head_bytes = (uint8_t)used;
        advance(walk, input, used);
    } else {
        err = head_parse(head, mr_span_of(walk->head, walk->head_bytes));
    }
    while (err == MR_PARTIAL && input->bytes > 0 && walk->response_left > 0) {
        walk->head[walk->head_bytes++] = *input->data;
        advance(walk, input, 1);
        err = head_parse(head, mr_span_of(walk->head, walk->head_bytes));
    }
    return err == MR_PARTIAL && walk->response_left == 0 ? MR_E_PROTOBUF : err;
}

static int emit(struct mr_pubsub_event *event, uint8_t part, struct mr_span bytes)
{
    event->part = (enum mr_pubsub_part)part;
    event->bytes = bytes;
    return part == MR_PUBSUB_RECEIVED ? mr_pubsub_received_parse(&event->received, bytes) : MR_OK;
}

static bool is_part(uint32_t tag)
{
    return tag == MR_PB_TAG(MR_PUBSUB_RECEIVED, MR_PB_BYTES) ||
           tag == MR_PB_TAG(MR_PUBSUB_MODIFY_CONFIRMATION, MR_PB_BYTES) ||
           tag == MR_PB_TAG(MR_PUBSUB_PROPERTIES, MR_PB_BYTES) ||
           tag == MR_PB_TAG(MR_PUBSUB_ACK_CONFIRMATION, MR_PB_BYTES);
}

/* A head is complete: emits, begins a carry (MR_PARTIAL) or a skip (MR_PARTIAL), or MR_AGAIN. */
static int body_begin(struct mr_pubsub_walk *walk, struct mr_span *input, const struct head *head,
                      struct mr_pubsub_event *event)
{
    if (head->body > walk->response_left)
        return MR_E_PROTOBUF;
    if (!is_part(head->tag)) {
        walk->skip_left = (uint32_t)head->body;
        walk->head_bytes = 0;
        return MR_PARTIAL;
    }
    if (head->body > walk->part_bytes_max)
        return MR_E_GRPC_TOO_LARGE;
    if (head->body <= input->bytes) {
        struct mr_span bytes = mr_span_of(input->data, (size_t)head->body);
        walk->head_bytes = 0;
        advance(walk, input, bytes.bytes);
        return emit(event, (uint8_t)(head->tag >> 3), bytes);
    }
    walk->carry = walk->lender->borrow(walk->lender->self, (size_t)head->body);
    if (!walk->carry)
        return MR_AGAIN;
    walk->carry_bytes = (uint32_t)head->body;
    walk->carry_used = 0;
    walk->part = (uint8_t)(head->tag >> 3);
    walk->head_bytes = 0;
    return MR_PARTIAL;
}

/* A whole ReceivedMessage lies at the front of `input`: the ordinary case, decided in few steps. */
static bool lies_whole(const struct mr_pubsub_walk *walk, struct mr_span input,
                       struct mr_span *bytes, size_t *used)
{
    const uint8_t *at = input.data;

    if (walk->head_bytes || walk->skip_left || walk->carry || input.bytes == 0 || *at != 0x0A ||
        !expect(&at, input.data + input.bytes, 0x0A, bytes))
        return false;
    *used = (size_t)(at - input.data);
    return *used <= walk->response_left && bytes->bytes <= walk->part_bytes_max;
}

int mr_pubsub_walk_next(struct mr_pubsub_walk *walk, struct mr_span *input,
                        struct mr_pubsub_event *event)
{
    struct mr_span whole = {NULL, 0};
    struct head head;
    size_t used = 0;

    if (walk->emitted)
        give_back(walk);
    if (MR_LIKELY(lies_whole(walk, *input, &whole, &used))) {
        advance(walk, input, used);
        return emit(event, MR_PUBSUB_RECEIVED, whole);
    }
    for (;;) {
        if (walk->carry) {
            size_t bytes = MR_MIN((size_t)(walk->carry_bytes - walk->carry_used), input->bytes);
            if (bytes)
                memcpy(walk->carry + walk->carry_used, input->data, bytes);
            walk->carry_used += (uint32_t)bytes;
            advance(walk, input, bytes);
            if (walk->carry_used < walk->carry_bytes)
                return MR_PARTIAL;
            walk->emitted = 1;
            return emit(event, walk->part, mr_span_of(walk->carry, walk->carry_bytes));
        }
        if (walk->skip_left) {
            size_t bytes = MR_MIN((size_t)walk->skip_left, input->bytes);
            walk->skip_left -= (uint32_t)bytes;
            advance(walk, input, bytes);
        }
        bool head_ready = walk->head_bytes > 0;
        if (walk->skip_left || (input->bytes == 0 && !head_ready))
            return MR_PARTIAL;
        if (walk->response_left == 0 && !head_ready)
            return MR_E_PROTOBUF; /* more input than the response has */
        int err = head_take(walk, input, &head);
        if (err == MR_OK)
            err = body_begin(walk, input, &head, event);
        else if (err == MR_PARTIAL)
            return err;
        if (err != MR_PARTIAL)
            return err;
    }
}
