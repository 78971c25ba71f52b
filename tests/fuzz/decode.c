/* Aim: no payload makes the decoder read or write where it may not, nor the remembered layout and
 * the complete parser differ. A libFuzzer target; replay.c gives it the corpus as a test.
 * The first two bytes choose how the input is cut in two payloads, so that the second meets a
 * layout of the fuzzer's own making. */
#include <stdlib.h>

#include "core/err.h"
#include "sources/decode.h"
#include "tests/fuzz/fuzz.h"

static struct mr_config config;
static struct mr_decoder *remembering, *forgetful;

static struct mr_field *add(const char *name, enum mr_type type, const char *outer)
{
    struct mr_field *field = &config.decode.fields[config.decode.field_count++];

    *field = (struct mr_field){.name = name, .type = type, .path = {name}, .path_count = 1};
    if (outer != NULL) {
        field->path[0] = outer;
        field->path[1] = name;
        field->path_count = 2;
    }
    return field;
}

static void prepare(void)
{
    if (remembering != NULL)
        return;
    config.decode.payload_bytes_max = UINT64_C(1) << 20;
    add("order_id", MR_TYPE_STRING, NULL)->optional = true;
    add("timestamp", MR_TYPE_EVENT_TIME, NULL);
    add("amount", MR_TYPE_DECIMAL, NULL)->scale = 2;
    add("region", MR_TYPE_STRING, "shop")->optional = true;
    add("count", MR_TYPE_INT, "shop")->optional = true;
    add("gift", MR_TYPE_BOOL, NULL)->optional = true;
    config.decode.fields[2].from_string = config.decode.fields[2].optional = true;
    config.decode.event_time = 1;
    MR_ASSERT(mr_decoder_create(&remembering, &config) == MR_OK);
    MR_ASSERT(mr_decoder_create(&forgetful, &config) == MR_OK);
}

static void assert_same(const struct mr_decoded *a, const struct mr_decoded *b)
{
    MR_ASSERT(a->reason == b->reason && a->field == b->field);
    MR_ASSERT(a->error_offset == b->error_offset && a->detail_static == b->detail_static);
    if (a->reason != MR_REASON_NONE)
        return;
    MR_ASSERT(a->event_us == b->event_us && a->decimals_rounded == b->decimals_rounded);
    for (uint32_t i = 0; i < config.decode.field_count; i++) {
        MR_ASSERT(a->values[i].kind == b->values[i].kind);
        MR_ASSERT(a->values[i].number == b->values[i].number);
        MR_ASSERT(mr_span_equal(a->values[i].text, b->values[i].text));
    }
}

/* Judges a copy of exactly its size, so that a sanitizer sees a read beyond it. */
static void judge(const uint8_t *data, size_t bytes)
{
    static struct mr_decoded quick, complete;
    uint8_t *copy = malloc(bytes + (bytes == 0));

    memcpy(copy, data, bytes);
    mr_decode(remembering, mr_span_of(copy, bytes), &quick);
    mr_decoder_forget(forgetful);
    mr_decode(forgetful, mr_span_of(copy, bytes), &complete);
    assert_same(&quick, &complete);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    size_t first;

    prepare();
    if (bytes < 2)
        return 0;
    first = ((size_t)data[0] | (size_t)data[1] << 8) % (bytes - 1);
    judge(data + 2, first);
    judge(data + 2 + first, bytes - 2 - first);
    judge(data + 2, bytes - 2);
    return 0;
}
