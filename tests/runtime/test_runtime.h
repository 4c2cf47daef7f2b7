// Runtimes for tests: over a store in memory, with some workers, or played by a seed.
#ifndef SPILLWAY_TESTS_RUNTIME_TEST_RUNTIME_H_
#define SPILLWAY_TESTS_RUNTIME_TEST_RUNTIME_H_

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "glog/logging.h"
#include "runtime/runtime.h"
#include "runtime/runtime_options.h"
#include "runtime/seeded_executor.h"
#include "serialization/mutex.h"
#include "spill/memory_backend.h"
#include "store/object_store.h"
#include "store/options.h"

namespace spillway {

// Closed until it is opened. Thread-safe.
class Gate {
 public:
  void Open() {
    MutexLock lock(&mutex_);
    open_ = true;
    changed_.SignalAll();
  }
  void Await() {
    MutexLock lock(&mutex_);
    while (!open_) changed_.Wait(&mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
};

inline std::unique_ptr<Runtime> StartRuntime(int workers, RuntimeOptions options = {},
                                             uint64_t memory_limit_bytes = 64 * kMiB) {
  StoreOptions store_options;
  store_options.memory_limit_bytes = memory_limit_bytes;
  options.workers = workers;
  auto store = ObjectStore::Open(store_options, NewMemoryBackend());
  CHECK(store.ok()) << store.status();
  auto runtime = Runtime::Start(options, *std::move(store));
  CHECK(runtime.ok()) << runtime.status();
  return *std::move(runtime);
}

// A runtime whose every step is chosen by a seed.
struct SeededRuntime {
  explicit SeededRuntime(uint64_t seed, int workers = 2, RuntimeOptions options = {},
                         uint64_t memory_limit_bytes = 16 * kMiB)
      : executor(seed) {
    StoreOptions store_options;
    store_options.memory_limit_bytes = memory_limit_bytes;
    store_options.clock = executor.clock();
    store_options.executor = executor.background();
    options.workers = workers;
    options.executor = &executor;
    options.clock = executor.clock();
    options.background = executor.background();
    auto store = ObjectStore::Open(store_options, NewMemoryBackend());
    CHECK(store.ok()) << store.status();
    auto started = Runtime::Start(options, *std::move(store));
    CHECK(started.ok()) << started.status();
    runtime = *std::move(started);
  }

  SeededExecutor executor;
  std::unique_ptr<Runtime> runtime;
};

// How many seeds a test tries: SPILLWAY_SEEDS, or `otherwise`.
inline uint64_t SeedCount(uint64_t otherwise) {
  const char* const asked = std::getenv("SPILLWAY_SEEDS");
  return asked == nullptr ? otherwise : std::strtoull(asked, nullptr, 10);
}

}  // namespace spillway

#endif  // SPILLWAY_TESTS_RUNTIME_TEST_RUNTIME_H_
