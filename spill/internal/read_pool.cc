#include "spill/internal/read_pool.h"

#include <pthread.h>

#include <algorithm>

#include "glog/logging.h"

namespace spillway::internal {

ReadPool::ReadPool(int threads) {
  CHECK_GE(threads, 0);
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { HelperMain(); });
    pthread_setname_np(threads_.back().native_handle(), "spill-read");
  }
}

ReadPool::~ReadPool() {
  {
    MutexLock lock(&mutex_);
    CHECK(jobs_.empty()) << "the read pool ends while reads are running";
    ending_ = true;
    job_added_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

void ReadPool::WorkOn(Job* job) {
  for (;;) {
    const size_t index = job->next.fetch_add(1, std::memory_order_relaxed);
    if (index >= job->count) return;
    job->work(index);
  }
}

void ReadPool::Run(size_t count, absl::FunctionRef<void(size_t)> work) {
  if (count == 0) return;
  if (count == 1 || threads_.empty()) {
    for (size_t i = 0; i < count; ++i) work(i);
    return;
  }
  Job job(count, work);
  job.helpers_wanted = std::min(count - 1, threads_.size());
  {
    MutexLock lock(&mutex_);
    jobs_.push_back(&job);
    for (size_t i = 0; i < job.helpers_wanted; ++i) job_added_.Signal();
  }
  WorkOn(&job);
  MutexLock lock(&mutex_);
  const auto listed = std::find(jobs_.begin(), jobs_.end(), &job);
  if (listed != jobs_.end()) jobs_.erase(listed);
  while (job.helpers_working > 0) helper_done_.Wait(&mutex_);
}

void ReadPool::HelperMain() {
  MutexLock lock(&mutex_);
  for (;;) {
    while (jobs_.empty() && !ending_) job_added_.Wait(&mutex_);
    if (jobs_.empty()) return;
    Job* job = jobs_.front();
    ++job->helpers_working;
    if (--job->helpers_wanted == 0) jobs_.pop_front();
    mutex_.Unlock();
    WorkOn(job);
    mutex_.Lock();
    if (--job->helpers_working == 0) helper_done_.SignalAll();
  }
}

}  // namespace spillway::internal
