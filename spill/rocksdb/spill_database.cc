#include "spill/rocksdb/spill_database.h"

#include <sys/stat.h>

#include <cerrno>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "rocksdb/convenience.h"
#include "rocksdb/listener.h"
#include "rocksdb/table.h"
#include "spill/rocksdb/logger.h"
#include "spill/rocksdb/record_key.h"

namespace spillway::internal {
namespace {

constexpr char kScratchName[] = "scratch";
constexpr char kDurableName[] = "durable";

// Random reads of small records fetch one block each, so blocks are small; a record that is larger
// has a block of its own.
constexpr size_t kBlockBytes = 4096;

// After a change of the database that failed, RocksDB refuses all others until it has recovered;
// and in this release, a recovery that succeeds leaves it in a state in which the next ingestion
// ends the process. No such state is needed here: a failed change has changed nothing, whoever
// asked for it hears of it, and the next one begins a new manifest.
class IgnoreBackgroundErrors final : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* error) override {
    *error = rocksdb::Status::OK();
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

rocksdb::BlockBasedTableOptions TableOptions() {
  rocksdb::BlockBasedTableOptions table;
  table.block_size = kBlockBytes;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  // The index of an open file lives in its reader, not in the cache: with fill_cache=false RocksDB
  // would not cache index blocks either. Neighbouring keys differ in few bytes, which the restart
  // interval turns into about ten bytes per block.
  table.cache_index_and_filter_blocks = false;
  table.index_block_restart_interval = 16;
  table.no_block_cache = true;
  table.filter_policy = nullptr;  // only keys that exist are asked for
  return table;
}

// Of the families that hold batches.
rocksdb::ColumnFamilyOptions BatchFamilyOptions() {
  rocksdb::ColumnFamilyOptions family;
  family.compression = rocksdb::kNoCompression;  // chunks are compressed before they get here
  family.num_levels = 2;
  family.disable_auto_compactions = true;
  family.write_buffer_size = 64 << 10;  // never written to; the least that RocksDB takes
  family.max_write_buffer_number = 2;
  family.level0_slowdown_writes_trigger = std::numeric_limits<int>::max();
  family.level0_stop_writes_trigger = std::numeric_limits<int>::max();
  family.force_consistency_checks = false;  // walks over all files at each change
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(TableOptions()));
  return family;
}

rocksdb::ColumnFamilyOptions IndexFamilyOptions(const MemoryPlan& plan) {
  rocksdb::ColumnFamilyOptions family;
  family.compression = rocksdb::kNoCompression;
  family.write_buffer_size = plan.memtable_bytes;
  family.max_write_buffer_number = 2;
  family.target_file_size_base = 4 << 20;
  family.max_bytes_for_level_base = 16 << 20;
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(TableOptions()));
  return family;
}

rocksdb::DBOptions DatabaseOptions(const SpillDatabaseOptions& options, const MemoryPlan& plan,
                                   rocksdb::Env* env) {
  rocksdb::DBOptions database;
  database.env = env;
  database.create_if_missing = !options.read_only;
  database.create_missing_column_families = !options.read_only;
  database.info_log = std::make_shared<RocksDbLogger>();
  database.listeners.push_back(std::make_shared<IgnoreBackgroundErrors>());
  // Otherwise one damaged or missing file would make all the others unreadable.
  database.paranoid_checks = false;
  database.skip_stats_update_on_db_open = true;
  database.skip_checking_sst_file_sizes_on_db_open = true;
  database.max_open_files = plan.open_tables_max;
  database.max_file_opening_threads = 1;
  database.table_cache_numshardbits = 2;
  database.max_background_jobs = 2;
  database.use_direct_reads = options.direct_io;
  database.use_direct_io_for_flush_and_compaction = options.direct_io;
  database.writable_file_max_buffer_size = 256 << 10;
  database.verify_sst_unique_id_in_manifest = false;  // ingested files have none
  // A reader that happens to be the last user of a dropped file must not pay for its removal.
  database.avoid_unnecessary_blocking_io = true;
  database.avoid_flush_during_shutdown = true;
  database.max_manifest_file_size = 4 << 20;
  database.manifest_preallocation_size = 64 << 10;
  database.max_total_wal_size = 2 * plan.memtable_bytes;
  database.stats_dump_period_sec = 0;
  database.stats_persist_period_sec = 0;
  return database;
}

}  // namespace

absl::Status FromRocksDb(const rocksdb::Status& status, absl::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = absl::StrCat(what, ": ", status.ToString());
  if (status.IsCorruption() || status.IsNotFound()) return absl::DataLossError(message);
  if (status.IsNoSpace()) {
    return absl::ResourceExhaustedError(absl::StrCat("the disk is full: ", message));
  }
  // A file of the database that is not there does not come back by trying again.
  if (status.IsPathNotFound()) return absl::DataLossError(message);
  if (status.IsShutdownInProgress()) return absl::UnavailableError(message);
  return absl::InternalError(message);
}

absl::StatusOr<std::unique_ptr<SpillDatabase>> SpillDatabase::Open(
    const SpillDatabaseOptions& options, const MemoryPlan& plan) {
  auto opened = std::unique_ptr<SpillDatabase>(new SpillDatabase());
  SpillFileSystemOptions file_system_options;
  file_system_options.building_path = options.building_path;
  file_system_options.file_buffer_bytes = plan.file_buffer_bytes;
  file_system_options.block_bytes_max = plan.chunk_stride_bytes + 2 * kBlockBytes;
  file_system_options.direct_io = options.direct_io;
  file_system_options.ephemeral = options.ephemeral;
  file_system_options.hook = options.hook;
  opened->file_system_ = std::make_shared<SpillFileSystem>(file_system_options);
  opened->env_ = rocksdb::NewCompositeEnv(opened->file_system_);
  opened->ephemeral_ = options.ephemeral;

  if (!options.read_only && mkdir(options.path.c_str(), 0700) != 0 && errno != EEXIST) {
    const int error = errno;
    return absl::ErrnoToStatus(error, absl::StrCat("cannot make ", options.path));
  }
  const rocksdb::DBOptions database_options = DatabaseOptions(options, plan, opened->env_.get());
  const rocksdb::ColumnFamilyOptions batch_options = BatchFamilyOptions();
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, IndexFamilyOptions(plan)},
      {kScratchName, batch_options},
      {kDurableName, batch_options},
  };
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* database = nullptr;
  rocksdb::Status status =
      options.read_only
          ? rocksdb::DB::OpenForReadOnly(database_options, options.path, families, &handles,
                                         &database)
          : rocksdb::DB::Open(database_options, options.path, families, &handles, &database);
  if (!status.ok()) {
    return FromRocksDb(status, absl::StrCat("cannot open the spill database ", options.path));
  }
  opened->database_.reset(database);
  opened->default_.reset(handles[0]);
  opened->scratch_.reset(handles[1]);
  opened->durable_.reset(handles[2]);

  opened->builder_options_ = rocksdb::Options(database_options, batch_options);
  opened->builder_env_options_ = rocksdb::EnvOptions(database_options);
  // The file gathers large writes and bypasses the page cache by itself; RocksDB should only gather
  // small blocks, and hand on large ones as they are.
  opened->builder_env_options_.use_direct_writes = false;
  opened->builder_env_options_.writable_file_max_buffer_size = 64 << 10;

  if (!options.read_only && !opened->ListFiles(/*durable=*/false).empty()) {
    status = opened->database_->DropColumnFamily(opened->scratch_.get());
    rocksdb::ColumnFamilyHandle* scratch = nullptr;
    if (status.ok()) {
      status = opened->database_->CreateColumnFamily(batch_options, kScratchName, &scratch);
    }
    if (!status.ok()) return FromRocksDb(status, "cannot wipe the spill database");
    opened->scratch_.reset(scratch);
  }
  return opened;
}

SpillDatabase::~SpillDatabase() {
  default_.reset();
  scratch_.reset();
  durable_.reset();
  if (database_ == nullptr) return;
  const rocksdb::Status status = database_->Close();
  if (!status.ok()) LOG(WARNING) << "closing the spill database: " << status.ToString();
}

void SpillDatabase::ResumeAfterFailure() {
  if (!change_failed_.exchange(false)) return;
  // The failure has turned them off, perhaps more than once.
  database_->EnableFileDeletions(/*force=*/true).PermitUncheckedError();
}

rocksdb::Status SpillDatabase::NoteChange(rocksdb::Status status) {
  if (!status.ok()) change_failed_.store(true);
  return status;
}

rocksdb::Status SpillDatabase::RenewLogAfterFailure() {
  if (!commit_failed_.load()) return rocksdb::Status::OK();
  MutexLock lock(&log_mutex_);
  if (!commit_failed_.load()) return rocksdb::Status::OK();
  // A flush begins a new log and makes the old one unnecessary, but only if there is something to
  // flush.
  rocksdb::WriteOptions unlogged;
  unlogged.disableWAL = true;
  rocksdb::Status status = database_->Put(unlogged, default_.get(), "log", "renewed");
  if (status.ok()) status = database_->Flush(rocksdb::FlushOptions(), default_.get());
  if (status.ok()) commit_failed_.store(false);
  return NoteChange(status);
}

rocksdb::Status SpillDatabase::Ingest(bool durable, const std::string& path) {
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;
  options.failed_move_fall_back_to_copy = false;
  options.snapshot_consistency = false;
  options.allow_global_seqno = false;
  options.allow_blocking_flush = false;
  options.write_global_seqno = false;
  options.verify_file_checksum = false;
  ResumeAfterFailure();
  return NoteChange(database_->IngestExternalFile(family(durable), {path}, options));
}

rocksdb::Status SpillDatabase::DropFiles(bool durable, const std::vector<TicketRange>& ranges) {
  std::vector<RecordKey> keys;
  std::vector<rocksdb::Slice> slices;
  std::vector<rocksdb::RangePtr> pointers;
  keys.reserve(2 * ranges.size());
  slices.reserve(2 * ranges.size());
  for (const TicketRange& range : ranges) {
    keys.emplace_back(range.first, 0);
    slices.push_back(keys.back().slice());
    keys.push_back(RecordKey::Last(range.last));
    slices.push_back(keys.back().slice());
    pointers.emplace_back(&slices[slices.size() - 2], &slices[slices.size() - 1]);
  }
  ResumeAfterFailure();
  return NoteChange(rocksdb::DeleteFilesInRanges(database_.get(), family(durable), pointers.data(),
                                                 pointers.size()));
}

rocksdb::Status SpillDatabase::Get(bool durable, const rocksdb::Slice& key,
                                   rocksdb::PinnableSlice* value) {
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = false;
  return database_->Get(options, family(durable), key, value);
}

std::unique_ptr<rocksdb::Iterator> SpillDatabase::NewIterator(bool durable) {
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = false;
  return std::unique_ptr<rocksdb::Iterator>(database_->NewIterator(options, family(durable)));
}

std::vector<SpillDatabase::FileInfo> SpillDatabase::ListFiles(bool durable) {
  rocksdb::ColumnFamilyMetaData metadata;
  database_->GetColumnFamilyMetaData(family(durable), &metadata);
  std::vector<FileInfo> files;
  for (const rocksdb::LevelMetaData& level : metadata.levels) {
    for (const rocksdb::SstFileMetaData& file : level.files) {
      FileInfo info;
      info.name = file.name;
      info.bytes = file.size;
      uint32_t chunk_number = 0;
      if (!RecordKey::Parse(file.smallestkey, &info.first, &chunk_number) ||
          !RecordKey::Parse(file.largestkey, &info.last, &chunk_number)) {
        LOG(ERROR) << "the spill database holds a file that is not a batch: " << file.name;
        continue;
      }
      files.push_back(info);
    }
  }
  return files;
}

rocksdb::Status SpillDatabase::Commit(rocksdb::WriteBatch* update) {
  rocksdb::WriteOptions options;
  options.sync = !ephemeral_;
  options.disableWAL = ephemeral_;
  ResumeAfterFailure();
  rocksdb::Status status = RenewLogAfterFailure();
  if (!status.ok()) return status;
  status = NoteChange(database_->Write(options, update));
  if (!status.ok()) commit_failed_.store(true);
  return status;
}

rocksdb::Status SpillDatabase::CompactIndex() {
  ResumeAfterFailure();
  // The log goes with the flush; deletions and what they hide go with the compaction.
  rocksdb::Status status = database_->Flush(rocksdb::FlushOptions(), default_.get());
  if (status.ok()) {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    status = database_->CompactRange(options, default_.get(), nullptr, nullptr);
  }
  return NoteChange(status);
}

rocksdb::Status SpillDatabase::GetIndexed(const rocksdb::Slice& key, std::string* value) {
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  return database_->Get(options, default_.get(), key, value);
}

absl::Status SpillDatabase::ForEachIndexed(
    absl::string_view prefix, absl::string_view from,
    const std::function<bool(absl::string_view key, absl::string_view value)>& found) {
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  const std::unique_ptr<rocksdb::Iterator> iterator(
      database_->NewIterator(options, default_.get()));
  const rocksdb::Slice start(prefix.data(), prefix.size());
  for (iterator->Seek({from.data(), from.size()});
       iterator->Valid() && iterator->key().starts_with(start); iterator->Next()) {
    if (!found({iterator->key().data(), iterator->key().size()},
               {iterator->value().data(), iterator->value().size()})) {
      break;
    }
  }
  return FromRocksDb(iterator->status(), "cannot list the spill database");
}

uint64_t SpillDatabase::memory_bytes() const {
  uint64_t sum = 0;
  for (rocksdb::ColumnFamilyHandle* handle : {default_.get(), scratch_.get(), durable_.get()}) {
    for (const std::string& property : {rocksdb::DB::Properties::kEstimateTableReadersMem,
                                        rocksdb::DB::Properties::kCurSizeAllMemTables}) {
      uint64_t bytes = 0;
      if (database_->GetIntProperty(handle, property, &bytes)) sum += bytes;
    }
  }
  return sum;
}

}  // namespace spillway::internal
