// The rows of runtime_benchmark.
#ifndef SPILLWAY_BENCHMARKS_RUNTIME_ROWS_H_
#define SPILLWAY_BENCHMARKS_RUNTIME_ROWS_H_

#include <functional>
#include <string>

#include "benchmarks/report.h"

namespace spillway::benchmarks {

struct RuntimeBenchmarkOptions {
  bool quick = false;
  std::string directory = "/var/tmp";
  std::function<bool(const std::string& name)> wanted;
};

// A million tasks that wait: what one takes in memory, and how fast they go.
void MeasureQueue(const RuntimeBenchmarkOptions& options, Report* report);
// Empty tasks; chains and fans of a hundred thousand against those of a thousand.
void MeasureTasks(const RuntimeBenchmarkOptions& options, Report* report);
void MeasureActors(const RuntimeBenchmarkOptions& options, Report* report);
// A shuffle larger than memory against the store alone; rounds over data larger than memory with
// and without what the runtime knows of them. On disk.
void MeasureMemoryAwareness(const RuntimeBenchmarkOptions& options, Report* report);

}  // namespace spillway::benchmarks

#endif  // SPILLWAY_BENCHMARKS_RUNTIME_ROWS_H_
