#include "runtime/task_executor.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "glog/logging.h"

// The system's oneTBB is not instrumented, so the thread sanitizer cannot judge what its headers do
// together with it.
#ifdef SPILLWAY_TSAN
#pragma clang attribute push(__attribute__((no_sanitize("thread"))), apply_to = function)
#endif
#include "tbb/global_control.h"
#include "tbb/task_arena.h"
#ifdef SPILLWAY_TSAN
#pragma clang attribute pop
#endif

#ifdef SPILLWAY_TSAN
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace spillway {
namespace {

// Nor does the sanitizer see that what enqueues comes before what is run.
void TellSanitizerOfHandOver([[maybe_unused]] void* address, [[maybe_unused]] bool gives) {
#ifdef SPILLWAY_TSAN
  gives ? __tsan_release(address) : __tsan_acquire(address);
#endif
}

class TbbExecutor final : public TaskExecutor {
 public:
  explicit TbbExecutor(int workers)
      : allowed_(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(workers) + 1),
        arena_(WorkersAllowed(workers), /*reserved_for_masters=*/0) {}

  void Post(std::function<void()> work) override {
    auto* const handed = new std::function<void()>(std::move(work));
    TellSanitizerOfHandOver(handed, /*gives=*/true);
    arena_.enqueue([handed] {
      TellSanitizerOfHandOver(handed, /*gives=*/false);
      const std::unique_ptr<std::function<void()>> mine(handed);
      (*mine)();
    });
  }

 private:
  // Asking for more makes oneTBB complain on standard error.
  static int WorkersAllowed(int workers) {
    const size_t allowed =
        tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
    return std::max(1, std::min(workers, static_cast<int>(allowed) - 1));
  }

  // oneTBB counts the program's main thread as one that works, which ours do not. Of several such
  // wishes in a process the least one counts; a runtime makes up for what it does not get.
  tbb::global_control allowed_;
  tbb::task_arena arena_;
};

}  // namespace

bool TaskExecutor::PostBlocking(std::function<void()>) { return false; }

std::unique_ptr<TaskExecutor> NewTbbExecutor(int workers) {
  CHECK_GE(workers, 1);
  return std::make_unique<TbbExecutor>(workers);
}

}  // namespace spillway
