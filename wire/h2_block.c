#include "wire/h2_block.h"

#include <stdlib.h>

static bool grow(void **memory, size_t *max, size_t need, size_t size)
{
    if (need <= *max)
        return true;
    size_t wanted = MR_MAX(need, *max * 2);
    void *grown = realloc(*memory, wanted * size);
    if (!grown)
        return false;
    *memory = grown;
    *max = wanted;
    return true;
}

bool mr_h2_block_add(struct mr_h2_header_block *block, struct mr_span name, struct mr_span value)
{
    block->list_bytes += name.bytes + value.bytes + 32;
    if (block->list_bytes > MR_H2_HEADER_LIST_BYTES)
        return false;
    if (!grow((void **)&block->headers, &block->header_max, block->count + 1,
              sizeof *block->headers) ||
        !grow((void **)&block->text, &block->byte_max, block->bytes + name.bytes + value.bytes, 1))
        return false;
    block->headers[block->count++] = (struct mr_h2_header){mr_span_of(NULL, name.bytes),
                                                           mr_span_of(NULL, value.bytes)};
    if (name.bytes)
        memcpy(block->text + block->bytes, name.data, name.bytes);
    if (value.bytes)
        memcpy(block->text + block->bytes + name.bytes, value.data, value.bytes);
    block->bytes += name.bytes + value.bytes;
    return true;
}

void mr_h2_block_seal(struct mr_h2_header_block *block)
{
    const uint8_t *at = block->text;

    for (size_t i = 0; i < block->count; i++) {
        block->headers[i].name.data = at;
        at += block->headers[i].name.bytes;
        block->headers[i].value.data = at;
        at += block->headers[i].value.bytes;
    }
}

void mr_h2_block_clear(struct mr_h2_header_block *block)
{
    block->count = block->bytes = block->list_bytes = 0;
}

void mr_h2_block_finish(struct mr_h2_header_block *block)
{
    free(block->headers);
    free(block->text);
    *block = (struct mr_h2_header_block){0};
}

bool mr_h2_block_has(const struct mr_h2_header_block *block, const char *name)
{
    for (size_t i = 0; i < block->count; i++)
        if (mr_span_equal(block->headers[i].name, mr_span_text(name)))
            return true;
    return false;
}

bool mr_h2_block_is_interim(const struct mr_h2_header_block *block)
{
    for (size_t i = 0; i < block->count; i++)
        if (mr_span_equal(block->headers[i].name, mr_span_text(":status")))
            return block->headers[i].value.bytes == 3 && block->headers[i].value.data[0] == '1';
    return false;
}
