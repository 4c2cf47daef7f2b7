// Threads for workers that stand in for blocked ones: made when needed, kept for a while when not.
#ifndef SPILLWAY_RUNTIME_INTERNAL_THREAD_CACHE_H_
#define SPILLWAY_RUNTIME_INTERNAL_THREAD_CACHE_H_

#include <cstddef>
#include <functional>
#include <memory>

#include "absl/time/time.h"

namespace spillway::internal {

// Thread-safe. Threads are detached: one that hangs in a caller's function does not hold up the
// cache's end.
class ThreadCache {
 public:
  // Threads without work that are kept.
  static constexpr size_t kIdleMax = 64;

  ThreadCache();
  ~ThreadCache();
  ThreadCache(const ThreadCache&) = delete;
  ThreadCache& operator=(const ThreadCache&) = delete;

  // Runs `work` on a thread of its own. False if the system gives no more threads.
  bool Run(std::function<void()> work);

  // Lets idle threads go, and waits until all have ended, up to `timeout`. Returns whether they
  // have.
  bool Stop(absl::Duration timeout);

 private:
  struct Shared;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_RUNTIME_INTERNAL_THREAD_CACHE_H_
