#include "local/bigquery_front.h"

#define SMALL_BYTES (1u << 20)

static struct mr_bigquery_front *front_of(const struct mr_served *call)
{
    return call->front;
}

/* Replies are sent by copy: their bytes are the store's until its next call. */
static void tell(struct mr_served *call, const struct mr_bq_answer *answer, bool goes_on)
{
    front_of(call)->answered = true;
    if (answer->code == MR_GRPC_OK)
        mr_served_send(call, answer->message);
    if (answer->code != MR_GRPC_OK || !goes_on)
        mr_served_end_details(call, answer->code, mr_span_text(answer->text), answer->status);
}

static void unary(struct mr_served *call, struct mr_span message);

#define UNARY(name) [MR_BIGQUERY_##name] = {.request_bytes_max = SMALL_BYTES, .message = unary}

static void append(struct mr_served *call, struct mr_span message)
{
    struct mr_bq_connection *connection = call->state;
    struct mr_bq_answer answer;

    if (!connection)
        connection = mr_bq_connection_create(front_of(call)->bq, call, call->now_us);
    call->state = connection;
    mr_bq_append(connection, message, call->now_us, &answer);
    tell(call, &answer, true);
}

/* All answers are given at once, so nothing is owed when the client has said its last. */
static void half_closed(struct mr_served *call)
{
    mr_served_end(call, MR_GRPC_OK, "");
}

static void closed(struct mr_served *call)
{
    if (call->state)
        mr_bq_connection_destroy(call->state);
    call->state = NULL;
}

static const struct mr_method methods[MR_BIGQUERY_METHOD_COUNT] = {
    UNARY(CREATE_WRITE_STREAM),
    [MR_BIGQUERY_APPEND_ROWS] = {.request_bytes_max = MR_BQ_REQUEST_BYTES_MAX,
                                 .streams = true,
                                 .too_large_code = MR_GRPC_INVALID_ARGUMENT,
                                 .too_large =
                                     "AppendRows request too large: the limit is 20000000 bytes.",
                                 .message = append,
                                 .half_closed = half_closed,
                                 .closed = closed},
    UNARY(GET_WRITE_STREAM),
    UNARY(FINALIZE_WRITE_STREAM),
    UNARY(BATCH_COMMIT_WRITE_STREAMS),
    UNARY(FLUSH_ROWS),
};

static void unary(struct mr_served *call, struct mr_span message)
{
    enum mr_bigquery_method method = (enum mr_bigquery_method)(call->method - methods);
    struct mr_bq_answer answer;

    mr_bq_call(front_of(call)->bq, method, message, call->now_us, &answer);
    tell(call, &answer, false);
}

static const struct mr_method *find(void *self, struct mr_span path)
{
    enum mr_bigquery_method method = mr_bigquery_method_of(path);

    (void)self;
    return method < MR_BIGQUERY_METHOD_COUNT && methods[method].message ? &methods[method] : NULL;
}

struct mr_front mr_bigquery_front_service(struct mr_bigquery_front *front)
{
    return (struct mr_front){front, find};
}

uint32_t mr_bigquery_front_turn(struct mr_bigquery_front *front, int64_t now_us)
{
    struct mr_bq_connection *connection;
    struct mr_bq_answer answer;
    uint32_t ended = 0;

    while ((connection = mr_bq_idle(front->bq, now_us, &answer))) {
        struct mr_served *call = mr_bq_connection_user(connection);
        tell(call, &answer, true);
        closed(call);
        ended++;
    }
    return ended;
}
