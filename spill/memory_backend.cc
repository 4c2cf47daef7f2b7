#include "spill/memory_backend.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "serialization/mutex.h"
#include "spill/durable_state.h"

namespace spillway {
namespace {

class MemoryBackend final : public SpillBackend, public DurableState {
 public:
  explicit MemoryBackend(const MemoryBackendOptions& options) : options_(options) {}
  ~MemoryBackend() override { Close().IgnoreError(); }

  void SetRelocationListener(RelocationListener*) override {}  // its records never move

  uint64_t max_batch_bytes() const override { return options_.max_batch_bytes; }
  uint64_t memory_bytes_max() const override { return 0; }  // it stands in for a disk

  void Write(absl::Span<const SpillRecord> records, std::vector<SpillResult>* results) override {
    results->assign(records.size(), SpillResult());
    MutexLock lock(&mutex_);
    for (size_t i = 0; i < records.size(); ++i) {
      (*results)[i] = WriteOne(records[i]);
    }
    ++usage_.batches_written;
  }

  void Read(absl::Span<const SpillRead> reads, std::vector<absl::Status>* statuses) override {
    statuses->assign(reads.size(), absl::OkStatus());
    MutexLock lock(&mutex_);
    for (size_t i = 0; i < reads.size(); ++i) {
      (*statuses)[i] = ReadOne(reads[i]);
    }
  }

  void Release(SpillTicket ticket) override {
    MutexLock lock(&mutex_);
    ReleaseLocked(ticket);
  }

  DurableState* durable_state() override { return this; }

  absl::Status Commit(const DurableChange& change) override {
    MutexLock lock(&mutex_);
    if (closed_) return absl::UnavailableError("the spill backend is closed");
    for (const DurableChange::Binding& binding : change.bind) {
      absl::Status status = CheckName(binding.name);
      if (!status.ok()) return status;
    }
    for (const std::string& name : change.unbind) {
      absl::Status status = CheckName(name);
      if (!status.ok()) return status;
    }
    for (const DurableChange::Binding& binding : change.bind) {
      names_[binding.name] = binding.object_id;
    }
    for (const std::string& name : change.unbind) names_.erase(name);
    for (SpillTicket ticket : change.release) ReleaseLocked(ticket);
    retired_.insert(change.retire.begin(), change.retire.end());
    for (const uint64_t id : change.unretire) retired_.erase(id);
    for (const uint64_t id : change.end) {
      std::erase_if(names_, [&](const auto& binding) { return binding.second == id; });
      while (const SpillTicket ticket = DurableTicketOf(id)) ReleaseLocked(ticket);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> FindName(absl::string_view name) override {
    MutexLock lock(&mutex_);
    if (closed_) return absl::UnavailableError("the spill backend is closed");
    const auto it = names_.find(std::string(name));
    if (it == names_.end()) return absl::NotFoundError(absl::StrCat("name '", name, "'"));
    return it->second;
  }

  absl::Status ListNames(
      absl::string_view prefix, absl::string_view after,
      const std::function<bool(absl::string_view name, uint64_t object_id)>& found) override {
    std::map<std::string, uint64_t> names;
    {
      MutexLock lock(&mutex_);
      if (closed_) return absl::UnavailableError("the spill backend is closed");
      names = names_;
    }
    for (auto it = names.lower_bound(std::string(prefix));
         it != names.end() && absl::StartsWith(it->first, prefix); ++it) {
      if (!after.empty() && it->first <= after) continue;
      if (!found(it->first, it->second)) break;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> NamesOf(uint64_t object_id) override {
    MutexLock lock(&mutex_);
    if (closed_) return absl::UnavailableError("the spill backend is closed");
    std::vector<std::string> names;
    for (const auto& [name, bound] : names_) {
      if (bound == object_id) names.push_back(name);
    }
    return names;
  }

  absl::StatusOr<SpillScanEntry> FindObject(uint64_t object_id) override {
    MutexLock lock(&mutex_);
    if (closed_) return absl::UnavailableError("the spill backend is closed");
    const SpillTicket ticket = DurableTicketOf(object_id);
    if (ticket != kNoTicket) return ToScanEntry(*records_.find(ticket));
    return absl::NotFoundError(absl::StrCat("durable object ", object_id, " is not there"));
  }

  absl::Status Scan(const std::function<void(const SpillScanEntry&)>& found) override {
    std::vector<SpillScanEntry> entries;
    {
      MutexLock lock(&mutex_);
      if (closed_) return absl::UnavailableError("the spill backend is closed");
      for (const auto& record : records_) {
        if (record.second.durable) entries.push_back(ToScanEntry(record));
      }
    }
    for (const SpillScanEntry& entry : entries) found(entry);
    return absl::OkStatus();
  }

  SpillUsage Usage() const override {
    MutexLock lock(&mutex_);
    return usage_;
  }

  absl::Status Health() const override {
    MutexLock lock(&mutex_);
    return closed_ ? absl::UnavailableError("the spill backend is closed") : health_;
  }

  bool WaitForReclaim(int64_t) override { return true; }

  absl::StatusOr<uint64_t> ReserveObjectIds(uint64_t count) override {
    MutexLock lock(&mutex_);
    return std::exchange(next_object_id_, next_object_id_ + count);
  }

  absl::Status Close() override {
    MutexLock lock(&mutex_);
    closed_ = true;
    records_.clear();
    return absl::OkStatus();
  }

 private:
  struct Record {
    uint64_t object_id;
    ObjectType type;
    bool durable;
    std::string payload;
  };

  SpillScanEntry ToScanEntry(const std::pair<const SpillTicket, Record>& entry) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const Record& record = entry.second;
    return {entry.first,           record.object_id, record.type,
            record.payload.size(), record.durable,   retired_.contains(record.object_id)};
  }

  SpillTicket DurableTicketOf(uint64_t object_id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (auto it = records_.rbegin(); it != records_.rend(); ++it) {
      if (it->second.object_id == object_id && it->second.durable) return it->first;
    }
    return kNoTicket;
  }

  void ReleaseLocked(SpillTicket ticket) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    auto it = records_.find(ticket);
    if (it == records_.end()) return;
    usage_.live_bytes -= it->second.payload.size();
    usage_.held_bytes -= it->second.payload.size();
    --usage_.live_records;
    if (it->second.durable) retired_.erase(it->second.object_id);
    records_.erase(it);
  }

  SpillResult WriteOne(const SpillRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    SpillResult result;
    const uint64_t size = record.payload.size();
    if (closed_) {
      result.status = absl::UnavailableError("the spill backend is closed");
      return result;
    }
    if (options_.spill_limit_bytes != 0 && usage_.held_bytes + size > options_.spill_limit_bytes) {
      result.status = health_ = absl::ResourceExhaustedError(absl::StrCat(
          "the spill limit of ", options_.spill_limit_bytes,
          " bytes is reached: ", usage_.held_bytes, " bytes are held, ", size, " more do not fit"));
      return result;
    }
    if (record.durable && !record.name.empty()) {
      result.status = CheckName(record.name);
      if (!result.status.ok()) return result;
      names_[std::string(record.name)] = record.object_id;
    }
    if (record.durable && record.retires != 0) retired_.insert(record.retires);
    if (record.durable && record.supersedes != kNoTicket) ReleaseLocked(record.supersedes);
    health_ = absl::OkStatus();
    result.ticket = next_ticket_++;
    result.disk_bytes = size;
    records_.emplace(result.ticket,
                     Record{record.object_id, record.type, record.durable,
                            std::string(record.payload.data(), record.payload.size())});
    usage_.live_bytes += size;
    usage_.held_bytes += size;
    usage_.held_bytes_peak = std::max(usage_.held_bytes_peak, usage_.held_bytes);
    usage_.written_bytes += size;
    usage_.device_written_bytes += size;
    ++usage_.live_records;
    return result;
  }

  absl::Status ReadOne(const SpillRead& read) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (closed_) return absl::UnavailableError("the spill backend is closed");
    auto it = records_.find(read.ticket);
    if (it == records_.end()) {
      return absl::NotFoundError(absl::StrCat("no record has spill ticket ", read.ticket));
    }
    const Record& record = it->second;
    if (record.object_id != read.object_id || !(record.type == read.type) ||
        record.payload.size() != read.out.size()) {
      ++usage_.damaged_records;
      return absl::DataLossError(absl::StrCat(
          "object ", read.object_id, ": the record at spill ticket ", read.ticket, " is of object ",
          record.object_id, " and ", record.payload.size(), " bytes, asked for ", read.out.size(),
          " bytes of type ", read.type.type_id));
    }
    if (!read.out.empty()) std::memcpy(read.out.data(), record.payload.data(), read.out.size());
    usage_.read_bytes += read.out.size();
    return absl::OkStatus();
  }

  const MemoryBackendOptions options_;

  mutable Mutex mutex_;
  std::map<SpillTicket, Record> records_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> names_ ABSL_GUARDED_BY(mutex_);
  std::set<uint64_t> retired_ ABSL_GUARDED_BY(mutex_);  // object ids
  SpillTicket next_ticket_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t next_object_id_ ABSL_GUARDED_BY(mutex_) = 1;
  SpillUsage usage_ ABSL_GUARDED_BY(mutex_);
  absl::Status health_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

std::unique_ptr<SpillBackend> NewMemoryBackend(const MemoryBackendOptions& options) {
  return std::make_unique<MemoryBackend>(options);
}

}  // namespace spillway
