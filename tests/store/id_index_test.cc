#include "store/internal/id_index.h"

#include <map>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "store/internal/memory/memory_budget.h"

namespace spillway::internal {
namespace {

class IdIndexTest : public testing::Test {
 protected:
  Entry* Add(uint64_t id) {
    Entry* entry = table_.Allocate();
    entry->id = id;
    entry->word = StateBits(State::kHot) | kRefOne;
    EXPECT_TRUE(index_.Insert(entry));
    return entry;
  }
  void Drop(Entry* entry) {
    entry->word = StateBits(State::kDeleted);
    index_.Erase(entry);
    entry->id = 0;
    entry->word = 0;
    table_.Free(entry);
  }

  MemoryBudget budget_{64 << 20};
  EntryTable table_{nullptr, nullptr, &budget_};
  IdIndex index_{&table_, &budget_};
};

TEST_F(IdIndexTest, FindsWhatIsThereWithOneMoreRef) {
  EXPECT_EQ(index_.FindAndRef(7), nullptr);
  Entry* entry = Add(7);
  EXPECT_EQ(index_.FindAndRef(7), entry);
  EXPECT_EQ(RefsOf(entry->word), 2u);
  EXPECT_EQ(index_.FindAndRef(8), nullptr);
  Drop(entry);
  EXPECT_EQ(index_.FindAndRef(7), nullptr);
}

TEST_F(IdIndexTest, DoesNotFindWhatHasNoRef) {
  Entry* entry = Add(7);
  entry->word = StateBits(State::kHot) | kPinOne;
  EXPECT_EQ(index_.FindAndRef(7), nullptr);
  Drop(entry);
}

TEST_F(IdIndexTest, AgreesWithAMapUnderChurn) {
  std::map<uint64_t, Entry*> model;
  std::mt19937_64 random(1);
  uint64_t next = 1;
  for (int i = 0; i < 60000; ++i) {
    // Grows, shrinks to nothing and grows again.
    const bool add = random() % 100 < (i / 20000 == 1 ? 20 : 60);
    if (add || model.empty()) {
      model[next] = Add(next);
      ++next;
    } else {
      auto victim = model.lower_bound(random() % next);
      if (victim == model.end()) victim = model.begin();
      Drop(victim->second);
      model.erase(victim);
    }
    const uint64_t id = random() % next + 1;
    const auto wanted = model.find(id);
    Entry* found = index_.FindAndRef(id);
    ASSERT_EQ(found, wanted == model.end() ? nullptr : wanted->second) << id;
    if (found != nullptr) found->word -= kRefOne;
  }
  for (auto& [id, entry] : model) {
    ASSERT_EQ(index_.FindAndRef(id), entry);
    Drop(entry);
  }
  EXPECT_EQ(table_.used(), 0u);
}

TEST(IdIndexBudgetTest, RefusesWithoutRoomAndReleasesEverything) {
  MemoryBudget budget(kSlabBytes + 200);
  {
    EntryTable table(nullptr, nullptr, &budget);
    IdIndex index(&table, &budget);
    uint64_t id = 1;
    int inserted = 0;
    for (; id <= 200; ++id) {
      Entry* entry = table.Allocate();
      entry->id = id;
      entry->word = StateBits(State::kHot) | kRefOne;
      if (index.Insert(entry)) {
        ++inserted;
        EXPECT_EQ(index.FindAndRef(id), entry);
      } else {
        EXPECT_EQ(index.FindAndRef(id), nullptr);
        table.Free(entry);
      }
    }
    EXPECT_GT(inserted, 0);
    EXPECT_LT(inserted, 200);
    EXPECT_LE(budget.used_bytes(), budget.limit_bytes());
  }
  EXPECT_EQ(budget.used_bytes(), 0u);
}

TEST_F(IdIndexTest, LookupVersusLastRef) {
  for (int i = 1; i <= 3000; ++i) {
    const uint64_t id = static_cast<uint64_t>(i);
    Entry* entry = Add(id);
    Entry* found = nullptr;
    std::atomic<bool> go{false};
    if (i % 100 != 0) {
      // Most rounds on one thread keep the index moving.
      Drop(entry);
      continue;
    }
    std::thread finder([&] {
      while (!go.load()) {
      }
      found = index_.FindAndRef(id);
    });
    go.store(true);
    const bool last = RefsOf(entry->word.fetch_sub(kRefOne)) == 1;
    finder.join();
    EXPECT_EQ(found == nullptr, last);  // exactly one of them ends the object
    Drop(entry);
  }
}

TEST_F(IdIndexTest, ThreadsFindTheirOwnWhileTheTableGrows) {
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      std::vector<Entry*> mine;
      for (uint64_t i = 0; i < 4000; ++i) {
        mine.push_back(Add(i * 4 + t + 1));
        EXPECT_EQ(index_.FindAndRef(i / 2 * 4 + t + 1), mine[i / 2]);
      }
      for (Entry* entry : mine) Drop(entry);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(table_.used(), 0u);
}

}  // namespace
}  // namespace spillway::internal
