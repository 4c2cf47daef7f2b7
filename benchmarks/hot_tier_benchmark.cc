// The hot tier against its goals: what a get, a put and an object cost.
//
//     bazel run -c opt //benchmarks:hot_tier_benchmark -- --out=hot_tier.json
//
// The other arguments are those of benchmark_main.h.
#include "benchmarks/benchmark_main.h"
#include "benchmarks/hot_tier/rows.h"

int main(int argc, char** argv) {
  return spillway::benchmarks::BenchmarkMain(
      argc, argv, "hot_tier",
      [](const spillway::benchmarks::BenchmarkOptions& options,
         spillway::benchmarks::Report* report) {
        // Memory first: it forks.
        spillway::benchmarks::MeasureMemory(options, report);
        spillway::benchmarks::MeasureGets(options, report);
        spillway::benchmarks::MeasurePuts(options, report);
      });
}
