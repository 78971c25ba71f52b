#include "core/texts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_BYTES 16384

struct mr_texts_block {
    struct mr_texts_block *older;
    size_t used, bytes;
    _Alignas(max_align_t) uint8_t data[];
};

void *mr_texts_take(struct mr_texts *strings, size_t bytes)
{
    struct mr_texts_block *block = strings->newest;

    bytes = mr_round_up(bytes ? bytes : 1, _Alignof(max_align_t));
    if (!block || block->bytes - block->used < bytes) {
        size_t room = MR_MAX(bytes, (size_t)BLOCK_BYTES);
        block = calloc(1, sizeof *block + room);
        MR_ASSERT(block);
        block->older = strings->newest;
        block->bytes = room;
        strings->newest = block;
    }
    void *taken = block->data + block->used;
    block->used += bytes;
    return taken;
}

char *mr_texts_copy(struct mr_texts *strings, const char *text, size_t bytes)
{
    char *copy = mr_texts_take(strings, bytes + 1);

    if (bytes)
        memcpy(copy, text, bytes);
    return copy;
}

char *mr_texts_print(struct mr_texts *strings, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    MR_ASSERT(format);
    int bytes = vsnprintf(NULL, 0, format, args);
    va_end(args);
    MR_ASSERT(bytes >= 0);
    char *text = mr_texts_take(strings, (size_t)bytes + 1);
    vsnprintf(text, (size_t)bytes + 1, format, again);
    va_end(again);
    return text;
}

void mr_texts_finish(struct mr_texts *strings)
{
    while (strings->newest) {
        struct mr_texts_block *older = strings->newest->older;
        free(strings->newest);
        strings->newest = older;
    }
}
