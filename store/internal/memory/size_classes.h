// The sizes in which small blocks are handed out.
//
// Up to 4 KiB every multiple of 64 bytes is a size of its own. Above, each octave has 32 sizes: a
// block of more than 4 KiB is rounded up by at most 3 %, by 1.5 % on average. Blocks of one size
// fill spans:
//
//     block_bytes x blocks == pages x 4096     blocks <= 64, pages <= 64, blocks a power of two
//
// so a span has no waste at its end, and its blocks and its pages each fit the bits of one word.
#ifndef SPILLWAY_STORE_INTERNAL_MEMORY_SIZE_CLASSES_H_
#define SPILLWAY_STORE_INTERNAL_MEMORY_SIZE_CLASSES_H_

#include <array>
#include <bit>
#include <cstdint>

namespace spillway {

inline constexpr uint32_t kPageShift = 12;
inline constexpr uint64_t kPageBytes = uint64_t{1} << kPageShift;

// Larger blocks are runs of whole pages.
inline constexpr uint64_t kSmallBlockBytesMax = 64 << 10;

inline constexpr uint32_t kFineClasses = 64;    // multiples of 64 bytes up to 4 KiB
inline constexpr uint32_t kOctaveClasses = 32;  // per octave above
inline constexpr uint32_t kOctaves = 4;         // 8, 16, 32, 64 KiB
inline constexpr uint32_t kSizeClasses = kFineClasses + kOctaves * kOctaveClasses;

// Index of the size class for a block of `size` bytes. REQUIRES: 0 < size <= kSmallBlockBytesMax.
constexpr uint32_t SizeClassOf(uint64_t size) {
  if (size <= 4096) return static_cast<uint32_t>((size + 63) / 64) - 1;
  // (4096 << octave, 8192 << octave]
  const uint32_t octave = static_cast<uint32_t>(std::bit_width(size - 1)) - 13;
  const uint64_t steps = (size + (uint64_t{128} << octave) - 1) >> (7 + octave);  // 33..64
  return kFineClasses + octave * kOctaveClasses + static_cast<uint32_t>(steps) - 33;
}

struct SizeClass {
  uint32_t block_bytes = 0;
  uint8_t pages = 0;   // of a span
  uint8_t blocks = 0;  // of a span
  uint8_t blocks_log2 = 0;
  // Block that holds byte x of a span: x * reciprocal >> 40, exact for every x < 64 pages.
  uint64_t reciprocal = 0;

  constexpr uint32_t BlockAt(uint32_t span_offset) const {
    return static_cast<uint32_t>((span_offset * reciprocal) >> 40);
  }
  // Bits of the blocks that lie on the span's page `page`, wholly or in part.
  constexpr uint64_t BlocksOnPage(uint32_t page) const {
    const uint32_t first = BlockAt(page << kPageShift);
    const uint32_t last = BlockAt((page << kPageShift) + static_cast<uint32_t>(kPageBytes) - 1);
    return (~uint64_t{0} >> (63 - (last - first))) << first;
  }
  constexpr uint32_t FirstPageOf(uint32_t block) const {
    return (block * block_bytes) >> kPageShift;
  }
  constexpr uint32_t LastPageOf(uint32_t block) const {
    return (block * block_bytes + block_bytes - 1) >> kPageShift;
  }
  // Bits of the pages on which `block` lies.
  constexpr uint64_t PagesUnder(uint32_t block) const {
    const uint32_t first = FirstPageOf(block);
    const uint32_t last = LastPageOf(block);
    return (~uint64_t{0} >> (63 - (last - first))) << first;
  }
  constexpr uint64_t AllBlocks() const { return ~uint64_t{0} >> (64 - blocks); }
  constexpr uint64_t AllPages() const { return ~uint64_t{0} >> (64 - pages); }
};

constexpr std::array<SizeClass, kSizeClasses> MakeSizeClasses() {
  std::array<SizeClass, kSizeClasses> classes;
  for (uint32_t i = 0; i < kSizeClasses; ++i) {
    uint32_t block_bytes = 0, pages = 0, blocks = 0;
    if (i < kFineClasses) {
      block_bytes = 64 * (i + 1);
      pages = i + 1;
      blocks = 64;
    } else {
      const uint32_t octave = (i - kFineClasses) / kOctaveClasses;
      pages = 33 + (i - kFineClasses) % kOctaveClasses;
      block_bytes = pages * (128u << octave);
      blocks = 32u >> octave;
    }
    // A shorter span of the same kind empties sooner; one of few blocks costs more to describe.
    while (pages % 2 == 0 && pages > 16 && blocks >= 8) {
      pages /= 2;
      blocks /= 2;
    }
    SizeClass& size_class = classes[i];
    size_class.block_bytes = block_bytes;
    size_class.pages = static_cast<uint8_t>(pages);
    size_class.blocks = static_cast<uint8_t>(blocks);
    size_class.blocks_log2 = static_cast<uint8_t>(std::bit_width(blocks) - 1);
    size_class.reciprocal = ((uint64_t{1} << 40) + block_bytes - 1) / block_bytes;
  }
  return classes;
}

inline constexpr std::array<SizeClass, kSizeClasses> kSizeClassTable = MakeSizeClasses();

}  // namespace spillway

#endif  // SPILLWAY_STORE_INTERNAL_MEMORY_SIZE_CLASSES_H_
