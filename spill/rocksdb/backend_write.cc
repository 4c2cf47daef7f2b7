// Writing: records are grouped into batches, each batch becomes a file, the file is ingested.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "spill/rocksdb/backend_impl.h"

namespace spillway::internal {
namespace {

// Key, block trailer and index entry of a chunk; tables' footers and properties. Upper bounds: they
// decide whether a batch may be begun.
constexpr uint64_t kDiskBytesPerChunk = 64;
constexpr uint64_t kDiskBytesPerFile = 8 << 10;

// How long a write that finds no room waits for dead files that are about to go.
constexpr absl::Duration kReclaimWait = absl::Seconds(1);

}  // namespace

void RocksDbBackend::Write(absl::Span<const SpillRecord> records,
                           std::vector<SpillResult>* results) {
  results->assign(records.size(), SpillResult());
  Operation operation(this);
  absl::Status refusal;
  if (!operation.admitted()) refusal = absl::UnavailableError("the spill backend is closed");
  if (options_.read_only) refusal = absl::FailedPreconditionError("the spill backend is read-only");
  if (!refusal.ok()) {
    for (SpillResult& result : *results) result.status = refusal;
    return;
  }
  std::vector<size_t> small_durable;
  for (size_t i = 0; i < records.size(); ++i) {
    CHECK_NE(records[i].object_id, 0u) << "a record to be spilled has no object id";
    if (!records[i].name.empty()) (*results)[i].status = CheckName(records[i].name);
    if ((*results)[i].status.ok() && IsInline(records[i])) small_durable.push_back(i);
  }
  if (!small_durable.empty()) WriteInline(records, small_durable, results);
  for (const bool durable : {false, true}) {
    std::vector<size_t> batch;
    uint64_t batch_bytes = 0;
    for (size_t i = 0; i < records.size(); ++i) {
      if (records[i].durable != durable || IsInline(records[i])) continue;
      if (!(*results)[i].status.ok()) continue;
      const uint64_t bytes = records[i].payload.size();
      if (!batch.empty() && batch_bytes + bytes > options_.max_batch_bytes) {
        WriteBatch(records, batch, results);
        batch.clear();
        batch_bytes = 0;
      }
      batch.push_back(i);
      batch_bytes += bytes;
    }
    if (!batch.empty()) WriteBatch(records, batch, results);
  }
}

void RocksDbBackend::WriteBatch(absl::Span<const SpillRecord> records,
                                absl::Span<const size_t> indexes,
                                std::vector<SpillResult>* results) {
  uint64_t disk_bytes_max = kDiskBytesPerFile;
  for (size_t index : indexes) disk_bytes_max += DiskBytesMax(records[index]);

  AwaitRelocation(disk_bytes_max);
  Condition condition = Condition::kHealthy;
  absl::Status status = ReserveSpace(disk_bytes_max, options_.free_space_reserve_bytes, &condition);
  if (status.ok()) {
    SpaceReservation reservation(this, disk_bytes_max);
    const SpillTicket first_ticket = TakeTickets(indexes.size());
    std::unique_ptr<Batch> batch;
    status = BuildAndIngest(records, indexes, first_ticket, &batch);
    if (!status.ok()) {
      condition = absl::IsResourceExhausted(status) ? Condition::kDiskFull : Condition::kIoError;
    }
    if (batch != nullptr) {
      for (size_t i = 0; i < indexes.size() && status.ok(); ++i) {
        SpillResult& result = (*results)[indexes[i]];
        result.ticket = first_ticket + i;
        result.disk_bytes = batch->disk_bytes(result.ticket);
      }
      AddBatch(std::move(batch), /*live=*/status.ok());
    }
  }
  NoteWrite(condition, status, disk_bytes_max);
  uint64_t payload_bytes = 0;
  for (size_t index : indexes) {
    payload_bytes += records[index].payload.size();
    (*results)[index].status = status;
  }
  if (!status.ok()) return;
  MutexLock lock(&mutex_);
  ++batches_written_;
  written_bytes_ += payload_bytes;
}

void RocksDbBackend::AwaitRelocation(uint64_t bytes) {
  const absl::Time deadline = absl::Now() + kReclaimWait;
  MutexLock lock(&mutex_);
  // Batches under construction are as good as written, but may be copies: no more may be held for
  // them.
  while (!closing_ && WantsRelocation() &&
         table_.held_bytes() + reserved_bytes_ + bytes > HeldBytesMax(bytes)) {
    reclaim_wanted_.Signal();
    if (changed_.WaitWithDeadline(&mutex_, deadline)) return;
  }
}

void RocksDbBackend::AddBatch(std::unique_ptr<Batch> batch, bool live) {
  const SpillTicket first = batch->first_ticket();
  const SpillTicket last = batch->last_ticket();
  const bool durable = batch->durable();
  MutexLock lock(&mutex_);
  table_.Add(std::move(batch));
  held_bytes_peak_ = std::max(held_bytes_peak_, HeldBytes());
  nothing_to_move_ = false;
  // Otherwise it is in the database, but nobody is told of it.
  for (SpillTicket ticket = first; !live && ticket <= last; ++ticket) {
    bool dead = false;
    table_.Release(ticket, &dead);
    // A commit that failed may all the same be on disk.
    if (durable) QueueRelease(ticket);
  }
  if (HasReclaimWork()) reclaim_wanted_.Signal();
}

absl::Status RocksDbBackend::BuildAndIngest(absl::Span<const SpillRecord> records,
                                            absl::Span<const size_t> indexes,
                                            SpillTicket first_ticket,
                                            std::unique_ptr<Batch>* batch) {
  const bool durable = records[indexes.front()].durable;
  BuilderSlot slot(this);
  BatchBuilder builder(database_.get(), slot.buffers(), compression_, BatchPath(first_ticket),
                       first_ticket);
  absl::Status status = builder.Open();
  for (size_t i = 0; i < indexes.size() && status.ok(); ++i) {
    status = builder.Add(records[indexes[i]]);
  }
  if (status.ok()) status = builder.Finish();
  if (status.ok()) status = builder.Ingest(durable);
  if (!status.ok()) return status;
  *batch = std::make_unique<Batch>(first_ticket, plan_.chunk_stride_bytes, durable,
                                   builder.file_bytes(), builder.disk_bytes());
  if (!durable) return absl::OkStatus();
  std::vector<DurableEntry> entries;
  for (size_t i = 0; i < indexes.size(); ++i) {
    entries.push_back(EntryOf(records[indexes[i]], first_ticket + i, plan_.chunk_stride_bytes));
    entries.back().disk_bytes = (*batch)->disk_bytes(first_ticket + i);
  }
  return CommitEntries(records, indexes, entries);
}

SpillTicket RocksDbBackend::TakeTickets(uint64_t count) {
  MutexLock lock(&mutex_);
  return std::exchange(next_ticket_, next_ticket_ + count);
}

uint64_t RocksDbBackend::DiskBytesMax(const SpillRecord& record) const {
  const uint64_t chunks = ChunkCount(record.payload.size(), plan_.chunk_stride_bytes);
  return record.payload.size() + chunks * (kRecordHeaderBytes + kDiskBytesPerChunk);
}

std::string RocksDbBackend::BatchPath(SpillTicket first_ticket) const {
  return absl::StrCat(directory_->building_path(), "/", first_ticket, ".sst");
}

absl::Status RocksDbBackend::ReserveSpace(uint64_t bytes, uint64_t spare_bytes,
                                          Condition* condition) {
  *condition = Condition::kIoError;
  const absl::StatusOr<uint64_t> free_bytes = directory_->FreeBytes();
  if (!free_bytes.ok()) return free_bytes.status();

  MutexLock lock(&mutex_);
  const absl::Time deadline = absl::Now() + kReclaimWait;
  while (OverLimit(bytes) && (table_.has_dead() || reclaiming_) && !closing_) {
    reclaim_wanted_.Signal();
    if (changed_.WaitWithDeadline(&mutex_, deadline)) break;
  }
  if (OverLimit(bytes)) {
    *condition = Condition::kSpillLimit;
    return absl::ResourceExhaustedError(absl::StrCat(
        "the spill limit of ", options_.spill_limit_bytes,
        " bytes is reached: ", table_.held_bytes(), " bytes are held, ", table_.live_bytes(),
        " of them live, and a batch of up to ", bytes, " bytes does not fit"));
  }
  if (*free_bytes < spare_bytes + reserved_bytes_ + bytes) {
    *condition = Condition::kDiskFull;
    return absl::ResourceExhaustedError(absl::StrCat(
        "the disk is full: ", *free_bytes, " bytes are free on the file system of ",
        options_.spill_directory, ", ", spare_bytes,
        " of them are kept in reserve, and a batch of up to ", bytes, " bytes does not fit"));
  }
  *condition = Condition::kHealthy;
  room_for_refused_ =
      !OverLimit(refused_bytes_) && *free_bytes >= spare_bytes + reserved_bytes_ + refused_bytes_;
  reserved_bytes_ += bytes;
  return absl::OkStatus();
}

uint64_t RocksDbBackend::HeldBytes() const {
  return table_.held_bytes() + inline_usage_.live_bytes + inline_usage_.dead_bytes;
}

bool RocksDbBackend::OverLimit(uint64_t bytes) const {
  return options_.spill_limit_bytes != 0 &&
         HeldBytes() + reserved_bytes_ + bytes > options_.spill_limit_bytes;
}

RocksDbBackend::SpaceReservation::~SpaceReservation() {
  MutexLock lock(&backend_->mutex_);
  backend_->reserved_bytes_ -= bytes_;
}

RocksDbBackend::BuilderSlot::BuilderSlot(RocksDbBackend* backend) : backend_(backend) {
  MutexLock lock(&backend_->mutex_);
  const uint64_t turn = backend_->builder_turns_taken_++;
  while (turn != backend_->builder_turns_served_ || backend_->free_builders_.empty()) {
    backend_->changed_.Wait(&backend_->mutex_);
  }
  ++backend_->builder_turns_served_;
  buffers_ = backend_->free_builders_.back();
  backend_->free_builders_.pop_back();
  backend_->changed_.SignalAll();
}

RocksDbBackend::BuilderSlot::~BuilderSlot() {
  MutexLock lock(&backend_->mutex_);
  backend_->free_builders_.push_back(buffers_);
  backend_->changed_.SignalAll();
}

void RocksDbBackend::NoteWrite(Condition condition, const absl::Status& status, uint64_t bytes) {
  {
    MutexLock lock(&mutex_);
    const bool was_full =
        condition_ == Condition::kSpillLimit || condition_ == Condition::kDiskFull;
    const bool is_full = condition == Condition::kSpillLimit || condition == Condition::kDiskFull;
    // That something smaller has found a place does not end it.
    if (was_full && condition == Condition::kHealthy && bytes < refused_bytes_ &&
        !room_for_refused_) {
      return;
    }
    if (is_full) {
      refused_bytes_ = bytes;
      nothing_to_move_ = false;  // it is worth while to move more now
      reclaim_wanted_.Signal();
    }
    // A batch that was not taken in may all the same have got as far as the database's directory.
    if (!status.ok()) sweep_wanted_ = true;
    const bool changed = condition != condition_;
    condition_ = condition;
    health_ = status;
    if (!changed) return;
  }
  std::string note;
  if (!health_log_.MayLog(&note)) return;
  if (condition == Condition::kHealthy) {
    LOG(INFO) << "spilling to " << options_.spill_directory << " works again" << note;
  } else {
    LOG(WARNING) << "spilling to " << options_.spill_directory << " fails: " << status.message()
                 << note;
  }
}

}  // namespace spillway::internal
