#include "serialization/mutex.h"

#if !defined(SPILLWAY_TSAN) && defined(NDEBUG)

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace spillway::internal {

namespace {

// A holder that runs is mostly done within these; longer, and sleeping is cheaper.
constexpr int kSpins = 100;

void PauseProcessor() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// The futex is the atomic's own word.
long Futex(std::atomic<uint32_t>* word, int operation, uint32_t value) {
  static_assert(sizeof(*word) == sizeof(uint32_t));
  return syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), operation, value, nullptr, nullptr,
                 0);
}

}  // namespace

void PlainMutex::LockSlow() {
  for (int i = 0; i < kSpins; ++i) {
    if (state_.load(std::memory_order_relaxed) == kFree && try_lock()) return;
    PauseProcessor();
  }
  // Whoever has been here takes the mutex as contended: others may sleep, too.
  while (state_.exchange(kContended, std::memory_order_acquire) != kFree) {
    Futex(&state_, FUTEX_WAIT_PRIVATE, kContended);
  }
}

void PlainMutex::WakeOne() { Futex(&state_, FUTEX_WAKE_PRIVATE, 1); }

}  // namespace spillway::internal

#endif
