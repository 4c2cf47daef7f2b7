// What the cost policy promises beyond what every policy does.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>

#include "benchmarks/trace.h"
#include "benchmarks/trace_generator.h"
#include "benchmarks/trace_replay.h"
#include "store/eviction_policy.h"

namespace spillway {
namespace {

double RestoreVsLru(const Trace& trace, double fraction) {
  const uint64_t capacity_bytes = CapacityOfFraction(trace, fraction);
  return ReplayTrace(trace, "cost", capacity_bytes)->RestoreSeconds() /
         ReplayTrace(trace, "lru", capacity_bytes)->RestoreSeconds();
}

Trace OfOneSize(Trace trace, uint32_t size_bytes) {
  trace.object_size_bytes.assign(trace.object_size_bytes.size(), size_bytes);
  return trace;
}

TEST(CostPolicy, BeatsLruOnEveryKindOfSyntheticTrace) {
  for (const std::string_view kind : SyntheticTraceKinds()) {
    const Trace trace = MakeSyntheticTrace(kind, 5000, 100'000, 3).value();
    double logs = 0;
    for (const double fraction : {0.01, 0.05, 0.1, 0.2, 0.5}) {
      const double ratio = RestoreVsLru(trace, fraction);
      EXPECT_LE(ratio, 1.03) << kind << " " << fraction;
      logs += std::log(ratio);
    }
    EXPECT_LE(std::exp(logs / 5), kind == "once" ? 1.001 : 0.9) << kind;
  }
}

TEST(CostPolicy, KeepsPartOfALoopThatDoesNotFit) {
  const Trace loop = OfOneSize(MakeSyntheticTrace("loop", 5000, 200'000, 3).value(), 4096);
  EXPECT_LE(RestoreVsLru(loop, 0.5), 0.75);  // lru misses always
}

TEST(CostPolicy, KeepsTheWorkingSetThroughScans) {
  const Trace scans = OfOneSize(MakeSyntheticTrace("zipf_scan", 5000, 200'000, 3).value(), 4096);
  EXPECT_LE(RestoreVsLru(scans, 0.1), 0.9);
}

class CostPolicyVictims : public testing::Test {
 protected:
  CostPolicyVictims() : marks_(1000), policy_(MakeEvictionPolicy("cost", &marks_).value()) {}

  // Small objects in even slots, large ones in odd.
  void InsertBoth() {
    for (SlotIndex slot = 0; slot < 100; ++slot) {
      policy_->Insert(slot, slot + 1, slot % 2 == 0 ? 1000 : 1'000'000);
    }
  }
  int SmallOnesAmongFirst50Victims() {
    int small = 0;
    for (int i = 0; i < 50; ++i) small += *policy_->Evict() % 2 == 0;
    return small;
  }

  ArrayHitMarks marks_;
  std::unique_ptr<EvictionPolicy> policy_;
};

TEST_F(CostPolicyVictims, LargeOnesLeaveFirstBecauseEveryMissCosts) {
  InsertBoth();
  EXPECT_LE(SmallOnesAmongFirst50Victims(), 2);
}

TEST_F(CostPolicyVictims, SizeDoesNotMatterIfOnlyBytesCost) {
  policy_->SetRestoreCosts(0, 1);
  InsertBoth();
  EXPECT_GE(SmallOnesAmongFirst50Victims(), 15);
}

TEST_F(CostPolicyVictims, CostsMayChangeWhileObjectsAreHeld) {
  InsertBoth();
  policy_->SetRestoreCosts(0, 1);
  EXPECT_GE(SmallOnesAmongFirst50Victims(), 15);
}

// An object that comes back to its slot is known; another one in that slot is new. What has come
// back deserves to stay longer than what is new.
TEST_F(CostPolicyVictims, RemembersWhatComesBackToItsSlot) {
  for (SlotIndex slot = 0; slot < 20; ++slot) policy_->Insert(slot, slot + 1, 1000);
  while (policy_->Evict().has_value()) {
  }
  for (SlotIndex slot = 0; slot < 10; ++slot) policy_->Insert(slot, slot + 1, 1000);
  for (SlotIndex slot = 10; slot < 20; ++slot) policy_->Insert(slot, slot + 101, 1000);
  for (int i = 0; i < 10; ++i) EXPECT_GE(*policy_->Evict(), 10u);
}

TEST_F(CostPolicyVictims, ForgetsWhatWasRemoved) {
  for (SlotIndex slot = 0; slot < 20; ++slot) policy_->Insert(slot, slot + 1, 1000);
  while (policy_->Evict().has_value()) {
  }
  for (SlotIndex slot = 10; slot < 20; ++slot) policy_->Remove(slot);
  for (SlotIndex slot = 0; slot < 20; ++slot) policy_->Insert(slot, slot + 1, 1000);
  for (int i = 0; i < 10; ++i) EXPECT_GE(*policy_->Evict(), 10u);
}

TEST(CostPolicy, TakesTwentyBytesASlot) {
  ArrayHitMarks marks(1);
  const auto policy = MakeEvictionPolicy("cost", &marks).value();
  const uint64_t fixed_bytes = policy->MemoryBytes();
  constexpr SlotIndex kObjects = 4096 * 16;
  for (SlotIndex slot = 0; slot < kObjects; ++slot) policy->Insert(slot, slot + 1, 100);
  EXPECT_LE(policy->MemoryBytes() - fixed_bytes, kObjects * uint64_t{20} + 1024);
  EXPECT_LE(fixed_bytes, 200u * 1024);
}

}  // namespace
}  // namespace spillway
