#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "local/bq_value.h"

#define BLOCK_BYTES (256u * 1024)
#define KEEP_BYTES  (4u * 1024 * 1024) /* a block beyond it goes back when the heap is cleared */

struct mr_bq_heap_block {
    struct mr_bq_heap_block *next;
    size_t bytes;
    MR_ALIGNED(16) uint8_t data[];
};

static struct mr_bq_heap_block *block_create(size_t bytes)
{
    struct mr_bq_heap_block *block = malloc(sizeof *block + bytes);
    MR_ASSERT(block);
    *block = (struct mr_bq_heap_block){.bytes = bytes};
    return block;
}

void *mr_bq_heap_take(struct mr_bq_heap *heap, size_t bytes)
{
    bytes = mr_round_up(bytes, 16);
    while (!heap->at || heap->at->bytes - heap->used < bytes) {
        struct mr_bq_heap_block **next = heap->at ? &heap->at->next : &heap->first;
        if (!*next)
            *next = block_create(MR_MAX(bytes, BLOCK_BYTES));
        heap->at = *next;
        heap->used = 0;
    }
    uint8_t *place = heap->at->data + heap->used;
    heap->used += bytes;
    return place;
}

char *mr_bq_heap_print(struct mr_bq_heap *heap, const char *format, ...)
{
    va_list list, again;

    va_start(list, format);
    va_copy(again, list);
    int bytes = vsnprintf(NULL, 0, format, list);
    MR_ASSERT(bytes >= 0);
    char *text = mr_bq_heap_take(heap, (size_t)bytes + 1);
    vsnprintf(text, (size_t)bytes + 1, format, again);
    va_end(again);
    va_end(list);
    return text;
}

char *mr_bq_heap_copy(struct mr_bq_heap *heap, struct mr_span span)
{
    char *text = mr_bq_heap_take(heap, span.bytes + 1);
    if (span.bytes)
        memcpy(text, span.data, span.bytes);
    text[span.bytes] = 0;
    return text;
}

void mr_bq_heap_add(struct mr_bq_heap *heap, struct mr_bq_spans *into, struct mr_span item)
{
    if (into->count == into->room) {
        uint32_t room = into->room ? 2 * into->room : 16;
        struct mr_span *items = mr_bq_heap_take(heap, room * sizeof *items);
        if (into->count)
            memcpy(items, into->items, into->count * sizeof *items);
        into->items = items;
        into->room = room;
    }
    into->items[into->count++] = item;
}

void mr_bq_heap_clear(struct mr_bq_heap *heap)
{
    for (struct mr_bq_heap_block **at = &heap->first; *at;) {
        struct mr_bq_heap_block *block = *at;
        if (block->bytes > KEEP_BYTES) {
            *at = block->next;
            free(block);
        } else {
            at = &block->next;
        }
    }
    heap->at = NULL;
    heap->used = 0;
}

void mr_bq_heap_finish(struct mr_bq_heap *heap)
{
    while (heap->first) {
        struct mr_bq_heap_block *block = heap->first;
        heap->first = block->next;
        free(block);
    }
    *heap = (struct mr_bq_heap){0};
}
