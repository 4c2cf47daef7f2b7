// A small pool of threads that helps callers with many blocking reads.
//
// The caller works itself, so that progress never depends on a free helper and a single short job
// wakes nobody.
#ifndef SPILLWAY_SPILL_INTERNAL_READ_POOL_H_
#define SPILLWAY_SPILL_INTERNAL_READ_POOL_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"
#include "serialization/mutex.h"

namespace spillway::internal {

// Thread-safe.
class ReadPool {
 public:
  explicit ReadPool(int threads);
  // REQUIRES: no Run in progress.
  ~ReadPool();

  ReadPool(const ReadPool&) = delete;
  ReadPool& operator=(const ReadPool&) = delete;

  // Calls work(0) ... work(count - 1), each once, on the calling thread and on helpers, in about
  // that order. Returns when all have returned.
  void Run(size_t count, absl::FunctionRef<void(size_t)> work) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Job {
    Job(size_t job_count, absl::FunctionRef<void(size_t)> job_work)
        : count(job_count), work(job_work) {}
    const size_t count;
    const absl::FunctionRef<void(size_t)> work;
    std::atomic<size_t> next{0};
    // Guarded by the pool's mutex.
    size_t helpers_wanted = 0;
    size_t helpers_working = 0;
  };

  static void WorkOn(Job* job);
  void HelperMain() ABSL_LOCKS_EXCLUDED(mutex_);

  Mutex mutex_;
  CondVar job_added_;
  CondVar helper_done_;
  std::deque<Job*> jobs_ ABSL_GUARDED_BY(mutex_);  // that want helpers
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_INTERNAL_READ_POOL_H_
