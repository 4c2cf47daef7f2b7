#include "spill/rocksdb/spill_file_system.h"

#include <sys/stat.h>

#include <utility>

namespace spillway::internal {
namespace {

class CountedFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  CountedFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::atomic<uint64_t>* written_bytes)
      : FSWritableFileOwnerWrapper(std::move(file)), written_bytes_(written_bytes) {}

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

  std::atomic<uint64_t>* const written_bytes_;
};

}  // namespace

rocksdb::IOStatus SpillFileSystem::NewWritableFile(const std::string& path,
                                                   const rocksdb::FileOptions& options,
                                                   std::unique_ptr<rocksdb::FSWritableFile>* file,
                                                   rocksdb::IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSWritableFile> made;
  rocksdb::IOStatus status = FileSystemWrapper::NewWritableFile(path, options, &made, debug);
  if (!status.ok()) return status;
  // Nobody else can have opened it in between: the directory above it is ours alone.
  if (chmod(path.c_str(), 0600) != 0) {
    return rocksdb::IOStatus::IOError("cannot set the mode of", path);
  }
  *file = std::make_unique<CountedFile>(std::move(made), &written_bytes_);
  return status;
}

}  // namespace spillway::internal
