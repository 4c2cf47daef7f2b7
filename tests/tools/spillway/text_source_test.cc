#include "tools/spillway/sort/text_source.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/object_store.h"

namespace spillway::sort {
namespace {

using ::testing::HasSubstr;

class TextSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info();
    directory_ = testing::TempDir() + "/text_source_" + info->name();
    std::filesystem::create_directories(directory_);
    StoreOptions options;
    options.memory_limit_bytes = 16 * kMiB;
    store_ = ObjectStore::Open(options, nullptr).value();
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name, std::ios::binary) << text;
    return directory_ + "/" + name;
  }

  std::string directory_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_F(TextSourceTest, FilesFollowEachOtherInCompleteLines) {
  const std::vector<std::string> paths = {Write("a", "one\ntwo"), Write("b", ""), Write("c", "\n"),
                                          Write("d", "three\n")};
  std::unique_ptr<TextSource> source = TextSource::Open(paths).value();
  EXPECT_EQ(source->size_bytes(), 14u);
  std::string text;
  char room[4];
  while (size_t bytes = source->Read(absl::MakeSpan(room)).value()) text.append(room, bytes);
  EXPECT_EQ(text, "one\ntwo\n\nthree\n");
  EXPECT_EQ(source->Read(absl::MakeSpan(room)).value(), 0u);
}

TEST_F(TextSourceTest, WhatIsTakenBackComesAgain) {
  std::mt19937_64 random(3);
  std::string expected;
  for (int i = 0; i < 20000; ++i) expected.append(std::to_string(random())).push_back('\n');
  const size_t half = expected.size() / 2;
  std::unique_ptr<TextSource> source =
      TextSource::Open({Write("a", expected.substr(0, half)), Write("b", expected.substr(half))})
          .value();
  // The first file ends within a line, which gets a newline of its own.
  expected.insert(half, expected[half - 1] == '\n' ? "" : "\n");
  std::string text;
  std::vector<char> room(50000);
  while (true) {
    // As a block does: fills up in a few reads, and gives back a part of what it has.
    size_t filled = 0;
    for (uint64_t reads = 1 + random() % 3; reads > 0 && filled < room.size(); --reads) {
      const size_t most = 1 + random() % (room.size() - filled);
      filled += source->Read(absl::MakeSpan(room.data() + filled, most)).value();
    }
    if (filled == 0) break;
    const size_t back = random() % filled;
    text.append(room.data(), filled - back);
    ASSERT_TRUE(source->Unread({room.data() + filled - back, back}, store_.get()).ok());
  }
  EXPECT_TRUE(text == expected);
}

TEST_F(TextSourceTest, ErrorsNameTheFile) {
  const absl::Status missing = TextSource::Open({directory_ + "/none"}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("/none': No such file or directory"));
  EXPECT_THAT(std::string(TextSource::Open({directory_}).status().message()),
              HasSubstr("Is a directory"));
  // It opens, but cannot be read.
  std::unique_ptr<TextSource> source = TextSource::Open({"/proc/self/mem"}).value();
  char room[16];
  EXPECT_EQ(source->Read(absl::MakeSpan(room)).status().message(),
            "cannot read '/proc/self/mem': Input/output error");
}

}  // namespace
}  // namespace spillway::sort
