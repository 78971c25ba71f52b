/* The predicted path: producers send the same keys in the same order, so a payload's layout, which
 * is all of it but its scalars, is remembered and the next payload compared with it in place.
 *
 *   {"order_id":"7d…","amount":12.50,"region":"asia"}
 *   ~~~~~~~~~~~~    ~~~~~~~~~~     ~~~~~~~~~~~      ~   remembered, byte for byte
 *
 * A payload with the same layout and a proper scalar in each gap has the same keys, nesting and
 * white space as one that the complete parser accepted, so it is proper JSON too and the same gaps
 * hold the same fields. Anything else is no match, and the complete parser judges. */
#ifndef MR_SOURCES_LAYOUT_H
#define MR_SOURCES_LAYOUT_H

#include "sources/walk.h"

/* Larger layouts are not remembered. */
#define MR_LAYOUT_BYTES_MAX 4096

/* What stands before a scalar, and the slot the scalar fills (MR_NONE: no field wants it). */
struct mr_piece {
    uint16_t start, bytes, leaf;
};

struct mr_layout {
    bool known;
    uint32_t scalar_count;
    uint64_t present;                           /* slots that its scalars fill, one bit each */
    struct mr_piece pieces[MR_SCALARS_MAX + 1]; /* the last stands behind all scalars */
    uint8_t text[MR_LAYOUT_BYTES_MAX + 16];     /* 16 bytes can be loaded at any of them */
};

/* Remembers the payload that mr_walk_payload just accepted, if it is small enough. */
void mr_layout_learn(struct mr_layout *layout, const struct mr_walk *walk, struct mr_span payload);

/* True: the payload has this layout and `walk` holds what mr_walk_payload would have put there.
 * False: it has another, or is not JSON; `walk` is of no use. */
bool mr_layout_match(const struct mr_layout *layout, struct mr_walk *walk, struct mr_span payload);

#endif
