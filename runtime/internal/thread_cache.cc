#include "runtime/internal/thread_cache.h"

#include <pthread.h>

#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "serialization/mutex.h"

namespace spillway::internal {

namespace {

// Address space; pages are taken as they are touched.
constexpr size_t kStackBytes = size_t{1} << 20;

}  // namespace

struct ThreadCache::Shared {
  struct Idle {
    std::function<void()> work;
    bool called = false;
    CondVar wake;
  };

  Mutex mutex;
  CondVar ended;
  std::vector<Idle*> idle ABSL_GUARDED_BY(mutex);
  size_t threads ABSL_GUARDED_BY(mutex) = 0;
  bool stopping ABSL_GUARDED_BY(mutex) = false;

  static void Loop(const std::shared_ptr<Shared>& shared, std::function<void()> work) {
    for (;;) {
      work();
      work = nullptr;
      MutexLock lock(&shared->mutex);
      if (shared->stopping || shared->idle.size() == kIdleMax) break;
      Idle self;
      shared->idle.push_back(&self);
      while (!self.called) self.wake.Wait(&shared->mutex);
      if (self.work == nullptr) break;
      work = std::move(self.work);
    }
    MutexLock lock(&shared->mutex);
    --shared->threads;
    shared->ended.SignalAll();
  }
};

ThreadCache::ThreadCache() : shared_(std::make_shared<Shared>()) {}

ThreadCache::~ThreadCache() { Stop(absl::ZeroDuration()); }

bool ThreadCache::Run(std::function<void()> work) {
  {
    MutexLock lock(&shared_->mutex);
    if (!shared_->idle.empty()) {
      Shared::Idle* idle = shared_->idle.back();
      shared_->idle.pop_back();
      idle->work = std::move(work);
      idle->called = true;
      idle->wake.Signal();
      return true;
    }
    ++shared_->threads;
  }
  using Start = std::pair<std::shared_ptr<Shared>, std::function<void()>>;
  auto start = std::make_unique<Start>(shared_, std::move(work));
  pthread_attr_t attributes;
  CHECK_EQ(pthread_attr_init(&attributes), 0);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const int error = pthread_create(
      &thread, &attributes,
      [](void* argument) -> void* {
        pthread_setname_np(pthread_self(), "stand-in");
        const std::unique_ptr<Start> mine(static_cast<Start*>(argument));
        std::shared_ptr<Shared> shared = std::move(mine->first);
        Shared::Loop(shared, std::move(mine->second));
        return nullptr;
      },
      start.get());
  pthread_attr_destroy(&attributes);
  if (error == 0) {
    static_cast<void>(start.release());
    return true;
  }
  LOG(ERROR) << "cannot start a thread: error " << error;
  MutexLock lock(&shared_->mutex);
  --shared_->threads;
  return false;
}

bool ThreadCache::Stop(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  MutexLock lock(&shared_->mutex);
  shared_->stopping = true;
  for (Shared::Idle* idle : shared_->idle) {
    idle->called = true;
    idle->wake.Signal();
  }
  shared_->idle.clear();
  while (shared_->threads > 0) {
    if (shared_->ended.WaitWithDeadline(&shared_->mutex, deadline)) break;
  }
  return shared_->threads == 0;
}

}  // namespace spillway::internal
