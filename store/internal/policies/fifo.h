// First in, first out: hits are not heard of, the object that has been resident longest leaves.
//
// Source: L. A. Belady, "A study of replacement algorithms for a virtual-storage computer", IBM
// Systems Journal 5(2), 1966.
#ifndef SPILLWAY_STORE_INTERNAL_POLICIES_FIFO_H_
#define SPILLWAY_STORE_INTERNAL_POLICIES_FIFO_H_

#include "store/eviction_policy.h"
#include "store/internal/policies/resident_table.h"

namespace spillway::internal {

class FifoPolicy final : public EvictionPolicy {
 public:
  std::string_view name() const override { return "fifo"; }
  HitTracking hit_tracking() const override { return HitTracking::kMarks; }
  void SetCapacity(uint64_t) override {}
  bool Admits(uint64_t) const override { return true; }
  void Miss(uint64_t, uint64_t) override {}
  void Insert(SlotIndex slot, uint64_t key, uint64_t size_bytes) override;
  void Hit(SlotIndex) override {}
  void Remove(SlotIndex slot) override;
  std::optional<SlotIndex> Evict() override;
  void Readmit(SlotIndex slot, uint64_t key, uint64_t size_bytes) override;
  uint64_t objects() const override { return residents_.objects(); }
  uint64_t bytes() const override { return residents_.bytes(); }
  uint64_t MemoryBytes() const override { return residents_.MemoryBytes(); }

 private:
  ResidentTable<LinkedNode> residents_;
  SlotList queue_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_POLICIES_FIFO_H_
