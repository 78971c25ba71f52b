/* A plan from a few lines of YAML, and rows for it, for tests of the sinks. */
#ifndef MR_TESTS_SINKS_KIT_H
#define MR_TESTS_SINKS_KIT_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/block.h"
#include "core/key.h"
#include "core/plan.h"
#include "core/row.h"

static struct mr_config kit_config;
static struct mr_plan kit_plan;

static inline void kit_plan_make(const char *yaml)
{
    char path[] = "/tmp/millrace-kit-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
    close(fd);
    assert_int_equal(mr_config_read(&kit_config, path, NULL, 0, stderr), 0);
    unlink(path);
    assert_null(mr_plan_init(&kit_plan, &kit_config));
}

/* Lays a row out at `at`, which has room; the cell is zero, to be filled by the test. */
static inline struct mr_row *kit_row(void *at, uint16_t definition, const uint8_t *key,
                                     uint32_t key_bytes)
{
    uint32_t cell = kit_plan.groupings[kit_plan.grouping_of[definition]].cell.bytes;
    struct mr_row *row = at;

    *row = (struct mr_row){
        .bytes = (uint32_t)mr_round_up(sizeof *row + cell + key_bytes, 8),
        .definition = definition,
        .timing = MR_ON_TIME,
        .key_bytes = key_bytes,
    };
    memset(mr_row_cell(row), 0, cell);
    memcpy(mr_row_cell(row) + cell, key, key_bytes);
    return row;
}

#endif
