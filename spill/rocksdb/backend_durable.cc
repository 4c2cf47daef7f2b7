// Durable records and names: commits to the database's index, and small records that live in it.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "spill/internal/chunk_codec.h"
#include "spill/rocksdb/backend_impl.h"
#include "spill/rocksdb/durable_index.h"

namespace spillway::internal {
namespace {

// What an entry takes beside its payload: keys, header, the log's and the table's framing.
constexpr uint64_t kInlineOverheadBytes = 160;

SpillScanEntry ToScanEntry(const DurableEntry& entry) {
  SpillScanEntry scanned;
  scanned.ticket = entry.ticket;
  scanned.object_id = entry.header.object_id;
  scanned.type = entry.header.type;
  scanned.payload_bytes = entry.header.payload_bytes;
  scanned.durable = true;
  return scanned;
}

}  // namespace

bool RocksDbBackend::IsInline(const SpillRecord& record) const {
  return record.durable && record.payload.size() <= kInlineBytesMax;
}

uint64_t RocksDbBackend::InlineDiskBytes(uint64_t payload_bytes) {
  return payload_bytes + kInlineOverheadBytes;
}

void RocksDbBackend::WriteInline(absl::Span<const SpillRecord> records,
                                 absl::Span<const size_t> indexes,
                                 std::vector<SpillResult>* results) {
  uint64_t disk_bytes = 0;
  for (size_t index : indexes) disk_bytes += InlineDiskBytes(records[index].payload.size());
  Condition condition = Condition::kHealthy;
  absl::Status status = ReserveSpace(disk_bytes, options_.free_space_reserve_bytes, &condition);
  if (status.ok()) {
    SpaceReservation reservation(this, disk_bytes);
    const SpillTicket first_ticket = TakeTickets(indexes.size());
    std::vector<DurableEntry> entries;
    for (size_t i = 0; i < indexes.size(); ++i) {
      const SpillRecord& record = records[indexes[i]];
      DurableEntry entry = EntryOf(record, first_ticket + i, kInlineBytesMax);
      entry.disk_bytes = InlineDiskBytes(record.payload.size());
      entry.is_inline = true;
      entry.inline_payload = absl::string_view(record.payload.data(), record.payload.size());
      entries.push_back(entry);
    }
    status = CommitEntries(records, indexes, entries);
    if (!status.ok()) {
      condition = absl::IsResourceExhausted(status) ? Condition::kDiskFull : Condition::kIoError;
    }
    MutexLock lock(&mutex_);
    if (status.ok()) {
      inline_usage_.live_records += indexes.size();
      inline_usage_.live_bytes += disk_bytes;
      held_bytes_peak_ = std::max(held_bytes_peak_, HeldBytes());
      for (size_t i = 0; i < indexes.size(); ++i) {
        (*results)[indexes[i]].ticket = entries[i].ticket;
        (*results)[indexes[i]].disk_bytes = entries[i].disk_bytes;
        written_bytes_ += records[indexes[i]].payload.size();
      }
    } else {
      // A commit that failed may all the same be on disk.
      for (const DurableEntry& entry : entries) QueueRelease(entry.ticket);
    }
  }
  NoteWrite(condition, status, disk_bytes);
  for (size_t index : indexes) (*results)[index].status = status;
}

DurableEntry RocksDbBackend::EntryOf(const SpillRecord& record, SpillTicket ticket,
                                     uint32_t chunk_stride_bytes) {
  DurableEntry entry;
  entry.ticket = ticket;
  entry.header.object_id = record.object_id;
  entry.header.type = record.type;
  entry.header.durable = true;
  entry.header.payload_bytes = record.payload.size();
  entry.header.chunk_stride_bytes = chunk_stride_bytes;
  entry.header.chunk_count = ChunkCount(record.payload.size(), chunk_stride_bytes);
  entry.header.stored_bytes = static_cast<uint32_t>(entry.header.chunk_bytes());
  return entry;
}

absl::Status RocksDbBackend::CommitEntries(absl::Span<const SpillRecord> records,
                                           absl::Span<const size_t> indexes,
                                           absl::Span<const DurableEntry> entries) {
  rocksdb::WriteBatch update;
  std::vector<SpillTicket> superseded;
  for (const size_t index : indexes) {
    if (records[index].supersedes != kNoTicket) superseded.push_back(records[index].supersedes);
  }
  return CommitUpdate(&update, superseded, {}, [&](rocksdb::WriteBatch* batch) {
    for (size_t i = 0; i < indexes.size(); ++i) {
      const SpillRecord& record = records[indexes[i]];
      PutDurable(entries[i], batch);
      if (!record.name.empty()) PutName(database_.get(), record.name, record.object_id, batch);
      if (record.retires != 0) PutRetired(record.retires, batch);
    }
  });
}

absl::Status RocksDbBackend::CommitUpdate(rocksdb::WriteBatch* update,
                                          absl::Span<const SpillTicket> release,
                                          absl::Span<const uint64_t> end,
                                          absl::FunctionRef<void(rocksdb::WriteBatch*)> then) {
  const SharedGate::Shared shared(&relocation_gate_);
  std::vector<SpillTicket> tickets(release.begin(), release.end());
  if (absl::Status status = EndObjects(end, update, &tickets); !status.ok()) return status;
  if (!tickets.empty()) {
    // A copy that the store has not yet heard of goes too.
    MutexLock lock(&mutex_);
    for (SpillTicket ticket : release) {
      const auto moved = relocated_durable_.find(ticket);
      if (moved != relocated_durable_.end()) tickets.push_back(moved->second);
    }
  }
  for (SpillTicket ticket : tickets) DeleteDurable(database_.get(), ticket, update);
  then(update);
  std::vector<uint64_t> inline_bytes = InlineBytesOf(tickets);
  absl::Status status = FromRocksDb(database_->Commit(update), "cannot commit");
  if (!status.ok()) return status;
  MutexLock lock(&mutex_);
  for (size_t i = 0; i < tickets.size(); ++i) {
    NoteInlineReleased(inline_bytes[i]);
    bool dead = false;
    table_.Release(tickets[i], &dead);
    nothing_to_move_ = false;
  }
  if (HasReclaimWork()) reclaim_wanted_.Signal();
  return absl::OkStatus();
}

absl::Status RocksDbBackend::EndObjects(absl::Span<const uint64_t> object_ids,
                                        rocksdb::WriteBatch* update,
                                        std::vector<SpillTicket>* tickets) {
  for (const uint64_t id : object_ids) {
    const absl::StatusOr<std::vector<std::string>> names = FindNamesOf(database_.get(), id);
    if (!names.ok()) return names.status();
    for (const std::string& name : *names) DeleteName(database_.get(), name, update);
    DeleteRetired(id, update);
    const absl::StatusOr<SpillTicket> ticket = FindDurableTicket(database_.get(), id);
    if (absl::IsNotFound(ticket.status())) continue;
    if (!ticket.ok()) return ticket.status();
    if (std::find(tickets->begin(), tickets->end(), *ticket) == tickets->end()) {
      tickets->push_back(*ticket);
    }
  }
  return absl::OkStatus();
}

// Bytes on disk of each record that stands in the index; 0 for the others.
std::vector<uint64_t> RocksDbBackend::InlineBytesOf(absl::Span<const SpillTicket> tickets) {
  std::vector<uint64_t> bytes;
  for (SpillTicket ticket : tickets) {
    std::string storage;
    const absl::StatusOr<DurableEntry> entry = FindDurable(database_.get(), ticket, &storage);
    bytes.push_back(entry.ok() && entry->is_inline ? entry->disk_bytes : 0);
  }
  return bytes;
}

void RocksDbBackend::NoteInlineReleased(uint64_t disk_bytes) {
  // Whoever releases a record twice at once may find it twice.
  if (disk_bytes == 0 || inline_usage_.live_bytes < disk_bytes) return;
  --inline_usage_.live_records;
  inline_usage_.live_bytes -= disk_bytes;
  inline_usage_.dead_bytes += disk_bytes;
  inline_usage_.last_release = absl::Now();
}

void RocksDbBackend::QueueRelease(SpillTicket ticket) {
  if (!releases_queued_.insert(ticket).second) return;
  releases_to_commit_.push_back(ticket);
  reclaim_wanted_.Signal();
}

absl::Status RocksDbBackend::CommitReleases(const std::vector<SpillTicket>& tickets) {
  if (tickets.empty()) return absl::OkStatus();
  rocksdb::WriteBatch update;
  absl::Status status = CommitUpdate(&update, tickets);
  MutexLock lock(&mutex_);
  if (status.ok()) {
    for (SpillTicket ticket : tickets) releases_queued_.erase(ticket);
    if (!relocated_durable_.empty()) {
      const absl::flat_hash_set<SpillTicket> ended(tickets.begin(), tickets.end());
      absl::erase_if(relocated_durable_,
                     [&](const auto& moved) { return ended.contains(moved.second); });
    }
    changed_.SignalAll();
  } else {
    releases_to_commit_.insert(releases_to_commit_.end(), tickets.begin(), tickets.end());
  }
  return status;
}

absl::Status RocksDbBackend::ReadInline(const SpillRead& read) {
  {
    MutexLock lock(&mutex_);
    if (releases_queued_.contains(read.ticket)) {
      return absl::NotFoundError(absl::StrCat("no record has spill ticket ", read.ticket));
    }
  }
  std::string storage;
  absl::StatusOr<DurableEntry> entry = FindDurable(database_.get(), read.ticket, &storage);
  absl::Status status = entry.status();
  if (absl::IsNotFound(status)) return status;
  if (status.ok() && !entry->is_inline) status = absl::DataLossError("its file is missing");
  if (status.ok()) status = CheckHeader(read, 0, kInlineBytesMax, entry->header);
  if (status.ok()) {
    status = DecompressChunk(entry->header.compression, entry->inline_payload, read.out);
  }
  return status.ok() ? status : RestoreError(read, 0, status);
}

absl::Status RocksDbBackend::Commit(const DurableChange& change) {
  Operation operation(this);
  if (!operation.admitted()) return absl::UnavailableError("the spill backend is closed");
  if (options_.read_only) return absl::FailedPreconditionError("the spill backend is read-only");
  rocksdb::WriteBatch update;
  for (const DurableChange::Binding& binding : change.bind) {
    absl::Status status = CheckName(binding.name);
    if (!status.ok()) return status;
    PutName(database_.get(), binding.name, binding.object_id, &update);
  }
  for (const std::string& name : change.unbind) {
    absl::Status status = CheckName(name);
    if (!status.ok()) return status;
    DeleteName(database_.get(), name, &update);
  }
  for (const uint64_t id : change.retire) PutRetired(id, &update);
  for (const uint64_t id : change.unretire) DeleteRetired(id, &update);
  return CommitUpdate(&update, change.release, change.end);
}

absl::StatusOr<uint64_t> RocksDbBackend::FindName(absl::string_view name) {
  Operation operation(this);
  if (!operation.admitted()) return absl::UnavailableError("the spill backend is closed");
  return FindDurableName(database_.get(), name);
}

absl::Status RocksDbBackend::ListNames(
    absl::string_view prefix, absl::string_view after,
    const std::function<bool(absl::string_view name, uint64_t object_id)>& found) {
  Operation operation(this);
  if (!operation.admitted()) return absl::UnavailableError("the spill backend is closed");
  return ForEachName(database_.get(), prefix, after, found);
}

absl::StatusOr<std::vector<std::string>> RocksDbBackend::NamesOf(uint64_t object_id) {
  Operation operation(this);
  if (!operation.admitted()) return absl::UnavailableError("the spill backend is closed");
  return FindNamesOf(database_.get(), object_id);
}

absl::StatusOr<SpillScanEntry> RocksDbBackend::FindObject(uint64_t object_id) {
  Operation operation(this);
  if (!operation.admitted()) return absl::UnavailableError("the spill backend is closed");
  // A record that is being copied forward changes its ticket between the two look-ups.
  const SharedGate::Shared shared(&relocation_gate_);
  absl::StatusOr<SpillTicket> ticket = FindDurableTicket(database_.get(), object_id);
  if (!ticket.ok()) return ticket.status();
  {
    MutexLock lock(&mutex_);
    if (releases_queued_.contains(*ticket)) {
      return absl::NotFoundError(absl::StrCat("durable object ", object_id, " is not there"));
    }
  }
  std::string storage;
  absl::StatusOr<DurableEntry> entry = FindDurable(database_.get(), *ticket, &storage);
  if (!entry.ok()) return entry.status();
  const absl::StatusOr<bool> retired = IsRetired(database_.get(), object_id);
  if (!retired.ok()) return retired.status();
  SpillScanEntry scanned = ToScanEntry(*entry);
  scanned.retired = *retired;
  return scanned;
}

absl::Status RocksDbBackend::Scan(const std::function<void(const SpillScanEntry&)>& found) {
  Operation operation(this);
  if (!operation.admitted()) return absl::UnavailableError("the spill backend is closed");
  absl::flat_hash_set<uint64_t> retired;
  absl::Status status = ForEachRetired(database_.get(), [&](uint64_t id) { retired.insert(id); });
  // What is not known to be retired is kept.
  if (!status.ok() && !absl::IsDataLoss(status)) return status;
  const auto found_entry = [&](const DurableEntry& entry) {
    {
      MutexLock lock(&mutex_);
      if (releases_queued_.contains(entry.ticket)) return;
      // One whose file is missing is listed: whoever asks for it shall hear that it is lost.
    }
    SpillScanEntry scanned = ToScanEntry(entry);
    scanned.retired = retired.contains(scanned.object_id);
    found(scanned);
  };
  // Of what was lost was told at open.
  return ForEachDurable(database_.get(), found_entry, [](SpillTicket, SpillTicket) {});
}

}  // namespace spillway::internal
