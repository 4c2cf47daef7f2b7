// An output file that appears whole or not at all: written beside its place under a temporary name,
// and renamed there at the end.
//
// What cannot be replaced so (a device, a pipe, standard output) is written directly.
//
// Thread-safety: none; one thread at a time.
#ifndef SPILLWAY_TOOLS_SPILLWAY_OUTPUT_FILE_H_
#define SPILLWAY_TOOLS_SPILLWAY_OUTPUT_FILE_H_

#include <sys/types.h>

#include <memory>
#include <string>

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

  // Writes all of `bytes` at the end.
  absl::Status Write(absl::string_view bytes);

  // Puts the file in its place. REQUIRES: no Commit before.
  absl::Status Commit();

 private:
  OutputFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  static absl::StatusOr<std::unique_ptr<OutputFile>> OpenDirectly(const std::string& path);
  static absl::StatusOr<std::unique_ptr<OutputFile>> OpenBeside(const std::string& path,
                                                                mode_t mode);

  const std::string path_;  // as the user wrote it, for messages
  int fd_;
  std::string target_;  // where Commit renames to; empty: nowhere
  std::unique_ptr<TemporaryPath> temporary_;
};

// A status for a failed system call on `path`, by its errno: "cannot write 'x': No space left on
// device".
absl::Status FileError(absl::string_view verb, absl::string_view path, int error);

}  // namespace spillway

#endif  // SPILLWAY_TOOLS_SPILLWAY_OUTPUT_FILE_H_
