#include "tools/spillway/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/spillway/interruption.h"

namespace spillway {
namespace {

// A single write() of more would be cut by Linux.
constexpr size_t kWriteBytesMax = size_t{1} << 30;

// Smaller pieces are better gathered by the page cache.
constexpr size_t kPastCacheBytesMin = 64 * 1024;

// The permissions of a new file: the mask can only be read by setting it.
mode_t NewFileMode() {
  const mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

}  // namespace

absl::Status FileError(absl::string_view verb, absl::string_view path, int error) {
  const std::string message =
      absl::StrCat("cannot ", verb, " '", path,
                   "': ", std::error_code(error, std::generic_category()).message());
  switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::FailedPreconditionError(message);
  }
}

absl::StatusOr<std::unique_ptr<OutputFile>> OutputFile::Open(const std::string& path) {
  if (path == "-") {
    const int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) return FileError("write", "standard output", errno);
    return std::unique_ptr<OutputFile>(new OutputFile("standard output", fd));
  }
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return FileError("write", path, errno);
    return OpenBeside(path, NewFileMode());
  }
  if (S_ISDIR(info.st_mode)) return FileError("write", path, EISDIR);
  if (!S_ISREG(info.st_mode)) return OpenInPlace(path);
  // Renaming over a file asks for leave to write the directory, not the file.
  if (access(path.c_str(), W_OK) != 0) return FileError("write", path, errno);
  return OpenBeside(path, info.st_mode & 07777);
}

absl::StatusOr<std::unique_ptr<OutputFile>> OutputFile::OpenInPlace(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return FileError("write", path, errno);
  return std::unique_ptr<OutputFile>(new OutputFile(path, fd));
}

absl::StatusOr<std::unique_ptr<OutputFile>> OutputFile::OpenBeside(const std::string& path,
                                                                   mode_t mode) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::weakly_canonical(path, error);
  if (error) return FileError("write", path, error.value());
  std::string temporary = (target.parent_path() /
                           absl::StrCat(".", target.filename().string().substr(0, 200), ".XXXXXX"))
                              .string();
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return FileError("write", path, errno);
  auto file = std::unique_ptr<OutputFile>(new OutputFile(path, fd));
  file->target_ = target.string();
  file->may_pass_cache_ = true;
  file->temporary_ =
      std::make_unique<TemporaryPath>(std::move(temporary), TemporaryPath::What::kFile);
  if (fchmod(fd, mode) != 0) return FileError("write", path, errno);
  return file;
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) close(fd_);
}

void OutputFile::SetPastCache(bool past_cache) {
  if (past_cache == past_cache_) return;
  const int flags = fcntl(fd_, F_GETFL);
  if (flags < 0 || fcntl(fd_, F_SETFL, past_cache ? flags | O_DIRECT : flags & ~O_DIRECT) != 0) {
    may_pass_cache_ = false;
    return;
  }
  past_cache_ = past_cache;
}

absl::Status OutputFile::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    absl::Status status = Interruption::Check();
    if (!status.ok()) return status;
    size_t size = std::min(bytes.size(), kWriteBytesMax);
    const bool aligned = reinterpret_cast<uintptr_t>(bytes.data()) % kAlignment == 0 &&
                         written_bytes_ % kAlignment == 0;
    SetPastCache(may_pass_cache_ && aligned && size >= kPastCacheBytesMin);
    if (past_cache_) size = size / kAlignment * kAlignment;
    const ssize_t written = write(fd_, bytes.data(), size);
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno == EINVAL && past_cache_) {
        may_pass_cache_ = false;
        continue;
      }
      return FileError("write", path_, errno);
    }
    written_bytes_ += static_cast<uint64_t>(written);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status OutputFile::Commit() {
  // Some file systems report only now that there was no space.
  if (close(std::exchange(fd_, -1)) != 0 && errno != EINTR) return FileError("write", path_, errno);
  if (target_.empty()) return absl::OkStatus();
  if (rename(temporary_->path().c_str(), target_.c_str()) != 0)
    return FileError("write", path_, errno);
  temporary_->Keep();
  return absl::OkStatus();
}

}  // namespace spillway
