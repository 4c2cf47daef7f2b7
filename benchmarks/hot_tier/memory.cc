#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "benchmarks/hot_tier/rows.h"
#include "benchmarks/measure.h"
#include "glog/logging.h"
#include "store/eviction_policy.h"
#include "store/open_store.h"

namespace spillway::benchmarks {
namespace {

// A directory of its own for one store, gone afterwards.
class SpillDirectory {
 public:
  explicit SpillDirectory(const std::string& under) : path_(under + "/spillway_benchmark_XXXXXX") {
    PCHECK(mkdtemp(path_.data()) != nullptr) << path_;
  }
  ~SpillDirectory() { std::filesystem::remove_all(path_); }
  SpillDirectory(const SpillDirectory&) = delete;
  SpillDirectory& operator=(const SpillDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What the store's own accounts say beyond payload and beyond what an empty store takes, per
// object, at the worst of many object counts between `from` and `to`. When `cold`, every object is
// pushed out to disk before each look.
double WorstBytesPerObject(const std::string& directory, const std::string& policy, uint64_t size,
                           uint32_t from, uint32_t to, bool cold) {
  constexpr uint32_t kLooks = 25;
  SpillDirectory spill(directory);
  StoreOptions options;
  options.memory_limit_bytes = 256 * kMiB + (cold ? 0 : to * (size + size / 16 + 128));
  options.high_watermark = 1.0;
  options.wait_for_room_max = absl::Milliseconds(20);
  options.eviction_policy = policy;
  options.spill_directory = spill.path();
  std::unique_ptr<ObjectStore> store = OpenStore(options).value();
  std::vector<ObjectRef<RawBytes>> refs;
  refs.reserve(to);
  const uint64_t used_by_none = store->Stats().memory_used_bytes;
  const RawBytes value{std::string(size, 'x')};
  const uint32_t step = std::max<uint32_t>(1, (to - from) / (cold ? kLooks : 40 * kLooks));
  double worst = 0;
  for (uint32_t count = 1; count <= to; ++count) {
    refs.push_back(store->Put(value).value());
    if (count < from || (count - from) % step != 0) continue;
    if (cold) {
      // Room for the tables alone: everything else leaves. The refusal says that they need more
      // than that, which is the point.
      CHECK(store->Flush().ok());
      store->SetMemoryLimit(StoreOptions::kMemoryLimitBytesMin).IgnoreError();
      CHECK(store->SetMemoryLimit(options.memory_limit_bytes).ok());
      store->Trim();
    }
    const StoreStats stats = store->Stats();
    if (cold) CHECK_EQ(stats.cold_objects, count);
    const uint64_t payload = cold ? 0 : stats.memory.payload_bytes;
    const uint64_t beyond = stats.memory_used_bytes - used_by_none - payload;
    worst = std::max(worst, static_cast<double>(beyond) / count);
  }
  return worst;
}

void MeasureBytesPerObject(const BenchmarkOptions& options, const std::string& name, uint64_t size,
                           const std::string& policy, double goal_bytes, const std::string& goal,
                           Report* report) {
  const std::vector<double> values = InProcessOfItsOwn([&] {
    const uint32_t from = 500'000, to = options.quick ? 600'000 : 1'000'000;
    const double resident = WorstBytesPerObject(options.directory, policy, size, from, to, false);
    // Its size does not matter to an object that is not in memory.
    const double cold = WorstBytesPerObject(options.directory, policy, 64, from, to, true);
    return std::vector<double>{resident, cold};
  });
  CHECK_EQ(values.size(), 2u) << name << ": the measuring process failed";
  LOG(INFO) << absl::StrFormat("%s (%s): resident %.1f, cold %.1f bytes", name, policy, values[0],
                               values[1]);
  report->Add({.name = name,
               .ours = std::max(values[0], values[1]),
               .unit = "B",
               .goal = goal,
               .met = goal.empty() || std::max(values[0], values[1]) <= goal_bytes});
}

// Resident memory at its peak during a churn of puts, gets and deletes of 64 B to 64 KiB,
// log-uniform, in a store that is always full. The kernel keeps the peak, so no moment is missed.
std::vector<double> Churn(const BenchmarkOptions& options, uint64_t limit) {
  const uint64_t baseline = ResidentBytes();
  const uint64_t operations = options.quick ? 1'000'000 : 10'000'000;
  SpillDirectory spill(options.directory);
  StoreOptions store_options;
  store_options.memory_limit_bytes = limit;
  store_options.spill_directory = spill.path();
  store_options.wait_for_room_max = absl::Minutes(1);
  std::unique_ptr<ObjectStore> store = OpenStore(store_options).value();
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> log_size(std::log(64.0), std::log(65536.0));
  RawBytes value;
  std::vector<ObjectRef<RawBytes>> refs;
  uint64_t live_bytes = 0, done = 0;
  const auto put = [&] {
    value.bytes.resize(static_cast<size_t>(std::exp(log_size(random))), 'x');
    absl::StatusOr<ObjectRef<RawBytes>> ref = store->Put(value);
    if (!ref.ok()) LOG(FATAL) << ref.status();
    live_bytes += value.bytes.size();
    refs.push_back(*std::move(ref));
  };
  const auto get = [&] {
    const absl::StatusOr<ObjectView<RawBytes>> view = refs[random() % refs.size()].Get();
    if (!view.ok()) LOG(FATAL) << view.status();
    KeepAlive((**view)[0]);
  };
  const auto remove = [&] {
    const size_t at = random() % refs.size();
    live_bytes -= refs[at].size_bytes();
    std::swap(refs[at], refs.back());
    refs.pop_back();
  };
  for (; done < operations; ++done) {
    // Half of the operations put or delete, whichever leads to one and a half times the limit; a
    // tenth of the gets go anywhere, the others to what came last.
    if (live_bytes < limit + limit / 2) {
      put();
    } else if (const uint64_t dice = random() % 4; dice == 0) {
      put();
    } else if (dice == 1) {
      remove();
    } else if (random() % 10 == 0) {
      get();
    } else {
      const size_t recent = refs.size() - 1 - random() % (refs.size() / 8);
      const absl::StatusOr<ObjectView<RawBytes>> view = refs[recent].Get();
      if (!view.ok()) LOG(FATAL) << view.status();
      KeepAlive((**view)[0]);
    }
  }
  const double own = static_cast<double>(refs.capacity() * sizeof(refs[0]));
  return {static_cast<double>(ResidentBytesPeak()) - static_cast<double>(baseline) - own};
}

void MeasureRss(const BenchmarkOptions& options, Report* report) {
  constexpr uint64_t kLimit = 256 * kMiB;
  const std::vector<double> values =
      InProcessOfItsOwn([&options] { return Churn(options, kLimit); });
  CHECK_EQ(values.size(), 1u) << "rss_over_limit: the measuring process failed";
  const double allowed = kLimit * 1.05 + 32 * kMiB;
  report->Add({.name = "rss_over_limit",
               .ours = values[0] / kMiB,
               .unit = "MiB",
               .baseline = static_cast<double>(kLimit) / kMiB,
               .baseline_name = "the limit",
               .goal = absl::StrFormat("<= %.1f MiB (1.05 x limit + 32 MiB)", allowed / kMiB),
               .met = values[0] <= allowed});
}

}  // namespace

void MeasureMemory(const BenchmarkOptions& options, Report* report) {
  const std::string policy = StoreOptions().eviction_policy;
  if (options.wanted("bytes_per_object_64B")) {
    MeasureBytesPerObject(options, "bytes_per_object_64B", 64, policy, 96, "<= 96 B", report);
    for (const std::string_view other : EvictionPolicyNames()) {
      if (other == policy || options.quick) continue;
      MeasureBytesPerObject(options, absl::StrCat("bytes_per_object_64B_", std::string(other)), 64,
                            std::string(other), 96, "", report);
    }
  }
  if (options.wanted("bytes_per_object_4KiB")) {
    MeasureBytesPerObject(options, "bytes_per_object_4KiB", 4 * kKiB, policy, 0.03 * 4096,
                          "<= 3 % (122.9 B)", report);
  }
  if (options.wanted("rss_over_limit")) MeasureRss(options, report);
}

}  // namespace spillway::benchmarks
