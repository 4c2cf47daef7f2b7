// The runtime against its goals: what a task and an actor's call cost, and how that grows.
//
//     bazel run -c opt //benchmarks:runtime_benchmark -- --out=runtime.json
//
// The other arguments are those of benchmark_main.h.
#include "benchmarks/benchmark_main.h"
#include "benchmarks/runtime/rows.h"

int main(int argc, char** argv) {
  return spillway::benchmarks::BenchmarkMain(
      argc, argv, "runtime",
      [](const spillway::benchmarks::BenchmarkOptions& options,
         spillway::benchmarks::Report* report) {
        spillway::benchmarks::MeasureQueue(options, report);
        spillway::benchmarks::MeasureTasks(options, report);
        spillway::benchmarks::MeasureActors(options, report);
        spillway::benchmarks::MeasureMemoryAwareness(options, report);
      });
}
