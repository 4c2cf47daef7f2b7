// Finds an object's entry by its id.
//
// Open addressing over 4-byte cells: 28 bits of slot and 4 bits of the id's hash, so that a
// lookup touches an entry that is not the right one only once in sixteen probes past its own. The
// full id stands in the entry.
#ifndef SPILLWAY_STORE_INTERNAL_ID_INDEX_H_
#define SPILLWAY_STORE_INTERNAL_ID_INDEX_H_

#include <array>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "serialization/mutex.h"
#include "store/internal/entry.h"
#include "store/internal/entry_table.h"
#include "store/internal/memory/memory_budget.h"
#include "store/internal/memory/spin_lock.h"

namespace spillway::internal {

// Thread-safe, in shards. Memory is charged to MemoryUse::kIndex before it is allocated.
class IdIndex {
 public:
  IdIndex(const EntryTable* entries, MemoryBudget* budget);
  ~IdIndex();
  IdIndex(const IdIndex&) = delete;
  IdIndex& operator=(const IdIndex&) = delete;

  // Adds an entry under its id. False if the budget does not give the room.
  // REQUIRES: the id is not in the index.
  bool Insert(Entry* entry);

  // Removes an entry that Insert put in.
  void Erase(Entry* entry);

  // The entry of `id` with one more ref, or null if there is none or its last ref is going.
  Entry* FindAndRef(uint64_t id) const;

  // The entry of `id`, whoever holds it, or null. Nothing keeps it: another object may have it by
  // now.
  const Entry* FindAny(uint64_t id) const;

  // The entry of `id` with one more pin on its resident bytes, or null: there is none, or
  // FindAndRef and what follows must say why it has no bytes.
  Entry* FindAndPin(uint64_t id) const;

 private:
  static constexpr int kShards = 64;

  struct alignas(64) Shard {
    mutable SpinLock lock;
    std::unique_ptr<uint32_t[]> cells ABSL_GUARDED_BY(lock);
    uint32_t capacity ABSL_GUARDED_BY(lock) = 0;
    uint32_t used ABSL_GUARDED_BY(lock) = 0;    // cells with an entry
    uint32_t erased ABSL_GUARDED_BY(lock) = 0;  // cells that had one
    // The same cells and capacity, for who wants to fetch a cell before it has the lock: they may
    // be gone by then, so nothing is read there.
    std::atomic<const uint32_t*> cells_hint{nullptr};
    std::atomic<uint32_t> capacity_hint{0};
  };

  Shard& ShardOf(uint64_t hash) const { return shards_[hash >> 58]; }
  // Null if there is none. It stays an entry of `id` while the lock is held.
  Entry* FindLocked(Shard& shard, uint64_t hash, uint64_t id) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.lock);
  // Of a table, so many cells may be taken; from so many entries on it grows, else it is only
  // swept.
  static uint32_t TakenMax(uint32_t capacity) { return capacity - capacity / 16 - 1; }
  static uint32_t EntriesMax(uint32_t capacity) { return capacity - (capacity + 3) / 4; }
  static bool HasRoom(const Shard& shard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.lock) {
    return shard.capacity > 0 && shard.used + shard.erased < TakenMax(shard.capacity);
  }
  // For at least one more entry, unless others are quicker. False if the budget does not give it.
  bool MakeRoom(Shard& shard) ABSL_LOCKS_EXCLUDED(growth_mutex_);

  const EntryTable* const entries_;
  MemoryBudget* const budget_;
  Mutex growth_mutex_;  // before a shard's lock
  mutable std::array<Shard, kShards> shards_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_ID_INDEX_H_
