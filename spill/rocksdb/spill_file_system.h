// The file system as RocksDB sees it: the system's, but
// - files that only their owner may read,
// - batches under construction are written behind their builder, see batch_file.h,
// - a database that nobody will open again is never synced,
// - bytes written are counted.
#ifndef SPILLWAY_SPILL_ROCKSDB_SPILL_FILE_SYSTEM_H_
#define SPILLWAY_SPILL_ROCKSDB_SPILL_FILE_SYSTEM_H_

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "rocksdb/file_system.h"
#include "spill/rocksdb/batch_file.h"

namespace spillway::internal {

struct SpillFileSystemOptions {
  std::string building_path;  // files below it are batches under construction
  size_t file_buffer_bytes = 1 << 20;
  size_t block_bytes_max = 1 << 20;  // of a block of records
  bool direct_io = true;
  bool ephemeral = false;  // nothing is synced
  FileOperationHook hook;  // may be empty
};

// Thread-safe.
class SpillFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit SpillFileSystem(const SpillFileSystemOptions& options);

  const char* Name() const override { return "SpillFileSystem"; }

  // From now on files are deleted only as long as the directory at `path` is the one that is there
  // now: once it was removed, what stands at its place is somebody else's. Call before any other
  // use.
  void GuardDirectory(const std::string& path);

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* debug) override;

  rocksdb::IOStatus NewRandomAccessFile(const std::string& path,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;

  rocksdb::IOStatus LockFile(const std::string& path, const rocksdb::IOOptions& options,
                             rocksdb::FileLock** lock, rocksdb::IODebugContext* debug) override;

  uint64_t written_bytes() const { return written_bytes_.load(std::memory_order_relaxed); }

 private:
  // What the hook says, if there is one.
  rocksdb::IOStatus Ask(const char* operation, const std::string& path) const;

  bool IsGuardedDirectoryThere() const;

  const SpillFileSystemOptions options_;
  // Constant after GuardDirectory.
  std::string guarded_path_;
  dev_t guarded_device_ = 0;
  ino_t guarded_inode_ = 0;
  FileBufferPool buffers_;
  std::atomic<uint64_t> written_bytes_{0};
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_ROCKSDB_SPILL_FILE_SYSTEM_H_
