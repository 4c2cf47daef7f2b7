#include "tools/spillway/command_line.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gflags/gflags.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

DEFINE_string(text_flag, "", "for this test");
DEFINE_bool(switch_flag, false, "for this test");
DEFINE_double(number_flag, 0, "for this test");
DEFINE_uint32(count_flag, 0, "for this test");

namespace spillway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<std::string> kFlags = {"text_flag", "switch_flag", "number_flag", "count_flag"};

class CommandLineTest : public testing::Test {
 protected:
  static std::string Refusal(const std::vector<std::string>& words) {
    const absl::StatusOr<std::vector<std::string>> read = ReadFlags(words, kFlags);
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(read.status().message());
  }

  gflags::FlagSaver saver_;
};

TEST_F(CommandLineTest, ReadsFlagsInAllTheirSpellings) {
  EXPECT_THAT(
      ReadFlags({"--text_flag=a=b", "file", "-number-flag", "1.5", "--switch_flag", "-"}, kFlags)
          .value(),
      ElementsAre("file", "-"));
  EXPECT_EQ(FLAGS_text_flag, "a=b");
  EXPECT_EQ(FLAGS_number_flag, 1.5);
  EXPECT_TRUE(FLAGS_switch_flag);
  EXPECT_THAT(ReadFlags({"--noswitch_flag", "--text_flag=", "--count_flag", "7"}, kFlags).value(),
              IsEmpty());
  EXPECT_FALSE(FLAGS_switch_flag);
  EXPECT_EQ(FLAGS_text_flag, "");
  EXPECT_EQ(FLAGS_count_flag, 7u);
}

TEST_F(CommandLineTest, TwoDashesEndTheFlags) {
  EXPECT_THAT(ReadFlags({"a", "--", "--text_flag=x", "--"}, kFlags).value(),
              ElementsAre("a", "--text_flag=x", "--"));
  EXPECT_EQ(FLAGS_text_flag, "");
}

TEST_F(CommandLineTest, AnUnknownFlagIsNamedWithTheNearestKnownOne) {
  EXPECT_EQ(Refusal({"--txt_flag=1"}), "unknown flag --txt_flag; did you mean --text_flag?");
  EXPECT_EQ(Refusal({"--zzzzzzzz"}), "unknown flag --zzzzzzzz");
  EXPECT_EQ(Refusal({"--notext_flag"}), "unknown flag --notext_flag; did you mean --text_flag?");
  EXPECT_THAT(Refusal({"-x"}), HasSubstr("--x"));
}

TEST_F(CommandLineTest, FlagsOfLibrariesAreUnknown) {
  EXPECT_THAT(Refusal({"--flagfile=/etc/passwd"}), HasSubstr("unknown flag --flagfile"));
  EXPECT_THAT(Refusal({"--log_dir=/"}), HasSubstr("unknown flag --log_dir"));
}

TEST_F(CommandLineTest, ABadOrMissingValueIsNamed) {
  EXPECT_EQ(Refusal({"--number_flag=high"}), "--number_flag: 'high' is not a number");
  EXPECT_EQ(Refusal({"--count_flag=-1"}),
            "--count_flag: '-1' is not a whole number that is not negative");
  EXPECT_EQ(Refusal({"--count_flag=99999999999"}),
            "--count_flag: '99999999999' is not a whole number that is not negative");
  EXPECT_EQ(Refusal({"--switch_flag=perhaps"}), "--switch_flag: 'perhaps' is not true or false");
  EXPECT_EQ(Refusal({"--text_flag"}), "--text_flag: a value is missing; write --text_flag=VALUE");
}

}  // namespace
}  // namespace spillway
