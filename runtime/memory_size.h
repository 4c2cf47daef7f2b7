// How much memory this process may use: the machine's, or its control group's where that is less.
//
// Control groups, versions 1 and 2: every limit on the way from the process's own group up to the
// root counts, and the smallest is the one that holds (kernel documentation,
// admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst).
//
// Thread-safety: functions without state.
#ifndef SPILLWAY_RUNTIME_MEMORY_SIZE_H_
#define SPILLWAY_RUNTIME_MEMORY_SIZE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace spillway {

struct MemorySize {
  uint64_t bytes = 0;
  std::string source;  // the file that says so, for messages
};

// Reads /proc/meminfo, /proc/self/cgroup and /sys/fs/cgroup below `root`, which is not "/" in tests
// only. NotFound if not even the machine's memory can be found out.
absl::StatusOr<MemorySize> FindMemorySize(const std::string& root = "/");

}  // namespace spillway

#endif  // SPILLWAY_RUNTIME_MEMORY_SIZE_H_
