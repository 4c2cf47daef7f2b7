// Builds the file of one batch.
#ifndef SPILLWAY_SPILL_ROCKSDB_BATCH_BUILDER_H_
#define SPILLWAY_SPILL_ROCKSDB_BATCH_BUILDER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "rocksdb/sst_file_writer.h"
#include "serialization/record.h"
#include "spill/rocksdb/spill_database.h"
#include "spill/spill_backend.h"

namespace spillway::internal {

// Memory that is kept from one batch to the next: fresh pages cost more than the copy into them.
struct BuilderBuffers {
  std::unique_ptr<char[]> record;  // a header and a chunk
  uint32_t chunk_stride_bytes = 0;
};

// One file: Open, Add for each record in ticket order, Finish, Ingest. After an error the object is
// only fit to be destroyed; the file is removed unless Ingest succeeded. Not thread-safe.
class BatchBuilder {
 public:
  BatchBuilder(SpillDatabase* database, BuilderBuffers* buffers, ChunkCompression compression,
               std::string path, SpillTicket first_ticket);
  ~BatchBuilder();

  BatchBuilder(const BatchBuilder&) = delete;
  BatchBuilder& operator=(const BatchBuilder&) = delete;

  absl::Status Open();

  // Adds a whole object under the next ticket.
  absl::Status Add(const SpillRecord& record);

  // Copies a record of another file: one call per chunk, the first with chunk number 0.
  absl::Status AddStored(const RecordHeader& header, absl::string_view stored_record);

  absl::Status Finish();

  // Moves the finished file into the database. On failure it is removed.
  absl::Status Ingest(bool durable);

  SpillTicket next_ticket() const { return first_ticket_ + disk_bytes_.size(); }
  SpillTicket first_ticket() const { return first_ticket_; }
  const std::string& path() const { return path_; }
  // Per record, in ticket order.
  const std::vector<uint64_t>& disk_bytes() const { return disk_bytes_; }
  // Known after Finish.
  uint64_t file_bytes() const { return file_bytes_; }

 private:
  absl::Status Put(uint32_t chunk_number, absl::string_view stored_record);

  SpillDatabase* const database_;
  BuilderBuffers* const buffers_;
  const ChunkCompression compression_;
  const std::string path_;
  const SpillTicket first_ticket_;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;
  std::vector<uint64_t> disk_bytes_;
  uint64_t file_bytes_ = 0;
  bool failed_ = false;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_ROCKSDB_BATCH_BUILDER_H_
