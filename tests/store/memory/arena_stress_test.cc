#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "store/internal/memory/arena.h"
#include "store/internal/memory/memory_budget.h"

namespace spillway {
namespace {

constexpr uint64_t kKiB = 1 << 10;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kPage = 4096;

uint64_t ResidentBytes(const Arena& arena) {
  const uint64_t frontier = arena.Usage().frontier_bytes;
  if (frontier == 0) return 0;
  std::vector<unsigned char> resident(frontier / kPage);
  EXPECT_EQ(mincore(arena.region(), frontier, resident.data()), 0);
  return kPage *
         std::count_if(resident.begin(), resident.end(), [](unsigned char c) { return c & 1; });
}

struct Block {
  uint64_t offset = kNoOffset;
  uint64_t size = 0;
  uint8_t fill = 0;
};

uint64_t LogUniform(std::mt19937_64* random, uint64_t min, uint64_t max) {
  const double u = std::uniform_real_distribution<double>(0, 1)(*random);
  return static_cast<uint64_t>(static_cast<double>(min) *
                               std::pow(static_cast<double>(max) / static_cast<double>(min), u));
}

// Writes a mark at both ends and in the middle, and checks it.
void Mark(Arena* arena, const Block& block) {
  char* const data = arena->At(block.offset);
  data[0] = data[block.size / 2] = data[block.size - 1] = static_cast<char>(block.fill);
}
bool IsMarked(Arena* arena, const Block& block) {
  const char* const data = arena->At(block.offset);
  const char fill = static_cast<char>(block.fill);
  return data[0] == fill && data[block.size / 2] == fill && data[block.size - 1] == fill;
}

struct StressCase {
  const char* name;
  uint64_t limit;
  uint64_t size_max;
  bool huge_pages;
  bool tags;
};

class ArenaModelTest : public testing::TestWithParam<StressCase> {};

INSTANTIATE_TEST_SUITE_P(Mixes, ArenaModelTest,
                         testing::Values(StressCase{"TinyOnly", 16 * kMiB, 512, false, true},
                                         StressCase{"SmallMix", 16 * kMiB, 64 * kKiB, false, true},
                                         StressCase{"WideMix", 48 * kMiB, 8 * kMiB, false, false},
                                         StressCase{"HugePages", 64 * kMiB, 1 * kMiB, true, true}),
                         [](const testing::TestParamInfo<StressCase>& test) {
                           return std::string(test.param.name);
                         });

// One thread, a full arena, eviction at random, against a map of who is where.
TEST_P(ArenaModelTest, BlocksNeverOverlapAndEveryByteIsAccountedFor) {
  const StressCase& param = GetParam();
  MemoryBudget budget(param.limit);
  {
    ArenaOptions options;
    options.huge_pages = param.huge_pages;
    options.tags = param.tags;
    std::unique_ptr<Arena> arena = *Arena::Create(options, &budget);
    std::mt19937_64 random(11);
    std::map<uint64_t, uint64_t> taken;  // offset to end of block
    std::vector<Block> live;
    uint64_t payload = 0, rounding = 0;
    const auto free_one = [&](size_t i) {
      std::swap(live[i], live.back());
      const Block block = live.back();
      live.pop_back();
      ASSERT_TRUE(IsMarked(arena.get(), block));
      payload -= block.size;
      rounding -= arena->BlockSizeAt(block.offset) - block.size;
      arena->Free(block.offset, block.size);
      taken.erase(block.offset);
    };
    uint64_t size_max = param.size_max;
    for (int i = 0; i < 60'000; ++i) {
      // The mix changes now and then.
      if (i % 10'000 == 0) size_max = LogUniform(&random, 1000, param.size_max + 1);
      Block block;
      block.size = LogUniform(&random, 1, std::max<uint64_t>(size_max, 2));
      block.fill = static_cast<uint8_t>(random());
      while ((block.offset = arena->Allocate(block.size, static_cast<BlockTag>(i))) == kNoOffset) {
        ASSERT_FALSE(live.empty());
        free_one(random() % live.size());
      }
      const uint64_t block_size = arena->BlockSizeAt(block.offset);
      const uint64_t end = block.offset + block_size;
      ASSERT_GE(block_size, Arena::BlockSize(block.size));
      ASSERT_LE(block_size, Arena::BlockSize(block.size) * 9 / 8);
      ASSERT_EQ(block.offset % kBlockAlignment, 0u);
      const auto next = taken.lower_bound(block.offset);
      ASSERT_TRUE(next == taken.end() || end <= next->first);
      ASSERT_TRUE(next == taken.begin() || std::prev(next)->second <= block.offset);
      taken.emplace(block.offset, end);
      Mark(arena.get(), block);
      live.push_back(block);
      payload += block.size;
      rounding += block_size - block.size;
      if (random() % 8 == 0) free_one(random() % live.size());
      if (random() % 1000 == 0) arena->Trim(random() % (256 * kKiB));
      if (i % 512 == 0) {
        const ArenaUsage usage = arena->Usage();
        ASSERT_EQ(usage.payload_bytes, payload);
        ASSERT_EQ(usage.rounding_bytes, rounding);
        ASSERT_EQ(usage.blocks, live.size());
        ASSERT_EQ(usage.free_committed_bytes, usage.committed_bytes - payload - rounding);
        const MemorySnapshot snapshot = budget.Snapshot();
        ASSERT_EQ(snapshot.bytes(MemoryUse::kArena), usage.committed_bytes);
        ASSERT_EQ(snapshot.bytes(MemoryUse::kArenaMetadata), usage.metadata_bytes);
        ASSERT_LE(snapshot.used_bytes, snapshot.limit_bytes);
        ASSERT_LE(ResidentBytes(*arena), usage.committed_bytes);
      }
    }
    while (!live.empty()) free_one(live.size() - 1);
    ASSERT_EQ(arena->reclaimable_bytes(), arena->committed_bytes());
    arena->Trim(param.limit);
    ASSERT_EQ(arena->committed_bytes(), 0u);
    ASSERT_EQ(ResidentBytes(*arena), 0u);
  }
  ASSERT_EQ(budget.used_bytes(), 0u);
}

class ArenaThreadsTest : public testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(Pages, ArenaThreadsTest, testing::Values(false, true),
                         [](const testing::TestParamInfo<bool>& test) {
                           return test.param ? "Huge" : "Small";
                         });

// Threads that allocate, hand blocks to each other, free and trim, while another one reads the
// sums.
TEST_P(ArenaThreadsTest, ThreadsSeeOnlyTheirOwnBlocks) {
  constexpr int kThreads = 4;
  constexpr int kSlots = 256;
  MemoryBudget budget(48 * kMiB);
  {
    ArenaOptions options;
    options.huge_pages = GetParam();
    options.shards = 2;
    std::unique_ptr<Arena> arena = *Arena::Create(options, &budget);
    // Where blocks change hands: whoever exchanges one out of a slot owns it.
    struct Slot {
      std::atomic<Block*> block{nullptr};
    };
    std::vector<Slot> slots(kSlots);
    std::atomic<bool> done{false};
    const auto take_down = [&](Block* block) {
      ASSERT_TRUE(IsMarked(arena.get(), *block));
      arena->Free(block->offset, block->size);
      delete block;
    };
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937_64 random(t + 1);
        for (int i = 0; i < 20'000; ++i) {
          auto block = std::make_unique<Block>();
          block->size = LogUniform(&random, 32, random() % 16 == 0 ? 4 * kMiB : 32 * kKiB);
          block->fill = static_cast<uint8_t>(random());
          int evictions = 0;
          while ((block->offset = arena->Allocate(block->size, static_cast<BlockTag>(i))) ==
                 kNoOffset) {
            Block* const victim = slots[random() % kSlots].block.exchange(nullptr);
            if (victim != nullptr) take_down(victim);
            // Pages may be in the hands of another thread for a while.
            ASSERT_LT(++evictions, 1'000'000);
          }
          Mark(arena.get(), *block);
          Block* const previous = slots[random() % kSlots].block.exchange(block.release());
          if (previous != nullptr) take_down(previous);
          if (i % 500 == 0) arena->Trim(1 * kMiB);
          if (i % 700 == 0) {
            std::vector<BlockTag> tags;
            arena->CollectSparse(64 * kKiB, 100, &tags);
          }
        }
      });
    }
    std::thread reader([&] {
      while (!done) {
        const ArenaUsage usage = arena->Usage();
        ASSERT_EQ(usage.payload_bytes + usage.rounding_bytes + usage.free_committed_bytes,
                  usage.committed_bytes);
        ASSERT_LE(budget.used_bytes(), budget.limit_bytes());
        ASSERT_LE(arena->reclaimable_bytes(), budget.limit_bytes());
        std::this_thread::yield();
      }
    });
    for (std::thread& thread : threads) thread.join();
    done = true;
    reader.join();
    ASSERT_LE(ResidentBytes(*arena), arena->committed_bytes());
    for (Slot& slot : slots) {
      Block* const block = slot.block.exchange(nullptr);
      if (block != nullptr) take_down(block);
    }
    ASSERT_EQ(arena->Usage().payload_bytes, 0u);
    ASSERT_EQ(arena->Usage().blocks, 0u);
    ASSERT_EQ(arena->reclaimable_bytes(), arena->committed_bytes());
    arena->Trim(budget.limit_bytes());
    ASSERT_EQ(arena->committed_bytes(), 0u);
  }
  ASSERT_EQ(budget.used_bytes(), 0u);
}

// One thread frees what the other allocates, all of one size: every block goes through both shards.
TEST(ArenaHandoverTest, BlocksFreedByAnotherThreadComeBack) {
  MemoryBudget budget(32 * kMiB);
  ArenaOptions options;
  options.shards = 2;
  std::unique_ptr<Arena> arena = *Arena::Create(options, &budget);
  constexpr uint64_t kSize = 200;
  std::vector<std::atomic<uint64_t>> ring(1024);
  for (std::atomic<uint64_t>& slot : ring) slot = kNoOffset;
  constexpr int kBlocks = 200'000;
  std::thread consumer([&] {
    for (int i = 0; i < kBlocks; ++i) {
      std::atomic<uint64_t>& slot = ring[i % ring.size()];
      uint64_t offset;
      while ((offset = slot.exchange(kNoOffset)) == kNoOffset) std::this_thread::yield();
      arena->Free(offset, kSize);
    }
  });
  for (int i = 0; i < kBlocks; ++i) {
    std::atomic<uint64_t>& slot = ring[i % ring.size()];
    while (slot.load() != kNoOffset) std::this_thread::yield();
    const uint64_t offset = arena->Allocate(kSize);
    ASSERT_NE(offset, kNoOffset);
    slot = offset;
  }
  consumer.join();
  EXPECT_EQ(arena->Usage().blocks, 0u);
  // Never more than the ring holds was alive, so little was ever committed.
  EXPECT_LE(arena->Usage().committed_bytes, 1 * kMiB);
}

}  // namespace
}  // namespace spillway
