#include "sources/file_puller.h"

#include "ring/edge.h"

#define EVENTS_A_TURN 256
#define BURST_MAX     16

static uint32_t take_back_batches(struct mr_file_puller *p)
{
    void *batches[BURST_MAX];
    uint32_t total = 0;

    for (uint32_t a = 0; a < p->batcher.share_count; a++) {
        uint32_t taken = mr_spsc_take(p->batches_back[a], batches, BURST_MAX);
        for (uint32_t i = 0; i < taken; i++)
            mr_batcher_return(&p->batcher, batches[i]);
        total += taken;
    }
    return total;
}

static uint32_t send_cut(struct mr_file_puller *p)
{
    uint32_t count = p->batcher.cut_count;

    for (uint32_t i = 0; i < count; i++) {
        struct mr_order_batch *batch = p->batcher.cut[i];
        mr_edge_put(&p->batches_out[batch->share], batch);
    }
    p->batcher.cut_count = 0;
    return count;
}

/* The reading puller deals blocks out in turn, and takes used ones back. */
static uint32_t read_ahead(struct mr_file_puller *p)
{
    uint32_t dealt = 0;
    struct mr_text *text;
    void *used;

    for (uint32_t i = 0; i < p->puller_count; i++)
        while (mr_spsc_take(p->texts_back[i], &used, 1) == 1)
            mr_reader_return(p->reader, used);
    while ((text = mr_reader_take(p->reader)) != NULL) {
        mr_edge_put(&p->texts_out[text->number % p->puller_count], text);
        dealt++;
    }
    mr_reader_poll(p->reader);
    atomic_store_explicit(&p->bytes, p->reader->bytes_read, memory_order_relaxed);
    return dealt;
}

static bool next_text(struct mr_file_puller *p)
{
    void *text;

    if (!p->text && mr_spsc_take(p->texts_in, &text, 1) == 1) {
        p->text = text;
        p->at = p->lines = 0;
    }
    return p->text != NULL;
}

static bool hold_token(struct mr_file_puller *p)
{
    void *token;

    if (!p->token && mr_spsc_take(p->token_in, &token, 1) == 1) {
        p->token = token;
        mr_batcher_set_watermark(&p->batcher, p->token->watermark_us);
    }
    return p->token != NULL;
}

/* The next line that is not empty, with its number within the block; false at the block's end. */
static bool next_line(struct mr_file_puller *p, struct mr_span *line)
{
    while (p->at < p->text->bytes) {
        const uint8_t *start = p->text->data + p->at;
        uint64_t left = p->text->bytes - p->at;
        const uint8_t *end = p->text->flags & MR_TEXT_LONG ? NULL : memchr(start, '\n', left);
        uint64_t bytes = end ? (uint64_t)(end - start) : left;
        p->at += bytes + (end != NULL);
        p->lines++;
        if (bytes > 0) {
            *line = mr_span_of(start, bytes);
            return true;
        }
    }
    return false;
}

static void add_one(atomic_ullong *counter, uint64_t n)
{
    unsigned long long before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + n, memory_order_relaxed);
}

/* Decodes a line into the place of a staged event; position is the line within the block. */
static void decode(struct mr_file_puller *p, struct mr_span line, struct mr_staged *staged)
{
    struct mr_letter_source *letter = &staged->letter;
    struct mr_decoded *decoded = p->decoded;

    *letter = (struct mr_letter_source){
        .field = MR_NO_FIELD, .position = p->lines, .payload = line, .detail = ""};
    add_one(&p->received, 1);
    if (p->text->flags & MR_TEXT_TOO_LONG) {
        letter->reason = MR_REASON_TOO_LARGE;
        letter->detail = "longer than decode.max_payload; only the beginning is kept here";
        return;
    }
    letter->reason = mr_decode(p->decoder, line, decoded);
    if (letter->reason == MR_REASON_NONE) {
        if (mr_event_make(p->plan, decoded, &staged->event, p->scratch)) {
            add_one(&p->decimals_rounded, decoded->decimals_rounded);
            return;
        }
        letter->reason = MR_REASON_OUT_OF_RANGE;
        letter->detail = "the group_by values are longer than 4096 bytes together";
        return;
    }
    letter->error_offset = decoded->error_offset;
    letter->detail = decoded->detail_static;
    if (decoded->field < p->plan->config->decode.field_count)
        letter->field = (uint16_t)decoded->field;
}

/* Appends what was decoded into the stage's next place, its key bytes copied off the scratch. */
static void keep_staged(struct mr_file_puller *p)
{
    struct mr_stage *stage = p->stage;
    struct mr_staged *staged = &stage->staged[stage->count++];

    if (staged->letter.reason != MR_REASON_NONE)
        return;
    for (uint32_t g = 0; g < p->plan->grouping_count; g++) {
        struct mr_span *key = &staged->event.keys[g].bytes;
        uint8_t *place = stage->key_bytes + stage->key_bytes_used;
        MR_ASSERT(key->bytes <= MR_STAGE_KEY_BYTES - stage->key_bytes_used);
        memcpy(place, key->data, key->bytes);
        key->data = place;
        stage->key_bytes_used += (uint32_t)key->bytes;
    }
}

/* Decodes ahead as far as the stage has room for the longest keys. */
static uint32_t fill_stage(struct mr_file_puller *p)
{
    struct mr_stage *stage = p->stage;
    uint32_t decoded = 0;
    struct mr_span line;

    while (stage->count < MR_STAGE_EVENTS &&
           stage->key_bytes_used + MR_GROUPINGS_MAX * MR_KEY_BYTES_MAX <= MR_STAGE_KEY_BYTES &&
           decoded < EVENTS_A_TURN && next_line(p, &line)) {
        decode(p, line, &stage->staged[stage->count]);
        keep_staged(p);
        decoded++;
    }
    return decoded;
}

/* Puts one event into its batch and sends what that cut; false when the slab has no room. */
static bool add_staged(struct mr_file_puller *p, const struct mr_staged *staged)
{
    struct mr_letter_source letter = staged->letter;

    letter.position += p->token->lines;
    bool added = letter.reason == MR_REASON_NONE ? mr_batcher_add(&p->batcher, &staged->event)
                                                 : mr_batcher_letter(&p->batcher, &letter);
    send_cut(p);
    return added;
}

static uint32_t drain_stage(struct mr_file_puller *p)
{
    struct mr_stage *stage = p->stage;
    uint32_t drained = 0;

    while (stage->next < stage->count && add_staged(p, &stage->staged[stage->next])) {
        stage->next++;
        drained++;
    }
    if (stage->next == stage->count)
        stage->next = stage->count = stage->key_bytes_used = 0;
    return drained;
}

/* With the token in hand and nothing staged: from the line straight into its batch. */
static uint32_t decode_straight(struct mr_file_puller *p)
{
    struct mr_staged *staged = &p->stage->staged[0];
    uint32_t decoded = 0;
    struct mr_span line;

    while (decoded < EVENTS_A_TURN && next_line(p, &line)) {
        decode(p, line, staged);
        decoded++;
        if (!add_staged(p, staged)) {
            keep_staged(p);
            break;
        }
    }
    return decoded;
}

/* The block is done: close its batches, give it back, pass the token on. */
static bool hand_over(struct mr_file_puller *p)
{
    bool end = p->text->flags & MR_TEXT_END;

    if (end || p->puller_count > 1) {
        if (!mr_batcher_close(&p->batcher, end ? MR_BATCH_END : MR_BATCH_HANDOVER))
            return false;
        send_cut(p);
    }
    p->token->watermark_us = p->batcher.watermark_us;
    p->token->lines += p->lines;
    mr_edge_put(p->texts_returned, p->text);
    p->text = NULL;
    if (end)
        atomic_store_explicit(&p->done, true, memory_order_release);
    if (p->puller_count > 1) {
        struct mr_token *token = p->token;
        p->token = NULL;
        mr_edge_put(p->token_out, token);
    }
    return true;
}

uint32_t mr_file_puller_turn(void *self, uint64_t now_ns)
{
    struct mr_file_puller *p = self;
    (void)now_ns;

    uint32_t done = take_back_batches(p);
    if (mr_fault_err(p->fault) != MR_OK)
        return 0;
    if (p->reader)
        done += read_ahead(p);
    if (!next_text(p)) {
        if (p->token) { /* dry: what is there goes on its way */
            mr_batcher_flush(&p->batcher);
            done += send_cut(p);
        }
        return done;
    }
    if (!hold_token(p))
        return done + fill_stage(p);
    done += drain_stage(p);
    if (p->stage->count == 0)
        done += decode_straight(p);
    if (p->stage->count == 0 && p->at == p->text->bytes)
        done += hand_over(p);
    return done;
}
