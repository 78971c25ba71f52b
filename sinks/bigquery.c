#include "sinks/bigquery_parts.h"

#include <stdio.h>

#include "core/hash.h"

/* How long a missing table or column, or a count that lags behind, is waited for: a table just made
 * is not seen everywhere for about a minute. */
#define PATIENCE_NS   UINT64_C(120000000000)
#define NOTE_EVERY_NS UINT64_C(15000000000)
/* The connection answers pings, yet this call has fallen silent: begin another. */
#define SILENCE_NS UINT64_C(180000000000)
/* All rows are taken; what is left to say is courtesy, and not worth a longer wait. */
#define GOODBYE_NS       UINT64_C(30000000000)
#define UNARY_NS         UINT64_C(90000000000) /* the peer keeps UNARY_TIMEOUT, or we give up */
#define UNARY_TIMEOUT    "60S"
#define UNARY_ANSWER_MAX (256u << 10) /* a stream is told with its table's schema */
#define NOTED_ATTEMPTS   8

static const struct mr_retry_policy patient_policy = {
    .base_ns = UINT64_C(1000000000), .cap_ns = UINT64_C(10000000000), .factor_percent = 150};

static struct mr_append_stream *of_unary(struct mr_call *call)
{
    return MR_CONTAINER(call, struct mr_append_stream, unary);
}

/* ---- the queue ---- */

void mr_append_stream_cut(struct mr_append_stream *s)
{
    struct mr_append *a = s->filling;

    if (!a || a->row_count == 0)
        return;
    a->offset = s->last ? s->last->offset + s->last->row_count : s->taken_rows;
    if (s->last)
        s->last->next = a;
    else
        s->first = a;
    s->last = a;
    s->filling = NULL;
}

static bool open_append(struct mr_append_stream *s)
{
    if (s->filling)
        return true;
    void *buffer = mr_slab_take(s->shared->buffers);
    if (!buffer)
        return false;
    s->filling = mr_append_init(buffer, MR_APPEND_BYTES, s->head_bytes);
    return true;
}

bool mr_append_stream_put(struct mr_append_stream *s, struct mr_row *row,
                          const struct mr_row_origin *origin, uint64_t now_ns)
{
    for (;;) {
        struct mr_append_row place;
        if (!open_append(s))
            return false;
        if (s->filling->row_count == 0)
            s->filling->first_ns = now_ns;
        mr_append_row_begin(s->filling, &place);
        mr_row_encode(&place.pen, s->shared->plan, row, origin);
        int err = mr_append_row_end(s->filling, &place);
        if (err == MR_OK)
            return true;
        if (err == MR_AGAIN && s->filling->row_count > 0) {
            mr_append_stream_cut(s);
            continue;
        }
        const char *why = err == MR_AGAIN ? "the row is larger than a request"
                                          : "a number has more digits than NUMERIC holds";
        mr_append_stream_reject(s, mr_span_of(NULL, 0), MR_GRPC_OUT_OF_RANGE, mr_span_text(why));
        return true;
    }
}

void mr_append_stream_end(struct mr_append_stream *s)
{
    mr_append_stream_cut(s);
    s->ending = true;
}

static void send_append(struct mr_append_stream *s, struct mr_append *a, uint64_t now_ns)
{
    uint32_t rows = a->part_rows ? MR_MIN(a->part_rows, a->row_count) : a->row_count;
    struct mr_bigquery_append_head head = {.offset = {.present = s->committed, .value = a->offset}};

    if (!s->introduced) {
        head.write_stream = mr_span_text(s->name);
        head.descriptor = (struct mr_pb_part){true, s->descriptor};
    }
    struct mr_span message = mr_append_message(a, rows, &head);
    s->introduced = true;
    a->sent_rows = rows;
    a->state = MR_APPEND_SENT;
    a->borrowed = true;
    if (s->in_flight++ == 0) {
        s->next_answer = a;
        s->heard_ns = now_ns;
    }
    mr_append_count(&s->shared->counters->appends, 1);
    mr_append_count(&s->shared->counters->bytes, message.bytes);
    mr_call_send(&s->call, message, a);
}

static bool open_call(struct mr_append_stream *s)
{
    if (s->call_open)
        return !s->call_ending;
    if (mr_call_start(&s->call, s->shared->channel, mr_bigquery_path(MR_BIGQUERY_APPEND_ROWS),
                      mr_bigquery_routing_key(MR_BIGQUERY_APPEND_ROWS), mr_span_text(s->name),
                      NULL) != MR_OK)
        return false;
    s->call_open = true;
    s->call_ending = s->introduced = s->deaf = false;
    return true;
}

/* Sends what waits. While a bad row is looked for, one append is under way at a time. */
static uint32_t push(struct mr_append_stream *s, uint64_t now_ns)
{
    uint32_t sent = 0;

    if (s->mending || !s->first || !open_call(s))
        return 0;
    for (struct mr_append *a = s->first; a; a = a->next) {
        if (a->state == MR_APPEND_WAITING) {
            if (a->part_rows != 0 && s->in_flight > 0)
                break;
            send_append(s, a, now_ns);
            sent++;
        }
        if (a->part_rows != 0 && a->state == MR_APPEND_SENT)
            break;
    }
    return sent;
}

/* ---- making and finalizing streams ---- */

static void created(struct mr_append_stream *s, struct mr_span message)
{
    struct mr_bigquery_write_stream answer;

    if (mr_bigquery_write_stream_parse(&answer, message) != MR_OK || answer.name.bytes == 0 ||
        answer.name.bytes >= sizeof s->name)
        return; /* done finds no name */
    memcpy(s->name, answer.name.data, answer.name.bytes);
    s->name[answer.name.bytes] = '\0';
}

/* The stream that was lost came to `row_count` rows: what lies before is taken after all. */
static void counted(struct mr_append_stream *s, int64_t row_count)
{
    for (struct mr_append *a = s->first; a && s->taken_rows < row_count; a = a->next)
        if (a->row_count > 0)
            mr_append_stream_taken(
                s, a, (uint32_t)MR_MIN(row_count - s->taken_rows, (int64_t)a->row_count));
    if (row_count < s->taken_rows) {
        snprintf(s->words, sizeof s->words, "%lld rows were acknowledged and %lld are there",
                 (long long)s->taken_rows, (long long)row_count);
        mr_append_stream_fault(s, MR_E_BIGQUERY_OFFSET);
    }
}

static void unary_message(struct mr_call *call, struct mr_span message)
{
    struct mr_append_stream *s = of_unary(call);
    struct mr_bigquery_finalize_response answer;

    if (s->phase == MR_STREAM_CREATING)
        created(s, message);
    else if (s->phase == MR_STREAM_COUNTING &&
             mr_bigquery_finalize_response_parse(&answer, message) == MR_OK)
        counted(s, answer.row_count);
}

static void rename_stream(struct mr_append_stream *s)
{
    s->name[0] = '\0';
    s->lost = false;
    s->taken_rows = 0;
    s->phase = MR_STREAM_NAMELESS;
    mr_append_stream_all_in(s);
}

/* Whatever else finalizing is answered, the stream has gone for good (NOT_FOUND) or needs no
 * finalizing; only what passes is asked again. */
static bool passes(enum mr_verdict verdict)
{
    return verdict == MR_VERDICT_AGAIN || verdict == MR_VERDICT_QUOTA ||
           verdict == MR_VERDICT_CREDENTIAL;
}

static void unary_done(struct mr_call *call, const struct mr_call_status *status)
{
    struct mr_append_stream *s = of_unary(call);
    struct mr_rpc_status reason;
    bool good = status->code == MR_GRPC_OK;

    if (mr_rpc_status_parse(&reason, status->details) != MR_OK || status->details.bytes == 0)
        reason = (struct mr_rpc_status){.message = status->message};
    reason.code = (int32_t)status->code;
    enum mr_verdict verdict = mr_verdict_of(&reason);
    if (s->phase == MR_STREAM_CREATING) {
        s->phase = s->name[0] ? MR_STREAM_NAMED : MR_STREAM_NAMELESS;
        if (s->phase == MR_STREAM_NAMED)
            return;
        if (verdict == MR_VERDICT_REFUSED || verdict == MR_VERDICT_NO_STREAM)
            verdict = verdict == MR_VERDICT_REFUSED ? MR_VERDICT_FATAL : MR_VERDICT_NO_TABLE;
    } else if (good || !passes(verdict)) {
        if (s->phase == MR_STREAM_COUNTING)
            rename_stream(s);
        else
            s->phase = MR_STREAM_ENDED;
        return;
    } else {
        s->phase = MR_STREAM_NAMED;
    }
    mr_append_stream_words(s, reason.code, reason.message);
    if (verdict == MR_VERDICT_FATAL)
        mr_append_stream_fault(s, MR_E_BIGQUERY_REFUSED);
    else
        mr_append_stream_trouble(s, verdict, mr_verdict_delay_ns(&reason));
}

static const struct mr_call_events unary_events = {.message = unary_message, .done = unary_done};

static void ask(struct mr_append_stream *s, enum mr_bigquery_method method, const char *name,
                enum mr_write_stream_phase phase, uint64_t now_ns)
{
    uint8_t bytes[MR_WRITE_STREAM_BYTES + 32];
    struct mr_pen pen = mr_pen_of(bytes, sizeof bytes);
    struct mr_bigquery_create_write_stream create = {
        .parent = mr_span_text(name),
        .write_stream = {.present = true, .type = MR_BIGQUERY_COMMITTED}};
    struct mr_bigquery_finalize finalize = {.name = mr_span_text(name)};

    if (mr_call_start(&s->unary, s->shared->channel, mr_bigquery_path(method),
                      mr_bigquery_routing_key(method), mr_span_text(name), UNARY_TIMEOUT) != MR_OK)
        return;
    if (method == MR_BIGQUERY_CREATE_WRITE_STREAM)
        mr_bigquery_create_write_stream_put(&pen, &create);
    else
        mr_bigquery_finalize_put(&pen, &finalize);
    MR_ASSERT(pen.err == MR_OK);
    s->phase = phase;
    s->asked_ns = now_ns;
    mr_call_send_copy(&s->unary, mr_pen_span(&pen));
    mr_call_end(&s->unary);
}

/* ---- its turn ---- */

static void note(struct mr_append_stream *s, const char *doing, uint64_t now_ns)
{
    char line[640];

    if (!s->shared->note || (s->noted_ns != 0 && now_ns - s->noted_ns < NOTE_EVERY_NS))
        return;
    s->noted_ns = now_ns;
    snprintf(line, sizeof line, "%s: %s (%s)", mr_append_stream_table(s), doing, s->words);
    s->shared->note(s->shared->self, line);
}

/* Waits, but not for ever; false once patience is at its end. */
static bool be_patient(struct mr_append_stream *s, uint64_t now_ns)
{
    if (s->patience_ns == 0)
        s->patience_ns = now_ns + PATIENCE_NS;
    s->retry.policy = &patient_policy;
    s->due_ns = mr_retry_failed(&s->retry, now_ns, s->trouble_delay_ns);
    return now_ns < s->patience_ns;
}

/* A newer credential is tried at once; without one, patience. */
static bool credential_may_come(struct mr_append_stream *s, uint64_t now_ns)
{
    struct mr_bearer *bearer = s->shared->channel->options.bearer;
    const char *now = bearer ? (const char *)mr_bearer_now(bearer).data : NULL;

    if (!now)
        return false;
    if (s->credential == NULL)
        s->credential = now;
    return be_patient(s, now_ns);
}

static void heed(struct mr_append_stream *s, uint64_t now_ns)
{
    enum mr_verdict verdict = s->trouble;

    if (!s->troubled)
        return;
    s->troubled = false;
    s->retry.policy = &mr_append_retry_policy;
    mr_append_count(&s->shared->counters->retried, 1);
    switch (verdict) {
    case MR_VERDICT_QUOTA:
        s->due_ns = mr_retry_failed(&s->quota, now_ns, s->trouble_delay_ns);
        note(s, "over quota; waiting for as long as it lasts", now_ns);
        break;
    case MR_VERDICT_NO_TABLE:
    case MR_VERDICT_NO_STREAM:
        if (be_patient(s, now_ns))
            note(s, "not there; asking again for two minutes", now_ns);
        else
            mr_append_stream_fault(s, MR_E_BIGQUERY_TABLE);
        break;
    case MR_VERDICT_BEYOND:
        if (be_patient(s, now_ns))
            note(s, "its count lags behind; asking again for two minutes", now_ns);
        else
            mr_append_stream_fault(s, MR_E_BIGQUERY_OFFSET);
        break;
    case MR_VERDICT_CREDENTIAL:
        if (credential_may_come(s, now_ns))
            note(s, "waiting for a new credential", now_ns);
        else
            mr_append_stream_fault(s, MR_E_BIGQUERY_CREDENTIAL);
        break;
    default:
        s->due_ns = mr_retry_failed(&s->retry, now_ns, s->trouble_delay_ns);
        if (s->retry.attempts > NOTED_ATTEMPTS)
            note(s, "fails again and again; going on", now_ns);
    }
}

static bool is_due(struct mr_append_stream *s, uint64_t now_ns)
{
    struct mr_bearer *bearer = s->shared->channel->options.bearer;

    if (s->credential && (const char *)mr_bearer_now(bearer).data != s->credential)
        s->credential = NULL; /* a newer one: no reason to wait any longer */
    else if (now_ns < s->due_ns)
        return false;
    return mr_channel_is_usable(s->shared->channel);
}

/* Calls that have fallen silent are given up; on others nothing more shall be sent. */
static void watch_calls(struct mr_append_stream *s, uint64_t now_ns)
{
    bool asking = s->phase == MR_STREAM_CREATING || s->phase == MR_STREAM_COUNTING ||
                  s->phase == MR_STREAM_FINISHING;

    if (asking && now_ns - s->asked_ns > UNARY_NS) {
        s->asked_ns = now_ns;
        mr_call_cancel(&s->unary);
    }
    if (!s->call_open)
        return;
    if (s->heard || (s->in_flight == 0 && !s->call_ending))
        s->heard_ns = now_ns;
    s->heard = false;
    if ((s->lost && s->in_flight == 0) ||
        now_ns - s->heard_ns > (s->in_flight > 0 ? SILENCE_NS : GOODBYE_NS)) {
        s->heard_ns = now_ns;
        mr_call_cancel(&s->call);
    } else if (!s->call_ending && (s->shared->channel->draining || (s->ending && !s->first))) {
        s->call_ending = true;
        mr_call_end(&s->call);
    }
}

static void begin_stream(struct mr_append_stream *s, uint64_t now_ns)
{
    if (s->committed) {
        ask(s, MR_BIGQUERY_CREATE_WRITE_STREAM, s->parent, MR_STREAM_CREATING, now_ns);
    } else {
        snprintf(s->name, sizeof s->name, "%.*s/streams/_default",
                 (int)(sizeof s->name - sizeof "/streams/_default"), s->parent);
        s->phase = MR_STREAM_NAMED;
    }
}

/* All rows are taken, no more will come, and the call is over. */
static void end_stream(struct mr_append_stream *s, uint64_t now_ns)
{
    if (s->goodbye_ns == 0)
        s->goodbye_ns = now_ns + GOODBYE_NS;
    if (!s->committed || s->phase == MR_STREAM_NAMELESS || now_ns > s->goodbye_ns)
        s->phase = MR_STREAM_ENDED;
    else if (is_due(s, now_ns))
        ask(s, MR_BIGQUERY_FINALIZE_WRITE_STREAM, s->name, MR_STREAM_FINISHING, now_ns);
}

uint32_t mr_append_stream_turn(struct mr_append_stream *s, uint64_t now_ns)
{
    heed(s, now_ns);
    if (s->filling && (s->ending || now_ns - s->filling->first_ns >= MR_APPEND_CUT_NS))
        mr_append_stream_cut(s);
    watch_calls(s, now_ns);
    if (s->ending && !s->first && !s->call_open &&
        (s->phase == MR_STREAM_NAMED || s->phase == MR_STREAM_NAMELESS))
        end_stream(s, now_ns);
    if (!s->first || !is_due(s, now_ns))
        return 0;
    if (s->phase == MR_STREAM_NAMELESS)
        begin_stream(s, now_ns);
    if (s->phase != MR_STREAM_NAMED)
        return 0;
    if (!s->lost)
        return push(s, now_ns);
    if (!s->call_open)
        ask(s, MR_BIGQUERY_FINALIZE_WRITE_STREAM, s->name, MR_STREAM_COUNTING, now_ns);
    return 0;
}

/* ---- its beginning ---- */

static int name_table(struct mr_append_stream *s)
{
    const struct mr_config *config = s->shared->plan->config;
    const char *dataset = config->sinks.bigquery.dataset;
    const char *dot = strrchr(dataset, '.');

    MR_ASSERT(dot);
    int bytes = snprintf(s->parent, sizeof s->parent, "projects/%.*s/datasets/%s/tables/%s",
                         (int)(dot - dataset), dataset, dot + 1,
                         config->windows[s->definition].name);
    return bytes < (int)sizeof s->parent - 64 ? MR_OK : MR_E_BIGQUERY_TABLE;
}

int mr_append_stream_init(struct mr_append_stream *s, struct mr_append_shared *shared,
                          struct mr_arena *arena, uint32_t definition, uint32_t share)
{
    const struct mr_plan *plan = shared->plan;
    struct mr_pen pen = mr_pen_measure();

    *s = (struct mr_append_stream){.shared = shared, .definition = definition};
    s->committed = plan->config->sinks.bigquery.delivery == MR_EXACTLY_ONCE;
    if (name_table(s) != MR_OK)
        return MR_E_BIGQUERY_TABLE;
    mr_row_descriptor_put(&pen, plan, definition);
    uint8_t *descriptor = mr_arena_take(arena, pen.bytes, 8);
    s->call.carry = mr_arena_take(arena, MR_APPEND_ANSWER_MAX, MR_CACHE_LINE);
    s->unary.carry = mr_arena_take(arena, UNARY_ANSWER_MAX, MR_CACHE_LINE);
    if (!descriptor || !s->call.carry || !s->unary.carry)
        return MR_E_MEMORY;
    pen = mr_pen_of(descriptor, pen.bytes);
    mr_row_descriptor_put(&pen, plan, definition);
    MR_ASSERT(pen.err == MR_OK);
    s->descriptor = mr_pen_span(&pen);
    s->head_bytes = s->descriptor.bytes + MR_WRITE_STREAM_BYTES + 64;
    s->call.events = &mr_append_call_events;
    s->unary.events = &unary_events;
    s->call.message_bytes_max = MR_APPEND_ANSWER_MAX;
    s->unary.message_bytes_max = UNARY_ANSWER_MAX;
    uint64_t seed = mr_hash_mix(MR_HASH_K0 + definition, MR_HASH_K1 + share);
    mr_retry_init(&s->retry, &mr_append_retry_policy, seed);
    mr_retry_init(&s->quota, &mr_append_quota_policy, seed);
    return MR_OK;
}
