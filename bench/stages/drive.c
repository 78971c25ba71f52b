/* Runs one stage so many times, for bench/instructions: drive STAGE RUNS. Prints how many items
 * that were and their checksum. Two lengths of run cancel what setting up costs. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/stages/stage.h"

struct choice {
    const char *name;
    const struct mr_stage *stage;
    struct mr_stage_shape shape;
};

static const struct choice choices[] = {
    {"decode", &mr_stage_decode, {0}},
    {"decode-complete", &mr_stage_decode, {.complete = true}},
    {"decode-wide", &mr_stage_decode, {.wide = true}},
    {"batch", &mr_stage_batch, {0}},
    {"fold", &mr_stage_fold, {.keys = 16}},
    {"fold-disorder", &mr_stage_fold, {.keys = 16, .disorder = true}},
    {"fire", &mr_stage_fire, {.keys = 16, .panes = 5}},
    {"encode", &mr_stage_encode, {0}},
    {"walk", &mr_stage_walk, {0}},
    {"ack", &mr_stage_ack, {0}},
};

static int run(const struct choice *choice, uint32_t runs)
{
    const struct mr_stage *stage = choice->stage;
    void *self = stage->create(&choice->shape);
    struct mr_done sum = {0};

    for (uint32_t i = 0; i < runs; i++) {
        struct mr_done done = stage->run(self);
        sum.items += done.items;
        sum.checksum += done.checksum;
    }
    stage->destroy(self);
    printf("%llu %s %llu\n", (unsigned long long)sum.items, stage->item,
           (unsigned long long)sum.checksum);
    return 0;
}

int main(int argc, char **argv)
{
    for (uint32_t i = 0; argc == 3 && i < MR_COUNT(choices); i++)
        if (strcmp(argv[1], choices[i].name) == 0)
            return run(&choices[i], (uint32_t)atoi(argv[2]));
    fprintf(stderr, "usage: drive STAGE RUNS; stages:");
    for (uint32_t i = 0; i < MR_COUNT(choices); i++)
        fprintf(stderr, " %s", choices[i].name);
    fprintf(stderr, "\n");
    return 64;
}
