#include "store/internal/counters.h"

#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace spillway::internal {
namespace {

TEST(CountersTest, SumsOverThreadsThatLiveAndThatHaveEnded) {
  Counters counters;
  for (int round = 0; round < 3; ++round) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i) {
          counters.Mine().Add(Counter::kHits);
          counters.Mine().Add(Counter::kPutBytes, 10);
          counters.Mine().Record(Latency::kPut, 100);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  counters.Mine().Add(Counter::kHits);
  EXPECT_EQ(counters.Sum(Counter::kHits), 12001u);
  EXPECT_EQ(counters.Sum(Counter::kPutBytes), 120000u);
  EXPECT_EQ(counters.Sum(Latency::kPut).count(), 12000u);
}

TEST(CountersTest, AThreadThatEndsLeavesItsBlockToTheNext) {
  Counters counters;
  CounterBlock* first = nullptr;
  CounterBlock* second = nullptr;
  std::thread([&] { first = &counters.Mine(); }).join();
  std::thread([&] { second = &counters.Mine(); }).join();
  EXPECT_EQ(first, second);
}

TEST(CountersTest, StoresAreCountedApart) {
  auto one = std::make_unique<Counters>();
  Counters two;
  one->Mine().Add(Counter::kHits);
  two.Mine().Add(Counter::kHits, 2);
  one->Mine().Add(Counter::kHits);
  EXPECT_EQ(one->Sum(Counter::kHits), 2u);
  EXPECT_EQ(two.Sum(Counter::kHits), 2u);
  one = std::make_unique<Counters>();  // perhaps at the same place
  EXPECT_EQ(one->Sum(Counter::kHits), 0u);
  one->Mine().Add(Counter::kHits);
  EXPECT_EQ(one->Sum(Counter::kHits), 1u);
}

TEST(CountersTest, HitsAreDrainedInOrderAndAFullRingForgets) {
  Counters counters;
  for (uint32_t i = 0; i < CounterBlock::kHitRing; ++i) EXPECT_TRUE(counters.Mine().PushHit(i));
  EXPECT_FALSE(counters.Mine().PushHit(999));
  std::vector<uint32_t> hits;
  counters.DrainHits([&](uint32_t slot) { hits.push_back(slot); });
  ASSERT_EQ(hits.size(), CounterBlock::kHitRing);
  for (uint32_t i = 0; i < hits.size(); ++i) EXPECT_EQ(hits[i], i);
  EXPECT_TRUE(counters.Mine().PushHit(5));
  hits.clear();
  counters.DrainHits([&](uint32_t slot) { hits.push_back(slot); });
  EXPECT_EQ(hits, std::vector<uint32_t>{5});
}

TEST(CountersTest, NoHitIsSeenTwiceWhileOthersDrain) {
  Counters counters;
  uint64_t pushed = 0, drained = 0;
  std::thread pusher([&] {
    for (uint32_t i = 0; i < 20000; ++i) pushed += counters.Mine().PushHit(i) ? 1 : 0;
  });
  for (int i = 0; i < 200; ++i) counters.DrainHits([&](uint32_t) { ++drained; });
  pusher.join();
  counters.DrainHits([&](uint32_t) { ++drained; });
  EXPECT_EQ(drained, pushed);
}

// Counts in the destructor of a thread_local that is older than the thread's blocks.
struct CountsAtTheEnd {
  Counters* counters = nullptr;
  ~CountsAtTheEnd() {
    if (counters != nullptr) counters->Mine().Add(Counter::kDeletes);
  }
};

TEST(CountersTest, AThreadLocalMayCountAtTheThreadsEnd) {
  Counters counters, others;
  for (int i = 0; i < 10; ++i) {
    std::thread([&] {
      static thread_local CountsAtTheEnd at_the_end;
      at_the_end.counters = &counters;
      counters.Mine().Add(Counter::kPuts);
      others.Mine().Add(Counter::kPuts);
    }).join();
  }
  EXPECT_EQ(counters.Sum(Counter::kPuts), 10u);
  EXPECT_EQ(counters.Sum(Counter::kDeletes), 10u);
  EXPECT_EQ(others.Sum(Counter::kPuts), 10u);
}

}  // namespace
}  // namespace spillway::internal
