// Writes sorted lines into chunks of a run.
#ifndef SPILLWAY_TOOLS_SPILLWAY_SORT_RUN_WRITER_H_
#define SPILLWAY_TOOLS_SPILLWAY_SORT_RUN_WRITER_H_

#include <cstddef>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "serialization/mutex.h"
#include "store/object_store.h"
#include "tools/spillway/sort/line_block.h"
#include "tools/spillway/sort/run.h"

namespace spillway::sort {

// What the writers of one sort have in common.
struct RunWriterContext {
  ObjectStore* store = nullptr;
  size_t chunk_bytes = 0;
  // Held while a chunk larger than chunk_bytes is made: there is room for one at a time.
  Mutex large_chunk_mutex;
};

// Makes a run of the sorted lines of a block, in chunks of exactly the size that they need. Errors
// as ObjectStore::Create, and Cancelled. May be called by several threads with one context.
absl::StatusOr<Run> WriteRun(const LineBlock& block, RunWriterContext* context);

// Makes a run of lines that come one by one, as the output of MergeLines.
//
// Thread-safety: none; one thread at a time.
class RunWriter {
 public:
  explicit RunWriter(RunWriterContext* context) : context_(*context) {}

  // Appends a line with its newline. Errors as ObjectStore::Create.
  absl::Status Append(absl::string_view line, OffsetValueCode code) {
    if (line.size() > static_cast<size_t>(end_ - at_)) {
      absl::Status status = StartChunk(line, code);
      if (!status.ok()) return status;
    }
    std::memcpy(at_, line.data(), line.size());
    last_ = {at_, line.size() - 1};
    at_ += line.size();
    return absl::OkStatus();
  }

  // Ends the run and returns it.
  absl::StatusOr<Run> Finish();

 private:
  absl::Status StartChunk(absl::string_view line, OffsetValueCode code);
  absl::Status SealChunk();

  RunWriterContext& context_;
  Run run_;
  std::optional<ObjectBuilder> builder_;
  OffsetValueCode first_code_ = 0;
  absl::string_view last_;  // the last line, in the chunk under construction
  char* at_ = nullptr;      // where the next line goes in it
  char* end_ = nullptr;
};

}  // namespace spillway::sort

#endif  // SPILLWAY_TOOLS_SPILLWAY_SORT_RUN_WRITER_H_
