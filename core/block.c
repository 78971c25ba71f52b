#include "core/block.h"

static bool open_block(struct mr_outlet *outlet)
{
    struct mr_block *block = mr_slab_take(outlet->slab);
    if (!block)
        return false;
    *block = (struct mr_block){
        .share = outlet->share,
        .capacity = (uint32_t)(outlet->slab->block_bytes - sizeof *block),
        .first_number = outlet->next_number,
    };
    outlet->open = block;
    return true;
}

static bool close_block(struct mr_outlet *outlet)
{
    if (outlet->full_count == MR_OUTLET_FULL_MAX)
        return false;
    outlet->open->cause_seq = outlet->cause_seq;
    outlet->full[outlet->full_count++] = outlet->open;
    outlet->open = NULL;
    return true;
}

void *mr_outlet_reserve(struct mr_outlet *outlet, uint32_t bytes)
{
    if (outlet->open && outlet->open->capacity - outlet->open->bytes < bytes &&
        !close_block(outlet))
        return NULL;
    if (!outlet->open && !open_block(outlet))
        return NULL;
    MR_ASSERT(outlet->open->capacity - outlet->open->bytes >= bytes);
    return (uint8_t *)(outlet->open + 1) + outlet->open->bytes;
}

void mr_outlet_commit(struct mr_outlet *outlet, uint32_t bytes)
{
    outlet->open->bytes += bytes;
    outlet->open->count++;
    outlet->next_number++;
}

bool mr_outlet_flush(struct mr_outlet *outlet)
{
    if (!outlet->open || outlet->open->count == 0)
        return true;
    return close_block(outlet);
}

bool mr_outlet_end(struct mr_outlet *outlet)
{
    if (!outlet->open && !open_block(outlet))
        return false;
    outlet->open->flags |= MR_BLOCK_END;
    return close_block(outlet);
}
