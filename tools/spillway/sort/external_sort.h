// The sort of more text than memory holds, on an object store.
//
//     input -> blocks, sorted -> runs of chunks in the store -> merge -> output
//                                 \ spilled and restored by the store as memory demands
//
// All memory that grows with the input is the store's, so its limit holds for the whole sort.
#ifndef SPILLWAY_TOOLS_SPILLWAY_SORT_EXTERNAL_SORT_H_
#define SPILLWAY_TOOLS_SPILLWAY_SORT_EXTERNAL_SORT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "store/object_store.h"
#include "tools/spillway/output_file.h"
#include "tools/spillway/sort/sort_plan.h"
#include "tools/spillway/sort/text_source.h"

namespace spillway::sort {

// How far a sort has come. Written by its threads while others read.
struct SortProgress {
  enum class Phase {
    kMakingRuns,
    kMerging,  // runs to fewer runs
    kMergingToOutput,
  };

  std::atomic<Phase> phase{Phase::kMakingRuns};
  std::atomic<uint64_t> read_bytes{0};  // input
  std::atomic<uint64_t> lines{0};
  std::atomic<uint64_t> runs{0};
  std::atomic<uint64_t> merge_passes{
      0};  // merges of runs to runs that were needed before the last one
  std::atomic<uint64_t> merged_bytes{0};    // read by the merge under way
  std::atomic<uint64_t> to_merge_bytes{0};  // that it has to read
  std::atomic<uint64_t> written_bytes{0};   // output
  std::atomic<int64_t> runs_made_ns{0};     // how long it took until all runs were made
};

// Sorts the lines of `source` into `output`, in the order of their bytes; the output is not
// committed. ResourceExhausted: a line longer than plan.line_bytes_max, or what the store or the
// disk has no room for. Cancelled: interrupted. Errors of files name them.
absl::Status SortText(TextSource* source, OutputFile* output, const SortPlan& plan,
                      ObjectStore* store, SortProgress* progress);

}  // namespace spillway::sort

#endif  // SPILLWAY_TOOLS_SPILLWAY_SORT_EXTERNAL_SORT_H_
