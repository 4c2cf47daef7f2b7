#include "store/options.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "store/eviction_policy.h"

namespace spillway {

absl::Status ValidateStoreOptions(const StoreOptions& options) {
  if (options.memory_limit_bytes < StoreOptions::kMemoryLimitBytesMin ||
      options.memory_limit_bytes > StoreOptions::kMemoryLimitBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrFormat("memory_limit_bytes is %d: it must be from %d (16 MiB) to %d (16 TiB)",
                        options.memory_limit_bytes, StoreOptions::kMemoryLimitBytesMin,
                        StoreOptions::kMemoryLimitBytesMax));
  }
  // Written so that a NaN is refused too.
  if (!(options.low_watermark > 0.0 && options.low_watermark < options.high_watermark &&
        options.high_watermark <= 1.0)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "low_watermark is %g and high_watermark is %g: 0 < low < high <= 1 must hold",
        options.low_watermark, options.high_watermark));
  }
  const std::vector<std::string_view> policies = EvictionPolicyNames();
  if (std::find(policies.begin(), policies.end(), options.eviction_policy) == policies.end()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "eviction_policy is \"%s\": it must be one of %s", options.eviction_policy,
        absl::StrJoin(policies, ", ",
                      [](std::string* out, std::string_view name) { out->append(name); })));
  }
  if (options.wait_for_room_max < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("wait_for_room_max is %s: it must not be negative",
                        absl::FormatDuration(options.wait_for_room_max)));
  }
  if (options.waiters_max == 0) {
    return absl::InvalidArgumentError("waiters_max is 0: it must be positive");
  }
  if (options.async_gets_max == 0) {
    return absl::InvalidArgumentError("async_gets_max is 0: it must be positive");
  }
  if (options.wait_for_change_max < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("wait_for_change_max is %s: it must not be negative",
                        absl::FormatDuration(options.wait_for_change_max)));
  }
  if (options.spill_directory.empty() && options.spill_limit_bytes != 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "spill_limit_bytes is %d, but spill_directory is empty", options.spill_limit_bytes));
  }
  return absl::OkStatus();
}

}  // namespace spillway
