/* Aim: the blocks of a reader put together are the file, line by line, whatever its lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "sources/lines.h"
#include "tests/random.h"

#define BLOCK    MR_TEXT_BLOCK_BYTES
#define FILE_MAX ((size_t)8 << 20)
#define LINE_MAX (3 * BLOCK)

static struct mr_arena arena;
static struct mr_io *io;
static struct mr_fault fault;
static uint8_t *content;
static size_t content_bytes;

static int open_all(void **state)
{
    (void)state;
    alarm(120);
    memset(&fault, 0, sizeof fault);
    content = malloc(FILE_MAX);
    content_bytes = 0;
    return mr_arena_init(&arena, (size_t)8 << 20) || mr_io_create(&io, MR_IO_EPOLL, NULL);
}

static int close_all(void **state)
{
    (void)state;
    mr_io_destroy(io);
    mr_arena_finish(&arena);
    free(content);
    return 0;
}

static void add_line(size_t bytes, uint8_t fill, bool end)
{
    assert_true(content_bytes + bytes + 1 <= FILE_MAX);
    memset(content + content_bytes, fill, bytes);
    content_bytes += bytes;
    if (end)
        content[content_bytes++] = '\n';
}

/* Takes one line off the front of the file as it should be; NULL line feed: the last one. */
static size_t line_at(size_t at, size_t *next)
{
    const uint8_t *end = memchr(content + at, '\n', content_bytes - at);
    size_t bytes = end ? (size_t)(end - (content + at)) : content_bytes - at;

    *next = at + bytes + (end != NULL);
    return bytes;
}

/* Holds a block against the file from `at`; returns where the next should start. */
static size_t check_block(const struct mr_text *text, size_t at)
{
    size_t next;

    if (text->flags & MR_TEXT_LONG) {
        size_t bytes = line_at(at, &next);
        assert_true(bytes >= BLOCK);
        assert_int_equal(text->line_bytes, bytes);
        if (text->flags & MR_TEXT_TOO_LONG) {
            assert_true(bytes > LINE_MAX);
            assert_int_equal(text->bytes, MR_TEXT_KEPT_BYTES);
        } else {
            assert_true(bytes <= LINE_MAX);
            assert_int_equal(text->bytes, bytes);
        }
        assert_memory_equal(text->data, content + at, text->bytes);
        return next;
    }
    assert_true(text->bytes > 0 && at + text->bytes <= content_bytes);
    assert_memory_equal(text->data, content + at, text->bytes);
    if (at + text->bytes < content_bytes)
        assert_int_equal(text->data[text->bytes - 1], '\n');
    return at + text->bytes;
}

static void read_all(int fd, uint32_t blocks)
{
    struct mr_reader reader;
    struct mr_text *text, *held = NULL;
    uint64_t number = 0;
    uint32_t idle = 0;
    size_t at = 0;

    arena.used = 0;
    assert_int_equal(mr_reader_init(&reader, &arena, io, &fault, fd, "f", blocks, LINE_MAX), MR_OK);
    for (bool end = false; !end; mr_io_turn(io, 0)) {
        mr_reader_poll(&reader);
        while ((text = mr_reader_take(&reader)) != NULL) {
            idle = 0;
            assert_int_equal(text->number, number++);
            end = text->flags & MR_TEXT_END;
            if (end)
                assert_int_equal(text->bytes, 0);
            else
                at = check_block(text, at);
            if (held) /* blocks come back late, and never all */
                mr_reader_return(&reader, held);
            held = text;
        }
        assert_true(++idle < 100000);
        if (idle > 3 && held) {
            mr_reader_return(&reader, held);
            held = NULL;
        }
    }
    assert_int_equal(at, content_bytes);
    assert_int_equal(reader.bytes_read, content_bytes);
    assert_int_equal(mr_fault_err(&fault), MR_OK);
    mr_reader_return(&reader, held);
    assert_int_equal(reader.slab.count, blocks);
}

static void check_file(void)
{
    char path[] = "/tmp/millrace-lines-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(write(fd, content, content_bytes), content_bytes);
    for (uint32_t blocks = 4; blocks <= 9; blocks += 5) {
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        read_all(fd, blocks);
    }
    close(fd);
}

static void files_of_one_and_two_lines(void **state)
{
    const size_t lengths[] = {0,
                              1,
                              2,
                              BLOCK - 2,
                              BLOCK - 1,
                              BLOCK,
                              BLOCK + 1,
                              2 * BLOCK - 1,
                              2 * BLOCK,
                              2 * BLOCK + 1,
                              LINE_MAX - 1,
                              LINE_MAX,
                              LINE_MAX + 1,
                              5 * BLOCK + 3};

    (void)state;
    check_file();
    for (size_t i = 0; i < MR_COUNT(lengths); i++)
        for (size_t j = 0; j < MR_COUNT(lengths); j++)
            for (uint32_t end = 0; end < 2; end++) {
                content_bytes = 0;
                add_line(lengths[i], 'a', true);
                add_line(lengths[j], 0, end);
                check_file();
            }
}

static size_t random_length(uint64_t *seed)
{
    switch (mr_random_below(seed, 40)) {
    case 0:
        return BLOCK - 3 + mr_random_below(seed, 6);
    case 1:
        return 2 * BLOCK - 3 + mr_random_below(seed, 6);
    case 2:
        return mr_random_below(seed, 4 * BLOCK);
    default:
        return mr_random_below(seed, 9) ? mr_random_below(seed, 3000) : 0;
    }
}

static void random_files(void **state)
{
    uint64_t seed = 21;

    (void)state;
    for (uint32_t round = 0; round < mr_test_count(40); round++) {
        content_bytes = 0;
        for (uint32_t lines = mr_random_below(&seed, 300); lines > 0; lines--) {
            size_t bytes = random_length(&seed);
            if (content_bytes + bytes + 2 > FILE_MAX)
                break;
            add_line(bytes, (uint8_t)(lines % 9), lines > 1 || round % 2);
        }
        check_file();
    }
}

/* A pipe: reads end anywhere. */
static void short_reads(void **state)
{
    uint64_t seed = 5;

    (void)state;
    for (uint32_t round = 0; round < mr_test_count(200); round++) {
        int ends[2];
        content_bytes = 0;
        for (uint32_t lines = mr_random_below(&seed, 20); lines > 0; lines--)
            add_line(mr_random_below(&seed, 2000), 'x', lines > 1);
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], content, content_bytes), content_bytes);
        close(ends[1]);
        read_all(ends[0], 4);
        close(ends[0]);
    }
}

static void a_failed_read_is_told(void **state)
{
    struct mr_reader reader;
    int fd = open("/", O_RDONLY | O_DIRECTORY);

    (void)state;
    assert_int_equal(mr_reader_init(&reader, &arena, io, &fault, fd, "here", 4, LINE_MAX), MR_OK);
    mr_reader_poll(&reader);
    for (int i = 0; i < 3; i++)
        mr_io_turn(io, 0);
    assert_int_equal(mr_fault_err(&fault), MR_E_FILE_READ);
    assert_non_null(strstr(fault.text, "here: "));
    assert_null(mr_reader_take(&reader));
    mr_reader_poll(&reader);
    assert_int_equal(mr_io_pending(io), 0);
    close(fd);
}

#define LINES_TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINES_TEST(files_of_one_and_two_lines),
        LINES_TEST(random_files),
        LINES_TEST(short_reads),
        LINES_TEST(a_failed_read_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
