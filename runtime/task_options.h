// What a caller can choose for one task. Every limit has a name here.
#ifndef SPILLWAY_RUNTIME_TASK_OPTIONS_H_
#define SPILLWAY_RUNTIME_TASK_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "store/options.h"

namespace spillway {

// Whether a failure may pass by itself: Unavailable and Aborted.
inline bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsAborted(status);
}

struct TaskOptions {
  // Shown in errors, statistics and the timeline.
  std::string name = {};

  // Tasks of higher priority start first, whatever their order of submission; within one priority
  // they start roughly in that order. Tasks of lower priority than 0 get a start now and then even
  // while others wait.
  int32_t priority = 0;

  // A task that fails is run again so often, if `retryable` says so of its failure. A task that is
  // retried gets a copy of its arguments each time, so they must be copyable: else the result is
  // InvalidArgument.
  int max_retries = 0;
  std::function<bool(const absl::Status&)> retryable = IsTransient;
  // The wait before the first retry; each further one is twice as long, up to the second figure.
  absl::Duration retry_backoff = absl::Milliseconds(10);
  absl::Duration retry_backoff_max = absl::Seconds(10);

  // From the start of the task: then its result is DeadlineExceeded, and the task is asked to stop.
  // Its thread is not taken from it. Each retry has as long.
  absl::Duration timeout = absl::InfiniteDuration();

  // If the result is lost (dropped, or damaged on disk), the task is run again, when somebody asks
  // for it, with the same arguments, which are kept as long as the result is. It must not matter
  // that the task runs more than once.
  bool reconstructible = false;
  // How often; after that the loss stays.
  int max_reconstructions = 3;

  // What happens to the result when its memory is wanted. Those of reconstructible tasks may be
  // dropped (OnEvict::kDrop): they never cost a write to disk, and are computed anew when asked
  // for.
  OnEvict on_evict = OnEvict::kSpill;
};

// For a task whose result is a vector that is to be as many objects as it has elements:
//
//     std::vector<ObjectRef<Part>> parts = runtime.Submit(NumReturns{8}, Split, input);
//
// If the vector that the task returns has another size, all of them fail with FailedPrecondition.
struct NumReturns {
  size_t count = 1;
  TaskOptions options = {};
};

// What a task without a value results in: it is done.
struct Done {
  friend bool operator==(const Done&, const Done&) = default;
};

}  // namespace spillway

#endif  // SPILLWAY_RUNTIME_TASK_OPTIONS_H_
