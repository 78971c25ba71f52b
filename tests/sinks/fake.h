/* A BigQuery of a test's own: the write calls over plaintext HTTP/2, in the same thread and mr_io
 * as the writer under test. It keeps the rules of offsets, and fails when the test says so. What it
 * stores of a row is its window_start, by which tests tell rows apart. */
#ifndef MR_TESTS_SINKS_FAKE_H
#define MR_TESTS_SINKS_FAKE_H

#include "core/socket.h"
#include "wire/bigquery.h"
#include "wire/grpc.h"
#include "wire/link.h"

#define FAKE_STREAMS     64
#define FAKE_CALLS       64
#define FAKE_CONNECTIONS 16
#define FAKE_QUEUE       64
#define FAKE_ROWS        80000

/* What becomes of one append. */
enum fake_act {
    FAKE_TAKE,
    FAKE_ERROR,      /* in the answer: code, storage, text */
    FAKE_STATUS,     /* ends the call: code, storage, text */
    FAKE_TAKE_ERROR, /* takes the rows and yet answers the error */
    FAKE_TAKE_CLOSE, /* takes the rows and closes the connection without an answer */
    FAKE_CLOSE,
    FAKE_EOF,      /* ends the call without a status */
    FAKE_GOAWAY,   /* takes the rows, and asks the client to go away */
    FAKE_FINALIZE, /* takes the rows, finalizes the stream, then closes: an answer is lost */
    FAKE_FORGET,   /* the stream is gone, with NOT_FOUND */
    FAKE_SILENCE,  /* takes the rows and never answers */
    FAKE_GARBAGE,  /* takes the rows and answers what nobody can read */
};

struct fake_plan {
    enum fake_act act;
    int32_t code, storage;
    const char *text;
};

/* A request that lies in the service's queue. */
struct fake_request {
    struct fake_call *call;
    uint64_t serial; /* of the call, whose place may be another's by then */
    uint8_t *bytes;
    size_t count;
};

struct fake_stream {
    char name[256];
    bool alive, finalized, committed;
    int64_t rows[FAKE_ROWS];
    uint32_t row_count;
};

struct fake;

struct fake_call {
    struct fake_connection *connection; /* NULL: free */
    struct mr_h2_stream *h2;
    enum mr_bigquery_method method;
    uint64_t serial;
    bool responded, half_closed, over;
    struct fake_stream *stream; /* of an AppendRows call */
    uint8_t *body;
    struct mr_grpc_whole whole;
};

struct fake_connection {
    struct fake *fake;
    struct mr_socket socket;
    struct mr_link *link; /* NULL: free */
    struct mr_io_op flush;
    bool flush_due, dying;
    uint8_t send[256 << 10];
};

struct fake {
    struct mr_io *io;
    struct mr_listener listener;
    struct fake_connection connections[FAKE_CONNECTIONS];
    struct fake_call calls[FAKE_CALLS];
    struct fake_stream streams[FAKE_STREAMS];
    uint32_t stream_count;
    /* Set by the test. `judge` is asked for each append (numbered from 0); NULL takes all. */
    struct fake_plan (*judge)(struct fake *fake, uint32_t number);
    struct fake_plan creating; /* FAKE_ERROR and FAKE_STATUS alike: CreateWriteStream fails */
    int64_t bad_row;           /* rows refused: ... */
    bool name_bad_rows;        /* ... by row_errors, or the whole request without a word */
    int64_t bad_every;         /* also all rows that this divides; 0: none */
    const char *bearer_wanted; /* UNAUTHENTICATED for calls with another */
    uint32_t slow, turns;      /* appends take so many fake_turns; 0: taken at once */
    uint64_t seed;
    struct fake_request queue[FAKE_QUEUE];
    uint32_t queued;
    uint64_t serials;
    /* Seen. */
    uint32_t appends, connected, creates, finalizes, call_count, introduced, named_again;
    uint32_t default_with_offset, queued_max;
};

void fake_init(struct fake *fake, struct mr_io *io); /* 127.0.0.1, a port of its own */
void fake_finish(struct fake *fake);                 /* turns its io until all is closed */
void fake_turn(struct fake *fake);                   /* takes the oldest of the queue, if slow */
/* Ends every AppendRows call with this status. */
void fake_end_calls(struct fake *fake, int32_t code, const char *text);
struct fake_stream *fake_stream_find(struct fake *fake, const char *name);

#endif
