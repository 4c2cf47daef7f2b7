// The trace reader: what it accepts, and that nothing a file can contain hurts it.
#include "benchmarks/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <fstream>
#include <random>
#include <string>

namespace spillway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Trace SmallTrace() {
  Trace trace;
  trace.name = "small";
  trace.object_size_bytes = {10, 20, 0xffffffffu};
  trace.requests = {0, 1, 0, 2, 1};
  return trace;
}

std::string Compressed(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
  return out;
}

// The bytes of SmallTrace() with one byte range replaced.
std::string Patched(size_t at, const std::string& with) {
  std::string bytes = EncodeTrace(SmallTrace());
  return bytes.replace(at, with.size(), with);
}

void ExpectSmallTrace(const absl::StatusOr<Trace>& read) {
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->object_size_bytes, SmallTrace().object_size_bytes);
  EXPECT_EQ(read->requests, SmallTrace().requests);
}

TEST(Trace, ReadsWhatWasEncoded) { ExpectSmallTrace(ParseTrace(EncodeTrace(SmallTrace()), "x")); }

TEST(Trace, ReadsCompressed) {
  ExpectSmallTrace(ParseTrace(Compressed(EncodeTrace(SmallTrace())), "x"));
}

TEST(Trace, ReadsAFileAndNamesItAfterIt) {
  const std::string path = testing::TempDir() + "/orders.objtrc.zst";
  std::ofstream(path, std::ios::binary) << Compressed(EncodeTrace(SmallTrace()));
  const absl::StatusOr<Trace> read = ReadTrace(path);
  ExpectSmallTrace(read);
  EXPECT_EQ(read->name, "orders");
}

TEST(Trace, SumsBytes) {
  EXPECT_EQ(SmallTrace().UniqueBytes(), 30u + uint64_t{0xffffffffu});
  EXPECT_EQ(SmallTrace().RequestBytes(), 60u + uint64_t{0xffffffffu});
}

TEST(Trace, SkipsTimes) {
  std::string bytes = Patched(8, std::string("\x01\0\0\0", 4));
  bytes.append(5 * 4, '\7');
  ExpectSmallTrace(ParseTrace(bytes, "x"));
}

TEST(Trace, TakesOnlyTheFirstRequestsIfAsked) {
  const auto read = ParseTrace(EncodeTrace(SmallTrace()), "x", {.take_requests_max = 2});
  ASSERT_TRUE(read.ok());
  EXPECT_THAT(read->requests, ElementsAre(0, 1));
}

TEST(Trace, ReadsCsv) {
  const auto read = ParseTrace("id,size\n# comment\n700,10\r\n\n 5 , 20 ,x\n700,99\n5,20", "csv");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->object_size_bytes, ElementsAre(10, 20));
  EXPECT_THAT(read->requests, ElementsAre(0, 1, 0, 1));
}

TEST(Trace, ReadsCompressedCsv) {
  const auto read = ParseTrace(Compressed("1,5\n2,6\n"), "csv");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->object_size_bytes, ElementsAre(5, 6));
}

TEST(Trace, RefusesAMissingFile) {
  EXPECT_EQ(ReadTrace("/nonexistent/trace").status().code(), absl::StatusCode::kNotFound);
}

struct BadTrace {
  std::string bytes;
  std::string says;
};

TEST(Trace, RefusesWhatIsNoTraceAndSaysWhy) {
  const std::string good = EncodeTrace(SmallTrace());
  std::string cut_zstd = Compressed(good);
  cut_zstd.pop_back();
  const BadTrace cases[] = {
      {"", "empty"},
      {good.substr(0, 20), "header takes 24 bytes"},
      {good.substr(0, good.size() - 1), "file ends after 4"},
      {good + "x", "bytes after the last request"},
      {Patched(8, "\x02"), "unknown flags"},
      {Patched(12, "\xf0\xff\xff\xff"), "promises 4294967280 of object_size"},
      {Patched(16, "\xff\xff\xff\x0f"), "promises 268435455 of object_id"},
      {Patched(36, "\x03"), "request 0 is of object 3, there are 3"},
      {cut_zstd, "cut short"},
      {"\x28\xb5\x2f\xfd garbage", "damaged"},
      {"1,2\nx,3\n", "line 2: the id is no number"},
      {"1\n", "line 1: the size is no number"},
      {"1,4294967296\n", "line 1: the size is no number below 2^32"},
      {"1,-4\n", "line 1: the size"},
      {std::string(100'000, '1'), "no trace"},
  };
  for (const BadTrace& bad : cases) {
    const absl::Status status = ParseTrace(bad.bytes, "bad").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.says;
    EXPECT_THAT(std::string(status.message()), HasSubstr(bad.says));
    EXPECT_THAT(std::string(status.message()), HasSubstr("trace bad: "));
  }
}

TEST(Trace, RefusesMoreRequestsThanTheLimit) {
  EXPECT_EQ(ParseTrace(EncodeTrace(SmallTrace()), "x", {.requests_max = 4}).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ParseTrace("1,1\n2,1\n", "x", {.requests_max = 1}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Trace, SurvivesDamageOfAnyByte) {
  const std::string plain = EncodeTrace(SmallTrace());
  std::mt19937 random(1);
  for (const std::string& good : {plain, Compressed(plain), std::string("1,2\n3,4\n1,2\n")}) {
    for (int i = 0; i < 20'000; ++i) {
      std::string bad = good;
      for (uint32_t flips = 1 + random() % 3; flips > 0; --flips) {
        bad[random() % bad.size()] = static_cast<char>(random());
      }
      if (random() % 4 == 0) bad.resize(random() % bad.size());
      const auto read = ParseTrace(bad, "bad", {.requests_max = 1000});
      if (!read.ok()) continue;
      for (const uint32_t object : read->requests) {
        ASSERT_LT(object, read->object_size_bytes.size());
      }
    }
  }
}

}  // namespace
}  // namespace spillway
