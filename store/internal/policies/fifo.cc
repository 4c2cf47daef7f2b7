#include "store/internal/policies/fifo.h"

namespace spillway::internal {

void FifoPolicy::Insert(SlotIndex slot, uint64_t /*key*/, uint64_t size_bytes) {
  residents_.Add(slot, size_bytes);
  queue_.PushHead(residents_, slot);
}

void FifoPolicy::Remove(SlotIndex slot) {
  if (!residents_.Contains(slot)) return;
  queue_.Unlink(residents_, slot);
  residents_.Erase(slot);
}

std::optional<SlotIndex> FifoPolicy::Evict() {
  if (queue_.empty()) return std::nullopt;
  const SlotIndex victim = queue_.tail();
  Remove(victim);
  return victim;
}

void FifoPolicy::Readmit(SlotIndex slot, uint64_t key, uint64_t size_bytes) {
  Insert(slot, key, size_bytes);
}

}  // namespace spillway::internal
