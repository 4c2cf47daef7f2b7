#include "tools/spillway/sort/output_writer.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace spillway::sort {

absl::StatusOr<std::unique_ptr<OutputWriter>> OutputWriter::Make(
    ObjectStore* store, size_t buffer_bytes, OutputFile* file,
    std::atomic<uint64_t>* written_bytes) {
  std::vector<ObjectBuilder> buffers;
  for (int i = 0; i < 2; ++i) {
    absl::StatusOr<ObjectBuilder> buffer = store->Create(buffer_bytes);
    if (!buffer.ok()) return buffer.status();
    buffers.push_back(*std::move(buffer));
  }
  return std::unique_ptr<OutputWriter>(new OutputWriter(std::move(buffers), file, written_bytes));
}

OutputWriter::OutputWriter(std::vector<ObjectBuilder> buffers, OutputFile* file,
                           std::atomic<uint64_t>* written_bytes)
    : buffers_(std::move(buffers)), file_(*file), written_bytes_(*written_bytes) {
  StartBuffer(0);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "write");
    WriteWhatComes();
  });
}

OutputWriter::~OutputWriter() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

void OutputWriter::StartBuffer(size_t buffer) {
  filling_ = buffer;
  const absl::Span<char> memory = buffers_[buffer].data();
  at_ = memory.data();
  end_ = at_ + memory.size();
}

absl::Status OutputWriter::AppendInPieces(absl::string_view line) {
  while (!line.empty()) {
    const size_t bytes = std::min(line.size(), static_cast<size_t>(end_ - at_));
    std::memcpy(at_, line.data(), bytes);
    at_ += bytes;
    line.remove_prefix(bytes);
    if (at_ < end_) break;
    absl::Status status = Flush();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status OutputWriter::Flush() {
  const char* const begin = buffers_[filling_].data().data();
  const absl::string_view filled(begin, static_cast<size_t>(at_ - begin));
  MutexLock lock(&mutex_);
  while (!to_write_.empty()) changed_.Wait(&mutex_);
  if (!status_.ok()) return status_;
  to_write_ = filled;
  changed_.SignalAll();
  StartBuffer(1 - filling_);
  return absl::OkStatus();
}

absl::Status OutputWriter::Finish() {
  absl::Status status = Flush();
  if (!status.ok()) return status;
  MutexLock lock(&mutex_);
  while (!to_write_.empty()) changed_.Wait(&mutex_);
  return status_;
}

void OutputWriter::WriteWhatComes() {
  while (true) {
    absl::string_view bytes;
    {
      MutexLock lock(&mutex_);
      while (!ending_ && to_write_.empty()) changed_.Wait(&mutex_);
      if (to_write_.empty()) return;
      bytes = to_write_;
    }
    absl::Status status = file_.Write(bytes);
    MutexLock lock(&mutex_);
    if (status.ok()) written_bytes_.fetch_add(bytes.size(), std::memory_order_relaxed);
    status_.Update(status);
    to_write_ = {};
    changed_.SignalAll();
  }
}

}  // namespace spillway::sort
