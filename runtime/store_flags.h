// Command line flags for a store (gflags), and the options that they make.
//
// A program that links this target gets the flags --memory_limit, --spill_dir and the rest, and
// calls
//
//     gflags::ParseCommandLineFlags(&argc, &argv, true);
//     absl::StatusOr<StoreOptions> options = StoreOptionsFromFlags();
//
// A program with flags of its own fills StoreOptions itself and does not link it.
#ifndef SPILLWAY_RUNTIME_STORE_FLAGS_H_
#define SPILLWAY_RUNTIME_STORE_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gflags/gflags_declare.h"
#include "store/options.h"

DECLARE_string(memory_limit);
DECLARE_string(spill_dir);
DECLARE_string(spill_limit);
DECLARE_string(spill_compression);
DECLARE_string(recovery);
DECLARE_string(eviction_policy);
DECLARE_double(high_watermark);
DECLARE_double(low_watermark);
DECLARE_double(wait_for_room_seconds);
DECLARE_uint32(waiters_max);
DECLARE_bool(prefault);
DECLARE_bool(huge_pages);

namespace spillway {

// The options that the flags ask for, all checked. With --spill_dir empty, the spill directory is
// `default_spill_directory`. InvalidArgument names the first flag that is wrong, its value, and
// what it may be. Thread-safe as long as nobody sets flags meanwhile.
absl::StatusOr<StoreOptions> StoreOptionsFromFlags(const std::string& default_spill_directory = "");

// The names of this target's flags, in the order in which help texts and the README show them.
std::vector<std::string> StoreFlagNames();

}  // namespace spillway

#endif  // SPILLWAY_RUNTIME_STORE_FLAGS_H_
