// GreedyDual-Size-Frequency: the object with the lowest L + count x 10^6 / size leaves, and L
// becomes its priority, so that what has not been hit for long is overtaken by what is new.
//
// Source: L. Cherkasova, "Improving WWW proxies performance with Greedy-Dual-Size-Frequency caching
// policy", HP Laboratories report 98-69R1, 1998.
#ifndef SPILLWAY_STORE_INTERNAL_POLICIES_GDSF_H_
#define SPILLWAY_STORE_INTERNAL_POLICIES_GDSF_H_

#include "store/eviction_policy.h"
#include "store/internal/policies/resident_table.h"
#include "store/internal/policies/slab_vector.h"

namespace spillway::internal {

class GdsfPolicy final : public EvictionPolicy {
 public:
  std::string_view name() const override { return "gdsf"; }
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
  uint64_t MemoryBytes() const override { return residents_.MemoryBytes() + heap_.MemoryBytes(); }

 private:
  struct Node : ResidentNode {
    uint32_t count = 1;
    uint32_t heap_index = 0;
    double priority = 0;
    uint64_t order = 0;  // of the last access; the older one leaves when priorities are equal
  };

  bool LeavesBefore(SlotIndex a, SlotIndex b) const;
  void SetPriority(SlotIndex slot);
  void Place(uint32_t heap_index, SlotIndex slot);
  void SiftUp(uint32_t heap_index, SlotIndex slot);
  void SiftDown(uint32_t heap_index, SlotIndex slot);

  ResidentTable<Node> residents_;
  SlabVector<SlotIndex> heap_;  // residents_.objects() long; the next victim is at 0
  double inflation_ = 0;        // L
  uint64_t accesses_ = 0;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_POLICIES_GDSF_H_
