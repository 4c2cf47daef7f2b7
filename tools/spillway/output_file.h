// An output file that appears whole or not at all: written beside its place under a temporary name,
// and renamed there at the end.
//
// What cannot be replaced so (a device, a pipe, standard output) is written in its place.
//
// Large pieces go past the page cache: output larger than memory would push everything else out of
// it, and copying into fresh pages costs more than the disk's own work. Where a file system refuses
// that, they go through the page cache like small ones.
//
// Thread-safety: none; one thread at a time.
#ifndef SPILLWAY_TOOLS_SPILLWAY_OUTPUT_FILE_H_
#define SPILLWAY_TOOLS_SPILLWAY_OUTPUT_FILE_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/spillway/temporary_path.h"

namespace spillway {

class OutputFile {
 public:
  // `path` may be "-" for standard output; a symbolic link is followed, and a file that exists
  // keeps its permissions. Errors carry the path and the system's reason: PermissionDenied,
  // NotFound, ResourceExhausted (no space) or FailedPrecondition.
  static absl::StatusOr<std::unique_ptr<OutputFile>> Open(const std::string& path);

  // Without a Commit before, nothing is left behind and what was there is untouched.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // Memory from which large pieces are written without a copy starts at a multiple of this.
  static constexpr size_t kAlignment = 4096;

  // Writes all of `bytes` at the end. Fastest in pieces of a MiB or more, aligned and sized in
  // multiples of kAlignment.
  absl::Status Write(absl::string_view bytes);

  // Puts the file in its place. REQUIRES: no Commit before.
  absl::Status Commit();

 private:
  OutputFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  static absl::StatusOr<std::unique_ptr<OutputFile>> OpenInPlace(const std::string& path);
  static absl::StatusOr<std::unique_ptr<OutputFile>> OpenBeside(const std::string& path,
                                                                mode_t mode);

  // Says whether the next write is to go past the page cache.
  void SetPastCache(bool past_cache);

  const std::string path_;  // as the user wrote it, for messages
  int fd_;
  uint64_t written_bytes_ = 0;
  bool may_pass_cache_ = false;
  bool past_cache_ = false;  // what fd_ is set to
  std::string target_;       // where Commit renames to; empty: nowhere
  std::unique_ptr<TemporaryPath> temporary_;
};

// A status for a failed system call on `path`, by its errno: "cannot write 'x': No space left on
// device".
absl::Status FileError(absl::string_view verb, absl::string_view path, int error);

}  // namespace spillway

#endif  // SPILLWAY_TOOLS_SPILLWAY_OUTPUT_FILE_H_
