#include "store/internal/policies/sieve.h"

namespace spillway::internal {

void SievePolicy::Insert(SlotIndex slot, uint64_t /*key*/, uint64_t size_bytes) {
  residents_.Add(slot, size_bytes);
  queue_.PushHead(residents_, slot);
}

void SievePolicy::Remove(SlotIndex slot) {
  if (!residents_.Contains(slot)) return;
  if (hand_ == slot) hand_ = residents_[slot].prev;
  queue_.Unlink(residents_, slot);
  residents_.Erase(slot);
}

std::optional<SlotIndex> SievePolicy::Evict() {
  if (queue_.empty()) return std::nullopt;
  SlotIndex slot = hand_ != kNoSlot ? hand_ : queue_.tail();
  // Two rounds clear every mark that readers do not set again meanwhile; a third would be theirs.
  uint64_t spared_max = 2 * residents_.objects();
  while (marks_->Get(slot) != 0 && spared_max-- > 0) {
    marks_->Set(slot, 0);
    slot = residents_[slot].prev;
    if (slot == kNoSlot) slot = queue_.tail();
  }
  hand_ = slot;
  Remove(slot);  // moves the hand on, towards the head
  return slot;
}

void SievePolicy::Readmit(SlotIndex slot, uint64_t key, uint64_t size_bytes) {
  Insert(slot, key, size_bytes);
  marks_->Set(slot, 1);
}

}  // namespace spillway::internal
