#include "serialization/mutex.h"

#include <cstdint>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace spillway {
namespace {

TEST(MutexTest, OneThreadAtATime) {
  // More threads than processors, so that holders lose theirs and waiters sleep.
  constexpr int kThreads = 8;
  constexpr int kRounds = 50'000;
  Mutex mutex;
  int64_t first = 0, second = 0;
  bool torn = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        MutexLock lock(&mutex);
        torn = torn || first != second;
        ++first;
        if (round % 1000 == 0) std::this_thread::yield();
        ++second;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(torn);
  EXPECT_EQ(first, int64_t{kThreads} * kRounds);
  EXPECT_EQ(second, first);
}

// Written so that clang's analysis of locks can follow it.
TEST(MutexTest, TryLockDoesNotWait) {
  Mutex mutex;
  bool taken_by_another = true;
  if (!mutex.TryLock()) FAIL() << "a free mutex is refused";
  std::thread([&] {
    const bool taken = mutex.TryLock();
    if (taken) mutex.Unlock();
    taken_by_another = taken;
  }).join();
  mutex.Unlock();
  EXPECT_FALSE(taken_by_another);
  if (!mutex.TryLock()) FAIL() << "a mutex that was given back is refused";
  mutex.Unlock();
}

TEST(MutexTest, SleepersAreWokenOneAfterTheOther) {
  constexpr int kThreads = 4;
  Mutex mutex;
  int through = 0;
  std::vector<std::thread> threads;
  {
    MutexLock lock(&mutex);
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        MutexLock mine(&mutex);
        ++through;
      });
    }
    // Long enough for them to have given up spinning; nothing depends on it.
    absl::SleepFor(absl::Milliseconds(20));
    EXPECT_EQ(through, 0);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(through, kThreads);
}

TEST(CondVarTest, ASignalEndsAWait) {
  Mutex mutex;
  CondVar changed;
  bool ready = false, seen = false;
  std::thread waiter([&] {
    MutexLock lock(&mutex);
    while (!ready) changed.Wait(&mutex);
    seen = true;
  });
  {
    MutexLock lock(&mutex);
    ready = true;
    changed.SignalAll();
  }
  waiter.join();
  EXPECT_TRUE(seen);
}

TEST(CondVarTest, AWaitEndsAtItsDeadline) {
  Mutex mutex;
  CondVar changed;
  const absl::Time deadline = absl::Now() + absl::Milliseconds(5);
  MutexLock lock(&mutex);
  while (!changed.WaitWithDeadline(&mutex, deadline)) {
  }
  EXPECT_GE(absl::Now(), deadline);
  while (!changed.WaitWithTimeout(&mutex, absl::Milliseconds(1))) {
  }
}

TEST(CondVarTest, ASignalEndsAWaitThatHasNoDeadline) {
  Mutex mutex;
  CondVar changed;
  bool ready = false;
  std::thread waiter([&] {
    MutexLock lock(&mutex);
    while (!ready) EXPECT_FALSE(changed.WaitWithTimeout(&mutex, absl::InfiniteDuration()));
  });
  {
    MutexLock lock(&mutex);
    ready = true;
  }
  changed.Signal();
  waiter.join();
}

}  // namespace
}  // namespace spillway
