#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "spill/rocksdb/backend_impl.h"
#include "spill/rocksdb/durable_index.h"

namespace spillway::internal {
namespace {

// Tickets are reserved on disk in blocks so large that one lasts longer than any process.
constexpr uint64_t kTicketsPerOpen = uint64_t{1} << 40;

// Retired objects that end with one commit.
constexpr size_t kEndedTogether = 1024;

ChunkCompression ToChunkCompression(SpillCompression compression) {
  switch (compression) {
    case SpillCompression::kNone:
      return ChunkCompression::kNone;
    case SpillCompression::kLz4:
      return ChunkCompression::kLz4;
    case SpillCompression::kZstd:
      return ChunkCompression::kZstd;
  }
  LOG(FATAL) << "unknown compression";
  return ChunkCompression::kNone;
}

// Whether files in `directory` can be opened for direct I/O.
bool SupportsDirectIo(const std::string& directory) {
  const std::string path = absl::StrCat(directory, "/direct-io-probe");
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_DIRECT, 0600);
  if (fd >= 0) close(fd);
  unlink(path.c_str());
  return fd >= 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SpillBackend>> RocksDbBackend::Open(
    const RocksDbBackendOptions& options, FileOperationHook hook) {
  absl::StatusOr<MemoryPlan> plan = PlanMemory(options);
  if (!plan.ok()) return plan.status();
  absl::StatusOr<std::unique_ptr<SpillDirectory>> acquired =
      options.read_only ? SpillDirectory::OpenReadOnly(options.spill_directory, options.exclusive)
                        : SpillDirectory::Acquire(options.spill_directory);
  if (!acquired.ok()) return acquired.status();
  std::unique_ptr<SpillDirectory> directory = *std::move(acquired);

  SpillDatabaseOptions database_options;
  database_options.path = directory->database_path();
  database_options.building_path = directory->building_path();
  database_options.direct_io = options.direct_io;
  database_options.read_only = options.read_only;
  database_options.ephemeral = options.recovery == SpillRecovery::kDiscard;
  database_options.hook = std::move(hook);
  SpillTicket first_ticket = kNoTicket;
  if (!options.read_only) {
    absl::Status status = directory->RemoveStrays();
    if (status.ok() && options.recovery == SpillRecovery::kDiscard) status = directory->Wipe();
    if (!status.ok()) return status;
    absl::StatusOr<uint64_t> ticket = directory->ReserveTickets(kTicketsPerOpen);
    if (!ticket.ok()) return ticket.status();
    first_ticket = *ticket;
    if (options.direct_io && !SupportsDirectIo(directory->building_path())) {
      LOG(WARNING) << "the file system of " << options.spill_directory
                   << " refuses direct I/O: spilling goes through the page cache";
      database_options.direct_io = false;
    }
  }
  absl::StatusOr<std::unique_ptr<SpillDatabase>> database =
      SpillDatabase::Open(database_options, *plan);
  if (!database.ok()) return database.status();

  auto backend = std::unique_ptr<RocksDbBackend>(
      new RocksDbBackend(options, *plan, std::move(directory), *std::move(database), first_ticket));
  absl::Status status = backend->RecoverDurable();
  if (status.ok() && !options.read_only) {
    status = backend->EndRetired();
    if (absl::IsDataLoss(status)) {
      // Where the index does not tell any more which names there are, nothing is ended.
      LOG(ERROR) << "objects that were to end with their process stay: " << status;
      status = absl::OkStatus();
    }
  }
  if (!status.ok()) return status;
  if (!options.read_only) {
    backend->reclaim_thread_ = std::thread([raw = backend.get()] { raw->ReclaimMain(); });
    pthread_setname_np(backend->reclaim_thread_.native_handle(), "spill-reclaim");
  }
  return backend;
}

RocksDbBackend::RocksDbBackend(const RocksDbBackendOptions& options, const MemoryPlan& plan,
                               std::unique_ptr<SpillDirectory> directory,
                               std::unique_ptr<SpillDatabase> database, SpillTicket first_ticket)
    : options_(options),
      plan_(plan),
      compression_(ToChunkCompression(options.compression)),
      directory_(std::move(directory)),
      database_(std::move(database)),
      read_pool_(std::make_unique<ReadPool>(options.reader_threads)),
      read_budget_(plan.read_bytes),
      next_ticket_(first_ticket) {
  MutexLock lock(&mutex_);
  for (BuilderBuffers& buffers : builder_buffers_) {
    buffers.chunk_stride_bytes = plan.chunk_stride_bytes;
    free_builders_.push_back(&buffers);
  }
}

RocksDbBackend::~RocksDbBackend() {
  const absl::Status status = Close();
  if (!status.ok()) LOG(WARNING) << "closing the spill backend: " << status;
}

// Builds the table of durable batches from the database's index: files give the batches, index
// entries give what is live in them.
absl::Status RocksDbBackend::RecoverDurable() {
  std::map<SpillTicket, SpillDatabase::FileInfo> files;
  for (SpillDatabase::FileInfo& file : database_->ListFiles(/*durable=*/true)) {
    files.emplace(file.first, file);
  }
  // The tickets of one file come one after the other, and files do too.
  std::map<SpillTicket, std::vector<DurableEntry>> entries_by_file;
  uint64_t lost = 0;
  InlineUsage inline_usage;
  const auto found = [&](const DurableEntry& entry) {
    if (entry.is_inline) {
      ++inline_usage.live_records;
      inline_usage.live_bytes += entry.disk_bytes;
      return;
    }
    auto file = files.upper_bound(entry.ticket);
    if (file == files.begin() || (--file)->second.last < entry.ticket) {
      ++lost;
      LOG(ERROR) << "durable object " << entry.header.object_id << " of "
                 << entry.header.payload_bytes << " bytes is lost: its file is missing";
    } else {
      entries_by_file[file->first].push_back(entry);
    }
  };
  std::vector<SpillDatabase::TicketRange> unreadable;
  const auto lost_range = [&](SpillTicket first, SpillTicket last) {
    ++lost;
    unreadable.push_back({first, last});
    LOG(ERROR) << "the index of durable objects in " << options_.spill_directory
               << " is damaged: those with tickets from " << first << " to " << last << " are lost";
  };
  absl::Status status = ForEachDurable(database_.get(), found, lost_range);
  if (!status.ok()) return status;
  damaged_records_ += lost;

  MutexLock lock(&mutex_);
  for (const auto& [first, file] : files) {
    std::vector<uint64_t> disk_bytes(file.last - file.first + 1, 0);
    std::vector<bool> live(disk_bytes.size(), false);
    uint32_t stride = plan_.chunk_stride_bytes;
    for (const DurableEntry& entry : entries_by_file[first]) {
      disk_bytes[entry.ticket - first] = entry.disk_bytes;
      live[entry.ticket - first] = true;
      stride = entry.header.chunk_stride_bytes;
    }
    // What is not known to be dead is not thrown away.
    for (const SpillDatabase::TicketRange& range : unreadable) {
      for (SpillTicket ticket = std::max(first, range.first);
           ticket <= std::min(file.last, range.last); ++ticket) {
        live[ticket - first] = true;
      }
    }
    table_.Add(std::make_unique<Batch>(first, stride, /*durable=*/true, file.bytes, disk_bytes));
    for (size_t i = 0; i < live.size(); ++i) {
      bool dead = false;
      if (!live[i]) table_.Release(first + i, &dead);
    }
  }
  inline_usage_ = inline_usage;
  held_bytes_peak_ = HeldBytes();
  return absl::OkStatus();
}

absl::Status RocksDbBackend::EndRetired() {
  std::vector<uint64_t> retired;
  absl::Status status =
      ForEachRetired(database_.get(), [&](uint64_t id) { retired.push_back(id); });
  for (size_t begin = 0; begin < retired.size() && status.ok(); begin += kEndedTogether) {
    rocksdb::WriteBatch update;
    std::vector<uint64_t> ended;
    for (size_t i = begin; i < std::min(begin + kEndedTogether, retired.size()); ++i) {
      const absl::StatusOr<std::vector<std::string>> names =
          FindNamesOf(database_.get(), retired[i]);
      if (!names.ok()) return names.status();
      if (names->empty()) ended.push_back(retired[i]);
      DeleteRetired(retired[i], &update);  // one with a name is kept again
    }
    status = CommitUpdate(&update, {}, ended);
  }
  return status;
}

RocksDbBackend::Operation::Operation(RocksDbBackend* backend) : backend_(backend) {
  MutexLock lock(&backend_->mutex_);
  admitted_ = !backend_->closing_;
  if (admitted_) ++backend_->operations_;
}

RocksDbBackend::Operation::~Operation() {
  if (!admitted_) return;
  MutexLock lock(&backend_->mutex_);
  if (--backend_->operations_ == 0) backend_->changed_.SignalAll();
}

void RocksDbBackend::SetRelocationListener(RelocationListener* listener) {
  MutexLock lock(&mutex_);
  listener_ = listener;
}

SpillUsage RocksDbBackend::Usage() const {
  SpillUsage usage;
  usage.read_bytes = read_bytes_.load(std::memory_order_relaxed);
  usage.damaged_records = damaged_records_.load(std::memory_order_relaxed);
  MutexLock lock(&mutex_);
  usage.live_bytes = table_.live_bytes() + inline_usage_.live_bytes;
  usage.held_bytes = HeldBytes();
  usage.held_bytes_peak = held_bytes_peak_;
  usage.live_records = table_.live_records() + inline_usage_.live_records;
  usage.written_bytes = written_bytes_;
  usage.batches_written = batches_written_;
  usage.batches_dropped = batches_dropped_;
  usage.memory_bytes = table_.memory_bytes() + read_budget_.used_bytes() +
                       (kBuilders - free_builders_.size()) * plan_.builder_bytes;
  if (database_ != nullptr) {
    usage.memory_bytes += database_->memory_bytes();
    usage.device_written_bytes = database_->device_written_bytes();
  } else {
    usage.device_written_bytes = device_written_bytes_at_close_;
  }
  return usage;
}

absl::Status RocksDbBackend::Health() const {
  MutexLock lock(&mutex_);
  if (closing_) return absl::UnavailableError("the spill backend is closed");
  return health_;
}

absl::StatusOr<uint64_t> RocksDbBackend::ReserveObjectIds(uint64_t count) {
  Operation operation(this);
  if (!operation.admitted()) return absl::UnavailableError("the spill backend is closed");
  if (options_.read_only) return absl::FailedPreconditionError("the spill backend is read-only");
  return directory_->ReserveObjectIds(count);
}

absl::Status RocksDbBackend::Close() {
  {
    MutexLock lock(&mutex_);
    if (closing_) {
      while (!closed_) changed_.Wait(&mutex_);
      return absl::OkStatus();
    }
    closing_ = true;
    reclaim_wanted_.SignalAll();
    changed_.SignalAll();
    while (operations_ > 0) changed_.Wait(&mutex_);
  }
  if (reclaim_thread_.joinable()) reclaim_thread_.join();
  read_pool_.reset();
  std::unique_ptr<SpillDatabase> database;
  {
    MutexLock lock(&mutex_);
    device_written_bytes_at_close_ = database_->device_written_bytes();
    database = std::move(database_);
  }
  database.reset();
  absl::Status status;
  // Nobody can ask for scratch records again: their space is given back now, not at the next open.
  if (!options_.read_only && options_.recovery == SpillRecovery::kDiscard) {
    status = directory_->Wipe();
  }
  directory_.reset();
  MutexLock lock(&mutex_);
  closed_ = true;
  changed_.SignalAll();
  return status;
}

}  // namespace spillway::internal
