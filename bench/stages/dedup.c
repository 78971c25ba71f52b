#include <stdlib.h>

#include "bench/stages/load.h"
#include "windows/dedup.h"

#define IDS_A_RUN 65536u

/* Random ids, all different. Unbounded: the table grows from nothing to `keys`, growth included.
 * Bounded: it holds `keys` and forgets the oldest for each new one. */
struct dedup_stage {
    struct mr_arena arena;
    struct mr_pool pool;
    struct mr_dedup dedup;
    uint64_t random;
    uint32_t keys;
    bool bounded;
};

static void begin(struct dedup_stage *s)
{
    uint64_t ids = s->bounded ? s->keys : 2 * (uint64_t)s->keys;

    mr_load_need(mr_arena_init(&s->arena, UINT64_C(1) << 30) == MR_OK, "no arena");
    mr_pool_init(&s->pool, &s->arena);
    mr_dedup_init(&s->dedup, ids * 3 * sizeof(struct mr_id));
}

static uint64_t add(struct dedup_stage *s, uint32_t count)
{
    uint64_t added = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct mr_id id = {mr_load_random(&s->random), mr_load_random(&s->random)};
        added += mr_dedup_add(&s->dedup, &s->pool, id) == MR_DEDUP_NEW;
    }
    return added;
}

static void *create(const struct mr_stage_shape *shape)
{
    struct dedup_stage *s = calloc(1, sizeof *s);

    mr_load_need(s != NULL, "no memory");
    s->keys = shape->keys;
    s->bounded = shape->bounded;
    begin(s);
    if (s->bounded)
        add(s, s->keys);
    return s;
}

static struct mr_done run(void *self)
{
    struct dedup_stage *s = self;
    uint32_t count = s->bounded ? IDS_A_RUN : s->keys;

    if (!s->bounded) {
        mr_arena_finish(&s->arena);
        begin(s);
    }
    return (struct mr_done){.items = count, .checksum = add(s, count)};
}

static void destroy(void *self)
{
    struct dedup_stage *s = self;

    mr_arena_finish(&s->arena);
    free(s);
}

const struct mr_stage mr_stage_dedup = {"dedup", "id", create, run, destroy};
