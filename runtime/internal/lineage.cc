// Lineage: results that are made again when they are lost.
//
// A reconstructible task keeps its callable and its arguments as long as one of its results lives:
// the store holds the task by the result's OnLoss. When a get finds a result dropped or damaged,
// the store makes the object pending again and hands over its promise. The task is then launched
// anew, as when it was new; its results that were not lost are left as they are. What is lost while
// it runs waits for the next run.
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/internal/runtime_core.h"
#include "runtime/internal/task.h"
#include "runtime/internal/task_error.h"

namespace spillway::internal {

void Task::WatchLoss(size_t index, const AnyRef& ref) {
  core_kept_ = core_->shared_from_this();
  ref.OnLoss(
      [task = TaskPtr(this), index, key = ref.key()](const absl::Status& why, AnyPromise promise) {
        // The callback may go while it runs, and the task with it.
        const TaskPtr kept = task;
        kept->core_->ResultLost(kept.get(), {index, key, why, std::move(promise)});
      });
}

void RuntimeCore::ResultLost(Task* task, TaskDetails::Lost lost) {
  TaskDetails& details = *task->details_;
  {
    MutexLock lock(&details.lost_mutex);
    details.lost.push_back(std::move(lost));
    if (std::exchange(details.busy, true)) return;
  }
  RunAgain(task);
}

void RuntimeCore::RunAgain(Task* task) {
  TaskDetails& details = *task->details_;
  std::vector<TaskDetails::Lost> lost;
  bool too_often = false;
  {
    MutexLock lock(&details.lost_mutex);
    if (details.lost.empty()) {
      details.busy = false;
      return;
    }
    lost.swap(details.lost);
    too_often = ++details.reconstructions > details.options.max_reconstructions;
  }
  absl::Status refused;
  if (too_often) {
    refused = absl::DataLossError(
        absl::StrCat("the result was lost again after it had been made anew ",
                     details.options.max_reconstructions,
                     " times (max_reconstructions): ", lost.front().why.message()));
  } else if (!attached()) {
    refused = absl::DataLossError(
        absl::StrCat("the result was lost, and the runtime that could make it again is gone: ",
                     lost.front().why.message()));
  }
  if (!refused.ok()) {
    // Nobody can have lost anything meanwhile: the objects are pending.
    const absl::Status failure = FailureOf(task->name(), refused);
    {
      MutexLock lock(&details.lost_mutex);
      details.busy = false;
    }
    for (TaskDetails::Lost& each : lost) each.promise.Fail(failure);
    return;
  }
  Count(Tally::kReconstructions);
  task->result_keys_.clear();
  for (TaskDetails::Lost& each : lost) {
    task->result_keys_.push_back(each.key);
    if (absl::Status status = task->TakePromise(each.index, std::move(each.promise));
        !status.ok()) {
      refused = std::move(status);
    }
  }
  details.attempts = 0;
  task->failed_ = false;
  task->stop_requested_.store(false, std::memory_order_relaxed);
  task->submitted_ns_ = 0;
  task->waiting_for_.store(1, std::memory_order_relaxed);
  // Last: who still holds the task from before may act on it from here on.
  task->claimed_.store(false, std::memory_order_release);
  task->state_.store(TaskState::kWaiting, std::memory_order_release);
  task->Ref();  // until it is finished again
  Count(Tally::kSubmitted);
  Count(Tally::kSubmittedBytes, task->held_bytes_);
  if (refused.ok() && phase_.load(std::memory_order_seq_cst) >= Phase::kCancelling) {
    refused = absl::DataLossError(
        absl::StrCat("the result was lost, and the runtime that could make it again is shut down: ",
                     lost.front().why.message()));
  }
  Launch(task, refused);
}

}  // namespace spillway::internal
