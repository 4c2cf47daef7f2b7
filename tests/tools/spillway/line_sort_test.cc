#include "tools/spillway/sort/line_sort.h"

#include <cstring>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "tests/tools/spillway/random_lines.h"
#include "tools/spillway/sort/line_block.h"

namespace spillway::sort {
namespace {

// The lines as SortLines orders them.
std::vector<std::string> SortThem(const std::vector<std::string>& lines) {
  std::string text = JoinLines(lines);
  std::vector<LineEntry> entries;
  size_t offset = 0;
  const std::string padded = text + std::string(8, 'P');
  for (const std::string& line : lines) {
    entries.push_back({LoadKey(padded.data() + offset, line.size(), 0),
                       static_cast<uint32_t>(offset), static_cast<uint32_t>(line.size())});
    offset += line.size() + 1;
  }
  SortLines(padded.data(), absl::MakeSpan(entries));
  std::vector<std::string> sorted;
  for (const LineEntry& entry : entries)
    sorted.emplace_back(padded.data() + entry.offset, entry.length);
  return sorted;
}

TEST(LineSortTest, SortsNoneAndOne) {
  EXPECT_TRUE(SortThem({}).empty());
  EXPECT_EQ(SortThem({"x"}), std::vector<std::string>{"x"});
}

TEST(LineSortTest, ALineComesBeforeThoseItIsTheStartOf) {
  const std::string nul(1, '\0');
  const std::vector<std::string> lines = {"a" + nul + nul, "a",  "",    nul, "a" + nul,
                                          "a" + nul + "b", "ab", "\xff"};
  EXPECT_EQ(SortThem(lines), SortedLines(lines));
}

TEST(LineSortTest, SortsEveryShapeAtEverySizeOfItsStages) {
  for (LineShape shape : kAllLineShapes) {
    for (size_t count : {2, 16, 17, 100, 768, 769, 2000}) {
      const std::vector<std::string> lines = RandomLines(shape, count, count);
      ASSERT_EQ(SortThem(lines), SortedLines(lines)) << static_cast<int>(shape) << " " << count;
    }
  }
}

TEST(LineSortTest, SortsMany) {
  for (LineShape shape : {LineShape::kText, LineShape::kAnyBytes, LineShape::kFewBytes}) {
    const std::vector<std::string> lines = RandomLines(shape, 100000, 5);
    ASSERT_TRUE(SortThem(lines) == SortedLines(lines)) << static_cast<int>(shape);
  }
}

TEST(LineSortTest, SortedAndReversedInput) {
  std::vector<std::string> lines = SortedLines(RandomLines(LineShape::kText, 5000, 3));
  const std::vector<std::string> sorted = lines;
  EXPECT_EQ(SortThem(lines), sorted);
  lines.assign(sorted.rbegin(), sorted.rend());
  EXPECT_EQ(SortThem(lines), sorted);
}

TEST(LineSortTest, LongEqualLinesNeitherRecurseNorTakeForever) {
  std::vector<std::string> lines(1000, std::string(200000, 'e'));
  lines[500].back() = 'd';
  lines[501].append("e");
  const std::vector<std::string> sorted = SortThem(lines);
  EXPECT_EQ(sorted.front().back(), 'd');
  EXPECT_EQ(sorted.back().size(), 200001u);
}

}  // namespace
}  // namespace spillway::sort
