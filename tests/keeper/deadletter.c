/* Aim: letters reach their topic unchanged, each told safe only when it is there, whatever the
 * service answers; what it never takes is spilled; full memory holds back and drops nothing. */
#include "tests/keeper/topic_kit.h"

#define SPILL         "letters-refused-test.ndjson"
#define TURNS_MAX     200000u
#define PAYLOAD(text) mr_span_text(text)

static struct mr_arena arena;
static struct mr_fault fault;
static struct mr_deadletters letters;
static uint8_t *safe_times; /* by position */
static uint32_t safe_count, safe_refusals;

static bool on_safe(void *self, uint16_t puller, uint64_t position)
{
    (void)self;
    assert_int_equal(puller, 3);
    if (safe_refusals > 0) {
        safe_refusals--;
        return false;
    }
    safe_times[position]++;
    safe_count++;
    /* Told only when it is on the topic, or in the spill file. */
    assert_true(safe_count <= topic.kept_count + letters.refused);
    return true;
}

static void begin(const struct mr_deadletters_options *wanted)
{
    struct mr_deadletters_options options = *wanted;
    struct mr_io *io;
    static char host_port[32];

    assert_int_equal(mr_io_create(&io, MR_IO_AUTO, NULL), MR_OK);
    snprintf(host_port, sizeof host_port, "127.0.0.1:%u", topic_open(io));
    fault = (struct mr_fault){0};
    safe_times = calloc(KEPT_MAX, 1);
    safe_count = safe_refusals = 0;
    unlink(SPILL);
    options.topic = TOPIC;
    options.channel.host_port = host_port;
    options.channel.host = "127.0.0.1";
    options.spill_path = SPILL;
    options.safe = on_safe;
    options.io = io;
    options.fault = &fault;
    assert_int_equal(mr_arena_init(&arena, mr_deadletters_bytes(&options) + 4096), MR_OK);
    assert_int_equal(mr_deadletters_init(&letters, &arena, &options), MR_OK);
}

static void end(void)
{
    mr_deadletters_close(&letters);
    for (uint32_t turns = 0; !mr_deadletters_are_closed(&letters); turns++) {
        assert_true(turns < TURNS_MAX);
        mr_io_turn(topic.io, 1000000);
    }
    struct mr_io *io = topic.io;
    topic_close();
    mr_io_destroy(io);
    mr_arena_finish(&arena);
    free(safe_times);
    unlink(SPILL);
}

static void turn(bool dry)
{
    mr_deadletters_turn(&letters, mr_now_ns(), dry);
    mr_io_turn(topic.io, 200000);
}

#define TURN_UNTIL(condition)                                                                      \
    do {                                                                                           \
        for (uint32_t turns_ = 0; !(condition); turns_++) {                                        \
            turn(true);                                                                            \
            assert_true(turns_ < TURNS_MAX);                                                       \
        }                                                                                          \
    } while (0)

static struct mr_deadletter letter_of(struct mr_span body, uint64_t position)
{
    return (struct mr_deadletter){.body = body,
                                  .reason = "bad_type",
                                  .stage = "decode",
                                  .detail = mr_span_text("not a number"),
                                  .field = mr_span_text("amount"),
                                  .message_id = mr_span_text("777"),
                                  .byte_offset = 12,
                                  .puller = 3,
                                  .position = position};
}

static void add(const struct mr_deadletter *letter)
{
    int err;

    for (uint32_t turns = 0; (err = mr_deadletters_add(&letters, letter)) == MR_AGAIN; turns++) {
        turn(false);
        assert_true(turns < TURNS_MAX);
    }
    assert_int_equal(err, MR_OK);
}

static struct mr_pubsub_message kept(uint32_t i)
{
    struct mr_pubsub_message message;
    assert_true(i < topic.kept_count);
    assert_int_equal(mr_pubsub_message_parse(&message, topic.kept[i]), MR_OK);
    assert_int_equal(mr_pubsub_message_check(&message), MR_OK);
    return message;
}

static void assert_attribute(const struct mr_pubsub_message *message, const char *key,
                             const char *expected)
{
    struct mr_span value;

    if (!expected) {
        assert_false(mr_pb_map_get(&message->attributes, mr_span_text(key), &value));
        return;
    }
    assert_true(mr_pb_map_get(&message->attributes, mr_span_text(key), &value));
    assert_true(mr_span_equal(value, mr_span_text(expected)));
}

static void assert_all_safe_once(uint32_t count)
{
    assert_int_equal(safe_count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(safe_times[i], 1);
}

/* ---- what is published ---- */

static void test_body_and_attributes(void **state)
{
    uint8_t binary[256];
    (void)state;

    begin(&(struct mr_deadletters_options){0});
    for (uint32_t i = 0; i < sizeof binary; i++)
        binary[i] = (uint8_t)(255 - i);
    struct mr_deadletter letter = letter_of(mr_span_of(binary, sizeof binary), 0);
    struct mr_pb_pair pairs[] = {{mr_span_text("shard"), mr_span_text("7")},
                                 {mr_span_text("millrace_reason"), mr_span_text("old")},
                                 {mr_span_text("googclient_x"), mr_span_text("y")}};
    uint8_t place[256];
    struct mr_pen pen = mr_pen_of(place, sizeof place);
    mr_pb_put_pair(&pen, 2, pairs[0].key, pairs[0].value);
    letter.attributes = (struct mr_pb_map){.message = mr_pen_span(&pen), .number = 2, .found = 1};
    add(&letter);

    mr_pb_put_pair(&pen, 2, pairs[1].key, pairs[1].value);
    mr_pb_put_pair(&pen, 2, pairs[2].key, pairs[2].value);
    letter.attributes.message = mr_pen_span(&pen);
    letter.body = mr_span_of(NULL, 0);
    letter.message_id = letter.field = letter.detail = mr_span_of(NULL, 0);
    letter.line = 41;
    letter.position = 1;
    add(&letter);
    memset(binary, 0, sizeof binary); /* nothing is read after add */
    TURN_UNTIL(safe_count == 2);

    struct mr_pubsub_message first = kept(0), second = kept(1);
    assert_int_equal(first.data.bytes, 256);
    for (uint32_t i = 0; i < 256; i++)
        assert_int_equal(first.data.data[i], 255 - i);
    assert_attribute(&first, "shard", "7");
    assert_attribute(&first, "millrace_reason", "bad_type");
    assert_attribute(&first, "millrace_stage", "decode");
    assert_attribute(&first, "millrace_detail", "not a number");
    assert_attribute(&first, "millrace_field", "amount");
    assert_attribute(&first, "millrace_message_id", "777");
    assert_attribute(&first, "millrace_byte_offset", "12");
    assert_attribute(&first, "millrace_line", NULL);
    assert_attribute(&first, "millrace_truncated", NULL);
    assert_int_equal(second.data.bytes, 0);
    assert_attribute(&second, "shard", "7");
    assert_attribute(&second, "millrace_reason", "bad_type");
    assert_attribute(&second, "millrace_line", "41");
    assert_attribute(&second, "millrace_message_id", NULL);
    assert_attribute(&second, "googclient_x", NULL);
    assert_attribute(&second, "millrace_truncated", "1");
    assert_true(mr_deadletters_are_out(&letters));
    assert_all_safe_once(2);
    end();
}

static void test_attributes_within_limits(void **state)
{
    static uint8_t place[400000];
    struct mr_pen pen = mr_pen_of(place, sizeof place);
    char key[300], value[1100];
    (void)state;

    begin(&(struct mr_deadletters_options){0});
    memset(value, 'v', sizeof value);
    memcpy(value + 1022, "\xE2\x82\xAC", 3); /* the limit lies within this character */
    mr_pb_put_pair(&pen, 2, mr_span_text("long"), mr_span_of(value, sizeof value));
    memset(key, 'k', sizeof key);
    mr_pb_put_pair(&pen, 2, mr_span_of(key, sizeof key), mr_span_text("1"));
    mr_pb_put_pair(&pen, 2, mr_span_text("broken"), mr_span_of("a\xFFz", 3));
    for (int i = 0; i < 120; i++) {
        snprintf(key, sizeof key, "key%d", i);
        mr_pb_put_pair(&pen, 2, mr_span_text(key), mr_span_text("1"));
    }
    struct mr_deadletter letter = letter_of(PAYLOAD("body"), 0);
    letter.attributes = (struct mr_pb_map){.message = mr_pen_span(&pen), .number = 2};
    add(&letter);
    TURN_UNTIL(safe_count == 1);

    struct mr_pubsub_message message = kept(0);
    struct mr_span cut;
    assert_in_range(message.attributes.found, 90, 100);
    assert_true(mr_pb_map_get(&message.attributes, mr_span_text("long"), &cut));
    assert_int_equal(cut.bytes, 1022);
    assert_attribute(&message, "broken", "a?z");
    assert_attribute(&message, "millrace_truncated", "1");
    assert_attribute(&message, "millrace_reason", "bad_type");
    struct mr_pb_each each = mr_pb_map_each(&message.attributes);
    struct mr_span k, v;
    while (mr_pb_each_pair(&each, &k, &v))
        assert_true(k.bytes <= 256 && v.bytes <= 1024);
    end();
}

static void fill(uint8_t *bytes, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
}

/* Bodies of 9 MB, two of which never share a request; and one that leaves no room for attributes.
 */
static void test_large_bodies(void **state)
{
    size_t bytes = 9000000, tight = MR_PUBLISH_BYTES_MAX - 60;
    uint8_t *bodies[3];
    (void)state;

    begin(&(struct mr_deadletters_options){0});
    for (uint32_t i = 0; i < 3; i++) {
        size_t count = i == 2 ? tight : bytes;
        bodies[i] = malloc(count);
        fill(bodies[i], count, i);
        bodies[i][0] = (uint8_t)i;
        struct mr_deadletter letter = letter_of(mr_span_of(bodies[i], count), i);
        add(&letter);
    }
    TURN_UNTIL(safe_count == 3);
    assert_int_equal(topic.requests, 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct mr_pubsub_message message = kept(i);
        uint32_t which = message.data.data[0];
        size_t count = which == 2 ? tight : bytes;
        assert_int_equal(message.data.bytes, count);
        assert_memory_equal(message.data.data, bodies[which], count);
        assert_int_equal(message.attributes.found, which == 2 ? 0 : 6);
    }
    for (uint32_t i = 0; i < 3; i++)
        free(bodies[i]);
    assert_all_safe_once(3);
    end();
}

static void test_batches_are_bounded(void **state)
{
    static uint8_t body[100000];
    (void)state;

    begin(&(struct mr_deadletters_options){0});
    for (uint32_t i = 0; i < 2500; i++) {
        struct mr_deadletter letter = letter_of(PAYLOAD("small"), i);
        add(&letter);
    }
    for (uint32_t i = 0; i < 120; i++) {
        struct mr_deadletter letter = letter_of(mr_span_of(body, sizeof body), 2500 + i);
        add(&letter);
    }
    TURN_UNTIL(safe_count == 2620);
    assert_all_safe_once(2620);
    assert_in_range(topic.requests, 5, 9);
    for (uint32_t i = 0; i < topic.requests; i++)
        assert_true(topic.request_messages[i] <= 1000 && topic.request_bytes[i] <= 5200000);
    end();
}

/* ---- what the service may answer ---- */

static void test_nothing_is_told_early(void **state)
{
    (void)state;

    begin(&(struct mr_deadletters_options){0});
    topic.hold = true;
    struct mr_deadletter letter = letter_of(PAYLOAD("one"), 0);
    add(&letter);
    TURN_UNTIL(topic.calls && topic.calls->whole);
    for (int i = 0; i < 50; i++)
        turn(true);
    assert_int_equal(safe_count, 0);
    assert_false(mr_deadletters_are_out(&letters));
    safe_refusals = 3; /* the puller's ring is full: told later, not never */
    topic_answer_held();
    TURN_UNTIL(safe_count == 1);
    assert_int_equal(safe_refusals, 0);
    TURN_UNTIL(mr_deadletters_are_out(&letters));
    assert_all_safe_once(1);
    end();
}

static void test_refusals_that_pass(void **state)
{
    static const enum mr_grpc_code codes[] = {
        MR_GRPC_ABORTED, MR_GRPC_CANCELLED,   MR_GRPC_INTERNAL,         MR_GRPC_RESOURCE_EXHAUSTED,
        MR_GRPC_UNKNOWN, MR_GRPC_UNAVAILABLE, MR_GRPC_DEADLINE_EXCEEDED};
    (void)state;

    begin(&(struct mr_deadletters_options){0});
    for (uint32_t i = 0; i < MR_COUNT(codes); i++) {
        topic.no = codes[i];
        topic.no_count = 1;
        struct mr_deadletter letter = letter_of(PAYLOAD("again"), i);
        add(&letter);
        TURN_UNTIL(safe_count == i + 1);
    }
    assert_int_equal(topic.kept_count, MR_COUNT(codes));
    assert_int_equal(topic.requests, 2 * MR_COUNT(codes));
    assert_int_equal(letters.retries, MR_COUNT(codes));
    assert_int_equal(mr_fault_err(&fault), MR_OK);
    end();
}

static void test_waits_as_long_as_asked(void **state)
{
    (void)state;

    begin(&(struct mr_deadletters_options){0});
    topic.no = MR_GRPC_RESOURCE_EXHAUSTED;
    topic.no_count = 1;
    topic.retry_s = 1;
    struct mr_deadletter letter = letter_of(PAYLOAD("slowly"), 0);
    add(&letter);
    TURN_UNTIL(safe_count == 1);
    assert_true(topic.again_ns - topic.refused_ns > 900000000u); /* a lower bound only */
    end();
}

static void test_a_short_answer_is_no_yes(void **state)
{
    (void)state;

    begin(&(struct mr_deadletters_options){0});
    topic.short_answer = true;
    struct mr_deadletter letter = letter_of(PAYLOAD("twice"), 0);
    add(&letter);
    TURN_UNTIL(safe_count == 1);
    assert_int_equal(topic.requests, 2);
    end();
}

static void test_a_lost_connection(void **state)
{
    (void)state;

    begin(&(struct mr_deadletters_options){0});
    topic.hold = true;
    for (uint32_t i = 0; i < 10; i++) {
        struct mr_deadletter letter = letter_of(PAYLOAD("over"), i);
        add(&letter);
    }
    TURN_UNTIL(topic.calls && topic.calls->whole);
    topic.hold = false;
    topic_hang_up();
    TURN_UNTIL(safe_count == 10);
    assert_int_equal(topic.connections, 2);
    assert_all_safe_once(10);
    end();
}

static void test_refusals_for_good(void **state)
{
    static const struct {
        enum mr_grpc_code code;
        const char *fix;
    } cases[] = {{MR_GRPC_NOT_FOUND, "create the topic"},
                 {MR_GRPC_PERMISSION_DENIED, "roles/pubsub.publisher"},
                 {MR_GRPC_UNAUTHENTICATED, "check the credentials"},
                 {MR_GRPC_FAILED_PRECONDITION, "check sinks.dead_letter.topic"}};
    (void)state;

    for (uint32_t i = 0; i < MR_COUNT(cases); i++) {
        begin(&(struct mr_deadletters_options){0});
        topic.no = cases[i].code;
        topic.no_count = 1;
        struct mr_deadletter letter = letter_of(PAYLOAD("never"), 0);
        add(&letter);
        TURN_UNTIL(mr_fault_err(&fault) != MR_OK);
        assert_int_equal(mr_fault_err(&fault), MR_E_DEAD_LETTERS);
        assert_non_null(strstr(fault.text, TOPIC));
        assert_non_null(strstr(fault.text, mr_grpc_code_name((int32_t)cases[i].code)));
        assert_non_null(strstr(fault.text, cases[i].fix));
        assert_int_equal(safe_count, 0);
        assert_false(mr_deadletters_are_out(&letters));
        end();
    }
}

/* ---- the guilty letter ---- */

static uint32_t spilled_lines(char *first, size_t bytes)
{
    FILE *file = fopen(SPILL, "r");
    uint32_t lines = 0;
    static char line[1 << 16];

    while (file && fgets(line, sizeof line, file))
        if (lines++ == 0)
            snprintf(first, bytes, "%s", line);
    if (file)
        fclose(file);
    return lines;
}

static void test_the_guilty_letters_are_found(void **state)
{
    char line[4096];
    (void)state;

    begin(&(struct mr_deadletters_options){0});
    topic.poison = "\x01 poison \"";
    for (uint32_t i = 0; i < 300; i++) {
        bool guilty = i == 0 || i == 131 || i == 132 || i == 299;
        char body[32];
        snprintf(body, sizeof body, "innocent %u", i);
        struct mr_deadletter letter = letter_of(mr_span_text(guilty ? topic.poison : body), i);
        add(&letter);
    }
    TURN_UNTIL(safe_count == 300);
    assert_all_safe_once(300);
    assert_int_equal(topic.kept_count, 296);
    uint32_t next = 0;
    for (uint32_t i = 0; i < 296; i++, next++) { /* in order, each once, byte for byte */
        char body[32];
        while (next == 0 || next == 131 || next == 132 || next == 299)
            next++;
        snprintf(body, sizeof body, "innocent %u", next);
        struct mr_pubsub_message message = kept(i);
        assert_true(mr_span_equal(message.data, mr_span_text(body)));
        assert_attribute(&message, "millrace_message_id", "777");
    }
    assert_true(topic.requests < 80);
    assert_int_equal(letters.refused, 4);
    assert_int_equal(spilled_lines(line, sizeof line), 4);
    assert_string_equal(line,
                        "{\"kind\":\"order\",\"refused\":\"INVALID_ARGUMENT: a poisoned message\""
                        ",\"reason\":\"bad_type\",\"stage\":\"decode\",\"detail\":\"not a number\""
                        ",\"field\":\"amount\",\"message_id\":\"777\",\"byte_offset\":12"
                        ",\"data\":\"\\u0001 poison \\\"\"}\n");
    assert_int_equal(mr_fault_err(&fault), MR_OK);
    end();
}

static void test_larger_than_any_request(void **state)
{
    static char line[65536];
    uint8_t body[3000];
    (void)state;

    begin(&(struct mr_deadletters_options){.request_bytes = 2000, .batch_bytes = 1500});
    memset(body, 0xFE, sizeof body);
    struct mr_deadletter letter = letter_of(mr_span_of(body, sizeof body), 0);
    add(&letter);
    letter = letter_of(PAYLOAD("fits"), 1);
    add(&letter);
    TURN_UNTIL(safe_count == 2);
    assert_int_equal(topic.kept_count, 1);
    assert_int_equal(letters.refused, 1);
    assert_int_equal(spilled_lines(line, sizeof line), 1);
    assert_non_null(strstr(line, "\"data_base64\":\"/v7+"));
    assert_all_safe_once(2);
    end();
}

static void test_no_spill_file(void **state)
{
    (void)state;

    begin(&(struct mr_deadletters_options){0});
    letters.options.spill_path = "no/such/folder/letters";
    topic.poison = "poison";
    struct mr_deadletter letter = letter_of(PAYLOAD("poison"), 0);
    add(&letter);
    TURN_UNTIL(mr_fault_err(&fault) != MR_OK);
    assert_int_equal(mr_fault_err(&fault), MR_E_FILE_WRITE);
    assert_int_equal(safe_count, 0);
    end();
}

/* ---- bounds ---- */

static void test_full_memory_holds_back(void **state)
{
    uint32_t given = 0;
    char body[600];
    (void)state;

    begin(&(struct mr_deadletters_options){
        .requests = 2, .request_bytes = 4000, .batch_bytes = 3000});
    memset(body, 'x', sizeof body);
    topic.hold = true;
    for (uint32_t i = 0; i < 200; i++) {
        snprintf(body, sizeof body, "%u", given);
        struct mr_deadletter letter = letter_of(mr_span_of(body, sizeof body), given);
        if (mr_deadletters_add(&letters, &letter) == MR_OK)
            given++;
        turn(false);
    }
    assert_in_range(given, 4, 13); /* what two requests of 4,000 bytes hold, and not one more */
    assert_int_equal(safe_count, 0);
    topic.hold = false;
    topic_answer_held();
    for (; given < 500; given++) {
        snprintf(body, sizeof body, "%u", given);
        struct mr_deadletter letter = letter_of(mr_span_of(body, sizeof body), given);
        add(&letter);
    }
    TURN_UNTIL(safe_count == 500);
    assert_all_safe_once(500);
    assert_int_equal(topic.kept_count, 500);
    assert_true(topic.under_way_max <= 2);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_and_attributes),
        cmocka_unit_test(test_attributes_within_limits),
        cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_batches_are_bounded),
        cmocka_unit_test(test_nothing_is_told_early),
        cmocka_unit_test(test_refusals_that_pass),
        cmocka_unit_test(test_waits_as_long_as_asked),
        cmocka_unit_test(test_a_short_answer_is_no_yes),
        cmocka_unit_test(test_a_lost_connection),
        cmocka_unit_test(test_refusals_for_good),
        cmocka_unit_test(test_the_guilty_letters_are_found),
        cmocka_unit_test(test_larger_than_any_request),
        cmocka_unit_test(test_no_spill_file),
        cmocka_unit_test(test_full_memory_holds_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
