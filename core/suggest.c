#include "core/suggest.h"

static uint8_t lower(char c)
{
    return (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* Three rows of the optimal string alignment table: the swap looks two rows back. */
uint32_t mr_edit_distance(const char *a, const char *b)
{
    size_t a_bytes = strlen(a), b_bytes = strlen(b);
    uint32_t rows[3][MR_SUGGEST_BYTES_MAX + 1];

    if (a_bytes > MR_SUGGEST_BYTES_MAX || b_bytes > MR_SUGGEST_BYTES_MAX)
        return UINT32_MAX;
    for (uint32_t j = 0; j <= b_bytes; j++)
        rows[0][j] = j;
    for (uint32_t i = 1; i <= a_bytes; i++) {
        uint32_t *now = rows[i % 3], *above = rows[(i - 1) % 3];
        now[0] = i;
        for (uint32_t j = 1; j <= b_bytes; j++) {
            uint32_t replaced = above[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));
            now[j] = MR_MIN(MR_MIN(above[j] + 1, now[j - 1] + 1), replaced);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                now[j] = MR_MIN(now[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[a_bytes % 3][b_bytes];
}

const char *mr_suggest(const char *word, const char *const *names, uint32_t count)
{
    uint32_t best = MR_MIN(3u, MR_MAX(1u, (uint32_t)strlen(word) / 3)) + 1;
    const char *found = NULL;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t distance = mr_edit_distance(word, names[i]);
        if (distance < best) {
            best = distance;
            found = names[i];
        }
    }
    return found;
}
