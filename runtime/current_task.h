// For the code inside a task or an actor's call: what it is, and whether it should stop.
#ifndef SPILLWAY_RUNTIME_CURRENT_TASK_H_
#define SPILLWAY_RUNTIME_CURRENT_TASK_H_

#include <string>

namespace spillway {

// Whether the calling thread runs a task.
bool InTask();

// Whether the task that runs on the calling thread was cancelled, has exceeded its timeout, or its
// runtime shuts down without waiting for it: nobody wants its result any more. False outside of
// tasks. A task may also take a std::stop_token as its first parameter, which says the same.
bool StopRequested();

// The name of the task that runs on the calling thread, empty outside of tasks.
std::string CurrentTaskName();

}  // namespace spillway

#endif  // SPILLWAY_RUNTIME_CURRENT_TASK_H_
