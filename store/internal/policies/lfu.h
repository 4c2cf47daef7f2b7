// Least frequently used, with counts in the cache only and without aging: of the objects with the
// lowest count, the one that reached that count first leaves.
//
// Source of the O(1) arrangement, a list of counts each with its list of objects: K. Shah, A.
// Mitra, D. Matani, "An O(1) algorithm for implementing the LFU cache eviction scheme", 2010.
#ifndef SPILLWAY_STORE_INTERNAL_POLICIES_LFU_H_
#define SPILLWAY_STORE_INTERNAL_POLICIES_LFU_H_

#include "store/eviction_policy.h"
#include "store/internal/policies/resident_table.h"
#include "store/internal/policies/slab_vector.h"

namespace spillway::internal {

class LfuPolicy final : public EvictionPolicy {
 public:
  std::string_view name() const override { return "lfu"; }
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
  uint64_t MemoryBytes() const override {
    return residents_.MemoryBytes() + buckets_.MemoryBytes();
  }

 private:
  static constexpr uint32_t kNoBucket = 0xffffffffu;

  struct Node : LinkedNode {
    uint32_t bucket = kNoBucket;
  };
  // The objects of one count. Buckets form a list in ascending order of their counts, without empty
  // ones, so there are never more than objects.
  struct Bucket {
    uint32_t count = 0;
    uint32_t prev = kNoBucket;  // the next lower count
    uint32_t next = kNoBucket;  // the next higher count; links free buckets too
    SlotList objects;
  };

  // The bucket of `count`, which belongs right after `prev` (kNoBucket: first); made if missing.
  uint32_t BucketAfter(uint32_t prev, uint32_t count);
  void FreeBucketIfEmpty(uint32_t bucket);
  void PutInto(uint32_t bucket, SlotIndex slot);

  ResidentTable<Node> residents_;
  SlabVector<Bucket, 8> buckets_;
  uint32_t buckets_made_ = 0;
  uint32_t free_bucket_ = kNoBucket;
  uint32_t lowest_ = kNoBucket;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_POLICIES_LFU_H_
