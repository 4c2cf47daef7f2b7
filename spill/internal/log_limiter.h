// Keeps a fault that repeats from flooding the log.
#ifndef SPILLWAY_SPILL_INTERNAL_LOG_LIMITER_H_
#define SPILLWAY_SPILL_INTERNAL_LOG_LIMITER_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "serialization/mutex.h"

namespace spillway::internal {

// At most `lines_per_period` lines in `period`. Thread-safe.
class LogLimiter {
 public:
  explicit LogLimiter(int lines_per_period = 10, absl::Duration period = absl::Seconds(10))
      : lines_per_period_(lines_per_period), period_(period) {}

  // Whether a line may be logged now. If so, *note is empty or says how many were left out before.
  bool MayLog(std::string* note) ABSL_LOCKS_EXCLUDED(mutex_) {
    const absl::Time now = absl::Now();
    MutexLock lock(&mutex_);
    if (now >= period_end_) {
      period_end_ = now + period_;
      lines_in_period_ = 0;
    }
    if (lines_in_period_ >= lines_per_period_) {
      ++suppressed_;
      return false;
    }
    ++lines_in_period_;
    *note = suppressed_ == 0 ? "" : absl::StrCat(" (", suppressed_, " earlier lines left out)");
    suppressed_ = 0;
    return true;
  }

 private:
  const int lines_per_period_;
  const absl::Duration period_;
  Mutex mutex_;
  absl::Time period_end_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  int lines_in_period_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t suppressed_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_INTERNAL_LOG_LIMITER_H_
