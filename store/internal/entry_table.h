// All entries of a store: slabs of cache lines, found by slot, never moved, reused last in first
// out.
#ifndef SPILLWAY_STORE_INTERNAL_ENTRY_TABLE_H_
#define SPILLWAY_STORE_INTERNAL_ENTRY_TABLE_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "serialization/mutex.h"
#include "store/internal/entry.h"
#include "store/internal/memory/memory_budget.h"
#include "store/internal/memory/spin_lock.h"

namespace spillway::internal {

// Thread-safe. Memory is charged to MemoryUse::kEntries, slab by slab, and kept until the table
// goes.
class EntryTable {
 public:
  // 28 bits of slot: what the id index can tell apart.
  static constexpr uint32_t kSlotsMax = uint32_t{1} << 28;
  static constexpr uint32_t kSlabsMax = kSlotsMax / kSlotsPerSlab;

  EntryTable(StoreCore* core, char* arena_base, MemoryBudget* budget);
  ~EntryTable();
  EntryTable(const EntryTable&) = delete;
  EntryTable& operator=(const EntryTable&) = delete;

  // A free entry, its word, id and ticket zero. Null if the budget does not give another slab, or
  // at kSlotsMax entries.
  Entry* Allocate();

  // Takes back an entry without refs and pins.
  void Free(Entry* entry);

  Entry* At(uint32_t slot) const {
    char* slab = slabs_[slot / kSlotsPerSlab].load(std::memory_order_acquire);
    return reinterpret_cast<Entry*>(slab) + slot % kSlotsPerSlab;
  }

  // Calls fn(Entry*) for every entry that there ever was, free ones included.
  template <typename Fn>
  void ForEach(Fn fn) const {
    const uint32_t slabs = slabs_used_.load(std::memory_order_acquire);
    for (uint32_t slab = 0; slab < slabs; ++slab) {
      for (uint32_t i = 1; i < kSlotsPerSlab; ++i) fn(At(slab * kSlotsPerSlab + i));
    }
  }

  // Entries that are not free.
  uint64_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  // Null if the list is empty.
  Entry* TakeFree();
  bool AddSlab() ABSL_EXCLUSIVE_LOCKS_REQUIRED(growth_mutex_);

  StoreCore* const core_;
  char* const arena_base_;
  MemoryBudget* const budget_;
  std::atomic<char*>* const slabs_;  // kSlabsMax places, touched as they are used
  std::atomic<uint32_t> slabs_used_{0};
  Mutex growth_mutex_;  // before lock_
  // One line of what every put and delete changes.
  alignas(64) SpinLock lock_;
  uint32_t free_head_ ABSL_GUARDED_BY(lock_) = 0;  // slot of the first free entry, 0 for none
  std::atomic<uint64_t> used_{0};                  // written under lock_
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_ENTRY_TABLE_H_
