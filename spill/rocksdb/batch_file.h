// The file that a batch is built in: written once, from front to back, with direct I/O and beside
// the builder, so that checksums and copies cost no disk time.
//
// Bytes are gathered in one buffer while a thread writes the other. The last block is padded to the
// alignment that direct I/O asks for, and the file is cut to its true size when it is closed.
#ifndef SPILLWAY_SPILL_ROCKSDB_BATCH_FILE_H_
#define SPILLWAY_SPILL_ROCKSDB_BATCH_FILE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "rocksdb/file_system.h"
#include "serialization/mutex.h"

namespace spillway::internal {

// Buffers that outlive the files that use them: touching fresh pages costs more than filling them.
// Thread-safe. Hands out as many as are asked for; the number of builders bounds that.
class FileBufferPool {
 public:
  explicit FileBufferPool(size_t buffer_bytes) : buffer_bytes_(buffer_bytes) {}
  ~FileBufferPool();
  FileBufferPool(const FileBufferPool&) = delete;
  FileBufferPool& operator=(const FileBufferPool&) = delete;

  size_t buffer_bytes() const { return buffer_bytes_; }
  char* Take() ABSL_LOCKS_EXCLUDED(mutex_);
  void GiveBack(char* buffer) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const size_t buffer_bytes_;
  Mutex mutex_;
  std::vector<char*> free_ ABSL_GUARDED_BY(mutex_);
};

// Asked before each operation on a file of the database: "open", "create", "write", "sync",
// "close", "rename", "link", "delete" or "read". An error takes the operation's place. For tests.
using FileOperationHook =
    std::function<rocksdb::IOStatus(const char* operation, const std::string& path)>;

// Not thread-safe, but for its own thread. After an error every call fails with it.
class BatchFile final : public rocksdb::FSWritableFile {
 public:
  struct Options {
    bool direct_io = true;
    // Whether Sync must reach the disk; otherwise it does nothing.
    bool sync = true;
    std::atomic<uint64_t>* written_bytes = nullptr;  // counts along
    FileOperationHook hook;                          // may be empty
  };

  // `buffers` must outlive the file.
  static rocksdb::IOStatus Open(const std::string& path, const Options& options,
                                FileBufferPool* buffers,
                                std::unique_ptr<rocksdb::FSWritableFile>* file);
  ~BatchFile() override;

  using rocksdb::FSWritableFile::Append;
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus Flush(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                         rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus Close(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override;
  uint64_t GetFileSize(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override;

 private:
  BatchFile(std::string path, int fd, const Options& options, FileBufferPool* buffers);

  // Hands the full buffer to the thread and takes the other one.
  rocksdb::IOStatus WriteBehind() ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits for the thread, then writes what is left, padded.
  rocksdb::IOStatus WriteRest() ABSL_LOCKS_EXCLUDED(mutex_);
  rocksdb::IOStatus WriteAt(uint64_t offset, const char* bytes, size_t count);
  // Sets disk space aside a piece ahead: the file system then need not do so at each write.
  void AllocateUpTo(uint64_t end);
  rocksdb::IOStatus Error(const char* what, int error) const;
  // What the hook says, if there is one.
  rocksdb::IOStatus Ask(const char* operation) const;
  void ThreadMain() ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string path_;
  int fd_;
  const Options options_;
  FileBufferPool* const buffers_;

  char* filling_ = nullptr;    // being filled
  char* other_ = nullptr;      // being written, or free
  size_t filled_bytes_ = 0;    // of filling_
  uint64_t file_bytes_ = 0;    // appended so far
  uint64_t queued_bytes_ = 0;  // handed to the disk so far: where filling_ goes
  uint64_t allocated_bytes_ = 0;
  bool rest_is_written_ = true;

  std::thread thread_;  // started when the first buffer is full
  Mutex mutex_;
  CondVar changed_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;  // other_ is the thread's
  uint64_t write_offset_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  rocksdb::IOStatus status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_ROCKSDB_BATCH_FILE_H_
