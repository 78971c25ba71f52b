#include "sources/layout.h"

#include "sources/scalar.h"

static bool add_piece(struct mr_layout *layout, uint32_t index, const uint8_t *from,
                      const uint8_t *to)
{
    struct mr_piece *piece = &layout->pieces[index];
    size_t start = index == 0 ? 0 : (size_t)piece[-1].start + piece[-1].bytes;
    size_t bytes = (size_t)(to - from);

    if (bytes > MR_LAYOUT_BYTES_MAX - start)
        return false;
    *piece = (struct mr_piece){(uint16_t)start, (uint16_t)bytes, MR_NONE};
    memcpy(layout->text + start, from, bytes);
    return true;
}

void mr_layout_learn(struct mr_layout *layout, const struct mr_walk *walk, struct mr_span payload)
{
    const uint8_t *at = payload.data, *end = payload.data + payload.bytes;

    layout->known = false;
    if (walk->scalar_count > MR_SCALARS_MAX)
        return;
    for (uint32_t i = 0; i < walk->scalar_count; i++) {
        if (!add_piece(layout, i, at, walk->scalars[i].start))
            return;
        at = walk->scalars[i].end;
    }
    if (!add_piece(layout, walk->scalar_count, at, end))
        return;
    for (uint64_t left = walk->present; left != 0; left &= left - 1) {
        uint16_t leaf = (uint16_t)__builtin_ctzll(left);
        if (walk->slots[leaf].found == MR_FOUND_CONTAINER)
            return;
        layout->pieces[walk->slots[leaf].scalar].leaf = leaf;
    }
    layout->scalar_count = walk->scalar_count;
    layout->present = walk->present;
    layout->known = true;
}

/* Behind the bytes of `piece`, if they stand at `at`, else NULL. Most pieces are one comparison of
 * 16 bytes, of which those behind the piece do not count; beyond `end` nothing may be loaded. */
static inline const uint8_t *piece_end(const struct mr_layout *layout, const struct mr_piece *piece,
                                       const uint8_t *at, const uint8_t *end)
{
    const uint8_t *text = layout->text + piece->start;
    size_t bytes = piece->bytes, left = (size_t)(end - at);

    if (MR_LIKELY(bytes <= 16 && left >= 16)) {
        __m128i here = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i wanted = _mm_loadu_si128((const __m128i *)(const void *)text);
        uint32_t same = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(here, wanted));
        return (~same & ((1u << bytes) - 1)) == 0 ? at + bytes : NULL;
    }
    if (bytes == 1)
        return left >= 1 && *at == *text ? at + 1 : NULL;
    return left >= bytes && memcmp(at, text, bytes) == 0 ? at + bytes : NULL;
}

/* The string whose quotes stand at `at` and `stop`. Which slots are present is known beforehand. */
static inline void fill_string(struct mr_slot *slot, const uint8_t *at, const uint8_t *stop)
{
    slot->found = MR_FOUND_STRING;
    slot->at = at;
    slot->text = mr_span_of(at + 1, (size_t)(stop - at - 1));
}

/* The cursor stays in a register: through memory, each step would wait for the last one's store. */
bool mr_layout_match(const struct mr_layout *layout, struct mr_walk *walk, struct mr_span payload)
{
    const struct mr_piece *piece = layout->pieces, *last = piece + layout->scalar_count;
    const uint8_t *at = payload.data, *end = mr_span_end(payload), *stop;

    if (!layout->known || payload.bytes == 0)
        return false;
    mr_walk_begin(walk, payload);
    for (; piece < last; piece++) {
        at = piece_end(layout, piece, at, end);
        if (at == NULL || at == end)
            return false;
        if (*at == '"') {
            stop = mr_json_plain_end(payload.data, at + 1, end);
            if (MR_LIKELY(stop < end && *stop == '"')) {
                if (piece->leaf != MR_NONE)
                    fill_string(&walk->slots[piece->leaf], at, stop);
                at = stop + 1;
                continue;
            }
        }
        walk->json.at = at;
        if (!mr_scalar_take(walk, piece->leaf))
            return false;
        at = walk->json.at;
    }
    walk->present = layout->present;
    at = piece_end(layout, last, at, end);
    return at == end;
}
