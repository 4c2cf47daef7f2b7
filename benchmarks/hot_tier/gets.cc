#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmarks/hot_tier/rows.h"
#include "benchmarks/measure.h"
#include "glog/logging.h"
#include "spill/memory_backend.h"

namespace spillway::benchmarks {

std::unique_ptr<ObjectStore> OpenInMemory(const StoreOptions& options) {
  return ObjectStore::Open(options, NewMemoryBackend()).value();
}

namespace {

constexpr uint32_t kObjects = 10'000;
constexpr size_t kPayloadBytes = 64;
constexpr const char* kYardstick = "mutex+unordered_map";

using Payload = std::string;  // of any size, as objects are

// What a program would write that has no store: a map under a mutex, which hands out shared
// pointers.
class Yardstick {
 public:
  void Put(uint64_t id) {
    std::lock_guard<std::mutex> lock(mutex_);
    objects_.emplace(id, std::make_shared<const Payload>(kPayloadBytes, 'x'));
  }
  std::shared_ptr<const Payload> Get(uint64_t id) {
    std::lock_guard<std::mutex> lock(mutex_);
    return objects_.find(id)->second;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<uint64_t, std::shared_ptr<const Payload>> objects_;
};

// A store with objects, and the same objects in the yardstick.
struct Fixture {
  explicit Fixture(uint32_t objects) {
    StoreOptions options;
    options.memory_limit_bytes = 1 * kGiB;
    store = OpenInMemory(options);
    const RawBytes value{std::string(kPayloadBytes, 'x')};
    refs.reserve(objects);
    for (uint32_t i = 0; i < objects; ++i) {
      refs.push_back(store->Put(value).value());
      ids.push_back(refs.back().id());
      yardstick.Put(ids.back().value);
    }
  }

  std::unique_ptr<ObjectStore> store;
  std::vector<ObjectRef<RawBytes>> refs;
  std::vector<ObjectId> ids;
  Yardstick yardstick;
};

struct alignas(64) PaddedCounter {
  std::atomic<uint64_t> value{0};
};

void GetRefs(const std::vector<ObjectRef<RawBytes>>& refs, const std::vector<uint32_t>& order) {
  char sum = 0;
  for (const uint32_t i : order) {
    const absl::StatusOr<ObjectView<RawBytes>> view = refs[i].Get();
    if (!view.ok()) LOG(FATAL) << view.status();
    sum = static_cast<char>(sum + (**view)[0]);
  }
  KeepAlive(sum);
}

void GetIds(const Fixture& fixture, const uint32_t* order, size_t count) {
  char sum = 0;
  for (size_t i = 0; i < count; ++i) {
    const absl::StatusOr<ObjectView<RawBytes>> view =
        fixture.store->Get<RawBytes>(fixture.ids[order[i]]);
    if (!view.ok()) LOG(FATAL) << view.status();
    sum = static_cast<char>(sum + (**view)[0]);
  }
  KeepAlive(sum);
}

void GetYardstick(Fixture& fixture, const uint32_t* order, size_t count) {
  char sum = 0;
  for (size_t i = 0; i < count; ++i) {
    const std::shared_ptr<const Payload> object =
        fixture.yardstick.Get(fixture.ids[order[i]].value);
    sum = static_cast<char>(sum + (*object)[0]);
  }
  KeepAlive(sum);
}

// The bare cost of a pin and its end, on as many cache lines.
void AddTwice(std::vector<PaddedCounter>& counters, const std::vector<uint32_t>& order) {
  for (const uint32_t i : order) {
    counters[i].value.fetch_add(1, std::memory_order_acquire);
    counters[i].value.fetch_sub(1, std::memory_order_release);
  }
}

// A contender whose slice is one pass, with the caches warmed by another one.
Contender WarmPass(uint64_t operations, std::function<void()> pass) {
  return {operations, pass, pass};
}

void MeasureGetRef(const BenchmarkOptions& options, Report* report) {
  Fixture fixture(kObjects);
  std::vector<PaddedCounter> counters(kObjects);
  const std::vector<uint32_t> order = ShuffledOrder(kObjects, 1);
  const std::vector<Timing> timings =
      Race({.repetitions = options.quick ? 5 : 15, .slices = 41},
           {WarmPass(kObjects, [&] { GetRefs(fixture.refs, order); }),
            WarmPass(kObjects, [&] { GetYardstick(fixture, order.data(), order.size()); }),
            WarmPass(kObjects, [&] { AddTwice(counters, order); })});
  const double ours = timings[0].ns, yardstick = timings[1].ns, atomics = timings[2].ns;
  report->Add({.name = "get_ref",
               .ours = ours,
               .unit = "ns",
               .baseline = yardstick,
               .baseline_name = kYardstick,
               .spread = timings[0].spread,
               .goal = "<= 30 ns, <= 0.5 x yardstick",
               .met = ours <= 30 && ours <= 0.5 * yardstick});
  report->Add({.name = "get_ref_vs_atomics",
               .ours = ours,
               .unit = "ns",
               .baseline = atomics,
               .baseline_name = "two bare atomic adds",
               .spread = timings[0].spread});
}

// Runs `pass(thread)` again and again on each of `threads` threads for a while. Nanoseconds per
// operation on one thread: the median of all passes.
double NanosPerOperation(int threads, int passes, const std::function<void(int)>& pass) {
  std::vector<std::vector<double>> times(threads);
  TimeThreads(threads, [&](int thread) {
    pass(thread);
    for (int i = 0; i < passes; ++i) {
      const int64_t began = NowNanos();
      pass(thread);
      times[thread].push_back(static_cast<double>(NowNanos() - began) / kObjects);
    }
  });
  std::vector<double> all;
  for (const std::vector<double>& mine : times) all.insert(all.end(), mine.begin(), mine.end());
  return Median(all);
}

void MeasureScaling(const BenchmarkOptions& options, Report* report) {
  constexpr int kThreads = 2;
  constexpr int kPasses = 200;
  Fixture fixture(kThreads * kObjects);
  std::vector<std::vector<ObjectRef<RawBytes>>> refs(kThreads);
  std::vector<std::vector<PaddedCounter>> counters;
  for (uint32_t i = 0; i < kThreads * kObjects; ++i) {
    refs[i / kObjects].push_back(fixture.refs[i]);
  }
  for (int i = 0; i < kThreads; ++i) counters.emplace_back(kObjects);
  const std::vector<uint32_t> order = ShuffledOrder(kObjects, 1);
  const auto ours = [&](int thread) { GetRefs(refs[thread], order); };
  const auto bare = [&](int thread) { AddTwice(counters[thread], order); };
  std::vector<double> our_scaling, bare_scaling;
  for (int i = 0; i < (options.quick ? 5 : 15); ++i) {
    const double our_one = NanosPerOperation(1, kPasses, ours);
    const double our_both = NanosPerOperation(kThreads, kPasses, ours);
    const double bare_one = NanosPerOperation(1, kPasses, bare);
    const double bare_both = NanosPerOperation(kThreads, kPasses, bare);
    our_scaling.push_back(kThreads * our_one / our_both);
    bare_scaling.push_back(kThreads * bare_one / bare_both);
  }
  const double scaling = Median(our_scaling), bare_median = Median(bare_scaling);
  report->Add({.name = "get_ref_2threads",
               .ours = scaling,
               .unit = "x",
               .better = Better::kHigher,
               .baseline = bare_median,
               .baseline_name = "bare atomics",
               .spread = Spread(our_scaling),
               .goal = ">= 0.9 x what bare atomics scale",
               .met = scaling >= 0.9 * bare_median});
}

// By id: wall time over all threads' gets, for more threads than processors too.
void MeasureGetId(const BenchmarkOptions& options, uint32_t objects, const std::string& name,
                  Report* report) {
  Fixture fixture(objects);
  const uint32_t gets = options.quick ? 100'000 : 200'000;  // per thread and repetition
  constexpr int kThreadsMax = 4;
  std::vector<std::vector<uint32_t>> orders;
  for (int i = 0; i < kThreadsMax; ++i) {
    std::vector<uint32_t> order;
    for (uint64_t seed = 0; order.size() < gets; ++seed) {
      const std::vector<uint32_t> more = ShuffledOrder(objects, 100 * seed + i);
      order.insert(order.end(), more.begin(), more.end());
    }
    orders.push_back(std::move(order));
  }
  for (const int threads : {1, 2, 4}) {
    std::vector<double> ours, yardstick;
    for (int i = -1; i < (options.quick ? 9 : 31); ++i) {
      const double our_ns = static_cast<double>(
          TimeThreads(threads, [&](int thread) { GetIds(fixture, orders[thread].data(), gets); }));
      const double yardstick_ns = static_cast<double>(TimeThreads(
          threads, [&](int thread) { GetYardstick(fixture, orders[thread].data(), gets); }));
      if (i < 0) continue;  // warms up
      ours.push_back(our_ns / (gets * threads));
      yardstick.push_back(yardstick_ns / (gets * threads));
    }
    report->Add({.name = absl::StrCat(name, "_", threads, threads == 1 ? "thread" : "threads"),
                 .ours = Median(ours),
                 .unit = "ns",
                 .baseline = Median(yardstick),
                 .baseline_name = kYardstick,
                 .spread = Spread(ours),
                 .goal = "<= yardstick",
                 .met = Median(ours) <= Median(yardstick)});
  }
}

}  // namespace

void MeasureGets(const BenchmarkOptions& options, Report* report) {
  if (options.wanted("get_ref")) MeasureGetRef(options, report);
  if (options.wanted("get_ref_2threads")) MeasureScaling(options, report);
  if (options.wanted("get_id_10k")) MeasureGetId(options, kObjects, "get_id_10k", report);
  if (options.wanted("get_id_1M")) MeasureGetId(options, 1'000'000, "get_id_1M", report);
}

}  // namespace spillway::benchmarks
