// The rows of the hot tier's benchmark, by what they measure.
#ifndef SPILLWAY_BENCHMARKS_HOT_TIER_ROWS_H_
#define SPILLWAY_BENCHMARKS_HOT_TIER_ROWS_H_

#include <memory>
#include "benchmarks/benchmark_main.h"
#include "benchmarks/report.h"
#include "store/object_store.h"
#include "store/options.h"

namespace spillway::benchmarks {

// get_ref, get_ref_2threads, get_id_10k_1thread, ...
void MeasureGets(const BenchmarkOptions& options, Report* report);
// put_64B, put_1KiB, put_1MiB, put_16MiB, create_seal_1MiB
void MeasurePuts(const BenchmarkOptions& options, Report* report);
// bytes_per_object_64B, bytes_per_object_4KiB, rss_over_limit. REQUIRES: no other threads.
void MeasureMemory(const BenchmarkOptions& options, Report* report);

// A store over a spill backend in memory.
std::unique_ptr<ObjectStore> OpenInMemory(const StoreOptions& options);

}  // namespace spillway::benchmarks

#endif  // SPILLWAY_BENCHMARKS_HOT_TIER_ROWS_H_
