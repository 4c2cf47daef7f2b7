#include "benchmarks/trace_replay.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "glog/logging.h"

namespace spillway {
namespace {

constexpr uint64_t kMemorySampleMisses = 4096;

// The cache around a policy. An object's number is its slot: it keeps its slot when it is evicted,
// as in the store.
class Replay {
 public:
  Replay(const Trace& trace, EvictionPolicy* policy, ArrayHitMarks* marks, uint64_t capacity_bytes)
      : trace_(trace),
        policy_(policy),
        marks_(marks),
        capacity_bytes_(capacity_bytes),
        ordered_(policy->hit_tracking() != HitTracking::kMarks),
        resident_(trace.object_size_bytes.size()) {}

  ReplayResult Run() {
    policy_->SetCapacity(capacity_bytes_);
    const auto begin = std::chrono::steady_clock::now();
    for (const uint32_t object : trace_.requests) {
      if (!resident_[object]) {
        OnMiss(object);
      } else if (ordered_) {
        policy_->Hit(object);
      } else {
        marks_->Bump(object);
      }
    }
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    CHECK_EQ(policy_->bytes(), used_bytes_);
    SampleMemory();
    result_.seconds = taken.count();
    result_.requests = trace_.requests.size();
    result_.request_bytes = trace_.RequestBytes();
    return result_;
  }

 private:
  void OnMiss(uint32_t object) {
    const uint64_t size_bytes = trace_.object_size_bytes[object];
    ++result_.misses;
    result_.miss_bytes += size_bytes;
    if (size_bytes > capacity_bytes_ || !policy_->Admits(size_bytes)) return;
    const uint64_t key = uint64_t{object} + 1;
    policy_->Miss(key, size_bytes);
    while (used_bytes_ + size_bytes > capacity_bytes_) {
      const std::optional<SlotIndex> victim = policy_->Evict();
      CHECK(victim.has_value()) << policy_->name() << " has no victim, " << used_bytes_
                                << " bytes are resident";
      used_bytes_ -= trace_.object_size_bytes[*victim];
      resident_[*victim] = 0;
    }
    resident_[object] = 1;
    marks_->Set(object, 0);
    used_bytes_ += size_bytes;
    policy_->Insert(object, key, size_bytes);
    if (result_.misses % kMemorySampleMisses == 0) SampleMemory();
  }

  void SampleMemory() {
    result_.policy_memory_bytes_max =
        std::max(result_.policy_memory_bytes_max, policy_->MemoryBytes());
    result_.objects_max = std::max(result_.objects_max, policy_->objects());
  }

  const Trace& trace_;
  EvictionPolicy* const policy_;
  ArrayHitMarks* const marks_;
  const uint64_t capacity_bytes_;
  const bool ordered_;
  std::vector<uint8_t> resident_;
  uint64_t used_bytes_ = 0;
  ReplayResult result_;
};

}  // namespace

absl::StatusOr<ReplayResult> ReplayTrace(const Trace& trace, std::string_view policy_name,
                                         uint64_t capacity_bytes) {
  ArrayHitMarks marks(trace.object_size_bytes.size());
  absl::StatusOr<std::unique_ptr<EvictionPolicy>> policy = MakeEvictionPolicy(policy_name, &marks);
  if (!policy.ok()) return policy.status();
  return Replay(trace, policy->get(), &marks, capacity_bytes).Run();
}

uint64_t CapacityOfFraction(const Trace& trace, double fraction) {
  return static_cast<uint64_t>(static_cast<double>(trace.UniqueBytes()) * fraction);
}

}  // namespace spillway
