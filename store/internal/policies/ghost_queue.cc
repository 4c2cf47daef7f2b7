#include "store/internal/policies/ghost_queue.h"

#include <algorithm>

#include "store/internal/policies/key_hash.h"

namespace spillway::internal {

uint64_t GhostQueue::BucketOf(uint64_t key) const { return HashKey(key) & (buckets_count_ - 1); }

void GhostQueue::GrowIndex() {
  buckets_count_ = std::max<uint64_t>(64, buckets_count_ * 2);
  buckets_ = std::make_unique<uint32_t[]>(buckets_count_);
  std::fill_n(buckets_.get(), buckets_count_, kNoSlot);
  for (SlotIndex i = queue_.tail(); i != kNoSlot; i = ghosts_[i].prev) {
    uint32_t& head = buckets_[BucketOf(ghosts_[i].key)];
    ghosts_[i].chain = head;
    head = i;
  }
}

void GhostQueue::Forget(uint32_t* link) {
  const uint32_t index = *link;
  Ghost& ghost = ghosts_[index];
  *link = ghost.chain;
  queue_.Unlink(ghosts_, index);
  --objects_;
  bytes_ -= ghost.size_bytes;
  ghost.next = free_ghost_;
  free_ghost_ = index;
}

void GhostQueue::Shrink() {
  while (bytes_ > capacity_bytes_ || objects_ > objects_max_) Take(ghosts_[queue_.tail()].key);
}

void GhostQueue::SetCapacity(uint64_t capacity_bytes) {
  capacity_bytes_ = capacity_bytes;
  Shrink();
}

void GhostQueue::SetObjectsMax(uint64_t objects_max) {
  objects_max_ = std::min<uint64_t>(objects_max, kNoSlot);
  Shrink();
}

void GhostQueue::Add(uint64_t key, uint64_t size_bytes) {
  if (size_bytes > capacity_bytes_) return;
  if (objects_ >= buckets_count_) GrowIndex();
  uint32_t made = free_ghost_;
  if (made != kNoSlot) {
    free_ghost_ = ghosts_[made].next;
  } else {
    made = ghosts_made_++;
    ghosts_.Cover(made);
  }
  uint32_t& head = buckets_[BucketOf(key)];
  ghosts_[made] = Ghost{.key = key, .size_bytes = size_bytes, .chain = head};
  head = made;
  queue_.PushHead(ghosts_, made);
  ++objects_;
  bytes_ += size_bytes;
  Shrink();
}

bool GhostQueue::Take(uint64_t key) {
  if (objects_ == 0) return false;
  uint32_t* link = &buckets_[BucketOf(key)];
  while (*link != kNoSlot && ghosts_[*link].key != key) link = &ghosts_[*link].chain;
  if (*link == kNoSlot) return false;
  Forget(link);
  return true;
}

}  // namespace spillway::internal
