#include "sinks/bigquery_parts.h"

#include <stdio.h>

/* So many single rows refused one after another are no bad rows but a table that takes none. */
#define REFUSED_ALONE_MAX 16

static struct mr_append_stream *of_call(struct mr_call *call)
{
    return MR_CONTAINER(call, struct mr_append_stream, call);
}

void mr_append_stream_fault(struct mr_append_stream *s, int err)
{
    mr_fault_raise(s->shared->fault, err, "%s: %s", mr_append_stream_table(s), s->words);
}

void mr_append_stream_words(struct mr_append_stream *s, int32_t code, struct mr_span text)
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

void mr_append_stream_reject(struct mr_append_stream *s, struct mr_span row, int32_t code,
                             struct mr_span text)
{
    struct mr_refused_row refused = {mr_append_stream_table(s), row, code, text};

    mr_append_count(&s->shared->counters->rejected, 1);
    if (s->shared->rejected)
        s->shared->rejected(s->shared->self, &refused);
}

/* ---- what an answer means ---- */

void mr_append_stream_trouble(struct mr_append_stream *s, enum mr_verdict verdict,
                              uint64_t delay_ns)
{
    if (s->troubled)
        return;
    s->troubled = true;
    s->trouble = verdict;
    s->trouble_delay_ns = delay_ns;
}

void mr_append_stream_taken(struct mr_append_stream *s, struct mr_append *a, uint32_t rows)
{
    mr_append_drop_front(a, rows);
    a->offset += rows;
    s->taken_rows += rows;
    s->refused_alone = 0;
    s->patience_ns = 0;
    s->credential = NULL;
    mr_retry_succeeded(&s->retry);
    mr_retry_succeeded(&s->quota);
    mr_append_count(&s->shared->counters->rows, rows);
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
        mr_append_stream_reject(s, mr_append_row_at(a, 0), MR_GRPC_INVALID_ARGUMENT,
                                mr_span_text(s->words));
        mr_append_drop_front(a, 1);
        a->part_rows = 0;
        if (++s->refused_alone == REFUSED_ALONE_MAX)
            mr_append_stream_fault(s, MR_E_BIGQUERY_REFUSED);
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
        mr_append_stream_reject(s, mr_append_row_at(a, (uint32_t)error.index),
                                MR_GRPC_INVALID_ARGUMENT, error.message);
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
        mr_append_stream_taken(s, a, a->sent_rows);
    else if (expected > a->offset)
        mr_append_stream_taken(s, a, (uint32_t)(expected - a->offset));
    else
        mr_append_stream_fault(s, MR_E_BIGQUERY_OFFSET);
}

/* Behind an append that failed all others lie beyond the end, and mending resends from there. An
 * end before what was acknowledged passes when an old connection still held the stream. */
static void beyond(struct mr_append_stream *s, struct mr_append *a, struct mr_span text)
{
    int64_t expected = mr_expected_offset(text);

    if (expected < 0 || expected > a->offset)
        mr_append_stream_fault(s, MR_E_BIGQUERY_OFFSET);
    else
        mr_append_stream_trouble(s, expected < s->taken_rows ? MR_VERDICT_BEYOND : MR_VERDICT_AGAIN,
                                 0);
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
        mr_append_stream_words(s, status->code, status->message);
    switch (verdict) {
    case MR_VERDICT_EXISTS:
    case MR_VERDICT_BEYOND:
        if (echo)
            break;
        if (!a || !s->committed)
            mr_append_stream_fault(s, MR_E_BIGQUERY_OFFSET);
        else
            (verdict == MR_VERDICT_EXISTS ? exists : beyond)(s, a, status->message);
        break;
    case MR_VERDICT_REFUSED:
        if (!echo && a)
            refused(s, a, alone);
        else if (!echo)
            mr_append_stream_fault(s, MR_E_BIGQUERY_REFUSED);
        break;
    case MR_VERDICT_NO_STREAM:
        s->lost = s->committed;
        mr_append_stream_trouble(s, s->committed ? verdict : MR_VERDICT_NO_TABLE,
                                 mr_verdict_delay_ns(status));
        break;
    case MR_VERDICT_FATAL:
        mr_append_stream_fault(s, MR_E_BIGQUERY_REFUSED);
        break;
    default:
        mr_append_stream_trouble(s, verdict, mr_verdict_delay_ns(status));
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

void mr_append_stream_all_in(struct mr_append_stream *s)
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
        mr_append_stream_fault(s, MR_E_BIGQUERY_OFFSET);
    }
    for (struct mr_append *b = s->first; s->committed && b != a; b = b->next)
        if (b->row_count > 0)
            mr_append_stream_taken(s, b, b->row_count);
    mr_append_stream_taken(s, a, a->sent_rows);
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
        mr_append_stream_words(s, response.error.code, response.error.message);
        bad_rows(s, a, &response.row_errors);
        s->mending = s->in_flight > 0;
    } else {
        failed(s, a, &response.error, true);
    }
    mr_append_stream_all_in(s);
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
    mr_append_stream_all_in(s);
}

const struct mr_call_events mr_append_call_events = {
    .message = append_message, .sent = append_sent, .done = append_done};
