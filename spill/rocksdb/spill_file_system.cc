#include "spill/rocksdb/spill_file_system.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/match.h"

namespace spillway::internal {
namespace {

class OtherFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  OtherFile(std::unique_ptr<rocksdb::FSWritableFile> file, bool sync,
            std::atomic<uint64_t>* written_bytes)
      : FSWritableFileOwnerWrapper(std::move(file)), sync_(sync), written_bytes_(written_bytes) {}

  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                         rocksdb::IODebugContext* debug) override {
    return sync_ ? FSWritableFileOwnerWrapper::Sync(options, debug) : rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    return sync_ ? FSWritableFileOwnerWrapper::Fsync(options, debug) : rocksdb::IOStatus::OK();
  }

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    Count(data);
    return FSWritableFileOwnerWrapper::Append(data, options, debug);
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification,
                           rocksdb::IODebugContext* debug) override {
    Count(data);
    return FSWritableFileOwnerWrapper::Append(data, options, verification, debug);
  }
  rocksdb::IOStatus PositionedAppend(const rocksdb::Slice& data, uint64_t offset,
                                     const rocksdb::IOOptions& options,
                                     rocksdb::IODebugContext* debug) override {
    Count(data);
    return FSWritableFileOwnerWrapper::PositionedAppend(data, offset, options, debug);
  }
  rocksdb::IOStatus PositionedAppend(const rocksdb::Slice& data, uint64_t offset,
                                     const rocksdb::IOOptions& options,
                                     const rocksdb::DataVerificationInfo& verification,
                                     rocksdb::IODebugContext* debug) override {
    Count(data);
    return FSWritableFileOwnerWrapper::PositionedAppend(data, offset, options, verification, debug);
  }

 private:
  void Count(const rocksdb::Slice& data) {
    written_bytes_->fetch_add(data.size(), std::memory_order_relaxed);
  }

  const bool sync_;
  std::atomic<uint64_t>* const written_bytes_;
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

rocksdb::IOStatus SpillFileSystem::NewWritableFile(const std::string& path,
                                                   const rocksdb::FileOptions& options,
                                                   std::unique_ptr<rocksdb::FSWritableFile>* file,
                                                   rocksdb::IODebugContext* debug) {
  if (absl::StartsWith(path, options_.building_path)) {
    BatchFile::Options batch_options;
    batch_options.direct_io = options_.direct_io;
    batch_options.sync = !options_.ephemeral;
    batch_options.written_bytes = &written_bytes_;
    return BatchFile::Open(path, batch_options, &buffers_, file);
  }
  std::unique_ptr<rocksdb::FSWritableFile> made;
  rocksdb::IOStatus status = FileSystemWrapper::NewWritableFile(path, options, &made, debug);
  if (!status.ok()) return status;
  // Nobody else can have opened it in between: the directory above it is ours alone.
  if (chmod(path.c_str(), 0600) != 0) {
    return rocksdb::IOStatus::IOError("cannot set the mode of", path);
  }
  *file = std::make_unique<OtherFile>(std::move(made), !options_.ephemeral, &written_bytes_);
  return status;
}

// Ingestion opens the file again to sync it.
rocksdb::IOStatus SpillFileSystem::ReopenWritableFile(
    const std::string& path, const rocksdb::FileOptions& options,
    std::unique_ptr<rocksdb::FSWritableFile>* file, rocksdb::IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSWritableFile> made;
  rocksdb::IOStatus status = FileSystemWrapper::ReopenWritableFile(path, options, &made, debug);
  if (!status.ok()) return status;
  *file = std::make_unique<OtherFile>(std::move(made), !options_.ephemeral, &written_bytes_);
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

}  // namespace spillway::internal
