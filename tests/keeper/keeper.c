/* Aim: the keeper takes blocks, gives each back once its letters are copied, tells the pullers
 * only what is on the topic (or in the file), frees large payloads, and ends when all is out. */
#include "tests/keeper/topic_kit.h"

#include "keeper/keeper.h"
#include "ring/edge.h"

#define BLOCKS       8
#define BLOCK_BYTES  4096
#define PULLERS      2
#define TURNS_MAX    200000u
#define JUMBO_BYTES  300000u
#define SLOW_READING 4 /* entries of a puller's ring of safe letters */

static struct mr_arena arena;
static struct mr_fault fault;
static struct mr_config config;
static struct mr_deadletters deadletters;
static struct mr_keeper keeper;
static struct mr_mpsc letters_in;
static struct mr_spsc returned, safe[PULLERS];
static struct mr_edge letters_out, letters_safe[PULLERS];
static struct mr_slab slab;
static struct mr_outlet outlet;
static atomic_size_t jumbo_bytes;
static struct mr_io *io;
static uint32_t safe_count, blocks_back;

static void begin(bool topic_wanted)
{
    static char host_port[32];
    struct mr_deadletters_options options = {.topic = TOPIC, .requests = 2};

    assert_int_equal(mr_io_create(&io, MR_IO_AUTO, NULL), MR_OK);
    snprintf(host_port, sizeof host_port, "127.0.0.1:%u", topic_open(io));
    fault = (struct mr_fault){0};
    config.decode.fields[0].name = "amount";
    keeper = (struct mr_keeper){.config = &config,
                                .fault = &fault,
                                .letters_in = &letters_in,
                                .letters_out = &letters_out,
                                .letters_safe = letters_safe,
                                .aggregator_count = 1,
                                .jumbo_bytes = &jumbo_bytes};
    options.channel.host_port = host_port;
    options.safe = mr_keeper_letter_is_safe;
    options.self = &keeper;
    options.io = io;
    options.fault = &fault;
    assert_int_equal(mr_arena_init(&arena, mr_deadletters_bytes(&options) + (4u << 20)), MR_OK);
    assert_int_equal(mr_mpsc_init(&letters_in, &arena, BLOCKS), MR_OK);
    assert_int_equal(mr_spsc_init(&returned, &arena, BLOCKS), MR_OK);
    letters_out = (struct mr_edge){&returned, io};
    for (uint32_t p = 0; p < PULLERS; p++) {
        assert_int_equal(mr_spsc_init(&safe[p], &arena, SLOW_READING), MR_OK);
        letters_safe[p] = (struct mr_edge){&safe[p], io};
    }
    assert_int_equal(mr_slab_init(&slab, &arena, BLOCKS, BLOCK_BYTES), MR_OK);
    outlet = (struct mr_outlet){.slab = &slab};
    safe_count = blocks_back = 0;
    if (topic_wanted) {
        assert_int_equal(mr_deadletters_init(&deadletters, &arena, &options), MR_OK);
        keeper.deadletters = &deadletters;
    }
}

static void end(void)
{
    mr_keeper_close(&keeper);
    topic_close();
    mr_io_destroy(io);
    mr_arena_finish(&arena);
}

static void put_letter(uint64_t position, const char *payload, bool jumbo)
{
    uint32_t bytes = (uint32_t)strlen(payload);
    uint32_t all = mr_letter_bytes(3, jumbo ? 0 : bytes);
    struct mr_letter *letter = mr_outlet_reserve(&outlet, all);

    assert_non_null(letter);
    *letter = (struct mr_letter){.bytes = all,
                                 .reason = MR_REASON_BAD_TYPE,
                                 .puller = position % PULLERS,
                                 .detail_bytes = 3,
                                 .position = position,
                                 .payload_bytes = jumbo ? JUMBO_BYTES : bytes};
    memcpy(letter + 1, "bad", 3);
    if (jumbo) {
        letter->jumbo = malloc(JUMBO_BYTES);
        memset(letter->jumbo, 'j', JUMBO_BYTES);
        atomic_fetch_add(&jumbo_bytes, JUMBO_BYTES);
    } else {
        memcpy((uint8_t *)(letter + 1) + 3, payload, bytes);
    }
    mr_outlet_commit(&outlet, all);
}

static void send_blocks(void)
{
    for (uint32_t i = 0; i < outlet.full_count; i++)
        assert_true(mr_mpsc_put(&letters_in, outlet.full[i]));
    outlet.full_count = 0;
}

static void read_rings(void)
{
    void *item;

    for (uintptr_t p = 0; p < PULLERS; p++) {
        while (mr_spsc_take(&safe[p], &item, 1) == 1) {
            assert_int_equal(((uintptr_t)item - 1) % PULLERS, p);
            safe_count++;
        }
    }
    while (mr_spsc_take(&returned, &item, 1) == 1) {
        memset((struct mr_block *)item + 1, 0xEE, BLOCK_BYTES - sizeof(struct mr_block));
        mr_slab_return(&slab, item);
        blocks_back++;
    }
}

static void turn(void)
{
    mr_keeper_turn(&keeper, mr_now_ns());
    mr_io_turn(io, 200000);
}

static void until_done(void)
{
    for (uint32_t turns = 0; !atomic_load(&keeper.done); turns++) {
        assert_true(turns < TURNS_MAX);
        turn();
        read_rings();
    }
}

static void test_topic(void **state)
{
    (void)state;

    begin(true);
    topic.hold = true;
    for (uint64_t i = 0; i < 40; i++)
        put_letter(i, "{\"amount\":\"x\"}", i == 7);
    assert_true(mr_outlet_flush(&outlet));
    send_blocks();
    for (uint32_t turns = 0; !topic.calls || !topic.calls->whole; turns++) {
        assert_true(turns < TURNS_MAX);
        turn();
        read_rings();
    }
    /* The blocks are home and the large payload is free, but no letter is safe. */
    assert_true(blocks_back > 0);
    assert_int_equal(atomic_load(&jumbo_bytes), 0);
    assert_int_equal(safe_count, 0);
    assert_true(mr_outlet_end(&outlet));
    send_blocks();
    for (uint32_t i = 0; i < 20; i++)
        turn();
    assert_false(atomic_load(&keeper.done));
    topic.hold = false;
    topic_answer_held();
    until_done();
    assert_int_equal(safe_count, 40);
    assert_int_equal(topic.kept_count, 40);
    assert_int_equal(atomic_load(&keeper.letters), 40);
    for (uint32_t i = 0; i < 40; i++) {
        struct mr_pubsub_message message;
        struct mr_span value;
        assert_int_equal(mr_pubsub_message_parse(&message, topic.kept[i]), MR_OK);
        assert_int_equal(message.data.bytes, i == 7 ? JUMBO_BYTES : 14);
        assert_int_equal(message.data.data[0], i == 7 ? 'j' : '{');
        assert_true(mr_pb_map_get(&message.attributes, mr_span_text("millrace_field"), &value));
        assert_true(mr_span_equal(value, mr_span_text("amount")));
    }
    assert_int_equal(mr_fault_err(&fault), MR_OK);
    end();
}

static void test_file(void **state)
{
    struct mr_out out;
    FILE *file = tmpfile();
    char line[256];
    uint32_t lines = 0;
    (void)state;

    begin(false);
    assert_int_equal(mr_out_init(&out, &arena, io, &fault, fileno(file), "letters", 8192), MR_OK);
    keeper.letter_file = &out;
    for (uint64_t i = 0; i < 40; i++)
        put_letter(i, "late", false);
    assert_true(mr_outlet_end(&outlet));
    send_blocks();
    mr_keeper_turn(&keeper, mr_now_ns()); /* taken in, not yet written */
    read_rings();
    assert_int_equal(safe_count, 0);
    until_done();
    assert_int_equal(safe_count, 40);
    rewind(file);
    while (fgets(line, sizeof line, file)) {
        assert_non_null(strstr(line, "\"detail\":\"`amount`: bad\""));
        lines++;
    }
    assert_int_equal(lines, 40);
    fclose(file);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_topic), cmocka_unit_test(test_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
