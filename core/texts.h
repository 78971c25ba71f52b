/* A growing heap of small texts and nodes that live and die together: the configuration's memory.
 * Owns    everything taken here until mr_texts_finish.
 * Thread  one.
 * Errors  no memory at start is a broken belief: the process ends. */
#ifndef MR_CORE_TEXTS_H
#define MR_CORE_TEXTS_H

#include "core/base.h"

struct mr_texts_block;

struct mr_texts {
    struct mr_texts_block *newest;
};

/* `bytes` of zeroed memory, aligned for any type. */
void *mr_texts_take(struct mr_texts *strings, size_t bytes);
char *mr_texts_copy(struct mr_texts *strings, const char *text, size_t bytes);
char *mr_texts_print(struct mr_texts *strings, const char *format, ...) MR_PRINTF(2, 3);
void mr_texts_finish(struct mr_texts *strings);

#endif
