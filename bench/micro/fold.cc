/* Batches into panes: few keys, more than the second cache holds, more than the third; event times
 * ascending or up to five seconds, five panes, behind. */
#include "bench/micro/timed.hh"

static void fold(benchmark::State &state)
{
    mr_stage_shape shape{};
    shape.keys = static_cast<uint32_t>(state.range(0));
    shape.disorder = state.range(1) != 0;
    time_stage(state, mr_stage_fold, shape);
}
BENCHMARK(fold)
    ->ArgNames({"keys", "disorder"})
    ->ArgsProduct({{16, 10000, 1000000}, {0, 1}})
    ->UseManualTime();

BENCHMARK_MAIN();
