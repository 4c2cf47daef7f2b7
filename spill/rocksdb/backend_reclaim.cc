// Giving space back. A thread of the backend's own drops files in which nothing is live, and copies
// what is live out of files that are mostly dead.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "spill/rocksdb/backend_impl.h"
#include "spill/rocksdb/durable_index.h"
#include "spill/rocksdb/record_key.h"

namespace spillway::internal {
namespace {

// The promise is to hold at most 1.75 times what is live and two batches. Copying begins one batch
// earlier, because it needs room for its result.
constexpr double kHeldShareMax = 1.75;
constexpr uint64_t kHeldBatchesMax = 1;
// While writes are refused for want of space it is worth while to copy more for less.
constexpr double kHeldShareMaxWhenFull = 1.1;

// A batch that is fuller than this is not copied: too little would come back for the effort.
constexpr double kLiveShareMax = 0.95;

// Files that are dropped with one change of the database.
constexpr size_t kDropsTogether = 64;

constexpr absl::Duration kRetryAfterFailure = absl::Seconds(1);

}  // namespace

uint64_t RocksDbBackend::HeldBytesAllowed() const {
  const bool full = condition_ == Condition::kSpillLimit || condition_ == Condition::kDiskFull;
  const double share = full ? kHeldShareMaxWhenFull : kHeldShareMax;
  return static_cast<uint64_t>(share * static_cast<double>(table_.live_bytes())) +
         kHeldBatchesMax * options_.max_batch_bytes;
}

bool RocksDbBackend::WantsRelocation() const {
  return listener_ != nullptr && !nothing_to_move_ && table_.held_bytes() > HeldBytesAllowed();
}

bool RocksDbBackend::HasReclaimWork() const {
  return table_.has_dead() || !releases_to_commit_.empty() || WantsRelocation();
}

void RocksDbBackend::ReclaimMain() {
  for (;;) {
    bool relocate = false;
    {
      MutexLock lock(&mutex_);
      reclaiming_ = false;
      changed_.SignalAll();
      while (!closing_ && !HasReclaimWork()) reclaim_wanted_.Wait(&mutex_);
      if (closing_) break;
      reclaiming_ = true;
      // Dropping is cheaper than copying and may make it unnecessary.
      relocate = !table_.has_dead() && releases_to_commit_.empty();
    }
    absl::Status status;
    if (relocate) {
      bool moved_any = false;
      status = RelocateVictims(&moved_any);
      if (!moved_any) {
        MutexLock lock(&mutex_);
        nothing_to_move_ = true;
      }
    } else {
      status = CommitReleases();
      if (status.ok()) status = DropDeadBatches();
    }
    if (status.ok()) continue;
    LOG_EVERY_N(WARNING, 60) << "spill space cannot be reclaimed, will try again: " << status;
    MutexLock lock(&mutex_);
    const absl::Time until = absl::Now() + kRetryAfterFailure;
    while (!closing_ && absl::Now() < until) reclaim_wanted_.WaitWithDeadline(&mutex_, until);
  }
  // A durable record that was released must not come back.
  const absl::Status status = CommitReleases();
  if (!status.ok()) LOG(WARNING) << "released durable objects may come back: " << status;
}

absl::Status RocksDbBackend::CommitReleases() {
  std::vector<SpillTicket> tickets;
  {
    MutexLock lock(&mutex_);
    tickets.swap(releases_to_commit_);
  }
  if (tickets.empty()) return absl::OkStatus();
  rocksdb::WriteBatch update;
  for (SpillTicket ticket : tickets) DeleteDurable(ticket, &update);
  absl::Status status =
      FromRocksDb(database_->Commit(&update), "cannot commit the release of durable records");
  if (!status.ok()) {
    MutexLock lock(&mutex_);
    releases_to_commit_.insert(releases_to_commit_.end(), tickets.begin(), tickets.end());
  }
  return status;
}

absl::Status RocksDbBackend::DropDeadBatches() {
  std::vector<std::unique_ptr<Batch>> dead;
  {
    MutexLock lock(&mutex_);
    dead = table_.TakeDead(kDropsTogether);
  }
  std::vector<std::unique_ptr<Batch>> failed;
  absl::Status status;
  for (const bool durable : {false, true}) {
    std::vector<SpillDatabase::TicketRange> ranges;
    uint64_t file_bytes = 0;
    for (const std::unique_ptr<Batch>& batch : dead) {
      if (batch->durable() != durable) continue;
      ranges.push_back({batch->first_ticket(), batch->last_ticket()});
      file_bytes += batch->file_bytes();
    }
    if (ranges.empty()) continue;
    const rocksdb::Status dropped = database_->DropFiles(durable, ranges);
    MutexLock lock(&mutex_);
    if (dropped.ok()) {
      table_.Dropped(file_bytes);
      batches_dropped_ += ranges.size();
    } else {
      status = FromRocksDb(dropped, "cannot drop files");
      std::vector<std::unique_ptr<Batch>> keep;
      for (std::unique_ptr<Batch>& batch : dead) {
        if (batch->durable() == durable) keep.push_back(std::move(batch));
      }
      std::erase(dead, nullptr);
      table_.PutBackDead(std::move(keep));
    }
  }
  return status;
}

absl::Status RocksDbBackend::RelocateVictims(bool* moved_any) {
  *moved_any = false;
  std::vector<Batch*> victims;
  uint64_t bytes = 0;
  uint64_t records = 0;
  {
    MutexLock lock(&mutex_);
    victims =
        table_.PickVictims(options_.max_batch_bytes, plan_.relocation_records_max, kLiveShareMax);
    for (Batch* victim : victims) {
      table_.PinBatch(victim);
      bytes += victim->file_bytes();
      records += victim->live_count();
    }
  }
  if (victims.empty()) return absl::OkStatus();

  std::vector<Moved> moved;
  // What is copied makes room for more than it takes, so it may use some of the reserve.
  Condition condition = Condition::kHealthy;
  absl::Status status = ReserveSpace(bytes, options_.free_space_reserve_bytes / 2, &condition);
  if (status.ok()) {
    SpaceReservation reservation(this, bytes);
    BuilderSlot slot(this);
    const SpillTicket first_ticket = TakeTickets(records);
    BatchBuilder builder(database_.get(), slot.buffers(), compression_, BatchPath(first_ticket),
                         first_ticket);
    status = builder.Open();
    if (status.ok()) status = CopyVictims(victims, &builder, &moved);
    if (status.ok() && !moved.empty()) {
      status = builder.Finish();
      if (status.ok()) status = builder.Ingest(/*durable=*/false);
      if (status.ok()) {
        AddBatch(
            std::make_unique<Batch>(first_ticket, victims.front()->chunk_stride_bytes(),
                                    /*durable=*/false, builder.file_bytes(), builder.disk_bytes()),
            /*live=*/true);
      } else {
        moved.clear();
      }
    }
  }
  const size_t accepted = PublishMoved(moved);
  *moved_any = !moved.empty();
  MutexLock lock(&mutex_);
  for (Batch* victim : victims) {
    // A store that wants none of the copies would be offered them for ever.
    if (!moved.empty() && accepted == 0) table_.MarkUnmovable(victim);
    table_.Unpin(victim);
  }
  return status;
}

absl::Status RocksDbBackend::CopyVictims(const std::vector<Batch*>& victims, BatchBuilder* builder,
                                         std::vector<Moved>* moved) {
  const std::unique_ptr<rocksdb::Iterator> iterator = database_->NewIterator(/*durable=*/false);
  for (Batch* victim : victims) {
    SpillTicket from = kNoTicket;
    for (;;) {
      {
        MutexLock lock(&mutex_);
        if (closing_) return absl::UnavailableError("the spill backend is closed");
        from = victim->NextLive(from + 1);
      }
      if (from == kNoTicket) break;
      if (moved->size() >= plan_.relocation_records_max) return absl::OkStatus();
      absl::Status status = CopyRecord(victim, from, iterator.get(), builder, moved);
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

// An error means that the new file cannot be written. A record that cannot be read stays where it
// is, for Read to report.
absl::Status RocksDbBackend::CopyRecord(Batch* victim, SpillTicket from,
                                        rocksdb::Iterator* iterator, BatchBuilder* builder,
                                        std::vector<Moved>* moved) {
  const SpillTicket to = builder->next_ticket();
  uint64_t object_id = 0;
  uint32_t chunk_count = 1;
  for (uint32_t chunk = 0; chunk < chunk_count; ++chunk) {
    const RecordKey key(from, chunk);
    if (!iterator->Valid() || iterator->key() != key.slice()) iterator->Seek(key.slice());
    RecordHeader header;
    const bool readable =
        iterator->Valid() && iterator->key() == key.slice() &&
        DecodeRecordHeader({iterator->value().data(), iterator->value().size()}, &header).ok() &&
        header.chunk_number == chunk && (chunk == 0 || header.object_id == object_id);
    if (!readable) {
      MutexLock lock(&mutex_);
      table_.MarkUnmovable(victim);
      // What was copied of it is garbage: it is released again when the others are published.
      if (chunk > 0) moved->push_back({0, from, to});
      return absl::OkStatus();
    }
    object_id = header.object_id;
    chunk_count = header.chunk_count;
    absl::Status status =
        builder->AddStored(header, {iterator->value().data(), iterator->value().size()});
    if (!status.ok()) return status;
    iterator->Next();
  }
  moved->push_back({object_id, from, to});
  return absl::OkStatus();
}

size_t RocksDbBackend::PublishMoved(const std::vector<Moved>& moved) {
  RelocationListener* listener = nullptr;
  {
    MutexLock lock(&mutex_);
    listener = listener_;
  }
  size_t accepted = 0;
  for (const Moved& record : moved) {
    const bool exchanged =
        record.object_id != 0 && listener->OnRelocated(record.object_id, record.from, record.to);
    Release(exchanged ? record.from : record.to);
    if (exchanged) ++accepted;
  }
  return accepted;
}

bool RocksDbBackend::WaitForReclaim(int64_t timeout_ms) {
  const absl::Time deadline = absl::Now() + absl::Milliseconds(timeout_ms);
  MutexLock lock(&mutex_);
  while (!closing_ && (reclaiming_ || HasReclaimWork())) {
    reclaim_wanted_.Signal();
    if (changed_.WaitWithDeadline(&mutex_, deadline)) return !reclaiming_ && !HasReclaimWork();
  }
  return true;
}

}  // namespace spillway::internal
