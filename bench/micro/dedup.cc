/* Ids remembered: a table that grows, growth included, and one at its bound, which forgets an id
 * for each that comes; in the second cache and beyond the third. */
#include "bench/micro/timed.hh"

static void dedup(benchmark::State &state)
{
    mr_stage_shape shape{};
    shape.keys = static_cast<uint32_t>(state.range(0));
    shape.bounded = state.range(1) != 0;
    time_stage(state, mr_stage_dedup, shape);
}
BENCHMARK(dedup)
    ->ArgNames({"ids", "bounded"})
    ->ArgsProduct({{16384, 4194304}, {0, 1}})
    ->UseManualTime();

BENCHMARK_MAIN();
