/* Aim: reads, writes and polls of files and pipes mean the same on both bodies, to the last byte
 * and the last error. */
#include "tests/core/io_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#define BLOCK 100003u

static uint8_t out[BLOCK], in[BLOCK + 100];

static int temporary_file(void)
{
    char path[] = "/tmp/mr_io_XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    unlink(path);
    for (uint32_t i = 0; i < BLOCK; i++)
        out[i] = (uint8_t)(i * 2654435761u >> 13);
    memset(in, 0, sizeof in);
    return fd;
}

static void blocks_come_back_from_their_offsets(void **state)
{
    struct waited w[4], sync = waited_new(), r = waited_new();
    int fd = temporary_file();

    (void)state;
    for (int i = 0; i < 4; i++) {
        w[i] = waited_new();
        mr_io_write(io, &w[i].op, fd, out, BLOCK, (int64_t)(3 - i) * BLOCK,
                    i == 2 ? MR_IO_DSYNC : 0);
    }
    assert_int_equal(mr_io_pending(io), 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(finish(&w[i]), BLOCK);
        assert_int_equal(w[i].op.moved, BLOCK);
    }
    mr_io_fdatasync(io, &sync.op, fd);
    assert_int_equal(finish(&sync), 0);
    for (int i = 0; i < 4; i++) {
        r = waited_new();
        mr_io_read(io, &r.op, fd, in, BLOCK, (int64_t)i * BLOCK);
        assert_int_equal(finish(&r), BLOCK);
        assert_memory_equal(in, out, BLOCK);
    }
    assert_int_equal(mr_io_pending(io), 0);
    mr_io_close(io, fd);
}

static void a_short_file_ends_the_read_short(void **state)
{
    struct waited w = waited_new(), r = waited_new();
    int fd = temporary_file();

    (void)state;
    mr_io_write(io, &w.op, fd, out, 777, 0, 0);
    assert_int_equal(finish(&w), 777);
    mr_io_read(io, &r.op, fd, in, BLOCK, 7);
    assert_int_equal(finish(&r), 770);
    assert_memory_equal(in, out + 7, 770);
    r = waited_new();
    mr_io_read(io, &r.op, fd, in, BLOCK, 777);
    assert_int_equal(finish(&r), 0);
    mr_io_close(io, fd);
}

static void the_files_own_position_moves(void **state)
{
    struct waited w, r;
    int fd = temporary_file();

    (void)state;
    for (int i = 0; i < 3; i++) {
        w = waited_new();
        mr_io_write(io, &w.op, fd, out + 100 * i, 100, -1, 0);
        assert_int_equal(finish(&w), 100);
    }
    assert_int_equal(lseek(fd, 50, SEEK_SET), 50);
    r = waited_new();
    mr_io_read(io, &r.op, fd, in, BLOCK, -1);
    assert_int_equal(finish(&r), 250);
    assert_memory_equal(in, out + 50, 250);
    r = waited_new();
    mr_io_read(io, &r.op, fd, in, BLOCK, -1);
    assert_int_equal(finish(&r), 0);
    mr_io_close(io, fd);
}

static void errors_keep_their_names(void **state)
{
    struct waited w = waited_new(), r = waited_new(), s = waited_new();
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC), directory = open("/tmp", O_RDONLY);

    (void)state;
    mr_io_write(io, &w.op, full, out, 1000, -1, 0);
    assert_int_equal(finish(&w), -ENOSPC);
    w = waited_new();
    mr_io_write(io, &w.op, full, out, 1000, 0, 0);
    assert_int_equal(finish(&w), -ENOSPC);
    assert_int_equal(w.op.moved, 0);
    mr_io_read(io, &r.op, directory, in, 10, 0);
    assert_int_equal(finish(&r), -EISDIR);
    r = waited_new();
    mr_io_read(io, &r.op, 1000000, in, 10, 0);
    assert_int_equal(finish(&r), -EBADF);
    mr_io_fdatasync(io, &s.op, 1000000);
    assert_int_equal(finish(&s), -EBADF);
    mr_io_close(io, full);
    mr_io_close(io, directory);
}

/* A write larger than the pipe, in either mode of the descriptor, ends once the reader took all. */
static void pipe_carries_more_than_it_holds(int flags)
{
    struct waited w = waited_new(), r;
    uint32_t seen = 0;
    int ends[2];

    assert_int_equal(pipe2(ends, flags), 0);
    close(temporary_file());
    mr_io_write(io, &w.op, ends[1], out, BLOCK, -1, 0);
    idle_turns();
    assert_int_equal(w.ends, 0);
    while (seen < BLOCK) {
        r = waited_new();
        mr_io_read(io, &r.op, ends[0], in + seen, BLOCK - seen, -1);
        assert_true(finish(&r) > 0);
        seen += (uint32_t)r.result;
    }
    assert_int_equal(finish(&w), BLOCK);
    assert_memory_equal(in, out, BLOCK);
    mr_io_close(io, ends[1]);
    r = waited_new();
    mr_io_read(io, &r.op, ends[0], in, 10, -1);
    assert_int_equal(finish(&r), 0);
    mr_io_close(io, ends[0]);
}

static void pipes_block_nobody(void **state)
{
    (void)state;
    pipe_carries_more_than_it_holds(0);
    pipe_carries_more_than_it_holds(O_NONBLOCK);
}

static void a_pipe_without_reader_is_epipe(void **state)
{
    struct waited w = waited_new();
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    mr_io_close(io, ends[0]);
    mr_io_write(io, &w.op, ends[1], out, 10, -1, 0);
    assert_int_equal(finish(&w), -EPIPE);
    mr_io_close(io, ends[1]);
}

static void cancelled_reads_end_once(void **state)
{
    struct waited early = waited_new(), late = waited_new();
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    mr_io_read(io, &early.op, ends[0], in, 10, -1);
    mr_io_cancel(io, &early.op);
    assert_int_equal(early.ends, 0);
    assert_int_equal(finish(&early), -ECANCELED);

    mr_io_read(io, &late.op, ends[0], in, 10, -1);
    idle_turns();
    mr_io_cancel(io, &late.op);
    mr_io_cancel(io, &late.op);
    assert_int_equal(finish(&late), -ECANCELED);

    /* The bytes are still there for the next reader. */
    assert_int_equal(write(ends[1], "abc", 3), 3);
    late = waited_new();
    mr_io_read(io, &late.op, ends[0], in, 10, -1);
    assert_int_equal(finish(&late), 3);
    idle_turns();
    assert_int_equal(early.ends, 1);
    assert_int_equal(late.ends, 1);
    mr_io_close(io, ends[0]);
    mr_io_close(io, ends[1]);
}

static void polls_tell_what_is_ready(void **state)
{
    struct waited in_ready = waited_new(), out_ready = waited_new();
    int ends[2], file = temporary_file();

    (void)state;
    assert_int_equal(pipe(ends), 0);
    mr_io_poll(io, &in_ready.op, ends[0], POLLIN);
    mr_io_poll(io, &out_ready.op, ends[1], POLLOUT);
    assert_int_equal(finish(&out_ready), POLLOUT);
    idle_turns();
    assert_int_equal(in_ready.ends, 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(finish(&in_ready), POLLIN);
    out_ready = waited_new();
    mr_io_poll(io, &out_ready.op, file, POLLIN | POLLOUT);
    assert_int_equal(finish(&out_ready), POLLIN | POLLOUT);
    mr_io_close(io, ends[0]);
    mr_io_close(io, ends[1]);
    mr_io_close(io, file);
}

struct chain {
    struct waited waited;
    struct mr_io_op deferred;
    int fd;
    uint32_t order, at_defer, at_write;
};

static void deferred_now(struct mr_io_op *op, int32_t result)
{
    struct chain *c = MR_CONTAINER(op, struct chain, deferred);
    assert_int_equal(result, 0);
    c->at_defer = ++c->order;
    mr_io_write(io, &c->waited.op, c->fd, "row\n", 4, -1, 0);
}

/* What a deferred call starts is submitted by the same turn. */
static void deferred_calls_come_before_the_submit(void **state)
{
    struct chain c = {.waited = waited_new(), .deferred.done = deferred_now};
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    c.fd = ends[1];
    mr_io_defer(io, &c.deferred);
    assert_int_equal(c.order, 0);
    mr_io_turn(io, 1000000000u);
    assert_int_equal(c.at_defer, 1);
    assert_int_equal(finish(&c.waited), 4);
    assert_int_equal(read(ends[0], in, 10), 4);
    mr_io_close(io, ends[0]);
    mr_io_close(io, ends[1]);
}

static void one_operation_too_many_is_refused(void **state)
{
    static struct waited w[1025];
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    for (uint32_t i = 0; i < 1025; i++) {
        w[i] = waited_new();
        mr_io_poll(io, &w[i].op, ends[0], POLLIN);
    }
    assert_int_equal(finish(&w[1024]), -ENOBUFS);
    idle_turns();
    assert_int_equal(mr_io_pending(io), 1024);
    for (uint32_t i = 0; i < 512; i++)
        mr_io_cancel(io, &w[i].op);
    assert_int_equal(write(ends[1], "x", 1), 1);
    TURN_UNTIL(mr_io_pending(io) == 0);
    for (uint32_t i = 0; i < 1024; i++)
        assert_int_equal(w[i].ends, 1);
    for (uint32_t i = 512; i < 1024; i++)
        assert_int_equal(w[i].result, POLLIN);
    mr_io_close(io, ends[0]);
    mr_io_close(io, ends[1]);
}

static void idle_turns_cost_few_system_calls(void **state)
{
    struct mr_io_counters before;

    (void)state;
    mr_io_turn(io, 0);
    before = *mr_io_counters(io);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(mr_io_turn(io, 0), 0);
    assert_int_equal(mr_io_counters(io)->turns - before.turns, 1000);
    assert_int_equal(mr_io_counters(io)->system_calls - before.system_calls, 0);
    assert_int_equal(mr_io_turn(io, 1000), 0);
    assert_int_equal(mr_io_counters(io)->waits - before.waits, 1);
    assert_int_equal(mr_io_counters(io)->system_calls - before.system_calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IO_TEST(blocks_come_back_from_their_offsets),
        IO_TEST(a_short_file_ends_the_read_short),
        IO_TEST(the_files_own_position_moves),
        IO_TEST(errors_keep_their_names),
        IO_TEST(pipes_block_nobody),
        IO_TEST(a_pipe_without_reader_is_epipe),
        IO_TEST(cancelled_reads_end_once),
        IO_TEST(polls_tell_what_is_ready),
        IO_TEST(deferred_calls_come_before_the_submit),
        IO_TEST(one_operation_too_many_is_refused),
        IO_TEST(idle_turns_cost_few_system_calls),
    };
    RUN_ON_BOTH(tests);
}
