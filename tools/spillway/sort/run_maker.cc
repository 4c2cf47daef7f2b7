#include "tools/spillway/sort/run_maker.h"

#include <pthread.h>

#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "runtime/size_parse.h"
#include "serialization/mutex.h"
#include "store/object_store.h"
#include "tools/spillway/sort/line_block.h"
#include "tools/spillway/sort/line_sort.h"

namespace spillway::sort {
namespace {

class RunMaker {
 public:
  RunMaker(TextSource* source, const SortPlan& plan, RunWriterContext* context,
           SortProgress* progress)
      : plan_(plan), context_(*context), progress_(*progress), source_(*source) {}

  absl::StatusOr<std::vector<Run>> Make() {
    std::vector<std::thread> workers;
    for (size_t i = 0; i < plan_.workers; ++i) {
      workers.emplace_back([this] {
        pthread_setname_np(pthread_self(), "sort");
        absl::Status status = Work();
        if (status.ok()) return;
        MutexLock lock(&result_mutex_);
        status_.Update(status);
      });
    }
    for (std::thread& worker : workers) worker.join();
    MutexLock lock(&result_mutex_);
    if (!status_.ok()) return status_;
    return std::move(runs_);
  }

 private:
  absl::Status Work() {
    absl::StatusOr<ObjectBuilder> memory = context_.store->Create(plan_.block_bytes);
    if (!memory.ok()) return memory.status();
    LineBlock block(memory->data());
    while (!HasFailed()) {
      absl::Status status = Fill(&block);
      if (!status.ok()) return status;
      if (block.lines().empty()) break;
      SortLines(block.text(), block.lines());
      absl::StatusOr<Run> run = WriteRun(block, &context_);
      if (!run.ok()) return run.status();
      MutexLock lock(&result_mutex_);
      runs_.push_back(*std::move(run));
      progress_.runs.fetch_add(1, std::memory_order_relaxed);
    }
    return absl::OkStatus();
  }

  // Fills the block with the lines that come next; with none at the end.
  absl::Status Fill(LineBlock* block) {
    block->Clear();
    MutexLock lock(&source_mutex_);
    size_t text_bytes = 0;
    while (true) {
      const absl::Span<char> room = block->Free(plan_.read_bytes);
      if (room.empty()) break;
      absl::StatusOr<size_t> bytes = source_.Read(room);
      if (!bytes.ok()) return bytes.status();
      if (*bytes == 0) break;
      block->Append(*bytes);
      text_bytes += *bytes;
      // As they are read, so that somebody who watches sees it move; what is taken back is taken
      // off below.
      progress_.read_bytes.fetch_add(*bytes, std::memory_order_relaxed);
      if (block->rest().size() > plan_.line_bytes_max) break;
      if (text_bytes >= plan_.fill_bytes && !block->lines().empty()) break;
    }
    if (block->longest_line_bytes() > plan_.line_bytes_max ||
        (block->rest().size() > plan_.line_bytes_max &&
         block->rest().find('\n') == absl::string_view::npos)) {
      return LineTooLong(block->lines().size());
    }
    progress_.read_bytes.fetch_sub(block->rest().size(), std::memory_order_relaxed);
    progress_.lines.fetch_add(block->lines().size(), std::memory_order_relaxed);
    return source_.Unread(block->rest(), context_.store);
  }

  absl::Status LineTooLong(size_t lines_before_at_most) const {
    const uint64_t lines = progress_.lines.load(std::memory_order_relaxed);
    return absl::ResourceExhaustedError(absl::StrCat(
        "a line between the ", lines + 1, ". and the ", lines + lines_before_at_most + 1,
        ". of the input is longer than ", FormatSize(plan_.line_bytes_max),
        ", the longest that this --memory_limit can sort"));
  }

  bool HasFailed() {
    MutexLock lock(&result_mutex_);
    return !status_.ok();
  }

  const SortPlan& plan_;
  RunWriterContext& context_;
  SortProgress& progress_;

  Mutex source_mutex_;
  TextSource& source_ ABSL_GUARDED_BY(source_mutex_);

  Mutex result_mutex_;
  std::vector<Run> runs_ ABSL_GUARDED_BY(result_mutex_);
  absl::Status status_ ABSL_GUARDED_BY(result_mutex_);
};

}  // namespace

absl::StatusOr<std::vector<Run>> MakeRuns(TextSource* source, const SortPlan& plan,
                                          RunWriterContext* context, SortProgress* progress) {
  return RunMaker(source, plan, context, progress).Make();
}

}  // namespace spillway::sort
