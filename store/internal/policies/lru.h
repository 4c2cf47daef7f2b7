// Least recently used: a hit moves the object to the head, the tail leaves.
//
// Source: R. L. Mattson, J. Gecsei, D. R. Slutz, I. L. Traiger, "Evaluation techniques for storage
// hierarchies", IBM Systems Journal 9(2), 1970.
#ifndef SPILLWAY_STORE_INTERNAL_POLICIES_LRU_H_
#define SPILLWAY_STORE_INTERNAL_POLICIES_LRU_H_

#include "store/eviction_policy.h"
#include "store/internal/policies/resident_table.h"

namespace spillway::internal {

class LruPolicy final : public EvictionPolicy {
 public:
  std::string_view name() const override { return "lru"; }
  HitTracking hit_tracking() const override { return HitTracking::kOrdered; }
  void SetCapacity(uint64_t) override {}
  bool Admits(uint64_t) const override { return true; }
  void Miss(uint64_t, uint64_t) override {}
  void Insert(SlotIndex slot, uint64_t key, uint64_t size_bytes) override;
  void Hit(SlotIndex slot) override;
  void Remove(SlotIndex slot) override;
  std::optional<SlotIndex> Evict() override;
  void Readmit(SlotIndex slot, uint64_t key, uint64_t size_bytes) override;
  uint64_t objects() const override { return residents_.objects(); }
  uint64_t bytes() const override { return residents_.bytes(); }
  uint64_t MemoryBytes() const override { return residents_.MemoryBytes(); }

 private:
  ResidentTable<LinkedNode> residents_;
  SlotList list_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_POLICIES_LRU_H_
