// Replays a trace through an eviction policy, as a simulation: no bytes, no store, only decisions.
#ifndef SPILLWAY_BENCHMARKS_TRACE_REPLAY_H_
#define SPILLWAY_BENCHMARKS_TRACE_REPLAY_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "benchmarks/trace.h"
#include "store/eviction_policy.h"

namespace spillway {

struct ReplayResult {
  uint64_t requests = 0;
  uint64_t request_bytes = 0;
  uint64_t misses = 0;
  uint64_t miss_bytes = 0;
  uint64_t policy_memory_bytes_max = 0;  // of the policy's own state, sampled
  uint64_t objects_max = 0;              // resident at once
  double seconds = 0;                    // that the replay took

  // Modelled time of fetching what was missed: `per_miss_ns` and `per_byte_ns` each.
  double RestoreSeconds(double per_miss_ns = 100'000, double per_byte_ns = 1) const {
    return (static_cast<double>(misses) * per_miss_ns +
            static_cast<double>(miss_bytes) * per_byte_ns) *
           1e-9;
  }
};

// Hit counters in a plain array, as replay keeps them.
class ArrayHitMarks final : public HitMarks {
 public:
  explicit ArrayHitMarks(size_t slots) : marks_(slots) {}
  uint8_t Get(SlotIndex slot) const override { return marks_[slot]; }
  void Set(SlotIndex slot, uint8_t hits) override { marks_[slot] = hits; }
  void Bump(SlotIndex slot) {
    if (marks_[slot] != 255) ++marks_[slot];
  }

 private:
  std::vector<uint8_t> marks_;
};

// Every request is a get; a miss means fetch and insert. No warm-up, no metadata charged.
// InvalidArgument if no policy has that name.
absl::StatusOr<ReplayResult> ReplayTrace(const Trace& trace, std::string_view policy_name,
                                         uint64_t capacity_bytes);

// floor(fraction x unique bytes), the capacity at which reference results are given.
uint64_t CapacityOfFraction(const Trace& trace, double fraction);

}  // namespace spillway

#endif  // SPILLWAY_BENCHMARKS_TRACE_REPLAY_H_
