// A counting semaphore over bytes: bounds the memory that transient buffers take together.
#ifndef SPILLWAY_SPILL_INTERNAL_BYTE_BUDGET_H_
#define SPILLWAY_SPILL_INTERNAL_BYTE_BUDGET_H_

#include <algorithm>
#include <cstdint>

#include "glog/logging.h"
#include "serialization/mutex.h"

namespace spillway::internal {

// Thread-safe.
class ByteBudget {
 public:
  explicit ByteBudget(uint64_t bytes) : total_bytes_(bytes), free_bytes_(bytes) {
    CHECK_GT(bytes, 0u);
  }

  // Waits until `bytes` are free, or all of the budget where it is smaller than that. Whoever takes
  // some must not take more before giving them back: that keeps waiting free of cycles.
  class Share {
   public:
    Share(ByteBudget* budget, uint64_t bytes)
        : budget_(budget), bytes_(std::min(bytes, budget->total_bytes_)) {
      MutexLock lock(&budget_->mutex_);
      while (budget_->free_bytes_ < bytes_) budget_->freed_.Wait(&budget_->mutex_);
      budget_->free_bytes_ -= bytes_;
    }
    ~Share() {
      MutexLock lock(&budget_->mutex_);
      budget_->free_bytes_ += bytes_;
      budget_->freed_.SignalAll();
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    ByteBudget* const budget_;
    const uint64_t bytes_;
  };

  uint64_t total_bytes() const { return total_bytes_; }
  uint64_t used_bytes() const {
    MutexLock lock(&mutex_);
    return total_bytes_ - free_bytes_;
  }

 private:
  const uint64_t total_bytes_;
  mutable Mutex mutex_;
  CondVar freed_;
  uint64_t free_bytes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_INTERNAL_BYTE_BUDGET_H_
