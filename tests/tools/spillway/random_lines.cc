#include "tests/tools/spillway/random_lines.h"

#include <algorithm>
#include <cstring>
#include <random>

namespace spillway::sort {
namespace {

class LineMaker {
 public:
  explicit LineMaker(uint64_t seed) : random_(seed) {}

  std::string Make(LineShape shape) {
    switch (shape) {
      case LineShape::kText:
        return Text();
      case LineShape::kAnyBytes:
        return AnyBytes(Below(60));
      case LineShape::kFewBytes:
        return FewBytes(Below(30));
      case LineShape::kEmptyAndTiny:
        return FewBytes(Below(4));
      case LineShape::kCommonPrefix:
        return std::string(40, ' ') + Text();
      case LineShape::kDuplicates:
        return std::string(Below(4) * 11, 'x') + std::string(Below(3), '\0');
      case LineShape::kLong:
        return std::string(Below(20000), 'l') + AnyBytes(Below(10));
    }
    return "";
  }

 private:
  size_t Below(size_t bound) { return static_cast<size_t>(random_() % bound); }

  std::string Text() {
    static constexpr const char* kWords[] = {"the",   "of", "spill", "tier",
                                             "zebra", "a",  "int",   "return"};
    std::string line;
    for (size_t i = Below(9); i > 0; --i) line.append(kWords[Below(8)]).push_back(' ');
    return line;
  }

  std::string AnyBytes(size_t length) {
    std::string line(length, '\0');
    for (char& c : line) {
      do c = static_cast<char>(random_());
      while (c == '\n');
    }
    return line;
  }

  std::string FewBytes(size_t length) {
    std::string line(length, '\0');
    for (char& c : line) c = "\0a\xff"[Below(3)];
    return line;
  }

  std::mt19937_64 random_;
};

}  // namespace

std::vector<std::string> RandomLines(LineShape shape, size_t count, uint64_t seed) {
  LineMaker maker(seed);
  std::vector<std::string> lines(count);
  for (std::string& line : lines) line = maker.Make(shape);
  return lines;
}

std::string JoinLines(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text.append(line).push_back('\n');
  return text;
}

std::vector<std::string> SortedLines(std::vector<std::string> lines) {
  // Without std::string's own comparison, so that the order is spelled out once.
  std::sort(lines.begin(), lines.end(), [](const std::string& a, const std::string& b) {
    const int order = std::memcmp(a.data(), b.data(), std::min(a.size(), b.size()));
    return order != 0 ? order < 0 : a.size() < b.size();
  });
  return lines;
}

}  // namespace spillway::sort
