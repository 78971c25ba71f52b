/* The keeper: the cold thread, for everything slow or rare. Here: letters to their file or topic,
 * and tokens kept fresh for all who call a service.
 *
 *   aggregators ─ letter blocks ─► keeper ─► file | dead-letter topic
 *        ▲  ◄── blocks ──────────────┘ └─ "this letter is safe" ─► its puller
 *
 * A letter is safe once its publish was confirmed (or its line written); only then may its puller
 * acknowledge the message. A block goes back as soon as its letters are copied or written.
 * Thread  mr_keeper_turn by its worker; the rest before start or after the end. */
#ifndef MR_KEEPER_KEEPER_H
#define MR_KEEPER_KEEPER_H

#include <stdatomic.h>

#include "core/block.h"
#include "core/config.h"
#include "core/letter.h"
#include "core/out.h"
#include "keeper/credentials.h"
#include "keeper/deadletter.h"

struct mr_edge;
struct mr_mpsc;

#define MR_KEEPER_WRITTEN_MAX 64 /* blocks that wait for the file */

/* A block and the next letter to be looked at in it. */
struct mr_keeper_block {
    struct mr_block *block; /* NULL: none */
    struct mr_letter *letter;
    uint32_t letters_left;
};

struct mr_keeper {
    const struct mr_config *config;
    struct mr_fault *fault;
    struct mr_mpsc *letters_in;  /* blocks from every aggregator */
    struct mr_edge *letters_out; /* back to each, by share */
    /* By puller: what is safe, position + 1 as a pointer. NULL: the source acknowledges nothing. */
    struct mr_edge *letters_safe;
    uint32_t aggregator_count, ends;
    /* At most one of the two; none: letters are counted and dropped. */
    struct mr_out *letter_file;
    struct mr_deadletters *deadletters;
    struct mr_credentials *credentials;                    /* NULL: none are needed */
    struct mr_keeper_block held;                           /* being taken in */
    struct mr_keeper_block written[MR_KEEPER_WRITTEN_MAX]; /* to be told safe, oldest first */
    uint32_t written_count;
    atomic_size_t *jumbo_bytes; /* given back as large payloads are taken in */
    atomic_ullong letters;
    atomic_bool done;
    char told[512]; /* the last trouble with credentials on standard error */
};

uint32_t mr_keeper_turn(void *self, uint64_t now_ns);
/* For mr_worker.close: ends what is in flight. */
void mr_keeper_close(void *self);

/* For mr_deadletters_options.safe, with the keeper as self. */
bool mr_keeper_letter_is_safe(void *self, uint16_t puller, uint64_t position);

#endif
