/* Aim: the body is chosen as asked, and a host that refuses io_uring gets epoll with the reason. */
#include "tests/core/io_fixture.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* From here on `number` fails with `error` in this process. */
static int refuse(uint32_t number, uint32_t error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
    };
    struct sock_fprog program = {MR_COUNT(filter), filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

struct expectation {
    enum mr_io_choice choice;
    int err;
    const char *body, *reason; /* the reason contains this */
};

/* In a child, since a filter cannot be taken off again: 0, or the number of the belief that fails.
 */
static int child_refusing(uint32_t number, uint32_t error, struct expectation expected)
{
    struct mr_io *own = NULL;
    char sentence[256] = "";
    int err;

    if (refuse(number, error) != 0)
        return 77;
    err = mr_io_create(&own, expected.choice, NULL);
    if (err != expected.err)
        return 1;
    if (mr_io_uring_refusal(sentence, sizeof sentence) != -(int)error)
        return 2;
    if (!strstr(sentence, expected.reason))
        return 3;
    if (!own)
        return expected.body ? 4 : 0;
    if (strcmp(mr_io_body(own), expected.body) != 0)
        return 5;
    if (expected.choice == MR_IO_AUTO && strcmp(mr_io_body_reason(own), sentence) != 0)
        return 6;
    mr_io_wake(own);
    mr_io_turn(own, UINT64_MAX);
    mr_io_destroy(own);
    return 0;
}

static void expect_in_child(uint32_t number, uint32_t error, struct expectation expected)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(child_refusing(number, error, expected));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void refused_set_up_means_epoll(void **state)
{
    (void)state;
    expect_in_child(SYS_io_uring_setup, EPERM,
                    (struct expectation){MR_IO_AUTO, MR_OK, "epoll", "seccomp"});
    expect_in_child(SYS_io_uring_setup, ENOSYS,
                    (struct expectation){MR_IO_AUTO, MR_OK, "epoll", "no io_uring"});
    expect_in_child(SYS_io_uring_setup, EINVAL,
                    (struct expectation){MR_IO_AUTO, MR_OK, "epoll", "6.1"});
}

/* Filters that let the set-up pass and refuse what comes after it. */
static void half_a_refusal_means_epoll_too(void **state)
{
    (void)state;
    expect_in_child(SYS_io_uring_enter, EPERM,
                    (struct expectation){MR_IO_AUTO, MR_OK, "epoll", "io_uring_enter"});
    expect_in_child(SYS_io_uring_register, EPERM,
                    (struct expectation){MR_IO_AUTO, MR_OK, "epoll", "registering"});
}

static void insisting_on_what_is_refused_fails(void **state)
{
    (void)state;
    expect_in_child(SYS_io_uring_setup, EPERM,
                    (struct expectation){MR_IO_URING, MR_E_IO_URING, NULL, "io_uring_setup"});
    expect_in_child(SYS_io_uring_setup, EPERM,
                    (struct expectation){MR_IO_EPOLL, MR_OK, "epoll", "io_uring_setup"});
}

/* Kernels before 5.11, and filters that do not know the call, have milliseconds only. */
static void coarse_waits_are_good_enough(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        struct mr_io *own;
        if (refuse(SYS_epoll_pwait2, EPERM) != 0 || mr_io_create(&own, MR_IO_EPOLL, NULL) != MR_OK)
            _exit(1);
        for (int i = 0; i < 5; i++)
            if (mr_io_turn(own, 1500000) != 0)
                _exit(2);
        _exit(mr_io_counters(own)->waits == 5 ? 0 : 3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void expect_body(enum mr_io_choice choice, const char *body)
{
    struct mr_io *own;

    assert_int_equal(mr_io_create(&own, choice, NULL), MR_OK);
    assert_string_equal(mr_io_body(own), body);
    assert_int_equal(mr_io_body_reason(own)[0] == '\0', strcmp(body, "io_uring") == 0);
    mr_io_destroy(own);
}

static void the_environment_stands_in_for_auto(void **state)
{
    struct mr_io *own;

    (void)state;
    setenv("MILLRACE_IO", "epoll", 1);
    expect_body(MR_IO_AUTO, "epoll");
    expect_body(MR_IO_URING, "io_uring");
    setenv("MILLRACE_IO", "io_uring", 1);
    expect_body(MR_IO_AUTO, "io_uring");
    expect_body(MR_IO_EPOLL, "epoll");
    setenv("MILLRACE_IO", "threads", 1);
    assert_int_equal(mr_io_create(&own, MR_IO_AUTO, NULL), MR_E_USAGE);
    assert_null(own);
    unsetenv("MILLRACE_IO");
    expect_body(MR_IO_AUTO, "io_uring");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_set_up_means_epoll),
        cmocka_unit_test(half_a_refusal_means_epoll_too),
        cmocka_unit_test(insisting_on_what_is_refused_fails),
        cmocka_unit_test(coarse_waits_are_good_enough),
        cmocka_unit_test(the_environment_stands_in_for_auto),
    };
    char why[256];

    unsetenv("MILLRACE_IO");
    alarm(60);
    if (mr_io_uring_refusal(why, sizeof why) != 0) {
        fprintf(stderr, "SKIPPED: there is no io_uring to refuse: %s\n", why);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
