// What every eviction policy owes the store, whatever it prefers to evict.
#include "store/eviction_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <string>

#include "benchmarks/trace.h"
#include "benchmarks/trace_generator.h"
#include "benchmarks/trace_replay.h"

namespace spillway {
namespace {

constexpr SlotIndex kSlots = 4096;

class EvictionPolicyTest : public testing::TestWithParam<std::string> {
 protected:
  EvictionPolicyTest() : marks_(1 << 20), policy_(MakeEvictionPolicy(GetParam(), &marks_).value()) {
    policy_->SetCapacity(1'000'000);
  }

  void Hit(SlotIndex slot) {
    if (policy_->hit_tracking() != HitTracking::kMarks) {
      policy_->Hit(slot);
    } else {
      marks_.Bump(slot);
    }
  }

  void Insert(SlotIndex slot, uint64_t key, uint64_t size_bytes) {
    policy_->Miss(key, size_bytes);
    marks_.Set(slot, 0);
    policy_->Insert(slot, key, size_bytes);
  }

  ArrayHitMarks marks_;
  std::unique_ptr<EvictionPolicy> policy_;
};

std::vector<std::string> AllNames() {
  std::vector<std::string> names;
  for (const std::string_view name : EvictionPolicyNames()) names.emplace_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, EvictionPolicyTest, testing::ValuesIn(AllNames()),
                         [](const auto& param_info) { return param_info.param; });

TEST(EvictionPolicies, KnowTheirNames) {
  ArrayHitMarks marks(1);
  for (const std::string_view name : EvictionPolicyNames()) {
    EXPECT_EQ(MakeEvictionPolicy(name, &marks).value()->name(), name);
  }
  const absl::Status status = MakeEvictionPolicy("magic", &marks).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("lru, fifo"));
}

TEST_P(EvictionPolicyTest, HasNoVictimWhenEmpty) {
  EXPECT_EQ(policy_->Evict(), std::nullopt);
  Insert(3, 1, 10);
  EXPECT_EQ(policy_->Evict(), SlotIndex{3});
  EXPECT_EQ(policy_->Evict(), std::nullopt);
  EXPECT_EQ(policy_->objects(), 0u);
  EXPECT_EQ(policy_->bytes(), 0u);
}

TEST_P(EvictionPolicyTest, IgnoresSlotsItDoesNotHold) {
  policy_->Hit(17);
  policy_->Remove(17);
  policy_->Remove(kNoSlot);
  Insert(3, 1, 10);
  policy_->Remove(4);
  policy_->Hit(100'000);
  policy_->Remove(3);
  policy_->Remove(3);
  policy_->Hit(3);
  EXPECT_EQ(policy_->objects(), 0u);
  EXPECT_EQ(policy_->Evict(), std::nullopt);
}

TEST_P(EvictionPolicyTest, CountsObjectsOfAnySize) {
  const uint64_t sizes[] = {0, 1, 0x7ffffffd, 0x7ffffffe, 0x7fffffff, uint64_t{1} << 40};
  uint64_t bytes = 0;
  for (SlotIndex slot = 0; slot < std::size(sizes); ++slot) {
    Insert(slot, slot + 1, sizes[slot]);
    bytes += sizes[slot];
    EXPECT_EQ(policy_->bytes(), bytes);
  }
  for (size_t left = std::size(sizes); left > 0; --left) {
    EXPECT_EQ(policy_->objects(), left);
    bytes -= sizes[policy_->Evict().value()];
    EXPECT_EQ(policy_->bytes(), bytes);
  }
}

TEST_P(EvictionPolicyTest, KeepsAReadmittedVictimAWhile) {
  for (SlotIndex slot = 0; slot < 100; ++slot) Insert(slot, slot + 1, 1000);
  const SlotIndex victim = policy_->Evict().value();
  policy_->Readmit(victim, victim + 1, 1000);
  EXPECT_EQ(policy_->objects(), 100u);
  for (int i = 0; i < 9; ++i) EXPECT_NE(policy_->Evict(), victim);
}

// A store evicts several victims ahead of dropping any, takes some back, deletes, and reuses slots.
TEST_P(EvictionPolicyTest, HoldsExactlyWhatItWasGiven) {
  std::mt19937_64 random(11);
  std::map<SlotIndex, std::pair<uint64_t, uint64_t>> held;  // slot to (key, size)
  std::vector<SlotIndex> free_slots;
  for (SlotIndex slot = 0; slot < kSlots; ++slot) free_slots.push_back(slot);
  std::vector<std::pair<SlotIndex, std::pair<uint64_t, uint64_t>>> leaving;
  uint64_t bytes = 0;
  const auto any_held = [&] { return std::next(held.begin(), random() % held.size()); };
  for (int step = 0; step < 30'000; ++step) {
    const uint32_t action = random() % 100;
    if (action < 40 && !free_slots.empty()) {
      const SlotIndex slot = free_slots.back();
      free_slots.pop_back();
      const uint64_t size_bytes = random() % 20 == 0 ? uint64_t{3} << 30 : random() % 5000;
      held[slot] = {1 + random() % 2000, size_bytes};
      Insert(slot, held[slot].first, size_bytes);
      bytes += size_bytes;
    } else if (action < 65 && !held.empty()) {
      const auto it = any_held();
      for (uint32_t hits = random() % 4; hits > 0; --hits) Hit(it->first);
    } else if (action < 70 && !held.empty()) {
      const auto it = any_held();
      policy_->Remove(it->first);
      bytes -= it->second.second;
      free_slots.push_back(it->first);
      held.erase(it);
    } else if (action < 90) {
      const std::optional<SlotIndex> victim = policy_->Evict();
      ASSERT_EQ(victim.has_value(), !held.empty());
      if (!victim.has_value()) continue;
      const auto it = held.find(*victim);
      ASSERT_NE(it, held.end());
      bytes -= it->second.second;
      leaving.push_back(*it);
      held.erase(it);
    } else if (action < 95 && !leaving.empty()) {
      const auto back = leaving[random() % leaving.size()];
      std::erase(leaving, back);
      policy_->Readmit(back.first, back.second.first, back.second.second);
      held.insert(back);
      bytes += back.second.second;
    } else if (action < 98 && !leaving.empty()) {
      free_slots.push_back(leaving.back().first);
      leaving.pop_back();
    } else {
      policy_->SetCapacity(random() % 4'000'000);
    }
    ASSERT_EQ(policy_->objects(), held.size());
    ASSERT_EQ(policy_->bytes(), bytes);
  }
}

// A reader that never stops hitting must not keep the evictor sweeping for ever.
class AlwaysMarked : public HitMarks {
 public:
  uint8_t Get(SlotIndex) const override { return 255; }
  void Set(SlotIndex, uint8_t) override {}
};

TEST_P(EvictionPolicyTest, FindsAVictimThoughEverythingIsHitAllTheTime) {
  AlwaysMarked marks;
  const auto policy = MakeEvictionPolicy(GetParam(), &marks).value();
  policy->SetCapacity(1'000'000);
  for (SlotIndex slot = 0; slot < 1000; ++slot) {
    policy->Miss(slot + 1, 1000);
    policy->Insert(slot, slot + 1, 1000);
  }
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(policy->Evict().has_value());
  EXPECT_EQ(policy->objects(), 0u);
}

TEST_P(EvictionPolicyTest, ReplaysTheSameWayEveryTime) {
  const Trace trace = MakeSyntheticTrace("mixed", 1000, 50'000, 5).value();
  const uint64_t capacity_bytes = CapacityOfFraction(trace, 0.05);
  const ReplayResult first = ReplayTrace(trace, GetParam(), capacity_bytes).value();
  const ReplayResult second = ReplayTrace(trace, GetParam(), capacity_bytes).value();
  EXPECT_EQ(first.misses, second.misses);
  EXPECT_EQ(first.miss_bytes, second.miss_bytes);
}

// Objects that come once and objects that come and go must not make its memory grow without bound.
TEST_P(EvictionPolicyTest, MemoryStaysInProportionToWhatIsResident) {
  constexpr SlotIndex kResident = 20'000;
  policy_->SetCapacity(kResident * uint64_t{100});
  for (SlotIndex slot = 0; slot < kResident; ++slot) Insert(slot, slot + 1, 100);
  uint64_t bytes_max = 0;
  for (uint64_t key = kResident + 1; key < uint64_t{12} * kResident; ++key) {
    policy_->Miss(key, 100);
    const SlotIndex slot = policy_->Evict().value();
    marks_.Set(slot, 0);
    policy_->Insert(slot, key, 100);
    bytes_max = std::max(bytes_max, policy_->MemoryBytes());
  }
  RecordProperty("bytes_per_object", std::to_string(bytes_max / kResident));
  EXPECT_LE(bytes_max / kResident, 64u);
  EXPECT_GT(bytes_max / kResident, 8u);
}

}  // namespace
}  // namespace spillway
