/* A header block while it grows: names and values in one text of its own. For wire/h2.c alone. */
#ifndef MR_WIRE_H2_BLOCK_H
#define MR_WIRE_H2_BLOCK_H

#include "wire/h2.h"

/* A header block owned by us: names and values in `text`, then spans over it. */
struct mr_h2_header_block {
    struct mr_h2_header *headers;
    size_t count, header_max;
    uint8_t *text;
    size_t bytes, byte_max;
    size_t list_bytes; /* as RFC 9113 section 6.5.2 counts them */
};

/* False: the list would pass MR_H2_HEADER_LIST_BYTES, or no memory. */
bool mr_h2_block_add(struct mr_h2_header_block *block, struct mr_span name, struct mr_span value);
/* The text moves while it grows: only after this do `headers` point into it. */
void mr_h2_block_seal(struct mr_h2_header_block *block);
void mr_h2_block_clear(struct mr_h2_header_block *block); /* keeps the memory */
void mr_h2_block_finish(struct mr_h2_header_block *block);
bool mr_h2_block_has(const struct mr_h2_header_block *block, const char *name);
/* A 1xx response. */
bool mr_h2_block_is_interim(const struct mr_h2_header_block *block);

#endif
