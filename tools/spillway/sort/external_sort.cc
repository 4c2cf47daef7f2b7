#include "tools/spillway/sort/external_sort.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "glog/logging.h"
#include "tools/spillway/sort/line_merge.h"
#include "tools/spillway/sort/output_writer.h"
#include "tools/spillway/sort/run.h"
#include "tools/spillway/sort/run_maker.h"
#include "tools/spillway/sort/run_reader.h"
#include "tools/spillway/sort/run_writer.h"

namespace spillway::sort {
namespace {

// The second half of a sort.
class RunMerger {
 public:
  RunMerger(const SortPlan& plan, RunWriterContext* context, SortProgress* progress)
      : plan_(plan), context_(*context), progress_(*progress) {}

  // Merges runs to fewer runs until one merge can take all that are left.
  absl::Status MergeUntilFew(std::vector<Run>* runs) {
    while (runs->size() > 1 && HeldBytes(*runs) > HeldBytesMax(*runs)) {
      progress_.phase = SortProgress::Phase::kMerging;
      std::vector<Run> group = TakeGroup(runs);
      RunWriter writer(&context_);
      absl::Status status = Merge(std::move(group), &writer);
      if (!status.ok()) return status;
      absl::StatusOr<Run> merged = writer.Finish();
      if (!merged.ok()) return merged.status();
      runs->push_back(*std::move(merged));
      progress_.merge_passes.fetch_add(1, std::memory_order_relaxed);
    }
    return absl::OkStatus();
  }

  absl::Status MergeToOutput(std::vector<Run> runs, OutputFile* output) {
    progress_.phase = SortProgress::Phase::kMergingToOutput;
    absl::StatusOr<std::unique_ptr<OutputWriter>> writer = OutputWriter::Make(
        context_.store, plan_.output_buffer_bytes, output, &progress_.written_bytes);
    if (!writer.ok()) return writer.status();
    absl::Status status = Merge(std::move(runs), writer->get());
    if (!status.ok()) return status;
    return (*writer)->Finish();
  }

 private:
  static uint64_t HeldBytes(const std::vector<Run>& runs) {
    uint64_t bytes = 0;
    for (const Run& run : runs) bytes += run.chunk_bytes_max();
    return bytes;
  }

  static uint64_t LargestChunk(const std::vector<Run>& runs) {
    uint64_t bytes = 0;
    for (const Run& run : runs) bytes = std::max(bytes, run.chunk_bytes_max());
    return bytes;
  }

  // What a merge of all these runs may hold of them. One chunk more is fetched ahead at least, or
  // written.
  uint64_t HeldBytesMax(const std::vector<Run>& runs) const {
    return plan_.merge_bytes_max - std::min<uint64_t>(plan_.merge_bytes_max, LargestChunk(runs));
  }

  // Removes from `runs` the smallest ones: as many as fit into one merge, but no more than are
  // needed so that the others and the result fit into the next.
  std::vector<Run> TakeGroup(std::vector<Run>* runs) const {
    std::sort(runs->begin(), runs->end(), [](const Run& a, const Run& b) {
      return std::make_pair(a.chunk_bytes_max(), a.bytes()) <
             std::make_pair(b.chunk_bytes_max(), b.bytes());
    });
    const uint64_t held_bytes = HeldBytes(*runs);
    const uint64_t held_bytes_max = HeldBytesMax(*runs);
    uint64_t group_bytes = 0;
    size_t count = 0;
    while (count < runs->size()) {
      const uint64_t next_bytes = (*runs)[count].chunk_bytes_max();
      const bool fits = group_bytes + next_bytes <= held_bytes_max;
      const bool enough =
          held_bytes - group_bytes + std::max<uint64_t>(plan_.chunk_bytes, next_bytes) <=
          held_bytes_max;
      if (count >= 2 && (!fits || enough)) break;
      group_bytes += next_bytes;
      ++count;
    }
    std::vector<Run> group(std::make_move_iterator(runs->begin()),
                           std::make_move_iterator(runs->begin() + static_cast<ptrdiff_t>(count)));
    runs->erase(runs->begin(), runs->begin() + static_cast<ptrdiff_t>(count));
    return group;
  }

  template <typename Output>
  absl::Status Merge(std::vector<Run> runs, Output* output) {
    uint64_t bytes = 0;
    for (const Run& run : runs) bytes += run.bytes();
    progress_.merged_bytes = 0;
    progress_.to_merge_bytes = bytes;
    const uint64_t spare_bytes =
        plan_.merge_bytes_max - std::min<uint64_t>(plan_.merge_bytes_max, HeldBytes(runs));
    ChunkFetcher fetcher(std::move(runs), plan_.fetchers,
                         std::min<uint64_t>(plan_.fetched_bytes_max, spare_bytes));
    std::vector<std::unique_ptr<RunReader>> readers;
    std::vector<MergeInput*> inputs;
    for (size_t run = 0; run < fetcher.runs(); ++run) {
      readers.push_back(std::make_unique<RunReader>(&fetcher, run, &progress_.merged_bytes));
      inputs.push_back(readers.back().get());
    }
    return MergeLines(absl::MakeConstSpan(inputs), output);
  }

  const SortPlan& plan_;
  RunWriterContext& context_;
  SortProgress& progress_;
};

}  // namespace

absl::Status SortText(TextSource* source, OutputFile* output, const SortPlan& plan,
                      ObjectStore* store, SortProgress* progress) {
  VLOG(1) << "sort: " << plan.ToString();
  RunWriterContext context;
  context.store = store;
  context.chunk_bytes = plan.chunk_bytes;
  const absl::Time start = absl::Now();
  absl::StatusOr<std::vector<Run>> runs = MakeRuns(source, plan, &context, progress);
  if (!runs.ok()) return runs.status();
  progress->runs_made_ns = absl::ToInt64Nanoseconds(absl::Now() - start);
  RunMerger merger(plan, &context, progress);
  absl::Status status = merger.MergeUntilFew(&*runs);
  if (!status.ok()) return status;
  return merger.MergeToOutput(*std::move(runs), output);
}

}  // namespace spillway::sort
