#include "store/seams.h"

#include <atomic>
#include <memory>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace spillway {
namespace {

TEST(RealClockTest, NeverGoesBackAndAgreesWithTheTimeOfDay) {
  Clock* const clock = Clock::Real();
  absl::Time last = clock->Now();
  int64_t last_nanos = clock->MonotonicNanos();
  for (int i = 0; i < 10'000; ++i) {
    const absl::Time now = clock->Now();
    const int64_t nanos = clock->MonotonicNanos();
    EXPECT_GE(now, last);
    EXPECT_GE(nanos, last_nanos);
    last = now;
    last_nanos = nanos;
  }
  EXPECT_LT(absl::AbsDuration(clock->Now() - absl::Now()), absl::Minutes(1));
}

TEST(RealParkerTest, PermitGivenBeforehandIsTakenOnce) {
  Clock* const clock = Clock::Real();
  std::unique_ptr<Parker> parker = clock->NewParker();
  parker->Unpark();
  parker->Unpark();
  EXPECT_TRUE(parker->Park(absl::InfinitePast()));
  EXPECT_FALSE(parker->Park(absl::InfinitePast()));
}

TEST(RealParkerTest, WaitsUntilTheDeadline) {
  Clock* const clock = Clock::Real();
  std::unique_ptr<Parker> parker = clock->NewParker();
  const absl::Time deadline = clock->Now() + absl::Milliseconds(20);
  EXPECT_FALSE(parker->Park(deadline));
  EXPECT_GE(clock->Now(), deadline);
}

TEST(RealParkerTest, AnotherThreadEndsTheWait) {
  Clock* const clock = Clock::Real();
  std::unique_ptr<Parker> there = clock->NewParker();
  std::unique_ptr<Parker> back = clock->NewParker();
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) {
      EXPECT_TRUE(there->Park(absl::InfiniteFuture()));
      back->Unpark();
    }
  });
  for (int i = 0; i < 1000; ++i) {
    there->Unpark();
    EXPECT_TRUE(back->Park(clock->Now() + absl::Hours(1)));
  }
  other.join();
}

TEST(RealExecutorTest, StepsAtOnceOnWakeAndWhenItAskedFor) {
  Clock* const clock = Clock::Real();
  std::atomic<int> steps{0};
  std::unique_ptr<Parker> stepped = clock->NewParker();
  std::unique_ptr<BackgroundJob> job = Executor::Real()->Start("a job with a long name", [&] {
    const int step = ++steps;
    stepped->Unpark();
    return step == 2 ? clock->Now() + absl::Milliseconds(1) : absl::InfiniteFuture();
  });
  EXPECT_TRUE(stepped->Park(absl::InfiniteFuture()));
  job->Wake();
  while (steps < 3) EXPECT_TRUE(stepped->Park(absl::InfiniteFuture()));
  job->Stop();
  job->Stop();
  EXPECT_EQ(steps, 3);
}

TEST(RealExecutorTest, WakeDuringAStepLeadsToAnother) {
  std::atomic<int> steps{0};
  std::atomic<BackgroundJob*> self{nullptr};
  std::unique_ptr<Parker> done = Clock::Real()->NewParker();
  std::unique_ptr<BackgroundJob> job = Executor::Real()->Start("self-waking", [&] {
    while (self.load() == nullptr) std::this_thread::yield();
    if (++steps < 100) {
      self.load()->Wake();
    } else {
      done->Unpark();
    }
    return absl::InfiniteFuture();
  });
  self = job.get();
  EXPECT_TRUE(done->Park(absl::InfiniteFuture()));
  EXPECT_EQ(steps, 100);
}

TEST(RealExecutorTest, DestructorEndsABusyJob) {
  std::atomic<int> steps{0};
  {
    std::unique_ptr<BackgroundJob> job = Executor::Real()->Start("busy", [&] {
      ++steps;
      return absl::InfinitePast();
    });
    while (steps < 10) std::this_thread::yield();
  }
  const int after = steps;
  std::this_thread::yield();
  EXPECT_EQ(steps, after);
}

}  // namespace
}  // namespace spillway
