#include "tools/spillway/sort/text_source.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "glog/logging.h"
#include "tools/spillway/interruption.h"
#include "tools/spillway/output_file.h"

namespace spillway::sort {
namespace {

constexpr char kStandardInput[] = "-";

absl::Status ReadError(absl::string_view path, int error) { return FileError("read", path, error); }

}  // namespace

absl::StatusOr<std::unique_ptr<TextSource>> TextSource::Open(std::vector<std::string> paths) {
  auto source = std::unique_ptr<TextSource>(new TextSource(std::move(paths)));
  for (const std::string& path : source->paths_) {
    struct stat info;
    const bool standard_input = path == kStandardInput;
    if ((standard_input ? fstat(STDIN_FILENO, &info) : stat(path.c_str(), &info)) != 0) {
      return ReadError(path, errno);
    }
    if (S_ISDIR(info.st_mode)) return ReadError(path, EISDIR);
    if (!standard_input && access(path.c_str(), R_OK) != 0) return ReadError(path, errno);
    if (!S_ISREG(info.st_mode)) {
      source->size_bytes_.reset();
    } else if (source->size_bytes_) {
      *source->size_bytes_ += static_cast<uint64_t>(info.st_size);
    }
  }
  return source;
}

TextSource::~TextSource() { CloseCurrent(); }

absl::string_view TextSource::name() const {
  const absl::string_view path = paths_[next_path_ - 1];
  return path == kStandardInput ? "standard input" : path;
}

absl::Status TextSource::OpenNext() {
  const std::string& path = paths_[next_path_++];
  fd_ = path == kStandardInput ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd_ < 0) return ReadError(path, errno);
  struct stat info;
  if (fstat(fd_, &info) != 0) return ReadError(name(), errno);
  can_wait_ = !S_ISREG(info.st_mode);
  // Only a hint: an error means no more than that it is not taken.
  if (!can_wait_) posix_fadvise(fd_, 0, 0, POSIX_FADV_SEQUENTIAL);
  last_byte_ = '\n';
  return absl::OkStatus();
}

void TextSource::CloseCurrent() {
  if (fd_ > STDIN_FILENO) close(fd_);
  fd_ = -1;
}

absl::StatusOr<size_t> TextSource::Read(absl::Span<char> room) {
  CHECK(!room.empty());
  if (kept_at_ < kept_bytes_) {
    const size_t bytes = std::min(room.size(), kept_bytes_ - kept_at_);
    std::memcpy(room.data(), kept_->data().data() + kept_at_, bytes);
    kept_at_ += bytes;
    return bytes;
  }
  while (true) {
    absl::Status status = Interruption::Check();
    if (!status.ok()) return status;
    if (fd_ < 0) {
      if (next_path_ == paths_.size()) {
        kept_.reset();
        kept_bytes_ = 0;
        kept_at_ = 0;
        return 0;
      }
      status = OpenNext();
      if (!status.ok()) return status;
    }
    if (can_wait_) {
      status = Interruption::WaitUntilReadable(fd_);
      if (!status.ok()) return status;
    }
    const ssize_t bytes = read(fd_, room.data(), room.size());
    if (bytes > 0) {
      last_byte_ = room[static_cast<size_t>(bytes) - 1];
      return static_cast<size_t>(bytes);
    }
    if (bytes < 0) {
      if (errno == EINTR) continue;
      return ReadError(name(), errno);
    }
    CloseCurrent();
    if (last_byte_ != '\n') {
      room[0] = '\n';
      return 1;
    }
  }
}

absl::Status TextSource::Unread(absl::string_view text, ObjectStore* store) {
  if (text.empty()) return absl::OkStatus();
  if (text.size() <= kept_at_ && kept_at_ < kept_bytes_) {
    // All of it came from what is kept anyway.
    kept_at_ -= text.size();
    return absl::OkStatus();
  }
  CHECK_EQ(kept_at_, kept_bytes_);
  if (!kept_ || kept_->data().size() < text.size()) {
    // Given back first: what follows may need its room.
    kept_.reset();
    kept_bytes_ = 0;
    kept_at_ = 0;
    absl::StatusOr<ObjectBuilder> memory = store->Create(text.size());
    if (!memory.ok()) return memory.status();
    kept_.emplace(*std::move(memory));
  }
  std::memcpy(kept_->data().data(), text.data(), text.size());
  kept_bytes_ = text.size();
  kept_at_ = 0;
  return absl::OkStatus();
}

}  // namespace spillway::sort
