// The file system as RocksDB sees it: the system's, with files that only their owner may read and
// with a count of the bytes written.
#ifndef SPILLWAY_SPILL_ROCKSDB_SPILL_FILE_SYSTEM_H_
#define SPILLWAY_SPILL_ROCKSDB_SPILL_FILE_SYSTEM_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "rocksdb/file_system.h"

namespace spillway::internal {

// Thread-safe.
class SpillFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  SpillFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

  const char* Name() const override { return "SpillFileSystem"; }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;

  uint64_t written_bytes() const { return written_bytes_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> written_bytes_{0};
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_ROCKSDB_SPILL_FILE_SYSTEM_H_
