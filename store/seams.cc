#include "store/seams.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "glog/logging.h"

namespace spillway {
namespace {

int64_t ReadMonotonicNanos() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// A permit in a futex word. The wait has an absolute deadline on the monotonic clock, so that a
// step of the system's time neither cuts it short nor draws it out.
class FutexParker final : public Parker {
 public:
  explicit FutexParker(absl::Time monotonic_zero) : monotonic_zero_(monotonic_zero) {}

  bool Park(absl::Time deadline) override {
    while (permit_.exchange(0, std::memory_order_acquire) == 0) {
      if (deadline == absl::InfiniteFuture()) {
        Wait(nullptr);
        continue;
      }
      const absl::Duration until = deadline - monotonic_zero_;
      if (until <= absl::Nanoseconds(ReadMonotonicNanos())) {
        return permit_.exchange(0, std::memory_order_acquire) != 0;
      }
      const timespec monotonic_deadline = absl::ToTimespec(until);
      Wait(&monotonic_deadline);
    }
    return true;
  }

  void Unpark() override {
    if (permit_.exchange(1, std::memory_order_release) == 0) {
      syscall(SYS_futex, &permit_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    }
  }

 private:
  void Wait(const timespec* monotonic_deadline) {
    // Whatever ends the wait (a wake, a signal, the deadline), the caller looks again.
    syscall(SYS_futex, &permit_, FUTEX_WAIT_BITSET_PRIVATE, 0, monotonic_deadline, nullptr,
            FUTEX_BITSET_MATCH_ANY);
  }

  const absl::Time monotonic_zero_;
  std::atomic<uint32_t> permit_{0};
  static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));
};

class RealClock final : public Clock {
 public:
  absl::Time Now() const override {
    return monotonic_zero_ + absl::Nanoseconds(ReadMonotonicNanos());
  }
  int64_t MonotonicNanos() const override { return ReadMonotonicNanos(); }
  std::unique_ptr<Parker> NewParker() override {
    return std::make_unique<FutexParker>(monotonic_zero_);
  }

 private:
  // The time of day at which the monotonic clock stood at zero, as seen when the process first
  // asked.
  const absl::Time monotonic_zero_ = absl::Now() - absl::Nanoseconds(ReadMonotonicNanos());
};

class ThreadJob final : public BackgroundJob {
 public:
  ThreadJob(std::string_view name, std::function<absl::Time()> step)
      : step_(std::move(step)),
        parker_(Clock::Real()->NewParker()),
        thread_([this, name = std::string(name.substr(0, 15))] {
          pthread_setname_np(pthread_self(), name.c_str());
          Run();
        }) {}
  ~ThreadJob() override { Stop(); }

  void Wake() override { parker_->Unpark(); }

  void Stop() override {
    if (!thread_.joinable()) return;
    CHECK(thread_.get_id() != std::this_thread::get_id()) << "a background job stops itself";
    stopping_.store(true, std::memory_order_release);
    parker_->Unpark();
    thread_.join();
  }

 private:
  void Run() {
    while (!stopping_.load(std::memory_order_acquire)) {
      const absl::Time next = step_();
      if (next > absl::InfinitePast()) parker_->Park(next);
    }
  }

  const std::function<absl::Time()> step_;
  const std::unique_ptr<Parker> parker_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;  // last: it uses all the others
};

class ThreadExecutor final : public Executor {
 public:
  std::unique_ptr<BackgroundJob> Start(std::string_view name,
                                       std::function<absl::Time()> step) override {
    return std::make_unique<ThreadJob>(name, std::move(step));
  }
};

}  // namespace

Clock* Clock::Real() {
  static RealClock* const clock = new RealClock;
  return clock;
}

Executor* Executor::Real() {
  static ThreadExecutor* const executor = new ThreadExecutor;
  return executor;
}

}  // namespace spillway
