#include "store/internal/restore_cost.h"

#include <optional>

#include "gtest/gtest.h"

namespace spillway::internal {
namespace {

// The last answer after so many restores of these sizes at a true cost.
RestoreCost::Costs Learn(RestoreCost* cost, int restores, std::initializer_list<uint64_t> sizes,
                         double per_miss_ns, double per_byte_ns) {
  std::optional<RestoreCost::Costs> last;
  for (int i = 0; i < restores;) {
    for (const uint64_t size : sizes) {
      const double nanos = per_miss_ns + per_byte_ns * static_cast<double>(size);
      if (auto costs = cost->Note(size, static_cast<int64_t>(nanos))) last = costs;
      ++i;
    }
  }
  EXPECT_TRUE(last.has_value());
  return *last;
}

TEST(RestoreCostTest, FindsBothPartsFromMixedSizes) {
  RestoreCost cost;
  const auto costs = Learn(&cost, 4096, {4096, 65536, 1 << 20, 16 << 20}, 40'000, 0.3);
  EXPECT_NEAR(costs.per_miss_ns, 40'000, 4'000);
  EXPECT_NEAR(costs.per_byte_ns, 0.3, 0.015);
}

TEST(RestoreCostTest, FollowsADiskThatBecomesSlower) {
  RestoreCost cost;
  Learn(&cost, 4096, {4096, 1 << 20}, 40'000, 0.3);
  const auto costs = Learn(&cost, 4096, {4096, 1 << 20}, 4'000'000, 8);
  EXPECT_NEAR(costs.per_miss_ns, 4'000'000, 200'000);
  EXPECT_NEAR(costs.per_byte_ns, 8, 0.4);
}

TEST(RestoreCostTest, OneSizeAloneGivesTheRightCostOfThatSize) {
  for (const uint64_t size : {uint64_t{64}, uint64_t{4096}, uint64_t{1} << 24}) {
    RestoreCost cost;
    const auto costs = Learn(&cost, 4096, {size}, 50'000, 0.5);
    const double bytes = static_cast<double>(size);
    EXPECT_NEAR((costs.per_miss_ns + costs.per_byte_ns * bytes) / (50'000 + 0.5 * bytes), 1, 0.05);
    EXPECT_GT(costs.per_miss_ns, 0);
    EXPECT_GT(costs.per_byte_ns, 0);
  }
}

TEST(RestoreCostTest, NothingMakesACostNegativeOrZero) {
  RestoreCost cost;
  for (int i = 0; i < 10'000; ++i) {
    // Larger ones take less, which no line explains.
    auto costs = cost.Note(i % 2 == 0 ? 1 : uint64_t{1} << 40, i % 2 == 0 ? 1'000'000'000 : -5);
    if (!costs) continue;
    EXPECT_GT(costs->per_miss_ns, 0);
    EXPECT_GT(costs->per_byte_ns, 0);
  }
}

}  // namespace
}  // namespace spillway::internal
