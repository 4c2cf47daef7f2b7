#include "runtime/runtime_options.h"

#include "absl/strings/str_cat.h"

namespace spillway {
namespace {

absl::Status Wrong(absl::string_view option, absl::string_view value, absl::string_view allowed) {
  return absl::InvalidArgumentError(absl::StrCat(option, " = ", value, ": must be ", allowed));
}

}  // namespace

absl::Status ValidateRuntimeOptions(const RuntimeOptions& options) {
  if (options.workers < 0 || options.workers > RuntimeOptions::kWorkersMax) {
    return Wrong(
        "workers", absl::StrCat(options.workers),
        absl::StrCat("between 0, for one per processor, and ", RuntimeOptions::kWorkersMax));
  }
  if (options.outstanding_tasks_max == 0) {
    return Wrong("outstanding_tasks_max", "0", "at least 1");
  }
  if (options.outstanding_bytes_max == 0) {
    return Wrong("outstanding_bytes_max", "0", "at least 1");
  }
  if (!(options.arguments_share_max > 0 && options.arguments_share_max <= 0.9)) {
    return Wrong("arguments_share_max", absl::StrCat(options.arguments_share_max),
                 "above 0 and at most 0.9");
  }
  if (options.fetch_threads < 1 || options.fetch_threads > RuntimeOptions::kFetchThreadsMax) {
    return Wrong("fetch_threads", absl::StrCat(options.fetch_threads),
                 absl::StrCat("between 1 and ", RuntimeOptions::kFetchThreadsMax));
  }
  if (options.no_progress_max <= absl::ZeroDuration()) {
    return Wrong("no_progress_max", absl::FormatDuration(options.no_progress_max), "above 0");
  }
  if (options.submit_wait_max < absl::ZeroDuration()) {
    return Wrong("submit_wait_max", absl::FormatDuration(options.submit_wait_max), "0 or more");
  }
  if (options.shutdown_wait_max < absl::ZeroDuration()) {
    return Wrong("shutdown_wait_max", absl::FormatDuration(options.shutdown_wait_max), "0 or more");
  }
  return absl::OkStatus();
}

}  // namespace spillway
