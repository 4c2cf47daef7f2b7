#include <stdlib.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmarks/measure.h"
#include "benchmarks/runtime/rows.h"
#include "glog/logging.h"
#include "runtime/runtime.h"
#include "store/open_store.h"

namespace spillway::benchmarks {

namespace {

using Bytes = std::vector<uint8_t>;

// A directory of its own, gone at the end.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(const std::string& under) {
    path_ = absl::StrCat(under, "/runtime_benchmark.XXXXXX");
    PCHECK(mkdtemp(path_.data()) != nullptr) << path_;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::unique_ptr<ObjectStore> OpenOnDisk(const ScratchDirectory& directory, uint64_t limit_bytes) {
  StoreOptions options;
  options.memory_limit_bytes = limit_bytes;
  options.spill_directory = directory.path();
  options.wait_for_room_max = absl::Minutes(5);
  auto store = OpenStore(options);
  CHECK(store.ok()) << store.status();
  return *std::move(store);
}

double MiBPerSecond(uint64_t bytes, int64_t ns) {
  return static_cast<double>(bytes) / static_cast<double>(kMiB) * 1e9 / static_cast<double>(ns);
}

// Bytes that do not compress, different for each object.
Bytes MakePart(uint64_t seed) {
  Bytes bytes(kMiB - 64);
  uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;
  for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    std::memcpy(&bytes[i], &x, 8);
  }
  return bytes;
}

struct Moved {
  double mib_per_second;  // spilled and restored
  uint64_t bytes;
};

// The store alone: one thread puts all objects, then reads them in the same order.
Moved TimeStoreAlone(const BenchmarkOptions& options, uint64_t objects, uint64_t limit) {
  ScratchDirectory directory(options.directory);
  auto store = OpenOnDisk(directory, limit);
  const int64_t began = NowNanos();
  std::vector<ObjectRef<Bytes>> refs;
  for (uint64_t i = 0; i < objects; ++i) refs.push_back(store->Put(MakePart(i)).value());
  uint64_t sum = 0;
  for (ObjectRef<Bytes>& ref : refs) {
    sum += (*ref.Get().value())[7];
    ref = {};
  }
  const int64_t took = NowNanos() - began;
  KeepAlive(sum);
  const StoreStats stats = store->Stats();
  const uint64_t moved = stats.spilled_bytes + stats.restored_bytes;
  return {MiBPerSecond(moved, took), moved};
}

// Map tasks make a part for each reduce task, which reads one part of every map task.
Moved TimeShuffle(const BenchmarkOptions& options, uint64_t objects, uint64_t limit) {
  uint64_t side = 1;
  while ((side + 1) * (side + 1) <= objects) ++side;
  ScratchDirectory directory(options.directory);
  auto runtime = Runtime::Start(RuntimeOptions(), OpenOnDisk(directory, limit)).value();
  const int64_t began = NowNanos();
  // A map task makes its parts one by one, so that it does not hold all of them besides the store.
  std::vector<std::vector<ObjectRef<Bytes>>> columns(side);
  std::vector<ObjectRef<Bytes>> parts;
  for (uint64_t map = 0; map < side; ++map) {
    for (uint64_t column = 0; column < side; ++column) {
      columns[column].push_back(
          runtime->Submit([seed = map * side + column] { return MakePart(seed); }));
    }
  }
  std::vector<ObjectRef<uint64_t>> sums;
  for (std::vector<ObjectRef<Bytes>>& column : columns) {
    sums.push_back(runtime->Submit(
        [](const std::vector<ObjectView<Bytes>>& views) {
          uint64_t sum = 0;
          for (const ObjectView<Bytes>& view : views) sum += (*view)[7];
          return sum;
        },
        std::move(column)));
  }
  columns.clear();
  for (const ObjectRef<uint64_t>& sum : sums) {
    const auto got = sum.Get();
    CHECK(got.ok()) << got.status();
  }
  const int64_t took = NowNanos() - began;
  const StoreStats stats = runtime->store()->Stats();
  const uint64_t moved = stats.spilled_bytes + stats.restored_bytes;
  return {MiBPerSecond(moved, took), moved};
}

// Rounds over data three times the memory: each round reads every part once.
int64_t TimeRounds(const BenchmarkOptions& options, bool aware) {
  constexpr uint64_t kLimit = 128 * kMiB;
  const uint64_t parts = 3 * kLimit / kMiB;
  const int rounds = options.quick ? 4 : 10;
  ScratchDirectory directory(options.directory);
  RuntimeOptions runtime_options;
  runtime_options.dependency_aware = aware;
  auto runtime = Runtime::Start(runtime_options, OpenOnDisk(directory, kLimit)).value();
  std::vector<ObjectRef<Bytes>> data;
  for (uint64_t i = 0; i < parts; ++i) data.push_back(runtime->Put(MakePart(i)).value());
  CHECK(runtime->store()->Flush().ok());
  const int64_t began = NowNanos();
  uint64_t model = 0;
  for (int round = 0; round < rounds; ++round) {
    std::vector<ObjectRef<uint64_t>> sums;
    for (const ObjectRef<Bytes>& part : data) {
      sums.push_back(runtime->Submit(
          [model](absl::Span<const uint8_t> bytes) {
            return std::accumulate(bytes.begin(), bytes.end(), model);
          },
          part));
    }
    for (const ObjectRef<uint64_t>& sum : sums) model += *sum.Get().value();
  }
  KeepAlive(model);
  return NowNanos() - began;
}

}  // namespace

void MeasureMemoryAwareness(const BenchmarkOptions& options, Report* report) {
  if (options.wanted("shuffle")) {
    const uint64_t limit = options.quick ? 256 * kMiB : 1 * kGiB;
    const uint64_t objects = (options.quick ? 4 * kGiB : 16 * kGiB) / kMiB;
    const Moved alone = TimeStoreAlone(options, objects, limit);
    const Moved shuffle = TimeShuffle(options, objects, limit);
    report->Add({.name = "shuffle",
                 .ours = shuffle.mib_per_second,
                 .unit = "MiB/s",
                 .better = Better::kHigher,
                 .baseline = alone.mib_per_second,
                 .baseline_name = "the store alone, puts then gets, spilled and restored",
                 .goal = ">= 0.8 x alone",
                 .met = shuffle.mib_per_second >= 0.8 * alone.mib_per_second});
  }
  if (options.wanted("dependency_aware")) {
    std::vector<double> on, off;
    for (int i = 0; i < 3; ++i) {
      off.push_back(static_cast<double>(TimeRounds(options, false)) / 1e6);
      on.push_back(static_cast<double>(TimeRounds(options, true)) / 1e6);
    }
    report->Add({.name = "dependency_aware",
                 .ours = Median(on),
                 .unit = "ms",
                 .baseline = Median(off),
                 .baseline_name = "the same without hints and fetching",
                 .spread = Spread(on),
                 .goal = "ratio >= 1.3",
                 .met = Median(off) >= 1.3 * Median(on)});
  }
}

}  // namespace spillway::benchmarks
