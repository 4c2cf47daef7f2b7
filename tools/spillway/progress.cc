#include "tools/spillway/progress.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "runtime/size_parse.h"

namespace spillway {
namespace {

constexpr absl::Duration kBarInterval = absl::Milliseconds(150);
constexpr absl::Duration kLineInterval = absl::Seconds(10);
constexpr size_t kBarCells = 24;
constexpr size_t kBarCellsMin = 8;
constexpr size_t kDefaultWidth = 80;

constexpr char kClearLine[] = "\r\x1b[K";

double Share(const ProgressSample& sample) {
  if (!sample.total_bytes || *sample.total_bytes == 0) return 0;
  return std::min(
      1.0, static_cast<double>(sample.done_bytes) / static_cast<double>(*sample.total_bytes));
}

std::string Cells(double share, size_t count) {
  const size_t full = static_cast<size_t>(share * static_cast<double>(count));
  std::string cells(full, '=');
  if (full < count) cells.append(">").append(count - full - 1, ' ');
  return absl::StrCat("[", cells, "]");
}

std::string Rate(double bytes_per_second) {
  return absl::StrCat(FormatSize(static_cast<uint64_t>(bytes_per_second)), "/s");
}

size_t TerminalWidth(std::FILE* stream) {
  winsize size{};
  if (ioctl(fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefaultWidth;
  return size.ws_col;
}

}  // namespace

std::string ProgressBar(const ProgressSample& sample, double bytes_per_second, size_t width) {
  std::string line = absl::StrFormat("%-8s", sample.phase);
  if (sample.total_bytes) {
    absl::StrAppendFormat(&line, "%3.0f%%", 100 * Share(sample));
  } else {
    absl::StrAppend(&line, " ", FormatSize(sample.done_bytes));
  }
  const std::string rate = absl::StrFormat("  %11s", Rate(bytes_per_second));
  const std::string tiers =
      absl::StrFormat("  memory %s of %s  disk %s", FormatSize(sample.memory_used_bytes),
                      FormatSize(sample.memory_limit_bytes), FormatSize(sample.disk_bytes));
  // Text first; what is left of the width, without its last column, belongs to the bar.
  const size_t text = line.size() + rate.size() + tiers.size() + 1;
  const size_t brackets_and_space = 3;
  if (sample.total_bytes && width >= text + kBarCellsMin + brackets_and_space) {
    const size_t cells = std::min(kBarCells, width - text - brackets_and_space);
    absl::StrAppend(&line, " ", Cells(Share(sample), cells));
  }
  absl::StrAppend(&line, rate, tiers);
  return line.substr(0, width == 0 ? 0 : width - 1);
}

std::string ProgressLine(const ProgressSample& sample, double bytes_per_second) {
  std::string amount = FormatSize(sample.done_bytes);
  if (sample.total_bytes) {
    absl::StrAppendFormat(&amount, " of %s (%.0f%%)", FormatSize(*sample.total_bytes),
                          100 * Share(sample));
  }
  return absl::StrFormat("%s %s, %s; memory %s of %s, disk %s", sample.phase, amount,
                         Rate(bytes_per_second), FormatSize(sample.memory_used_bytes),
                         FormatSize(sample.memory_limit_bytes), FormatSize(sample.disk_bytes));
}

absl::StatusOr<ProgressStyle> ParseProgressStyle(absl::string_view text, std::FILE* stream) {
  if (text == "none") return ProgressStyle::kNone;
  if (text == "lines") return ProgressStyle::kLines;
  if (text == "bar") return ProgressStyle::kBar;
  if (text == "auto")
    return isatty(fileno(stream)) == 1 ? ProgressStyle::kBar : ProgressStyle::kLines;
  return absl::InvalidArgumentError(absl::StrCat("'", text, "' is none of auto, bar, lines, none"));
}

ProgressDisplay::ProgressDisplay(ProgressStyle style, std::FILE* stream,
                                 std::function<ProgressSample()> sample)
    : style_(style), stream_(stream), sample_(std::move(sample)) {
  if (style_ == ProgressStyle::kNone) return;
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "progress");
    Run();
  });
}

ProgressDisplay::~ProgressDisplay() {
  if (style_ == ProgressStyle::kNone) return;
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    changed_.SignalAll();
  }
  thread_.join();
  if (style_ == ProgressStyle::kBar) absl::FPrintF(stream_, "%s", kClearLine);
  std::fflush(stream_);
}

void ProgressDisplay::Run() {
  const absl::Duration interval = style_ == ProgressStyle::kBar ? kBarInterval : kLineInterval;
  while (true) {
    const absl::Time next = absl::Now() + interval;
    {
      MutexLock lock(&mutex_);
      while (!ending_ && absl::Now() < next) changed_.WaitWithDeadline(&mutex_, next);
      if (ending_) return;
    }
    Show(absl::Now());
  }
}

void ProgressDisplay::Show(absl::Time now) {
  const ProgressSample sample = sample_();
  if (sample.phase != phase_) {
    phase_ = sample.phase;
    phase_start_ = now - (style_ == ProgressStyle::kBar ? kBarInterval : kLineInterval);
  }
  const double seconds = absl::ToDoubleSeconds(now - phase_start_);
  const double rate = static_cast<double>(sample.done_bytes) / seconds;
  if (style_ == ProgressStyle::kBar) {
    absl::FPrintF(stream_, "%s%s", kClearLine, ProgressBar(sample, rate, TerminalWidth(stream_)));
  } else {
    absl::FPrintF(stream_, "%s\n", ProgressLine(sample, rate));
  }
  std::fflush(stream_);
}

}  // namespace spillway
