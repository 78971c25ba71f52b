#include "keeper/keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "keeper/letter_json.h"
#include "ring/edge.h"

#define BLOCKS_A_TURN 8

static bool take_block(struct mr_keeper *k)
{
    void *block;

    if (!k->held && mr_mpsc_take(k->letters_in, &block, 1) == 1) {
        k->held = block;
        k->letter = mr_block_first(k->held);
        k->letters_left = k->held->count;
    }
    return k->held != NULL;
}

/* A letter larger than the file's buffers: straight to the descriptor, this being the cold room.
 * False: earlier letters are still in flight. */
static bool write_large(struct mr_keeper *k, size_t bytes)
{
    mr_out_push(k->letter_file);
    if (!mr_out_is_clean(k->letter_file))
        return false;
    char *text = malloc(bytes);
    if (!text) {
        mr_fault_raise(k->fault, MR_E_MEMORY, "a letter of %zu bytes", bytes);
        return false;
    }
    char *end = mr_letter_json_put(text, k->config, k->letter);
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

static bool write_letter(struct mr_keeper *k)
{
    if (!k->letter_file)
        return true;
    size_t bytes = mr_letter_json_bytes_max(k->letter);
    if (bytes > k->letter_file->capacity)
        return write_large(k, bytes);
    char *at = mr_out_reserve(k->letter_file, bytes);
    if (!at)
        return false;
    char *end = mr_letter_json_put(at, k->config, k->letter);
    mr_out_commit(k->letter_file, (size_t)(end - at));
    return true;
}

static void free_jumbo(struct mr_keeper *k)
{
    if (!k->letter->jumbo)
        return;
    free(k->letter->jumbo);
    atomic_fetch_sub(k->jumbo_bytes, k->letter->payload_bytes);
}

/* Writes the letters of the block in hand; false when the file's buffers are full. */
static bool write_letters(struct mr_keeper *k)
{
    for (; k->letters_left > 0; k->letters_left--, k->letter = mr_block_next(k->letter)) {
        if (!write_letter(k))
            return false;
        free_jumbo(k);
        if (k->letters_safe)
            mr_edge_put(&k->letters_safe[k->letter->puller],
                        (void *)(uintptr_t)(k->letter->position + 1));
    }
    return true;
}

static void release_block(struct mr_keeper *k)
{
    atomic_fetch_add_explicit(&k->letters, k->held->count, memory_order_relaxed);
    k->ends += k->held->flags & MR_BLOCK_END ? 1 : 0;
    mr_edge_put(&k->letters_out[k->held->share], k->held);
    k->held = NULL;
}

uint32_t mr_keeper_turn(void *self, uint64_t now_ns)
{
    struct mr_keeper *k = self;
    uint32_t done = 0;
    (void)now_ns;

    if (mr_fault_err(k->fault) != MR_OK)
        return 0;
    while (done < BLOCKS_A_TURN && take_block(k)) {
        if (!write_letters(k))
            return done;
        release_block(k);
        done++;
    }
    if (done == 0 && k->letter_file)
        mr_out_push(k->letter_file);
    if (k->ends == k->aggregator_count && (!k->letter_file || mr_out_is_clean(k->letter_file)))
        atomic_store_explicit(&k->done, true, memory_order_release);
    return done;
}
