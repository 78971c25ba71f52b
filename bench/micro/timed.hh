/* One benchmark of a stage: set up once, run for as long as the library asks, with the time an item
 * and the checksum of the last run beside it. */
#ifndef MR_BENCH_MICRO_TIMED_HH
#define MR_BENCH_MICRO_TIMED_HH

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdio>

extern "C" {
#include "bench/stages/stage.h"
}

/* A stage that knows which part of a run counts says so; else all of it does. Register with
 * UseManualTime(). */
inline void time_stage(benchmark::State &state, const mr_stage &stage, const mr_stage_shape &shape)
{
    void *self = stage.create(&shape);
    mr_done done = stage.run(self); /* the first touches memory and grows tables */
    uint64_t items = 0;

    for (auto _ : state) {
        auto start = std::chrono::steady_clock::now();
        done = stage.run(self);
        std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        if (done.ns != 0)
            took = std::chrono::nanoseconds(done.ns);
        state.SetIterationTime(took.count());
        items += done.items;
        benchmark::DoNotOptimize(done.checksum);
    }
    stage.destroy(self);
    char label[64];
    snprintf(label, sizeof label, "%s, checksum %llx", stage.item,
             static_cast<unsigned long long>(done.checksum));
    state.SetLabel(label);
    state.counters["item"] = benchmark::Counter(
        static_cast<double>(items), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
    state.counters["items"] = benchmark::Counter(static_cast<double>(items),
                                                 benchmark::Counter::kIsRate);
}

#endif
