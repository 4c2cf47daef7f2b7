#include "store/internal/id_index.h"

#include <algorithm>
#include <utility>

#include "glog/logging.h"

namespace spillway::internal {

namespace {

// A cell: slot in the low 28 bits, tag above. Slot 0 is a slab header, so no entry encodes as
// these.
constexpr uint32_t kEmpty = 0;
constexpr uint32_t kErased = 0xf0000000u;
constexpr uint32_t kSlotMask = EntryTable::kSlotsMax - 1;
constexpr uint32_t kCapacityMin = 16;

// Ids are consecutive numbers; a multiplication and a fold spread them (splitmix64's finalizer).
uint64_t HashOf(uint64_t id) {
  id = (id ^ (id >> 30)) * 0xbf58476d1ce4e5b9ull;
  id = (id ^ (id >> 27)) * 0x94d049bb133111ebull;
  return id ^ (id >> 31);
}

uint32_t TagOf(uint64_t hash) { return static_cast<uint32_t>(hash >> 54) << 28; }  // bits 54..57

uint32_t HomeOf(uint64_t hash, uint32_t capacity) {
  return static_cast<uint32_t>(((hash & 0xffffffffu) * capacity) >> 32);
}

bool HasEntry(uint32_t cell) { return (cell & kSlotMask) != 0; }

}  // namespace

IdIndex::IdIndex(const EntryTable* entries, MemoryBudget* budget)
    : entries_(entries), budget_(budget) {}

IdIndex::~IdIndex() {
  for (Shard& shard : shards_) {
    MutexLock lock(&shard.mutex);
    budget_->Release(MemoryUse::kIndex, shard.capacity * sizeof(uint32_t));
  }
}

bool IdIndex::Insert(Entry* entry) {
  const uint64_t hash = HashOf(entry->id.load(std::memory_order_relaxed));
  Shard& shard = ShardOf(hash);
  MutexLock lock(&shard.mutex);
  if ((shard.used + shard.erased + 1) > shard.capacity / 8 * 7 && !MakeRoom(shard)) return false;
  uint32_t at = HomeOf(hash, shard.capacity);
  while (HasEntry(shard.cells[at])) at = at + 1 == shard.capacity ? 0 : at + 1;
  if (shard.cells[at] == kErased) --shard.erased;
  shard.cells[at] = TagOf(hash) | entry->slot;
  ++shard.used;
  return true;
}

void IdIndex::Erase(Entry* entry) {
  const uint64_t hash = HashOf(entry->id.load(std::memory_order_relaxed));
  Shard& shard = ShardOf(hash);
  MutexLock lock(&shard.mutex);
  const uint32_t wanted = TagOf(hash) | entry->slot;
  uint32_t at = HomeOf(hash, shard.capacity);
  while (shard.cells[at] != wanted) {
    CHECK_NE(shard.cells[at], kEmpty) << "entry is not in the index";
    at = at + 1 == shard.capacity ? 0 : at + 1;
  }
  --shard.used;
  const uint32_t next = at + 1 == shard.capacity ? 0 : at + 1;
  if (shard.cells[next] != kEmpty) {
    shard.cells[at] = kErased;
    ++shard.erased;
    return;
  }
  // At the end of a run nothing needs the cell to be passed, nor erased ones before it.
  shard.cells[at] = kEmpty;
  for (at = at == 0 ? shard.capacity - 1 : at - 1; shard.cells[at] == kErased;
       at = at == 0 ? shard.capacity - 1 : at - 1) {
    shard.cells[at] = kEmpty;
    --shard.erased;
  }
}

Entry* IdIndex::FindAndRef(uint64_t id) const {
  const uint64_t hash = HashOf(id);
  const uint32_t tag = TagOf(hash);
  Shard& shard = ShardOf(hash);
  MutexLock lock(&shard.mutex);
  if (shard.capacity == 0) return nullptr;
  for (uint32_t at = HomeOf(hash, shard.capacity); shard.cells[at] != kEmpty;
       at = at + 1 == shard.capacity ? 0 : at + 1) {
    const uint32_t cell = shard.cells[at];
    if (!HasEntry(cell) || (cell & ~kSlotMask) != tag) continue;
    Entry* entry = entries_->At(cell & kSlotMask);
    if (entry->id.load(std::memory_order_relaxed) == id)
      return RefIfNotZero(entry) ? entry : nullptr;
  }
  return nullptr;
}

bool IdIndex::MakeRoom(Shard& shard) {
  // Grow by half, or only sweep erased cells if they are what fills the table.
  uint32_t capacity = shard.capacity;
  if (shard.used + 1 > capacity / 4 * 3) capacity = std::max(kCapacityMin, capacity + capacity / 2);
  if (!budget_->TryAcquire(MemoryUse::kIndex, capacity * sizeof(uint32_t))) return false;
  std::unique_ptr<uint32_t[]> cells(new uint32_t[capacity]());
  for (uint32_t i = 0; i < shard.capacity; ++i) {
    if (!HasEntry(shard.cells[i])) continue;
    const Entry* entry = entries_->At(shard.cells[i] & kSlotMask);
    uint32_t at = HomeOf(HashOf(entry->id.load(std::memory_order_relaxed)), capacity);
    while (cells[at] != kEmpty) at = at + 1 == capacity ? 0 : at + 1;
    cells[at] = shard.cells[i];
  }
  budget_->Release(MemoryUse::kIndex, shard.capacity * sizeof(uint32_t));
  shard.cells = std::move(cells);
  shard.capacity = capacity;
  shard.erased = 0;
  return true;
}

}  // namespace spillway::internal
