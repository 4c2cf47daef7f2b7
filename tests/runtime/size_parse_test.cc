#include "runtime/size_parse.h"

#include <cstdint>
#include <limits>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace spillway {
namespace {

using ::testing::HasSubstr;

TEST(ParseSizeTest, ReadsBinaryAndDecimalUnits) {
  EXPECT_EQ(ParseSize("0").value(), 0u);
  EXPECT_EQ(ParseSize("123").value(), 123u);
  EXPECT_EQ(ParseSize("123B").value(), 123u);
  EXPECT_EQ(ParseSize("1K").value(), 1024u);
  EXPECT_EQ(ParseSize("1KiB").value(), 1024u);
  EXPECT_EQ(ParseSize("1kb").value(), 1000u);
  EXPECT_EQ(ParseSize("512MiB").value(), uint64_t{512} << 20);
  EXPECT_EQ(ParseSize("3m").value(), uint64_t{3} << 20);
  EXPECT_EQ(ParseSize("2 GiB").value(), uint64_t{2} << 30);
  EXPECT_EQ(ParseSize("2GB").value(), uint64_t{2000000000});
  EXPECT_EQ(ParseSize("1T").value(), uint64_t{1} << 40);
  EXPECT_EQ(ParseSize("1PiB").value(), uint64_t{1} << 50);
  EXPECT_EQ(ParseSize(" 64MiB\n").value(), uint64_t{64} << 20);
}

TEST(ParseSizeTest, ReadsFractionsExactly) {
  EXPECT_EQ(ParseSize("1.5G").value(), (uint64_t{3} << 30) / 2);
  EXPECT_EQ(ParseSize(".5K").value(), 512u);
  EXPECT_EQ(ParseSize("0.1K").value(), 102u);
  EXPECT_EQ(ParseSize("2.").value(), 2u);
}

TEST(ParseSizeTest, TakesTheLargestNumberAndRefusesTheNext) {
  EXPECT_EQ(ParseSize("18446744073709551615").value(), std::numeric_limits<uint64_t>::max());
  for (const char* text :
       {"18446744073709551616", "99999999999999999999999", "16384P", "18014398509481984K"}) {
    const absl::Status status = ParseSize(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("too large")) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
  EXPECT_EQ(ParseSize("16383.999999999P").value() >> 50, 16383u);
}

TEST(ParseSizeTest, RefusesWhatIsNoSize) {
  for (const char* text : {"", " ", "abc", "nan", "inf", "1e9", "0x10", "12Q", "1KK", "1iB", "1 0",
                           "1  K", "MiB", ".", "1.2.3", "+1", "12MiBs", "1,000", "1.0000000001K"}) {
    const absl::Status status = ParseSize(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << "'" << text << "'";
  }
  EXPECT_THAT(std::string(ParseSize("").status().message()), HasSubstr("empty"));
  EXPECT_THAT(std::string(ParseSize("-1").status().message()), HasSubstr("negative"));
  EXPECT_THAT(std::string(ParseSize("-5MiB").status().message()), HasSubstr("negative"));
  EXPECT_THAT(std::string(ParseSize("50%").status().message()), HasSubstr("percentage"));
}

TEST(ParseSizeTest, MessagesFitOnOneLine) {
  EXPECT_EQ(ParseSize("12\n34").status().message().find('\n'), absl::string_view::npos);
}

TEST(ParseSizeOrPercentageTest, TakesAShareOfTheWhole) {
  EXPECT_EQ(ParseSizeOrPercentage("50%", 1000).value(), 500u);
  EXPECT_EQ(ParseSizeOrPercentage("100%", 12345).value(), 12345u);
  EXPECT_EQ(ParseSizeOrPercentage("12.5 %", 800).value(), 100u);
  EXPECT_EQ(ParseSizeOrPercentage("100%", std::numeric_limits<uint64_t>::max()).value(),
            std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(ParseSizeOrPercentage("64K", 1).value(), 65536u);
}

TEST(ParseSizeOrPercentageTest, RefusesSharesOutOfRange) {
  for (const char* text : {"0%", "101%", "100.1%", "-5%", "%", "x%", "nan%", "50%%", "5K%"}) {
    EXPECT_EQ(ParseSizeOrPercentage(text, 1000).status().code(), absl::StatusCode::kInvalidArgument)
        << text;
  }
}

TEST(FormatSizeTest, IsShort) {
  EXPECT_EQ(FormatSize(0), "0 B");
  EXPECT_EQ(FormatSize(1023), "1023 B");
  EXPECT_EQ(FormatSize(1024), "1 KiB");
  EXPECT_EQ(FormatSize(1536), "1.5 KiB");
  EXPECT_EQ(FormatSize(uint64_t{512} << 20), "512 MiB");
  EXPECT_EQ(FormatSize((uint64_t{1} << 30) - 1), "1 GiB");
  EXPECT_EQ(FormatSize(std::numeric_limits<uint64_t>::max()), "16 EiB");
}

}  // namespace
}  // namespace spillway
