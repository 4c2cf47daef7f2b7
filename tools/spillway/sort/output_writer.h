// Writes a merge's lines to a file, in large pieces, on a thread of its own.
#ifndef SPILLWAY_TOOLS_SPILLWAY_SORT_OUTPUT_WRITER_H_
#define SPILLWAY_TOOLS_SPILLWAY_SORT_OUTPUT_WRITER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "serialization/mutex.h"
#include "store/object_store.h"
#include "tools/spillway/output_file.h"
#include "tools/spillway/sort/offset_value_code.h"

namespace spillway::sort {

// While one of two buffers in the store's memory is filled, the other one is written.
//
// Thread-safety: none; one thread at a time.
class OutputWriter {
 public:
  // Errors as ObjectStore::Create. Adds what was written to `written_bytes`.
  static absl::StatusOr<std::unique_ptr<OutputWriter>> Make(ObjectStore* store, size_t buffer_bytes,
                                                            OutputFile* file,
                                                            std::atomic<uint64_t>* written_bytes);
  ~OutputWriter();
  OutputWriter(const OutputWriter&) = delete;
  OutputWriter& operator=(const OutputWriter&) = delete;

  // Appends a line with its newline. An error may be one of an earlier line.
  absl::Status Append(absl::string_view line, OffsetValueCode /*code*/) {
    if (line.size() > static_cast<size_t>(end_ - at_)) return AppendInPieces(line);
    std::memcpy(at_, line.data(), line.size());
    at_ += line.size();
    return absl::OkStatus();
  }

  // Writes what is left and waits until everything is written.
  absl::Status Finish();

 private:
  OutputWriter(std::vector<ObjectBuilder> buffers, OutputFile* file,
               std::atomic<uint64_t>* written_bytes);

  absl::Status AppendInPieces(absl::string_view line);
  // Hands the filled part of the buffer over and takes the other one.
  absl::Status Flush() ABSL_LOCKS_EXCLUDED(mutex_);
  void StartBuffer(size_t buffer);
  void WriteWhatComes() ABSL_LOCKS_EXCLUDED(mutex_);

  std::vector<ObjectBuilder> buffers_;  // two; constant after construction
  OutputFile& file_;
  std::atomic<uint64_t>& written_bytes_;

  size_t filling_ = 0;
  char* at_ = nullptr;
  char* end_ = nullptr;

  Mutex mutex_;
  CondVar changed_;
  absl::string_view to_write_ ABSL_GUARDED_BY(mutex_);  // empty: the thread waits
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace spillway::sort

#endif  // SPILLWAY_TOOLS_SPILLWAY_SORT_OUTPUT_WRITER_H_
