// How a sort divides the memory that its store gives it.
#ifndef SPILLWAY_TOOLS_SPILLWAY_SORT_SORT_PLAN_H_
#define SPILLWAY_TOOLS_SPILLWAY_SORT_SORT_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace spillway::sort {

// While runs are made, each worker holds a block in which it sorts, and the rest of the memory is
// for sorted chunks on their way to disk. While runs are merged, one chunk of each is held, some
// more are fetched ahead, and output waits to be written.
struct SortPlan {
  size_t workers = 0;              // threads that make runs
  size_t fetchers = 0;             // threads that fetch chunks ahead of the merge
  size_t block_bytes = 0;          // a worker's block, text and index
  uint64_t fill_bytes = 0;         // of text; with more a block counts as full
  size_t read_bytes = 0;           // one read of input
  size_t line_bytes_max = 0;       // the longest line, newline included
  size_t chunk_bytes = 0;          // a chunk of a run; only a longer line makes a larger one
  size_t merge_bytes_max = 0;      // chunks held by a merge, those fetched ahead included
  size_t fetched_bytes_max = 0;    // chunks fetched ahead
  size_t output_buffer_bytes = 0;  // each of two

  std::string ToString() const;
};

// What a plan follows from.
struct SortResources {
  uint64_t usable_bytes = 0;      // of the store's memory, after what the store itself takes
  uint64_t max_object_bytes = 0;  // the store's
  size_t threads = 1;
  std::optional<uint64_t> input_bytes;  // nullopt: nobody knows
};

// ResourceExhausted if the memory is too little to sort in.
absl::StatusOr<SortPlan> PlanSort(const SortResources& resources);

}  // namespace spillway::sort

#endif  // SPILLWAY_TOOLS_SPILLWAY_SORT_SORT_PLAN_H_
