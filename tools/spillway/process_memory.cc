#include "tools/spillway/process_memory.h"

#include <cinttypes>
#include <cstdio>

namespace spillway {

ProcessMemory ReadProcessMemory() {
  ProcessMemory memory;
  std::FILE* const file = std::fopen("/proc/self/status", "re");
  if (file == nullptr) return memory;
  char line[256];
  while (std::fgets(line, sizeof(line), file) != nullptr) {
    uint64_t kib = 0;
    if (std::sscanf(line, "VmHWM: %" SCNu64 " kB", &kib) == 1)
      memory.resident_bytes_peak = kib * 1024;
    if (std::sscanf(line, "VmRSS: %" SCNu64 " kB", &kib) == 1) memory.resident_bytes = kib * 1024;
  }
  std::fclose(file);
  return memory;
}

}  // namespace spillway
