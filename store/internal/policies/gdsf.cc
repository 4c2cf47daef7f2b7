#include "store/internal/policies/gdsf.h"

#include <algorithm>

namespace spillway::internal {

bool GdsfPolicy::LeavesBefore(SlotIndex a, SlotIndex b) const {
  const Node& x = residents_[a];
  const Node& y = residents_[b];
  return x.priority != y.priority ? x.priority < y.priority : x.order < y.order;
}

void GdsfPolicy::SetPriority(SlotIndex slot) {
  Node& node = residents_[slot];
  const uint64_t size_bytes = std::max<uint64_t>(residents_.SizeOf(slot), 1);
  node.priority = inflation_ + node.count * 1.0e6 / static_cast<double>(size_bytes);
  node.order = ++accesses_;
}

void GdsfPolicy::Place(uint32_t heap_index, SlotIndex slot) {
  heap_[heap_index] = slot;
  residents_[slot].heap_index = heap_index;
}

void GdsfPolicy::SiftUp(uint32_t heap_index, SlotIndex slot) {
  while (heap_index > 0) {
    const uint32_t parent = (heap_index - 1) / 2;
    if (!LeavesBefore(slot, heap_[parent])) break;
    Place(heap_index, heap_[parent]);
    heap_index = parent;
  }
  Place(heap_index, slot);
}

void GdsfPolicy::SiftDown(uint32_t heap_index, SlotIndex slot) {
  const uint64_t count = residents_.objects();
  while (true) {
    uint64_t child = 2 * uint64_t{heap_index} + 1;
    if (child >= count) break;
    if (child + 1 < count && LeavesBefore(heap_[child + 1], heap_[child])) ++child;
    if (!LeavesBefore(heap_[child], slot)) break;
    Place(heap_index, heap_[child]);
    heap_index = static_cast<uint32_t>(child);
  }
  Place(heap_index, slot);
}

void GdsfPolicy::Insert(SlotIndex slot, uint64_t /*key*/, uint64_t size_bytes) {
  residents_.Add(slot, size_bytes);
  SetPriority(slot);
  const uint32_t last = static_cast<uint32_t>(residents_.objects() - 1);
  heap_.Cover(last);
  SiftUp(last, slot);
}

void GdsfPolicy::Hit(SlotIndex slot) {
  if (!residents_.Contains(slot)) return;
  Node& node = residents_[slot];
  if (node.count < 0xffffffffu) ++node.count;
  SetPriority(slot);  // never lower than before: L and the count only grow
  SiftDown(node.heap_index, slot);
}

void GdsfPolicy::Remove(SlotIndex slot) {
  if (!residents_.Contains(slot)) return;
  const uint32_t heap_index = residents_[slot].heap_index;
  residents_.Erase(slot);
  const uint64_t count = residents_.objects();
  if (heap_index == count) return;  // it was the last
  const SlotIndex moved = heap_[count];
  SiftUp(heap_index, moved);
  SiftDown(residents_[moved].heap_index, moved);
}

std::optional<SlotIndex> GdsfPolicy::Evict() {
  if (residents_.objects() == 0) return std::nullopt;
  const SlotIndex victim = heap_[0];
  inflation_ = residents_[victim].priority;
  Remove(victim);
  return victim;
}

void GdsfPolicy::Readmit(SlotIndex slot, uint64_t key, uint64_t size_bytes) {
  Insert(slot, key, size_bytes);
  Hit(slot);
}

}  // namespace spillway::internal
