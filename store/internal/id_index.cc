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

// Ids are consecutive numbers: one multiplication by the golden ratio spreads them (Knuth, "The Art
// of Computer Programming", volume 3, 6.4), and the fold brings the well mixed half down.
uint64_t HashOf(uint64_t id) {
  id *= 0x9e3779b97f4a7c15ull;
  return id ^ (id >> 32);
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
    SpinLockHolder hold(&shard.lock);
    budget_->Release(MemoryUse::kIndex, shard.capacity * sizeof(uint32_t));
  }
}

bool IdIndex::Insert(Entry* entry) {
  const uint64_t hash = HashOf(entry->id.load(std::memory_order_relaxed));
  Shard& shard = ShardOf(hash);
  do {
    SpinLockHolder hold(&shard.lock);
    if (!HasRoom(shard)) continue;
    uint32_t at = HomeOf(hash, shard.capacity);
    while (HasEntry(shard.cells[at])) at = at + 1 == shard.capacity ? 0 : at + 1;
    if (shard.cells[at] == kErased) --shard.erased;
    shard.cells[at] = TagOf(hash) | entry->slot;
    ++shard.used;
    return true;
  } while (MakeRoom(shard));
  return false;
}

void IdIndex::Erase(Entry* entry) {
  const uint64_t hash = HashOf(entry->id.load(std::memory_order_relaxed));
  Shard& shard = ShardOf(hash);
  SpinLockHolder hold(&shard.lock);
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

inline Entry* IdIndex::FindLocked(Shard& shard, uint64_t hash, uint64_t id) const {
  if (shard.capacity == 0) [[unlikely]]
    return nullptr;
  const uint32_t tag = TagOf(hash);
  for (uint32_t at = HomeOf(hash, shard.capacity); shard.cells[at] != kEmpty;
       at = at + 1 == shard.capacity ? 0 : at + 1) {
    const uint32_t cell = shard.cells[at];
    if (!HasEntry(cell) || (cell & ~kSlotMask) != tag) continue;
    Entry* entry = entries_->At(cell & kSlotMask);
    if (entry->id.load(std::memory_order_relaxed) == id) return entry;
  }
  return nullptr;
}

Entry* IdIndex::FindAndRef(uint64_t id) const {
  const uint64_t hash = HashOf(id);
  Shard& shard = ShardOf(hash);
  SpinLockHolder hold(&shard.lock);
  Entry* entry = FindLocked(shard, hash, id);
  return entry != nullptr && RefIfNotZero(entry) ? entry : nullptr;
}

const Entry* IdIndex::FindAny(uint64_t id) const {
  const uint64_t hash = HashOf(id);
  Shard& shard = ShardOf(hash);
  SpinLockHolder hold(&shard.lock);
  return FindLocked(shard, hash, id);
}

Entry* IdIndex::FindAndPin(uint64_t id) const {
  const uint64_t hash = HashOf(id);
  Shard& shard = ShardOf(hash);
  // The lock's atomic operation holds up every load after it.
  __builtin_prefetch(shard.cells_hint.load(std::memory_order_relaxed) +
                     HomeOf(hash, shard.capacity_hint.load(std::memory_order_relaxed)));
  SpinLockHolder hold(&shard.lock);
  Entry* entry = FindLocked(shard, hash, id);
  if (entry == nullptr) return nullptr;
  __builtin_prefetch(BytesOf(entry));
  return PinIfResident(entry) ? entry : nullptr;
}

bool IdIndex::MakeRoom(Shard& shard) {
  MutexLock lock(&growth_mutex_);
  uint32_t capacity;
  {
    SpinLockHolder hold(&shard.lock);
    if (HasRoom(shard)) return true;
    // Grow by a quarter, or only sweep erased cells if they are what fills the table.
    capacity = shard.capacity;
    if (shard.used >= EntriesMax(capacity)) {
      capacity = std::max(kCapacityMin, capacity + capacity / 4);
    }
  }
  if (!budget_->TryAcquire(MemoryUse::kIndex, capacity * sizeof(uint32_t))) return false;
  std::unique_ptr<uint32_t[]> cells(new uint32_t[capacity]());
  uint32_t old_capacity;
  {
    SpinLockHolder hold(&shard.lock);
    old_capacity = shard.capacity;
    for (uint32_t i = 0; i < old_capacity; ++i) {
      if (!HasEntry(shard.cells[i])) continue;
      const Entry* entry = entries_->At(shard.cells[i] & kSlotMask);
      uint32_t at = HomeOf(HashOf(entry->id.load(std::memory_order_relaxed)), capacity);
      while (cells[at] != kEmpty) at = at + 1 == capacity ? 0 : at + 1;
      cells[at] = shard.cells[i];
    }
    shard.cells.swap(cells);
    shard.capacity = capacity;
    shard.erased = 0;
    shard.cells_hint.store(shard.cells.get(), std::memory_order_relaxed);
    shard.capacity_hint.store(capacity, std::memory_order_relaxed);
  }
  cells.reset();
  budget_->Release(MemoryUse::kIndex, old_capacity * sizeof(uint32_t));
  return true;
}

}  // namespace spillway::internal
