// Shows how far a long job has come: one line that is redrawn on a terminal, a line now and then
// elsewhere.
#ifndef SPILLWAY_TOOLS_SPILLWAY_PROGRESS_H_
#define SPILLWAY_TOOLS_SPILLWAY_PROGRESS_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "serialization/mutex.h"

namespace spillway {

// The state of a job at one moment.
struct ProgressSample {
  std::string phase;  // a word: "reading"
  uint64_t done_bytes = 0;
  std::optional<uint64_t> total_bytes;  // nullopt: nobody knows
  uint64_t memory_used_bytes = 0;
  uint64_t memory_limit_bytes = 0;
  uint64_t disk_bytes = 0;
};

// For a terminal: what matters first, with a bar where `width` leaves room for one; never longer
// than `width`.
std::string ProgressBar(const ProgressSample& sample, double bytes_per_second, size_t width);

// For a log.
std::string ProgressLine(const ProgressSample& sample, double bytes_per_second);

enum class ProgressStyle {
  kNone,
  kLines,
  kBar,
};

// "auto" (a bar if `stream` is a terminal, else lines), "bar", "lines" or "none". InvalidArgument
// otherwise.
absl::StatusOr<ProgressStyle> ParseProgressStyle(absl::string_view text, std::FILE* stream);

// Shows samples on a thread of its own while it lives.
class ProgressDisplay {
 public:
  // `sample` is called on the display's thread.
  ProgressDisplay(ProgressStyle style, std::FILE* stream, std::function<ProgressSample()> sample);
  // Ends the display and clears the bar.
  ~ProgressDisplay();
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  void Show(absl::Time now);

  const ProgressStyle style_;
  std::FILE* const stream_;
  const std::function<ProgressSample()> sample_;

  // Of the display's thread: the phase, over which rates are taken, and its start.
  std::string phase_;
  absl::Time phase_start_;

  Mutex mutex_;
  CondVar changed_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace spillway

#endif  // SPILLWAY_TOOLS_SPILLWAY_PROGRESS_H_
