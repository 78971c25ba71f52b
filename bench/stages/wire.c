#include <stdio.h>
#include <stdlib.h>

#include "bench/stages/load.h"
#include "wire/pubsub.h"

#define MESSAGES       1024
#define RESPONSE_BYTES ((size_t)1 << 20)
#define REQUEST_BYTES  ((size_t)512 << 10) /* the service's limit */
#define PIECE_BYTES    16384               /* of an HTTP/2 frame */
#define ACK_ID_BYTES   176                 /* as the service's usually are */

struct wire_stage {
    uint8_t response[RESPONSE_BYTES], request[REQUEST_BYTES];
    uint8_t ack_ids[MESSAGES][ACK_ID_BYTES];
    struct mr_span whole;
};

static uint8_t *borrow(void *self, size_t bytes)
{
    (void)self;
    return malloc(bytes);
}

static void give_back(void *self, uint8_t *carry, size_t bytes)
{
    (void)self, (void)bytes;
    free(carry);
}

static const struct mr_pubsub_lender lender = {NULL, borrow, give_back};

static void make_ack_ids(struct wire_stage *s)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t random = 1;

    for (uint32_t i = 0; i < MESSAGES; i++)
        for (uint32_t b = 0; b < ACK_ID_BYTES; b++)
            s->ack_ids[i][b] = (uint8_t)letters[mr_load_random(&random) % 64];
}

static void *create(const struct mr_stage_shape *shape)
{
    struct wire_stage *s = calloc(1, sizeof *s);
    uint8_t *text;
    struct mr_span *payloads = mr_load_payloads(false, MESSAGES, &text);
    (void)shape;

    mr_load_need(s != NULL, "no memory");
    make_ack_ids(s);
    struct mr_pen pen = mr_pen_of(s->response, RESPONSE_BYTES);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        char id[24];
        int id_bytes = snprintf(id, sizeof id, "%llu", 11223344556677889ull + i);
        struct mr_pubsub_received received = {
            .ack_id = mr_span_of(s->ack_ids[i], ACK_ID_BYTES),
            .message = {.data = payloads[i],
                        .message_id = mr_span_of(id, (size_t)id_bytes),
                        .publish_us = MR_LOAD_START_US + i},
        };
        mr_pubsub_received_nest(&pen, 1, &received);
    }
    mr_load_need(pen.err == MR_OK, "the response is too long");
    s->whole = mr_pen_span(&pen);
    free(payloads);
    free(text);
    return s;
}

static struct mr_done run_walk(void *self)
{
    struct wire_stage *s = self;
    struct mr_done done = {0};
    struct mr_pubsub_walk walk;
    struct mr_pubsub_event event;

    mr_pubsub_walk_init(&walk, &lender, 1 << 20);
    mr_pubsub_walk_begin(&walk, (uint32_t)s->whole.bytes);
    for (size_t at = 0; at < s->whole.bytes; at += PIECE_BYTES) {
        size_t bytes = MR_MIN(s->whole.bytes - at, (size_t)PIECE_BYTES);
        struct mr_span input = mr_span_of(s->whole.data + at, bytes);
        while (mr_pubsub_walk_next(&walk, &input, &event) == MR_OK) {
            done.items++;
            done.checksum += event.received.message.data.bytes + event.received.ack_id.data[0] +
                             (uint64_t)event.received.message.publish_us;
        }
    }
    mr_load_need(mr_pubsub_walk_end(&walk) == MR_OK && done.items == MESSAGES, "a bad response");
    mr_pubsub_walk_finish(&walk);
    return done;
}

static struct mr_done run_ack(void *self)
{
    struct wire_stage *s = self;
    struct mr_pubsub_ids ids;

    mr_pubsub_ack_begin(&ids, s->request, REQUEST_BYTES,
                        mr_span_text("projects/demo/subscriptions/orders-millrace"));
    for (uint32_t i = 0; i < MESSAGES; i++)
        mr_load_need(mr_pubsub_ids_add(&ids, mr_span_of(s->ack_ids[i], ACK_ID_BYTES)),
                     "the request is full");
    struct mr_span request = mr_pubsub_ids_span(&ids);
    return (struct mr_done){.items = MESSAGES,
                            .checksum = request.bytes + request.data[request.bytes - 1]};
}

static void destroy(void *self)
{
    free(self);
}

const struct mr_stage mr_stage_walk = {"walk", "message", create, run_walk, destroy};
const struct mr_stage mr_stage_ack = {"ack", "id", create, run_ack, destroy};
