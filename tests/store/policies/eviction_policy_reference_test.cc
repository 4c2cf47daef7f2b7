// The policies against published real traces and reference counts, which must be met exactly.
//
// The folder with `*.objtrc.zst` and `reference.csv` is given by --trace_dir or SPILLWAY_TRACE_DIR.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "benchmarks/trace.h"
#include "benchmarks/trace_replay.h"
#include "tests/store/policies/trace_dir.h"

namespace spillway {
namespace {

struct ReferenceRow {
  std::string trace;
  std::string policy;
  std::string fraction;
  uint64_t cache_bytes = 0;
  uint64_t requests = 0;
  uint64_t misses = 0;
  uint64_t request_bytes = 0;
  uint64_t miss_bytes = 0;
};

// The rows of the chosen traces; none if the folder has no reference.
std::vector<ReferenceRow> ReadReference() {
  std::ifstream file(TraceDir() + "/reference.csv");
  std::vector<ReferenceRow> rows;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::replace(line.begin(), line.end(), ',', ' ');
    std::istringstream fields(line);
    ReferenceRow row;
    fields >> row.trace >> row.policy >> row.fraction >> row.cache_bytes >> row.requests >>
        row.misses >> row.request_bytes >> row.miss_bytes;
    EXPECT_FALSE(fields.fail()) << line;
    if (WantsTraceOf(row.requests)) rows.push_back(row);
  }
  return rows;
}

class EvictionPolicyReference : public testing::Test {
 protected:
  void SetUp() override {
    if (TraceDir().empty()) GTEST_SKIP() << "no --trace_dir and no SPILLWAY_TRACE_DIR";
    rows_ = ReadReference();
    ASSERT_FALSE(rows_.empty()) << "no reference in " << TraceDir();
  }

  const Trace& TraceOf(const std::string& name) {
    const auto [it, added] = traces_.try_emplace(name);
    if (added) it->second = ReadTrace(TraceDir() + "/" + name + ".objtrc.zst").value();
    return it->second;
  }

  std::vector<ReferenceRow> rows_;
  std::map<std::string, Trace> traces_;
};

TEST_F(EvictionPolicyReference, MeetsEveryRowExactly) {
  const std::vector<std::string> exact = {"lru", "fifo", "lfu", "sieve", "s3fifo", "gdsf"};
  std::map<std::string, int> rows_of_policy;
  for (const ReferenceRow& row : rows_) {
    if (std::find(exact.begin(), exact.end(), row.policy) == exact.end()) continue;
    const Trace& trace = TraceOf(row.trace);
    const std::string what = row.trace + " " + row.policy + " " + row.fraction;
    EXPECT_EQ(CapacityOfFraction(trace, std::stod(row.fraction)), row.cache_bytes) << what;
    const ReplayResult got = ReplayTrace(trace, row.policy, row.cache_bytes).value();
    EXPECT_EQ(got.requests, row.requests) << what;
    EXPECT_EQ(got.request_bytes, row.request_bytes) << what;
    EXPECT_EQ(got.misses, row.misses) << what;
    EXPECT_EQ(got.miss_bytes, row.miss_bytes) << what;
    ++rows_of_policy[row.policy];
  }
  for (const std::string& policy : exact) {
    // gdsf has rows for sized traces only, and these are small.
    EXPECT_TRUE(rows_of_policy[policy] > 0 || policy == "gdsf") << policy;
  }
}

}  // namespace
}  // namespace spillway

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  spillway::ParseTraceArguments(argc, argv);
  return RUN_ALL_TESTS();
}
