#include "sinks/bigquery.h"

#include <stdio.h>

#include "core/hash.h"

/* How long a missing table or column, or a count that lags behind, is waited for: a table just made
 * is not seen everywhere for about a minute. */
#define PATIENCE_NS   UINT64_C(120000000000)
#define NOTE_EVERY_NS UINT64_C(15000000000)
/* The connection answers pings, yet this call has fallen silent: begin another. */
#define SILENCE_NS UINT64_C(180000000000)
/* All rows are taken; what is left to say is courtesy, and not worth a longer wait. */
#define GOODBYE_NS UINT64_C(30000000000)
#define UNARY_NS   UINT64_C(90000000000) /* the peer keeps UNARY_TIMEOUT, or we give up */
/* So many single rows refused one after another are no bad rows but a table that takes none. */
#define REFUSED_ALONE_MAX 16
#define UNARY_TIMEOUT     "60S"
#define UNARY_ANSWER_MAX  (256u << 10) /* a stream is told with its table's schema */
#define NOTED_ATTEMPTS    8

static const struct mr_retry_policy patient_policy = {
    .base_ns = UINT64_C(1000000000), .cap_ns = UINT64_C(10000000000), .factor_percent = 150};

static struct mr_append_stream *of_call(struct mr_call *call)
{
    return MR_CONTAINER(call, struct mr_append_stream, call);
}

static struct mr_append_stream *of_unary(struct mr_call *call)
{
    return MR_CONTAINER(call, struct mr_append_stream, unary);
}

/* One writer a counter: a plain add, published relaxed. */
static void count(atomic_ullong *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* "dataset.table" is what people call it; parent is projects/P/datasets/D/tables/T. */
static const char *table_of(const struct mr_append_stream *s)
{
    return s->parent + strlen("projects/");
}

static void fault(struct mr_append_stream *s, int err)
{
    mr_fault_raise(s->shared->fault, err, "%s: %s", table_of(s), s->words);
}

static void keep_words(struct mr_append_stream *s, int32_t code, struct mr_span text)
{
    int bytes = (int)MR_MIN(text.bytes, sizeof s->words);
    snprintf(s->words, sizeof s->words, "%s: %.*s", mr_grpc_code_name(code), bytes,
             bytes ? (const char *)text.data : "");
}

/* ---- the queue ---- */

/* Gives back what is taken and no longer read by the connection. */
static void pop(struct mr_append_stream *s)
{
    while (s->first && s->first->state == MR_APPEND_DONE && !s->first->borrowed) {
        struct mr_append *done = s->first;
        s->first = done->next;
        if (!s->first)
            s->last = NULL;
        mr_slab_return(s->shared->buffers, done);
    }
}

static void renumber(struct mr_append_stream *s)
{
    int64_t offset = s->taken_rows;

    for (struct mr_append *a = s->first; a; a = a->next) {
        a->offset = offset;
        offset += a->row_count;
    }
}

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

static void reject(struct mr_append_stream *s, struct mr_span row, int32_t code,
                   struct mr_span text)
{
    struct mr_refused_row refused = {table_of(s), row, code, text};

    count(&s->shared->counters->rejected, 1);
    if (s->shared->rejected)
        s->shared->rejected(s->shared->self, &refused);
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
        reject(s, mr_span_of(NULL, 0), MR_GRPC_OUT_OF_RANGE, mr_span_text(why));
        return true;
    }
}

void mr_append_stream_end(struct mr_append_stream *s)
{
    mr_append_stream_cut(s);
    s->ending = true;
}

/* ---- what an answer means ---- */

/* Leaves word for the next turn, which knows the time. The first trouble counts: what follows it
 * is mostly its echo. */
static void trouble(struct mr_append_stream *s, enum mr_verdict verdict, uint64_t delay_ns)
{
    if (s->troubled)
        return;
    s->troubled = true;
    s->trouble = verdict;
    s->trouble_delay_ns = delay_ns;
}

static void taken(struct mr_append_stream *s, struct mr_append *a, uint32_t rows)
{
    mr_append_drop_front(a, rows);
    a->offset += rows;
    s->taken_rows += rows;
    s->refused_alone = 0;
    s->patience_ns = 0;
    s->credential = NULL;
    mr_retry_succeeded(&s->retry);
    mr_retry_succeeded(&s->quota);
    count(&s->shared->counters->rows, rows);
    if (a->part_rows != 0) /* the bad row is further on: take longer steps towards it */
        a->part_rows = a->part_rows * 2 < a->row_count ? a->part_rows * 2 : a->row_count;
    a->state = a->row_count == 0 ? MR_APPEND_DONE : MR_APPEND_WAITING;
}

/* Refused, and nobody says for which row. */
static void refused(struct mr_append_stream *s, struct mr_append *a, bool alone)
{
    if (!alone) { /* perhaps for another's sake: ask again without company */
        a->part_rows = a->sent_rows;
    } else if (a->sent_rows > 1) {
        a->part_rows = (a->sent_rows + 1) / 2;
    } else {
        reject(s, mr_append_row_at(a, 0), MR_GRPC_INVALID_ARGUMENT, mr_span_text(s->words));
        mr_append_drop_front(a, 1);
        a->part_rows = 0;
        if (++s->refused_alone == REFUSED_ALONE_MAX)
            fault(s, MR_E_BIGQUERY_REFUSED);
        a->state = a->row_count == 0 ? MR_APPEND_DONE : MR_APPEND_WAITING;
    }
}

static void bad_rows(struct mr_append_stream *s, struct mr_append *a,
                     const struct mr_pb_list *errors)
{
    uint64_t bad[MR_APPEND_ROWS_MAX / 64] = {0};
    struct mr_pb_each each = mr_pb_list_each(errors);
    struct mr_bigquery_row_error error;
    struct mr_span bytes;
    uint32_t found = 0;

    while (mr_pb_each_span(&each, &bytes)) {
        if (mr_bigquery_row_error_parse(&error, bytes) != MR_OK || error.index < 0 ||
            error.index >= a->sent_rows || bad[error.index / 64] >> error.index % 64 & 1)
            continue;
        reject(s, mr_append_row_at(a, (uint32_t)error.index), MR_GRPC_INVALID_ARGUMENT,
               error.message);
        bad[error.index / 64] |= UINT64_C(1) << error.index % 64;
        found++;
    }
    if (found == 0) {
        refused(s, a, true);
        return;
    }
    mr_append_drop_marked(a, bad);
    a->state = a->row_count == 0 ? MR_APPEND_DONE : MR_APPEND_WAITING;
}

/* All that is on this stream we have put there, so what exists is ours; if only a part of this
 * append exists, the rest of it is still to be sent. */
static void exists(struct mr_append_stream *s, struct mr_append *a, struct mr_span text)
{
    int64_t expected = mr_expected_offset(text);

    if (expected < 0 || expected >= a->offset + a->sent_rows)
        taken(s, a, a->sent_rows);
    else if (expected > a->offset)
        taken(s, a, (uint32_t)(expected - a->offset));
    else
        fault(s, MR_E_BIGQUERY_OFFSET);
}

/* Behind an append that failed all others lie beyond the end, and mending resends from there. An
 * end before what was acknowledged passes when an old connection still held the stream. */
static void beyond(struct mr_append_stream *s, struct mr_append *a, struct mr_span text)
{
    int64_t expected = mr_expected_offset(text);

    if (expected < 0 || expected > a->offset)
        fault(s, MR_E_BIGQUERY_OFFSET);
    else
        trouble(s, expected < s->taken_rows ? MR_VERDICT_BEYOND : MR_VERDICT_AGAIN, 0);
}

/* A failure of `a`, the oldest unanswered append (NULL: none), in an answer or by the call's end.
 * `alone`: no other append can be meant. */
static void failed(struct mr_append_stream *s, struct mr_append *a,
                   const struct mr_rpc_status *status, bool alone)
{
    enum mr_verdict verdict = mr_verdict_of(status);
    bool echo = s->mending;

    s->mending = s->in_flight > 0;
    if (!echo || verdict == MR_VERDICT_FATAL)
        keep_words(s, status->code, status->message);
    switch (verdict) {
    case MR_VERDICT_EXISTS:
    case MR_VERDICT_BEYOND:
        if (echo)
            break;
        if (!a || !s->committed)
            fault(s, MR_E_BIGQUERY_OFFSET);
        else
            (verdict == MR_VERDICT_EXISTS ? exists : beyond)(s, a, status->message);
        break;
    case MR_VERDICT_REFUSED:
        if (!echo && a)
            refused(s, a, alone);
        else if (!echo)
            fault(s, MR_E_BIGQUERY_REFUSED);
        break;
    case MR_VERDICT_NO_STREAM:
        s->lost = s->committed;
        trouble(s, s->committed ? verdict : MR_VERDICT_NO_TABLE, mr_verdict_delay_ns(status));
        break;
    case MR_VERDICT_FATAL:
        fault(s, MR_E_BIGQUERY_REFUSED);
        break;
    default:
        trouble(s, verdict, mr_verdict_delay_ns(status));
    }
}

/* ---- the append call ---- */

static void answered(struct mr_append_stream *s, struct mr_append *a)
{
    struct mr_append *next = a->next;

    while (next && next->state != MR_APPEND_SENT)
        next = next->next;
    s->next_answer = next;
    s->in_flight--;
    s->heard = true;
    a->state = MR_APPEND_WAITING;
}

static void all_in(struct mr_append_stream *s)
{
    pop(s);
    if (s->in_flight > 0)
        return;
    s->mending = false;
    renumber(s);
}

/* Rows at `a`'s offset mean that all before it are there, whatever their answers said. */
static void taken_to(struct mr_append_stream *s, struct mr_append *a, struct mr_pb_int64 offset)
{
    if (s->committed && offset.present && offset.value != a->offset) {
        snprintf(s->words, sizeof s->words, "rows sent for offset %lld were put at %lld",
                 (long long)a->offset, (long long)offset.value);
        fault(s, MR_E_BIGQUERY_OFFSET);
    }
    for (struct mr_append *b = s->first; s->committed && b != a; b = b->next)
        if (b->row_count > 0)
            taken(s, b, b->row_count);
    taken(s, a, a->sent_rows);
    s->mending |= a->state == MR_APPEND_WAITING && s->in_flight > 0;
}

static void append_message(struct mr_call *call, struct mr_span message)
{
    struct mr_append_stream *s = of_call(call);
    struct mr_append *a = s->next_answer;
    struct mr_bigquery_append_response response;
    static const char unasked[] = "an answer that cannot be read, or that nobody asked for";
    struct mr_rpc_status strange = {.code = MR_GRPC_INTERNAL, .message = mr_span_text(unasked)};

    if (s->deaf)
        return;
    if (!a || mr_bigquery_append_response_parse(&response, message) != MR_OK ||
        (!response.error.present && !response.append_result.present)) {
        failed(s, NULL, &strange, false);
        s->deaf = true;
        mr_call_cancel(call);
        return;
    }
    answered(s, a);
    if (!response.error.present) {
        taken_to(s, a, response.append_result.offset);
    } else if (response.row_errors.found > 0) {
        keep_words(s, response.error.code, response.error.message);
        bad_rows(s, a, &response.row_errors);
        s->mending = s->in_flight > 0;
    } else {
        failed(s, a, &response.error, true);
    }
    all_in(s);
}

static void append_sent(struct mr_call *call, void *token)
{
    ((struct mr_append *)token)->borrowed = false;
    pop(of_call(call));
}

static void append_done(struct mr_call *call, const struct mr_call_status *status)
{
    struct mr_append_stream *s = of_call(call);
    struct mr_append *oldest = s->next_answer;
    uint32_t unanswered = s->in_flight;
    struct mr_rpc_status reason;

    /* The connection may be gone, and then nobody says that it let the buffers go. */
    for (struct mr_append *a = s->first; a; a = a->next) {
        a->borrowed = false;
        if (a->state == MR_APPEND_SENT)
            a->state = MR_APPEND_WAITING;
    }
    s->next_answer = NULL;
    s->in_flight = 0;
    s->call_open = s->call_ending = false;
    if (mr_rpc_status_parse(&reason, status->details) != MR_OK || status->details.bytes == 0)
        reason = (struct mr_rpc_status){.message = status->message};
    reason.code = (int32_t)status->code;
    /* Nothing unanswered: the service closes what is idle, and drains when it likes. */
    if (unanswered > 0 || mr_verdict_of(&reason) != MR_VERDICT_AGAIN)
        failed(s, oldest, &reason, unanswered == 1);
    all_in(s);
}

static const struct mr_call_events append_events = {
    .message = append_message, .sent = append_sent, .done = append_done};

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
    count(&s->shared->counters->appends, 1);
    count(&s->shared->counters->bytes, message.bytes);
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
            taken(s, a, (uint32_t)MR_MIN(row_count - s->taken_rows, (int64_t)a->row_count));
    if (row_count < s->taken_rows) {
        snprintf(s->words, sizeof s->words, "%lld rows were acknowledged and %lld are there",
                 (long long)s->taken_rows, (long long)row_count);
        fault(s, MR_E_BIGQUERY_OFFSET);
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
    all_in(s);
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
    keep_words(s, reason.code, reason.message);
    if (verdict == MR_VERDICT_FATAL)
        fault(s, MR_E_BIGQUERY_REFUSED);
    else
        trouble(s, verdict, mr_verdict_delay_ns(&reason));
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
    snprintf(line, sizeof line, "%s: %s (%s)", table_of(s), doing, s->words);
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
    count(&s->shared->counters->retried, 1);
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
            fault(s, MR_E_BIGQUERY_TABLE);
        break;
    case MR_VERDICT_BEYOND:
        if (be_patient(s, now_ns))
            note(s, "its count lags behind; asking again for two minutes", now_ns);
        else
            fault(s, MR_E_BIGQUERY_OFFSET);
        break;
    case MR_VERDICT_CREDENTIAL:
        if (credential_may_come(s, now_ns))
            note(s, "waiting for a new credential", now_ns);
        else
            fault(s, MR_E_BIGQUERY_CREDENTIAL);
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
    s->call.events = &append_events;
    s->unary.events = &unary_events;
    s->call.message_bytes_max = MR_APPEND_ANSWER_MAX;
    s->unary.message_bytes_max = UNARY_ANSWER_MAX;
    uint64_t seed = mr_hash_mix(MR_HASH_K0 + definition, MR_HASH_K1 + share);
    mr_retry_init(&s->retry, &mr_append_retry_policy, seed);
    mr_retry_init(&s->quota, &mr_append_quota_policy, seed);
    return MR_OK;
}
