// The database's record of what is durable, in its column family with a log.
//
//   'o' ticket  ->  kind, bytes on disk, header, payload    a durable record
//   'i' id      ->  ticket                                  where an object's durable record is
//   'n' name    ->  id                                      what a name is bound to
//   'm' id name ->  nothing                                 the same, to be found by the object
//   'e' id      ->  nothing                                 the object is retired
//
// An 'm' counts only if the name's 'n' agrees. A retired object without a name ends at the next
// open.
//
// A record's entry is written after its file is safe and before the write is acknowledged; its
// removal ends the record. Small records have their payload in the entry (kind 1) and need no file
// (kind 0). Tickets and ids in keys are big-endian, so that keys sort as they do; all else is
// little-endian.
#ifndef SPILLWAY_SPILL_ROCKSDB_DURABLE_INDEX_H_
#define SPILLWAY_SPILL_ROCKSDB_DURABLE_INDEX_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "rocksdb/write_batch.h"
#include "serialization/record.h"
#include "spill/rocksdb/spill_database.h"
#include "spill/spill_backend.h"

namespace spillway::internal {

struct DurableEntry {
  SpillTicket ticket = kNoTicket;
  uint64_t disk_bytes = 0;
  RecordHeader header;  // of chunk 0
  // Whether the payload stands in the entry, and if so its bytes as stored; valid as long as the
  // value that was parsed.
  bool is_inline = false;
  absl::string_view inline_payload;
};

void PutDurable(const DurableEntry& entry, rocksdb::WriteBatch* update);
// What leads from its object to it goes too.
void DeleteDurable(SpillDatabase* database, SpillTicket ticket, rocksdb::WriteBatch* update);

void PutName(SpillDatabase* database, absl::string_view name, uint64_t object_id,
             rocksdb::WriteBatch* update);
void DeleteName(SpillDatabase* database, absl::string_view name, rocksdb::WriteBatch* update);

void PutRetired(uint64_t object_id, rocksdb::WriteBatch* update);
void DeleteRetired(uint64_t object_id, rocksdb::WriteBatch* update);
absl::StatusOr<bool> IsRetired(SpillDatabase* database, uint64_t object_id);
absl::Status ForEachRetired(SpillDatabase* database, const std::function<void(uint64_t id)>& found);

// NotFound; DataLoss. `storage` holds the bytes that the entry refers to.
absl::StatusOr<DurableEntry> FindDurable(SpillDatabase* database, SpillTicket ticket,
                                         std::string* storage);
absl::StatusOr<SpillTicket> FindDurableTicket(SpillDatabase* database, uint64_t object_id);
absl::StatusOr<uint64_t> FindDurableName(SpillDatabase* database, absl::string_view name);

// In ticket order. Entries that are damaged are logged and left out. `lost` hears of tickets, both
// ends included, whose entries cannot be read: they stood in a damaged block of a file. An error
// means that the whole cannot be read at present, or is damaged all over.
absl::Status ForEachDurable(SpillDatabase* database,
                            const std::function<void(const DurableEntry&)>& found,
                            const std::function<void(SpillTicket, SpillTicket)>& lost);
// In byte order, those after `after`, until `found` returns false.
absl::Status ForEachName(SpillDatabase* database, absl::string_view prefix, absl::string_view after,
                         const std::function<bool(absl::string_view name, uint64_t id)>& found);
absl::StatusOr<std::vector<std::string>> FindNamesOf(SpillDatabase* database, uint64_t object_id);

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_ROCKSDB_DURABLE_INDEX_H_
