// The rows of runtime_benchmark.
#ifndef SPILLWAY_BENCHMARKS_RUNTIME_ROWS_H_
#define SPILLWAY_BENCHMARKS_RUNTIME_ROWS_H_

#include "benchmarks/benchmark_main.h"
#include "benchmarks/report.h"

namespace spillway::benchmarks {

// A million tasks that wait: what one takes in memory, and how fast they go.
void MeasureQueue(const BenchmarkOptions& options, Report* report);
// Empty tasks; chains and fans of a hundred thousand against those of a thousand.
void MeasureTasks(const BenchmarkOptions& options, Report* report);
void MeasureActors(const BenchmarkOptions& options, Report* report);
// A shuffle larger than memory against the store alone; rounds over data larger than memory with
// and without what the runtime knows of them. On disk.
void MeasureMemoryAwareness(const BenchmarkOptions& options, Report* report);

}  // namespace spillway::benchmarks

#endif  // SPILLWAY_BENCHMARKS_RUNTIME_ROWS_H_
