// S3-FIFO: new objects pass through a small queue (a tenth of the bytes) and leave it quickly
// unless they were hit; those that were, and those that come back soon after they left, live in the
// main queue, where a hit earns another round.
//
// Source: J. Yang, Y. Zhang, Z. Qiu, Y. Yue, K. V. Rashmi, "FIFO queues are all you need for cache
// eviction", SOSP 2023.
#ifndef SPILLWAY_STORE_INTERNAL_POLICIES_S3FIFO_H_
#define SPILLWAY_STORE_INTERNAL_POLICIES_S3FIFO_H_

#include "store/eviction_policy.h"
#include "store/internal/policies/ghost_queue.h"
#include "store/internal/policies/resident_table.h"

namespace spillway::internal {

class S3FifoPolicy final : public EvictionPolicy {
 public:
  explicit S3FifoPolicy(HitMarks* marks) : marks_(marks) {}

  std::string_view name() const override { return "s3fifo"; }
  HitTracking hit_tracking() const override { return HitTracking::kMarks; }
  void SetCapacity(uint64_t capacity_bytes) override;
  bool Admits(uint64_t size_bytes) const override { return size_bytes < small_capacity_bytes_; }
  void Miss(uint64_t key, uint64_t size_bytes) override;
  void Insert(SlotIndex slot, uint64_t key, uint64_t size_bytes) override;
  void Hit(SlotIndex) override {}
  void Remove(SlotIndex slot) override;
  std::optional<SlotIndex> Evict() override;
  void Readmit(SlotIndex slot, uint64_t key, uint64_t size_bytes) override;
  uint64_t objects() const override { return residents_.objects(); }
  uint64_t bytes() const override { return residents_.bytes(); }
  uint64_t MemoryBytes() const override { return residents_.MemoryBytes() + ghosts_.MemoryBytes(); }

 private:
  // A node's tag says that the object is in the main queue.
  struct Node : LinkedNode {
    uint32_t key_low = 0;
    uint32_t key_high = 0;
  };

  void InsertInto(bool main, SlotIndex slot, uint64_t key, uint64_t size_bytes);
  void MoveToMainHead(SlotIndex slot);
  std::optional<SlotIndex> EvictFromSmall();
  SlotIndex EvictFromMain();

  HitMarks* const marks_;
  ResidentTable<Node> residents_;
  SlotList small_;
  SlotList main_;
  GhostQueue ghosts_;
  uint64_t small_capacity_bytes_ = 0;
  uint64_t main_capacity_bytes_ = 0;
  uint64_t main_bytes_ = 0;
  uint64_t residents_peak_ = 0;
  uint64_t returning_key_ = 0;  // the key of the last Miss, if it was a ghost; 0 is no object's key
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_POLICIES_S3FIFO_H_
