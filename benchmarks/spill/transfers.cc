// Spills and restores against the raw disk, in turn within the same seconds.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "benchmarks/measure.h"
#include "benchmarks/spill/bench_backend.h"
#include "benchmarks/spill/raw_disk.h"
#include "benchmarks/spill/rows.h"
#include "glog/logging.h"

namespace spillway::benchmarks {
namespace {

double MegabytesPerSecond(uint64_t bytes, int64_t nanos) {
  return static_cast<double>(bytes) * 1e3 / static_cast<double>(nanos);
}

Result Row(const std::string& name, const std::vector<double>& ours, const std::vector<double>& raw,
           const std::string& raw_name, double goal) {
  Result row;
  row.name = name;
  row.ours = Median(ours);
  row.unit = "MB/s";
  row.better = Better::kHigher;
  row.baseline = Median(raw);
  row.baseline_name = raw_name;
  row.spread = Spread(ours);
  row.goal = absl::StrFormat(">= %.2f of raw", goal);
  row.met = row.ratio() >= goal;
  return row;
}

struct SpillCase {
  uint64_t object_bytes;
  double goal;
  double cpu_goal;  // seconds per GiB; 0 for none
};

void MeasureSpill(const BenchmarkOptions& options, const SpillCase& spill, RawDisk* raw,
                  const PayloadPool& pool, const std::string& directory, Report* report) {
  const std::string name = absl::StrCat("spill_", SizeName(spill.object_bytes));
  if (!options.wanted(name) && !options.wanted(name + "_cpu")) return;
  const uint64_t bytes = 512 * kBenchMiB;
  const int repetitions = options.quick ? 3 : 9;
  std::unique_ptr<SpillBackend> backend = OpenBackend(DefaultBackendOptions(directory));
  ObjectSet objects(backend.get(), &pool, spill.object_bytes, bytes / spill.object_bytes);
  std::vector<double> ours, raw_rates, cpu;
  for (int repetition = -1; repetition < repetitions; ++repetition) {
    const double raw_rate = raw->BestWrite(bytes);
    raw->Truncate();
    const double cpu_before = CpuSeconds();
    const int64_t nanos = objects.WriteAll();
    const double cpu_seconds = CpuSeconds() - cpu_before;
    objects.Release();
    if (repetition < 0) continue;  // the first round warms up
    raw_rates.push_back(raw_rate);
    ours.push_back(MegabytesPerSecond(bytes, nanos));
    cpu.push_back(cpu_seconds * static_cast<double>(kBenchGiB) / static_cast<double>(bytes));
  }
  report->Add(Row(name, ours, raw_rates, "raw sequential write", spill.goal));
  Result row;
  row.name = name + "_cpu";
  row.ours = Median(cpu);
  row.unit = "s/GiB";
  row.spread = Spread(cpu);
  if (spill.cpu_goal > 0) {
    row.goal = absl::StrFormat("<= %.1f", spill.cpu_goal);
    row.met = row.ours <= spill.cpu_goal;
  }
  report->Add(row);
}

struct RestoreCase {
  uint64_t object_bytes;
  int callers;
  double goal;
};

void MeasureRestore(const BenchmarkOptions& options, const RestoreCase& restore, RawDisk* raw,
                    ObjectSet* objects, Report* report) {
  const std::string name =
      absl::StrCat("restore_", SizeName(restore.object_bytes), "_", restore.callers,
                   restore.callers == 1 ? "caller" : "callers");
  if (!options.wanted(name)) return;
  // Large objects are compared with the disk at its best, small ones with random reads like theirs.
  const bool against_sequential = restore.object_bytes >= kBenchMiB;
  const uint64_t bytes = restore.object_bytes == 4 * kBenchKiB
                             ? (restore.callers == 1 ? 16 : 64) * kBenchMiB
                             : 256 * kBenchMiB;
  const uint64_t count = bytes / restore.object_bytes;
  const int repetitions = options.quick ? 3 : 9;
  std::vector<double> ours, raw_rates;
  for (int repetition = -1; repetition < repetitions; ++repetition) {
    const double raw_rate = against_sequential
                                ? raw->BestRead(bytes)
                                : raw->ReadRandomly(restore.object_bytes, count, restore.callers);
    const int64_t nanos = objects->ReadRandomly(count, restore.callers);
    if (repetition < 0) continue;
    raw_rates.push_back(raw_rate);
    ours.push_back(MegabytesPerSecond(bytes, nanos));
  }
  report->Add(Row(name, ours, raw_rates,
                  against_sequential ? std::string("raw sequential read")
                                     : absl::StrCat("random pread, ", restore.callers, " at once"),
                  restore.goal));
}

}  // namespace

void MeasureSpills(const BenchmarkOptions& options, Report* report) {
  const PayloadPool pool;
  const ScratchDirectory directory(options.directory);
  RawDisk raw(directory.path());
  for (const SpillCase& spill :
       {SpillCase{4 * kBenchKiB, 0.7, 0}, SpillCase{64 * kBenchKiB, 0.85, 0.8},
        SpillCase{kBenchMiB, 0.85, 0.8}, SpillCase{16 * kBenchMiB, 0.85, 0.8}}) {
    MeasureSpill(options, spill, &raw, pool, directory.path() + "/spill", report);
  }
}

void MeasureRestores(const BenchmarkOptions& options, Report* report) {
  const PayloadPool pool;
  const ScratchDirectory directory(options.directory);
  RawDisk raw(directory.path());
  const std::vector<RestoreCase> cases = {{4 * kBenchKiB, 1, 0.8},  {4 * kBenchKiB, 8, 0.8},
                                          {64 * kBenchKiB, 1, 0.8}, {64 * kBenchKiB, 8, 0.8},
                                          {kBenchMiB, 1, 0.75},     {kBenchMiB, 4, 0.9},
                                          {16 * kBenchMiB, 1, 0.9}};
  const uint64_t bytes = 512 * kBenchMiB;
  raw.Write(bytes, 1);
  for (size_t i = 0; i < cases.size();) {
    const uint64_t object_bytes = cases[i].object_bytes;
    std::unique_ptr<SpillBackend> backend =
        OpenBackend(DefaultBackendOptions(directory.path() + "/spill"));
    ObjectSet objects(backend.get(), &pool, object_bytes, bytes / object_bytes);
    objects.WriteAll();
    for (; i < cases.size() && cases[i].object_bytes == object_bytes; ++i) {
      MeasureRestore(options, cases[i], &raw, &objects, report);
    }
  }
}

}  // namespace spillway::benchmarks
