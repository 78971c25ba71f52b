/* The messages of Pub/Sub: a StreamingPullResponse walked as it arrives in frames of 16 KiB, and
 * ack ids gathered into a request. */
#include "bench/micro/timed.hh"

static void walk(benchmark::State &state)
{
    time_stage(state, mr_stage_walk, mr_stage_shape{});
}
BENCHMARK(walk)->UseManualTime();

static void ack(benchmark::State &state)
{
    time_stage(state, mr_stage_ack, mr_stage_shape{});
}
BENCHMARK(ack)->UseManualTime();

BENCHMARK_MAIN();
