// A block of memory in which lines are collected to be sorted: text grows from its front, an index
// of the lines from its back, so that short and long lines both fill it.
//
//     | text of complete lines | text not indexed yet | free ... | index, one entry per line |
//
// Thread-safety: none; one thread at a time.
#ifndef SPILLWAY_TOOLS_SPILLWAY_SORT_LINE_BLOCK_H_
#define SPILLWAY_TOOLS_SPILLWAY_SORT_LINE_BLOCK_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace spillway::sort {

// A line: its place in the text, and the eight bytes that are compared next, as a number. What the
// key says depends on how far sorting has come; a fresh entry has the line's first eight bytes.
struct LineEntry {
  uint64_t key;
  uint32_t offset;
  uint32_t length;  // without the newline that follows
};

// The bytes [depth, depth + 8) of the line as a big-endian number, zeros where the line is over.
// Reads up to eight bytes behind the line's end, which must be readable.
inline uint64_t LoadKey(const char* line, size_t length, size_t depth) {
  if (depth >= length) return 0;
  uint64_t key;
  __builtin_memcpy(&key, line + depth, sizeof(key));
  key = __builtin_bswap64(key);
  const size_t rest = length - depth;
  return rest >= 8 ? key : key & ~(~uint64_t{0} >> (8 * rest));
}

class LineBlock {
 public:
  // A block of more than this could not be indexed with 32 bits.
  static constexpr size_t kBytesMax = (size_t{1} << 32) - 4096;
  static constexpr size_t kBytesMin = 64 * 1024;

  // `memory` must outlive the block, be aligned to 16 bytes and hold kBytesMin..kBytesMax.
  explicit LineBlock(absl::Span<char> memory);

  // Where to read more text, at most `bytes_max` of it; leaves room for the index of what is read.
  // Empty once the block is full.
  absl::Span<char> Free(size_t bytes_max);

  // Says that `bytes` were read to the start of what Free returned, and indexes the lines that are
  // complete as far as the index has room.
  void Append(size_t bytes);

  // Text behind the last indexed line: the start of a line, or lines for which the index had no
  // room. It belongs to the next block.
  absl::string_view rest() const { return {memory_.data() + indexed_, text_ - indexed_}; }

  // The indexed lines, in the order in which they were read until somebody sorts them.
  absl::Span<LineEntry> lines() const {
    return {reinterpret_cast<LineEntry*>(memory_.data() + memory_.size()) - count_, count_};
  }
  const char* text() const { return memory_.data(); }
  // Bytes of the indexed lines, newlines included.
  size_t indexed_bytes() const { return indexed_; }
  // The longest line, newline included, that fits into an empty block.
  size_t line_bytes_max() const { return memory_.size() - 2 * sizeof(LineEntry); }

  // The longest indexed line, newline included; 0 if there is none.
  size_t longest_line_bytes() const { return longest_line_bytes_; }

  // Forgets all text.
  void Clear();

 private:
  size_t FreeBytes() const { return memory_.size() - count_ * sizeof(LineEntry) - text_; }
  bool IndexHasRoom() const { return FreeBytes() >= 2 * sizeof(LineEntry); }
  void AddLine(size_t end);

  const absl::Span<char> memory_;
  size_t text_ = 0;     // bytes read
  size_t indexed_ = 0;  // bytes of them that belong to indexed lines
  size_t scanned_ = 0;  // bytes in which no newline behind `indexed_` was found
  size_t count_ = 0;
  size_t longest_line_bytes_ = 0;
};

}  // namespace spillway::sort

#endif  // SPILLWAY_TOOLS_SPILLWAY_SORT_LINE_BLOCK_H_
