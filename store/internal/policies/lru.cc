#include "store/internal/policies/lru.h"

namespace spillway::internal {

void LruPolicy::Insert(SlotIndex slot, uint64_t /*key*/, uint64_t size_bytes) {
  residents_.Add(slot, size_bytes);
  list_.PushHead(residents_, slot);
}

void LruPolicy::Hit(SlotIndex slot) {
  if (!residents_.Contains(slot) || list_.head() == slot) return;
  list_.Unlink(residents_, slot);
  list_.PushHead(residents_, slot);
}

void LruPolicy::Remove(SlotIndex slot) {
  if (!residents_.Contains(slot)) return;
  list_.Unlink(residents_, slot);
  residents_.Erase(slot);
}

std::optional<SlotIndex> LruPolicy::Evict() {
  if (list_.empty()) return std::nullopt;
  const SlotIndex victim = list_.tail();
  Remove(victim);
  return victim;
}

void LruPolicy::Readmit(SlotIndex slot, uint64_t key, uint64_t size_bytes) {
  Insert(slot, key, size_bytes);
}

}  // namespace spillway::internal
