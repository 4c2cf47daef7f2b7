#include "runtime/internal/task.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "runtime/current_task.h"
#include "runtime/internal/actor_core.h"
#include "runtime/internal/runtime_core.h"
#include "runtime/internal/task_error.h"

namespace spillway {
namespace internal {

namespace {

constexpr absl::string_view kUnnamed = "unnamed";

thread_local constinit Task* current_task = nullptr;

}  // namespace

Task::~Task() {
  if (actor_ == nullptr) return;
  // The store's part in it first: the runtime may go with its last actor.
  dependencies_.clear();
  actor_->Unref();
}

void Task::SetActor(ActorCore* actor, uint64_t caller) {
  actor->Ref();
  actor_ = actor;
  caller_ = caller;
}

Task* Task::Current() { return current_task; }

absl::string_view Task::name() const {
  if (actor_ != nullptr && !actor_->name().empty()) return actor_->name();
  return details_ == nullptr || details_->options.name.empty()
             ? kUnnamed
             : absl::string_view(details_->options.name);
}

void Task::Run() {
  if (Transit(TaskState::kReady, TaskState::kRunning)) RunClaimed();
  // Else it was cancelled, or run by a task that waited for it.
  Unref();
}

void Task::RunClaimed() {
  RuntimeCore* const core = core_;
  core->Count(Tally::kStarted);
  if (in_admission_.load(std::memory_order_relaxed)) core->admission().Started(this);
  const bool traced = core->trace().on();
  const int64_t began_ns = traced || submitted_ns_ != 0 ? core->clock()->MonotonicNanos() : 0;
  if (details_ != nullptr && details_->options.timeout < absl::InfiniteDuration()) {
    details_->timeout =
        core->timers().At(core->clock()->Now() + details_->options.timeout,
                          [task = TaskPtr(this)] { task->core()->OnTimeout(task.get()); });
  }
  Task* const outer = std::exchange(current_task, this);
  const absl::Status status = Call();
  current_task = outer;
  if (began_ns != 0) {
    const int64_t ended_ns = core->clock()->MonotonicNanos();
    if (traced) {
      core->trace().Add(core->scheduler().MySlot(),
                        actor_ == nullptr ? Trace::Kind::kTask : Trace::Kind::kCall, name(),
                        began_ns, ended_ns);
    }
    if (submitted_ns_ != 0) core->RecordTimes(began_ns - submitted_ns_, ended_ns - began_ns);
  }
  core->CallEnded(this, status);
}

bool Task::FailIfUnclaimed(const absl::Status& status) {
  if (!Claim()) return false;
  failed_ = true;
  core_->ForgetProducer(this);
  FailResults(status);
  return true;
}

void Task::BeforeResults() { core_->ForgetProducer(this); }

}  // namespace internal

bool InTask() { return internal::Task::Current() != nullptr; }

bool StopRequested() {
  const internal::Task* const task = internal::Task::Current();
  return task != nullptr && task->stop_requested();
}

std::string CurrentTaskName() {
  const internal::Task* const task = internal::Task::Current();
  return task == nullptr ? std::string() : std::string(task->name());
}

}  // namespace spillway
