// The cost policy on real traces: much better than LRU on the whole, and nowhere worse by much.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "benchmarks/trace.h"
#include "benchmarks/trace_replay.h"
#include "tests/store/policies/trace_dir.h"

namespace spillway {
namespace {

TEST(CostPolicyReference, BeatsLruOnTheWholeAndLosesLittleAnywhere) {
  if (TraceDir().empty()) GTEST_SKIP() << "no --trace_dir and no SPILLWAY_TRACE_DIR";
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(TraceDir())) {
    if (entry.path().string().ends_with(".objtrc.zst")) files.push_back(entry.path());
  }
  ASSERT_FALSE(files.empty()) << "no trace in " << TraceDir();
  double logs = 0;
  int cells = 0;
  for (const std::string& file : files) {
    const Trace trace = ReadTrace(file).value();
    for (const double fraction : {0.01, 0.05, 0.1, 0.2, 0.5}) {
      const uint64_t capacity_bytes = CapacityOfFraction(trace, fraction);
      const double lru = ReplayTrace(trace, "lru", capacity_bytes)->RestoreSeconds();
      const double cost = ReplayTrace(trace, "cost", capacity_bytes)->RestoreSeconds();
      EXPECT_LE(cost, 1.03 * lru) << trace.name << " " << fraction;
      logs += std::log(cost / lru);
      ++cells;
    }
  }
  EXPECT_LE(std::exp(logs / cells), 0.955);
}

}  // namespace
}  // namespace spillway

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  spillway::ParseTraceArguments(argc, argv);
  return RUN_ALL_TESTS();
}
