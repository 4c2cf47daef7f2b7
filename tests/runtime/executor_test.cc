// Where workers run: threads of the program's own, threads that come late or never, threads that
// are only played.
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/runtime.h"
#include "runtime/task_executor.h"
#include "tests/runtime/test_runtime.h"

namespace spillway {
namespace {

// A pool as a program might have one.
class PoolExecutor final : public TaskExecutor {
 public:
  explicit PoolExecutor(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Loop(); });
  }
  ~PoolExecutor() override {
    {
      MutexLock lock(&mutex_);
      ending_ = true;
      changed_.SignalAll();
    }
    for (std::thread& thread : threads_) thread.join();
  }

  void Post(std::function<void()> work) override {
    ++posts;
    MutexLock lock(&mutex_);
    queue_.push_back(std::move(work));
    changed_.Signal();
  }

  std::atomic<int> posts{0};

 private:
  void Loop() {
    for (;;) {
      std::function<void()> work;
      {
        MutexLock lock(&mutex_);
        while (queue_.empty() && !ending_) changed_.Wait(&mutex_);
        if (queue_.empty()) return;
        work = std::move(queue_.front());
        queue_.pop_front();
      }
      work();
    }
  }

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

// Runs nothing before it is told to.
class LateExecutor final : public TaskExecutor {
 public:
  void Post(std::function<void()> work) override {
    MutexLock lock(&mutex_);
    queue_.push_back(std::move(work));
  }
  void RunAll() {
    std::deque<std::function<void()>> all;
    {
      MutexLock lock(&mutex_);
      all.swap(queue_);
    }
    for (const auto& work : all) work();
  }

 private:
  Mutex mutex_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
};

int Sum(Runtime* runtime, int n) {
  if (n == 0) return 0;
  return n + *runtime->Submit(Sum, runtime, n - 1).Get().value();
}

TEST(ExecutorTest, AProgramsOwnThreadsAreUsed) {
  for (const int threads : {1, 2, 8}) {
    PoolExecutor pool(threads);
    RuntimeOptions options;
    options.executor = &pool;
    auto runtime = StartRuntime(threads, options);
    EXPECT_EQ(*runtime->Submit(Sum, runtime.get(), 1000).Get().value(), 500'500);
    EXPECT_GT(pool.posts.load(), 0);
  }
}

TEST(ExecutorTest, AnExecutorThatDoesNotComeIsHelpedOut) {
  LateExecutor late;
  RuntimeOptions options;
  options.executor = &late;
  {
    auto runtime = StartRuntime(2, options);
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(*runtime->Submit(Sum, runtime.get(), 10).Get().value(), 55);
    }
  }
  late.RunAll();  // too late, and harmless
}

TEST(ExecutorTest, MoreWorkersThanProcessorsRunAtOnce) {
  constexpr int kWorkers = 6;
  auto runtime = StartRuntime(kWorkers);
  std::atomic<int> inside{0};
  std::vector<ObjectRef<Done>> refs;
  for (int i = 0; i < kWorkers; ++i) {
    refs.push_back(runtime->Submit([&inside] {
      ++inside;
      while (inside < kWorkers) std::this_thread::yield();
    }));
  }
  for (const auto& ref : refs) EXPECT_TRUE(ref.Get().ok());
}

TEST(ExecutorTest, NeverMoreAtOnceThanWorkers) {
  for (const int workers : {1, 2, 4}) {
    auto runtime = StartRuntime(workers);
    std::atomic<int> inside{0}, most{0};
    const auto enter = [&] {
      const int now = ++inside;
      int before = most;
      while (before < now && !most.compare_exchange_weak(before, now)) {
      }
    };
    Runtime* const within = runtime.get();
    std::vector<ObjectRef<int>> refs;
    Pending<int> gate = runtime->store()->MakePending<int>().value();
    for (int i = 0; i < 200; ++i) {
      refs.push_back(runtime->Submit(
          [&, within](ObjectRef<int> ref) {
            enter();
            --inside;  // while it waits it does not count
            const int got = *ref.Get().value();
            enter();
            std::this_thread::yield();
            --inside;
            return got + *within->Submit([] { return 1; }).Get().value();
          },
          gate.ref));
    }
    ASSERT_TRUE(gate.promise.Set(1).ok());
    for (const auto& ref : refs) EXPECT_EQ(*ref.Get().value(), 2);
    EXPECT_LE(most.load(), workers);
  }
}

TEST(SeededExecutorTest, TimePassesOnlyWhenEverybodyWaits) {
  SeededRuntime seeded(1);
  const absl::Time began = seeded.executor.clock()->Now();
  TaskOptions options;
  options.max_retries = 1;
  options.retry_backoff = absl::Hours(5);
  options.retry_backoff_max = absl::Hours(5);
  auto calls = std::make_shared<int>(0);
  auto ref = seeded.runtime->Submit(options, [calls]() -> absl::StatusOr<int> {
    if (++*calls == 1) return absl::UnavailableError("later");
    return 3;
  });
  EXPECT_EQ(*ref.Get().value(), 3);
  EXPECT_GE(seeded.executor.clock()->Now() - began, absl::Hours(5));
  EXPECT_GT(seeded.executor.switches(), 0u);
}

}  // namespace
}  // namespace spillway
