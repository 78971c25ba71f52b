/* Rows to JSON lines: three group fields' worth of text, five aggregates. */
#include "bench/micro/timed.hh"

static void encode(benchmark::State &state)
{
    time_stage(state, mr_stage_encode, mr_stage_shape{});
}
BENCHMARK(encode)->UseManualTime();

BENCHMARK_MAIN();
