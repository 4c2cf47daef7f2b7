#include "store/internal/entry_table.h"

#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "store/internal/memory/memory_budget.h"

namespace spillway::internal {
namespace {

TEST(EntryTableTest, EntriesAreFoundBySlotAndReusedLastInFirstOut) {
  MemoryBudget budget(1 << 20);
  EntryTable table(nullptr, nullptr, &budget);
  Entry* first = table.Allocate();
  Entry* second = table.Allocate();
  ASSERT_NE(first, nullptr);
  EXPECT_NE(first->slot, 0u);  // the header's place
  EXPECT_EQ(table.At(first->slot), first);
  EXPECT_EQ(table.At(second->slot), second);
  EXPECT_EQ(&SlabOf(first), &SlabOf(second));
  EXPECT_EQ(table.used(), 2u);
  table.Free(first);
  EXPECT_EQ(table.Allocate(), first);
  table.Free(first);
  table.Free(second);
  EXPECT_EQ(table.used(), 0u);
}

TEST(EntryTableTest, SlabsAreChargedBeforeTheyAreUsedAndRefusedWithoutRoom) {
  MemoryBudget budget(2 * kSlabBytes + 1);
  {
    EntryTable table(nullptr, nullptr, &budget);
    std::set<Entry*> entries;
    while (Entry* entry = table.Allocate()) EXPECT_TRUE(entries.insert(entry).second);
    EXPECT_EQ(entries.size(), 2u * (kSlotsPerSlab - 1));
    EXPECT_EQ(budget.Snapshot().bytes(MemoryUse::kEntries), 2 * kSlabBytes);
    size_t seen = 0;
    table.ForEach([&](Entry* entry) { seen += entries.count(entry); });
    EXPECT_EQ(seen, entries.size());
    table.Free(*entries.begin());
    EXPECT_EQ(table.Allocate(), *entries.begin());
  }
  EXPECT_EQ(budget.used_bytes(), 0u);
}

TEST(EntryTableTest, ThreadsGetEntriesOfTheirOwn) {
  MemoryBudget budget(16 << 20);
  EntryTable table(nullptr, nullptr, &budget);
  std::vector<std::thread> threads;
  for (uint64_t t = 1; t <= 4; ++t) {
    threads.emplace_back([&table, t] {
      std::vector<Entry*> mine;
      for (int i = 0; i < 5000; ++i) {
        Entry* entry = table.Allocate();
        ASSERT_NE(entry, nullptr);
        entry->size = t;
        mine.push_back(entry);
        if (i % 3 == 0) {
          EXPECT_EQ(mine[i / 3 % mine.size()]->size, t);
          table.Free(mine.back());
          mine.pop_back();
        }
      }
      for (Entry* entry : mine) {
        EXPECT_EQ(entry->size, t);
        table.Free(entry);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(table.used(), 0u);
}

}  // namespace
}  // namespace spillway::internal
