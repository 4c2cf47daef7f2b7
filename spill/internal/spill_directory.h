// The directory of a spill tier: whose it is, who has it open, and what lies where in it.
//
//   SPILLWAY    says that the directory is ours, and its format version
//   OWNER       locked by the process that has it open; names that process
//   COUNTERS    upper bounds of the ids and tickets ever given out here
//   db/         the database
//   building/   batches under construction; whatever is there at open is a stray
//
// Directories that it makes have mode 0700, files 0600. A directory that has anything in it but no
// SPILLWAY file belongs to somebody else and is left alone.
#ifndef SPILLWAY_SPILL_INTERNAL_SPILL_DIRECTORY_H_
#define SPILLWAY_SPILL_INTERNAL_SPILL_DIRECTORY_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "serialization/mutex.h"

namespace spillway::internal {

inline constexpr int kDirectoryFormatVersion = 1;

class SpillDirectory {
 public:
  // Takes the directory for this process, and makes it if it is not there (parents too).
  // FailedPrecondition if it belongs to somebody else, is in use (names the process), is of a newer
  // format or not a directory; PermissionDenied and others if it cannot be written.
  static absl::StatusOr<std::unique_ptr<SpillDirectory>> Acquire(const std::string& path);

  // For tools that look: changes nothing but who holds it. NotFound if there is no spill directory.
  // If `exclusive`, FailedPrecondition if it is in use (names the process), and nobody else can
  // take it meanwhile; otherwise another process may be working.
  static absl::StatusOr<std::unique_ptr<SpillDirectory>> OpenReadOnly(const std::string& path,
                                                                      bool exclusive = false);

  // Gives the directory up.
  ~SpillDirectory();

  SpillDirectory(const SpillDirectory&) = delete;
  SpillDirectory& operator=(const SpillDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string database_path() const { return path_ + "/db"; }
  std::string building_path() const { return path_ + "/building"; }

  // Removes what was being built when a process died.
  absl::Status RemoveStrays();
  // Removes the database and all it holds. Counters stay.
  absl::Status Wipe();

  // Takes `count` consecutive numbers that were never given out in this directory; the first of
  // them. On disk when it returns.
  absl::StatusOr<uint64_t> ReserveObjectIds(uint64_t count) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<uint64_t> ReserveTickets(uint64_t count) ABSL_LOCKS_EXCLUDED(mutex_);

  // Bytes that an unprivileged process may still write to the file system.
  absl::StatusOr<uint64_t> FreeBytes() const;

 private:
  struct Counters {
    uint64_t next_object_id = 1;
    uint64_t next_ticket = 1;
  };

  SpillDirectory(std::string path, int lock_fd) : path_(std::move(path)), lock_fd_(lock_fd) {}

  absl::Status ReadCounters() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status WriteCounters(const Counters& counters) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  const int lock_fd_;  // -1 for none

  Mutex mutex_;
  Counters counters_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_INTERNAL_SPILL_DIRECTORY_H_
