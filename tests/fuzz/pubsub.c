/* Aim: every Pub/Sub message bears any bytes; a walked response gives the same parts however it is
 * split, and the same as a plain walk of its fields; what parses can be put and parsed again. */
#include <stdlib.h>

#include "tests/fuzz/round.h"
#include "tests/fuzz/fuzz.h"
#include "wire/pubsub.h"

static uint8_t *borrow(void *self, size_t bytes)
{
    (void)self;
    return malloc(bytes ? bytes : 1);
}

static void give_back(void *self, uint8_t *carry, size_t bytes)
{
    (void)self, (void)bytes;
    free(carry);
}

static const struct mr_pubsub_lender lender = {NULL, borrow, give_back};

static int walk_in(struct mr_span message, size_t step, uint64_t *sum)
{
    struct mr_pubsub_walk walk;
    struct mr_pubsub_event event;
    int err = MR_PARTIAL;

    *sum = 0;
    mr_pubsub_walk_init(&walk, &lender, 1 << 20);
    mr_pubsub_walk_begin(&walk, (uint32_t)message.bytes);
    for (size_t at = 0; at < message.bytes && err == MR_PARTIAL; at += step) {
        struct mr_span input = mr_span_of(message.data + at, MR_MIN(step, message.bytes - at));
        while ((err = mr_pubsub_walk_next(&walk, &input, &event)) == MR_OK) {
            *sum = *sum * 31 + event.part + event.bytes.bytes;
            if (event.part == MR_PUBSUB_RECEIVED)
                *sum = *sum * 31 + event.received.ack_id.bytes +
                       (uint64_t)event.received.message.publish_us +
                       event.received.message.data.bytes * 7;
        }
    }
    if (err == MR_PARTIAL)
        err = mr_pubsub_walk_end(&walk);
    mr_pubsub_walk_finish(&walk);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct mr_span span = mr_span_of(data, bytes);
    uint64_t once, split;
    struct mr_pubsub_message published;
    struct mr_pubsub_streaming_pull pull;

    int err = walk_in(span, SIZE_MAX / 2, &once);
    int split_err = walk_in(span, bytes ? data[0] % 13 + 1 : 1, &split);
    MR_ASSERT(err == split_err && (err != MR_OK || once == split));
    MR_ASSERT(err != MR_OK || mr_pb_check(span) == MR_OK);
    if (mr_pubsub_message_parse(&published, span) == MR_OK)
        mr_pubsub_message_check(&published);
    mr_pubsub_streaming_pull_parse(&pull, span);
    ROUND(mr_pubsub_streaming_pull_response, span);
    ROUND(mr_pubsub_acknowledge, span);
    ROUND(mr_pubsub_modify_ack_deadline, span);
    ROUND(mr_pubsub_publish, span);
    ROUND(mr_pubsub_seek, span);
    ROUND(mr_pubsub_topic, span);
    ROUND(mr_pubsub_subscription, span);
    ROUND(mr_pubsub_update_subscription, span);
    ROUND(mr_pubsub_list, span);
    ROUND(mr_pubsub_list_response, span);
    return 0;
}
