// Eviction policies side by side: misses, missed bytes, and the time that restoring them would
// take.
//
//     eviction_benchmark --trace_dir=DIR                      every trace of a folder
//     eviction_benchmark --trace=A.objtrc.zst,B.csv --policies=lru,cost --fractions=0.01,0.1
//     eviction_benchmark                                      synthetic traces
//
// Every policy replays every trace at every cache size, given as a fraction of the trace's unique
// bytes. --csv writes all the counts, --out what DESIGN calls the results. The modelled time of a
// miss on s bytes is 100 us + s / (1 GB/s).
#include <gflags/gflags.h>
#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "benchmarks/report.h"
#include "benchmarks/trace.h"
#include "benchmarks/trace_generator.h"
#include "benchmarks/trace_replay.h"
#include "store/eviction_policy.h"

DEFINE_string(trace, "", "files to replay, separated by commas: OBJTRC01 or CSV, zstd or plain");
DEFINE_string(trace_dir, "",
              "folder of which to replay all *.objtrc and *.objtrc.zst; the environment's "
              "SPILLWAY_TRACE_DIR if neither this nor --trace is given");
DEFINE_string(policies, "", "policies, separated by commas; all if not given");
DEFINE_string(fractions, "0.01,0.05,0.1,0.2,0.5", "cache sizes as fractions of the unique bytes");
DEFINE_string(csv, "", "file for the counts of every cell");
DEFINE_string(out, "", "file for the results as JSON");
DEFINE_string(commit, "unknown", "what was measured, for the results");
DEFINE_bool(quick, false, "only lru, s3fifo and cost, and fewer repetitions");

namespace spillway::benchmarks {
namespace {

constexpr double kGeomeanMax = 0.955;
constexpr double kCellMax = 1.03;
constexpr double kReplayTimeMax = 2;
constexpr double kPolicyBytesPerSlotMax = 24;

// Ends the program: the command line asks for something that cannot be.
[[noreturn]] void Die(const std::string& message) {
  std::cerr << "eviction_benchmark: " << message << "\n";
  std::exit(EXIT_FAILURE);  // NOLINT(concurrency-mt-unsafe)
}

struct Cell {
  std::string trace;
  std::string policy;
  double fraction = 0;
  uint64_t cache_bytes = 0;
  ReplayResult result;
  double restore_vs_lru = 1;
};

std::vector<std::string> TraceFiles() {
  std::vector<std::string> files = absl::StrSplit(FLAGS_trace, ',', absl::SkipEmpty());
  std::string folder = FLAGS_trace_dir;
  const char* of_environment = std::getenv("SPILLWAY_TRACE_DIR");  // NOLINT(concurrency-mt-unsafe)
  if (folder.empty() && files.empty() && of_environment != nullptr) folder = of_environment;
  if (folder.empty()) return files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    const bool is_trace = name.ends_with(".objtrc") || name.ends_with(".objtrc.zst");
    if (is_trace) files.push_back(entry.path());
  }
  if (error) Die(absl::StrCat("cannot list ", folder, ": ", error.message()));
  if (files.empty()) Die(absl::StrCat("there is no trace in ", folder));
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<Trace> SyntheticTraces() {
  std::vector<Trace> traces;
  for (const std::string_view kind : SyntheticTraceKinds()) {
    traces.push_back(
        MakeSyntheticTrace(kind, 20'000, FLAGS_quick ? 200'000 : 1'000'000, 7).value());
  }
  return traces;
}

// lru always comes first: it is what the others are compared with.
std::vector<std::string> Policies() {
  std::vector<std::string> wanted = absl::StrSplit(FLAGS_policies, ',', absl::SkipEmpty());
  if (wanted.empty() && FLAGS_quick) wanted = {"s3fifo", "cost"};
  if (wanted.empty()) {
    for (const std::string_view name : EvictionPolicyNames()) wanted.emplace_back(name);
  }
  std::erase(wanted, "lru");
  wanted.insert(wanted.begin(), "lru");
  ArrayHitMarks marks(1);
  for (const std::string& name : wanted) {
    const auto policy = MakeEvictionPolicy(name, &marks);
    if (!policy.ok()) Die(std::string(policy.status().message()));
  }
  return wanted;
}

std::vector<double> Fractions() {
  std::vector<double> fractions;
  for (const std::string& text :
       std::vector<std::string>(absl::StrSplit(FLAGS_fractions, ',', absl::SkipEmpty()))) {
    double fraction;
    if (!absl::SimpleAtod(text, &fraction) || !(fraction > 0 && fraction <= 1)) {
      Die(absl::StrCat("--fractions: \"", text, "\" is no number in (0, 1]"));
    }
    fractions.push_back(fraction);
  }
  if (fractions.empty()) Die("--fractions is empty");
  return fractions;
}

// Replays a trace with all policies and cache sizes.
void ReplayAll(const Trace& trace, const std::vector<std::string>& policies,
               const std::vector<double>& fractions, std::vector<Cell>* cells) {
  for (const double fraction : fractions) {
    const uint64_t cache_bytes = CapacityOfFraction(trace, fraction);
    double lru_seconds = 0;
    for (const std::string& policy : policies) {
      Cell cell{.trace = trace.name,
                .policy = policy,
                .fraction = fraction,
                .cache_bytes = cache_bytes,
                .result = ReplayTrace(trace, policy, cache_bytes).value()};
      if (policy == "lru") lru_seconds = cell.result.RestoreSeconds();
      if (lru_seconds > 0) cell.restore_vs_lru = cell.result.RestoreSeconds() / lru_seconds;
      cells->push_back(cell);
    }
  }
}

double Geomean(const std::vector<Cell>& cells, const std::string& policy,
               const std::string& trace = "") {
  double logs = 0;
  int count = 0;
  for (const Cell& cell : cells) {
    if (cell.policy != policy || (!trace.empty() && cell.trace != trace)) continue;
    logs += std::log(cell.restore_vs_lru);
    ++count;
  }
  return std::exp(logs / std::max(count, 1));
}

std::string CsvOf(const std::vector<Cell>& cells) {
  std::string csv =
      "trace,policy,cache_frac,cache_bytes,requests,misses,request_bytes,miss_bytes,"
      "object_miss_ratio,byte_miss_ratio,restore_seconds,restore_vs_lru,replay_ns_per_request,"
      "policy_memory_bytes,objects_max\n";
  for (const Cell& cell : cells) {
    const ReplayResult& r = cell.result;
    const double requests = static_cast<double>(std::max<uint64_t>(r.requests, 1));
    const double request_bytes = static_cast<double>(std::max<uint64_t>(r.request_bytes, 1));
    absl::StrAppend(
        &csv, cell.trace, ",", cell.policy, ",", cell.fraction, ",", cell.cache_bytes, ",",
        r.requests, ",", r.misses, ",", r.request_bytes, ",", r.miss_bytes,
        absl::StrFormat(",%.6f,%.6f,%.6f,%.4f,%.1f", static_cast<double>(r.misses) / requests,
                        static_cast<double>(r.miss_bytes) / request_bytes, r.RestoreSeconds(),
                        cell.restore_vs_lru, r.seconds * 1e9 / requests),
        ",", r.policy_memory_bytes_max, ",", r.objects_max, "\n");
  }
  return csv;
}

// One line a trace and cache size: each policy's restore time relative to lru.
void PrintCells(const std::vector<Cell>& cells, const std::vector<std::string>& policies) {
  std::cout << absl::StrFormat("%-24s %7s %10s", "restore time vs. lru", "cache", "lru s");
  for (const std::string& policy : policies) std::cout << absl::StrFormat(" %7s", policy);
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i % policies.size() == 0) {
      std::cout << absl::StrFormat("\n%-24s %6g%% %10.3f", cells[i].trace, cells[i].fraction * 100,
                                   cells[i].result.RestoreSeconds());
    }
    std::cout << absl::StrFormat(" %7.3f", cells[i].restore_vs_lru);
  }
  std::cout << absl::StrFormat("\n%-24s %7s %10s", "geometric mean", "", "");
  for (const std::string& policy : policies) {
    std::cout << absl::StrFormat(" %7.3f", Geomean(cells, policy));
  }
  std::cout << "\n\n";
}

struct Timing {
  double median_ns = 0;  // per request
  double spread = 0;
};

Timing TimingOf(std::vector<double> nanoseconds) {
  std::sort(nanoseconds.begin(), nanoseconds.end());
  const double median = nanoseconds[nanoseconds.size() / 2];
  return {median, (nanoseconds.back() - nanoseconds.front()) / median};
}

// The time that replaying the longest trace at all sizes takes, cost's and lru's in turns.
void AddReplayTime(const std::vector<Trace>& traces, const std::vector<double>& fractions,
                   Report* report) {
  const Trace& trace = *std::max_element(
      traces.begin(), traces.end(),
      [](const Trace& a, const Trace& b) { return a.requests.size() < b.requests.size(); });
  const double requests =
      static_cast<double>(std::max<size_t>(trace.requests.size() * fractions.size(), 1));
  std::map<std::string, std::vector<double>> ns_of;
  for (int repetition = 0; repetition < (FLAGS_quick ? 3 : 7); ++repetition) {
    for (const std::string policy : {"lru", "cost"}) {
      double seconds = 0;
      for (const double fraction : fractions) {
        seconds += ReplayTrace(trace, policy, CapacityOfFraction(trace, fraction))->seconds;
      }
      ns_of[policy].push_back(seconds * 1e9 / requests);
    }
  }
  const Timing ours = TimingOf(ns_of["cost"]);
  const Timing lru = TimingOf(ns_of["lru"]);
  report->Add({.name = "cost_replay_time_vs_lru",
               .ours = ours.median_ns,
               .unit = "ns",
               .baseline = lru.median_ns,
               .baseline_name = "lru",
               .spread = ours.spread,
               .goal = "<= 2 x lru",
               .met = ours.median_ns <= kReplayTimeMax * lru.median_ns});
}

void AddResults(const std::vector<Trace>& traces, const std::vector<Cell>& cells,
                const std::vector<std::string>& policies, bool synthetic, Report* report) {
  const std::string suffix = synthetic ? "_synthetic" : "";
  const auto add_ratio = [report](const std::string& name, double ours, double goal_max) {
    Result result{.name = name, .ours = ours, .unit = "x", .baseline = 1, .baseline_name = "lru"};
    if (goal_max > 0) {
      result.goal = absl::StrCat("<= ", goal_max);
      result.met = ours <= goal_max;
    }
    report->Add(result);
  };
  for (const std::string& policy : policies) {
    if (policy == "lru") continue;
    const bool ours = policy == "cost";
    add_ratio(absl::StrCat(policy, "_geomean_vs_lru", suffix), Geomean(cells, policy),
              ours ? kGeomeanMax : 0);
  }
  if (std::find(policies.begin(), policies.end(), "cost") == policies.end()) return;
  double worst = 0;
  double bytes_per_slot = 0;
  for (const Cell& cell : cells) {
    if (cell.policy != "cost") continue;
    worst = std::max(worst, cell.restore_vs_lru);
    const auto trace = std::find_if(traces.begin(), traces.end(),
                                    [&](const Trace& t) { return t.name == cell.trace; });
    const size_t slots = trace->object_size_bytes.size();
    if (slots < 100'000) continue;  // there the fixed part is what shows
    bytes_per_slot =
        std::max(bytes_per_slot, static_cast<double>(cell.result.policy_memory_bytes_max) /
                                     static_cast<double>(slots));
  }
  add_ratio("cost_worst_cell_vs_lru" + suffix, worst, kCellMax);
  if (bytes_per_slot > 0) {
    report->Add({.name = "cost_policy_bytes_per_object" + suffix,
                 .ours = bytes_per_slot,
                 .unit = "B",
                 .goal = absl::StrCat("<= ", kPolicyBytesPerSlotMax),
                 .met = bytes_per_slot <= kPolicyBytesPerSlotMax});
  }
  for (const Trace& trace : traces) {
    add_ratio(absl::StrCat("cost_", trace.name, "_vs_lru"), Geomean(cells, "cost", trace.name), 0);
  }
  for (const Cell& cell : cells) {
    if (cell.policy != "cost") continue;
    const double seconds = cell.result.RestoreSeconds();
    report->Add({.name = absl::StrCat("cost_", cell.trace, "_", cell.fraction * 100, "pct"),
                 .ours = seconds,
                 .unit = "s",
                 .baseline = cell.restore_vs_lru > 0 ? seconds / cell.restore_vs_lru : seconds,
                 .baseline_name = "lru"});
  }
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.close();
  if (!file.good()) Die("cannot write " + path);
}

int Main() {
  const std::vector<std::string> policies = Policies();
  const std::vector<double> fractions = Fractions();
  std::vector<Trace> traces;
  for (const std::string& file : TraceFiles()) {
    absl::StatusOr<Trace> trace = ReadTrace(file);
    if (!trace.ok()) Die(std::string(trace.status().message()));
    traces.push_back(*std::move(trace));
  }
  const bool synthetic = traces.empty();
  if (synthetic) traces = SyntheticTraces();

  std::vector<Cell> cells;
  for (const Trace& trace : traces) ReplayAll(trace, policies, fractions, &cells);
  PrintCells(cells, policies);
  if (!FLAGS_csv.empty()) WriteFile(FLAGS_csv, CsvOf(cells));

  Report report("eviction", FLAGS_commit);
  AddResults(traces, cells, policies, synthetic, &report);
  AddReplayTime(traces, fractions, &report);
  report.PrintTable(std::cout);
  if (!FLAGS_out.empty()) {
    const absl::Status written = report.Write(FLAGS_out);
    if (!written.ok()) Die(std::string(written.message()));
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace spillway::benchmarks

int main(int argc, char** argv) {
  google::InitGoogleLogging(argv[0]);
  FLAGS_logtostderr = true;
  gflags::SetUsageMessage("replays cache traces through eviction policies");
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  if (argc > 1) spillway::benchmarks::Die(std::string("unexpected argument ") + argv[1]);
  return spillway::benchmarks::Main();
}
