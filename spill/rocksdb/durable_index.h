// Which durable records are live: one entry per record in the database's indexed column family. An
// entry is written after the record's file is safe and before the write is acknowledged; its
// removal is what ends a durable record.
//
//   key    'o', then the ticket as 8 bytes, big-endian
//   value  the record's header of chunk 0 (64 bytes), its bytes on disk (8 bytes, little-endian)
#ifndef SPILLWAY_SPILL_ROCKSDB_DURABLE_INDEX_H_
#define SPILLWAY_SPILL_ROCKSDB_DURABLE_INDEX_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "rocksdb/write_batch.h"
#include "serialization/record.h"
#include "spill/rocksdb/spill_database.h"
#include "spill/spill_backend.h"

namespace spillway::internal {

struct DurableEntry {
  SpillTicket ticket = kNoTicket;
  RecordHeader header;  // of chunk 0
  uint64_t disk_bytes = 0;
};

void PutDurable(const DurableEntry& entry, rocksdb::WriteBatch* update);
void DeleteDurable(SpillTicket ticket, rocksdb::WriteBatch* update);

// In ticket order. Entries that are damaged are logged and left out.
absl::Status ForEachDurable(SpillDatabase* database,
                            const std::function<void(const DurableEntry&)>& found);

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_ROCKSDB_DURABLE_INDEX_H_
