// What the programs under //benchmarks share: their arguments, the table and the file of results.
//
//     --out=FILE        where the results go as JSON
//     --commit=REV      what was measured, for the results
//     --quick           fewer repetitions and less data
//     --directory=DIR   spill directories are made under it; /var/tmp if not given
//     --only=PREFIX     only the rows whose names begin so
#ifndef SPILLWAY_BENCHMARKS_BENCHMARK_MAIN_H_
#define SPILLWAY_BENCHMARKS_BENCHMARK_MAIN_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "benchmarks/report.h"

namespace spillway::benchmarks {

struct BenchmarkOptions {
  bool quick = false;
  std::string directory = "/var/tmp";
  std::string only;

  // Whether to measure the row.
  bool wanted(const std::string& name) const { return name.compare(0, only.size(), only) == 0; }
};

// Reads the arguments, measures, prints the table and writes the file. Returns main's result:
// EXIT_FAILURE for an unknown argument or a file that cannot be written, with a message.
int BenchmarkMain(int argc, char** argv, const std::string& name,
                  absl::FunctionRef<void(const BenchmarkOptions& options, Report* report)> measure);

}  // namespace spillway::benchmarks

#endif  // SPILLWAY_BENCHMARKS_BENCHMARK_MAIN_H_
