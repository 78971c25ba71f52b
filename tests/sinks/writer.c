/* Aim: whatever happens to calls, connections, streams and tables, rows reach a table exactly once
 * and in order, or are told, or the run stops with a reason: one matter a test. */
#include "tests/sinks/rig.h"

/* ---- what the service does ---- */

static struct fake_plan scripted; /* befalls the append `scripted_at`, or all up to it */
static uint32_t scripted_at;

static struct fake_plan once(struct fake *f, uint32_t number)
{
    (void)f;
    return number == scripted_at ? scripted : (struct fake_plan){0};
}

static struct fake_plan up_to(struct fake *f, uint32_t number)
{
    (void)f;
    return number <= scripted_at ? scripted : (struct fake_plan){0};
}

static struct fake_plan always(struct fake *f, uint32_t number)
{
    (void)f, (void)number;
    return scripted;
}

static void script(uint32_t at, struct fake_plan plan)
{
    scripted = plan;
    scripted_at = at;
    fake.judge = once;
}

/* Six appends, of which the third meets `plan`; all rows arrive once and in order. */
static void survives(struct fake_plan plan)
{
    start(MR_EXACTLY_ONCE);
    script(2, plan);
    feed_appends(6, 50);
    run_for(SECOND_NS);
    end();
    expect_once();
    assert_true(fake.appends > 6 || plan.act == FAKE_GOAWAY);
}

/* ---- the tests ---- */

static void takes_all_in_order(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    for (uint32_t i = 0; i < 200; i++) {
        while (!feed(150, MR_ON_TIME, 0))
            step();
    }
    end();
    expect_once();
    assert_int_equal(fake.creates, 1);
    assert_int_equal(fake.finalizes, 1);
    assert_int_equal(fake.call_count, 1);
    assert_int_equal(fake.introduced, 1);
    assert_int_equal(fake.named_again, 0);
    assert_int_equal(fake.connected, 1);
    assert_non_null(fake_stream_find(&fake, TABLE "/streams/s1"));
    stop();
}

static void uses_the_default_stream(void **state)
{
    (void)state;
    start(MR_AT_LEAST_ONCE);
    feed_appends(5, 100);
    end();
    expect_once();
    assert_int_equal(fake.creates + fake.finalizes, 0);
    assert_int_equal(fake.default_with_offset, 0);
    assert_non_null(fake_stream_find(&fake, TABLE "/streams/_default"));
    stop();
}

static void ends_without_rows(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    end();
    assert_int_equal(fake.connected, 0);
    stop();
}

static void sends_what_is_old_enough(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    feed(1, MR_ON_TIME, 0);
    run_for(SECOND_NS / 2);
    assert_int_equal(fake.appends, 1);
    assert_int_equal(atomic_load(&writer.counters.rows), 1);
    end();
    expect_once();
    stop();
}

static void survives_a_lost_connection(void **state)
{
    (void)state;
    survives((struct fake_plan){.act = FAKE_CLOSE});
    assert_int_equal(fake.connected, 2);
    assert_int_equal(fake.introduced, 2);
    stop();
}

static void survives_a_lost_answer(void **state)
{
    (void)state;
    survives((struct fake_plan){.act = FAKE_TAKE_CLOSE});
    assert_int_equal(fake.stream_count, 1);
    stop();
}

static void mends_an_error_on_the_same_call(void **state)
{
    (void)state;
    survives((struct fake_plan){FAKE_ERROR, MR_GRPC_INTERNAL, 0, "oops"});
    assert_int_equal(fake.call_count, 1);
    assert_int_equal(fake.named_again, 0);
    stop();
}

static void believes_rows_over_an_error(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    script(2, (struct fake_plan){FAKE_TAKE_ERROR, MR_GRPC_INTERNAL, 0, "oops"});
    feed_appends(6, 50);
    end();
    expect_once();
    assert_int_equal(fake.appends, 6); /* no row was sent again */
    stop();
}

/* The failure is told while later appends are still on their way. */
static void mends_while_answers_are_on_their_way(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    fake.slow = 10;
    script(2, (struct fake_plan){FAKE_ERROR, MR_GRPC_INTERNAL, 0, "oops"});
    feed_appends(6, 50);
    end();
    expect_once();
    assert_true(fake.queued_max > 2);
    assert_int_equal(fake.appends, 6 + 4);
    assert_int_equal(fake.call_count, 1);
    stop();
}

static void distrusts_answers_after_one_it_cannot_read(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    fake.slow = 10;
    script(1, (struct fake_plan){.act = FAKE_GARBAGE});
    feed_appends(6, 50);
    end();
    expect_once();
    assert_int_equal(fake.call_count, 2);
    stop();
}

static void survives_the_end_of_a_call(void **state)
{
    (void)state;
    survives((struct fake_plan){FAKE_STATUS, MR_GRPC_UNAVAILABLE, 0, "draining"});
    assert_int_equal(fake.connected, 1);
    assert_int_equal(fake.call_count, 2);
    stop();
}

static void survives_a_bare_end(void **state)
{
    (void)state;
    survives((struct fake_plan){.act = FAKE_EOF});
    assert_int_equal(fake.call_count, 2);
    stop();
}

static void survives_goaway(void **state)
{
    (void)state;
    survives((struct fake_plan){.act = FAKE_GOAWAY});
    feed_appends(0, 0);
    stop();
}

static void connects_again_after_goaway(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    script(0, (struct fake_plan){.act = FAKE_GOAWAY});
    feed_appends(1, 50);
    run_for(SECOND_NS);
    feed_appends(1, 50);
    end();
    expect_once();
    assert_int_equal(fake.connected, 2);
    assert_int_equal(notes, 0);
    stop();
}

static void reopens_what_idled_out(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    feed_appends(1, 50);
    run_for(SECOND_NS);
    fake_end_calls(&fake, MR_GRPC_ABORTED, "inactive for 600 seconds");
    run_for(SECOND_NS);
    assert_int_equal(fake.call_count, 1); /* not before there is something to send */
    feed_appends(1, 50);
    end();
    expect_once();
    assert_int_equal(fake.call_count, 2);
    assert_int_equal(atomic_load(&writer.counters.retried), 0);
    assert_int_equal(notes, 0);
    stop();
}

static void gives_up_a_silent_call(void **state)
{
    (void)state;
    survives((struct fake_plan){.act = FAKE_TAKE_CLOSE});
    stop();
    start(MR_EXACTLY_ONCE);
    script(0, (struct fake_plan){.act = FAKE_SILENCE});
    feed_appends(1, 50);
    run_for(10 * SECOND_NS);
    assert_int_equal(atomic_load(&writer.counters.rows), 0);
    run_for(4 * MINUTES_NS);
    end();
    expect_once();
    stop();
}

static void takes_bad_rows_out(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    fake.bad_every = 37;
    fake.name_bad_rows = true;
    feed_appends(6, 50);
    end();
    expect_once();
    assert_int_equal(rejected_count, 9); /* 0, 37, ... 296 */
    assert_int_equal(fake.call_count, 1);
    stop();
}

static void drops_an_append_of_bad_rows_only(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    fake.bad_every = 1;
    fake.name_bad_rows = true;
    feed_appends(3, 5);
    end();
    expect_once();
    assert_int_equal(rejected_count, 15);
    stop();
}

static void finds_an_unnamed_bad_row(void **state)
{
    (void)state;
    for (int64_t bad = 100; bad < 150; bad += 7) {
        start(MR_EXACTLY_ONCE);
        fake.bad_row = bad;
        fake.slow = bad % 2 ? 10 : 0;
        feed_appends(6, 50);
        end();
        expect_once();
        assert_int_equal(rejected_count, 1);
        assert_int_equal(rejected[0], bad);
        stop();
    }
}

static void finds_bad_rows_on_the_default_stream(void **state)
{
    (void)state;
    start(MR_AT_LEAST_ONCE);
    fake.bad_every = 100;
    feed_appends(4, 60);
    end();
    assert_int_equal(rejected_count, 3);
    assert_int_equal(fake_stream_find(&fake, TABLE "/streams/_default")->row_count, 237);
    stop();
}

static void stops_at_a_table_that_takes_no_row(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    fake.bad_every = 1;
    feed_appends(3, 50);
    run_for(20 * SECOND_NS);
    expect_fault(MR_E_BIGQUERY_REFUSED, "rows have errors");
    assert_int_equal(rejected_count, 16);
    stop();
}

static void blames_the_guilty_append_only(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    script(1, (struct fake_plan){FAKE_STATUS, MR_GRPC_INVALID_ARGUMENT, 0, "too large"});
    feed_appends(6, 1);
    end();
    expect_once();
    assert_int_equal(rejected_count, 0);
    stop();
}

static void moves_to_a_new_stream(void **state)
{
    (void)state;
    survives((struct fake_plan){.act = FAKE_FINALIZE}); /* its answer is lost, its rows are not */
    assert_int_equal(fake.creates, 2);
    assert_int_equal(fake.streams[0].row_count, 150);
    assert_int_equal(fake.streams[1].row_count, 150);
    stop();
}

static void replaces_a_stream_that_is_gone(void **state)
{
    (void)state;
    survives((struct fake_plan){.act = FAKE_FORGET});
    assert_int_equal(fake.creates, 2);
    stop();
}

static void waits_for_a_fresh_table(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    fake.creating = (struct fake_plan){FAKE_STATUS, MR_GRPC_NOT_FOUND, 0, "no such table"};
    feed_appends(2, 50);
    run_for(MINUTES_NS);
    assert_int_equal(mr_fault_err(&fault), MR_OK);
    assert_true(notes >= 2 && notes <= 10);
    fake.creating.act = FAKE_TAKE;
    scripted = (struct fake_plan){FAKE_ERROR, MR_GRPC_NOT_FOUND, MR_BIGQUERY_TABLE_NOT_FOUND, "no"};
    scripted_at = 3;
    fake.judge = up_to;
    end();
    expect_once();
    stop();
}

static void has_patience_anew_after_rows_were_taken(void **state)
{
    (void)state;
    start(MR_AT_LEAST_ONCE);
    scripted = (struct fake_plan){FAKE_ERROR, MR_GRPC_NOT_FOUND, MR_BIGQUERY_TABLE_NOT_FOUND, "no"};
    for (uint32_t i = 0; i < 3; i++) {
        fake.judge = always;
        feed_appends(1, 50);
        run_for(MINUTES_NS + 30 * SECOND_NS);
        fake.judge = NULL;
        run_for(30 * SECOND_NS);
        assert_int_equal(mr_fault_err(&fault), MR_OK);
    }
    end();
    expect_once();
    stop();
}

static void stops_without_a_table(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    fake.creating = (struct fake_plan){FAKE_STATUS, MR_GRPC_NOT_FOUND, 0, "no such table"};
    feed_appends(2, 50);
    run_for(3 * MINUTES_NS);
    expect_fault(MR_E_BIGQUERY_TABLE, "no such table");
    stop();
}

static void stops_without_a_table_for_the_default_stream(void **state)
{
    (void)state;
    start(MR_AT_LEAST_ONCE);
    scripted = (struct fake_plan){FAKE_STATUS, MR_GRPC_NOT_FOUND, 0, "no such table"};
    fake.judge = always;
    feed_appends(2, 50);
    run_for(3 * MINUTES_NS);
    expect_fault(MR_E_BIGQUERY_TABLE, "no such table");
    stop();
}

static void outlasts_a_quota(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    scripted = (struct fake_plan){FAKE_ERROR, MR_GRPC_RESOURCE_EXHAUSTED, 0, "throughput"};
    fake.judge = always;
    feed_appends(3, 50);
    run_for(30 * MINUTES_NS);
    assert_int_equal(mr_fault_err(&fault), MR_OK);
    assert_true(fake.appends < 3 * 60); /* it asks seldom */
    fake.judge = NULL;
    end();
    expect_once();
    stop();
}

static void stops_without_permission(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    script(1, (struct fake_plan){FAKE_STATUS, MR_GRPC_PERMISSION_DENIED, 0, "updateData missing"});
    feed_appends(3, 50);
    run_for(SECOND_NS);
    expect_fault(MR_E_BIGQUERY_REFUSED, "PERMISSION_DENIED: updateData missing");
    stop();
}

static void stops_when_permission_is_withdrawn(void **state)
{
    (void)state;
    start(MR_AT_LEAST_ONCE);
    feed_appends(1, 50);
    run_for(SECOND_NS);
    fake_end_calls(&fake, MR_GRPC_PERMISSION_DENIED, "no longer yours");
    run_for(SECOND_NS);
    expect_fault(MR_E_BIGQUERY_REFUSED, "no longer yours");
    stop();
}

static void takes_a_new_credential(void **state)
{
    (void)state;
    atomic_store(&bearer.text, "Bearer old");
    start_with(MR_EXACTLY_ONCE, "on_time", true);
    fake.bearer_wanted = "Bearer new";
    feed_appends(2, 50);
    run_for(20 * SECOND_NS);
    assert_int_equal(mr_fault_err(&fault), MR_OK);
    assert_int_equal(fake.appends, 0);
    atomic_store(&bearer.text, "Bearer new");
    run_for(SECOND_NS / 4);
    assert_int_equal(atomic_load(&writer.counters.rows), 100);
    end();
    expect_once();
    stop();
}

static void stops_when_no_credential_comes(void **state)
{
    (void)state;
    atomic_store(&bearer.text, "Bearer old");
    start_with(MR_EXACTLY_ONCE, "on_time", true);
    fake.bearer_wanted = "Bearer new";
    feed_appends(2, 50);
    run_for(4 * MINUTES_NS);
    expect_fault(MR_E_BIGQUERY_CREDENTIAL, "the token has expired");
    stop();
    start(MR_EXACTLY_ONCE); /* nor is one ever sent */
    fake.bearer_wanted = "Bearer new";
    feed_appends(2, 50);
    run_for(SECOND_NS);
    expect_fault(MR_E_BIGQUERY_CREDENTIAL, "the token has expired");
    stop();
}

static void waits_for_a_count_that_lags(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    feed_appends(2, 50);
    run_for(SECOND_NS);
    scripted = (struct fake_plan){FAKE_ERROR, MR_GRPC_OUT_OF_RANGE, MR_BIGQUERY_OFFSET_OUT_OF_RANGE,
                                  "beyond stream, expected offset 60, received 100"};
    scripted_at = 4;
    fake.judge = up_to;
    feed_appends(1, 50);
    end();
    expect_once();
    stop();
}

static void stops_when_taken_rows_vanish(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    feed_appends(2, 50);
    run_for(SECOND_NS);
    scripted = (struct fake_plan){FAKE_ERROR, MR_GRPC_OUT_OF_RANGE, MR_BIGQUERY_OFFSET_OUT_OF_RANGE,
                                  "beyond stream, expected offset 60, received 100"};
    fake.judge = always;
    feed_appends(1, 50);
    run_for(3 * MINUTES_NS);
    expect_fault(MR_E_BIGQUERY_OFFSET, "expected offset 60");
    stop();
}

static void stops_at_offsets_that_nobody_understands(void **state)
{
    static const char *const texts[] = {"beyond stream", "expected offset x",
                                        "expected offset 99999999999999999999, received 1",
                                        "expected offset 4000, received 50", "expected offset "};
    (void)state;
    for (size_t i = 0; i < MR_COUNT(texts); i++) {
        start(MR_EXACTLY_ONCE);
        script(1, (struct fake_plan){FAKE_ERROR, MR_GRPC_OUT_OF_RANGE, 0, texts[i]});
        feed_appends(3, 50);
        run_for(SECOND_NS);
        expect_fault(MR_E_BIGQUERY_OFFSET, texts[i]);
        stop();
    }
}

static void holds_back_when_all_is_full(void **state)
{
    uint32_t blocks_fed = 0;
    (void)state;
    start(MR_EXACTLY_ONCE);
    scripted = (struct fake_plan){FAKE_ERROR, MR_GRPC_RESOURCE_EXHAUSTED, 0, "throughput"};
    fake.judge = always;
    for (uint32_t steps = 0; steps < 2000; steps++, step())
        while (feed(400, MR_ON_TIME, 0))
            blocks_fed++;
    assert_int_equal(writer.buffers.count, 0);
    assert_true(fed >= 8 * 4000);
    assert_true(writer.held != NULL);
    assert_true(blocks_fed < 8 * 11 + BLOCKS + 1);
    fake.judge = NULL;
    for (uint32_t steps = 0; fed > 0 && slab.count < BLOCKS; steps++, step())
        assert_true(steps < STEPS_MAX);
    end();
    assert_int_equal(atomic_load(&writer.counters.rows), fed);
    stop();
}

static void leaves_other_firings_out(void **state)
{
    (void)state;
    start_with(MR_EXACTLY_ONCE, "on_time", false);
    feed(10, MR_ON_TIME, 0);
    feed(7, MR_LATE, 0);
    feed(5, MR_EARLY, 0);
    end();
    assert_int_equal(atomic_load(&writer.counters.rows), 10);
    assert_int_equal(atomic_load(&writer.skipped), 12);
    stop();
}

static void keeps_trying_to_connect(void **state)
{
    (void)state;
    start(MR_EXACTLY_ONCE);
    struct sockaddr_in *in = (struct sockaddr_in *)&writer.addresses[0].storage;
    in->sin_port = htons(1);
    feed_appends(1, 50);
    run_for(3 * MINUTES_NS);
    assert_int_equal(mr_fault_err(&fault), MR_OK);
    assert_true(notes >= 2 && notes <= 13);
    in->sin_port = htons(fake.listener.port);
    end();
    expect_once();
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_all_in_order),
        cmocka_unit_test(uses_the_default_stream),
        cmocka_unit_test(ends_without_rows),
        cmocka_unit_test(sends_what_is_old_enough),
        cmocka_unit_test(survives_a_lost_connection),
        cmocka_unit_test(survives_a_lost_answer),
        cmocka_unit_test(mends_an_error_on_the_same_call),
        cmocka_unit_test(believes_rows_over_an_error),
        cmocka_unit_test(mends_while_answers_are_on_their_way),
        cmocka_unit_test(distrusts_answers_after_one_it_cannot_read),
        cmocka_unit_test(survives_the_end_of_a_call),
        cmocka_unit_test(survives_a_bare_end),
        cmocka_unit_test(survives_goaway),
        cmocka_unit_test(connects_again_after_goaway),
        cmocka_unit_test(reopens_what_idled_out),
        cmocka_unit_test(gives_up_a_silent_call),
        cmocka_unit_test(takes_bad_rows_out),
        cmocka_unit_test(drops_an_append_of_bad_rows_only),
        cmocka_unit_test(finds_an_unnamed_bad_row),
        cmocka_unit_test(finds_bad_rows_on_the_default_stream),
        cmocka_unit_test(stops_at_a_table_that_takes_no_row),
        cmocka_unit_test(blames_the_guilty_append_only),
        cmocka_unit_test(moves_to_a_new_stream),
        cmocka_unit_test(replaces_a_stream_that_is_gone),
        cmocka_unit_test(waits_for_a_fresh_table),
        cmocka_unit_test(has_patience_anew_after_rows_were_taken),
        cmocka_unit_test(stops_without_a_table),
        cmocka_unit_test(stops_without_a_table_for_the_default_stream),
        cmocka_unit_test(outlasts_a_quota),
        cmocka_unit_test(stops_without_permission),
        cmocka_unit_test(stops_when_permission_is_withdrawn),
        cmocka_unit_test(takes_a_new_credential),
        cmocka_unit_test(stops_when_no_credential_comes),
        cmocka_unit_test(waits_for_a_count_that_lags),
        cmocka_unit_test(stops_when_taken_rows_vanish),
        cmocka_unit_test(stops_at_offsets_that_nobody_understands),
        cmocka_unit_test(holds_back_when_all_is_full),
        cmocka_unit_test(leaves_other_firings_out),
        cmocka_unit_test(keeps_trying_to_connect),
    };
    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
