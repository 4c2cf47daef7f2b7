#include "store/internal/evictor.h"

#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "store/internal/counters.h"
#include "store/internal/memory/memory_budget.h"

namespace spillway::internal {
namespace {

class EvictorTest : public testing::TestWithParam<const char*> {
 protected:
  Entry* Add(uint64_t id, uint64_t size = 100) {
    Entry* entry = table_.Allocate();
    entry->id = id;
    entry->size = size;
    entry->word = StateBits(State::kHot) | kRefOne;
    EXPECT_TRUE(evictor_->ReserveForOneMore());
    evictor_->Insert(entry);
    return entry;
  }

  MemoryBudget budget_{64 << 20};
  EntryTable table_{nullptr, nullptr, &budget_};
  Counters counters_;
  std::unique_ptr<Evictor> evictor_ =
      Evictor::Create(GetParam(), 1 << 20, &table_, &counters_, &budget_).value();
};

TEST_P(EvictorTest, EveryObjectComesUpOnce) {
  std::set<uint64_t> left;
  for (uint64_t id = 1; id <= 100; ++id) {
    Add(id);
    left.insert(id);
  }
  while (auto victim = evictor_->NextVictim()) {
    EXPECT_EQ(left.erase(victim->id), 1u);
    EXPECT_EQ(victim->entry->queued_in, QueuedIn::kNone);
  }
  EXPECT_TRUE(left.empty());
  EXPECT_TRUE(evictor_->policy_empty());
}

TEST_P(EvictorTest, QueuesAreFirstInFirstOutAndCountBytes) {
  std::vector<Evictor::Victim> victims;
  for (uint64_t id = 1; id <= 6; ++id) Add(id, id * 10);
  while (auto victim = evictor_->NextVictim()) victims.push_back(*victim);
  ASSERT_EQ(victims.size(), 6u);
  for (int i = 0; i < 3; ++i) evictor_->PushOutgoing(victims[i]);
  for (int i = 3; i < 6; ++i) evictor_->PushToSpill(victims[i]);
  uint64_t outgoing = 0, to_spill = 0;
  for (int i = 0; i < 3; ++i) outgoing += victims[i].entry->size;
  for (int i = 3; i < 6; ++i) to_spill += victims[i].entry->size;
  EXPECT_EQ(evictor_->outgoing_bytes(), outgoing);
  EXPECT_EQ(evictor_->to_spill_bytes(), to_spill);
  // Once queued, it is not queued again.
  evictor_->PushToSpill(victims[0]);
  evictor_->Readmit(victims[1]);
  EXPECT_EQ(evictor_->to_spill_bytes(), to_spill);
  // From the middle.
  evictor_->Remove(victims[1].entry);
  evictor_->Remove(victims[4].entry);
  evictor_->Remove(victims[4].entry);
  EXPECT_EQ(evictor_->NextOutgoing()->id, victims[0].id);
  EXPECT_EQ(evictor_->NextOutgoing()->id, victims[2].id);
  EXPECT_FALSE(evictor_->NextOutgoing().has_value());
  EXPECT_EQ(evictor_->NextToSpill()->id, victims[3].id);
  EXPECT_EQ(evictor_->NextToSpill()->id, victims[5].id);
  EXPECT_FALSE(evictor_->NextToSpill().has_value());
  EXPECT_EQ(evictor_->outgoing_bytes() + evictor_->to_spill_bytes(), 0u);
}

TEST_P(EvictorTest, WhatIsHitOnItsWayOutGoesBackToThePolicy) {
  Add(1);
  Add(2);
  const Evictor::Victim first = *evictor_->NextVictim();
  const Evictor::Victim second = *evictor_->NextVictim();
  evictor_->PushOutgoing(first);
  evictor_->PushOutgoingFirst(second);
  second.entry->marks = 1;
  EXPECT_EQ(evictor_->NextOutgoing()->id, first.id);
  EXPECT_FALSE(evictor_->NextOutgoing().has_value());
  EXPECT_EQ(second.entry->queued_in, QueuedIn::kPolicy);
  EXPECT_EQ(evictor_->NextVictim()->id, second.id);
}

TEST_P(EvictorTest, WhatMustNotLeaveIsNeverChosen) {
  Entry* entry = table_.Allocate();
  entry->id = 1;
  entry->word = StateBits(State::kHot) | kRefOne | kOnEvictNever;
  evictor_->Insert(entry);
  EXPECT_FALSE(evictor_->NextVictim().has_value());
  evictor_->Remove(entry);
}

TEST_P(EvictorTest, ThreadsShareTheWork) {
  constexpr int kThreads = 4, kObjects = 500;
  std::vector<Entry*> entries;
  for (uint64_t id = 1; id <= kObjects; ++id) entries.push_back(Add(id));
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 2000; ++i) {
        auto victim = evictor_->NextVictim();
        if (!victim) victim = t % 2 == 0 ? evictor_->NextOutgoing() : evictor_->NextToSpill();
        if (!victim) continue;
        if (i % 3 == 0) evictor_->PushOutgoing(*victim);
        if (i % 3 == 1) evictor_->PushToSpill(*victim);
        if (i % 3 == 2) evictor_->Readmit(*victim);
        victim->entry->marks.store(i % 5 == 0 ? 1 : 0);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (Entry* entry : entries) {
    EXPECT_NE(entry->queued_in, QueuedIn::kNone);
    evictor_->Remove(entry);
  }
  EXPECT_TRUE(evictor_->policy_empty());
  EXPECT_EQ(evictor_->outgoing_bytes() + evictor_->to_spill_bytes(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Policies, EvictorTest, testing::Values("lru", "s3fifo", "lfu"));

}  // namespace
}  // namespace spillway::internal
