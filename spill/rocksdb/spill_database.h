// The RocksDB database under the spill tier, set up to hold files that are built elsewhere.
//
// Three column families: "scratch" and "durable" hold batches, one SST each, never compacted;
// "default" is an ordinary one with a synced log and says which durable records are live.
#ifndef SPILLWAY_SPILL_ROCKSDB_SPILL_DATABASE_H_
#define SPILLWAY_SPILL_ROCKSDB_SPILL_DATABASE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "rocksdb/db.h"
#include "rocksdb/options.h"
#include "rocksdb/write_batch.h"
#include "serialization/mutex.h"
#include "spill/internal/memory_plan.h"
#include "spill/rocksdb/spill_file_system.h"
#include "spill/spill_backend.h"

namespace spillway::internal {

// DataLoss for damage, ResourceExhausted for a full disk, Internal for other I/O errors. A missing
// key is DataLoss: whoever asks here holds a live ticket.
absl::Status FromRocksDb(const rocksdb::Status& status, absl::string_view what);

struct SpillDatabaseOptions {
  std::string path;
  std::string building_path;  // where batches are built
  bool direct_io = true;
  bool read_only = false;
  // Nothing in it must survive the process: nothing is synced.
  bool ephemeral = false;
  FileOperationHook hook;  // for tests; may be empty
};

// Thread-safe.
class SpillDatabase {
 public:
  // Opens the database, or makes it. What is in "scratch" is removed unless read_only.
  static absl::StatusOr<std::unique_ptr<SpillDatabase>> Open(const SpillDatabaseOptions& options,
                                                             const MemoryPlan& plan);
  ~SpillDatabase();

  SpillDatabase(const SpillDatabase&) = delete;
  SpillDatabase& operator=(const SpillDatabase&) = delete;

  // For builders of files to be ingested.
  const rocksdb::Options& builder_options() const { return builder_options_; }
  const rocksdb::EnvOptions& builder_env_options() const { return builder_env_options_; }

  // Takes the file at `path` into the database; it is moved. On failure it stays where it is.
  rocksdb::Status Ingest(bool durable, const std::string& path);

  // A range of tickets, both ends included.
  struct TicketRange {
    SpillTicket first;
    SpillTicket last;
  };
  // Removes the files that lie within the ranges.
  rocksdb::Status DropFiles(bool durable, const std::vector<TicketRange>& ranges);

  rocksdb::Status Get(bool durable, const rocksdb::Slice& key, rocksdb::PinnableSlice* value);

  // Over the given tickets; checksums are verified and nothing is cached.
  std::unique_ptr<rocksdb::Iterator> NewIterator(bool durable);

  // What the database says of a file of records.
  struct FileInfo {
    std::string name;
    SpillTicket first = kNoTicket;
    SpillTicket last = kNoTicket;
    uint64_t bytes = 0;
  };
  std::vector<FileInfo> ListFiles(bool durable);

  // Rewrites "default" without what is dead in it.
  rocksdb::Status CompactIndex();
  // Applies the update to "default", synced. Concurrent calls share a sync.
  rocksdb::Status Commit(rocksdb::WriteBatch* update);
  rocksdb::Status GetIndexed(const rocksdb::Slice& key, std::string* value);
  // Calls `found` for every key of "default" from `from` on that begins with `prefix`, in order,
  // until it returns false.
  absl::Status ForEachIndexed(
      absl::string_view prefix, absl::string_view from,
      const std::function<bool(absl::string_view key, absl::string_view value)>& found);

  uint64_t memory_bytes() const;
  uint64_t device_written_bytes() const { return file_system_->written_bytes(); }

 private:
  SpillDatabase() = default;

  // Repairs what a change that failed has left behind; called before each change.
  void ResumeAfterFailure();
  rocksdb::Status NoteChange(rocksdb::Status status);
  // Begins a new log if the last one may end in half a record: recovery would stop there.
  rocksdb::Status RenewLogAfterFailure() ABSL_LOCKS_EXCLUDED(log_mutex_);

  rocksdb::ColumnFamilyHandle* family(bool durable) const {
    return durable ? durable_.get() : scratch_.get();
  }

  std::shared_ptr<SpillFileSystem> file_system_;
  std::unique_ptr<rocksdb::Env> env_;
  bool ephemeral_ = false;
  std::atomic<bool> change_failed_{false};
  std::atomic<bool> commit_failed_{false};
  Mutex log_mutex_;  // held while the log is renewed
  rocksdb::Options builder_options_;
  rocksdb::EnvOptions builder_env_options_;

  std::unique_ptr<rocksdb::DB> database_;
  std::unique_ptr<rocksdb::ColumnFamilyHandle> default_;
  std::unique_ptr<rocksdb::ColumnFamilyHandle> scratch_;
  std::unique_ptr<rocksdb::ColumnFamilyHandle> durable_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_ROCKSDB_SPILL_DATABASE_H_
