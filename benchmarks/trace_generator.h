// Synthetic traces, the same ones for the same seed on every machine.
//
// Each stands for one thing that a cache meets, so that a policy's weakness shows by name.
#ifndef SPILLWAY_BENCHMARKS_TRACE_GENERATOR_H_
#define SPILLWAY_BENCHMARKS_TRACE_GENERATOR_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "benchmarks/trace.h"

namespace spillway {

// The kinds:
//   zipf           Zipf-distributed popularity (exponent 0.9), sizes 64 B - 64 KiB log-uniform
//   zipf_scan      the same, interrupted by scans over objects that never come back
//   loop           the same objects in the same order, over and over
//   shifting       a hot set that moves on all the time
//   bimodal        one size of 200 B, the other of 1 MiB, equally popular
//   once           no object twice
//   mixed          the above in turns
std::vector<std::string_view> SyntheticTraceKinds();

// A trace of about `objects` objects. InvalidArgument for an unknown kind.
absl::StatusOr<Trace> MakeSyntheticTrace(std::string_view kind, uint32_t objects, uint32_t requests,
                                         uint64_t seed);

}  // namespace spillway

#endif  // SPILLWAY_BENCHMARKS_TRACE_GENERATOR_H_
