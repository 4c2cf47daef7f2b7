// What a benchmark hands on: rows of figures, each beside its baseline and its goal, as JSON for
// tools and as a table for people.
//
//     Report report("hot_tier", options.commit);
//     report.Add({.name = "get_ref", .ours = 14.2, .unit = "ns", .baseline = 92.0,
//                 .baseline_name = "mutex+unordered_map", .goal = "<= 30 ns", .met = true});
//     report.PrintTable(std::cout);
//     report.Write(options.out);
//
// The JSON is
//
//     {"benchmark": "hot_tier", "commit": "...", "machine": {...}, "results": [
//       {"name": "get_ref", "ours": 14.2, "unit": "ns", "better": "lower", "baseline": 92.0,
//        "baseline_name": "mutex+unordered_map", "ratio": 6.5, "spread": 0.08,
//        "goal": "<= 30 ns", "met": true}, ...]}
//
// where a row without a baseline has none of its three fields, and a row without a goal neither
// `goal` nor `met`.
#ifndef SPILLWAY_BENCHMARKS_REPORT_H_
#define SPILLWAY_BENCHMARKS_REPORT_H_

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace spillway::benchmarks {

enum class Better { kLower, kHigher };

struct Result {
  std::string name;  // lower_snake_case, the same from release to release
  double ours = 0;
  std::string unit;
  Better better = Better::kLower;
  std::optional<double> baseline = std::nullopt;
  std::string baseline_name = "";
  double spread = 0;      // of the repetitions: (max - min) / median
  std::string goal = "";  // for people; empty for none
  bool met = true;

  // Above 1: ours is better, whichever direction is better. REQUIRES: there is a baseline.
  double ratio() const;
};

// Thread-safety: none.
class Report {
 public:
  Report(std::string benchmark, std::string commit);

  void Add(Result result) { results_.push_back(std::move(result)); }
  const std::vector<Result>& results() const { return results_; }

  std::string ToJson() const;
  // The same rows, those that miss their goal last and marked.
  void PrintTable(std::ostream& out) const;
  // Writes ToJson() to the file `path`, in place of an older one. Internal if that fails.
  absl::Status Write(const std::string& path) const;

 private:
  const std::string benchmark_;
  const std::string commit_;
  std::vector<Result> results_;
};

}  // namespace spillway::benchmarks

#endif  // SPILLWAY_BENCHMARKS_REPORT_H_
