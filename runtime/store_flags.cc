#include "runtime/store_flags.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gflags/gflags.h"
#include "runtime/memory_size.h"
#include "runtime/size_parse.h"
#include "store/eviction_policy.h"

DEFINE_string(
    memory_limit, "512MiB",
    "Memory that the store may use, everything included: a size such as 512MiB or 4G, or a share "
    "of the memory that this process may use, such as 50%");
DEFINE_string(
    spill_dir, "",
    "Directory for objects that do not fit in memory; created if missing, and for one process at a "
    "time. Empty: the store is memory only");
DEFINE_string(spill_limit, "0",
              "Bytes that the spill directory may hold, such as 20G; 0 is no limit but the disk's");
DEFINE_string(spill_compression, "none", "How objects are compressed on disk: none, lz4 or zstd");
DEFINE_string(
    recovery, "discard",
    "What becomes of durable objects and names that an earlier process left in --spill_dir: "
    "discard or keep. Only with keep the store takes durable objects itself");
DEFINE_string(eviction_policy, "cost", "What leaves memory first: the name of an eviction policy");
DEFINE_double(
    high_watermark, 0.80,
    "Share of the memory limit above which objects are written to the spill tier ahead of need");
DEFINE_double(low_watermark, 0.60, "Share of the memory limit at which that writing stops");
DEFINE_double(wait_for_room_seconds, 10,
              "How long a put or a restore waits for room in memory before it fails");
DEFINE_uint32(waiters_max, 65536,
              "Puts and restores that may wait for room at once; one more fails at once");
DEFINE_bool(prefault, false,
            "Touch all payload memory at the start, so that nothing pays for fresh pages later");
DEFINE_bool(huge_pages, false, "Ask the kernel for huge pages for payload memory");

namespace spillway {
namespace {

// A wait of more than a year is a mistake, not a choice.
constexpr double kWaitSecondsMax = 366.0 * 24 * 3600;

absl::Status FlagError(absl::string_view flag, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": ", problem));
}

absl::Status ReadMemoryLimit(StoreOptions* options) {
  MemorySize memory;
  if (IsPercentage(FLAGS_memory_limit)) {
    absl::StatusOr<MemorySize> found = FindMemorySize();
    if (!found.ok()) return FlagError("memory_limit", found.status().message());
    memory = *std::move(found);
  }
  const absl::StatusOr<uint64_t> bytes = ParseSizeOrPercentage(FLAGS_memory_limit, memory.bytes);
  if (!bytes.ok()) return FlagError("memory_limit", bytes.status().message());
  const bool too_small = *bytes < StoreOptions::kMemoryLimitBytesMin;
  if (too_small || *bytes > StoreOptions::kMemoryLimitBytesMax) {
    return FlagError(
        "memory_limit",
        absl::StrCat("'", FLAGS_memory_limit, "' is too ", too_small ? "small" : "large",
                     "; it may be from ", FormatSize(StoreOptions::kMemoryLimitBytesMin), " to ",
                     FormatSize(StoreOptions::kMemoryLimitBytesMax)));
  }
  options->memory_limit_bytes = *bytes;
  return absl::OkStatus();
}

absl::Status ReadSpillTier(StoreOptions* options) {
  if (!FLAGS_spill_dir.empty()) options->spill_directory = FLAGS_spill_dir;
  const absl::StatusOr<uint64_t> bytes = ParseSize(FLAGS_spill_limit);
  if (!bytes.ok()) return FlagError("spill_limit", bytes.status().message());
  if (*bytes != 0 && options->spill_directory.empty()) {
    return FlagError("spill_limit", "it needs --spill_dir, the directory that it limits");
  }
  options->spill_limit_bytes = *bytes;
  return absl::OkStatus();
}

// Sets *choice to what the flag's value stands for.
template <typename Choice>
absl::Status ReadChoice(absl::string_view flag, const std::string& value,
                        const std::map<std::string, Choice>& choices, Choice* choice) {
  const auto found = choices.find(value);
  if (found == choices.end()) {
    return FlagError(
        flag, absl::StrCat("'", value, "' is none of ",
                           absl::StrJoin(choices, ", ", [](std::string* out, const auto& known) {
                             out->append(known.first);
                           })));
  }
  *choice = found->second;
  return absl::OkStatus();
}

absl::Status ReadSpillCompression(StoreOptions* options) {
  return ReadChoice<SpillCompression>("spill_compression", FLAGS_spill_compression,
                                      {{"none", SpillCompression::kNone},
                                       {"lz4", SpillCompression::kLz4},
                                       {"zstd", SpillCompression::kZstd}},
                                      &options->spill_compression);
}

absl::Status ReadRecovery(StoreOptions* options) {
  return ReadChoice<SpillRecovery>(
      "recovery", FLAGS_recovery,
      {{"discard", SpillRecovery::kDiscard}, {"keep", SpillRecovery::kKeep}}, &options->recovery);
}

absl::Status ReadEvictionPolicy(StoreOptions* options) {
  const std::vector<std::string_view> known = EvictionPolicyNames();
  const std::vector<std::string> names(known.begin(), known.end());
  if (std::find(names.begin(), names.end(), FLAGS_eviction_policy) == names.end()) {
    return FlagError("eviction_policy",
                     absl::StrCat("'", FLAGS_eviction_policy, "' is no eviction policy; there are ",
                                  absl::StrJoin(names, ", ")));
  }
  options->eviction_policy = FLAGS_eviction_policy;
  return absl::OkStatus();
}

absl::Status ReadWatermarks(StoreOptions* options) {
  // Written so that NaN fails them too.
  const auto is_share = [](double value) { return value > 0 && value <= 1; };
  if (!is_share(FLAGS_high_watermark)) {
    return FlagError(
        "high_watermark",
        absl::StrCat(FLAGS_high_watermark, " is no share; it may be above 0 and at most 1"));
  }
  if (!is_share(FLAGS_low_watermark)) {
    return FlagError(
        "low_watermark",
        absl::StrCat(FLAGS_low_watermark, " is no share; it may be above 0 and at most 1"));
  }
  if (FLAGS_low_watermark >= FLAGS_high_watermark) {
    return FlagError("low_watermark",
                     absl::StrCat(FLAGS_low_watermark, " must be below --high_watermark, which is ",
                                  FLAGS_high_watermark));
  }
  options->high_watermark = FLAGS_high_watermark;
  options->low_watermark = FLAGS_low_watermark;
  return absl::OkStatus();
}

absl::Status ReadWaiting(StoreOptions* options) {
  if (!(FLAGS_wait_for_room_seconds >= 0 && FLAGS_wait_for_room_seconds <= kWaitSecondsMax)) {
    return FlagError("wait_for_room_seconds",
                     absl::StrCat(FLAGS_wait_for_room_seconds,
                                  " is out of range; it may be from 0 to ", kWaitSecondsMax));
  }
  options->wait_for_room_max = absl::Seconds(FLAGS_wait_for_room_seconds);
  if (FLAGS_waiters_max == 0)
    return FlagError("waiters_max", "0 is out of range; it must be at least 1");
  options->waiters_max = FLAGS_waiters_max;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<StoreOptions> StoreOptionsFromFlags(const std::string& default_spill_directory) {
  StoreOptions options;
  options.spill_directory = default_spill_directory;
  for (const auto& read : {ReadMemoryLimit, ReadSpillTier, ReadSpillCompression, ReadRecovery,
                           ReadEvictionPolicy, ReadWatermarks, ReadWaiting}) {
    absl::Status status = read(&options);
    if (!status.ok()) return status;
  }
  options.prefault = FLAGS_prefault;
  options.huge_pages = FLAGS_huge_pages;
  // The store's own judgement comes last: it speaks of options, not of flags.
  absl::Status status = ValidateStoreOptions(options);
  if (!status.ok()) return status;
  return options;
}

std::vector<std::string> StoreFlagNames() {
  return {"memory_limit",      "spill_dir",     "spill_limit",
          "spill_compression", "recovery",      "eviction_policy",
          "high_watermark",    "low_watermark", "wait_for_room_seconds",
          "waiters_max",       "prefault",      "huge_pages"};
}

}  // namespace spillway
