// Things to be done at a later time: retries, timeouts, and what is looked at regularly.
#ifndef SPILLWAY_RUNTIME_INTERNAL_TIMERS_H_
#define SPILLWAY_RUNTIME_INTERNAL_TIMERS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "serialization/mutex.h"
#include "store/seams.h"

namespace spillway::internal {

// Thread-safe. One background thread, which must not be held up: what is done at a time is short.
class Timers {
 public:
  using Handle = std::pair<absl::Time, uint64_t>;  // {InfinitePast, 0} is none

  Timers(Clock* clock, Executor* background);
  ~Timers();
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  // Calls `action` at `when`, on the timers' thread, with no lock held.
  Handle At(absl::Time when, std::function<void()> action);
  // Gives up an action that has not begun. Whether there was one.
  bool Remove(Handle handle);

  // Ends the thread; actions left are given up. Idempotent.
  void Stop();

 private:
  absl::Time Step();

  Clock* const clock_;
  Mutex mutex_;
  std::map<Handle, std::function<void()>> actions_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_number_ ABSL_GUARDED_BY(mutex_) = 1;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<BackgroundJob> job_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_RUNTIME_INTERNAL_TIMERS_H_
