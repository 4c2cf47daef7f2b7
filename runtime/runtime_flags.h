// Command line flags for a runtime (gflags), and the options that they make.
//
// A program that links this target gets the flags --workers, --trace_out and the rest, and calls
// RuntimeOptionsFromFlags() once they are parsed. Those of the store are in store_flags.h.
#ifndef SPILLWAY_RUNTIME_RUNTIME_FLAGS_H_
#define SPILLWAY_RUNTIME_RUNTIME_FLAGS_H_

#include "absl/status/statusor.h"
#include "gflags/gflags_declare.h"
#include "runtime/runtime_options.h"

DECLARE_int32(workers);
DECLARE_int32(fetch_threads);
DECLARE_double(arguments_share);
DECLARE_string(trace_out);

namespace spillway {

// The options that the flags ask for, all checked. InvalidArgument names the flag that is wrong,
// its value, and what it may be. Thread-safe as long as nobody sets flags meanwhile.
absl::StatusOr<RuntimeOptions> RuntimeOptionsFromFlags();

}  // namespace spillway

#endif  // SPILLWAY_RUNTIME_RUNTIME_FLAGS_H_
