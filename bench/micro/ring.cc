/* The hand-off between two pinned threads: an item is one pointer there and back, or, filled, one
 * cache line written on this core and read on the other (the reading is what counts). */
#include "bench/micro/timed.hh"

static void ring(benchmark::State &state)
{
    mr_stage_shape shape{};
    shape.filled = state.range(0) != 0;
    time_stage(state, mr_stage_ring, shape);
}
BENCHMARK(ring)->ArgName("filled")->Arg(0)->Arg(1)->UseManualTime();

BENCHMARK_MAIN();
