#include "runtime/internal/submit.h"

#include <atomic>

namespace spillway::internal {

uint64_t CallerNumber() {
  static std::atomic<uint64_t> last{0};
  static constexpr auto next = [] { return last.fetch_add(1, std::memory_order_relaxed) + 1; };
  static thread_local const uint64_t thread_number = next();
  Task* const task = Task::Current();
  return task != nullptr ? task->NumberAsCaller(next) : thread_number;
}

void LogNoResult(const absl::Status& status) {
  LOG_EVERY_N(ERROR, 1000) << "a task was not submitted, because there is no object for its "
                              "result: "
                           << status;
}

}  // namespace spillway::internal
