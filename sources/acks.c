#include "sources/acks.h"

#define FLUSH_NS UINT64_C(50000000)
#define TIMEOUT  "60S"

static const struct mr_retry_policy policy = {
    .base_ns = 100000000, .cap_ns = 60000000000, .factor_percent = 130};

static struct mr_ack_request *of_call(struct mr_call *call)
{
    return MR_CONTAINER(call, struct mr_ack_request, call);
}

/* ---- one request ---- */

static void begin(struct mr_ack_request *request, enum mr_ack_verb verb, uint64_t now_ns)
{
    struct mr_acks *acks = request->owner;

    request->verb = verb;
    request->state = MR_ACK_FILLING;
    request->filling_since_ns = now_ns;
    if (verb == MR_ACK_VERB_ACK)
        mr_pubsub_ack_begin(&request->ids, request->buffer, MR_ACK_REQUEST_BYTES,
                            acks->subscription);
    else
        mr_pubsub_modify_begin(&request->ids, request->buffer, MR_ACK_REQUEST_BYTES,
                               acks->subscription, verb == MR_ACK_VERB_NACK ? 0 : MR_LEASE_SECONDS);
}

static void release(struct mr_ack_request *request)
{
    struct mr_acks *acks = request->owner;
    uint64_t *counters[] = {
        [MR_ACK_VERB_ACK] = &acks->acked,
        [MR_ACK_VERB_EXTEND] = &acks->extended,
        [MR_ACK_VERB_NACK] = &acks->nacked,
    };

    *counters[request->verb] += request->ids.count;
    acks->answered++;
    mr_retry_succeeded(&request->retry);
    request->state = MR_ACK_FREE;
}

static bool is_permanent(enum mr_grpc_code code)
{
    return code == MR_GRPC_NOT_FOUND || code == MR_GRPC_PERMISSION_DENIED ||
           code == MR_GRPC_FAILED_PRECONDITION || code == MR_GRPC_UNIMPLEMENTED;
}

static void answered(struct mr_call *call, const struct mr_call_status *status)
{
    struct mr_ack_request *request = of_call(call);
    struct mr_acks *acks = request->owner;

    if (status->code == MR_GRPC_OK) {
        release(request);
    } else if (status->code == MR_GRPC_INVALID_ARGUMENT) {
        /* Some ids are no longer valid: those messages come again and are known by their id. */
        acks->rejected += request->ids.count;
        request->ids.count = 0;
        release(request);
    } else if (is_permanent(status->code)) {
        mr_fault_raise(acks->fault, MR_E_PUBSUB_REFUSED, "%.*s: %s: %.*s",
                       (int)acks->subscription.bytes, (const char *)acks->subscription.data,
                       mr_grpc_code_name(status->code), (int)status->message.bytes,
                       (const char *)status->message.data);
        request->state = MR_ACK_WAITING;
        request->retry.due_ns = UINT64_MAX;
    } else {
        acks->retried++;
        request->state = MR_ACK_WAITING;
        mr_retry_failed(&request->retry, acks->now_ns, 0);
    }
}

static void ignore_message(struct mr_call *call, struct mr_span message)
{
    (void)call, (void)message;
}

static const struct mr_call_events call_events = {.message = ignore_message, .done = answered};

static void send_request(struct mr_ack_request *request)
{
    struct mr_acks *acks = request->owner;
    enum mr_pubsub_method method = request->verb == MR_ACK_VERB_ACK ? MR_PUBSUB_ACKNOWLEDGE
                                                                    : MR_PUBSUB_MODIFY_ACK_DEADLINE;

    if (acks->filling[request->verb] == request)
        acks->filling[request->verb] = NULL;
    request->state = MR_ACK_WAITING;
    if (mr_call_start(&request->call, mr_pull_connection_channel(&acks->connection),
                      mr_pubsub_path(method), mr_pubsub_routing_key(method), acks->subscription,
                      TIMEOUT) != MR_OK) {
        request->retry.due_ns = acks->now_ns + FLUSH_NS;
        return;
    }
    request->state = MR_ACK_FLYING;
    mr_call_send(&request->call, mr_pubsub_ids_span(&request->ids), NULL);
    mr_call_end(&request->call);
}

/* ---- all of them ---- */

int mr_acks_init(struct mr_acks *acks, struct mr_arena *arena, struct mr_io *io,
                 const struct mr_pull_peer *peer, struct mr_span subscription)
{
    *acks = (struct mr_acks){.subscription = subscription, .fault = peer->fault};
    if (mr_pull_connection_init(&acks->connection, peer, arena, io, 0, (uint64_t)(uintptr_t)acks,
                                false) != MR_OK)
        return MR_E_MEMORY;
    for (uint32_t i = 0; i < MR_ACK_REQUESTS; i++) {
        struct mr_ack_request *request = &acks->requests[i];
        request->owner = acks;
        request->call.events = &call_events;
        request->call.carry = request->answer;
        request->call.message_bytes_max = sizeof request->answer;
        request->buffer = mr_arena_take(arena, MR_ACK_REQUEST_BYTES, MR_FALSE_SHARING);
        if (!request->buffer)
            return MR_E_MEMORY;
        mr_retry_init(&request->retry, &policy, (uint64_t)(uintptr_t)request);
    }
    return MR_OK;
}

static struct mr_ack_request *filling(struct mr_acks *acks, enum mr_ack_verb verb, uint64_t now_ns)
{
    if (acks->filling[verb])
        return acks->filling[verb];
    for (uint32_t i = 0; i < MR_ACK_REQUESTS; i++)
        if (acks->requests[i].state == MR_ACK_FREE) {
            begin(&acks->requests[i], verb, now_ns);
            return acks->filling[verb] = &acks->requests[i];
        }
    return NULL;
}

bool mr_acks_add(struct mr_acks *acks, enum mr_ack_verb verb, struct mr_span ack_id,
                 uint64_t now_ns)
{
    acks->now_ns = now_ns;
    struct mr_ack_request *request = filling(acks, verb, now_ns);
    if (request && mr_pubsub_ids_add(&request->ids, ack_id))
        return true;
    if (request)
        send_request(request);
    request = filling(acks, verb, now_ns);
    return request && mr_pubsub_ids_add(&request->ids, ack_id);
}

void mr_acks_chores(struct mr_acks *acks, uint64_t now_ns, bool all)
{
    acks->now_ns = now_ns;
    mr_pull_connection_chores(&acks->connection, now_ns, true);
    for (uint32_t i = 0; i < MR_ACK_REQUESTS; i++) {
        struct mr_ack_request *request = &acks->requests[i];
        bool filled = request->state == MR_ACK_FILLING &&
                      (all || now_ns - request->filling_since_ns >= FLUSH_NS);
        bool due = request->state == MR_ACK_WAITING && mr_retry_is_due(&request->retry, now_ns);
        if (filled || due)
            send_request(request);
    }
}

bool mr_acks_are_clean(const struct mr_acks *acks)
{
    for (uint32_t i = 0; i < MR_ACK_REQUESTS; i++)
        if (acks->requests[i].state != MR_ACK_FREE)
            return false;
    return true;
}

uint64_t mr_acks_held(const struct mr_acks *acks)
{
    uint64_t held = 0;

    for (uint32_t i = 0; i < MR_ACK_REQUESTS; i++)
        if (acks->requests[i].state != MR_ACK_FREE && acks->requests[i].verb == MR_ACK_VERB_ACK)
            held += acks->requests[i].ids.count;
    return held;
}

void mr_acks_close(struct mr_acks *acks)
{
    mr_pull_connection_close(&acks->connection);
}
