#include "store/internal/policies/lfu.h"

#include <limits>

namespace spillway::internal {

uint32_t LfuPolicy::BucketAfter(uint32_t prev, uint32_t count) {
  const uint32_t next = prev == kNoBucket ? lowest_ : buckets_[prev].next;
  if (next != kNoBucket && buckets_[next].count == count) return next;
  uint32_t made = free_bucket_;
  if (made != kNoBucket) {
    free_bucket_ = buckets_[made].next;
  } else {
    made = buckets_made_++;
    buckets_.Cover(made);
  }
  buckets_[made] = Bucket{.count = count, .prev = prev, .next = next, .objects = {}};
  (prev == kNoBucket ? lowest_ : buckets_[prev].next) = made;
  if (next != kNoBucket) buckets_[next].prev = made;
  return made;
}

void LfuPolicy::FreeBucketIfEmpty(uint32_t bucket) {
  Bucket& freed = buckets_[bucket];
  if (!freed.objects.empty()) return;
  (freed.prev == kNoBucket ? lowest_ : buckets_[freed.prev].next) = freed.next;
  if (freed.next != kNoBucket) buckets_[freed.next].prev = freed.prev;
  freed.next = free_bucket_;
  free_bucket_ = bucket;
}

void LfuPolicy::PutInto(uint32_t bucket, SlotIndex slot) {
  buckets_[bucket].objects.PushHead(residents_, slot);
  residents_[slot].bucket = bucket;
}

void LfuPolicy::Insert(SlotIndex slot, uint64_t /*key*/, uint64_t size_bytes) {
  residents_.Add(slot, size_bytes);
  PutInto(BucketAfter(kNoBucket, 1), slot);
}

void LfuPolicy::Hit(SlotIndex slot) {
  if (!residents_.Contains(slot)) return;
  const uint32_t from = residents_[slot].bucket;
  const uint32_t count = buckets_[from].count;
  if (count == std::numeric_limits<uint32_t>::max()) return;
  const uint32_t to = BucketAfter(from, count + 1);
  buckets_[from].objects.Unlink(residents_, slot);
  PutInto(to, slot);
  FreeBucketIfEmpty(from);
}

void LfuPolicy::Remove(SlotIndex slot) {
  if (!residents_.Contains(slot)) return;
  const uint32_t bucket = residents_[slot].bucket;
  buckets_[bucket].objects.Unlink(residents_, slot);
  FreeBucketIfEmpty(bucket);
  residents_.Erase(slot);
}

std::optional<SlotIndex> LfuPolicy::Evict() {
  if (lowest_ == kNoBucket) return std::nullopt;
  const SlotIndex victim = buckets_[lowest_].objects.tail();
  Remove(victim);
  return victim;
}

void LfuPolicy::Readmit(SlotIndex slot, uint64_t key, uint64_t size_bytes) {
  // Its count is lost; one hit keeps it from being the next victim again.
  Insert(slot, key, size_bytes);
  Hit(slot);
}

}  // namespace spillway::internal
