#include "core/arena.h"

#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

int mr_arena_init(struct mr_arena *arena, size_t bytes)
{
    bytes = mr_round_up(bytes, HUGE_PAGE);
    /* One huge page more than asked, so that the base can be aligned to one. */
    uint8_t *raw = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED)
        return MR_E_MEMORY;
    uint8_t *base = (uint8_t *)mr_round_up((size_t)raw, HUGE_PAGE);
    if (base > raw)
        munmap(raw, (size_t)(base - raw));
    if (base < raw + HUGE_PAGE)
        munmap(base + bytes, (size_t)(raw + HUGE_PAGE - base));
    madvise(base, bytes, MADV_HUGEPAGE);
    *arena = (struct mr_arena){.base = base, .bytes = bytes};
    return MR_OK;
}

void mr_arena_finish(struct mr_arena *arena)
{
    if (arena->base)
        munmap(arena->base, arena->bytes);
    *arena = (struct mr_arena){0};
}

void *mr_arena_take(struct mr_arena *arena, size_t bytes, size_t align)
{
    size_t start = mr_round_up(arena->used, align);

    if (bytes > arena->bytes || start > arena->bytes - bytes)
        return NULL;
    arena->used = start + bytes;
    return arena->base + start;
}

int mr_slab_init(struct mr_slab *slab, struct mr_arena *arena, uint32_t count, size_t block_bytes)
{
    block_bytes = mr_round_up(block_bytes, MR_FALSE_SHARING);
    void **blocks = mr_arena_take(arena, count * sizeof *blocks, MR_FALSE_SHARING);
    uint8_t *memory = mr_arena_take(arena, count * block_bytes, MR_FALSE_SHARING);
    if (!blocks || !memory)
        return MR_E_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        blocks[i] = memory + i * block_bytes;
    *slab = (struct mr_slab){
        .blocks = blocks, .count = count, .capacity = count, .block_bytes = block_bytes};
    return MR_OK;
}

void *mr_slab_take(struct mr_slab *slab)
{
    if (slab->count == 0)
        return NULL;
    void *block = slab->blocks[slab->head];
    slab->head = slab->head + 1 == slab->capacity ? 0 : slab->head + 1;
    slab->count--;
    return block;
}

void mr_slab_return(struct mr_slab *slab, void *block)
{
    MR_ASSERT(slab->count < slab->capacity);
    uint32_t tail = slab->head + slab->count;
    slab->blocks[tail >= slab->capacity ? tail - slab->capacity : tail] = block;
    slab->count++;
}

void mr_pool_init(struct mr_pool *pool, struct mr_arena *arena)
{
    *pool = (struct mr_pool){.arena = arena};
}

static size_t class_bytes(size_t bytes)
{
    return mr_pow2_at_least(MR_MAX(bytes, (size_t)MR_POOL_BYTES_MIN));
}

static uint32_t class_of(size_t class_bytes)
{
    return (uint32_t)__builtin_ctzll(class_bytes);
}

void *mr_pool_take(struct mr_pool *pool, size_t bytes)
{
    size_t size = class_bytes(bytes);
    uint32_t class = class_of(size);
    void *block = pool->free[class];

    MR_ASSERT(class < MR_POOL_CLASSES);
    if (block) {
        memcpy(&pool->free[class], block, sizeof(void *));
        memset(block, 0, size);
    } else {
        block = mr_arena_take(pool->arena, size, MR_CACHE_LINE);
        if (!block)
            return NULL;
    }
    pool->used_bytes += size;
    return block;
}

void mr_pool_return(struct mr_pool *pool, void *block, size_t bytes)
{
    if (!block)
        return;
    size_t size = class_bytes(bytes);
    uint32_t class = class_of(size);
    memcpy(block, &pool->free[class], sizeof(void *));
    pool->free[class] = block;
    pool->used_bytes -= size;
}
