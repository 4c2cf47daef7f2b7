#include "spill/internal/spill_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "glog/logging.h"

namespace spillway::internal {
namespace {

constexpr absl::string_view kMarkerName = "SPILLWAY";
constexpr absl::string_view kMarkerPrefix = "Spillway spill directory, format ";
constexpr absl::string_view kOwnerName = "OWNER";
constexpr absl::string_view kCountersName = "COUNTERS";
constexpr size_t kSmallFileBytesMax = 4096;

absl::Status ErrnoError(absl::string_view what, absl::string_view path) {
  const int error = errno;
  return absl::ErrnoToStatus(error, absl::StrCat(what, " ", path));
}

// Closes a file descriptor at the end of a scope.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

absl::Status MakeDirectories(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string prefix = path.substr(0, slash);
    if (mkdir(prefix.c_str(), 0700) != 0 && errno != EEXIST) {
      // A parent that may not be written, or even be asked for, may exist all the same.
      const int error = errno;
      struct stat info;
      if (stat(prefix.c_str(), &info) != 0) {
        errno = error;
        return ErrnoError("cannot make the spill directory", prefix);
      }
    }
    if (slash == std::string::npos) break;
  }
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrnoError("cannot look at the spill directory", path);
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the spill directory ", path, " is not a directory"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return ErrnoError("cannot list", path);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(directory)) {  // NOLINT(concurrency-mt-unsafe): own stream
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  const int error = errno;
  closedir(directory);
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot list ", path));
  return names;
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return ErrnoError("cannot open", path);
  std::string contents(kSmallFileBytesMax, '\0');
  const ssize_t got = pread(file.get(), contents.data(), contents.size(), 0);
  if (got < 0) return ErrnoError("cannot read", path);
  contents.resize(static_cast<size_t>(got));
  return contents;
}

absl::Status SyncDirectory(const std::string& path) {
  FileDescriptor directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0) return ErrnoError("cannot open", path);
  if (fsync(directory.get()) != 0) return ErrnoError("cannot sync", path);
  return absl::OkStatus();
}

// After a crash the file has either its old or its new contents.
absl::Status WriteSmallFileAtomically(const std::string& directory, absl::string_view name,
                                      absl::string_view contents) {
  const std::string path = absl::StrCat(directory, "/", name);
  const std::string temporary = absl::StrCat(path, ".new");
  {
    FileDescriptor file(
        open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) return ErrnoError("cannot write", temporary);
    const ssize_t put = write(file.get(), contents.data(), contents.size());
    if (put < 0) return ErrnoError("cannot write", temporary);
    if (static_cast<size_t>(put) != contents.size()) {
      errno = ENOSPC;
      return ErrnoError("cannot write", temporary);
    }
    if (fsync(file.get()) != 0) return ErrnoError("cannot sync", temporary);
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return ErrnoError("cannot write", path);
  return SyncDirectory(directory);
}

// Removes a directory of ours with all it holds; nothing there is fine.
absl::Status RemoveTree(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoError("cannot look at", path);
  }
  if (!S_ISDIR(info.st_mode)) {
    return unlink(path.c_str()) == 0 ? absl::OkStatus() : ErrnoError("cannot remove", path);
  }
  absl::StatusOr<std::vector<std::string>> names = ListDirectory(path);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    absl::Status status = RemoveTree(absl::StrCat(path, "/", name));
    if (!status.ok()) return status;
  }
  return rmdir(path.c_str()) == 0 ? absl::OkStatus() : ErrnoError("cannot remove", path);
}

// OK if `path` is a spill directory whose format this program reads; NotFound if it is none.
absl::Status CheckMarker(const std::string& path) {
  absl::StatusOr<std::string> marker = ReadSmallFile(absl::StrCat(path, "/", kMarkerName));
  if (!marker.ok()) return marker.status();
  absl::string_view text = *marker;
  int version = 0;
  if (!absl::ConsumePrefix(&text, kMarkerPrefix) ||
      !absl::SimpleAtoi(absl::StripSuffix(text, "\n"), &version)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a spill directory: its file ",
                                                      kMarkerName, " does not say so"));
  }
  if (version > kDirectoryFormatVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the spill directory ", path, " has format ", version,
                     ", this program knows formats up to ", kDirectoryFormatVersion,
                     "; use a newer program or another directory"));
  }
  return absl::OkStatus();
}

absl::Status CheckNotForeign(const std::string& path) {
  absl::StatusOr<std::vector<std::string>> names = ListDirectory(path);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    // The first two may be left of a first open that was cut short; a mount point brings the third.
    if (name == kOwnerName || name == absl::StrCat(kMarkerName, ".new") || name == "lost+found") {
      continue;
    }
    return absl::FailedPreconditionError(
        absl::StrCat("the directory ", path, " is not a spill directory and not empty (it holds ",
                     name, "); name an empty or a new one"));
  }
  return absl::OkStatus();
}

std::string DescribeHolder(int lock_fd) {
  char text[64];
  const ssize_t got = pread(lock_fd, text, sizeof(text), 0);
  int64_t pid = 0;
  const absl::string_view line =
      absl::StripSuffix(absl::string_view(text, got > 0 ? static_cast<size_t>(got) : 0), "\n");
  if (!absl::SimpleAtoi(line, &pid) || pid <= 0) return "another process";
  if (pid == getpid()) return "this process";
  absl::StatusOr<std::string> name = ReadSmallFile(absl::StrCat("/proc/", pid, "/comm"));
  if (!name.ok()) return absl::StrCat("process ", pid);
  return absl::StrCat("process ", pid, " (", absl::StripSuffix(*name, "\n"), ")");
}

absl::StatusOr<int> LockOwnerFile(const std::string& directory, bool may_write = true) {
  const std::string path = absl::StrCat(directory, "/", kOwnerName);
  const int access = may_write ? O_RDWR | O_CREAT : O_RDONLY;
  FileDescriptor file(open(path.c_str(), access | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) return ErrnoError("cannot write to the spill directory:", path);
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoError("cannot lock", path);
    return absl::FailedPreconditionError(absl::StrCat(
        "the spill directory ", directory, " is in use by ", DescribeHolder(file.get())));
  }
  if (!may_write) return file.release();
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(file.get(), 0) != 0 ||
      pwrite(file.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return ErrnoError("cannot write to the spill directory:", path);
  }
  return file.release();
}

absl::Status MakeOwnDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return absl::OkStatus();
  return ErrnoError("cannot make", path);
}

std::string CountersText(uint64_t next_object_id, uint64_t next_ticket) {
  std::string text =
      absl::StrCat("next_object_id ", next_object_id, "\nnext_ticket ", next_ticket, "\n");
  absl::StrAppend(&text, "checksum ", absl::Hex(XXH3_64bits(text.data(), text.size())), "\n");
  return text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SpillDirectory>> SpillDirectory::Acquire(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("the spill directory has no name");
  absl::Status status = MakeDirectories(path);
  if (!status.ok()) return status;
  status = CheckMarker(path);
  const bool is_new = absl::IsNotFound(status);
  if (is_new) status = CheckNotForeign(path);
  if (!status.ok()) return status;

  absl::StatusOr<int> lock_fd = LockOwnerFile(path);
  if (!lock_fd.ok()) return lock_fd.status();
  auto directory = std::unique_ptr<SpillDirectory>(new SpillDirectory(path, *lock_fd));
  if (is_new) {
    status = WriteSmallFileAtomically(path, kMarkerName,
                                      absl::StrCat(kMarkerPrefix, kDirectoryFormatVersion, "\n"));
    if (!status.ok()) return status;
  }
  status = MakeOwnDirectory(directory->building_path());
  if (status.ok()) status = directory->ReadCounters();
  if (!status.ok()) return status;
  return directory;
}

absl::StatusOr<std::unique_ptr<SpillDirectory>> SpillDirectory::OpenReadOnly(
    const std::string& path, bool exclusive) {
  absl::Status status = CheckMarker(path);
  if (absl::IsNotFound(status)) {
    return absl::NotFoundError(absl::StrCat(path, " is not a spill directory"));
  }
  if (!status.ok()) return status;
  if (!exclusive) return std::unique_ptr<SpillDirectory>(new SpillDirectory(path, -1));
  // Whoever may not write there can still hold it, and is then not named to others.
  const std::string owner = absl::StrCat(path, "/", kOwnerName);
  const bool may_write = access(owner.c_str(), W_OK) == 0 || access(owner.c_str(), F_OK) != 0;
  absl::StatusOr<int> lock_fd = LockOwnerFile(path, may_write);
  if (!lock_fd.ok()) return lock_fd.status();
  return std::unique_ptr<SpillDirectory>(new SpillDirectory(path, *lock_fd));
}

SpillDirectory::~SpillDirectory() {
  // The file stays: removing it would let a third process lock a file that a second one has opened.
  if (lock_fd_ >= 0) close(lock_fd_);
}

absl::Status SpillDirectory::RemoveStrays() {
  absl::StatusOr<std::vector<std::string>> names = ListDirectory(building_path());
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    absl::Status status = RemoveTree(absl::StrCat(building_path(), "/", name));
    if (!status.ok()) return status;
  }
  if (!names->empty()) {
    LOG(INFO) << "removed " << names->size() << " unfinished files from " << building_path();
  }
  return absl::OkStatus();
}

absl::Status SpillDirectory::Wipe() {
  // Somebody may have removed the directory, and somebody else may have one at its place now.
  const std::string owner = absl::StrCat(path_, "/", kOwnerName);
  struct stat ours, there;
  if (fstat(lock_fd_, &ours) != 0) return ErrnoError("cannot look at", owner);
  if (stat(owner.c_str(), &there) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoError("cannot look at", owner);
  }
  if (ours.st_dev != there.st_dev || ours.st_ino != there.st_ino) {
    return absl::FailedPreconditionError(
        absl::StrCat("the spill directory ", path_,
                     " is not the one that was opened: it was removed, and is left as it is now"));
  }
  return RemoveTree(database_path());
}

absl::Status SpillDirectory::ReadCounters() {
  const std::string path = absl::StrCat(path_, "/", kCountersName);
  absl::StatusOr<std::string> text = ReadSmallFile(path);
  if (absl::IsNotFound(text.status())) return absl::OkStatus();
  if (!text.ok()) return text.status();
  Counters counters;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    if (absl::ConsumePrefix(&line, "next_object_id ")) {
      (void)absl::SimpleAtoi(line, &counters.next_object_id);
    } else if (absl::ConsumePrefix(&line, "next_ticket ")) {
      (void)absl::SimpleAtoi(line, &counters.next_ticket);
    }
  }
  if (*text != CountersText(counters.next_object_id, counters.next_ticket)) {
    return absl::DataLossError(absl::StrCat(
        path,
        " is damaged: which object ids were given out is not known; remove the whole directory",
        " to begin anew"));
  }
  MutexLock lock(&mutex_);
  counters_ = counters;
  return absl::OkStatus();
}

absl::Status SpillDirectory::WriteCounters(const Counters& counters) {
  return WriteSmallFileAtomically(path_, kCountersName,
                                  CountersText(counters.next_object_id, counters.next_ticket));
}

absl::StatusOr<uint64_t> SpillDirectory::ReserveObjectIds(uint64_t count) {
  MutexLock lock(&mutex_);
  Counters counters = counters_;
  counters.next_object_id += count;
  absl::Status status = WriteCounters(counters);
  if (!status.ok()) return status;
  return std::exchange(counters_, counters).next_object_id;
}

absl::StatusOr<uint64_t> SpillDirectory::ReserveTickets(uint64_t count) {
  MutexLock lock(&mutex_);
  Counters counters = counters_;
  counters.next_ticket += count;
  absl::Status status = WriteCounters(counters);
  if (!status.ok()) return status;
  return std::exchange(counters_, counters).next_ticket;
}

absl::StatusOr<uint64_t> SpillDirectory::FreeBytes() const {
  struct statvfs info;
  if (statvfs(path_.c_str(), &info) != 0) return ErrnoError("cannot ask for free space on", path_);
  return uint64_t{info.f_bavail} * info.f_frsize;
}

}  // namespace spillway::internal
