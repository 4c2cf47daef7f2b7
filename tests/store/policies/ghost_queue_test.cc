#include "store/internal/policies/ghost_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <utility>

namespace spillway::internal {
namespace {

TEST(GhostQueue, ForgetsTheOldestFirst) {
  GhostQueue ghosts;
  ghosts.SetCapacity(100);
  ghosts.Add(1, 40);
  ghosts.Add(2, 40);
  ghosts.Add(3, 40);
  EXPECT_FALSE(ghosts.Take(1));
  EXPECT_TRUE(ghosts.Take(2));
  EXPECT_FALSE(ghosts.Take(2));
  EXPECT_EQ(ghosts.objects(), 1u);
  EXPECT_EQ(ghosts.bytes(), 40u);
}

TEST(GhostQueue, DoesNotRememberWhatIsLargerThanItself) {
  GhostQueue ghosts;
  ghosts.SetCapacity(100);
  ghosts.Add(1, 100);
  ghosts.Add(2, 101);
  EXPECT_TRUE(ghosts.Take(1));
  EXPECT_FALSE(ghosts.Take(2));
}

TEST(GhostQueue, ShrinksWithItsLimits) {
  GhostQueue ghosts;
  ghosts.SetCapacity(1000);
  for (uint64_t key = 1; key <= 100; ++key) ghosts.Add(key, 10);
  ghosts.SetCapacity(500);
  EXPECT_EQ(ghosts.objects(), 50u);
  ghosts.SetObjectsMax(10);
  EXPECT_EQ(ghosts.objects(), 10u);
  EXPECT_FALSE(ghosts.Take(90));
  EXPECT_TRUE(ghosts.Take(91));
}

TEST(GhostQueue, AgreesWithAList) {
  GhostQueue ghosts;
  ghosts.SetCapacity(5000);
  std::deque<std::pair<uint64_t, uint64_t>> list;  // oldest first
  uint64_t bytes = 0;
  std::mt19937 random(3);
  for (int i = 0; i < 50'000; ++i) {
    const uint64_t key = 1 + random() % 1000;
    const auto it =
        std::find_if(list.begin(), list.end(), [key](auto& g) { return g.first == key; });
    ASSERT_EQ(ghosts.Take(key), it != list.end());
    if (it != list.end()) {
      bytes -= it->second;
      list.erase(it);
    }
    if (random() % 2 == 0) continue;
    const uint64_t size_bytes = random() % 40;
    ghosts.Add(key, size_bytes);
    list.emplace_back(key, size_bytes);
    bytes += size_bytes;
    while (bytes > 5000) {
      bytes -= list.front().second;
      list.pop_front();
    }
    ASSERT_EQ(ghosts.objects(), list.size());
    ASSERT_EQ(ghosts.bytes(), bytes);
  }
}

}  // namespace
}  // namespace spillway::internal
