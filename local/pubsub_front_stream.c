/* StreamingPull: what its requests may say, and the answers to them. */
#include "local/pubsub_front_parts.h"

#define EMPTY_RESPONSE_BYTES 16

static struct mr_pubsub_pull_state *state_of(const struct mr_served *call)
{
    return call->state;
}

static struct mr_span name_of(const struct mr_pubsub_pull_state *pull)
{
    return mr_span_of(pull->name, pull->name_bytes);
}

static bool invalid(struct mr_served *call, const char *text)
{
    mr_served_end(call, MR_GRPC_INVALID_ARGUMENT, text);
    return false;
}

static struct mr_pubsub_properties properties_of(const struct mr_pubsub_pull_state *pull)
{
    return (struct mr_pubsub_properties){true, mr_pubsub_puller_exactly_once(pull->puller),
                                         mr_pubsub_puller_ordering(pull->puller)};
}

/* ---- acks on the stream ---- */

/* With exactly-once some may have failed; then the confirmation tells and the stream goes on. */
static bool survives(struct mr_served *call, struct mr_pubsub_status status, uint32_t count)
{
    const struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    bool reasons = false;

    for (uint32_t i = 0; status.code != MR_PUBSUB_OK && i < count && !reasons; i++)
        reasons = mr_pubsub_ack_reason(f->results[i]) != NULL;
    return reasons || mr_pubsub_front_went(call, status);
}

/* One list of a confirmation: the ids whose result is one of the two. */
static void put_ids(struct mr_pen *pen, uint32_t number, const struct mr_pubsub_front *f,
                    uint32_t count, enum mr_pubsub_ack one, enum mr_pubsub_ack other)
{
    for (uint32_t i = 0; i < count; i++)
        if (f->results[i] == one || f->results[i] == other)
            mr_pb_put_bytes(pen, number, f->ids[i]);
}

/* `number` is the confirmation's field: 5 for acks, 3 for deadlines, whose lists of temporary
 * failures have other numbers. */
static void confirm(struct mr_served *call, uint32_t number, uint32_t count)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    struct mr_pubsub_properties properties = properties_of(state_of(call));
    size_t bytes = 2 * EMPTY_RESPONSE_BYTES, mark;
    struct mr_served_buffer *buffer;
    struct mr_pen pen;

    if (!properties.exactly_once)
        return;
    for (uint32_t i = 0; i < count; i++)
        bytes += f->ids[i].bytes + EMPTY_RESPONSE_BYTES;
    buffer = mr_served_buffer_create(bytes);
    pen = mr_pen_of(buffer->data, bytes);
    if (number == 5)
        mr_pubsub_properties_nest(&pen, 4, &properties);
    mark = mr_pb_open_wide(&pen, number);
    put_ids(&pen, 1, f, count, MR_PUBSUB_ACK_DONE, MR_PUBSUB_ACK_STALE);
    put_ids(&pen, 2, f, count, MR_PUBSUB_ACK_INVALID, MR_PUBSUB_ACK_INVALID);
    put_ids(&pen, number == 5 ? 4 : 3, f, count, MR_PUBSUB_ACK_RETRY, MR_PUBSUB_ACK_RETRY);
    mr_pb_close_wide(&pen, mark);
    if (number != 5)
        mr_pubsub_properties_nest(&pen, 4, &properties);
    MR_ASSERT(pen.err == MR_OK);
    mr_served_give(call, buffer, pen.bytes);
}

static bool acks(struct mr_served *call, const struct mr_pubsub_streaming_pull *request)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    uint32_t count = mr_pubsub_front_list(f, &request->ack_ids);

    if (count == 0)
        return true;
    memset(f->results, 0, count * sizeof *f->results);
    if (!survives(call,
                  mr_pubsub_ack(f->store, name_of(state_of(call)), f->ids, count, call->now_us,
                                f->results),
                  count))
        return false;
    confirm(call, MR_PUBSUB_ACK_CONFIRMATION, count);
    return true;
}

static bool deadlines(struct mr_served *call, const struct mr_pubsub_streaming_pull *request)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);
    struct mr_pb_each each = mr_pb_each_of(request->bytes, 3);
    uint32_t count = mr_pubsub_front_list(f, &request->modify_ack_ids), read = 0;
    uint64_t value;

    if (count != request->modify_deadlines)
        return invalid(call, "modify_deadline_seconds and modify_deadline_ack_ids must have the "
                             "same length.");
    while (read < count && mr_pb_each_varint(&each, &value))
        f->seconds[read++] = (int32_t)value;
    if (count == 0)
        return true;
    memset(f->results, 0, count * sizeof *f->results);
    if (!survives(call,
                  mr_pubsub_modify(f->store, name_of(state_of(call)), f->ids, count, f->seconds,
                                   count, call->now_us, f->results),
                  count))
        return false;
    confirm(call, MR_PUBSUB_MODIFY_CONFIRMATION, count);
    return true;
}

/* ---- requests ---- */

static bool first(struct mr_served *call, const struct mr_pubsub_streaming_pull *request)
{
    struct mr_pubsub_puller_settings settings = {
        .stream = true,
        .ack_deadline_s = request->stream_ack_deadline_seconds,
        .messages_max = request->max_outstanding_messages,
        .bytes_max = request->max_outstanding_bytes,
    };

    if (request->subscription.bytes == 0)
        return invalid(call, "The first request of a stream must name the subscription.");
    if (!mr_pubsub_front_open(call, request->subscription, settings))
        return false;
    state_of(call)->protocol_version = request->protocol_version;
    return true;
}

static bool later(struct mr_served *call, const struct mr_pubsub_streaming_pull *request)
{
    struct mr_pubsub_front *f = mr_pubsub_front_of(call);

    if (request->subscription.bytes > 0)
        return invalid(call, "Only the first request of a stream may name the subscription.");
    if (request->max_outstanding_messages != 0 || request->max_outstanding_bytes != 0)
        return invalid(call, "Flow control can only be set by the first request of a stream.");
    if (request->protocol_version != 0)
        return invalid(call, "protocol_version can only be set by the first request of a stream.");
    return request->stream_ack_deadline_seconds == 0 ||
           mr_pubsub_front_went(call,
                                mr_pubsub_puller_deadline(f->store, state_of(call)->puller,
                                                          request->stream_ack_deadline_seconds));
}

/* An empty request is a ping. */
static void pong(struct mr_served *call)
{
    struct mr_pubsub_properties properties = properties_of(state_of(call));
    uint8_t memory[EMPTY_RESPONSE_BYTES];
    struct mr_pen pen = mr_pen_of(memory, sizeof memory);

    mr_pubsub_properties_nest(&pen, 4, &properties);
    mr_served_send(call, mr_pen_span(&pen));
}

void mr_pubsub_front_stream(struct mr_served *call, struct mr_span message)
{
    struct mr_pubsub_streaming_pull request;
    bool opened = call->state != NULL;

    if (opened && !state_of(call)->puller)
        return;
    if (opened && message.bytes == 0) {
        if (state_of(call)->protocol_version >= 1)
            pong(call);
        return;
    }
    if (!mr_pubsub_front_parsed(call, mr_pubsub_streaming_pull_parse(&request, message)))
        return;
    if (opened ? later(call, &request) : first(call, &request))
        if (acks(call, &request))
            deadlines(call, &request);
}
