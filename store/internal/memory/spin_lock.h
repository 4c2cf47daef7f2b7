// A lock for critical sections of a few nanoseconds: one byte, one atomic exchange to lock, one
// plain store to unlock.
//
// A waiting thread spins for a short while, then yields the processor, and in the end sleeps a
// little between attempts, so that a holder that lost its processor gets it back. No fairness.
// Nothing that blocks, allocates or makes a system call belongs under it.
#ifndef SPILLWAY_STORE_INTERNAL_MEMORY_SPIN_LOCK_H_
#define SPILLWAY_STORE_INTERNAL_MEMORY_SPIN_LOCK_H_

#include <atomic>

#include "absl/base/thread_annotations.h"

namespace spillway {

class ABSL_LOCKABLE SpinLock {
 public:
  SpinLock() = default;
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    if (held_.exchange(true, std::memory_order_acquire)) LockSlow();
  }

  // True if it got the lock.
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    return !held_.load(std::memory_order_relaxed) &&
           !held_.exchange(true, std::memory_order_acquire);
  }

  void Unlock() ABSL_UNLOCK_FUNCTION() { held_.store(false, std::memory_order_release); }

  // Tells the analysis that the calling thread holds the lock; checks no more than that somebody
  // does.
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {}

 private:
  void LockSlow() ABSL_NO_THREAD_SAFETY_ANALYSIS;

  std::atomic<bool> held_{false};
};

// Holds a SpinLock for the length of a scope.
class ABSL_SCOPED_LOCKABLE SpinLockHolder {
 public:
  explicit SpinLockHolder(SpinLock* lock) ABSL_EXCLUSIVE_LOCK_FUNCTION(lock) : lock_(lock) {
    lock_->Lock();
  }
  ~SpinLockHolder() ABSL_UNLOCK_FUNCTION() { lock_->Unlock(); }

  SpinLockHolder(const SpinLockHolder&) = delete;
  SpinLockHolder& operator=(const SpinLockHolder&) = delete;

 private:
  SpinLock* const lock_;
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_INTERNAL_MEMORY_SPIN_LOCK_H_
