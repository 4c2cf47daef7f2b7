#include "tools/spillway/progress.h"

#include <cstdio>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace spillway {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr uint64_t kMiB = uint64_t{1} << 20;

ProgressSample Sample() {
  ProgressSample sample;
  sample.phase = "reading";
  sample.done_bytes = 75 * kMiB;
  sample.total_bytes = 300 * kMiB;
  sample.memory_used_bytes = 31 * kMiB;
  sample.memory_limit_bytes = 32 * kMiB;
  sample.disk_bytes = 40 * kMiB;
  return sample;
}

TEST(ProgressTest, ABarFillsTheWidthThatThereIs) {
  EXPECT_EQ(
      ProgressBar(Sample(), 212.0 * kMiB, 100),
      "reading  25% [======>                 ]    212 MiB/s  memory 31 MiB of 32 MiB  disk 40 MiB");
  for (size_t width = 0; width < 200; ++width) {
    EXPECT_LT(ProgressBar(Sample(), 1e9, width).size(), width == 0 ? 1 : width);
  }
  EXPECT_THAT(ProgressBar(Sample(), 1e9, 60), Not(HasSubstr("[")));
  EXPECT_THAT(ProgressBar(Sample(), 1e9, 60), StartsWith("reading  25%"));
}

TEST(ProgressTest, WithoutATotalItShowsAnAmount) {
  ProgressSample sample = Sample();
  sample.total_bytes.reset();
  EXPECT_THAT(ProgressBar(sample, 1, 100), StartsWith("reading  75 MiB"));
  EXPECT_THAT(ProgressLine(sample, 1), StartsWith("reading 75 MiB, 1 B/s"));
}

TEST(ProgressTest, MoreThanEverythingIsEverything) {
  ProgressSample sample = Sample();
  sample.done_bytes = 400 * kMiB;
  EXPECT_THAT(ProgressBar(sample, 1, 100), HasSubstr("100% [========================]"));
  sample.total_bytes = 0;
  EXPECT_THAT(ProgressBar(sample, 1, 100), HasSubstr("  0% [>"));
}

TEST(ProgressTest, ALineSaysItAll) {
  EXPECT_EQ(ProgressLine(Sample(), 212.0 * kMiB),
            "reading 75 MiB of 300 MiB (25%), 212 MiB/s; memory 31 MiB of 32 MiB, disk 40 MiB");
}

TEST(ProgressTest, StylesAreNamed) {
  EXPECT_EQ(ParseProgressStyle("bar", stderr).value(), ProgressStyle::kBar);
  EXPECT_EQ(ParseProgressStyle("lines", stderr).value(), ProgressStyle::kLines);
  EXPECT_EQ(ParseProgressStyle("none", stderr).value(), ProgressStyle::kNone);
  EXPECT_EQ(ParseProgressStyle("fancy", stderr).status().code(),
            absl::StatusCode::kInvalidArgument);
  std::FILE* const no_terminal = std::tmpfile();
  EXPECT_EQ(ParseProgressStyle("auto", no_terminal).value(), ProgressStyle::kLines);
  std::fclose(no_terminal);
}

TEST(ProgressTest, ADisplayEndsAtOnce) {
  std::FILE* const stream = std::tmpfile();
  for (ProgressStyle style : {ProgressStyle::kNone, ProgressStyle::kLines, ProgressStyle::kBar}) {
    const ProgressDisplay display(style, stream, Sample);
  }
  std::fclose(stream);
}

}  // namespace
}  // namespace spillway
