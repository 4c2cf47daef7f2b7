// The rows of the spill tier's benchmark, by what they measure.
#ifndef SPILLWAY_BENCHMARKS_SPILL_ROWS_H_
#define SPILLWAY_BENCHMARKS_SPILL_ROWS_H_

#include "benchmarks/benchmark_main.h"
#include "benchmarks/report.h"

namespace spillway::benchmarks {

// spill_4KiB ... spill_16MiB against raw sequential writes, spill_4KiB_cpu ... per GiB.
void MeasureSpills(const BenchmarkOptions& options, Report* report);
// restore_1MiB_1caller ... against raw sequential reads, restore_4KiB_8callers ... against random
// ones.
void MeasureRestores(const BenchmarkOptions& options, Report* report);
// churn_held, churn_write_amplification, churn_drain, write_amplification
void MeasureChurn(const BenchmarkOptions& options, Report* report);
// durable_puts_1caller, durable_puts_64callers
void MeasureDurablePuts(const BenchmarkOptions& options, Report* report);
// memory_16MiB_limit, memory_1GiB_limit. REQUIRES: no other threads.
void MeasureMemory(const BenchmarkOptions& options, Report* report);

}  // namespace spillway::benchmarks

#endif  // SPILLWAY_BENCHMARKS_SPILL_ROWS_H_
