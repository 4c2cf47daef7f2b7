// The one mutex of the project, annotated for clang's thread-safety analysis.
//
// In checked builds (NDEBUG is not defined) it is absl::Mutex, which finds cycles in the order of
// locks. Debian builds its libabsl so that it looks for them in every program, which takes several
// times as long as the lock itself: optimised builds have std::mutex, and so has the
// ThreadSanitizer configuration (SPILLWAY_TSAN is defined), because a system's libabsl is not
// instrumented and the sanitizer would not see that absl::Mutex orders memory.
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

#include "absl/base/thread_annotations.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

#if defined(SPILLWAY_TSAN) || defined(NDEBUG)
#define SPILLWAY_STD_MUTEX
#endif

#ifdef SPILLWAY_STD_MUTEX
#include <chrono>
#include <condition_variable>
#include <mutex>
#else
#include "absl/synchronization/mutex.h"
#endif

namespace spillway {

// Exclusive, not recursive.
class ABSL_LOCKABLE Mutex {
 public:
  constexpr Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { Impl().lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { Impl().unlock(); }
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) { return Impl().try_lock(); }

  // States, and with absl::Mutex checks, that the calling thread holds the mutex.
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {
#ifndef SPILLWAY_STD_MUTEX
    impl_.mutex.AssertHeld();
#endif
  }

 private:
  friend class CondVar;

#ifdef SPILLWAY_STD_MUTEX
  std::mutex& Impl() { return impl_; }
  std::mutex impl_;
#else
  // Gives absl::Mutex the standard's spelling, outside the reach of the analysis.
  struct Plain {
    void lock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex.Lock(); }
    void unlock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex.Unlock(); }
    bool try_lock() ABSL_NO_THREAD_SAFETY_ANALYSIS { return mutex.TryLock(); }
    absl::Mutex mutex{absl::kConstInit};
  };
  Plain& Impl() { return impl_; }
  Plain impl_;
#endif
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

  void Wait(Mutex* mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // Returns true if the time passed without a signal.
  bool WaitWithTimeout(Mutex* mutex, absl::Duration timeout) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  bool WaitWithDeadline(Mutex* mutex, absl::Time deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  void Signal();
  void SignalAll();

 private:
#ifdef SPILLWAY_STD_MUTEX
  std::condition_variable impl_;
#else
  absl::CondVar impl_;
#endif
};

// ---- Implementation ----

#ifdef SPILLWAY_STD_MUTEX

inline void CondVar::Wait(Mutex* mutex) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  std::unique_lock<std::mutex> lock(mutex->impl_, std::adopt_lock);
  impl_.wait(lock);
  lock.release();
}

inline bool CondVar::WaitWithTimeout(Mutex* mutex,
                                     absl::Duration timeout) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (timeout == absl::InfiniteDuration()) {
    Wait(mutex);
    return false;
  }
  return WaitWithDeadline(mutex, absl::Now() + timeout);
}

inline bool CondVar::WaitWithDeadline(Mutex* mutex,
                                      absl::Time deadline) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (deadline == absl::InfiniteFuture()) {
    Wait(mutex);
    return false;
  }
  std::unique_lock<std::mutex> lock(mutex->impl_, std::adopt_lock);
  const bool timed_out =
      impl_.wait_until(lock, absl::ToChronoTime(deadline)) == std::cv_status::timeout;
  lock.release();
  return timed_out;
}

inline void CondVar::Signal() { impl_.notify_one(); }
inline void CondVar::SignalAll() { impl_.notify_all(); }

#else

inline void CondVar::Wait(Mutex* mutex) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  impl_.Wait(&mutex->impl_.mutex);
}

inline bool CondVar::WaitWithTimeout(Mutex* mutex,
                                     absl::Duration timeout) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  return impl_.WaitWithTimeout(&mutex->impl_.mutex, timeout);
}

inline bool CondVar::WaitWithDeadline(Mutex* mutex,
                                      absl::Time deadline) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  return impl_.WaitWithDeadline(&mutex->impl_.mutex, deadline);
}

inline void CondVar::Signal() { impl_.Signal(); }
inline void CondVar::SignalAll() { impl_.SignalAll(); }

#endif

}  // namespace spillway

#undef SPILLWAY_STD_MUTEX

#endif  // SPILLWAY_SERIALIZATION_MUTEX_H_
