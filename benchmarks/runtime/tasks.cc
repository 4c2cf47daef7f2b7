#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "benchmarks/measure.h"
#include "benchmarks/runtime/rows.h"
#include "glog/logging.h"
#include "runtime/runtime.h"
#include "spill/memory_backend.h"
#include "store/object_store.h"
#include "tbb/task_arena.h"

namespace spillway::benchmarks {

namespace {

std::unique_ptr<Runtime> StartInMemory(int workers) {
  StoreOptions store_options;
  store_options.memory_limit_bytes = 1 * kGiB;
  auto store = ObjectStore::Open(store_options, NewMemoryBackend());
  CHECK(store.ok()) << store.status();
  RuntimeOptions options;
  options.workers = workers;
  auto runtime = Runtime::Start(options, *std::move(store));
  CHECK(runtime.ok()) << runtime.status();
  return *std::move(runtime);
}

// The submitter has a processor of its own, as far as there are several.
int WorkersBesideASubmitter() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 1);
}

double PerSecond(uint64_t count, int64_t ns) {
  return static_cast<double>(count) * 1e9 / static_cast<double>(ns);
}

// Submits `count` tasks that return an int, then gets and drops each result.
int64_t TimeNoopTasks(Runtime* runtime, uint32_t count) {
  std::vector<ObjectRef<int>> refs;
  refs.reserve(count);
  const int64_t began = NowNanos();
  for (uint32_t i = 0; i < count; ++i) {
    refs.push_back(runtime->Submit([i] { return static_cast<int>(i); }));
  }
  int64_t sum = 0;
  for (ObjectRef<int>& ref : refs) {
    sum += *ref.Get().value();
    ref = {};
  }
  const int64_t took = NowNanos() - began;
  CHECK_EQ(sum, int64_t{count} * (count - 1) / 2);
  return took;
}

// The same with oneTBB alone: a closure in an arena writes its result into a slot of a vector.
int64_t TimeTbbTasks(tbb::task_arena* arena, uint32_t count) {
  std::vector<std::atomic<int>> results(count);
  const int64_t began = NowNanos();
  for (uint32_t i = 0; i < count; ++i) {
    arena->enqueue(
        [&results, i] { results[i].store(static_cast<int>(i) + 1, std::memory_order_release); });
  }
  for (std::atomic<int>& result : results) {
    while (result.load(std::memory_order_acquire) == 0) std::this_thread::yield();
  }
  return NowNanos() - began;
}

void MeasureNoops(const BenchmarkOptions& options, Report* report) {
  constexpr uint32_t kCount = 100'000;
  const int repetitions = options.quick ? 7 : 21;
  auto runtime = StartInMemory(WorkersBesideASubmitter());
  tbb::task_arena arena(WorkersBesideASubmitter(), 0);
  std::vector<double> ours, baseline;
  TimeNoopTasks(runtime.get(), kCount);
  TimeTbbTasks(&arena, kCount);
  for (int i = 0; i < repetitions; ++i) {
    ours.push_back(PerSecond(kCount, TimeNoopTasks(runtime.get(), kCount)));
    baseline.push_back(PerSecond(kCount, TimeTbbTasks(&arena, kCount)));
  }
  const double median = Median(ours);
  report->Add({.name = "noop_tasks_per_second",
               .ours = median,
               .unit = "1/s",
               .better = Better::kHigher,
               .baseline = Median(baseline),
               .baseline_name = "oneTBB closures, results in a vector",
               .spread = Spread(ours),
               .goal = ">= 700000/s",
               .met = median >= 700'000});
}

// Nanoseconds per task of a chain, a fan out, and a fan out and in.
double TimeChain(Runtime* runtime, uint32_t count) {
  const int64_t began = NowNanos();
  ObjectRef<int> ref = runtime->Submit([] { return 0; });
  for (uint32_t i = 1; i < count; ++i) ref = runtime->Submit([](int x) { return x + 1; }, ref);
  CHECK_EQ(*ref.Get().value(), static_cast<int>(count) - 1);
  return static_cast<double>(NowNanos() - began) / count;
}

double TimeFan(Runtime* runtime, uint32_t count) {
  const int64_t began = NowNanos();
  ObjectRef<int> root = runtime->Submit([] { return 1; });
  std::vector<ObjectRef<int>> leaves;
  leaves.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    leaves.push_back(runtime->Submit([](int x) { return x; }, root));
  }
  auto sum = runtime->Submit(
      [](const std::vector<ObjectView<int>>& views) {
        int64_t total = 0;
        for (const ObjectView<int>& view : views) total += *view;
        return total;
      },
      leaves);
  CHECK_EQ(*sum.Get().value(), count);
  return static_cast<double>(NowNanos() - began) / count;
}

void MeasureGrowth(const BenchmarkOptions& options, Report* report, const std::string& name,
                   double (*time)(Runtime*, uint32_t)) {
  constexpr uint32_t kSmall = 1000, kLarge = 100'000;
  auto runtime = StartInMemory(WorkersBesideASubmitter());
  std::vector<double> small, large;
  time(runtime.get(), kLarge);
  const int repetitions = options.quick ? 3 : 9;
  for (int i = 0; i < repetitions; ++i) {
    std::vector<double> several;
    for (int k = 0; k < 20; ++k) several.push_back(time(runtime.get(), kSmall));
    small.push_back(Median(several));
    large.push_back(time(runtime.get(), kLarge));
  }
  report->Add({.name = name,
               .ours = Median(large),
               .unit = "ns",
               .baseline = Median(small),
               .baseline_name = "the same with 1k tasks",
               .spread = Spread(large),
               .goal = "<= 1.5 x that of 1k",
               .met = Median(large) <= 1.5 * Median(small)});
}

}  // namespace

void MeasureTasks(const BenchmarkOptions& options, Report* report) {
  if (options.wanted("noop_tasks_per_second")) MeasureNoops(options, report);
  if (options.wanted("chain_100k")) MeasureGrowth(options, report, "chain_100k", TimeChain);
  if (options.wanted("fan_out_in_100k")) MeasureGrowth(options, report, "fan_out_in_100k", TimeFan);
}

void MeasureQueue(const BenchmarkOptions& options, Report* report) {
  constexpr uint32_t kMillion = 1'000'000, kThousand = 1000;
  if (!options.wanted("queued_1M")) return;
  const std::vector<double> measured = InProcessOfItsOwn([]() -> std::vector<double> {
    auto runtime = StartInMemory(WorkersBesideASubmitter());
    const auto time = [&runtime](uint32_t count, double* bytes) {
      // A first task holds all the others.
      Pending<int> gate = runtime->store()->MakePending<int>().value();
      std::vector<ObjectRef<Done>> blockers;
      for (int i = 0; i < runtime->workers(); ++i) {
        blockers.push_back(runtime->Submit(
            [](ObjectRef<int> ref) {
              // Without the runtime's knowledge, so that nobody takes this worker's place.
              while (!ref.ready()) std::this_thread::yield();
            },
            gate.ref));
      }
      std::vector<ObjectRef<int>> refs;
      refs.reserve(count);
      const uint64_t before = ResidentBytes();
      const int64_t began = NowNanos();
      for (uint32_t i = 0; i < count; ++i) {
        refs.push_back(runtime->Submit([i] { return static_cast<int>(i); }));
      }
      if (bytes != nullptr) {
        *bytes = static_cast<double>(ResidentBytes() - before) / static_cast<double>(count);
      }
      CHECK(gate.promise.Set(1).ok());
      for (ObjectRef<int>& ref : refs) {
        CHECK(ref.Get().ok());
        ref = {};
      }
      return static_cast<double>(NowNanos() - began) / static_cast<double>(count);
    };
    double bytes = 0;
    std::vector<double> small;
    // The first time touches fresh memory, and tells how much.
    time(kMillion, &bytes);
    std::vector<double> large;
    for (int i = 0; i < 3; ++i) {
      for (int k = 0; k < 20; ++k) small.push_back(time(kThousand, nullptr));
      large.push_back(time(kMillion, nullptr));
    }
    return {Median(large), Median(small), bytes};
  });
  if (measured.size() != 3) {
    LOG(ERROR) << "queued_1M: its process failed";
    return;
  }
  report->Add({.name = "queued_1M",
               .ours = measured[0],
               .unit = "ns",
               .baseline = measured[1],
               .baseline_name = "the same with 1k tasks",
               .goal = "<= 1.5 x that of 1k",
               .met = measured[0] <= 1.5 * measured[1]});
  report->Add({.name = "queued_task_bytes",
               .ours = measured[2],
               .unit = "B",
               .goal = "<= 1024 B",
               .met = measured[2] <= 1024});
}

namespace {

class Adder {
 public:
  int Add(int n) { return sum_ += n; }

 private:
  int sum_ = 0;
};

}  // namespace

void MeasureActors(const BenchmarkOptions& options, Report* report) {
  if (!options.wanted("actor_calls_per_second")) return;
  constexpr uint32_t kCount = 100'000;
  auto runtime = StartInMemory(WorkersBesideASubmitter());
  auto actor = runtime->CreateActor<Adder>({});
  std::vector<double> ours;
  const int repetitions = options.quick ? 7 : 21;
  for (int i = 0; i <= repetitions; ++i) {
    std::vector<ObjectRef<int>> refs;
    refs.reserve(kCount);
    const int64_t began = NowNanos();
    for (uint32_t k = 0; k < kCount; ++k) refs.push_back(actor.Call(&Adder::Add, 1));
    for (ObjectRef<int>& ref : refs) {
      CHECK(ref.Get().ok());
      ref = {};
    }
    if (i > 0) ours.push_back(PerSecond(kCount, NowNanos() - began));
  }
  report->Add({.name = "actor_calls_per_second",
               .ours = Median(ours),
               .unit = "1/s",
               .better = Better::kHigher,
               .spread = Spread(ours),
               .goal = ">= 1000000/s",
               .met = Median(ours) >= 1e6});
}

}  // namespace spillway::benchmarks
