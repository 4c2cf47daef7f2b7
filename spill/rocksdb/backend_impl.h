// The RocksDB backend's class; see spill/rocksdb_backend.h for what it does.
//
// Files: backend_open.cc (open, close, recovery, usage), backend_write.cc, backend_read.cc,
// backend_durable.cc (durable records and names), backend_reclaim.cc (the background thread).
//
// Locks: mutex_ guards all bookkeeping and is never held across I/O or a call of the listener.
#ifndef SPILLWAY_SPILL_ROCKSDB_BACKEND_IMPL_H_
#define SPILLWAY_SPILL_ROCKSDB_BACKEND_IMPL_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "serialization/mutex.h"
#include "spill/durable_state.h"
#include "spill/internal/batch_table.h"
#include "spill/internal/byte_budget.h"
#include "spill/internal/log_limiter.h"
#include "spill/internal/memory_plan.h"
#include "spill/internal/read_pool.h"
#include "spill/internal/shared_gate.h"
#include "spill/internal/spill_directory.h"
#include "spill/rocksdb/batch_builder.h"
#include "spill/rocksdb/durable_index.h"
#include "spill/rocksdb/spill_database.h"
#include "spill/rocksdb_backend.h"
#include "spill/spill_backend.h"

namespace spillway::internal {

class RocksDbBackend final : public SpillBackend, public DurableState {
 public:
  // `hook` is for tests.
  static absl::StatusOr<std::unique_ptr<SpillBackend>> Open(const RocksDbBackendOptions& options,
                                                            FileOperationHook hook = nullptr);
  ~RocksDbBackend() override;

  void SetRelocationListener(RelocationListener* listener) override;
  uint64_t max_batch_bytes() const override { return options_.max_batch_bytes; }
  uint64_t memory_bytes_max() const override { return plan_.total_bytes; }
  void Write(absl::Span<const SpillRecord> records, std::vector<SpillResult>* results) override;
  void Read(absl::Span<const SpillRead> reads, std::vector<absl::Status>* statuses) override;
  void Release(SpillTicket ticket) override;
  absl::Status Scan(const std::function<void(const SpillScanEntry&)>& found) override;
  SpillUsage Usage() const override;
  absl::Status Health() const override;
  bool WaitForReclaim(int64_t timeout_ms) override;
  absl::Status Close() override;
  absl::StatusOr<uint64_t> ReserveObjectIds(uint64_t count) override;
  DurableState* durable_state() override { return this; }

  absl::Status Commit(const DurableChange& change) override;
  absl::StatusOr<uint64_t> FindName(absl::string_view name) override;
  absl::Status ListNames(
      absl::string_view prefix, absl::string_view after,
      const std::function<bool(absl::string_view name, uint64_t object_id)>& found) override;
  absl::StatusOr<std::vector<std::string>> NamesOf(uint64_t object_id) override;
  absl::StatusOr<SpillScanEntry> FindObject(uint64_t object_id) override;

 private:
  // Why writes fail at present.
  enum class Condition { kHealthy, kSpillLimit, kDiskFull, kIoError };

  // Counts an operation for as long as it runs; Close waits for all of them.
  class Operation {
   public:
    explicit Operation(RocksDbBackend* backend);
    ~Operation();
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;
    bool admitted() const { return admitted_; }

   private:
    RocksDbBackend* const backend_;
    bool admitted_;
  };

  // One of the few places where a batch is built; has it for as long as it lives.
  class BuilderSlot {
   public:
    explicit BuilderSlot(RocksDbBackend* backend);
    ~BuilderSlot();
    BuilderSlot(const BuilderSlot&) = delete;
    BuilderSlot& operator=(const BuilderSlot&) = delete;
    BuilderBuffers* buffers() const { return buffers_; }

   private:
    RocksDbBackend* const backend_;
    BuilderBuffers* buffers_;
  };

  // Disk space that a batch under construction may come to need.
  class SpaceReservation {
   public:
    SpaceReservation(RocksDbBackend* backend, uint64_t bytes) : backend_(backend), bytes_(bytes) {}
    ~SpaceReservation();
    SpaceReservation(const SpaceReservation&) = delete;
    SpaceReservation& operator=(const SpaceReservation&) = delete;

   private:
    RocksDbBackend* const backend_;
    const uint64_t bytes_;
  };

  // One chunk to read.
  struct ChunkRead {
    const SpillRead* read;
    const Batch* batch;
    uint32_t chunk_number;
  };

  // A live record that is being copied forward.
  struct Moved {
    uint64_t object_id;
    SpillTicket from;
    SpillTicket to;
  };

  RocksDbBackend(const RocksDbBackendOptions& options, const MemoryPlan& plan,
                 std::unique_ptr<SpillDirectory> directory, std::unique_ptr<SpillDatabase> database,
                 SpillTicket first_ticket);

  // --- Open (backend_open.cc)
  absl::Status RecoverDurable();
  // Ends the objects that an earlier process retired.
  absl::Status EndRetired();

  // --- Write (backend_write.cc)
  void WriteBatch(absl::Span<const SpillRecord> records, absl::Span<const size_t> indexes,
                  std::vector<SpillResult>* results);
  absl::Status BuildAndIngest(absl::Span<const SpillRecord> records,
                              absl::Span<const size_t> indexes, SpillTicket first_ticket,
                              std::unique_ptr<Batch>* batch);
  // Takes `count` consecutive tickets.
  SpillTicket TakeTickets(uint64_t count);
  // ResourceExhausted if `bytes` more do not fit, with the cause in *condition; otherwise they are
  // reserved. `spare_bytes` of the file system must stay free.
  absl::Status ReserveSpace(uint64_t bytes, uint64_t spare_bytes, Condition* condition);
  uint64_t HeldBytes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool OverLimit(uint64_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes do not outrun reclaim: waits, for a bounded time, while a batch of `bytes` more would be
  // more than may be held, and copying brings some of it back.
  void AwaitRelocation(uint64_t bytes) ABSL_LOCKS_EXCLUDED(mutex_);
  void AddBatch(std::unique_ptr<Batch> batch, bool live) ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t DiskBytesMax(const SpillRecord& record) const;
  std::string BatchPath(SpillTicket first_ticket) const;
  // Takes in what came of a write of so many bytes: the cause of refusals, and one log line when it
  // changes.
  void NoteWrite(Condition condition, const absl::Status& status, uint64_t bytes);

  // --- Durable records and names (backend_durable.cc)

  // Payloads up to this size stand in the index itself when they are durable: a file each would
  // cost more than they do.
  static constexpr uint32_t kInlineBytesMax = 16 << 10;

  // What durable records in the index take.
  struct InlineUsage {
    uint64_t live_records = 0;
    uint64_t live_bytes = 0;
    uint64_t dead_bytes = 0;  // that the next compaction frees
    absl::Time last_release = absl::InfinitePast();
  };

  bool IsInline(const SpillRecord& record) const;
  static uint64_t InlineDiskBytes(uint64_t payload_bytes);
  void WriteInline(absl::Span<const SpillRecord> records, absl::Span<const size_t> indexes,
                   std::vector<SpillResult>* results);
  absl::Status ReadInline(const SpillRead& read);
  static DurableEntry EntryOf(const SpillRecord& record, SpillTicket ticket,
                              uint32_t chunk_stride_bytes);
  // Enters the records, with their names, in place of those that they supersede.
  absl::Status CommitEntries(absl::Span<const SpillRecord> records,
                             absl::Span<const size_t> indexes,
                             absl::Span<const DurableEntry> entries);
  // Commits the update and the end of the records, and of those of the objects `end`; they are
  // released in memory when it is on disk. `then` adds what comes after these ends in the same
  // commit: a record of an object of which another one ends.
  absl::Status CommitUpdate(
      rocksdb::WriteBatch* update, absl::Span<const SpillTicket> release,
      absl::Span<const uint64_t> end = {},
      absl::FunctionRef<void(rocksdb::WriteBatch*)> then = [](rocksdb::WriteBatch*) {});
  // Adds the end of the objects' names to the update, and of their records to the tickets.
  absl::Status EndObjects(absl::Span<const uint64_t> object_ids, rocksdb::WriteBatch* update,
                          std::vector<SpillTicket>* tickets);
  std::vector<uint64_t> InlineBytesOf(absl::Span<const SpillTicket> tickets);
  void NoteInlineReleased(uint64_t disk_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The record is dead to everybody; the reclaim thread takes it out of the index.
  void QueueRelease(SpillTicket ticket) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CommitReleases(const std::vector<SpillTicket>& tickets);

  // --- Read (backend_read.cc)
  absl::Status ReadChunk(const ChunkRead& chunk);
  static absl::Status CheckHeader(const SpillRead& read, uint32_t chunk_number,
                                  uint32_t chunk_stride_bytes, const RecordHeader& header);
  static absl::Status RestoreError(const SpillRead& read, uint32_t chunk_number,
                                   const absl::Status& cause);
  void NoteDamage(const absl::Status& status);

  // --- Reclaim (backend_reclaim.cc)
  void ReclaimMain();
  // Bytes on disk above which live records are copied forward.
  uint64_t HeldBytesAllowed() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What may be held once so many bytes more are live.
  uint64_t HeldBytesMax(uint64_t more_live_bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasReclaimWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool WantsRelocation() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Ends released records in the index, then drops the files in which nothing is live.
  absl::Status DropDeadBatches();
  // Sets *moved_any if it did something; false means that nothing is worth moving.
  absl::Status RelocateVictims(bool* moved_any);
  // Builds a batch of what is live in the victims, and enters it where records are durable.
  absl::Status CopyVictimsToBatch(const std::vector<Batch*>& victims, SpillTicket first_ticket,
                                  uint64_t records_max, std::vector<Moved>* moved);
  absl::Status CopyVictims(const std::vector<Batch*>& victims, uint64_t records_max,
                           BatchBuilder* builder, std::vector<Moved>* moved);
  absl::Status CopyRecord(Batch* victim, SpillTicket from, rocksdb::Iterator* iterator,
                          BatchBuilder* builder, std::vector<Moved>* moved);
  // Offers the copies to the listener, releases what is not needed; returns how many were accepted.
  size_t PublishMoved(const std::vector<Moved>& moved, bool durable);
  // Commits the copies of durable records to the index, in place of the originals. Records that
  // were released meanwhile lose their object id in `moved`.
  absl::Status CommitMoved(std::vector<Moved>* moved, const Batch& copies);
  absl::Status CommitEntriesOfMoved(absl::Span<const DurableEntry> entries,
                                    std::vector<Moved>* moved);
  // After a failure. Returns early when the backend is closed or somebody waits for reclaim.
  void WaitBeforeRetry() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether it is time to look for files that are still there though they were dropped.
  bool WantsSweep() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Sweep();
  // Whether the index holds nothing but what is dead: it is then compacted soon.
  bool IsIndexAllDead() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool WantsCompaction() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CompactIndex();

  const RocksDbBackendOptions options_;
  const MemoryPlan plan_;
  const ChunkCompression compression_;
  std::unique_ptr<SpillDirectory> directory_;  // constant until Close
  std::unique_ptr<SpillDatabase> database_;    // constant until Close
  std::unique_ptr<ReadPool> read_pool_;        // constant until Close
  ByteBudget read_budget_;
  LogLimiter damage_log_;
  LogLimiter health_log_;

  std::atomic<uint64_t> read_bytes_{0};
  std::atomic<uint64_t> damaged_records_{0};

  // Passed alone by a relocation of durable records, shared by whatever else ends or finds one.
  SharedGate relocation_gate_;

  mutable Mutex mutex_;
  CondVar changed_;  // anything that somebody may wait for, but for work for the reclaim thread
  CondVar reclaim_wanted_;  // for the reclaim thread

  RelocationListener* listener_ ABSL_GUARDED_BY(mutex_) = nullptr;
  BatchTable table_ ABSL_GUARDED_BY(mutex_);
  SpillTicket next_ticket_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  int operations_ ABSL_GUARDED_BY(mutex_) = 0;

  // Builder slots are given out in the order in which they were asked for.
  BuilderBuffers builder_buffers_[kBuilders];
  std::vector<BuilderBuffers*> free_builders_ ABSL_GUARDED_BY(mutex_);
  uint64_t builder_turns_taken_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t builder_turns_served_ ABSL_GUARDED_BY(mutex_) = 0;

  uint64_t reserved_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // of batches under construction
  uint64_t held_bytes_peak_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t written_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t batches_written_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t device_written_bytes_at_close_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t batches_dropped_ ABSL_GUARDED_BY(mutex_) = 0;

  Condition condition_ ABSL_GUARDED_BY(mutex_) = Condition::kHealthy;
  uint64_t refused_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // of the last write without a place
  bool room_for_refused_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status health_ ABSL_GUARDED_BY(mutex_);

  // Durable records that were released and still stand in the database's index: all of them, and
  // those that no commit is taking out right now.
  absl::flat_hash_set<SpillTicket> releases_queued_ ABSL_GUARDED_BY(mutex_);
  std::vector<SpillTicket> releases_to_commit_ ABSL_GUARDED_BY(mutex_);
  // Durable records whose copy is in the index and not yet known to the store: from -> to.
  absl::flat_hash_map<SpillTicket, SpillTicket> relocated_durable_ ABSL_GUARDED_BY(mutex_);
  InlineUsage inline_usage_ ABSL_GUARDED_BY(mutex_);
  bool reclaiming_ ABSL_GUARDED_BY(mutex_) = false;  // the thread is at work
  bool retry_at_once_ ABSL_GUARDED_BY(mutex_) = false;
  bool sweep_wanted_ ABSL_GUARDED_BY(mutex_) = true;  // an earlier process may have left files
  absl::Time next_sweep_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  bool nothing_to_move_ ABSL_GUARDED_BY(mutex_) = false;  // the last look for victims found none
  std::thread reclaim_thread_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_ROCKSDB_BACKEND_IMPL_H_
