#include "benchmarks/benchmark_main.h"

#include <cstdlib>
#include <iostream>

#include "absl/status/status.h"
#include "glog/logging.h"

namespace spillway::benchmarks {
namespace {

// True, and the value, if `argument` is "--NAME=VALUE".
bool Parse(const std::string& argument, const std::string& name, std::string* value) {
  const std::string prefix = "--" + name + "=";
  if (argument.compare(0, prefix.size(), prefix) != 0) return false;
  *value = argument.substr(prefix.size());
  return true;
}

}  // namespace

int BenchmarkMain(
    int argc, char** argv, const std::string& name,
    absl::FunctionRef<void(const BenchmarkOptions& options, Report* report)> measure) {
  google::InitGoogleLogging(argv[0]);
  FLAGS_logtostderr = true;
  std::string out, commit = "unknown";
  BenchmarkOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick") {
      options.quick = true;
    } else if (!Parse(argument, "out", &out) && !Parse(argument, "commit", &commit) &&
               !Parse(argument, "only", &options.only) &&
               !Parse(argument, "directory", &options.directory)) {
      std::cerr << "unknown argument " << argument
                << "; known: --out=FILE --commit=REV --quick --directory=DIR --only=PREFIX\n";
      return EXIT_FAILURE;
    }
  }
  Report report(name, commit);
  measure(options, &report);
  report.PrintTable(std::cout);
  if (out.empty()) return EXIT_SUCCESS;
  if (const absl::Status status = report.Write(out); !status.ok()) {
    std::cerr << status << "\n";
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace spillway::benchmarks
