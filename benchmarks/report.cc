#include "benchmarks/report.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace spillway::benchmarks {
namespace {

using Json = nlohmann::ordered_json;

// The value of the first line "KEY : value" of a file under /proc, or an empty string.
std::string ProcValue(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const size_t value = line.find_first_not_of(" \t", line.find(':') + 1);
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

Json Machine() {
  return {{"processor", ProcValue("/proc/cpuinfo", "model name")},
          {"processors", std::thread::hardware_concurrency()},
          {"memory", ProcValue("/proc/meminfo", "MemTotal")},
          {"compiler", __VERSION__}};
}

// Four significant digits: more is noise, and would differ from run to run.
double Rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double unit = std::pow(10.0, std::floor(std::log10(std::abs(value))) - 3);
  return unit >= 1 ? std::round(value / unit) * unit
                   : std::round(value / unit) / std::round(1 / unit);
}

std::string Cell(double value) {
  return std::abs(value) < 10 ? absl::StrFormat("%.2f", value) : absl::StrFormat("%.1f", value);
}

}  // namespace

double Result::ratio() const {
  return better == Better::kLower ? *baseline / ours : ours / *baseline;
}

Report::Report(std::string benchmark, std::string commit)
    : benchmark_(std::move(benchmark)), commit_(std::move(commit)) {}

std::string Report::ToJson() const {
  Json rows = Json::array();
  for (const Result& result : results_) {
    Json row = {{"name", result.name},
                {"ours", Rounded(result.ours)},
                {"unit", result.unit},
                {"better", result.better == Better::kLower ? "lower" : "higher"}};
    if (result.baseline) {
      row["baseline"] = Rounded(*result.baseline);
      row["baseline_name"] = result.baseline_name;
      row["ratio"] = Rounded(result.ratio());
    }
    row["spread"] = Rounded(result.spread);
    if (!result.goal.empty()) {
      row["goal"] = result.goal;
      row["met"] = result.met;
    }
    rows.push_back(std::move(row));
  }
  const Json report = {{"benchmark", benchmark_},
                       {"commit", commit_},
                       {"machine", Machine()},
                       {"results", std::move(rows)}};
  return report.dump(2) + "\n";
}

void Report::PrintTable(std::ostream& out) const {
  out << absl::StrFormat("%-34s %12s %-6s %12s %7s %7s  %s\n", benchmark_, "ours", "", "baseline",
                         "ratio", "spread", "goal");
  const auto print = [&out](const Result& result) {
    out << absl::StrFormat("%-34s %12s %-6s %12s %7s %7.2f  %s%s%s\n", result.name,
                           Cell(result.ours), result.unit,
                           result.baseline ? Cell(*result.baseline) : "",
                           result.baseline ? absl::StrFormat("%.2f", result.ratio()) : "",
                           result.spread, result.goal, result.met ? "" : "   MISSED",
                           result.baseline ? absl::StrCat("   (", result.baseline_name, ")") : "");
  };
  for (const Result& result : results_) {
    if (result.met) print(result);
  }
  for (const Result& result : results_) {
    if (!result.met) print(result);
  }
  out.flush();
}

absl::Status Report::Write(const std::string& path) const {
  std::ofstream file(path, std::ios::trunc);
  file << ToJson();
  file.close();
  if (!file) return absl::InternalError(absl::StrCat("cannot write the results to ", path));
  return absl::OkStatus();
}

}  // namespace spillway::benchmarks
