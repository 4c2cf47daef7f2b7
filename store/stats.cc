#include "store/stats.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace spillway {

uint64_t Histogram::count() const {
  uint64_t sum = 0;
  for (const uint64_t n : buckets) sum += n;
  return sum;
}

uint64_t Histogram::Quantile(double q) const {
  const auto rank = static_cast<uint64_t>(std::ceil(q * static_cast<double>(count())));
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    seen += buckets[i];
    if (seen > 0 && seen >= rank) return i == 64 ? ~uint64_t{0} : (uint64_t{1} << i) - 1;
  }
  return 0;
}

std::string StoreStats::ToString() const {
  const auto mib = [](uint64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0); };
  std::string text;
  absl::StrAppendFormat(&text, "memory  %10.1f MiB of %.1f MiB, peak %.1f MiB\n",
                        mib(memory_used_bytes), mib(memory_limit_bytes),
                        mib(memory_used_bytes_peak));
  absl::StrAppendFormat(
      &text,
      "        payload %.1f, rounding %.1f, fragmentation %.1f, entries %.1f, index %.1f,\n"
      "        policy %.1f, buffers %.1f, spill tier %.1f, other %.1f\n",
      mib(memory.payload_bytes), mib(memory.rounding_bytes), mib(memory.fragmentation_bytes),
      mib(memory.entries_bytes), mib(memory.index_bytes), mib(memory.policy_bytes),
      mib(memory.buffers_bytes), mib(memory.backend_bytes), mib(memory.other_bytes));
  absl::StrAppendFormat(&text, "objects %10d: hot %d, clean %d, cold %d, pinned %d\n", objects,
                        hot_objects, clean_objects, cold_objects, pinned_objects);
  absl::StrAppendFormat(&text, "puts    %10d, %.1f MiB; deletes %d\n", puts, mib(put_bytes),
                        deletes);
  absl::StrAppendFormat(&text, "gets    %10d hits, %d misses\n", hits, misses);
  absl::StrAppendFormat(&text,
                        "moved   %10d spilled (%.1f MiB), %d restored (%.1f MiB), %d dropped "
                        "clean, %d lost by choice\n",
                        spills, mib(spilled_bytes), restores, mib(restored_bytes), dropped_clean,
                        dropped_lossy);
  absl::StrAppendFormat(&text, "waits   %10d; refused: no room %d, too large %d, metadata %d\n",
                        waits, refused_memory, refused_too_large, refused_metadata);
  absl::StrAppendFormat(
      &text,
      "disk    %10.1f MiB live, %.1f MiB held, peak %.1f MiB; failures: spill %d, restore %d\n",
      mib(disk_live_bytes), mib(disk_held_bytes), mib(disk_held_bytes_peak), spill_failures,
      restore_failures);
  return text;
}

}  // namespace spillway
