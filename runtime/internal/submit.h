// How tasks and actors' calls are made and set going.
#ifndef SPILLWAY_RUNTIME_INTERNAL_SUBMIT_H_
#define SPILLWAY_RUNTIME_INTERNAL_SUBMIT_H_

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "glog/logging.h"
#include "runtime/internal/actor_core.h"
#include "runtime/internal/runtime_core.h"
#include "runtime/internal/task_impl.h"
#include "runtime/task_options.h"

namespace spillway::internal {

// Who calls, for the order of its calls: the task that runs on this thread, or the thread.
uint64_t CallerNumber();

// Logs, not too often, that a task has no result because there is no room for one more object.
void LogNoResult(const absl::Status& status);

template <bool kMany, typename Fn, typename... Args>
auto SubmitTask(RuntimeCore* core, const TaskOptions* options, size_t count, Fn&& fn,
                Args&&... args) {
  using Impl = TaskImpl<std::decay_t<Fn>, kMany, std::decay_t<Args>...>;
  auto* const task = new Impl(core, std::forward<Fn>(fn), std::forward<Args>(args)...);
  typename Impl::Refs refs{};
  absl::Status refused;
  if (options != nullptr) {
    task->SetOptions(*options);
    refused = task->CheckOptions();
  }
  if constexpr (kMany) task->SetCount(count);
  if (absl::Status status = task->MakeResults(&refs); !status.ok()) [[unlikely]] {
    LogNoResult(status);
    task->Unref();
    return typename Impl::Refs{};
  }
  if (absl::Status status = core->BeginSubmit(task->held_bytes()); refused.ok()) {
    refused = std::move(status);
  }
  core->Launch(task, refused);
  return refs;
}

template <typename Fn, typename... Args>
auto SubmitCall(ActorCore* actor, Fn fn, Args&&... args) {
  using Impl = TaskImpl<Fn, false, std::decay_t<Args>...>;
  typename Impl::Refs refs{};
  const std::shared_ptr<RuntimeCore> core = actor == nullptr ? nullptr : actor->core();
  if (core == nullptr) return refs;
  auto* const task = new Impl(core.get(), std::move(fn), std::forward<Args>(args)...);
  // Once it has entered, whoever ends the actor may end the call before it is launched.
  const TaskPtr kept(task);
  task->SetActor(actor, CallerNumber());
  if (absl::Status status = task->MakeResults(&refs); !status.ok()) [[unlikely]] {
    LogNoResult(status);
    task->Unref();
    return typename Impl::Refs{};
  }
  absl::Status refused = core->BeginSubmit(task->held_bytes());
  const absl::Status entered = actor->Enter(task);
  if (refused.ok()) refused = entered;
  core->Launch(task, refused);
  return refs;
}

}  // namespace spillway::internal

#endif  // SPILLWAY_RUNTIME_INTERNAL_SUBMIT_H_
