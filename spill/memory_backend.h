// A spill backend that keeps its records in memory: the reference for what a backend does, and a
// backend for tests of what lies above it. It spends as much memory as it is given records.
#ifndef SPILLWAY_SPILL_MEMORY_BACKEND_H_
#define SPILLWAY_SPILL_MEMORY_BACKEND_H_

#include <cstdint>
#include <memory>

#include "spill/spill_backend.h"

namespace spillway {

struct MemoryBackendOptions {
  uint64_t max_batch_bytes = 8 << 20;
  // Payload bytes it takes before Write answers ResourceExhausted; 0 for no limit.
  uint64_t spill_limit_bytes = 0;
};

// Never fails. Nothing outlives it: what is durable to it is lost with the process.
std::unique_ptr<SpillBackend> NewMemoryBackend(const MemoryBackendOptions& options = {});

}  // namespace spillway

#endif  // SPILLWAY_SPILL_MEMORY_BACKEND_H_
