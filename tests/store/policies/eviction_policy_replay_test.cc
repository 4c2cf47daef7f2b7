// The classical policies, replayed, against simulators that are simple enough to be believed.
#include <gtest/gtest.h>

#include "benchmarks/trace.h"
#include "benchmarks/trace_generator.h"
#include "benchmarks/trace_replay.h"
#include "tests/store/policies/naive_policies.h"

namespace spillway {
namespace {

TEST(EvictionPolicyReplay, AgreesWithNaiveSimulatorsToTheMiss) {
  uint64_t compared = 0;
  for (const std::string_view kind : SyntheticTraceKinds()) {
    const Trace trace = MakeSyntheticTrace(kind, 300, 6000, 7).value();
    for (const double fraction : {0.003, 0.01, 0.05, 0.1, 0.3, 0.9, 1.0}) {
      const uint64_t capacity_bytes = CapacityOfFraction(trace, fraction);
      for (const std::string_view policy : NaivePolicyNames()) {
        const NaiveResult expected = NaiveReplay(trace, policy, capacity_bytes);
        const ReplayResult got = ReplayTrace(trace, policy, capacity_bytes).value();
        EXPECT_EQ(got.misses, expected.misses) << kind << " " << policy << " " << fraction;
        EXPECT_EQ(got.miss_bytes, expected.miss_bytes) << kind << " " << policy << " " << fraction;
        ++compared;
      }
    }
  }
  EXPECT_EQ(compared, 7u * 7u * 6u);
}

// Every object the size of one: what counts is then the order alone.
TEST(EvictionPolicyReplay, AgreesWithNaiveSimulatorsWhenObjectsAreCounted) {
  Trace trace = MakeSyntheticTrace("mixed", 300, 10'000, 8).value();
  trace.object_size_bytes.assign(trace.object_size_bytes.size(), 1);
  for (const uint64_t capacity_bytes : {1, 2, 10, 30, 100, 1000}) {
    for (const std::string_view policy : NaivePolicyNames()) {
      const NaiveResult expected = NaiveReplay(trace, policy, capacity_bytes);
      const ReplayResult got = ReplayTrace(trace, policy, capacity_bytes).value();
      EXPECT_EQ(got.misses, expected.misses) << policy << " " << capacity_bytes;
    }
  }
}

TEST(EvictionPolicyReplay, CountsRequestsAndRestoreTime) {
  Trace trace;
  trace.object_size_bytes = {1000, 3000};
  trace.requests = {0, 1, 0, 0};
  const ReplayResult result = ReplayTrace(trace, "lru", 4000).value();
  EXPECT_EQ(result.requests, 4u);
  EXPECT_EQ(result.request_bytes, 6000u);
  EXPECT_EQ(result.misses, 2u);
  EXPECT_EQ(result.miss_bytes, 4000u);
  EXPECT_DOUBLE_EQ(result.RestoreSeconds(), 204e-6);
  EXPECT_DOUBLE_EQ(result.RestoreSeconds(1000, 2), 10e-6);
}

TEST(EvictionPolicyReplay, RefusesAnUnknownPolicy) {
  EXPECT_EQ(ReplayTrace(Trace(), "magic", 1).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace spillway
