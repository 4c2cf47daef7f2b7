#include "runtime/internal/timers.h"

namespace spillway::internal {

Timers::Timers(Clock* clock, Executor* background)
    : clock_(clock), job_(background->Start("runtime-timer", [this] { return Step(); })) {}

Timers::~Timers() { Stop(); }

Timers::Handle Timers::At(absl::Time when, std::function<void()> action) {
  Handle handle;
  bool first = false;
  {
    MutexLock lock(&mutex_);
    if (stopped_) return {absl::InfinitePast(), 0};
    handle = {when, next_number_++};
    first = actions_.empty() || handle < actions_.begin()->first;
    actions_.emplace(handle, std::move(action));
  }
  if (first) job_->Wake();
  return handle;
}

bool Timers::Remove(Handle handle) {
  std::function<void()> removed;  // destroyed after the lock is given back
  MutexLock lock(&mutex_);
  const auto found = actions_.find(handle);
  if (found == actions_.end()) return false;
  removed = std::move(found->second);
  actions_.erase(found);
  return true;
}

void Timers::Stop() {
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
  }
  job_->Stop();
  std::map<Handle, std::function<void()>> left;
  MutexLock lock(&mutex_);
  left.swap(actions_);
}

absl::Time Timers::Step() {
  for (;;) {
    std::function<void()> action;
    {
      MutexLock lock(&mutex_);
      if (stopped_ || actions_.empty()) return absl::InfiniteFuture();
      const auto first = actions_.begin();
      if (first->first.first > clock_->Now()) return first->first.first;
      action = std::move(first->second);
      actions_.erase(first);
    }
    action();
  }
}

}  // namespace spillway::internal
