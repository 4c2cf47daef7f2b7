// An executor whose jobs live by a test's clock: with it and a FakeClock, a test knows when the
// store has come to rest, and nothing in the store happens by itself before the clock is moved.
#ifndef SPILLWAY_TESTS_STORE_CLOCK_EXECUTOR_H_
#define SPILLWAY_TESTS_STORE_CLOCK_EXECUTOR_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "store/seams.h"

namespace spillway {

// One thread per job. Thread-safe. Must outlive its jobs.
class ClockExecutor final : public Executor {
 public:
  explicit ClockExecutor(Clock* clock) : clock_(clock) {}

  std::unique_ptr<BackgroundJob> Start(std::string_view,
                                       std::function<absl::Time()> step) override {
    return std::make_unique<Job>(this, std::move(step));
  }

  // Steps that all jobs have made.
  uint64_t steps() const { return steps_.load(); }

 private:
  class Job final : public BackgroundJob {
   public:
    Job(ClockExecutor* executor, std::function<absl::Time()> step)
        : executor_(executor),
          step_(std::move(step)),
          parker_(executor->clock_->NewParker()),
          thread_([this] { Run(); }) {}
    ~Job() override { Stop(); }

    void Wake() override { parker_->Unpark(); }

    void Stop() override {
      if (!thread_.joinable()) return;
      stopping_.store(true);
      parker_->Unpark();
      thread_.join();
    }

   private:
    void Run() {
      while (!stopping_.load()) {
        const absl::Time next = step_();
        executor_->steps_.fetch_add(1);
        if (next > absl::InfinitePast()) parker_->Park(next);
      }
    }

    ClockExecutor* const executor_;
    const std::function<absl::Time()> step_;
    const std::unique_ptr<Parker> parker_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;  // last: it uses all the others
  };

  Clock* const clock_;
  std::atomic<uint64_t> steps_{0};
};

}  // namespace spillway

#endif  // SPILLWAY_TESTS_STORE_CLOCK_EXECUTOR_H_
