#include "runtime/runtime_flags.h"

#include <string>

#include "gflags/gflags.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace spillway {
namespace {

using ::testing::StartsWith;

class RuntimeFlagsTest : public testing::Test {
 protected:
  static std::string Refusal() {
    const absl::StatusOr<RuntimeOptions> options = RuntimeOptionsFromFlags();
    EXPECT_EQ(options.status().code(), absl::StatusCode::kInvalidArgument) << options.status();
    return std::string(options.status().message());
  }

  gflags::FlagSaver saver_;  // puts the flags back
};

TEST_F(RuntimeFlagsTest, DefaultsAreTheRuntimesDefaults) {
  const RuntimeOptions options = RuntimeOptionsFromFlags().value();
  const RuntimeOptions defaults;
  EXPECT_EQ(options.workers, defaults.workers);
  EXPECT_EQ(options.fetch_threads, defaults.fetch_threads);
  EXPECT_EQ(options.arguments_share_max, defaults.arguments_share_max);
  EXPECT_EQ(options.trace_out, defaults.trace_out);
}

TEST_F(RuntimeFlagsTest, EveryFlagReachesItsOption) {
  FLAGS_workers = 3;
  FLAGS_fetch_threads = 5;
  FLAGS_arguments_share = 0.25;
  FLAGS_trace_out = "/tmp/trace.json";
  const RuntimeOptions options = RuntimeOptionsFromFlags().value();
  EXPECT_EQ(options.workers, 3);
  EXPECT_EQ(options.fetch_threads, 5);
  EXPECT_EQ(options.arguments_share_max, 0.25);
  EXPECT_EQ(options.trace_out, "/tmp/trace.json");
}

TEST_F(RuntimeFlagsTest, WrongValuesAreRefusedByName) {
  FLAGS_workers = -1;
  EXPECT_THAT(Refusal(), StartsWith("--workers: -1 is out of range; it may be from 0 to 1024"));
  FLAGS_workers = 0;
  FLAGS_fetch_threads = 0;
  EXPECT_THAT(Refusal(), StartsWith("--fetch_threads: 0 is out of range"));
  FLAGS_fetch_threads = 1;
  FLAGS_arguments_share = 1;
  EXPECT_THAT(Refusal(), StartsWith("--arguments_share: 1 is out of range"));
}

TEST(RuntimeOptionsTest, EachOptionIsChecked) {
  const auto refused = [](auto change) {
    RuntimeOptions options;
    change(options);
    return ValidateRuntimeOptions(options).code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(ValidateRuntimeOptions(RuntimeOptions()).ok());
  EXPECT_TRUE(refused([](RuntimeOptions& o) { o.workers = 1025; }));
  EXPECT_TRUE(refused([](RuntimeOptions& o) { o.outstanding_tasks_max = 0; }));
  EXPECT_TRUE(refused([](RuntimeOptions& o) { o.outstanding_bytes_max = 0; }));
  EXPECT_TRUE(refused([](RuntimeOptions& o) { o.arguments_share_max = 0.95; }));
  EXPECT_TRUE(refused([](RuntimeOptions& o) { o.fetch_threads = 65; }));
  EXPECT_TRUE(refused([](RuntimeOptions& o) { o.no_progress_max = absl::ZeroDuration(); }));
  EXPECT_TRUE(refused([](RuntimeOptions& o) { o.submit_wait_max = -absl::Seconds(1); }));
  EXPECT_TRUE(refused([](RuntimeOptions& o) { o.shutdown_wait_max = -absl::Seconds(1); }));
}

}  // namespace
}  // namespace spillway
