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

 private:
  static constexpr int kShards = 64;

  struct alignas(64) Shard {
    mutable Mutex mutex;
    std::unique_ptr<uint32_t[]> cells ABSL_GUARDED_BY(mutex);
    uint32_t capacity ABSL_GUARDED_BY(mutex) = 0;
    uint32_t used ABSL_GUARDED_BY(mutex) = 0;    // cells with an entry
    uint32_t erased ABSL_GUARDED_BY(mutex) = 0;  // cells that had one
  };

  Shard& ShardOf(uint64_t hash) const { return shards_[hash >> 58]; }
  bool MakeRoom(Shard& shard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);

  const EntryTable* const entries_;
  MemoryBudget* const budget_;
  mutable std::array<Shard, kShards> shards_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_ID_INDEX_H_
