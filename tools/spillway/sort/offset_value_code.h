// Offset-value codes: how a line differs from the one that was put out before it, in one number, so
// that a merge compares mostly numbers and looks at every byte of a line about once.
//
// A line is taken as a sequence of big-endian 4-byte words, followed by zeros without end. Its code
// relative to a base that does not come after it is made of the index of the first word that
// differs (the further, the smaller the code) and of that word. Of two lines with codes relative to
// the same base the one with the smaller code comes first, and the other's code relative to it is
// the code that it has already. Only equal codes need a look at the lines, behind that word. Lines
// with equal words differ in length at most (a line and the same line with NULs behind it), and the
// shorter one comes first.
//
// Source: Conner, Offset-value coding, IBM Technical Disclosure Bulletin 20(7), 1977; Do, Graefe
// and Naughton, Efficient sorting, duplicate removal, grouping, and aggregation, 2022.
//
// Thread-safety: functions without state.
#ifndef SPILLWAY_TOOLS_SPILLWAY_SORT_OFFSET_VALUE_CODE_H_
#define SPILLWAY_TOOLS_SPILLWAY_SORT_OFFSET_VALUE_CODE_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/string_view.h"

namespace spillway::sort {

using OffsetValueCode = uint64_t;

// The words are those of the base; the length may be larger.
inline constexpr OffsetValueCode kSameWords = 0;
// After every line: what stands for a run that is exhausted.
inline constexpr OffsetValueCode kAfterAllLines = ~uint64_t{0};

// The first byte from `from` on in which `a` and `b`, both followed by zeros without end, differ;
// or string_view::npos if there is none.
inline size_t FirstDifference(absl::string_view a, absl::string_view b, size_t from) {
  const size_t common = std::min(a.size(), b.size());
  size_t at = from;
  for (; at + 8 <= common; at += 8) {
    uint64_t words_a;
    uint64_t words_b;
    std::memcpy(&words_a, a.data() + at, 8);
    std::memcpy(&words_b, b.data() + at, 8);
    if (words_a != words_b)
      return at + static_cast<size_t>(std::countr_zero(words_a ^ words_b)) / 8;
  }
  for (; at < common; ++at) {
    if (a[at] != b[at]) return at;
  }
  const absl::string_view longer = a.size() > b.size() ? a : b;
  for (; at < longer.size(); ++at) {
    if (longer[at] != '\0') return at;
  }
  return absl::string_view::npos;
}

// The code of a line whose first difference from the base is at byte `difference`.
inline OffsetValueCode CodeAt(absl::string_view line, size_t difference) {
  const size_t word = difference / 4;
  uint32_t value = 0;
  if (word * 4 + 4 <= line.size()) {
    std::memcpy(&value, line.data() + word * 4, 4);
    value = __builtin_bswap32(value);
  } else {
    for (size_t i = 0; i < 4; ++i) {
      const size_t at = word * 4 + i;
      value = value << 8 | (at < line.size() ? static_cast<uint8_t>(line[at]) : 0);
    }
  }
  return (uint64_t{0xfffffffe} - word) << 32 | value;
}

// The code of the first line of all, relative to an imaginary base before everything.
inline OffsetValueCode FirstCode(absl::string_view line) { return CodeAt(line, 0); }

// The code of `line` relative to `base`, which must not come after it.
inline OffsetValueCode CodeAgainst(absl::string_view base, absl::string_view line) {
  const size_t difference = FirstDifference(base, line, 0);
  return difference == absl::string_view::npos ? kSameWords : CodeAt(line, difference);
}

// Decides between two lines with the same code, relative to the same base. Returns whether `a`
// comes first, or is equal, and sets `loser_code` to the code of the other one relative to it.
inline bool BreakTie(absl::string_view a, absl::string_view b, OffsetValueCode code,
                     OffsetValueCode* loser_code) {
  size_t difference = absl::string_view::npos;
  if (code != kSameWords) {
    // The words up to the one in the code are equal.
    const size_t word = static_cast<size_t>(uint64_t{0xfffffffe} - (code >> 32));
    difference = FirstDifference(a, b, (word + 1) * 4);
  }
  if (difference == absl::string_view::npos) {
    *loser_code = kSameWords;
    return a.size() <= b.size();
  }
  const auto byte = [difference](absl::string_view line) {
    return difference < line.size() ? static_cast<uint8_t>(line[difference]) : 0;
  };
  const bool a_first = byte(a) < byte(b);
  *loser_code = CodeAt(a_first ? b : a, difference);
  return a_first;
}

}  // namespace spillway::sort

#endif  // SPILLWAY_TOOLS_SPILLWAY_SORT_OFFSET_VALUE_CODE_H_
