/* Aim: no wake-up is lost, whatever moment it comes at, and a wait lasts no longer than asked. */
#include "tests/core/io_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define ROUNDS 100000u
#define WAKERS 3

static _Atomic uint32_t asked[WAKERS], answered[WAKERS];

/* Puts a number, wakes, and goes on only when it was seen: a lost wake-up stops everything, since
 * the owner below waits without limit. Every so often it dawdles, so that the owner sleeps. */
static void *waker(void *argument)
{
    uint32_t index = (uint32_t)(uintptr_t)argument;

    for (uint32_t i = 1; i <= ROUNDS; i++) {
        atomic_store_explicit(&asked[index], i, memory_order_relaxed);
        mr_io_wake(io);
        while (atomic_load_explicit(&answered[index], memory_order_acquire) != i)
            if (i % 3 == 0)
                sched_yield();
        if (i % 1024 == 0)
            usleep(50);
    }
    return NULL;
}

static uint32_t answer_all(void)
{
    uint32_t finished = 0;

    for (uint32_t i = 0; i < WAKERS; i++) {
        uint32_t number = atomic_load_explicit(&asked[i], memory_order_relaxed);
        atomic_store_explicit(&answered[i], number, memory_order_release);
        finished += number == ROUNDS;
    }
    return finished;
}

static void no_wake_is_lost(void **state)
{
    pthread_t threads[WAKERS];

    (void)state;
    memset(asked, 0, sizeof asked);
    memset(answered, 0, sizeof answered);
    for (uint32_t i = 0; i < WAKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, waker, (void *)(uintptr_t)i), 0);
    while (answer_all() < WAKERS)
        mr_io_turn(io, UINT64_MAX);
    for (uint32_t i = 0; i < WAKERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(mr_io_counters(io)->waits > 0);
    assert_true(mr_io_counters(io)->wakes > 0);
}

static void a_wake_before_the_wait_counts(void **state)
{
    (void)state;
    mr_io_turn(io, 0);
    mr_io_wake(io);
    mr_io_wake(io);
    mr_io_turn(io, UINT64_MAX);
    assert_int_equal(mr_io_counters(io)->wakes, 1);
    assert_int_equal(mr_io_counters(io)->waits, 0);
}

static void a_wait_ends_by_itself(void **state)
{
    (void)state;
    for (uint64_t wait_ns = 1; wait_ns < 50000000u; wait_ns *= 7)
        assert_int_equal(mr_io_turn(io, wait_ns), 0);
    assert_true(mr_io_counters(io)->waits >= 10);
    assert_int_equal(mr_io_counters(io)->wakes, 0);
}

static void on_alarm(int signal)
{
    (void)signal;
}

/* A signal ends the wait without an event, and nothing breaks. */
static void signals_are_survived(void **state)
{
    struct sigaction action = {.sa_handler = on_alarm}, before;

    (void)state;
    sigaction(SIGALRM, &action, &before);
    ualarm(2000, 2000);
    for (int i = 0; i < 20; i++)
        assert_int_equal(mr_io_turn(io, 5000000u), 0);
    ualarm(0, 0);
    sigaction(SIGALRM, &before, NULL);
    alarm(120);
}

static void *turns_elsewhere(void *argument)
{
    struct waited *w = argument;
    while (w->ends == 0)
        mr_io_turn(io, TURN_NS);
    return NULL;
}

/* Created and begun by one thread, owned by the thread of its first turn. */
static void another_thread_may_own_it(void **state)
{
    struct waited w = waited_new();
    pthread_t owner;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    mr_io_write(io, &w.op, ends[1], "abc", 3, -1, 0);
    assert_int_equal(pthread_create(&owner, NULL, turns_elsewhere, &w), 0);
    pthread_join(owner, NULL);
    assert_int_equal(w.result, 3);
    mr_io_close(io, ends[0]);
    mr_io_close(io, ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IO_TEST(a_wake_before_the_wait_counts),
        IO_TEST(a_wait_ends_by_itself),
        IO_TEST(signals_are_survived),
        IO_TEST(another_thread_may_own_it),
        IO_TEST(no_wake_is_lost),
    };
    RUN_ON_BOTH(tests);
}
