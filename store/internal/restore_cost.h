// What a restore costs here, learned from those that happen: the eviction policy weighs with it.
#ifndef SPILLWAY_STORE_INTERNAL_RESTORE_COST_H_
#define SPILLWAY_STORE_INTERNAL_RESTORE_COST_H_

#include <cstdint>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "serialization/mutex.h"

namespace spillway::internal {

// Fits `per_miss_ns + per_byte_ns * bytes` to the times of restores, by least squares of relative
// errors over the recent ones. Before it has seen many, and where all are of one size, it leans on
// 100 us and 1 ns per byte. Thread-safe.
class RestoreCost {
 public:
  struct Costs {
    double per_miss_ns;
    double per_byte_ns;
  };

  // Notes a restore. Returns what restores cost by now, once in a while.
  std::optional<Costs> Note(uint64_t bytes, int64_t nanos);

 private:
  // Weighted sums over restores: of 1, s, s*s, t and s*t.
  struct Sums {
    double n = 0, s = 0, ss = 0, t = 0, st = 0;
    void Add(double bytes, double nanos, double weight);
  };

  static Costs Solve(Sums sums);

  Mutex mutex_;
  Sums sums_ ABSL_GUARDED_BY(mutex_);
  uint32_t since_update_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_RESTORE_COST_H_
