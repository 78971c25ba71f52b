/* Panes into rows when the watermark passes: what a row costs as size over hop grows. Where keys
 * times panes would take gigabytes there is no figure. */
#include "bench/micro/timed.hh"

static const int64_t cells_max = 6000000;

static void fire(benchmark::State &state)
{
    mr_stage_shape shape{};
    shape.keys = static_cast<uint32_t>(state.range(0));
    shape.panes = static_cast<uint32_t>(state.range(1));
    time_stage(state, mr_stage_fire, shape);
}

static void shapes(benchmark::internal::Benchmark *bench)
{
    for (int64_t keys : {16, 10000, 100000})
        for (int64_t panes : {5, 60, 600, 3600})
            if (keys * panes <= cells_max)
                bench->Args({keys, panes});
}
BENCHMARK(fire)->ArgNames({"keys", "panes"})->Apply(shapes)->UseManualTime();

BENCHMARK_MAIN();
