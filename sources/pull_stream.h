/* One StreamingPull: opened, kept alive, reopened; its messages handed on as they complete.
 * The stream always ends with an error in normal life; most are routine and it is opened again with
 * full jitter, the client id the same. A few are for the operator and stop the run.
 *
 * Thread  the puller's.
 * Source  keep-alive each 30 s, answered within 15 s (protocol version 1). */
#ifndef MR_SOURCES_PULL_STREAM_H
#define MR_SOURCES_PULL_STREAM_H

#include "sources/pull_connection.h"
#include "wire/pubsub.h"

struct mr_pull_stream;

struct mr_pull_settings {
    struct mr_span subscription, client_id;
    int64_t outstanding_messages, outstanding_bytes;
    uint32_t message_bytes_max; /* of one received message, ack id and attributes included */
    struct mr_fault *fault;
    void *self;
    /* One message; spans live during the call. False: it waits for a batch, and its event->bytes
     * are withheld from the stream's window until mr_pull_stream_consume. */
    bool (*received)(void *self, struct mr_pull_stream *stream,
                     const struct mr_pubsub_event *event);
    void (*properties)(void *self, const struct mr_pubsub_properties *properties);
};

struct mr_pull_stream {
    const struct mr_pull_settings *settings;
    struct mr_pull_connection *connection;
    uint32_t number;
    uint32_t incarnation; /* counts openings: bytes withheld from one mean nothing to the next */
    int64_t credit;       /* received bytes not yet given back nor withheld; below 0: a debt */
    size_t withheld;      /* bytes handed on that wait for their batch, of every incarnation */
    struct mr_call call;
    struct mr_pubsub_walk walk;
    struct mr_pubsub_lender lender;
    struct mr_retry retry;
    bool active, wanted, heard; /* heard: anything since it was opened */
    uint64_t now_ns, opened_ns, pinged_ns, heard_ns;
    uint64_t cut_ns; /* when the connection last broke under it, with what was on its way; or 0 */
    uint64_t received, reopened; /* counters */
};

void mr_pull_stream_init(struct mr_pull_stream *stream, const struct mr_pull_settings *settings,
                         struct mr_pull_connection *connection, uint32_t number);

/* Opens or reopens the stream when it is due, keeps it alive. About every 100 ms. */
void mr_pull_stream_chores(struct mr_pull_stream *stream, uint64_t now_ns);

/* Bytes withheld from `incarnation` that have found their batch: they are given back, exactly once,
 * if that stream still is; after paying the debt where most of a message had been given back before
 * it was withheld. A stream with bytes withheld is not opened again: its next incarnation would
 * bring a window of its own. */
void mr_pull_stream_consume(struct mr_pull_stream *stream, uint32_t incarnation, size_t bytes);

/* Open, on a connection whose peer has answered: if nothing comes, there is nothing. */
bool mr_pull_stream_is_ready(const struct mr_pull_stream *stream);

/* No more messages: what is on its way is dropped unacknowledged. */
void mr_pull_stream_stop(struct mr_pull_stream *stream);

#endif
