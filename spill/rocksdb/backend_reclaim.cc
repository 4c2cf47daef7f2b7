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

// The index is compacted when more than this and more than what is live in it is dead; and some
// time after the last durable record has gone, so that nothing of it stays on disk.
constexpr uint64_t kIndexDeadBytesMax = 4 << 20;
constexpr absl::Duration kCompactAfterLastRelease = absl::Milliseconds(300);

// Durable records that are copied forward together: their entries are held in memory meanwhile.
constexpr uint64_t kDurableRelocationMax = 2048;

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
  return table_.has_dead() || !releases_to_commit_.empty() || WantsCompaction() ||
         WantsRelocation();
}

bool RocksDbBackend::IsIndexAllDead() const {
  return inline_usage_.live_records == 0 && inline_usage_.dead_bytes > 0;
}

bool RocksDbBackend::WantsCompaction() const {
  if (IsIndexAllDead()) {
    return absl::Now() >= inline_usage_.last_release + kCompactAfterLastRelease;
  }
  return inline_usage_.dead_bytes > std::max(kIndexDeadBytesMax, inline_usage_.live_bytes);
}

void RocksDbBackend::ReclaimMain() {
  for (;;) {
    bool drop = false;
    bool compact = false;
    {
      MutexLock lock(&mutex_);
      reclaiming_ = false;
      changed_.SignalAll();
      while (!closing_ && !HasReclaimWork()) {
        reclaim_wanted_.WaitWithDeadline(
            &mutex_, IsIndexAllDead() ? inline_usage_.last_release + kCompactAfterLastRelease
                                      : absl::InfiniteFuture());
      }
      if (closing_) break;
      reclaiming_ = true;
      // Dropping is cheaper than copying and may make it unnecessary.
      drop = table_.has_dead() || !releases_to_commit_.empty();
      compact = WantsCompaction();
    }
    absl::Status status;
    if (drop) {
      status = DropDeadBatches();
    } else if (compact) {
      status = CompactIndex();
    } else {
      bool moved_any = false;
      status = RelocateVictims(&moved_any);
      if (!moved_any) {
        MutexLock lock(&mutex_);
        nothing_to_move_ = true;
      }
    }
    if (status.ok()) continue;
    LOG_EVERY_N(WARNING, 60) << "spill space cannot be reclaimed, will try again: " << status;
    MutexLock lock(&mutex_);
    const absl::Time until = absl::Now() + kRetryAfterFailure;
    while (!closing_ && absl::Now() < until) reclaim_wanted_.WaitWithDeadline(&mutex_, until);
  }
  // A durable record that was released must not come back.
  std::vector<SpillTicket> tickets;
  {
    MutexLock lock(&mutex_);
    tickets.swap(releases_to_commit_);
  }
  const absl::Status status = CommitReleases(tickets);
  if (!status.ok()) LOG(WARNING) << "released durable objects may come back: " << status;
}

absl::Status RocksDbBackend::DropDeadBatches() {
  std::vector<SpillTicket> tickets;
  std::vector<std::unique_ptr<Batch>> dead;
  {
    // Together, so that every record in a dead batch is out of the index before its file goes.
    MutexLock lock(&mutex_);
    tickets.swap(releases_to_commit_);
    dead = table_.TakeDead(kDropsTogether);
  }
  absl::Status status = CommitReleases(tickets);
  for (const bool durable : {false, true}) {
    std::vector<std::unique_ptr<Batch>> batches;
    std::vector<SpillDatabase::TicketRange> ranges;
    uint64_t file_bytes = 0;
    for (std::unique_ptr<Batch>& batch : dead) {
      if (batch == nullptr || batch->durable() != durable) continue;
      ranges.push_back({batch->first_ticket(), batch->last_ticket()});
      file_bytes += batch->file_bytes();
      batches.push_back(std::move(batch));
    }
    if (ranges.empty()) continue;
    if (status.ok()) {
      status = FromRocksDb(database_->DropFiles(durable, ranges), "cannot drop files");
    }
    MutexLock lock(&mutex_);
    if (status.ok()) {
      table_.Dropped(file_bytes);
      batches_dropped_ += ranges.size();
    } else {
      table_.PutBackDead(std::move(batches));
    }
  }
  return status;
}

absl::Status RocksDbBackend::CompactIndex() {
  uint64_t dead_bytes = 0;
  {
    MutexLock lock(&mutex_);
    dead_bytes = inline_usage_.dead_bytes;
  }
  absl::Status status = FromRocksDb(database_->CompactIndex(), "cannot compact the index");
  if (!status.ok()) return status;
  MutexLock lock(&mutex_);
  inline_usage_.dead_bytes -= dead_bytes;
  return status;
}

absl::Status RocksDbBackend::RelocateVictims(bool* moved_any) {
  *moved_any = false;
  std::vector<Batch*> victims;
  uint64_t bytes = 0;
  uint64_t records = 0;
  uint64_t records_max = plan_.relocation_records_max;
  {
    MutexLock lock(&mutex_);
    victims =
        table_.PickVictims(/*durable=*/false, options_.max_batch_bytes, records_max, kLiveShareMax);
    if (victims.empty()) {
      records_max = std::min(records_max, kDurableRelocationMax);
      victims = table_.PickVictims(/*durable=*/true, options_.max_batch_bytes, records_max,
                                   kLiveShareMax);
    }
    for (Batch* victim : victims) {
      table_.PinBatch(victim);
      bytes += victim->live_bytes();
      records += victim->live_count();
    }
  }
  if (victims.empty()) return absl::OkStatus();
  const bool durable = victims.front()->durable();

  std::vector<Moved> moved;
  // What is copied makes room for more than it takes, so it may use some of the reserve.
  Condition condition = Condition::kHealthy;
  absl::Status status = ReserveSpace(bytes, options_.free_space_reserve_bytes / 2, &condition);
  if (status.ok()) {
    SpaceReservation reservation(this, bytes);
    status = CopyVictimsToBatch(victims, TakeTickets(records), records_max, &moved);
  }
  const size_t accepted = PublishMoved(moved, durable);
  *moved_any = !moved.empty();
  MutexLock lock(&mutex_);
  for (Batch* victim : victims) {
    // A store that wants none of the copies would be offered them for ever.
    if (!moved.empty() && accepted == 0) table_.MarkUnmovable(victim);
    table_.Unpin(victim);
  }
  return status;
}

absl::Status RocksDbBackend::CopyVictimsToBatch(const std::vector<Batch*>& victims,
                                                SpillTicket first_ticket, uint64_t records_max,
                                                std::vector<Moved>* moved) {
  const bool durable = victims.front()->durable();
  std::unique_ptr<Batch> copies;
  {
    BuilderSlot slot(this);
    BatchBuilder builder(database_.get(), slot.buffers(), compression_, BatchPath(first_ticket),
                         first_ticket);
    absl::Status status = builder.Open();
    if (status.ok()) status = CopyVictims(victims, records_max, &builder, moved);
    if (status.ok() && moved->empty()) return status;
    if (status.ok()) status = builder.Finish();
    if (status.ok()) status = builder.Ingest(durable);
    if (!status.ok()) {
      moved->clear();
      return status;
    }
    copies = std::make_unique<Batch>(first_ticket, victims.front()->chunk_stride_bytes(), durable,
                                     builder.file_bytes(), builder.disk_bytes());
  }
  Batch* const added = copies.get();
  AddBatch(std::move(copies), /*live=*/true);
  return durable ? CommitMoved(moved, *added) : absl::OkStatus();
}

absl::Status RocksDbBackend::CommitMoved(std::vector<Moved>* moved, const Batch& copies) {
  std::vector<std::string> storage(moved->size());
  std::vector<DurableEntry> entries(moved->size());
  for (size_t i = 0; i < moved->size(); ++i) {
    const absl::StatusOr<DurableEntry> entry =
        FindDurable(database_.get(), (*moved)[i].from, &storage[i]);
    if (!entry.ok()) continue;  // released meanwhile, or not to be believed: it stays where it is
    entries[i] = *entry;
    entries[i].ticket = (*moved)[i].to;
    entries[i].disk_bytes = copies.disk_bytes((*moved)[i].to);
  }
  for (;;) {
    absl::Status status = CommitEntriesOfMoved(entries, moved);
    if (status.ok()) return status;
    // Which of the two the index leads to is not known now, so neither may go. Releases that come
    // in between end both.
    LOG_EVERY_N(WARNING, 60) << status << "; will try again";
    MutexLock lock(&mutex_);
    const absl::Time until = absl::Now() + kRetryAfterFailure;
    while (!closing_ && absl::Now() < until) reclaim_wanted_.WaitWithDeadline(&mutex_, until);
    if (!closing_) continue;
    moved->clear();
    return status;
  }
}

absl::Status RocksDbBackend::CommitEntriesOfMoved(absl::Span<const DurableEntry> entries,
                                                  std::vector<Moved>* moved) {
  const SharedGate::Alone alone(&relocation_gate_);
  rocksdb::WriteBatch update;
  {
    MutexLock lock(&mutex_);
    for (size_t i = 0; i < moved->size(); ++i) {
      Moved& record = (*moved)[i];
      Batch* const original = table_.Pin(record.from);
      if (original != nullptr) table_.Unpin(original);
      if (original == nullptr || entries[i].ticket == kNoTicket) record.object_id = 0;
      if (record.object_id != 0) relocated_durable_[record.from] = record.to;
    }
  }
  for (size_t i = 0; i < moved->size(); ++i) {
    if ((*moved)[i].object_id == 0) continue;
    DeleteDurable(database_.get(), (*moved)[i].from, &update);
    PutDurable(entries[i], &update);
  }
  return FromRocksDb(database_->Commit(&update), "cannot commit copies");
}

absl::Status RocksDbBackend::CopyVictims(const std::vector<Batch*>& victims, uint64_t records_max,
                                         BatchBuilder* builder, std::vector<Moved>* moved) {
  const std::unique_ptr<rocksdb::Iterator> iterator =
      database_->NewIterator(victims.front()->durable());
  for (Batch* victim : victims) {
    SpillTicket from = kNoTicket;
    for (;;) {
      {
        MutexLock lock(&mutex_);
        if (closing_) return absl::UnavailableError("the spill backend is closed");
        from = victim->NextLive(from + 1);
      }
      if (from == kNoTicket) break;
      if (moved->size() >= records_max) return absl::OkStatus();
      absl::Status status = CopyRecord(victim, from, iterator.get(), builder, moved);
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

// An error means that the new file cannot be written. A record that cannot be read stays where it
// is, for Read to report, unless the store can do without.
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
      RelocationListener* listener = nullptr;
      {
        MutexLock lock(&mutex_);
        listener = listener_;
      }
      const bool given_up = !victim->durable() && listener->OnDamaged(from);
      MutexLock lock(&mutex_);
      bool dead = false;
      if (given_up) {
        table_.Release(from, &dead);
      } else {
        table_.MarkUnmovable(victim);
      }
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

size_t RocksDbBackend::PublishMoved(const std::vector<Moved>& moved, bool durable) {
  RelocationListener* listener = nullptr;
  {
    MutexLock lock(&mutex_);
    listener = listener_;
  }
  size_t accepted = 0;
  for (const Moved& record : moved) {
    const bool exchanged =
        record.object_id != 0 && listener->OnRelocated(record.object_id, record.from, record.to);
    if (exchanged) ++accepted;
    MutexLock lock(&mutex_);
    bool dead = false;
    if (exchanged) {
      // The index leads to the copy already.
      table_.Release(record.from, &dead);
      relocated_durable_.erase(record.from);
    } else {
      table_.Release(record.to, &dead);
      // That the original leads to the copy is forgotten when the copy is out of the index.
      if (durable) QueueRelease(record.to);
    }
  }
  return accepted;
}

bool RocksDbBackend::WaitForReclaim(int64_t timeout_ms) {
  const absl::Time deadline = absl::Now() + absl::Milliseconds(timeout_ms);
  MutexLock lock(&mutex_);
  const auto is_done = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closing_ || !(reclaiming_ || HasReclaimWork() || IsIndexAllDead());
  };
  while (!is_done()) {
    reclaim_wanted_.Signal();
    if (changed_.WaitWithDeadline(&mutex_, deadline)) return is_done();
  }
  return true;
}

}  // namespace spillway::internal
