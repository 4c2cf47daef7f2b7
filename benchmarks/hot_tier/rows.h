// The rows of the hot tier's benchmark, by what they measure.
#ifndef SPILLWAY_BENCHMARKS_HOT_TIER_ROWS_H_
#define SPILLWAY_BENCHMARKS_HOT_TIER_ROWS_H_

#include <functional>
#include <memory>
#include <string>

#include "benchmarks/report.h"
#include "store/object_store.h"
#include "store/options.h"

namespace spillway::benchmarks {

struct HotTierOptions {
  bool quick = false;
  // Under which spill directories are made.
  std::string directory = "/var/tmp";
  // Whether to measure the row.
  std::function<bool(const std::string& name)> wanted;
};

// get_ref, get_ref_2threads, get_id_10k_1thread, ...
void MeasureGets(const HotTierOptions& options, Report* report);
// put_64B, put_1KiB, put_1MiB, put_16MiB, create_seal_1MiB
void MeasurePuts(const HotTierOptions& options, Report* report);
// bytes_per_object_64B, bytes_per_object_4KiB, rss_over_limit. REQUIRES: no other threads.
void MeasureMemory(const HotTierOptions& options, Report* report);

// A store over a spill backend in memory.
std::unique_ptr<ObjectStore> OpenInMemory(const StoreOptions& options);

}  // namespace spillway::benchmarks

#endif  // SPILLWAY_BENCHMARKS_HOT_TIER_ROWS_H_
