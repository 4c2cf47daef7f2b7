#include "tools/spillway/sort_command.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gflags/gflags.h"
#include "runtime/size_parse.h"
#include "runtime/store_flags.h"
#include "store/open_store.h"
#include "tools/spillway/output_file.h"
#include "tools/spillway/process_memory.h"
#include "tools/spillway/progress.h"
#include "tools/spillway/sort/external_sort.h"
#include "tools/spillway/sort/sort_plan.h"
#include "tools/spillway/sort/text_source.h"
#include "tools/spillway/spill_place.h"

DEFINE_string(
    output, "",
    "Where the sorted lines go: a file, which may be one of the inputs, or - for standard output");
DEFINE_uint32(threads, 0, "Threads that sort; 0 is as many as there are processors");
DEFINE_string(progress, "auto",
              "How progress is shown on standard error: bar, lines, none, or auto, a bar on a "
              "terminal and lines "
              "elsewhere");

namespace spillway {
namespace {

constexpr uint32_t kThreadsMax = 256;

using sort::SortProgress;

// What the command line asks for, checked.
struct SortOptions {
  StoreOptions store;
  size_t threads = 1;
  ProgressStyle progress = ProgressStyle::kNone;
};

absl::StatusOr<SortOptions> ReadSortOptions(const std::vector<std::string>& files) {
  absl::StatusOr<StoreOptions> store = StoreOptionsFromFlags(SpillPlace::DefaultParent());
  if (!store.ok()) return store.status();
  SortOptions options;
  options.store = *std::move(store);
  if (FLAGS_threads > kThreadsMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--threads: ", FLAGS_threads, " is too many; it may be from 1 to ", kThreadsMax));
  }
  options.threads =
      FLAGS_threads != 0 ? FLAGS_threads : std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
  absl::StatusOr<ProgressStyle> progress = ParseProgressStyle(FLAGS_progress, stderr);
  if (!progress.ok())
    return absl::InvalidArgumentError(absl::StrCat("--progress: ", progress.status().message()));
  options.progress = *progress;
  if (FLAGS_output.empty()) {
    return absl::InvalidArgumentError(
        "--output is missing; write --output=FILE, or --output=- for standard output");
  }
  if (files.empty()) return absl::InvalidArgumentError("no input file; write - for standard input");
  return options;
}

ProgressSample MakeSample(const SortProgress& progress, const sort::TextSource& source,
                          const ObjectStore& store) {
  ProgressSample sample;
  if (progress.phase == SortProgress::Phase::kMakingRuns) {
    sample.phase = "reading";
    sample.done_bytes = progress.read_bytes;
    sample.total_bytes = source.size_bytes();
  } else {
    sample.phase = progress.phase == SortProgress::Phase::kMerging ? "merging" : "writing";
    sample.done_bytes = progress.merged_bytes;
    sample.total_bytes = progress.to_merge_bytes;
  }
  const StoreStats stats = store.Stats();
  sample.memory_used_bytes = stats.memory_used_bytes;
  sample.memory_limit_bytes = stats.memory_limit_bytes;
  sample.disk_bytes = stats.disk_held_bytes;
  return sample;
}

// What a sort has come to, for the summary.
struct SortOutcome {
  StoreStats store;
  uint64_t idle_resident_bytes = 0;
  uint64_t peak_resident_bytes = 0;
  double seconds = 0;
};

std::string Summary(const SortProgress& progress, const sort::TextSource& source,
                    const SortOutcome& outcome) {
  const StoreStats& store = outcome.store;
  std::string text;
  absl::StrAppendFormat(&text, "sorted   %s, %d lines, of %d %s\n",
                        FormatSize(progress.written_bytes), progress.lines.load(), source.files(),
                        source.files() == 1 ? "file" : "files");
  absl::StrAppendFormat(
      &text, "objects  %d put (%s), %s spilled, %s restored; %d runs, %d extra merges\n",
      store.puts, FormatSize(store.put_bytes), FormatSize(store.spilled_bytes),
      FormatSize(store.restored_bytes), progress.runs.load(), progress.merge_passes.load());
  absl::StrAppendFormat(&text, "disk     %s at the peak\n", FormatSize(store.disk_held_bytes_peak));
  absl::StrAppendFormat(
      &text, "memory   limit %s, store %s at the peak; process %s at the peak, %s idle\n",
      FormatSize(store.memory_limit_bytes), FormatSize(store.memory_used_bytes_peak),
      FormatSize(outcome.peak_resident_bytes), FormatSize(outcome.idle_resident_bytes));
  const double rate = static_cast<double>(progress.written_bytes) / std::max(outcome.seconds, 1e-3);
  absl::StrAppendFormat(&text, "time     %.2f s, %s/s; %.2f s of it to make runs\n",
                        outcome.seconds, FormatSize(static_cast<uint64_t>(rate)),
                        static_cast<double>(progress.runs_made_ns) / 1e9);
  return text;
}

// Sorts with an open store, up to a complete output file that is not in its place yet.
absl::Status SortWithStore(const SortOptions& options, sort::TextSource* source, OutputFile* output,
                           ObjectStore* store, SortProgress* progress) {
  const StoreStats stats = store->Stats();
  sort::SortResources resources;
  resources.usable_bytes =
      stats.memory_limit_bytes - std::min(stats.memory_limit_bytes, stats.memory_used_bytes);
  resources.max_object_bytes = stats.max_object_bytes;
  resources.threads = options.threads;
  resources.input_bytes = source->size_bytes();
  const absl::StatusOr<sort::SortPlan> plan = sort::PlanSort(resources);
  if (!plan.ok()) return plan.status();
  const ProgressDisplay display(options.progress, stderr,
                                [&] { return MakeSample(*progress, *source, *store); });
  return sort::SortText(source, output, *plan, store, progress);
}

absl::Status RunSort(const std::vector<std::string>& files) {
  SortOutcome outcome;
  outcome.idle_resident_bytes = ReadProcessMemory().resident_bytes;
  const absl::Time start = absl::Now();
  absl::StatusOr<SortOptions> options = ReadSortOptions(files);
  if (!options.ok()) return options.status();
  absl::StatusOr<std::unique_ptr<sort::TextSource>> source = sort::TextSource::Open(files);
  if (!source.ok()) return source.status();
  absl::StatusOr<std::unique_ptr<OutputFile>> output = OutputFile::Open(FLAGS_output);
  if (!output.ok()) return output.status();
  absl::StatusOr<SpillPlace> place = SpillPlace::Make(FLAGS_spill_dir);
  if (!place.ok()) return place.status();
  options->store.spill_directory = place->directory();
  absl::StatusOr<std::unique_ptr<ObjectStore>> store = OpenStore(options->store);
  if (!store.ok()) {
    place->GiveUp();
    return store.status();
  }
  SortProgress progress;
  absl::Status status =
      SortWithStore(*options, source->get(), output->get(), store->get(), &progress);
  if (!status.ok()) return status;
  status = (*output)->Commit();
  if (!status.ok()) return status;
  outcome.store = (*store)->Stats();
  status = (*store)->Close();
  if (!status.ok()) return status;
  outcome.peak_resident_bytes = ReadProcessMemory().resident_bytes_peak;
  outcome.seconds = absl::ToDoubleSeconds(absl::Now() - start);
  absl::FPrintF(stderr, "%s", Summary(progress, **source, outcome));
  return absl::OkStatus();
}

}  // namespace

Command SortCommand() {
  Command command;
  command.name = "sort";
  command.arguments = "--output=OUT FILE...";
  command.summary = "sort the lines of files larger than memory, in the order of their bytes";
  command.details =
      "The order and the output are those of `LC_ALL=C sort`. FILE may be - for standard input. "
      "What does not fit\n"
      "into --memory_limit goes to --spill_dir; without it, to a fresh directory under TMPDIR that "
      "is removed at the\n"
      "end. The output appears when it is complete; on failure nothing is left of it.\n";
  command.flags = StoreFlagNames();
  command.flags.insert(command.flags.begin(), {"output", "threads", "progress"});
  command.run = RunSort;
  return command;
}

}  // namespace spillway
