// The one mutex of the project, annotated for clang's thread-safety analysis.
//
// What is behind it depends on the build:
//   - optimised: four bytes and a futex. Taken and given back without contention, it costs two
//     atomic operations, inlined; a put takes a dozen locks.
//   - checked (NDEBUG is not defined): absl::Mutex, which finds cycles in the order of locks.
//   - under ThreadSanitizer (SPILLWAY_TSAN is defined): std::mutex. The sanitizer would not see
//   that
//     absl::Mutex orders memory, because a system's libabsl is not instrumented.
//
//   class Counter {
//    public:
//     void Add(int64_t n) ABSL_LOCKS_EXCLUDED(mutex_) {
//       MutexLock lock(&mutex_);
//       value_ += n;
//       changed_.SignalAll();
//     }
//
//    private:
//     Mutex mutex_;
//     CondVar changed_;
//     int64_t value_ ABSL_GUARDED_BY(mutex_) = 0;
//   };
#ifndef SPILLWAY_SERIALIZATION_MUTEX_H_
#define SPILLWAY_SERIALIZATION_MUTEX_H_

#include <condition_variable>

#include "absl/base/thread_annotations.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

#if defined(SPILLWAY_TSAN)
#include <mutex>
#elif !defined(NDEBUG)
#include "absl/synchronization/mutex.h"
#else
#include <atomic>
#include <cstdint>
#endif

namespace spillway {

namespace internal {

// A BasicLockable each, outside the reach of the analysis.
#if defined(SPILLWAY_TSAN)

using PlainMutex = std::mutex;

#elif !defined(NDEBUG)

class PlainMutex {
 public:
  void lock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex_.Lock(); }
  void unlock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex_.Unlock(); }
  bool try_lock() ABSL_NO_THREAD_SAFETY_ANALYSIS { return mutex_.TryLock(); }

 private:
  absl::Mutex mutex_{absl::kConstInit};
};

#else

// Source: U. Drepper, "Futexes Are Tricky", 2011, the second mutex there; here it spins for a while
// before it sleeps.
class PlainMutex {
 public:
  void lock() {
    if (!try_lock()) [[unlikely]]
      LockSlow();
  }
  void unlock() {
    if (state_.exchange(kFree, std::memory_order_release) == kContended) [[unlikely]]
      WakeOne();
  }
  bool try_lock() {
    uint32_t expected = kFree;
    return state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }

 private:
  static constexpr uint32_t kFree = 0;
  static constexpr uint32_t kHeld = 1;
  static constexpr uint32_t kContended = 2;  // held, and somebody may sleep

  void LockSlow();
  void WakeOne();

  std::atomic<uint32_t> state_{kFree};
};

#endif

}  // namespace internal

// Exclusive, not recursive.
class ABSL_LOCKABLE Mutex {
 public:
  constexpr Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { impl_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { impl_.unlock(); }
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) { return impl_.try_lock(); }

  // Tells the analysis that the calling thread holds the mutex.
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {}

 private:
  friend class CondVar;

  internal::PlainMutex impl_;
};

// Holds a mutex for a scope.
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

// Waits may end without a signal: check the condition in a loop.
class CondVar {
 public:
  CondVar() = default;
  CondVar(const CondVar&) = delete;
  CondVar& operator=(const CondVar&) = delete;

  void Wait(Mutex* mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { impl_.wait(mutex->impl_); }

  // Returns true if the time passed without a signal.
  bool WaitWithTimeout(Mutex* mutex, absl::Duration timeout) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return WaitWithDeadline(mutex, absl::Now() + timeout);
  }
  bool WaitWithDeadline(Mutex* mutex, absl::Time deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (deadline == absl::InfiniteFuture()) {
      impl_.wait(mutex->impl_);
      return false;
    }
    return impl_.wait_until(mutex->impl_, absl::ToChronoTime(deadline)) == std::cv_status::timeout;
  }

  void Signal() { impl_.notify_one(); }
  void SignalAll() { impl_.notify_all(); }

 private:
  std::condition_variable_any impl_;
};

}  // namespace spillway

#endif  // SPILLWAY_SERIALIZATION_MUTEX_H_
