#include "tools/spillway/sort/line_block.h"

#include <algorithm>
#include <cstring>

#include "glog/logging.h"

namespace spillway::sort {
namespace {

// With less room than this a block that holds a line counts as full: reads would become tiny.
constexpr size_t kFreeBytesMin = 8 * 1024;

}  // namespace

LineBlock::LineBlock(absl::Span<char> memory)
    // The index ends at the end of the memory; its entries need their alignment.
    : memory_(memory.subspan(0, memory.size() / sizeof(LineEntry) * sizeof(LineEntry))) {
  CHECK_EQ(reinterpret_cast<uintptr_t>(memory.data()) % alignof(LineEntry), 0u);
  CHECK_GE(memory.size(), kBytesMin);
  CHECK_LE(memory.size(), kBytesMax);
}

absl::Span<char> LineBlock::Free(size_t bytes_max) {
  // Lines that wait for room in the index wait in vain.
  if (scanned_ < text_) return {};
  const size_t free_bytes = FreeBytes();
  // Two entries stay free: the next line's, and padding that LoadKey may read.
  if (free_bytes <= 2 * sizeof(LineEntry)) return {};
  if (count_ > 0 && free_bytes < kFreeBytesMin) return {};
  const size_t usable = free_bytes - 2 * sizeof(LineEntry);
  // Half of what is free goes to text at a time: then lines of 16 bytes or more always find room in
  // the index. The end of the room is there for a single long line.
  const size_t bytes = free_bytes < kFreeBytesMin ? usable : std::min(usable, free_bytes / 2);
  return memory_.subspan(text_, std::min(bytes, bytes_max));
}

void LineBlock::Append(size_t bytes) {
  CHECK_LE(bytes, FreeBytes() - 2 * sizeof(LineEntry));
  text_ += bytes;
  while (scanned_ < text_) {
    const char* const from = memory_.data() + scanned_;
    const void* const newline = std::memchr(from, '\n', text_ - scanned_);
    if (newline == nullptr) {
      scanned_ = text_;
      return;
    }
    if (!IndexHasRoom()) return;
    AddLine(static_cast<size_t>(static_cast<const char*>(newline) - memory_.data()) + 1);
  }
}

void LineBlock::AddLine(size_t end) {
  ++count_;
  const char* const line = memory_.data() + indexed_;
  const size_t length = end - indexed_ - 1;
  lines()[0] = {LoadKey(line, length, 0), static_cast<uint32_t>(indexed_),
                static_cast<uint32_t>(length)};
  longest_line_bytes_ = std::max(longest_line_bytes_, length + 1);
  indexed_ = end;
  scanned_ = end;
}

void LineBlock::Clear() {
  text_ = 0;
  indexed_ = 0;
  scanned_ = 0;
  count_ = 0;
  longest_line_bytes_ = 0;
}

}  // namespace spillway::sort
