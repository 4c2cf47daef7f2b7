// What a caller can choose for a runtime. Every limit has a name here.
#ifndef SPILLWAY_RUNTIME_RUNTIME_OPTIONS_H_
#define SPILLWAY_RUNTIME_RUNTIME_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "store/options.h"

namespace spillway {

class TaskExecutor;

struct RuntimeOptions {
  // Tasks that run at once; 0 is one per processor that this process may use.
  int workers = 0;
  static constexpr int kWorkersMax = 1024;

  // Tasks that may wait inside for other results at once. A task that waits does not hold up its
  // worker: another thread goes on in its place. A wait beyond this number is ResourceExhausted. A
  // task that waits for one which has not started runs it on the spot, on its own stack, so that
  // nesting alone does not come near this.
  uint32_t blocked_tasks_max = 16384;

  // Tasks, and bytes that tasks and their arguments by value hold, that may be outstanding. A
  // Submit from outside of tasks that comes to one of them waits, so long at most; then the task's
  // result is ResourceExhausted. A Submit from inside a task never waits and is never refused.
  uint64_t outstanding_tasks_max = uint64_t{1} << 24;
  uint64_t outstanding_bytes_max = 4 * kGiB;
  absl::Duration submit_wait_max = absl::Minutes(10);

  // Arguments that are objects: the share of the store's memory that those of all admitted tasks
  // together may take. A task starts when its arguments are in memory, all of them; one whose
  // arguments alone exceed the share fails at once.
  double arguments_share_max = 0.6;
  // Threads that bring arguments into memory while tasks compute.
  int fetch_threads = 2;
  static constexpr int kFetchThreadsMax = 64;
  // If nothing runs for so long and tasks still wait for room for their arguments, the youngest of
  // them fails with ResourceExhausted.
  absl::Duration no_progress_max = absl::Seconds(1);
  // Bring arguments in ahead of need, start tasks whose arguments are in memory before older ones,
  // and tell the store what waiting tasks need. Off for comparison.
  bool dependency_aware = true;

  // A timeline of tasks, spills and restores is kept, the newest so many events per worker (0 for
  // none), and written to `trace_out` at shutdown if that is not empty: JSON in the Chrome trace
  // format, as Perfetto opens it.
  uint32_t trace_events_max = 0;
  std::string trace_out;

  // The destructor cancels what is queued, and waits so long for what runs.
  absl::Duration shutdown_wait_max = absl::Seconds(30);

  // Threads for workers; null for oneTBB's. It must outlive the runtime.
  TaskExecutor* executor = nullptr;
  // Seams for tests and simulations, to be the same as the store's; null means the real ones.
  Clock* clock = nullptr;
  Executor* background = nullptr;
};

// OK, or InvalidArgument that names the option, its value and what it may be.
absl::Status ValidateRuntimeOptions(const RuntimeOptions& options);

}  // namespace spillway

#endif  // SPILLWAY_RUNTIME_RUNTIME_OPTIONS_H_
