#include "spill/rocksdb/batch_file.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace spillway::internal {
namespace {

constexpr size_t kAlignment = 4096;
constexpr uint64_t kAllocateAheadBytes = 16 << 20;

size_t RoundUp(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

FileBufferPool::~FileBufferPool() {
  MutexLock lock(&mutex_);
  for (char* buffer : free_) std::free(buffer);
}

char* FileBufferPool::Take() {
  {
    MutexLock lock(&mutex_);
    if (!free_.empty()) {
      char* buffer = free_.back();
      free_.pop_back();
      return buffer;
    }
  }
  void* memory = nullptr;
  CHECK_EQ(posix_memalign(&memory, kAlignment, buffer_bytes_), 0) << "out of memory";
  return static_cast<char*>(memory);
}

void FileBufferPool::GiveBack(char* buffer) {
  if (buffer == nullptr) return;
  MutexLock lock(&mutex_);
  free_.push_back(buffer);
}

rocksdb::IOStatus BatchFile::Open(const std::string& path, const Options& options,
                                  FileBufferPool* buffers,
                                  std::unique_ptr<rocksdb::FSWritableFile>* file) {
  if (options.hook) {
    rocksdb::IOStatus status = options.hook("create", path);
    if (!status.ok()) return status;
  }
  const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | (options.direct_io ? O_DIRECT : 0);
  const int fd = open(path.c_str(), flags, 0600);
  auto opened = std::unique_ptr<BatchFile>(new BatchFile(path, fd, options, buffers));
  if (fd < 0) return opened->Error("cannot make", errno);
  *file = std::move(opened);
  return rocksdb::IOStatus::OK();
}

BatchFile::BatchFile(std::string path, int fd, const Options& options, FileBufferPool* buffers)
    : path_(std::move(path)), fd_(fd), options_(options), buffers_(buffers) {}

BatchFile::~BatchFile() {
  // Whoever destroys a file without closing it throws it away: what is not yet written stays so.
  if (thread_.joinable()) {
    {
      MutexLock lock(&mutex_);
      ending_ = true;
      changed_.SignalAll();
    }
    thread_.join();
  }
  if (fd_ >= 0) close(fd_);
  buffers_->GiveBack(filling_);
  buffers_->GiveBack(other_);
}

rocksdb::IOStatus BatchFile::Error(const char* what, int error) const {
  const std::string message = absl::StrCat(what, " ", path_);
  if (error == ENOSPC || error == EDQUOT) {
    return rocksdb::IOStatus::NoSpace(message, std::strerror(error));  // NOLINT: known numbers
  }
  if (error == ENOENT) return rocksdb::IOStatus::PathNotFound(message, std::strerror(error));
  return rocksdb::IOStatus::IOError(message, std::strerror(error));
}

rocksdb::IOStatus BatchFile::Ask(const char* operation) const {
  return options_.hook ? options_.hook(operation, path_) : rocksdb::IOStatus::OK();
}

rocksdb::IOStatus BatchFile::Append(const rocksdb::Slice& data, const rocksdb::IOOptions&,
                                    rocksdb::IODebugContext*) {
  const char* bytes = data.data();
  size_t left = data.size();
  while (left > 0) {
    if (filling_ == nullptr) filling_ = buffers_->Take();
    const size_t count = std::min(left, buffers_->buffer_bytes() - filled_bytes_);
    std::memcpy(filling_ + filled_bytes_, bytes, count);
    filled_bytes_ += count;
    file_bytes_ += count;
    bytes += count;
    left -= count;
    rest_is_written_ = false;
    if (filled_bytes_ == buffers_->buffer_bytes()) {
      rocksdb::IOStatus status = WriteBehind();
      if (!status.ok()) return status;
    }
  }
  return rocksdb::IOStatus::OK();
}

rocksdb::IOStatus BatchFile::WriteBehind() {
  if (!thread_.joinable()) {
    thread_ = std::thread([this] { ThreadMain(); });
    pthread_setname_np(thread_.native_handle(), "spill-write");
  }
  MutexLock lock(&mutex_);
  while (writing_) changed_.Wait(&mutex_);
  if (!status_.ok()) return status_;
  std::swap(filling_, other_);
  writing_ = true;
  write_offset_ = queued_bytes_;
  queued_bytes_ += filled_bytes_;
  filled_bytes_ = 0;
  changed_.SignalAll();
  return rocksdb::IOStatus::OK();
}

void BatchFile::ThreadMain() {
  MutexLock lock(&mutex_);
  for (;;) {
    while (!writing_ && !ending_) changed_.Wait(&mutex_);
    if (!writing_) return;
    const uint64_t offset = write_offset_;
    mutex_.Unlock();
    AllocateUpTo(offset + buffers_->buffer_bytes());
    rocksdb::IOStatus status = WriteAt(offset, other_, buffers_->buffer_bytes());
    mutex_.Lock();
    if (status_.ok()) status_ = std::move(status);
    writing_ = false;
    changed_.SignalAll();
  }
}

void BatchFile::AllocateUpTo(uint64_t end) {
  if (end <= allocated_bytes_) return;
  // A file system that cannot, or a disk that is too full for a piece ahead, will do without.
  if (fallocate(fd_, 0, static_cast<off_t>(allocated_bytes_), kAllocateAheadBytes) == 0) {
    allocated_bytes_ += kAllocateAheadBytes;
  } else {
    allocated_bytes_ = UINT64_MAX;
  }
}

rocksdb::IOStatus BatchFile::WriteAt(uint64_t offset, const char* bytes, size_t count) {
  rocksdb::IOStatus allowed = Ask("write");
  if (!allowed.ok()) return allowed;
  size_t done = 0;
  while (done < count) {
    const ssize_t put = pwrite(fd_, bytes + done, count - done, static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Error("cannot write to", errno);
    if (put == 0) return Error("cannot write to", ENOSPC);
    done += static_cast<size_t>(put);
    options_.written_bytes->fetch_add(static_cast<uint64_t>(put), std::memory_order_relaxed);
  }
  return rocksdb::IOStatus::OK();
}

rocksdb::IOStatus BatchFile::WriteRest() {
  {
    MutexLock lock(&mutex_);
    while (writing_) changed_.Wait(&mutex_);
    if (!status_.ok()) return status_;
  }
  if (rest_is_written_) return rocksdb::IOStatus::OK();
  rocksdb::IOStatus status;
  if (filled_bytes_ > 0) {
    const size_t padded = RoundUp(filled_bytes_);
    std::memset(filling_ + filled_bytes_, 0, padded - filled_bytes_);
    status = WriteAt(queued_bytes_, filling_, padded);
  }
  if (status.ok() && ftruncate(fd_, static_cast<off_t>(file_bytes_)) != 0) {
    status = Error("cannot set the size of", errno);
  }
  rest_is_written_ = status.ok();
  allocated_bytes_ = UINT64_MAX;  // the truncation gave back what was set aside
  MutexLock lock(&mutex_);
  if (status_.ok()) status_ = status;
  return status_;
}

rocksdb::IOStatus BatchFile::Flush(const rocksdb::IOOptions&, rocksdb::IODebugContext*) {
  return rocksdb::IOStatus::OK();  // Sync and Close do
}

rocksdb::IOStatus BatchFile::Sync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) {
  rocksdb::IOStatus status = WriteRest();
  if (status.ok()) status = Ask("sync");
  if (status.ok() && options_.sync && fdatasync(fd_) != 0) {
    status = Error("cannot sync", errno);
  }
  return status;
}

rocksdb::IOStatus BatchFile::Close(const rocksdb::IOOptions&, rocksdb::IODebugContext*) {
  rocksdb::IOStatus status = WriteRest();
  if (status.ok()) status = Ask("close");
  const int fd = std::exchange(fd_, -1);
  if (fd >= 0 && close(fd) != 0 && status.ok()) status = Error("cannot close", errno);
  return status;
}

uint64_t BatchFile::GetFileSize(const rocksdb::IOOptions&, rocksdb::IODebugContext*) {
  return file_bytes_;
}

}  // namespace spillway::internal
