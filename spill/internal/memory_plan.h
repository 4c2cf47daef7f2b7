// How the RocksDB backend divides its memory budget.
#ifndef SPILLWAY_SPILL_INTERNAL_MEMORY_PLAN_H_
#define SPILLWAY_SPILL_INTERNAL_MEMORY_PLAN_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "spill/rocksdb_backend.h"

namespace spillway::internal {

inline constexpr int kBuilders = 2;

struct MemoryPlan {
  uint32_t chunk_stride_bytes = 0;
  uint64_t file_buffer_bytes = 0;       // two per builder, between it and the disk
  uint64_t builder_bytes = 0;           // per builder, with the file buffers
  uint64_t read_bytes = 0;              // of all chunk reads in flight
  uint64_t read_bytes_per_chunk = 0;    // what reading one full chunk may take of that
  uint64_t relocation_records_max = 0;  // per batch that is copied forward
  int open_tables_max = 0;
  uint64_t open_tables_bytes = 0;
  uint64_t memtable_bytes = 0;  // of the column family with a log
  uint64_t fixed_bytes = 0;     // threads, RocksDB's own structures, batch bookkeeping
  uint64_t total_bytes = 0;
};

// InvalidArgument if an option is out of its range.
absl::StatusOr<MemoryPlan> PlanMemory(const RocksDbBackendOptions& options);

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_INTERNAL_MEMORY_PLAN_H_
