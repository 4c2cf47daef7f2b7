// A clock that stands still until a test moves it, and whose waiters wait for it alone.
#ifndef SPILLWAY_TESTS_STORE_MEMORY_FAKE_CLOCK_H_
#define SPILLWAY_TESTS_STORE_MEMORY_FAKE_CLOCK_H_

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/time/time.h"
#include "store/seams.h"

namespace spillway {

// Thread-safety: every method may be called by any thread.
class FakeClock final : public Clock {
 public:
  absl::Time Now() const override {
    std::lock_guard<std::mutex> hold(mutex_);
    return now_;
  }
  int64_t MonotonicNanos() const override { return absl::ToUnixNanos(Now()); }
  std::unique_ptr<Parker> NewParker() override { return std::make_unique<FakeParker>(this); }

  void Advance(absl::Duration by) {
    std::lock_guard<std::mutex> hold(mutex_);
    now_ += by;
    for (FakeParker* parker : waiting_) {
      if (now_ >= parker->deadline_) parker->Rouse();
    }
    changed_.notify_all();
  }

  // Waits until `threads` threads are parked and nothing is there that would end their waits: who
  // was given a permit, or whose deadline has come, does not count from that moment on.
  void AwaitParked(int threads) {
    std::unique_lock<std::mutex> hold(mutex_);
    changed_.wait(hold, [&] { return parked_ == threads; });
  }

 private:
  class FakeParker final : public Parker {
   public:
    explicit FakeParker(FakeClock* clock) : clock_(clock) {}

    bool Park(absl::Time deadline) override {
      std::unique_lock<std::mutex> hold(clock_->mutex_);
      if (!permit_ && clock_->now_ < deadline) {
        parked_ = true;
        deadline_ = deadline;
        clock_->waiting_.push_back(this);
        ++clock_->parked_;
        clock_->changed_.notify_all();
        clock_->changed_.wait(hold, [&] { return permit_ || clock_->now_ >= deadline; });
        std::erase(clock_->waiting_, this);
        Rouse();
      }
      const bool permitted = permit_;
      permit_ = false;
      return permitted;
    }

    void Unpark() override {
      std::lock_guard<std::mutex> hold(clock_->mutex_);
      permit_ = true;
      Rouse();
      clock_->changed_.notify_all();
    }

   private:
    friend class FakeClock;

    // With the clock's mutex held: counts no longer as parked.
    void Rouse() {
      if (parked_) --clock_->parked_;
      parked_ = false;
    }

    FakeClock* const clock_;
    // Guarded by clock_->mutex_.
    bool permit_ = false;
    bool parked_ = false;
    absl::Time deadline_;
  };

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  int parked_ = 0;
  std::vector<FakeParker*> waiting_;
};

}  // namespace spillway

#endif  // SPILLWAY_TESTS_STORE_MEMORY_FAKE_CLOCK_H_
