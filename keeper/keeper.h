/* The keeper: the cold thread, for everything slow or rare. Here: letters to their file.
 * Thread  mr_keeper_turn by its worker; the rest before start or after the end. */
#ifndef MR_KEEPER_KEEPER_H
#define MR_KEEPER_KEEPER_H

#include <stdatomic.h>

#include "core/block.h"
#include "core/config.h"
#include "core/letter.h"
#include "core/out.h"

struct mr_edge;
struct mr_mpsc;

struct mr_keeper {
    const struct mr_config *config;
    struct mr_fault *fault;
    struct mr_mpsc *letters_in;   /* blocks from every aggregator */
    struct mr_edge *letters_out;  /* back to each, by share */
    struct mr_edge *letters_safe; /* by puller: position + 1 of each letter that is safe; NULL:
                                     nobody waits (files) */
    uint32_t aggregator_count, ends;
    struct mr_out *letter_file; /* NULL: letters are counted and dropped */
    struct mr_block *held;      /* being written, and where in it */
    struct mr_letter *letter;
    uint32_t letters_left;
    atomic_size_t *jumbo_bytes; /* given back as large payloads are written */
    atomic_ullong letters;
    atomic_bool done;
};

uint32_t mr_keeper_turn(void *self, uint64_t now_ns);

#endif
