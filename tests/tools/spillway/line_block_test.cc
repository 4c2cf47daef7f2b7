#include "tools/spillway/sort/line_block.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "tests/tools/spillway/random_lines.h"

namespace spillway::sort {
namespace {

constexpr size_t kBlockBytes = LineBlock::kBytesMin;

struct alignas(16) Unit {
  char bytes[16];
};

class LineBlockTest : public testing::Test {
 protected:
  // Reads `text` from `*at` on until the block is full or the text is over, in pieces of up to
  // `piece` bytes.
  void Fill(const std::string& text, size_t piece, size_t* at) {
    while (*at < text.size()) {
      const absl::Span<char> room = block_.Free(piece);
      if (room.empty()) return;
      ASSERT_LE(room.size(), piece);
      const size_t bytes = std::min(room.size(), text.size() - *at);
      std::memcpy(room.data(), text.data() + *at, bytes);
      block_.Append(bytes);
      *at += bytes;
    }
  }

  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    for (const LineEntry& entry : block_.lines())
      lines.emplace_back(block_.text() + entry.offset, entry.length);
    std::reverse(lines.begin(), lines.end());  // the index grows downwards
    return lines;
  }

  std::vector<Unit> memory_ = std::vector<Unit>(kBlockBytes / sizeof(Unit));
  LineBlock block_{absl::MakeSpan(reinterpret_cast<char*>(memory_.data()), kBlockBytes)};
};

TEST_F(LineBlockTest, IndexesCompleteLinesAndKeepsTheRest) {
  size_t at = 0;
  Fill("one\n\nthree three\nfour", 7, &at);
  EXPECT_EQ(at, 21u);
  EXPECT_EQ(Lines(), (std::vector<std::string>{"one", "", "three three"}));
  EXPECT_EQ(block_.rest(), "four");
  EXPECT_EQ(block_.indexed_bytes(), 17u);
}

TEST_F(LineBlockTest, KeysAreTheFirstEightBytes) {
  size_t at = 0;
  Fill("abcdefghij\nab\n\n", 100, &at);
  ASSERT_EQ(block_.lines().size(), 3u);
  EXPECT_EQ(block_.lines()[2].key, 0x6162636465666768u);
  EXPECT_EQ(block_.lines()[1].key, 0x6162000000000000u);
  EXPECT_EQ(block_.lines()[0].key, 0u);
}

TEST_F(LineBlockTest, BlocksInSuccessionHoldAllLinesOfEveryShape) {
  for (LineShape shape : kAllLineShapes) {
    const std::vector<std::string> expected = RandomLines(shape, 5000, 7);
    const std::string text = JoinLines(expected);
    std::vector<std::string> found;
    size_t at = 0;
    while (at < text.size()) {
      block_.Clear();
      const size_t begin = at;
      Fill(text, 5000, &at);
      ASSERT_GT(block_.indexed_bytes(), 0u);
      ASSERT_EQ(block_.indexed_bytes() + block_.rest().size(), at - begin);
      for (std::string& line : Lines()) found.push_back(std::move(line));
      at -= block_.rest().size();
    }
    EXPECT_EQ(found, expected) << static_cast<int>(shape);
  }
}

TEST_F(LineBlockTest, NothingButNewlinesFillsItWithIndex) {
  size_t at = 0;
  Fill(std::string(kBlockBytes, '\n'), 4096, &at);
  EXPECT_GT(block_.lines().size(), kBlockBytes / (sizeof(LineEntry) + 2));
  EXPECT_EQ(block_.indexed_bytes(), block_.lines().size());
}

TEST_F(LineBlockTest, OneLineMayTakeTheWholeBlock) {
  std::string text(block_.line_bytes_max() - 1, 'x');
  text.push_back('\n');
  size_t at = 0;
  Fill(text, 1 << 20, &at);
  EXPECT_EQ(at, text.size());
  ASSERT_EQ(block_.lines().size(), 1u);
  EXPECT_EQ(block_.lines()[0].length, text.size() - 1);
  EXPECT_EQ(block_.rest(), "");
}

TEST_F(LineBlockTest, ALineThatIsTooLongFillsItWithoutAnIndex) {
  size_t at = 0;
  Fill(std::string(kBlockBytes, 'x') + "\n", 1 << 20, &at);
  EXPECT_TRUE(block_.Free(1).empty());
  EXPECT_TRUE(block_.lines().empty());
}

}  // namespace
}  // namespace spillway::sort
