#include "keeper/deadletter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REQUESTS    6
#define CARRY_BYTES (64u << 10) /* of an answer: a thousand ids */
#define TIMEOUT     "60S"
#define GIVE_UP_NS  UINT64_C(65000000000) /* should the peer forget the timeout */
#define CHORES_NS   1000000000u
#define ADDRESSES   8
#define SPILL_PATH  "letters-refused.ndjson"

static const struct mr_retry_policy publish_policy = {
    .base_ns = 100000000, .cap_ns = UINT64_C(60000000000), .factor_percent = 400};
static const struct mr_retry_policy connect_policy = {
    .base_ns = 100000000, .cap_ns = UINT64_C(30000000000), .factor_percent = 200};

/* Each trouble is told once, until another takes its place. */
static void tell(struct mr_deadletters *d, const char *what, const char *detail)
{
    char text[sizeof d->told];

    snprintf(text, sizeof text, "%.60s: %.120s", what, detail);
    if (strcmp(text, d->told) == 0)
        return;
    memcpy(d->told, text, sizeof text);
    fprintf(stderr, "millrace: dead letters to %s: %s\n", d->options.topic, text);
}

static struct mr_publish_letter *letter_at(const struct mr_publish *p, uint32_t i)
{
    return &p->letters[i];
}

static uint32_t end_of(const struct mr_publish *p, uint32_t i)
{
    return i + 1 < p->count ? letter_at(p, i + 1)->offset : (uint32_t)p->pen.bytes;
}

/* ---- filling ---- */

static struct mr_publish *open_request(struct mr_deadletters *d)
{
    for (uint32_t i = 0; i < d->options.requests; i++) {
        struct mr_publish *p = &d->requests[i];
        if (p->state != MR_PUBLISH_FREE)
            continue;
        p->state = MR_PUBLISH_FILLING;
        p->opened_ns = d->now_ns;
        p->count = p->told = p->settled = p->end = p->suspect_end = 0;
        mr_retry_succeeded(&p->retry);
        mr_pen_rewind(&p->pen, 0);
        mr_pen_put(&p->pen, mr_span_of(d->head, d->head_bytes));
        d->filling = p;
        return p;
    }
    return NULL;
}

static void seal(struct mr_deadletters *d)
{
    struct mr_publish *p = d->filling;

    p->state = MR_PUBLISH_DUE;
    p->end = p->count;
    d->filling = NULL;
}

static void count_in(struct mr_publish *p, const struct mr_deadletter *letter, size_t offset)
{
    *letter_at(p, p->count++) = (struct mr_publish_letter){
        .position = letter->position, .offset = (uint32_t)offset, .puller = letter->puller};
}

static bool append(struct mr_publish *p, const struct mr_deadletter *letter,
                   enum mr_deadletter_cut cut)
{
    size_t offset = p->pen.bytes;

    mr_deadletter_put(&p->pen, letter, cut);
    if (p->pen.err != MR_OK) {
        mr_pen_rewind(&p->pen, offset);
        return false;
    }
    count_in(p, letter, offset);
    return true;
}

/* ---- letters that the service does not take ---- */

static bool spill(struct mr_deadletters *d, struct mr_span message_bytes, const char *why)
{
    struct mr_pubsub_message message;
    const char *path = d->options.spill_path;

    if (d->spill_fd < 0) /* payloads are nobody else's business: 0600 */
        d->spill_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    MR_ASSERT(mr_pubsub_message_parse(&message, message_bytes) == MR_OK);
    if (d->spill_fd < 0 || !mr_deadletter_spill(d->spill_fd, &message, why)) {
        mr_fault_raise(d->options.fault, MR_E_FILE_WRITE, "%s: %s", path, strerror(errno));
        return false;
    }
    d->refused++;
    if ((d->refused & (d->refused - 1)) == 0) /* at 1, 2, 4, ...: counted, and never a flood */
        fprintf(stderr, "millrace: dead letters to %s: %llu refused so far, kept in %s; now: %s\n",
                d->options.topic, (unsigned long long)d->refused, path, why);
    return true;
}

/* The field that carries letter `i`, without tag and length. */
static struct mr_span message_of(const struct mr_publish *p, uint32_t i)
{
    uint32_t from = letter_at(p, i)->offset;
    struct mr_cursor cursor = mr_cursor_of(mr_span_of(p->pen.data + from, end_of(p, i) - from));
    struct mr_pb_field field;

    MR_ASSERT(mr_pb_next(&cursor, &field));
    return field.bytes;
}

/* Larger than any request, even without attributes. */
static int spill_unsendable(struct mr_deadletters *d, const struct mr_deadletter *letter)
{
    struct mr_pen pen = mr_pen_measure();

    mr_deadletter_put(&pen, letter, MR_CUT_NONE);
    uint8_t *place = malloc(pen.bytes);
    if (!place) {
        mr_fault_raise(d->options.fault, MR_E_MEMORY, "a letter of %zu bytes", pen.bytes);
        return MR_E_FILE_WRITE;
    }
    struct mr_publish alone = {.pen = mr_pen_of(place, pen.bytes),
                               .count = 1,
                               .letters = &(struct mr_publish_letter){.offset = 0}};
    mr_deadletter_put(&alone.pen, letter, MR_CUT_NONE);
    bool spilled = spill(d, message_of(&alone, 0), "larger than a publish request may be");
    free(place);
    if (!spilled)
        return MR_E_FILE_WRITE;
    struct mr_publish *p = d->filling; /* empty: it carries the note that the letter is safe */
    count_in(p, letter, p->pen.bytes);
    p->settled = 1;
    seal(d);
    return MR_OK;
}

int mr_deadletters_add(struct mr_deadletters *d, const struct mr_deadletter *letter)
{
    for (;;) {
        struct mr_publish *p = d->filling ? d->filling : open_request(d);
        if (!p)
            return MR_AGAIN;
        if (append(p, letter, MR_CUT_NONE))
            break;
        if (p->count > 0) {
            seal(d);
            continue;
        }
        if (append(p, letter, MR_CUT_ORIGINAL) || append(p, letter, MR_CUT_ALL))
            break;
        return spill_unsendable(d, letter);
    }
    if (d->filling->pen.bytes >= d->options.batch_bytes || d->filling->count == d->options.messages)
        seal(d);
    return MR_OK;
}

/* ---- what an answer means ---- */

/* The next range: all the rest, unless a guilty letter is being looked for. */
static void aim(struct mr_publish *p)
{
    p->end = p->count;
    if (p->suspect_end > p->settled)
        p->end = p->settled + MR_MAX((p->suspect_end - p->settled) / 2, 1u);
}

static void confirmed(struct mr_publish *p)
{
    struct mr_deadletters *d = p->owner;

    d->published += p->end - p->settled;
    p->settled = p->end;
    mr_retry_succeeded(&p->retry);
    mr_retry_succeeded(&d->connect);
    d->told[0] = '\0';
    aim(p);
}

/* Something in the range is not a message as the service likes it. */
static void divide(struct mr_publish *p, const char *why)
{
    if (p->end - p->settled > 1) {
        p->suspect_end = p->end;
    } else {
        if (!spill(p->owner, message_of(p, p->settled), why))
            return;
        p->settled++;
        p->suspect_end = p->settled;
    }
    mr_retry_succeeded(&p->retry);
    aim(p);
}

static uint64_t asked_delay_ns(const struct mr_call_status *status)
{
    struct mr_rpc_status details;
    struct mr_rpc_retry_info info;
    struct mr_span value;

    if (status->details.bytes == 0 || mr_rpc_status_parse(&details, status->details) != MR_OK ||
        !mr_rpc_detail(&details, MR_RPC_RETRY_INFO, &value) ||
        mr_rpc_retry_info_parse(&info, value) != MR_OK || !info.delay.present)
        return 0;
    int64_t us = mr_pb_time_us(&info.delay);
    return us > 0 ? (uint64_t)MR_MIN(us, INT64_C(600000000)) * 1000 : 0;
}

static bool passes_by_itself(const struct mr_publish *p, enum mr_grpc_code code)
{
    switch (code) {
    case MR_GRPC_OK: /* with an answer that does not name every message */
    case MR_GRPC_ABORTED:
    case MR_GRPC_CANCELLED:
    case MR_GRPC_INTERNAL:
    case MR_GRPC_RESOURCE_EXHAUSTED:
    case MR_GRPC_UNKNOWN:
    case MR_GRPC_UNAVAILABLE:
    case MR_GRPC_DEADLINE_EXCEEDED:
        return true;
    case MR_GRPC_UNAUTHENTICATED: /* a token may expire on its way; the keeper renews it */
        return p->owner->options.channel.bearer && p->retry.attempts < MR_PUBLISH_TRIES_MAX;
    default:
        return false;
    }
}

static const char *fix_for(enum mr_grpc_code code)
{
    switch (code) {
    case MR_GRPC_NOT_FOUND:
        return "create the topic or correct sinks.dead_letter.topic";
    case MR_GRPC_PERMISSION_DENIED:
        return "grant roles/pubsub.publisher on the topic to this account";
    case MR_GRPC_UNAUTHENTICATED:
        return "check the credentials";
    default:
        return "check sinks.dead_letter.topic";
    }
}

static void on_done(struct mr_call *call, const struct mr_call_status *status)
{
    struct mr_publish *p = MR_CONTAINER(call, struct mr_publish, call);
    struct mr_deadletters *d = p->owner;
    const char *name = mr_grpc_code_name(status->code);
    char why[160];

    p->state = MR_PUBLISH_DUE;
    if (d->closing)
        return;
    snprintf(why, sizeof why, "%s: %.*s", name, (int)MR_MIN(status->message.bytes, (size_t)120),
             status->message.bytes ? (const char *)status->message.data : "");
    if (status->code == MR_GRPC_OK && p->answered == p->end - p->settled) {
        confirmed(p);
    } else if (status->code == MR_GRPC_INVALID_ARGUMENT) {
        divide(p, why);
    } else if (passes_by_itself(p, status->code)) {
        d->retries++;
        mr_retry_failed(&p->retry, d->now_ns, asked_delay_ns(status));
        tell(d, "trying again", why);
    } else {
        mr_fault_raise(d->options.fault, MR_E_DEAD_LETTERS, "%.100s: %.70s: %s", d->options.topic,
                       why, fix_for(status->code));
    }
}

static void on_message(struct mr_call *call, struct mr_span message)
{
    struct mr_publish *p = MR_CONTAINER(call, struct mr_publish, call);
    struct mr_pubsub_publish_response response;

    if (mr_pubsub_publish_response_parse(&response, message) == MR_OK)
        p->answered = response.message_ids.found;
}

static const struct mr_call_events call_events = {.message = on_message, .done = on_done};

/* ---- sending ---- */

/* The topic's field is laid over what stands before the range: letters settled already, or the
 * same field. */
static bool send_range(struct mr_publish *p)
{
    struct mr_deadletters *d = p->owner;
    uint8_t *from = p->pen.data + letter_at(p, p->settled)->offset - d->head_bytes;
    const uint8_t *to = p->pen.data + end_of(p, p->end - 1);

    p->call.events = &call_events;
    p->call.carry = p->carry;
    p->call.message_bytes_max = CARRY_BYTES;
    p->answered = 0;
    if (mr_call_start(&p->call, &d->channel, mr_pubsub_path(MR_PUBSUB_PUBLISH),
                      mr_pubsub_routing_key(MR_PUBSUB_PUBLISH), mr_span_text(d->options.topic),
                      TIMEOUT) != MR_OK)
        return false;
    memcpy(from, d->head, d->head_bytes);
    p->state = MR_PUBLISH_UNDER_WAY;
    p->deadline_ns = d->now_ns + GIVE_UP_NS;
    mr_call_send(&p->call, mr_span_of(from, (size_t)(to - from)), NULL);
    mr_call_end(&p->call);
    return true;
}

static uint32_t tell_safe(struct mr_publish *p)
{
    const struct mr_deadletters_options *options = &p->owner->options;
    uint32_t before = p->told;

    for (; p->told < p->settled; p->told++) {
        const struct mr_publish_letter *letter = letter_at(p, p->told);
        if (options->safe && !options->safe(options->self, letter->puller, letter->position))
            break;
    }
    return p->told - before;
}

static uint32_t move_on(struct mr_publish *p)
{
    struct mr_deadletters *d = p->owner;
    uint32_t done = tell_safe(p);

    if (p->state == MR_PUBLISH_UNDER_WAY && d->now_ns > p->deadline_ns) {
        p->deadline_ns = UINT64_MAX;
        mr_call_cancel(&p->call);
    }
    if (p->state != MR_PUBLISH_DUE)
        return done;
    if (p->told == p->count) {
        p->state = MR_PUBLISH_FREE;
        return done + 1;
    }
    if (p->settled < p->count && mr_retry_is_due(&p->retry, d->now_ns) && send_range(p))
        done++;
    return done;
}

/* ---- the connection ---- */

static void on_down(struct mr_channel *channel, const char *why)
{
    struct mr_deadletters *d = MR_CONTAINER(channel, struct mr_deadletters, channel);

    if (d->closing)
        return;
    mr_retry_failed(&d->connect, d->now_ns, 0);
    tell(d, "the connection ended", why);
}

static const struct mr_channel_events channel_events = {.down = on_down};

static void connect_now(struct mr_deadletters *d)
{
    struct mr_address addresses[ADDRESSES];
    uint32_t count = 0;
    int err = mr_resolve(d->options.channel.host_port, addresses, ADDRESSES, &count);

    if (err == MR_OK && count > 0) {
        d->channel.options.address = addresses[d->address++ % count];
        err = mr_channel_open(&d->channel);
    }
    if (err == MR_OK)
        return;
    mr_retry_failed(&d->connect, d->now_ns, 0);
    tell(d, d->options.channel.host_port, mr_err_cause(err));
}

static bool has_letters(const struct mr_deadletters *d)
{
    for (uint32_t i = 0; i < d->options.requests; i++)
        if (d->requests[i].state != MR_PUBLISH_FREE)
            return true;
    return false;
}

/* ---- the outside ---- */

static struct mr_deadletters_options with_defaults(const struct mr_deadletters_options *given)
{
    struct mr_deadletters_options o = *given;

    o.requests = o.requests ? o.requests : REQUESTS;
    o.request_bytes = o.request_bytes ? o.request_bytes : MR_PUBLISH_BYTES_MAX;
    o.batch_bytes = o.batch_bytes ? o.batch_bytes : MR_PUBLISH_BATCH_BYTES;
    o.messages = o.messages ? o.messages : MR_PUBLISH_MESSAGES_MAX;
    o.spill_path = o.spill_path ? o.spill_path : SPILL_PATH;
    return o;
}

size_t mr_deadletters_bytes(const struct mr_deadletters_options *options)
{
    struct mr_deadletters_options o = with_defaults(options);
    size_t request = sizeof(struct mr_publish) + o.request_bytes + CARRY_BYTES +
                     o.messages * sizeof(struct mr_publish_letter) + 4 * MR_FALSE_SHARING;

    return o.requests * request + MR_CHANNEL_SEND_BYTES + MR_FALSE_SHARING;
}

int mr_deadletters_init(struct mr_deadletters *d, struct mr_arena *arena,
                        const struct mr_deadletters_options *options)
{
    *d = (struct mr_deadletters){.options = with_defaults(options), .spill_fd = -1};
    const struct mr_deadletters_options *o = &d->options;
    struct mr_pen head = mr_pen_of(d->head, sizeof d->head);

    mr_pb_put_bytes(&head, 1, mr_span_text(o->topic));
    MR_ASSERT(head.err == MR_OK && head.bytes < o->request_bytes);
    d->head_bytes = (uint32_t)head.bytes;
    mr_retry_init(&d->connect, &connect_policy, (uint64_t)(uintptr_t)d);
    d->send_buffer = mr_arena_take(arena, MR_CHANNEL_SEND_BYTES, MR_FALSE_SHARING);
    d->requests = mr_arena_take(arena, o->requests * sizeof *d->requests, MR_FALSE_SHARING);
    if (!d->send_buffer || !d->requests)
        return MR_E_MEMORY;
    for (uint32_t i = 0; i < o->requests; i++) {
        struct mr_publish *p = &d->requests[i];
        p->owner = d;
        p->pen = mr_pen_of(mr_arena_take(arena, o->request_bytes, 64), o->request_bytes);
        p->letters = mr_arena_take(arena, o->messages * sizeof *p->letters, 64);
        p->carry = mr_arena_take(arena, CARRY_BYTES, 64);
        if (!p->pen.data || !p->letters || !p->carry)
            return MR_E_MEMORY;
        mr_retry_init(&p->retry, &publish_policy, (uint64_t)(uintptr_t)p);
    }
    mr_channel_init(&d->channel, o->io, &o->channel, &channel_events, d->send_buffer);
    return MR_OK;
}

uint32_t mr_deadletters_turn(struct mr_deadletters *d, uint64_t now_ns, bool dry)
{
    uint32_t done = 0;

    d->now_ns = now_ns;
    if (d->closing || mr_fault_err(d->options.fault) != MR_OK)
        return 0;
    if (!d->channel.link && has_letters(d) && mr_retry_is_due(&d->connect, now_ns))
        connect_now(d);
    if (d->filling && (dry || now_ns - d->filling->opened_ns >= MR_PUBLISH_LINGER_NS))
        seal(d);
    for (uint32_t i = 0; i < d->options.requests; i++)
        done += move_on(&d->requests[i]);
    if (now_ns >= d->chores_due_ns) {
        mr_channel_chores(&d->channel, now_ns);
        d->chores_due_ns = now_ns + CHORES_NS;
    }
    return done;
}

bool mr_deadletters_are_out(const struct mr_deadletters *d)
{
    return !has_letters(d);
}

void mr_deadletters_close(struct mr_deadletters *d)
{
    if (d->closing || !d->requests)
        return;
    d->closing = true;
    if (d->spill_fd >= 0)
        close(d->spill_fd);
    d->spill_fd = -1;
    mr_channel_close(&d->channel, "the run ends");
}

bool mr_deadletters_are_closed(const struct mr_deadletters *d)
{
    return !d->channel.link && !d->channel.flush_due;
}
