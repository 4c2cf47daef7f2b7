#include "runtime/store_flags.h"

#include <limits>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gflags/gflags.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace spillway {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class StoreFlagsTest : public testing::Test {
 protected:
  // The message for the flags as they stand, which must be an InvalidArgument on one line.
  static std::string Refusal() {
    const absl::StatusOr<StoreOptions> options = StoreOptionsFromFlags();
    EXPECT_EQ(options.status().code(), absl::StatusCode::kInvalidArgument) << options.status();
    const std::string message(options.status().message());
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  }

  gflags::FlagSaver saver_;  // puts the flags back
};

TEST_F(StoreFlagsTest, DefaultsAreTheStoresDefaults) {
  const StoreOptions options = StoreOptionsFromFlags().value();
  const StoreOptions defaults;
  EXPECT_EQ(options.memory_limit_bytes, defaults.memory_limit_bytes);
  EXPECT_EQ(options.spill_directory, defaults.spill_directory);
  EXPECT_EQ(options.spill_limit_bytes, defaults.spill_limit_bytes);
  EXPECT_EQ(options.spill_compression, defaults.spill_compression);
  EXPECT_EQ(options.recovery, defaults.recovery);
  EXPECT_EQ(options.eviction_policy, defaults.eviction_policy);
  EXPECT_EQ(options.high_watermark, defaults.high_watermark);
  EXPECT_EQ(options.low_watermark, defaults.low_watermark);
  EXPECT_EQ(options.wait_for_room_max, defaults.wait_for_room_max);
  EXPECT_EQ(options.waiters_max, defaults.waiters_max);
  EXPECT_EQ(options.prefault, defaults.prefault);
  EXPECT_EQ(options.huge_pages, defaults.huge_pages);
}

TEST_F(StoreFlagsTest, EveryFlagReachesItsOption) {
  FLAGS_memory_limit = "64MiB";
  FLAGS_spill_dir = "/somewhere";
  FLAGS_spill_limit = "20G";
  FLAGS_spill_compression = "zstd";
  FLAGS_recovery = "keep";
  FLAGS_eviction_policy = "sieve";
  FLAGS_high_watermark = 0.9;
  FLAGS_low_watermark = 0.5;
  FLAGS_wait_for_room_seconds = 1.5;
  FLAGS_waiters_max = 7;
  FLAGS_prefault = true;
  FLAGS_huge_pages = true;
  const StoreOptions options = StoreOptionsFromFlags().value();
  EXPECT_EQ(options.memory_limit_bytes, 64 * kMiB);
  EXPECT_EQ(options.spill_directory, "/somewhere");
  EXPECT_EQ(options.spill_limit_bytes, 20 * kGiB);
  EXPECT_EQ(options.spill_compression, SpillCompression::kZstd);
  EXPECT_EQ(options.recovery, SpillRecovery::kKeep);
  EXPECT_EQ(options.eviction_policy, "sieve");
  EXPECT_EQ(options.high_watermark, 0.9);
  EXPECT_EQ(options.low_watermark, 0.5);
  EXPECT_EQ(options.wait_for_room_max, absl::Milliseconds(1500));
  EXPECT_EQ(options.waiters_max, 7u);
  EXPECT_TRUE(options.prefault);
  EXPECT_TRUE(options.huge_pages);
}

TEST_F(StoreFlagsTest, AMemoryLimitMayBeAShareOfMemory) {
  FLAGS_memory_limit = "50%";
  const uint64_t half = StoreOptionsFromFlags().value().memory_limit_bytes;
  FLAGS_memory_limit = "100%";
  EXPECT_NEAR(static_cast<double>(StoreOptionsFromFlags().value().memory_limit_bytes),
              2.0 * static_cast<double>(half), 2);
}

TEST_F(StoreFlagsTest, BadMemoryLimitsAreNamed) {
  for (const char* text :
       {"", "-1", "nan", "12Q", "1K", "0", "900P", "99999999999999999999", "0%", "101%"}) {
    FLAGS_memory_limit = text;
    EXPECT_THAT(Refusal(), StartsWith("--memory_limit: ")) << text;
  }
}

TEST_F(StoreFlagsTest, BadSpillLimitsAreNamed) {
  for (const char* text : {"", "-5G", "many", "50%"}) {
    FLAGS_spill_limit = text;
    EXPECT_THAT(Refusal(), StartsWith("--spill_limit: ")) << text;
  }
}

TEST_F(StoreFlagsTest, AChoiceIsOneOfThose) {
  FLAGS_spill_compression = "lz4";
  EXPECT_EQ(StoreOptionsFromFlags()->spill_compression, SpillCompression::kLz4);
  FLAGS_spill_compression = "gzip";
  EXPECT_EQ(Refusal(), "--spill_compression: 'gzip' is none of lz4, none, zstd");
  FLAGS_spill_compression = "none";
  FLAGS_recovery = "";
  EXPECT_EQ(Refusal(), "--recovery: '' is none of discard, keep");
}

TEST_F(StoreFlagsTest, ASpillLimitNeedsADirectory) {
  FLAGS_spill_limit = "20G";
  EXPECT_THAT(Refusal(), StartsWith("--spill_limit: it needs --spill_dir"));
  EXPECT_EQ(StoreOptionsFromFlags("/somewhere").value().spill_directory, "/somewhere");
  FLAGS_spill_dir = "/elsewhere";
  EXPECT_EQ(StoreOptionsFromFlags("/somewhere").value().spill_directory, "/elsewhere");
}

TEST_F(StoreFlagsTest, AnUnknownPolicyIsAnsweredWithTheKnownOnes) {
  FLAGS_eviction_policy = "clairvoyant";
  EXPECT_THAT(Refusal(), StartsWith("--eviction_policy: 'clairvoyant'"));
  EXPECT_THAT(Refusal(), HasSubstr("lru"));
}

TEST_F(StoreFlagsTest, WatermarksMustBeSharesInOrder) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (double bad : {0.0, -0.5, 1.01, nan, infinity, -infinity}) {
    FLAGS_high_watermark = bad;
    FLAGS_low_watermark = 0.5;
    EXPECT_THAT(Refusal(), StartsWith("--high_watermark: "));
    FLAGS_high_watermark = 0.9;
    FLAGS_low_watermark = bad;
    EXPECT_THAT(Refusal(), StartsWith("--low_watermark: "));
  }
  FLAGS_high_watermark = 0.5;
  FLAGS_low_watermark = 0.6;
  EXPECT_EQ(Refusal(), "--low_watermark: 0.6 must be below --high_watermark, which is 0.5");
  FLAGS_low_watermark = 0.5;
  EXPECT_THAT(Refusal(), StartsWith("--low_watermark: "));
}

TEST_F(StoreFlagsTest, BadWaitsAreNamed) {
  for (double bad : {-1.0, 1e300, std::numeric_limits<double>::quiet_NaN()}) {
    FLAGS_wait_for_room_seconds = bad;
    EXPECT_THAT(Refusal(), StartsWith("--wait_for_room_seconds: "));
  }
  FLAGS_wait_for_room_seconds = 1;
  FLAGS_waiters_max = 0;
  EXPECT_THAT(Refusal(), StartsWith("--waiters_max: "));
}

TEST_F(StoreFlagsTest, TheListOfFlagsIsTheFlagsThatExist) {
  for (const std::string& name : StoreFlagNames()) {
    gflags::CommandLineFlagInfo info;
    ASSERT_TRUE(gflags::GetCommandLineFlagInfo(name.c_str(), &info)) << name;
    EXPECT_THAT(info.filename, HasSubstr("store_flags"));
    EXPECT_FALSE(info.description.empty());
  }
  std::vector<gflags::CommandLineFlagInfo> all;
  gflags::GetAllFlags(&all);
  size_t ours = 0;
  for (const gflags::CommandLineFlagInfo& info : all) {
    if (info.filename.find("store_flags") != std::string::npos) ++ours;
  }
  EXPECT_EQ(ours, StoreFlagNames().size());
}

}  // namespace
}  // namespace spillway
