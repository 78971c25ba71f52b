/* The writer of a row file: row blocks in, lines of JSON out, blocks back.
 * Thread  mr_file_writer_turn by its worker; the rest before start or after the end. */
#ifndef MR_SINKS_FILE_WRITER_H
#define MR_SINKS_FILE_WRITER_H

#include <stdatomic.h>

#include "core/block.h"
#include "core/out.h"
#include "core/plan.h"

struct mr_edge;
struct mr_spsc;

struct mr_file_writer_in {
    struct mr_spsc *blocks;   /* from this aggregator */
    struct mr_edge *returned; /* to it */
};

struct mr_file_writer {
    const struct mr_plan *plan;
    struct mr_fault *fault;
    struct mr_out *out; /* NULL: rows are counted and dropped */
    struct mr_file_writer_in in[MR_WORKERS_MAX];
    uint32_t in_count, next_in, ends;
    struct mr_block *held; /* being written, and where in it */
    void *row;
    uint32_t rows_left, held_in;
    atomic_ullong rows; /* written by the writer, read by others */
    atomic_bool done;
};

uint32_t mr_file_writer_turn(void *self, uint64_t now_ns);

#endif
