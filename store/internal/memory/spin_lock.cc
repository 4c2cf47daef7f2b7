#include "store/internal/memory/spin_lock.h"

#include <sched.h>
#include <time.h>

namespace spillway {
namespace {

void PauseProcessor() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// A holder that runs is done within the spins; one that waits for a processor gets it by the
// yields, unless it has a lower priority: then only sleeping helps.
constexpr int kSpins = 64;
constexpr int kYields = 64;
constexpr long kSleepNanos = 20'000;

}  // namespace

void SpinLock::LockSlow() {
  for (int round = 0;; ++round) {
    if (TryLock()) return;
    if (round < kSpins) {
      PauseProcessor();
    } else if (round < kSpins + kYields) {
      sched_yield();
    } else {
      const timespec nap = {.tv_sec = 0, .tv_nsec = kSleepNanos};
      nanosleep(&nap, nullptr);
    }
  }
}

}  // namespace spillway
