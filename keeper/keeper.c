#include "keeper/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"
#include "keeper/letter_json.h"
#include "ring/edge.h"

#define BLOCKS_A_TURN 8

static struct mr_keeper_block begin(struct mr_block *block)
{
    return (struct mr_keeper_block){block, mr_block_first(block), block->count};
}

static void step(struct mr_keeper_block *at)
{
    at->letters_left--;
    at->letter = mr_block_next(at->letter);
}

static bool take_block(struct mr_keeper *k)
{
    void *block;

    if (!k->held.block && k->written_count < MR_KEEPER_WRITTEN_MAX &&
        mr_mpsc_take(k->letters_in, &block, 1) == 1)
        k->held = begin(block);
    return k->held.block != NULL;
}

/* ---- letters into their file ---- */

/* A letter larger than the file's buffers: straight to the descriptor, this being the cold room.
 * False: earlier letters are still in flight. */
static bool write_large(struct mr_keeper *k, const struct mr_letter *letter, size_t bytes)
{
    mr_out_push(k->letter_file);
    if (!mr_out_is_clean(k->letter_file))
        return false;
    char *text = malloc(bytes);
    if (!text) {
        mr_fault_raise(k->fault, MR_E_MEMORY, "a letter of %zu bytes", bytes);
        return false;
    }
    char *end = mr_letter_json_put(text, k->config, letter);
    for (char *at = text; at < end;) {
        ssize_t written = write(k->letter_file->fd, at, (size_t)(end - at));
        if (written < 0 && errno != EINTR) {
            mr_fault_raise(k->fault, MR_E_FILE_WRITE, "%s: %s", k->letter_file->path,
                           strerror(errno));
            break;
        }
        at += written > 0 ? written : 0;
    }
    free(text);
    return true;
}

static bool write_line(struct mr_keeper *k, const struct mr_letter *letter)
{
    size_t bytes = mr_letter_json_bytes_max(letter);

    if (bytes > k->letter_file->capacity)
        return write_large(k, letter, bytes);
    char *at = mr_out_reserve(k->letter_file, bytes);
    if (!at)
        return false;
    char *end = mr_letter_json_put(at, k->config, letter);
    mr_out_commit(k->letter_file, (size_t)(end - at));
    return true;
}

/* ---- letters to their topic ---- */

/* Whatever else a letter learns to carry (the message's id, its attributes) is handed on here. */
static struct mr_deadletter for_topic(const struct mr_keeper *k, const struct mr_letter *letter)
{
    const struct mr_config *config = k->config;
    const char *field = letter->field != MR_NO_FIELD ? config->decode.fields[letter->field].name
                                                     : "";

    return (struct mr_deadletter){
        .body = mr_letter_payload(letter),
        .reason = mr_reason_name((enum mr_reason)letter->reason),
        .stage = mr_letter_stage(letter),
        .detail = mr_letter_detail(letter),
        .field = mr_span_text(field),
        .line = config->source.file ? letter->position : 0,
        .byte_offset = letter->error_offset,
        .puller = letter->puller,
        .position = letter->position,
    };
}

/* ---- letters in and blocks out ---- */

/* False: there is no room for it now. */
static bool take_in(struct mr_keeper *k, const struct mr_letter *letter)
{
    if (k->deadletters) {
        struct mr_deadletter made = for_topic(k, letter);
        return mr_deadletters_add(k->deadletters, &made) == MR_OK;
    }
    return k->letter_file ? write_line(k, letter) : true;
}

static void free_jumbo(struct mr_keeper *k, const struct mr_letter *letter)
{
    if (!letter->jumbo)
        return;
    free(letter->jumbo);
    atomic_fetch_sub(k->jumbo_bytes, letter->payload_bytes);
}

static void release(struct mr_keeper *k, struct mr_block *block)
{
    atomic_fetch_add_explicit(&k->letters, block->count, memory_order_relaxed);
    k->ends += block->flags & MR_BLOCK_END ? 1 : 0;
    mr_edge_put(&k->letters_out[block->share], block);
}

/* Takes in the block in hand; false when there is no room for its next letter. A block whose
 * letters lie in the file's buffers stays until they are written. */
static bool take_letters(struct mr_keeper *k)
{
    struct mr_keeper_block *at = &k->held;

    for (; at->letters_left > 0; step(at)) {
        if (!take_in(k, at->letter))
            return false;
        free_jumbo(k, at->letter);
    }
    if (k->letters_safe && !k->deadletters)
        k->written[k->written_count++] = begin(at->block);
    else
        release(k, at->block);
    at->block = NULL;
    return true;
}

bool mr_keeper_letter_is_safe(void *self, uint16_t puller, uint64_t position)
{
    struct mr_keeper *k = self;

    if (!k->letters_safe)
        return true;
    struct mr_edge *edge = &k->letters_safe[puller];
    if (!mr_spsc_put(edge->ring, (void *)(uintptr_t)(position + 1)))
        return false;
    mr_io_wake(edge->consumer);
    return true;
}

/* False: the puller's ring is full; the block keeps its place. */
static bool tell_block(struct mr_keeper *k, struct mr_keeper_block *at)
{
    for (; at->letters_left > 0; step(at))
        if (!mr_keeper_letter_is_safe(k, at->letter->puller, at->letter->position))
            return false;
    release(k, at->block);
    return true;
}

/* Everything in the file's buffers has reached the file: so have all written blocks. */
static void tell_written(struct mr_keeper *k)
{
    uint32_t told = 0;

    if (k->letter_file && !mr_out_is_clean(k->letter_file))
        return;
    while (told < k->written_count && tell_block(k, &k->written[told]))
        told++;
    k->written_count -= told;
    memmove(k->written, k->written + told, k->written_count * sizeof k->written[0]);
}

/* ---- tokens ---- */

static uint32_t keep_credentials(struct mr_keeper *k, uint64_t now_ns)
{
    struct mr_credentials *c = k->credentials;

    if (!c)
        return 0;
    uint32_t done = mr_credentials_turn(c, now_ns, mr_wall_us()) + mr_rest_turn(c->rest);
    if (c->err != MR_OK) {
        mr_fault_raise(k->fault, c->err, "%s", c->why);
    } else if (strcmp(c->why, k->told) != 0) {
        snprintf(k->told, sizeof k->told, "%s", c->why);
        if (c->why[0])
            fprintf(stderr, "millrace: credentials: %s; trying again\n", c->why);
    }
    return done;
}

/* ---- the turn ---- */

static bool all_is_out(const struct mr_keeper *k)
{
    return k->ends == k->aggregator_count && (!k->letter_file || mr_out_is_clean(k->letter_file)) &&
           (!k->deadletters || mr_deadletters_are_out(k->deadletters));
}

uint32_t mr_keeper_turn(void *self, uint64_t now_ns)
{
    struct mr_keeper *k = self;
    uint32_t taken = 0, done;

    if (mr_fault_err(k->fault) != MR_OK)
        return 0;
    while (taken < BLOCKS_A_TURN && take_block(k) && take_letters(k))
        taken++;
    if (taken == 0 && k->letter_file)
        mr_out_push(k->letter_file);
    tell_written(k);
    done = taken + keep_credentials(k, now_ns);
    if (k->deadletters)
        done += mr_deadletters_turn(k->deadletters, now_ns, taken == 0);
    if (all_is_out(k))
        atomic_store_explicit(&k->done, true, memory_order_release);
    return done;
}

void mr_keeper_close(void *self)
{
    struct mr_keeper *k = self;

    if (k->deadletters)
        mr_deadletters_close(k->deadletters);
}
