#include "store/internal/entry.h"

#ifdef SPILLWAY_BLOCK_POISON
#include <array>

#include "store/internal/memory/spin_lock.h"
#endif

namespace spillway::internal {

#ifdef SPILLWAY_BLOCK_POISON
namespace {

SpinLock& PinLockOf(uint32_t slot) {
  static auto* const locks = new std::array<SpinLock, 256>();
  return (*locks)[slot % locks->size()];
}

}  // namespace

PinGuard::PinGuard(const Entry* entry) ABSL_NO_THREAD_SAFETY_ANALYSIS : slot_(entry->slot) {
  PinLockOf(slot_).Lock();
}
PinGuard::~PinGuard() ABSL_NO_THREAD_SAFETY_ANALYSIS { PinLockOf(slot_).Unlock(); }
#endif

const char* StateName(State state) {
  switch (state) {
    case State::kFree:
      return "Free";
    case State::kPending:
      return "Pending";
    case State::kBuilding:
      return "Building";
    case State::kCold:
      return "Cold";
    case State::kFailed:
      return "Failed";
    case State::kDropped:
      return "Dropped";
    case State::kDeleted:
      return "Deleted";
    case State::kClosed:
      return "Closed";
    case State::kMoving:
      return "Moving";
    case State::kHot:
      return "Hot";
    case State::kClean:
      return "Clean";
  }
  return "unknown";
}

}  // namespace spillway::internal
