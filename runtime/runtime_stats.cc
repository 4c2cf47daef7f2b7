#include "runtime/runtime_stats.h"

#include "absl/strings/str_format.h"

namespace spillway {

std::string RuntimeStats::ToString() const {
  std::string text = absl::StrFormat(
      "tasks      outstanding %d (%d bytes), blocked %d, waiting for room %d, being fetched %d\n"
      "since the start: submitted %d, finished %d, failed %d, cancelled %d, retried %d, timed out "
      "%d\n",
      outstanding, outstanding_bytes, blocked, admission_waiting, fetching, submitted, finished,
      failed, cancelled, retries, timeouts);
  absl::StrAppendFormat(&text,
                        "           run by who waited %d, reconstructed %d, failed for want of "
                        "progress %d, submits that waited %d\n",
                        run_inline, reconstructions, no_progress_failures, submit_waits);
  absl::StrAppendFormat(&text, "arguments  admitted %d bytes\n", admitted_bytes);
  absl::StrAppendFormat(&text,
                        "actors     alive %d, created %d, died %d, restarts %d, checkpoints %d\n",
                        actors_alive, actors_created, actors_died, actor_restarts, checkpoints);
  absl::StrAppendFormat(
      &text, "times, ns  queued p50 %d p99 %d, run p50 %d p99 %d (one task in 16)\n",
      queue_ns.Quantile(0.5), queue_ns.Quantile(0.99), run_ns.Quantile(0.5), run_ns.Quantile(0.99));
  return text;
}

}  // namespace spillway
