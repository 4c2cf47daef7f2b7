#include "store/internal/memory/size_classes.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace spillway {
namespace {

TEST(SizeClassesTest, EverySizeGetsTheSmallestBlockThatHoldsIt) {
  for (uint64_t size = 1; size <= kSmallBlockBytesMax; ++size) {
    const uint32_t index = SizeClassOf(size);
    ASSERT_LT(index, kSizeClasses);
    ASSERT_GE(kSizeClassTable[index].block_bytes, size);
    if (index > 0) {
      ASSERT_LT(kSizeClassTable[index - 1].block_bytes, size);
    }
  }
}

TEST(SizeClassesTest, RoundingIsSmall) {
  double waste = 0;
  for (uint64_t size = 64; size <= kSmallBlockBytesMax; ++size) {
    const uint64_t block = kSizeClassTable[SizeClassOf(size)].block_bytes;
    if (size % 64 == 0 && size <= 4096) {
      ASSERT_EQ(block, size);
    }
    if (size >= 4096) {
      ASSERT_LE(block - size, size * 32 / 1000) << size;
    }
    waste += static_cast<double>(block - size) / static_cast<double>(block);
  }
  EXPECT_LT(waste / kSmallBlockBytesMax, 0.016);
  EXPECT_EQ(kSizeClassTable[SizeClassOf(4096 + 64)].block_bytes, 4096u + 128);
}

TEST(SizeClassesTest, SpansHaveNoWasteAndFitTheirBitmaps) {
  for (const SizeClass& size_class : kSizeClassTable) {
    EXPECT_EQ(uint64_t{size_class.block_bytes} * size_class.blocks,
              uint64_t{size_class.pages} * kPageBytes);
    EXPECT_GE(size_class.blocks, 4);
    EXPECT_LE(size_class.blocks, 64);
    EXPECT_LE(size_class.pages, 64);
    EXPECT_EQ(size_class.blocks, 1 << size_class.blocks_log2);
    EXPECT_EQ(size_class.block_bytes % 64, 0u);
  }
}

TEST(SizeClassesTest, BlocksAndPagesOfASpanAreFoundFromEachOther) {
  for (const SizeClass& size_class : kSizeClassTable) {
    const uint32_t span_bytes = size_class.pages * static_cast<uint32_t>(kPageBytes);
    for (uint32_t x = 0; x < span_bytes; x += 32) {
      ASSERT_EQ(size_class.BlockAt(x), x / size_class.block_bytes);
      const uint32_t page = x >> kPageShift;
      const uint32_t block = x / size_class.block_bytes;
      ASSERT_NE(size_class.BlocksOnPage(page) & (uint64_t{1} << block), 0u);
      ASSERT_NE(size_class.PagesUnder(block) & (uint64_t{1} << page), 0u);
    }
    for (uint32_t block = 0; block < size_class.blocks; ++block) {
      for (uint32_t page = 0; page < size_class.pages; ++page) {
        const bool under = (size_class.PagesUnder(block) >> page) & 1;
        const bool on = (size_class.BlocksOnPage(page) >> block) & 1;
        ASSERT_EQ(under, on);
      }
    }
    EXPECT_EQ(size_class.BlockAt(span_bytes - 1), size_class.blocks - 1u);
  }
}

}  // namespace
}  // namespace spillway
