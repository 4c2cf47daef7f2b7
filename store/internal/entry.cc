#include "store/internal/entry.h"

namespace spillway::internal {

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
