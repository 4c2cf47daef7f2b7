#include "store/internal/policies/reuse_model.h"

#include <gtest/gtest.h>

#include <set>

namespace spillway::internal {
namespace {

constexpr float kFadeUses = 1e6f;
constexpr uint32_t kAgeMax = 1 << 20;

TEST(ReuseModel, BucketsGrowWithAgeAndCoverAllOfThem) {
  int last = 0;
  for (uint64_t age = 0; age <= 0xffffffffu; age += 1 + age / 100) {
    const int bucket = ReuseModel::AgeBucket(static_cast<uint32_t>(age));
    ASSERT_TRUE(bucket == last || bucket == last + 1) << age;
    last = bucket;
  }
  EXPECT_EQ(ReuseModel::AgeBucket(0xffffffffu), ReuseModel::kAges - 1);
}

TEST(ReuseModel, ClassesAreInRange) {
  std::set<int> classes;
  for (uint64_t gap = 0; gap <= 0xffffffffu; gap = 2 * gap + 1) {
    for (uint32_t uses = 2; uses < 300; ++uses) {
      const int object_class = ReuseModel::ClassOf(uses, static_cast<uint32_t>(gap));
      ASSERT_GT(object_class, ReuseModel::kClassNew);
      ASSERT_LT(object_class, ReuseModel::kClasses);
      classes.insert(object_class);
    }
  }
  EXPECT_EQ(classes.size(), ReuseModel::kClasses - 1u);
}

TEST(ReuseModel, PrefersTheRecentAndTheFrequentBeforeItKnowsAnything) {
  const ReuseModel model;
  for (int object_class = 0; object_class < ReuseModel::kClasses; ++object_class) {
    EXPECT_TRUE(model.RankFallsWithAge(object_class));
    EXPECT_GT(model.Rank(object_class, 100), model.Rank(object_class, 1000));
  }
  EXPECT_GT(model.Rank(ReuseModel::ClassOf(2, 100), 1000), model.Rank(ReuseModel::kClassNew, 1000));
  EXPECT_GT(model.Rank(ReuseModel::ClassOf(8, 100), 1000),
            model.Rank(ReuseModel::ClassOf(2, 100), 1000));
}

// Rank has a unit: uses per unit of time. Objects that are all used again at age 1000 give one use
// per 1000 when kept from the start, and one per 100 when they have waited for 900.
TEST(ReuseModel, RanksAreUsesPerTime) {
  ReuseModel model;
  const int object_class = ReuseModel::ClassOf(2, 1000);
  for (int i = 0; i < 100'000; ++i) model.Reused(object_class, 1000);
  model.Learn(0, kFadeUses, kAgeMax);
  EXPECT_NEAR(model.Rank(object_class, 0), 1 / 1000.0, 0.1 / 1000);
  EXPECT_GT(model.Rank(object_class, 890), 3 * model.Rank(object_class, 0));
  EXPECT_FALSE(model.RankFallsWithAge(object_class));
  // Who has waited longer than that has missed it.
  EXPECT_LT(model.Rank(object_class, 3000), model.Rank(object_class, 0));
}

TEST(ReuseModel, WaitingAndVanishedObjectsLowerRanks) {
  const int scanned = ReuseModel::kClassNew;
  ReuseModel without, with_waiting, with_vanished;
  for (ReuseModel* model : {&without, &with_waiting, &with_vanished}) {
    for (int i = 0; i < 1000; ++i) model->Reused(scanned, 500);
  }
  with_waiting.Waiting(scanned, 5000, 9000);
  for (int i = 0; i < 9000; ++i) with_vanished.Vanished(scanned, 5000);
  for (ReuseModel* model : {&without, &with_waiting, &with_vanished}) {
    model->Learn(0, kFadeUses, kAgeMax);
  }
  EXPECT_LT(with_waiting.Rank(scanned, 100), 0.3f * without.Rank(scanned, 100));
  EXPECT_LT(with_vanished.Rank(scanned, 100), 0.3f * without.Rank(scanned, 100));
}

TEST(ReuseModel, ForgetsTheDistantPast) {
  ReuseModel model;
  for (int i = 0; i < 10'000; ++i) model.Reused(ReuseModel::kClassNew, 500);
  model.Learn(0, kFadeUses, kAgeMax);
  const float before = model.Rank(ReuseModel::kClassNew, 400);
  // 200 times as long as counts last, in steps; then it is otherwise.
  for (int i = 0; i < 100; ++i) model.Learn(2 * kFadeUses, kFadeUses, kAgeMax);
  for (int i = 0; i < 100; ++i) model.Reused(ReuseModel::kClassNew, 50'000);
  model.Learn(0, kFadeUses, kAgeMax);
  for (int i = 0; i < 8; ++i) model.Learn(0, kFadeUses, kAgeMax);
  EXPECT_LT(model.Rank(ReuseModel::kClassNew, 400), before / 5);
}

}  // namespace
}  // namespace spillway::internal
