// Many may pass at once, or one alone.
#ifndef SPILLWAY_SPILL_INTERNAL_SHARED_GATE_H_
#define SPILLWAY_SPILL_INTERNAL_SHARED_GATE_H_

#include "serialization/mutex.h"

namespace spillway::internal {

// Whoever waits to be alone goes before those who come later to share. Thread-safe; not recursive.
class SharedGate {
 public:
  class Shared {
   public:
    explicit Shared(SharedGate* gate) : gate_(gate) {
      MutexLock lock(&gate_->mutex_);
      while (gate_->alone_) gate_->changed_.Wait(&gate_->mutex_);
      ++gate_->sharing_;
    }
    ~Shared() {
      MutexLock lock(&gate_->mutex_);
      if (--gate_->sharing_ == 0) gate_->changed_.SignalAll();
    }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;

   private:
    SharedGate* const gate_;
  };

  class Alone {
   public:
    explicit Alone(SharedGate* gate) : gate_(gate) {
      MutexLock lock(&gate_->mutex_);
      while (gate_->alone_) gate_->changed_.Wait(&gate_->mutex_);
      gate_->alone_ = true;
      while (gate_->sharing_ > 0) gate_->changed_.Wait(&gate_->mutex_);
    }
    ~Alone() {
      MutexLock lock(&gate_->mutex_);
      gate_->alone_ = false;
      gate_->changed_.SignalAll();
    }
    Alone(const Alone&) = delete;
    Alone& operator=(const Alone&) = delete;

   private:
    SharedGate* const gate_;
  };

 private:
  Mutex mutex_;
  CondVar changed_;
  int sharing_ ABSL_GUARDED_BY(mutex_) = 0;
  bool alone_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_INTERNAL_SHARED_GATE_H_
