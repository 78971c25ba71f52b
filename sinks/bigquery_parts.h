/* What the two halves of the append stream say to each other: bigquery.c, which sends, and
 * bigquery_answers.c, which hears and judges. For these two only. */
#ifndef MR_SINKS_BIGQUERY_PARTS_H
#define MR_SINKS_BIGQUERY_PARTS_H

#include "sinks/bigquery.h"

/* The events of stream->call. */
extern const struct mr_call_events mr_append_call_events;

/* "demo/datasets/realtime/tables/sales", for messages. */
static inline const char *mr_append_stream_table(const struct mr_append_stream *stream)
{
    return stream->parent + strlen("projects/");
}

/* The service's last words, for the notes and the fault. */
void mr_append_stream_words(struct mr_append_stream *stream, int32_t code, struct mr_span text);
void mr_append_stream_fault(struct mr_append_stream *stream, int err);
void mr_append_stream_reject(struct mr_append_stream *stream, struct mr_span row, int32_t code,
                             struct mr_span text);

/* Leaves word for the next turn, which knows the time. The first trouble counts: what follows it
 * is mostly its echo. */
void mr_append_stream_trouble(struct mr_append_stream *stream, enum mr_verdict verdict,
                              uint64_t delay_ns);

/* The first `rows` rows of the append are in the table. */
void mr_append_stream_taken(struct mr_append_stream *stream, struct mr_append *append,
                            uint32_t rows);

/* After an answer, or the end of a call: gives buffers back, and once nothing is unanswered numbers
 * what waits anew and lets it go again. */
void mr_append_stream_all_in(struct mr_append_stream *stream);

#endif
