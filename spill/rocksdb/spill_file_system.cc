#include "spill/rocksdb/spill_file_system.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"

namespace spillway::internal {
namespace {

// Any file that is written but a batch under construction.
class OtherFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  OtherFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::string path,
            const SpillFileSystemOptions& options, std::atomic<uint64_t>* written_bytes)
      : FSWritableFileOwnerWrapper(std::move(file)),
        path_(std::move(path)),
        sync_(!options.ephemeral),
        hook_(options.hook),
        written_bytes_(written_bytes) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = BeginWrite(data);
    if (status.ok()) return FSWritableFileOwnerWrapper::Append(data, options, debug);
    // A write that fails may have got part of the way.
    FSWritableFileOwnerWrapper::Append(rocksdb::Slice(data.data(), data.size() / 2), options, debug)
        .PermitUncheckedError();
    return status;
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification,
                           rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = BeginWrite(data);
    return status.ok() ? FSWritableFileOwnerWrapper::Append(data, options, verification, debug)
                       : status;
  }
  rocksdb::IOStatus PositionedAppend(const rocksdb::Slice& data, uint64_t offset,
                                     const rocksdb::IOOptions& options,
                                     rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = BeginWrite(data);
    return status.ok() ? FSWritableFileOwnerWrapper::PositionedAppend(data, offset, options, debug)
                       : status;
  }
  rocksdb::IOStatus PositionedAppend(const rocksdb::Slice& data, uint64_t offset,
                                     const rocksdb::IOOptions& options,
                                     const rocksdb::DataVerificationInfo& verification,
                                     rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = BeginWrite(data);
    return status.ok() ? FSWritableFileOwnerWrapper::PositionedAppend(data, offset, options,
                                                                      verification, debug)
                       : status;
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                         rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = Ask("sync");
    if (!status.ok() || !sync_) return status;
    return FSWritableFileOwnerWrapper::Sync(options, debug);
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = Ask("sync");
    if (!status.ok() || !sync_) return status;
    return FSWritableFileOwnerWrapper::Fsync(options, debug);
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = FSWritableFileOwnerWrapper::Close(options, debug);
    return status.ok() ? Ask("close") : status;
  }

 private:
  rocksdb::IOStatus Ask(const char* operation) const {
    return hook_ ? hook_(operation, path_) : rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus BeginWrite(const rocksdb::Slice& data) {
    written_bytes_->fetch_add(data.size(), std::memory_order_relaxed);
    return Ask("write");
  }

  const std::string path_;
  const bool sync_;
  const FileOperationHook hook_;
  std::atomic<uint64_t>* const written_bytes_;
};

// A file that is read, with a hook.
class HookedFile final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  HookedFile(std::unique_ptr<rocksdb::FSRandomAccessFile> file, std::string path,
             FileOperationHook hook)
      : FSRandomAccessFileOwnerWrapper(std::move(file)),
        path_(std::move(path)),
        hook_(std::move(hook)) {}

  rocksdb::IOStatus Read(uint64_t offset, size_t count, const rocksdb::IOOptions& options,
                         rocksdb::Slice* result, char* scratch,
                         rocksdb::IODebugContext* debug) const override {
    rocksdb::IOStatus status = hook_("read", path_);
    if (!status.ok()) return status;
    return FSRandomAccessFileOwnerWrapper::Read(offset, count, options, result, scratch, debug);
  }

 private:
  const std::string path_;
  const FileOperationHook hook_;
};

// A finished batch while the database takes it in. RocksDB then looks at the two ends of the file
// without asking whether that worked: an I/O error there would end the process, or go unnoticed and
// lose the batch. So both ends are read when the file is opened, where an error is heeded.
class FileEnds final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  explicit FileEnds(std::unique_ptr<rocksdb::FSRandomAccessFile> file)
      : FSRandomAccessFileOwnerWrapper(std::move(file)) {}

  rocksdb::IOStatus Load(uint64_t file_bytes, uint64_t end_bytes) {
    const uint64_t head_bytes = std::min(file_bytes, end_bytes);
    // They may overlap: a block that ends in one must not begin in the other.
    const uint64_t tail_bytes = std::min(file_bytes, end_bytes + file_bytes / 256);
    rocksdb::IOStatus status = LoadPiece(0, head_bytes, &head_);
    if (status.ok()) status = LoadPiece(file_bytes - tail_bytes, tail_bytes, &tail_);
    return status;
  }

  rocksdb::IOStatus Read(uint64_t offset, size_t count, const rocksdb::IOOptions& options,
                         rocksdb::Slice* result, char* scratch,
                         rocksdb::IODebugContext* debug) const override {
    for (const Piece* piece : {&head_, &tail_}) {
      if (offset < piece->offset || offset + count > piece->offset + piece->bytes.size()) continue;
      std::memcpy(scratch, piece->bytes.data() + (offset - piece->offset), count);
      *result = rocksdb::Slice(scratch, count);
      return rocksdb::IOStatus::OK();
    }
    return FSRandomAccessFileOwnerWrapper::Read(offset, count, options, result, scratch, debug);
  }

  // RocksDB must not read around the cached ends.
  bool use_direct_io() const override { return false; }
  rocksdb::IOStatus Prefetch(uint64_t, size_t, const rocksdb::IOOptions&,
                             rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::NotSupported();
  }

 private:
  struct Piece {
    uint64_t offset = 0;
    std::string bytes;
  };

  rocksdb::IOStatus LoadPiece(uint64_t offset, uint64_t count, Piece* piece) {
    piece->offset = offset;
    piece->bytes.resize(count);
    if (count == 0) return rocksdb::IOStatus::OK();
    rocksdb::Slice got;
    rocksdb::IOStatus status = FSRandomAccessFileOwnerWrapper::Read(
        offset, count, rocksdb::IOOptions(), &got, piece->bytes.data(), nullptr);
    if (status.ok() && got.size() != count) {
      status = rocksdb::IOStatus::IOError("a batch is shorter on disk than it was written");
    }
    return status;
  }

  Piece head_;
  Piece tail_;
};

class UnsyncedDirectory final : public rocksdb::FSDirectory {
 public:
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::OK();
  }
};

}  // namespace

SpillFileSystem::SpillFileSystem(const SpillFileSystemOptions& options)
    : FileSystemWrapper(rocksdb::FileSystem::Default()),
      options_(options),
      buffers_(options.file_buffer_bytes) {}

rocksdb::IOStatus SpillFileSystem::Ask(const char* operation, const std::string& path) const {
  return options_.hook ? options_.hook(operation, path) : rocksdb::IOStatus::OK();
}

rocksdb::IOStatus SpillFileSystem::NewWritableFile(const std::string& path,
                                                   const rocksdb::FileOptions& options,
                                                   std::unique_ptr<rocksdb::FSWritableFile>* file,
                                                   rocksdb::IODebugContext* debug) {
  if (absl::StartsWith(path, options_.building_path)) {
    BatchFile::Options batch_options;
    batch_options.direct_io = options_.direct_io;
    batch_options.sync = !options_.ephemeral;
    batch_options.written_bytes = &written_bytes_;
    batch_options.hook = options_.hook;
    return BatchFile::Open(path, batch_options, &buffers_, file);
  }
  rocksdb::IOStatus status = Ask("create", path);
  if (!status.ok()) return status;
  std::unique_ptr<rocksdb::FSWritableFile> made;
  status = FileSystemWrapper::NewWritableFile(path, options, &made, debug);
  if (!status.ok()) return status;
  // Nobody else can have opened it in between: the directory above it is ours alone.
  if (chmod(path.c_str(), 0600) != 0) {
    return rocksdb::IOStatus::IOError("cannot set the mode of", path);
  }
  *file = std::make_unique<OtherFile>(std::move(made), path, options_, &written_bytes_);
  return status;
}

// Ingestion opens the file again to sync it.
rocksdb::IOStatus SpillFileSystem::ReopenWritableFile(
    const std::string& path, const rocksdb::FileOptions& options,
    std::unique_ptr<rocksdb::FSWritableFile>* file, rocksdb::IODebugContext* debug) {
  rocksdb::IOStatus status = Ask("open", path);
  if (!status.ok()) return status;
  std::unique_ptr<rocksdb::FSWritableFile> made;
  status = FileSystemWrapper::ReopenWritableFile(path, options, &made, debug);
  if (!status.ok()) return status;
  *file = std::make_unique<OtherFile>(std::move(made), path, options_, &written_bytes_);
  return status;
}

rocksdb::IOStatus SpillFileSystem::NewDirectory(const std::string& path,
                                                const rocksdb::IOOptions& options,
                                                std::unique_ptr<rocksdb::FSDirectory>* directory,
                                                rocksdb::IODebugContext* debug) {
  if (!options_.ephemeral) {
    return FileSystemWrapper::NewDirectory(path, options, directory, debug);
  }
  *directory = std::make_unique<UnsyncedDirectory>();
  return rocksdb::IOStatus::OK();
}

rocksdb::IOStatus SpillFileSystem::NewRandomAccessFile(
    const std::string& path, const rocksdb::FileOptions& options,
    std::unique_ptr<rocksdb::FSRandomAccessFile>* file, rocksdb::IODebugContext* debug) {
  rocksdb::IOStatus status = Ask("open", path);
  if (!status.ok()) return status;
  const bool is_batch_to_ingest = absl::StartsWith(path, options_.building_path);
  rocksdb::FileOptions file_options = options;
  if (is_batch_to_ingest) file_options.use_direct_reads = false;
  std::unique_ptr<rocksdb::FSRandomAccessFile> opened;
  status = FileSystemWrapper::NewRandomAccessFile(path, file_options, &opened, debug);
  if (status.ok() && options_.hook) {
    opened = std::make_unique<HookedFile>(std::move(opened), path, options_.hook);
  }
  if (status.ok() && is_batch_to_ingest) {
    uint64_t file_bytes = 0;
    status = GetFileSize(path, rocksdb::IOOptions(), &file_bytes, debug);
    auto ends = std::make_unique<FileEnds>(std::move(opened));
    if (status.ok()) status = ends->Load(file_bytes, options_.block_bytes_max);
    opened = std::move(ends);
  }
  if (status.ok()) *file = std::move(opened);
  return status;
}

rocksdb::IOStatus SpillFileSystem::RenameFile(const std::string& from, const std::string& to,
                                              const rocksdb::IOOptions& options,
                                              rocksdb::IODebugContext* debug) {
  rocksdb::IOStatus status = Ask("rename", from);
  return status.ok() ? FileSystemWrapper::RenameFile(from, to, options, debug) : status;
}

rocksdb::IOStatus SpillFileSystem::LinkFile(const std::string& from, const std::string& to,
                                            const rocksdb::IOOptions& options,
                                            rocksdb::IODebugContext* debug) {
  rocksdb::IOStatus status = Ask("link", from);
  return status.ok() ? FileSystemWrapper::LinkFile(from, to, options, debug) : status;
}

void SpillFileSystem::GuardDirectory(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return;
  guarded_path_ = path;
  guarded_device_ = info.st_dev;
  guarded_inode_ = info.st_ino;
}

bool SpillFileSystem::IsGuardedDirectoryThere() const {
  struct stat info;
  return stat(guarded_path_.c_str(), &info) == 0 && info.st_dev == guarded_device_ &&
         info.st_ino == guarded_inode_;
}

rocksdb::IOStatus SpillFileSystem::DeleteFile(const std::string& path,
                                              const rocksdb::IOOptions& options,
                                              rocksdb::IODebugContext* debug) {
  if (!guarded_path_.empty() && absl::StartsWith(path, guarded_path_) &&
      !IsGuardedDirectoryThere()) {
    return rocksdb::IOStatus::PathNotFound("the directory was removed", guarded_path_);
  }
  rocksdb::IOStatus status = Ask("delete", path);
  return status.ok() ? FileSystemWrapper::DeleteFile(path, options, debug) : status;
}

rocksdb::IOStatus SpillFileSystem::LockFile(const std::string& path,
                                            const rocksdb::IOOptions& options,
                                            rocksdb::FileLock** lock,
                                            rocksdb::IODebugContext* debug) {
  rocksdb::IOStatus status = FileSystemWrapper::LockFile(path, options, lock, debug);
  if (status.ok() && chmod(path.c_str(), 0600) != 0) {
    return rocksdb::IOStatus::IOError("cannot set the mode of", path);
  }
  return status;
}

}  // namespace spillway::internal
