// The runtime played under thousands of seeds: whatever the order of events, results are right,
// nothing is lost and nothing locks up. SPILLWAY_SEEDS says how many.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/runtime.h"
#include "tests/runtime/test_runtime.h"

namespace spillway {
namespace {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  uint64_t Below(uint64_t n) {
    state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
    return state_ % n;
  }

 private:
  uint64_t state_;
};

int WorkersOf(uint64_t seed) {
  constexpr int kWorkers[] = {1, 2, 8};
  return kWorkers[seed % 3];
}

TEST(SeededTest, TheSameSeedIsTheSameRun) {
  const auto run = [](uint64_t seed) {
    SeededRuntime seeded(seed, 4);
    std::string order;
    std::vector<ObjectRef<Done>> refs;
    for (int i = 0; i < 20; ++i) {
      refs.push_back(seeded.runtime->Submit([&order, i] { order += static_cast<char>('a' + i); }));
    }
    seeded.runtime->Wait(refs, refs.size(), absl::InfiniteDuration());
    return order;
  };
  EXPECT_EQ(run(1), run(1));
  bool differs = false;
  for (uint64_t seed = 2; seed < 20; ++seed) differs |= run(seed) != run(1);
  EXPECT_TRUE(differs);
}

TEST(SeededTest, OneFailedArgumentIsEnoughWhileOthersArePending) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (const bool failed_before : {false, true}) {
      SeededRuntime seeded(seed, 2);
      Runtime* const runtime = seeded.runtime.get();
      Pending<int> never = runtime->store()->MakePending<int>().value();
      Pending<int> failing = runtime->store()->MakePending<int>().value();
      if (failed_before) failing.promise.Fail(absl::NotFoundError("no such thing"));
      std::vector<ObjectRef<int>> sum = {
          runtime->Submit([](int x, int y) { return x + y; }, never.ref, failing.ref)};
      if (!failed_before) failing.promise.Fail(absl::NotFoundError("no such thing"));
      runtime->Wait(sum, 1, absl::Seconds(1));
      ASSERT_TRUE(sum[0].ready());
      EXPECT_TRUE(absl::IsNotFound(sum[0].Get().status()));
      ASSERT_TRUE(never.promise.Set(1).ok());
    }
  }
}

TEST(SeededTest, RandomGraphsGiveWhatTheirModelSays) {
  const uint64_t seeds = SeedCount(1000);
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE(seed);
    SeededRuntime seeded(seed, WorkersOf(seed));
    Runtime* const runtime = seeded.runtime.get();
    Random random(seed + 77);
    std::vector<ObjectRef<int64_t>> refs;
    std::vector<int64_t> model;  // -1: fails
    refs.push_back(runtime->Submit([] { return int64_t{1}; }));
    model.push_back(1);
    const uint64_t tasks = 5 + random.Below(40);
    for (uint64_t i = 0; i < tasks; ++i) {
      const size_t a = random.Below(refs.size()), b = random.Below(refs.size());
      const bool bad = model[a] < 0 || model[b] < 0;
      const int64_t sum = bad ? -1 : (model[a] + model[b]) % 1'000'003;
      switch (random.Below(6)) {
        case 0:
        case 1:
          refs.push_back(runtime->Submit([](int64_t x, int64_t y) { return (x + y) % 1'000'003; },
                                         refs[a], refs[b]));
          model.push_back(sum);
          break;
        case 2:  // waits inside
          refs.push_back(runtime->Submit(
              [](ObjectRef<int64_t> x, int64_t y) -> absl::StatusOr<int64_t> {
                auto got = x.Get();
                if (!got.ok()) return got.status();
                return (**got + y) % 1'000'003;
              },
              refs[a], refs[b]));
          model.push_back(sum);
          break;
        case 3:  // submits inside
          refs.push_back(runtime->Submit(
              [runtime](int64_t x, ObjectRef<int64_t> y) -> absl::StatusOr<int64_t> {
                auto inner =
                    runtime->Submit([](int64_t p, int64_t q) { return (p + q) % 1'000'003; }, x, y);
                auto got = inner.Get();
                if (!got.ok()) return got.status();
                return **got;
              },
              refs[a], refs[b]));
          model.push_back(sum);
          break;
        case 4: {  // retried
          TaskOptions options;
          options.max_retries = 3;
          auto left = std::make_shared<int>(static_cast<int>(random.Below(4)));
          refs.push_back(runtime->Submit(
              options,
              [left](int64_t x) -> absl::StatusOr<int64_t> {
                if ((*left)-- > 0) return absl::UnavailableError("again");
                return x;
              },
              refs[a]));
          model.push_back(model[a]);
          break;
        }
        default:  // fails now and then
          if (random.Below(3) == 0) {
            refs.push_back(runtime->Submit(
                [](int64_t) -> absl::StatusOr<int64_t> { return absl::AbortedError("planned"); },
                refs[a]));
            model.push_back(-1);
          } else {
            refs.push_back(runtime->Submit([](int64_t x) { return x; }, refs[a]));
            model.push_back(model[a]);
          }
      }
    }
    for (size_t i = 0; i < refs.size(); ++i) {
      auto got = refs[i].Get();
      if (model[i] < 0) {
        ASSERT_EQ(got.status().code(), absl::StatusCode::kAborted) << "task " << i;
      } else {
        ASSERT_TRUE(got.ok()) << "task " << i << ": " << got.status();
        ASSERT_EQ(**got, model[i]) << "task " << i;
      }
    }
    refs.clear();
    ASSERT_TRUE(runtime->Shutdown(ShutdownMode::kDrain, absl::Seconds(10)).ok());
    ASSERT_EQ(runtime->Stats().outstanding, 0u);
    ASSERT_EQ(runtime->store()->Stats().objects, 0u);
  }
}

TEST(SeededTest, CancelAndShutdownAtAnyMoment) {
  const uint64_t seeds = SeedCount(1000);
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE(seed);
    SeededRuntime seeded(seed, WorkersOf(seed));
    Runtime* const runtime = seeded.runtime.get();
    Random random(seed + 13);
    std::vector<ObjectRef<int>> refs;
    std::vector<bool> cancelled;
    const uint64_t tasks = 5 + random.Below(30);
    for (uint64_t i = 0; i < tasks; ++i) {
      if (refs.empty() || random.Below(3) == 0) {
        refs.push_back(runtime->Submit([runtime] {
          return *runtime->Submit([] { return 1; }).Get().value_or(ObjectView<int>());
        }));
      } else {
        refs.push_back(
            runtime->Submit([](int x) { return x + 1; }, refs[random.Below(refs.size())]));
      }
      cancelled.push_back(false);
      if (random.Below(4) == 0) {
        const size_t at = random.Below(refs.size());
        if (runtime->Cancel(refs[at])) cancelled[at] = true;
      }
      if (random.Below(4) == 0) seeded.executor.BetweenTasks();
    }
    const bool drain = random.Below(2) == 0;
    ASSERT_TRUE(
        runtime->Shutdown(drain ? ShutdownMode::kDrain : ShutdownMode::kCancel, absl::Seconds(100))
            .ok());
    for (size_t i = 0; i < refs.size(); ++i) {
      ASSERT_TRUE(refs[i].ready());
      const absl::StatusCode code = refs[i].Get().status().code();
      if (cancelled[i]) {
        ASSERT_EQ(code, absl::StatusCode::kCancelled);
      } else if (drain) {
        ASSERT_TRUE(code == absl::StatusCode::kOk || code == absl::StatusCode::kCancelled);
      } else {
        ASSERT_TRUE(code == absl::StatusCode::kOk || code == absl::StatusCode::kCancelled ||
                    code == absl::StatusCode::kUnavailable);
      }
    }
    const RuntimeStats stats = runtime->Stats();
    ASSERT_EQ(stats.submitted, stats.finished);
  }
}

TEST(SeededTest, ActorsKeepEachCallersOrder) {
  struct Log {
    std::vector<int> seen;
    int Note(int n) {
      seen.push_back(n);
      return n;
    }
    absl::Status Break() { return Fatal(absl::DataLossError("broken")); }
    std::vector<int> SaveState() const { return seen; }
    void LoadState(const std::vector<int>& state) { seen = state; }
    std::vector<int> All() const { return seen; }
  };
  const uint64_t seeds = SeedCount(1000);
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE(seed);
    SeededRuntime seeded(seed, WorkersOf(seed));
    Runtime* const runtime = seeded.runtime.get();
    Random random(seed + 5);
    ActorOptions options;
    options.mailbox_max = 1 + random.Below(10);
    options.max_restarts = 1;
    options.checkpoint_every = 1;
    auto log = runtime->CreateActor<Log>(options);
    std::vector<ObjectRef<Done>> callers;
    const int caller_count = 1 + static_cast<int>(random.Below(4));
    for (int caller = 0; caller < caller_count; ++caller) {
      const uint64_t own = random.Below(1'000'000);
      callers.push_back(runtime->Submit([runtime, log, caller, own] {
        Random mine(own);
        std::vector<ObjectRef<int>> calls;
        for (int i = 0; i < 8; ++i) {
          const int n = caller * 100 + i;
          if (mine.Below(2) == 0) {
            calls.push_back(log.Call(&Log::Note, runtime->Submit([n] { return n; })));
          } else {
            calls.push_back(log.Call(&Log::Note, n));
          }
        }
        for (const auto& call : calls) EXPECT_TRUE(call.Get().ok());
      }));
    }
    if (random.Below(2) == 0) log.Call(&Log::Break);
    for (const auto& caller : callers) ASSERT_TRUE(caller.Get().ok());
    auto all = log.Call(&Log::All).Read();
    ASSERT_TRUE(all.ok()) << all.status();
    ASSERT_EQ(all->size(), static_cast<size_t>(caller_count) * 8);
    std::vector<int> next(static_cast<size_t>(caller_count), 0);
    for (const int n : *all) ASSERT_EQ(n % 100, next[static_cast<size_t>(n / 100)]++);
  }
}

TEST(SeededTest, DataLargerThanMemoryIsAdmittedAndFetched) {
  const uint64_t seeds = SeedCount(1000) / 20 + 1;
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE(seed);
    SeededRuntime seeded(seed, WorkersOf(seed));
    Runtime* const runtime = seeded.runtime.get();
    Random random(seed + 3);
    constexpr size_t kObjects = 48;  // of half a MiB, in 16 MiB
    std::vector<ObjectRef<std::vector<uint8_t>>> data;
    for (size_t i = 0; i < kObjects; ++i) {
      data.push_back(runtime->Submit(
          [i] { return std::vector<uint8_t>(512 * 1024, static_cast<uint8_t>(i)); }));
    }
    std::vector<ObjectRef<uint64_t>> sums;
    std::vector<uint64_t> model;
    for (int i = 0; i < 60; ++i) {
      const size_t a = random.Below(kObjects), b = random.Below(kObjects);
      sums.push_back(runtime->Submit(
          [](absl::Span<const uint8_t> x, absl::Span<const uint8_t> y) {
            return uint64_t{x.front()} * 1000 + y.back();
          },
          data[a], data[b]));
      model.push_back(a * 1000 + b);
    }
    for (size_t i = 0; i < sums.size(); ++i) {
      auto got = sums[i].Get();
      ASSERT_TRUE(got.ok()) << got.status();
      ASSERT_EQ(**got, model[i]);
    }
    ASSERT_EQ(runtime->Stats().admitted_bytes, 0u);
  }
}

}  // namespace
}  // namespace spillway
