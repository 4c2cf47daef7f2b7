// The spill tier against the raw disk: what a spill and a restore cost, and what upkeep takes.
//
//     bazel run -c opt //benchmarks:spill_benchmark -- --out=spill.json
//
// The other arguments are those of benchmark_main.h.
#include "benchmarks/benchmark_main.h"
#include "benchmarks/spill/rows.h"

int main(int argc, char** argv) {
  return spillway::benchmarks::BenchmarkMain(
      argc, argv, "spill",
      [](const spillway::benchmarks::BenchmarkOptions& options,
         spillway::benchmarks::Report* report) {
        // Memory first: it forks.
        spillway::benchmarks::MeasureMemory(options, report);
        spillway::benchmarks::MeasureSpills(options, report);
        spillway::benchmarks::MeasureRestores(options, report);
        spillway::benchmarks::MeasureChurn(options, report);
        spillway::benchmarks::MeasureDurablePuts(options, report);
      });
}
