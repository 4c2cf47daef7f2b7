// GhostQueue: the keys of objects that left, oldest forgotten first, worth a given number of bytes.
//
// Exact: no fingerprints, no false hits. A key costs 24 bytes and its share of the index, which is
// why the number of keys is bounded too.
//
// Thread-safety: none.
#ifndef SPILLWAY_STORE_INTERNAL_POLICIES_GHOST_QUEUE_H_
#define SPILLWAY_STORE_INTERNAL_POLICIES_GHOST_QUEUE_H_

#include <cstdint>
#include <memory>

#include "store/internal/policies/resident_table.h"
#include "store/internal/policies/slab_vector.h"

namespace spillway::internal {

class GhostQueue {
 public:
  // The sizes of the remembered keys stay within `capacity_bytes`; lowering it forgets the oldest.
  void SetCapacity(uint64_t capacity_bytes);

  // The keys stay within `objects_max`.
  void SetObjectsMax(uint64_t objects_max);

  // Remembers a key as the newest; one larger than the capacity is not remembered.
  // REQUIRES: the key is not remembered.
  void Add(uint64_t key, uint64_t size_bytes);

  // Forgets the key; false if it is not remembered.
  bool Take(uint64_t key);

  uint64_t objects() const { return objects_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t MemoryBytes() const { return ghosts_.MemoryBytes() + buckets_count_ * sizeof(uint32_t); }

 private:
  struct Ghost {
    uint64_t key = 0;
    uint64_t size_bytes = 0;
    SlotIndex prev = kNoSlot;
    SlotIndex next = kNoSlot;  // links free ones too
    uint32_t chain = kNoSlot;  // the next ghost of the same bucket
  };

  uint64_t BucketOf(uint64_t key) const;
  void GrowIndex();
  void Forget(uint32_t* link);
  void Shrink();

  SlabVector<Ghost, 10> ghosts_;
  SlotList queue_;
  uint32_t ghosts_made_ = 0;
  uint32_t free_ghost_ = kNoSlot;
  std::unique_ptr<uint32_t[]> buckets_;  // heads of chains
  uint64_t buckets_count_ = 0;           // a power of two, or 0
  uint64_t capacity_bytes_ = 0;
  uint64_t objects_max_ = kNoSlot;
  uint64_t objects_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_POLICIES_GHOST_QUEUE_H_
