#include "core/hash.h"
#include "local/pubsub_state.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#define WORD_CHARS 11 /* of 64 bits; an id is two words, and then their seal */

static char *put_word(char *out, uint64_t word, uint32_t chars)
{
    for (uint32_t i = 0; i < chars; i++, word >>= 6)
        *out++ = letters[word & 63];
    return out;
}

static uint64_t get_word(const uint8_t *in)
{
    static const uint8_t values[128] = {
        ['A'] = 0,  ['B'] = 1,  ['C'] = 2,  ['D'] = 3,  ['E'] = 4,  ['F'] = 5,  ['G'] = 6,
        ['H'] = 7,  ['I'] = 8,  ['J'] = 9,  ['K'] = 10, ['L'] = 11, ['M'] = 12, ['N'] = 13,
        ['O'] = 14, ['P'] = 15, ['Q'] = 16, ['R'] = 17, ['S'] = 18, ['T'] = 19, ['U'] = 20,
        ['V'] = 21, ['W'] = 22, ['X'] = 23, ['Y'] = 24, ['Z'] = 25, ['a'] = 26, ['b'] = 27,
        ['c'] = 28, ['d'] = 29, ['e'] = 30, ['f'] = 31, ['g'] = 32, ['h'] = 33, ['i'] = 34,
        ['j'] = 35, ['k'] = 36, ['l'] = 37, ['m'] = 38, ['n'] = 39, ['o'] = 40, ['p'] = 41,
        ['q'] = 42, ['r'] = 43, ['s'] = 44, ['t'] = 45, ['u'] = 46, ['v'] = 47, ['w'] = 48,
        ['x'] = 49, ['y'] = 50, ['z'] = 51, ['0'] = 52, ['1'] = 53, ['2'] = 54, ['3'] = 55,
        ['4'] = 56, ['5'] = 57, ['6'] = 58, ['7'] = 59, ['8'] = 60, ['9'] = 61, ['-'] = 62,
        ['_'] = 63};

    uint64_t word = 0;

    /* Strangers read as 'A': the text is compared with what it should be, and differs then. */
    for (uint32_t i = WORD_CHARS; i-- > 0;)
        word = word << 6 | values[in[i] & 127];
    return word;
}

/* Two Feistel steps: each half is hidden by a hash of the other, and can be found again. */
static void hide(const struct mr_pubsub_store *s, uint64_t *a, uint64_t *b)
{
    *b ^= mr_hash_mix(*a ^ s->secret, MR_HASH_K1);
    *a ^= mr_hash_mix(*b ^ s->secret, MR_HASH_K2);
}

static void reveal(const struct mr_pubsub_store *s, uint64_t *a, uint64_t *b)
{
    *a ^= mr_hash_mix(*b ^ s->secret, MR_HASH_K2);
    *b ^= mr_hash_mix(*a ^ s->secret, MR_HASH_K1);
}

/* Writes the whole id from its hidden words: each later character depends on the secret and on
 * both, so that one changed character anywhere no longer fits. */
static void seal(const struct mr_pubsub_store *s, uint64_t a, uint64_t b, uint32_t chars, char *out)
{
    uint64_t h = mr_hash_mix(a ^ MR_HASH_K0, b ^ s->secret);
    char *end = out + chars;

    out = put_word(out, a, WORD_CHARS);
    out = put_word(out, b, WORD_CHARS);
    while (out < end) {
        h = mr_hash_mix(h ^ s->secret, MR_HASH_K1);
        out = put_word(out, h, MR_MIN(10, (uint32_t)(end - out)));
    }
}

uint32_t mr_pubsub_token_write(const struct mr_pubsub_store *s, uint32_t uid, uint32_t index,
                               uint32_t stamp, bool stream, char *out)
{
    uint32_t chars = stream ? STREAM_ACK_CHARS : UNARY_ACK_CHARS;
    uint64_t a = (uint64_t)uid << 32 | index;
    uint64_t b = (uint64_t)s->incarnation << 32 | stamp;

    hide(s, &a, &b);
    seal(s, a, b, chars, out);
    return chars;
}

enum token mr_pubsub_token_read(const struct mr_pubsub_store *s, struct mr_span text, uint32_t *uid,
                                uint32_t *index, uint32_t *stamp)
{
    char expected[UNARY_ACK_CHARS];
    uint64_t a, b;

    if (text.bytes != STREAM_ACK_CHARS && text.bytes != UNARY_ACK_CHARS)
        return TOKEN_BAD;
    a = get_word(text.data);
    b = get_word(text.data + WORD_CHARS);
    seal(s, a, b, (uint32_t)text.bytes, expected);
    if (memcmp(expected, text.data, text.bytes) != 0)
        return TOKEN_BAD;
    reveal(s, &a, &b);
    *uid = (uint32_t)(a >> 32);
    *index = (uint32_t)a;
    *stamp = (uint32_t)b;
    return b >> 32 == s->incarnation ? TOKEN_FRESH : TOKEN_OLD;
}

void mr_pubsub_page_token_write(const struct mr_pubsub_store *s, uint32_t uid, char *out)
{
    uint64_t a = uid, b = MR_HASH_K0;

    hide(s, &a, &b);
    seal(s, a, b, MR_PUBSUB_TOKEN_BYTES, out);
    out[MR_PUBSUB_TOKEN_BYTES] = 0;
}

bool mr_pubsub_page_token_read(const struct mr_pubsub_store *s, struct mr_span text, uint32_t *uid)
{
    char expected[MR_PUBSUB_TOKEN_BYTES];
    uint64_t a, b;

    if (text.bytes != MR_PUBSUB_TOKEN_BYTES)
        return false;
    a = get_word(text.data);
    b = get_word(text.data + WORD_CHARS);
    seal(s, a, b, MR_PUBSUB_TOKEN_BYTES, expected);
    reveal(s, &a, &b);
    *uid = (uint32_t)a;
    return memcmp(expected, text.data, sizeof expected) == 0 && b == MR_HASH_K0;
}
