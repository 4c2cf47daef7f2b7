#include "store/internal/memory/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "store/internal/memory/memory_budget.h"

namespace spillway {
namespace {

constexpr uint64_t kKiB = 1 << 10;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kPage = 4096;

// Bytes of the region that are in memory, as the system sees it.
uint64_t ResidentBytes(const Arena& arena) {
  const uint64_t frontier = arena.Usage().frontier_bytes;
  if (frontier == 0) return 0;
  std::vector<unsigned char> resident(frontier / kPage);
  EXPECT_EQ(mincore(arena.region(), frontier, resident.data()), 0);
  return kPage *
         std::count_if(resident.begin(), resident.end(), [](unsigned char c) { return c & 1; });
}

// The sums that must hold in every state.
void ExpectExact(const Arena& arena, const MemoryBudget& budget) {
  const ArenaUsage usage = arena.Usage();
  EXPECT_EQ(usage.payload_bytes + usage.rounding_bytes + usage.free_committed_bytes,
            usage.committed_bytes);
  const MemorySnapshot snapshot = budget.Snapshot();
  EXPECT_EQ(snapshot.bytes(MemoryUse::kArena), usage.committed_bytes);
  EXPECT_EQ(snapshot.bytes(MemoryUse::kArenaMetadata), usage.metadata_bytes);
  EXPECT_LE(ResidentBytes(arena), usage.committed_bytes);
}

struct Block {
  uint64_t offset;
  uint64_t size;
};

class ArenaTest : public testing::TestWithParam<bool> {
 protected:
  static ArenaOptions Options() {
    ArenaOptions options;
    options.huge_pages = GetParam();
    return options;
  }
  static std::unique_ptr<Arena> Make(const ArenaOptions& options, MemoryBudget* budget) {
    absl::StatusOr<std::unique_ptr<Arena>> arena = Arena::Create(options, budget);
    CHECK_OK(arena.status());
    return *std::move(arena);
  }
  // Allocates and touches every byte.
  static uint64_t Fill(Arena* arena, uint64_t size, BlockTag tag = kNoTag) {
    const uint64_t offset = arena->Allocate(size, tag);
    if (offset != kNoOffset) std::memset(arena->At(offset), 0x5a, size);
    return offset;
  }
  static void CHECK_OK(const absl::Status& status) { ASSERT_TRUE(status.ok()) << status; }
};

INSTANTIATE_TEST_SUITE_P(Pages, ArenaTest, testing::Values(false, true),
                         [](const testing::TestParamInfo<bool>& test) {
                           return test.param ? "Huge" : "Small";
                         });

TEST_P(ArenaTest, GivesAlignedBlocksOfTheSizeItSays) {
  MemoryBudget budget(64 * kMiB);
  {
    std::unique_ptr<Arena> arena = Make(Options(), &budget);
    uint64_t payload = 0, blocks = 0;
    std::vector<Block> live;
    for (uint64_t size : {0ul, 1ul, 63ul, 64ul, 65ul, 1024ul, 4095ul, 4096ul, 4097ul, 65536ul,
                          65537ul, 1048576ul, 5000000ul}) {
      const uint64_t offset = Fill(arena.get(), size);
      ASSERT_NE(offset, kNoOffset);
      EXPECT_EQ(offset % kBlockAlignment, 0u);
      EXPECT_GE(Arena::BlockSize(size), size);
      payload += std::max<uint64_t>(size, 1);
      blocks += Arena::BlockSize(size);
      live.push_back({offset, size});
    }
    const ArenaUsage usage = arena->Usage();
    EXPECT_EQ(usage.payload_bytes, payload);
    EXPECT_EQ(usage.rounding_bytes, blocks - payload);
    EXPECT_EQ(usage.blocks, live.size());
    ExpectExact(*arena, budget);
    for (const Block& block : live) arena->Free(block.offset, block.size);
    EXPECT_EQ(arena->Usage().payload_bytes, 0u);
    EXPECT_EQ(arena->Usage().blocks, 0u);
    ExpectExact(*arena, budget);
  }
  EXPECT_EQ(budget.used_bytes(), 0u);
}

TEST_P(ArenaTest, KeepsFreedPagesAndTouchesNoOthersInSteadyState) {
  MemoryBudget budget(64 * kMiB);
  std::unique_ptr<Arena> arena = Make(Options(), &budget);
  std::minstd_rand random(3);
  for (uint64_t size : {100 * 1ul, 3000ul, 20 * kKiB, 1 * kMiB}) {
    std::vector<uint64_t> live;
    for (uint64_t total = 0; total < 8 * kMiB; total += size)
      live.push_back(Fill(arena.get(), size));
    const uint64_t committed = arena->committed_bytes();
    const uint64_t pages_before = arena->Usage().pages_committed_total;
    for (int i = 0; i < 2000; ++i) {
      uint64_t& offset = live[random() % live.size()];
      arena->Free(offset, size);
      offset = arena->Allocate(size);
      ASSERT_NE(offset, kNoOffset);
    }
    EXPECT_EQ(arena->Usage().pages_committed_total, pages_before) << size;
    EXPECT_EQ(arena->committed_bytes(), committed) << size;
    for (uint64_t offset : live) arena->Free(offset, size);
  }
}

TEST_P(ArenaTest, FreedMemoryServesOtherSizesWithoutPassingTheLimit) {
  MemoryBudget budget(32 * kMiB);
  std::unique_ptr<Arena> arena = Make(Options(), &budget);
  for (uint64_t size :
       {64ul, 8 * kMiB, 4096ul, 300 * kKiB, 10000ul, 64 * kKiB, 1000ul, 16 * kMiB}) {
    std::vector<uint64_t> live;
    uint64_t offset;
    while ((offset = Fill(arena.get(), size)) != kNoOffset) live.push_back(offset);
    const ArenaUsage usage = arena->Usage();
    // Nearly everything is payload again and again. (The tables stay as large as 64-byte blocks
    // made them, and huge pages leave up to one of them.)
    EXPECT_GE(usage.payload_bytes + usage.rounding_bytes + size + 5 * kMiB, budget.limit_bytes())
        << size << ": " << budget.Snapshot().ToString();
    ExpectExact(*arena, budget);
    EXPECT_LE(budget.used_bytes(), budget.limit_bytes());
    for (uint64_t at : live) arena->Free(at, size);
  }
}

TEST_P(ArenaTest, LargestBlockCanBeHadFromAFreshAndFromAUsedArena) {
  for (uint64_t limit : {16 * kMiB, 64 * kMiB, 200 * kMiB + 12345}) {
    MemoryBudget budget(limit);
    std::unique_ptr<Arena> arena = Make(Options(), &budget);
    uint64_t size = Arena::LargestBlock(limit);
    EXPECT_GT(size, limit - limit / 16);
    if (Options().huge_pages) size = (size - 2 * kMiB) / (2 * kMiB) * (2 * kMiB);
    uint64_t offset = arena->Allocate(size);
    ASSERT_NE(offset, kNoOffset) << limit;
    arena->Free(offset, size);
    std::vector<uint64_t> live;
    while ((offset = arena->Allocate(60000)) != kNoOffset) live.push_back(offset);
    for (uint64_t at : live) arena->Free(at, 60000);
    offset = arena->Allocate(size / 2);
    ASSERT_NE(offset, kNoOffset) << limit;
    arena->Free(offset, size / 2);
    ExpectExact(*arena, budget);
  }
}

TEST_P(ArenaTest, TrimReturnsFreePagesToTheSystemAndTheBudget) {
  MemoryBudget budget(64 * kMiB);
  std::unique_ptr<Arena> arena = Make(Options(), &budget);
  std::vector<Block> live;
  for (uint64_t size : {64ul, 4096ul, 30000ul, 1 * kMiB}) {
    for (uint64_t total = 0; total < 8 * kMiB; total += size) {
      live.push_back({Fill(arena.get(), size), size});
    }
  }
  const uint64_t committed = arena->committed_bytes();
  EXPECT_GE(ResidentBytes(*arena), 32 * kMiB);
  EXPECT_LE(arena->Trim(100 * kMiB), 3 * kMiB);
  for (const Block& block : live) arena->Free(block.offset, block.size);
  EXPECT_EQ(arena->reclaimable_bytes(), arena->committed_bytes());
  const uint64_t some = arena->Trim(4 * kMiB);
  EXPECT_GE(some, 4 * kMiB);
  EXPECT_LE(some, 6 * kMiB);
  ExpectExact(*arena, budget);
  EXPECT_EQ(arena->Trim(~uint64_t{0}), committed - some);
  EXPECT_EQ(arena->committed_bytes(), 0u);
  EXPECT_EQ(ResidentBytes(*arena), 0u);
  ExpectExact(*arena, budget);
}

TEST_P(ArenaTest, LoweredLimitIsReachedByFreeingAndTrimming) {
  MemoryBudget budget(64 * kMiB);
  std::unique_ptr<Arena> arena = Make(Options(), &budget);
  std::vector<uint64_t> live;
  uint64_t offset;
  while ((offset = Fill(arena.get(), 5000)) != kNoOffset) live.push_back(offset);
  budget.SetLimit(20 * kMiB);
  std::shuffle(live.begin(), live.end(), std::minstd_rand(5));
  while (budget.excess_bytes() > 0) {
    ASSERT_FALSE(live.empty());
    arena->Free(live.back(), 5000);
    live.pop_back();
    arena->Trim(budget.excess_bytes());
    // Nothing new comes in meanwhile, except into pages that are there.
    if (budget.excess_bytes() > 0) {
      ASSERT_EQ(arena->Allocate(4 * kMiB), kNoOffset);
    }
  }
  EXPECT_LE(ResidentBytes(*arena), 20 * kMiB);
  ExpectExact(*arena, budget);
  for (uint64_t at : live) arena->Free(at, 5000);
}

TEST_P(ArenaTest, PrefaultMakesPagesResidentAndFirstUsersFindThem) {
  MemoryBudget budget(64 * kMiB);
  std::unique_ptr<Arena> arena = Make(Options(), &budget);
  EXPECT_EQ(arena->Prefault(20 * kMiB), 20 * kMiB);
  EXPECT_GE(ResidentBytes(*arena), 20 * kMiB);
  ExpectExact(*arena, budget);
  const uint64_t pages = arena->Usage().pages_committed_total;
  std::vector<uint64_t> live;
  for (uint64_t total = 0; total < 19 * kMiB; total += 50000)
    live.push_back(Fill(arena.get(), 50000));
  EXPECT_EQ(arena->Usage().pages_committed_total, pages);
  for (uint64_t offset : live) arena->Free(offset, 50000);
  const uint64_t rest = arena->Prefault(1000 * kMiB);
  EXPECT_GE(rest, 40 * kMiB);
  EXPECT_LE(budget.used_bytes(), budget.limit_bytes());
  ExpectExact(*arena, budget);
}

TEST_P(ArenaTest, ShrinkGivesWholePagesOfALargeBlockBack) {
  MemoryBudget budget(64 * kMiB);
  std::unique_ptr<Arena> arena = Make(Options(), &budget);
  const uint64_t offset = Fill(arena.get(), 1 * kMiB);
  EXPECT_EQ(arena->ShrinkInPlace(offset, 1 * kMiB, 1 * kMiB - 100), 0u);
  EXPECT_EQ(arena->ShrinkInPlace(offset, 1 * kMiB - 100, 100 * kKiB + 1), 1 * kMiB - 104 * kKiB);
  EXPECT_EQ(arena->Usage().payload_bytes, 100 * kKiB + 1);
  EXPECT_EQ(arena->Usage().rounding_bytes, 4 * kKiB - 1);
  EXPECT_EQ(arena->At(offset)[100 * kKiB], 0x5a);
  EXPECT_EQ(arena->ShrinkInPlace(offset, 100 * kKiB + 1, 10), 100 * kKiB);
  const uint64_t small = Fill(arena.get(), 1000);
  EXPECT_EQ(arena->ShrinkInPlace(small, 1000, 10), 0u);
  EXPECT_EQ(arena->Usage().payload_bytes, 20u);
  ExpectExact(*arena, budget);
  arena->Free(offset, 10);
  arena->Free(small, 10);
  EXPECT_EQ(arena->Usage().payload_bytes, 0u);
  ExpectExact(*arena, budget);
}

TEST_P(ArenaTest, BalancedEffortLeavesSlackAndReclaimTakesIt) {
  MemoryBudget budget(32 * kMiB);
  ArenaOptions options = Options();
  options.slack = 0.1;
  std::unique_ptr<Arena> arena = Make(options, &budget);
  std::vector<uint64_t> live;
  uint64_t offset;
  while ((offset = Fill(arena.get(), 2 * kMiB)) != kNoOffset) live.push_back(offset);
  arena->Free(live.back(), 2 * kMiB);
  live.pop_back();
  // 2 MiB are free, of the 3.2 that are to stay; the larger block does not fit there.
  EXPECT_EQ(arena->Allocate(2 * kMiB + 64 * kKiB), kNoOffset);
  EXPECT_NE(offset = arena->Allocate(2 * kMiB), kNoOffset);
  arena->Free(offset, 2 * kMiB);
  arena->Free(live[3], 2 * kMiB);
  live.erase(live.begin() + 3);
  EXPECT_NE(offset = arena->Allocate(2 * kMiB + 64 * kKiB, kNoTag, AllocateEffort::kReclaim),
            kNoOffset);
  arena->Free(offset, 2 * kMiB + 64 * kKiB);
  ExpectExact(*arena, budget);
  for (uint64_t at : live) arena->Free(at, 2 * kMiB);
}

TEST_P(ArenaTest, ReuseEffortDoesNotReturnPages) {
  MemoryBudget budget(32 * kMiB);
  std::unique_ptr<Arena> arena = Make(Options(), &budget);
  std::vector<uint64_t> live;
  uint64_t offset;
  while ((offset = Fill(arena.get(), 60 * kKiB)) != kNoOffset) live.push_back(offset);
  std::vector<uint64_t> kept;
  for (size_t i = 0; i < live.size(); ++i) {
    if (i % 2 == 0) {
      arena->Free(live[i], 60 * kKiB);
    } else {
      kept.push_back(live[i]);
    }
  }
  EXPECT_EQ(arena->Allocate(4 * kMiB, kNoTag, AllocateEffort::kReuse), kNoOffset);
  EXPECT_EQ(arena->Usage().pages_returned_total, 0u);
  if (!Options().huge_pages) {
    offset = arena->Allocate(4 * kMiB);
    EXPECT_NE(offset, kNoOffset);
    EXPECT_GT(arena->Usage().pages_returned_total, 0u);
    ExpectExact(*arena, budget);
    arena->Free(offset, 4 * kMiB);
  }
  for (uint64_t at : kept) arena->Free(at, 60 * kKiB);
}

// Half of the small objects gone at random leave hardly a whole page: the worst case for other
// sizes.
TEST_P(ArenaTest, AfterAShiftOfSizesEvictionOnRefusalGetsThere) {
  MemoryBudget budget(32 * kMiB);
  std::unique_ptr<Arena> arena = Make(Options(), &budget);
  std::vector<uint64_t> live;
  uint64_t offset;
  while ((offset = Fill(arena.get(), 64)) != kNoOffset) live.push_back(offset);
  std::shuffle(live.begin(), live.end(), std::minstd_rand(5));
  for (size_t half = live.size() / 2; live.size() > half; live.pop_back()) {
    arena->Free(live.back(), 64);
  }
  std::vector<uint64_t> large;
  while (large.size() < 20) {
    while ((offset = Fill(arena.get(), 1 * kMiB)) == kNoOffset) {
      ASSERT_FALSE(live.empty());
      arena->Free(live.back(), 64);
      live.pop_back();
    }
    large.push_back(offset);
    ASSERT_LE(budget.used_bytes(), budget.limit_bytes());
  }
  ExpectExact(*arena, budget);
  for (uint64_t at : large) arena->Free(at, 1 * kMiB);
  for (uint64_t at : live) arena->Free(at, 64);
}

TEST_P(ArenaTest, EvictingTheSparsestFirstSparesMostSmallObjects) {
  MemoryBudget budget(32 * kMiB);
  std::unique_ptr<Arena> arena = Make(Options(), &budget);
  std::vector<uint64_t> by_tag;
  uint64_t offset;
  while ((offset = Fill(arena.get(), 64, static_cast<BlockTag>(by_tag.size()))) != kNoOffset) {
    by_tag.push_back(offset);
  }
  std::minstd_rand random(5);
  uint64_t live = by_tag.size();
  for (uint64_t& at : by_tag) {
    if (random() % 10 < 7) {
      arena->Free(at, 64);
      at = kNoOffset;
      --live;
    }
  }
  uint64_t evicted = 0;
  std::vector<BlockTag> tags;
  while ((offset = Fill(arena.get(), 4 * kMiB)) == kNoOffset) {
    tags.clear();
    ASSERT_GT(arena->CollectSparse(64 * kKiB, 2000, &tags), 0u);
    ASSERT_LE(tags.size(), 2000u);
    for (BlockTag tag : tags) {
      ASSERT_NE(by_tag[tag], kNoOffset);
      arena->Free(by_tag[tag], 64);
      by_tag[tag] = kNoOffset;
      ++evicted;
    }
  }
  if (!Options().huge_pages) {
    // An eighth of the memory, at less than a fifth of the objects' density.
    EXPECT_LT(evicted, live / 8);
  }
  ExpectExact(*arena, budget);
  arena->Free(offset, 4 * kMiB);
  for (uint64_t at : by_tag) {
    if (at != kNoOffset) arena->Free(at, 64);
  }
}

TEST_P(ArenaTest, MovingTheSparsestBlocksMakesWholePagesWithoutEviction) {
  MemoryBudget budget(32 * kMiB);
  std::unique_ptr<Arena> arena = Make(Options(), &budget);
  std::vector<uint64_t> by_tag;
  uint64_t offset;
  while ((offset = arena->Allocate(192, static_cast<BlockTag>(by_tag.size()))) != kNoOffset) {
    by_tag.push_back(offset);
  }
  std::minstd_rand random(5);
  for (uint64_t& at : by_tag) {
    if (random() % 2 == 0) {
      arena->Free(at, 192);
      at = kNoOffset;
    }
  }
  const uint64_t before = arena->reclaimable_bytes();
  const uint64_t payload = arena->Usage().payload_bytes;
  uint64_t promised = 0;
  for (int i = 0; i < 40; ++i) {
    std::vector<BlockTag> tags;
    promised += arena->CollectSparse(128 * kKiB, 5000, &tags);
    for (BlockTag tag : tags) {
      const uint64_t place = arena->Allocate(192, tag);
      ASSERT_NE(place, kNoOffset);
      arena->Free(by_tag[tag], 192);
      by_tag[tag] = place;
    }
  }
  EXPECT_EQ(arena->Usage().payload_bytes, payload);
  if (!Options().huge_pages) {
    EXPECT_GE(promised, 5 * kMiB);
    EXPECT_GE(arena->reclaimable_bytes() - before, promised * 9 / 10);
  }
  for (uint64_t at : by_tag) {
    if (at != kNoOffset) arena->Free(at, 192);
  }
  ExpectExact(*arena, budget);
}

TEST_P(ArenaTest, MetadataStaysSmall) {
  MemoryBudget budget(64 * kMiB);
  std::unique_ptr<Arena> arena = Make(Options(), &budget);
  const uint64_t empty = arena->Usage().metadata_bytes;
  uint64_t blocks = 0;
  while (arena->Allocate(64) != kNoOffset) ++blocks;
  EXPECT_LE(
      static_cast<double>(arena->Usage().metadata_bytes - empty) / static_cast<double>(blocks),
      5.2);
  ArenaOptions options = Options();
  options.tags = false;
  MemoryBudget other_budget(64 * kMiB);
  std::unique_ptr<Arena> other = Make(options, &other_budget);
  blocks = 0;
  while (other->Allocate(64) != kNoOffset) ++blocks;
  EXPECT_LE(
      static_cast<double>(other->Usage().metadata_bytes - empty) / static_cast<double>(blocks),
      1.2);
}

TEST_P(ArenaTest, FreedBytesArePoisonedOnRequest) {
  MemoryBudget budget(32 * kMiB);
  ArenaOptions options = Options();
  options.poison_freed = true;
  std::unique_ptr<Arena> arena = Make(options, &budget);
  for (uint64_t size : {100ul, 100 * kKiB}) {
    const uint64_t keeper = Fill(arena.get(), size);
    const uint64_t offset = Fill(arena.get(), size);
    arena->Free(offset, size);
    // Read through a new owner, as the sanitizer forbids the old one's way.
    const uint64_t again = arena->Allocate(size);
    ASSERT_EQ(again, offset);
    EXPECT_EQ(static_cast<unsigned char>(arena->At(again)[0]), 0xef);
    EXPECT_EQ(static_cast<unsigned char>(arena->At(again)[size - 1]), 0xef);
    arena->Free(again, size);
    arena->Free(keeper, size);
  }
}

TEST(ArenaOptionsTest, RefusesWhatCannotBe) {
  MemoryBudget budget(64 * kMiB);
  ArenaOptions options;
  options.shards = 3;
  EXPECT_EQ(Arena::Create(options, &budget).status().code(), absl::StatusCode::kInvalidArgument);
  options.shards = 0;
  options.region_bytes = 1;
  EXPECT_EQ(Arena::Create(options, &budget).status().code(), absl::StatusCode::kInvalidArgument);
  MemoryBudget tiny(1000);
  EXPECT_EQ(Arena::Create(ArenaOptions(), &tiny).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(tiny.used_bytes(), 0u);
  EXPECT_EQ(budget.used_bytes(), 0u);
}

TEST(ArenaOptionsTest, ARegionThatIsTooSmallRefusesAndGoesOn) {
  MemoryBudget budget(64 * kMiB);
  ArenaOptions options;
  options.region_bytes = 8 * kMiB;
  std::unique_ptr<Arena> arena = *Arena::Create(options, &budget);
  std::vector<uint64_t> live;
  uint64_t offset;
  while ((offset = arena->Allocate(1 * kMiB)) != kNoOffset) live.push_back(offset);
  EXPECT_EQ(live.size(), 8u);
  EXPECT_EQ(arena->Allocate(100), kNoOffset);
  EXPECT_EQ(arena->Allocate(1000 * kMiB), kNoOffset);
  EXPECT_EQ(arena->Allocate(~uint64_t{0}), kNoOffset);
  arena->Free(live.back(), 1 * kMiB);
  EXPECT_NE(arena->Allocate(100), kNoOffset);
}

TEST(ArenaDeathTest, WrongFreesAreFatal) {
  MemoryBudget budget(64 * kMiB);
  ArenaOptions options;
  options.poison_freed = false;
  std::unique_ptr<Arena> arena = *Arena::Create(options, &budget);
  const uint64_t small = arena->Allocate(100);
  const uint64_t keeper = arena->Allocate(100);
  const uint64_t large = arena->Allocate(1 * kMiB);
  EXPECT_DEATH(arena->Free(small + 64, 64), "no block starts at");
  EXPECT_DEATH(arena->Free(small, 1000), "is smaller");
  EXPECT_DEATH(arena->Free(large + 4096, 1 * kMiB), "no block at");
  EXPECT_DEATH(arena->Free(large, 2 * kMiB), "is smaller");
  EXPECT_DEATH(arena->Free(uint64_t{1} << 31, 100), "no block was ever at");
  arena->Free(small, 100);
  arena->Free(large, 1 * kMiB);
  EXPECT_DEATH(arena->Free(small, 100), "freed twice");
  EXPECT_DEATH(arena->Free(large, 1 * kMiB), "no block at");
  arena->Free(keeper, 100);
}

}  // namespace
}  // namespace spillway
