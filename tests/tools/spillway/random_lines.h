// Lines that are hard on a sorter, made from a seed.
#ifndef SPILLWAY_TESTS_TOOLS_SPILLWAY_RANDOM_LINES_H_
#define SPILLWAY_TESTS_TOOLS_SPILLWAY_RANDOM_LINES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace spillway::sort {

// What the lines have that sorters get wrong.
enum class LineShape {
  kText,          // words
  kAnyBytes,      // every byte but newline, NUL among them
  kFewBytes,      // NUL, 'a' and 0xff only: long common prefixes, trailing NULs
  kEmptyAndTiny,  // 0 to 3 bytes
  kCommonPrefix,  // 40 bytes that all have in common
  kDuplicates,    // a dozen different lines
  kLong,          // up to 20,000 bytes, equal for long
};

inline constexpr LineShape kAllLineShapes[] = {
    LineShape::kText,         LineShape::kAnyBytes,     LineShape::kFewBytes,
    LineShape::kEmptyAndTiny, LineShape::kCommonPrefix, LineShape::kDuplicates,
    LineShape::kLong,
};

// `count` lines without newlines.
std::vector<std::string> RandomLines(LineShape shape, size_t count, uint64_t seed);

// The lines, each followed by a newline.
std::string JoinLines(const std::vector<std::string>& lines);

// Sorted in the order of `LC_ALL=C sort`.
std::vector<std::string> SortedLines(std::vector<std::string> lines);

}  // namespace spillway::sort

#endif  // SPILLWAY_TESTS_TOOLS_SPILLWAY_RANDOM_LINES_H_
