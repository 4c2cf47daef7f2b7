// SIEVE: a queue, a visited mark per object, and a hand that sweeps from the tail to the head,
// spares visited objects once, and evicts the first that was not visited. Survivors keep their
// place.
//
// Source: Y. Zhang, J. Yang, Y. Yue, Y. Vigfusson, K. V. Rashmi, "SIEVE is simpler than LRU: an
// efficient turn-key eviction algorithm for web caches", NSDI 2024.
#ifndef SPILLWAY_STORE_INTERNAL_POLICIES_SIEVE_H_
#define SPILLWAY_STORE_INTERNAL_POLICIES_SIEVE_H_

#include "store/eviction_policy.h"
#include "store/internal/policies/resident_table.h"

namespace spillway::internal {

class SievePolicy final : public EvictionPolicy {
 public:
  explicit SievePolicy(HitMarks* marks) : marks_(marks) {}

  std::string_view name() const override { return "sieve"; }
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
  HitMarks* const marks_;
  ResidentTable<LinkedNode> residents_;
  SlotList queue_;
  SlotIndex hand_ = kNoSlot;  // where the next sweep begins; kNoSlot: at the tail
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_POLICIES_SIEVE_H_
