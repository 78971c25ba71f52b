/* Runs a group of tests once for each body of the I/O seam.
 * The epoll run comes first and must pass; where io_uring is refused the program then exits 77. */
#ifndef MR_TESTS_CORE_IO_FIXTURE_H
#define MR_TESTS_CORE_IO_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/io.h"

#define TURN_NS   20000000u /* the longest wait of one turn */
#define TURNS_MAX 500000u   /* a test that has not ended by then has lost something */

static struct mr_io *io;
static struct mr_io_limits limits = {1024, 32, 16384};

struct waited {
    struct mr_io_op op;
    uint32_t ends;
    int32_t result;
};

static inline void waited_done(struct mr_io_op *op, int32_t result)
{
    struct waited *w = MR_CONTAINER(op, struct waited, op);
    w->ends++;
    w->result = result;
}

static inline struct waited waited_new(void)
{
    return (struct waited){.op.done = waited_done};
}

/* Turns until `condition` holds; fails the test if it never does. */
#define TURN_UNTIL(condition)                                                                      \
    do {                                                                                           \
        uint32_t turns_ = 0;                                                                       \
        while (!(condition)) {                                                                     \
            mr_io_turn(io, TURN_NS);                                                               \
            assert_true(++turns_ < TURNS_MAX);                                                     \
        }                                                                                          \
    } while (0)

static inline int32_t finish(struct waited *w)
{
    TURN_UNTIL(w->ends > 0);
    assert_int_equal(w->ends, 1);
    return w->result;
}

/* A few turns in which nothing is expected to happen. */
static inline void idle_turns(void)
{
    for (int i = 0; i < 5; i++)
        mr_io_turn(io, 1000000u);
}

static enum mr_io_choice fixture_choice;

static inline int fixture_open(void **state)
{
    (void)state;
    alarm(120); /* the watchdog of each test */
    return mr_io_create(&io, fixture_choice, &limits);
}

static inline int fixture_close(void **state)
{
    (void)state;
    mr_io_destroy(io);
    io = NULL;
    return 0;
}

#define IO_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

#define RUN_ON_BOTH(tests)                                                                         \
    do {                                                                                           \
        char why_[256];                                                                            \
        signal(SIGPIPE, SIG_IGN);                                                                  \
        fixture_choice = MR_IO_EPOLL;                                                              \
        if (cmocka_run_group_tests_name("epoll", tests, NULL, NULL) != 0)                          \
            return 1;                                                                              \
        if (mr_io_uring_refusal(why_, sizeof why_) != 0) {                                         \
            fprintf(stderr, "SKIPPED: the io_uring half of this test: %s\n", why_);                \
            return 77;                                                                             \
        }                                                                                          \
        fixture_choice = MR_IO_URING;                                                              \
        return cmocka_run_group_tests_name("io_uring", tests, NULL, NULL);                         \
    } while (0)

#endif
