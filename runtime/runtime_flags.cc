#include "runtime/runtime_flags.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gflags/gflags.h"

DEFINE_int32(workers, 0, "Tasks that run at once; 0 is one per processor that the process may use");
DEFINE_int32(fetch_threads, 2, "Threads that bring tasks' arguments into memory");
DEFINE_double(arguments_share, 0.6,
              "Share of the memory limit that the arguments of admitted tasks may take together");
DEFINE_string(trace_out, "",
              "File for a timeline of tasks, spills and restores in the Chrome trace format, which "
              "Perfetto opens; written at the end. Empty: none is kept");

namespace spillway {
namespace {

absl::Status FlagError(absl::string_view flag, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": ", problem));
}

}  // namespace

absl::StatusOr<RuntimeOptions> RuntimeOptionsFromFlags() {
  RuntimeOptions options;
  if (FLAGS_workers < 0 || FLAGS_workers > RuntimeOptions::kWorkersMax) {
    return FlagError("workers",
                     absl::StrCat(FLAGS_workers, " is out of range; it may be from 0 to ",
                                  RuntimeOptions::kWorkersMax));
  }
  if (FLAGS_fetch_threads < 1 || FLAGS_fetch_threads > RuntimeOptions::kFetchThreadsMax) {
    return FlagError("fetch_threads",
                     absl::StrCat(FLAGS_fetch_threads, " is out of range; it may be from 1 to ",
                                  RuntimeOptions::kFetchThreadsMax));
  }
  if (!(FLAGS_arguments_share > 0 && FLAGS_arguments_share <= 0.9)) {
    return FlagError(
        "arguments_share",
        absl::StrCat(FLAGS_arguments_share, " is out of range; it may be above 0 and at most 0.9"));
  }
  options.workers = FLAGS_workers;
  options.fetch_threads = FLAGS_fetch_threads;
  options.arguments_share_max = FLAGS_arguments_share;
  options.trace_out = FLAGS_trace_out;
  absl::Status status = ValidateRuntimeOptions(options);
  if (!status.ok()) return status;
  return options;
}

}  // namespace spillway
