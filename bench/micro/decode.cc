/* Payload to fields: the predicted layout against the complete parser, an order of five fields and
 * one of ten of which four are wanted. */
#include "bench/micro/timed.hh"

static void decode(benchmark::State &state)
{
    mr_stage_shape shape{};
    shape.wide = state.range(0) != 0;
    shape.complete = state.range(1) != 0;
    time_stage(state, mr_stage_decode, shape);
}
BENCHMARK(decode)->ArgNames({"wide", "complete"})->ArgsProduct({{0, 1}, {0, 1}})->UseManualTime();

/* Fields to a row of an open batch, keys and ids hashed. */
static void batch(benchmark::State &state)
{
    time_stage(state, mr_stage_batch, mr_stage_shape{});
}
BENCHMARK(batch)->UseManualTime();

BENCHMARK_MAIN();
