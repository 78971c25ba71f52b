/* Aim: a thread starts, turns, parks, wakes and stops; one that cannot be pinned is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <unistd.h>

#include "core/fault.h"
#include "core/worker.h"

struct post {
    _Atomic uint32_t asked, answered, turns;
};

static uint32_t answer(void *self, uint64_t now_ns)
{
    struct post *post = self;
    uint32_t asked = atomic_load(&post->asked);
    uint32_t done = asked - atomic_load(&post->answered);

    (void)now_ns;
    atomic_fetch_add(&post->turns, 1);
    atomic_store(&post->answered, asked);
    return done;
}

static void wait_for(_Atomic uint32_t *value, uint32_t wanted)
{
    while (atomic_load(value) < wanted)
        sched_yield();
}

static void it_parks_wakes_and_stops(void **state)
{
    struct post first = {0}, second = {0};
    struct mr_thread thread;

    (void)state;
    alarm(60);
    assert_int_equal(mr_thread_init(&thread, MR_IO_EPOLL), MR_OK);
    mr_thread_add(&thread, "puller", 0, &first, answer);
    mr_thread_add(&thread, "writer", 12, &second, answer);
    assert_string_equal(thread.workers[1].name, "writer 12");
    assert_int_equal(mr_thread_start(&thread), MR_OK);
    while (atomic_load(&thread.parks) < 3)
        usleep(1000);
    for (uint32_t i = 1; i <= 1000; i++) {
        struct post *post = i % 2 ? &first : &second;
        uint32_t asked = atomic_fetch_add(&post->asked, 1) + 1;
        mr_io_wake(thread.io);
        wait_for(&post->answered, asked);
    }
    mr_thread_stop(&thread);
    assert_true(atomic_load(&thread.busy_turns) > 0);
    assert_true(atomic_load(&thread.turns) >= atomic_load(&thread.busy_turns));
    assert_int_equal(atomic_load(&first.turns), atomic_load(&second.turns));
    uint32_t turns = atomic_load(&first.turns);
    usleep(2000);
    assert_int_equal(atomic_load(&first.turns), turns);
    mr_thread_stop(&thread);
    mr_thread_finish(&thread);
    mr_thread_finish(&(struct mr_thread){0});
}

static void a_spinning_thread_never_parks(void **state)
{
    struct post post = {0};
    struct mr_thread thread;

    (void)state;
    alarm(60);
    assert_int_equal(mr_thread_init(&thread, MR_IO_EPOLL), MR_OK);
    thread.spin = true;
    mr_thread_add(&thread, "keeper", 0, &post, answer);
    assert_int_equal(mr_thread_start(&thread), MR_OK);
    wait_for(&post.turns, 5000);
    mr_thread_finish(&thread);
    assert_int_equal(atomic_load(&thread.parks), 0);
}

static void a_cpu_that_is_not_ours(void **state)
{
    const int cpus[] = {CPU_SETSIZE - 1, CPU_SETSIZE, 1 << 20};

    (void)state;
    for (size_t i = 0; i < MR_COUNT(cpus); i++) {
        struct post post = {0};
        struct mr_thread thread;
        assert_int_equal(mr_thread_init(&thread, MR_IO_EPOLL), MR_OK);
        mr_thread_add(&thread, "puller", 0, &post, answer);
        thread.cpu = cpus[i];
        assert_int_equal(mr_thread_start(&thread), MR_E_THREAD);
        mr_thread_finish(&thread);
        assert_int_equal(atomic_load(&post.turns), 0);
    }
}

static void the_first_fault_is_kept(void **state)
{
    static struct mr_fault fault;
    static char text[600];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(mr_fault_err(&fault), MR_OK);
    mr_fault_raise(&fault, MR_E_THREAD, "%s%s", "first ", text);
    mr_fault_raise(&fault, MR_E_MEMORY, "second");
    assert_int_equal(mr_fault_err(&fault), MR_E_THREAD);
    assert_int_equal(strlen(fault.text), sizeof fault.text - 1);
    assert_memory_equal(fault.text, "first xxx", 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_parks_wakes_and_stops),
        cmocka_unit_test(a_spinning_thread_never_parks),
        cmocka_unit_test(a_cpu_that_is_not_ours),
        cmocka_unit_test(the_first_fault_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
