// How a failure travels from a task to those that need its result: the code and the reason stay,
// the names of the tasks on its way are added.
//
//     boom [in task load; needed by parse, sum]
#ifndef SPILLWAY_RUNTIME_INTERNAL_TASK_ERROR_H_
#define SPILLWAY_RUNTIME_INTERNAL_TASK_ERROR_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace spillway::internal {

// Tasks named in an error; of a longer way the first of them, and how many more there were.
inline constexpr int kTasksNamedMax = 8;

// `status` as the failure of the task `name`.
absl::Status FailureOf(absl::string_view name, const absl::Status& status);
// `failure`, an error of an argument, as the failure of the task `name` that needed it.
absl::Status FailureByArgument(absl::string_view name, const absl::Status& failure);

// What is being caught, as a status. REQUIRES: called in a handler.
absl::Status StatusOfException();
// For Fatal and IsFatal of actor_options.h.
absl::Status MarkFatal(absl::Status failure);
bool IsMarkedFatal(const absl::Status& failure);
// Whether the failure began as an exception.
bool IsException(const absl::Status& failure);

}  // namespace spillway::internal

#endif  // SPILLWAY_RUNTIME_INTERNAL_TASK_ERROR_H_
