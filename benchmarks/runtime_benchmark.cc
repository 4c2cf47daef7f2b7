// The runtime against its goals: what a task and an actor's call cost, and how that grows.
//
//     bazel run -c opt //benchmarks:runtime_benchmark -- --out=runtime.json
//
//     --out=FILE        where the results go as JSON
//     --commit=REV      what was measured, for the results
//     --quick           fewer repetitions, and a quarter of the bytes
//     --directory=DIR   spill directories are made under it; /var/tmp if not given
//     --only=PREFIX     only the rows whose names begin so
#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/status/status.h"
#include "benchmarks/report.h"
#include "benchmarks/runtime/rows.h"
#include "glog/logging.h"

namespace {

using spillway::benchmarks::Report;
using spillway::benchmarks::RuntimeBenchmarkOptions;

// True, and the value, if `argument` is "--NAME=VALUE".
bool Parse(const std::string& argument, const std::string& name, std::string* value) {
  const std::string prefix = "--" + name + "=";
  if (argument.compare(0, prefix.size(), prefix) != 0) return false;
  *value = argument.substr(prefix.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  google::InitGoogleLogging(argv[0]);
  FLAGS_logtostderr = true;
  std::string out, commit = "unknown", only;
  RuntimeBenchmarkOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick") {
      options.quick = true;
    } else if (!Parse(argument, "out", &out) && !Parse(argument, "commit", &commit) &&
               !Parse(argument, "only", &only) &&
               !Parse(argument, "directory", &options.directory)) {
      std::cerr << "unknown argument " << argument
                << "; known: --out=FILE --commit=REV --quick --directory=DIR --only=PREFIX\n";
      return EXIT_FAILURE;
    }
  }
  options.wanted = [&only](const std::string& name) {
    return name.compare(0, only.size(), only) == 0;
  };
  Report report("runtime", commit);
  // Memory first: it forks.
  spillway::benchmarks::MeasureQueue(options, &report);
  spillway::benchmarks::MeasureTasks(options, &report);
  spillway::benchmarks::MeasureActors(options, &report);
  spillway::benchmarks::MeasureMemoryAwareness(options, &report);
  report.PrintTable(std::cout);
  if (!out.empty()) {
    if (const absl::Status status = report.Write(out); !status.ok()) {
      std::cerr << status << "\n";
      return EXIT_FAILURE;
    }
  }
  return EXIT_SUCCESS;
}
