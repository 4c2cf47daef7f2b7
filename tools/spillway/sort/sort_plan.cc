#include "tools/spillway/sort/sort_plan.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "runtime/size_parse.h"
#include "store/options.h"
#include "tools/spillway/sort/line_block.h"

namespace spillway::sort {
namespace {

// Below this a worker's runs would be so short that merging them costs more than the worker brings.
constexpr uint64_t kBlockBytesGood = 1 * kMiB;
constexpr uint64_t kBlockBytesMin = 256 * kKiB;
// Blocks need not be filled further than what keeps the number of runs below this: short runs are
// sorted faster, and keep all workers and the disk busy from the start.
constexpr uint64_t kRunsGood = 256;
constexpr uint64_t kFillBytesMin = 8 * kMiB;
constexpr uint64_t kChunkBytesMin = 64 * kKiB;
constexpr uint64_t kChunkBytesMax = 1 * kMiB;
constexpr uint64_t kFetchedBytesMax = 64 * kMiB;
// What the store needs for one object besides its bytes, generously.
constexpr uint64_t kEntryBytes = 256;
// Input of unknown size is taken to be so many times the memory.
constexpr uint64_t kUnknownInputFactor = 16;
constexpr uint64_t kPage = 4096;

uint64_t RoundDown(uint64_t bytes, uint64_t unit) { return bytes / unit * unit; }

// Large chunks are read and written faster; but one of each run must fit, best twice, and entries
// for all chunks must take only a small part of memory.
uint64_t ChunkBytes(uint64_t usable_bytes, uint64_t input_bytes, uint64_t block_bytes,
                    uint64_t workers) {
  const uint64_t runs = input_bytes / (block_bytes / 2) + 1;
  const uint64_t for_merge = usable_bytes / 4 / runs;
  const uint64_t entries_bytes_max = usable_bytes / 32;
  const uint64_t for_entries = input_bytes / (entries_bytes_max / kEntryBytes) + 1;
  const uint64_t bytes =
      std::clamp(std::max(for_merge, for_entries), kChunkBytesMin, kChunkBytesMax);
  return RoundDown(
      std::min({bytes, std::max(usable_bytes / 32, kChunkBytesMin), usable_bytes / 8 / workers}),
      kPage);
}

}  // namespace

absl::StatusOr<SortPlan> PlanSort(const SortResources& resources) {
  const uint64_t usable = resources.usable_bytes;
  SortPlan plan;
  // Half of the memory sorts; the other half takes in what is sorted and lets the spill tier keep
  // up.
  const uint64_t blocks_bytes = usable / 2;
  plan.workers =
      std::max<uint64_t>(1, std::min<uint64_t>(resources.threads, blocks_bytes / kBlockBytesGood));
  const uint64_t input_bytes = resources.input_bytes.value_or(usable * kUnknownInputFactor);
  const uint64_t runs_good = std::clamp<uint64_t>(usable / 4 / kChunkBytesMax, 1, kRunsGood);
  plan.fill_bytes = std::max(input_bytes / runs_good * 2, kFillBytesMin);
  // A block that is not filled must still hold a long line.
  plan.block_bytes =
      RoundDown(std::min({blocks_bytes / plan.workers, std::max(plan.fill_bytes, usable / 6),
                          resources.max_object_bytes, uint64_t{LineBlock::kBytesMax}}),
                kPage);
  if (plan.block_bytes < kBlockBytesMin) {
    return absl::ResourceExhaustedError(absl::StrCat("the memory limit leaves ", FormatSize(usable),
                                                     " to sort in, which is too little"));
  }
  plan.fetchers = std::max<size_t>(2, resources.threads);
  plan.read_bytes = RoundDown(std::clamp<uint64_t>(plan.block_bytes / 16, 64 * kKiB, kMiB), kPage);
  // Besides the blocks, a long line may stand once in what is read next and once as a chunk to be;
  // and a merge holds one of each of at least two runs while it writes a third.
  plan.line_bytes_max =
      std::min({plan.block_bytes - 2 * sizeof(LineEntry), usable / 5, resources.max_object_bytes});
  plan.chunk_bytes =
      ChunkBytes(usable, input_bytes, std::min(plan.block_bytes, plan.fill_bytes), plan.workers);
  plan.output_buffer_bytes =
      RoundDown(std::clamp<uint64_t>(usable / 64, 64 * kKiB, 2 * kMiB), kPage);
  plan.merge_bytes_max = usable / 4 * 3;
  plan.fetched_bytes_max = std::min(usable / 4, kFetchedBytesMax);
  return plan;
}

std::string SortPlan::ToString() const {
  return absl::StrCat(workers, " workers with blocks of ", FormatSize(block_bytes), ", chunks of ",
                      FormatSize(chunk_bytes), ", lines up to ", FormatSize(line_bytes_max),
                      ", merges of ", FormatSize(merge_bytes_max));
}

}  // namespace spillway::sort
