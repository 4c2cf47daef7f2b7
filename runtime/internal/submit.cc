#include "runtime/internal/submit.h"

namespace spillway::internal {

uint64_t CallerNumber() {
  static thread_local char thread_marker;
  const Task* const task = Task::Current();
  return task != nullptr ? reinterpret_cast<uintptr_t>(task)
                         : reinterpret_cast<uintptr_t>(&thread_marker);
}

void LogNoResult(const absl::Status& status) {
  LOG_EVERY_N(ERROR, 1000) << "a task was not submitted, because there is no object for its "
                              "result: "
                           << status;
}

}  // namespace spillway::internal
