// How much memory this process has resident.
#ifndef SPILLWAY_TOOLS_SPILLWAY_PROCESS_MEMORY_H_
#define SPILLWAY_TOOLS_SPILLWAY_PROCESS_MEMORY_H_

#include <cstdint>

namespace spillway {

struct ProcessMemory {
  uint64_t resident_bytes = 0;
  uint64_t resident_bytes_peak = 0;  // since the process started
};

// From /proc/self/status; zeros where there is none.
ProcessMemory ReadProcessMemory();

}  // namespace spillway

#endif  // SPILLWAY_TOOLS_SPILLWAY_PROCESS_MEMORY_H_
