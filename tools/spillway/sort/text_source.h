// The input of a sort: files and standard input, one after another, as one text of complete lines.
//
// Thread-safety: none; its users take turns.
#ifndef SPILLWAY_TOOLS_SPILLWAY_SORT_TEXT_SOURCE_H_
#define SPILLWAY_TOOLS_SPILLWAY_SORT_TEXT_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "store/object_store.h"

namespace spillway::sort {

class TextSource {
 public:
  // Checks that every file can be read before anything else happens; "-" is standard input. Errors
  // name the file and carry the system's reason.
  static absl::StatusOr<std::unique_ptr<TextSource>> Open(std::vector<std::string> paths);

  ~TextSource();
  TextSource(const TextSource&) = delete;
  TextSource& operator=(const TextSource&) = delete;

  // Reads up to `room.size()` bytes straight to `room`; how many, 0 at the end of the last file. A
  // file that does not end with a newline gets one, as if it stood there.
  absl::StatusOr<size_t> Read(absl::Span<char> room);

  // Takes back the last bytes that Read returned, to return them again. They are kept in `store`.
  // `text` must be the end of what was read since the last Unread's text was used up, or since
  // that.
  absl::Status Unread(absl::string_view text, ObjectStore* store);

  // The sizes of the files together; nullopt if one of them has none, such as a pipe.
  std::optional<uint64_t> size_bytes() const { return size_bytes_; }
  size_t files() const { return paths_.size(); }

 private:
  explicit TextSource(std::vector<std::string> paths) : paths_(std::move(paths)) {}
  absl::Status OpenNext();
  void CloseCurrent();
  // The name of the current file for messages.
  absl::string_view name() const;

  const std::vector<std::string> paths_;
  std::optional<uint64_t> size_bytes_ = 0;

  size_t next_path_ = 0;
  int fd_ = -1;            // the current file; -1: the next one is to be opened
  bool can_wait_ = false;  // reading it may block for as long as somebody else pleases
  char last_byte_ = '\n';  // of the current file

  std::optional<ObjectBuilder> kept_;  // what was taken back, and how much of it was read again
  size_t kept_bytes_ = 0;
  size_t kept_at_ = 0;
};

}  // namespace spillway::sort

#endif  // SPILLWAY_TOOLS_SPILLWAY_SORT_TEXT_SOURCE_H_
