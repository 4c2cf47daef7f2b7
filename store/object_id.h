// The name of an object within a store.
#ifndef SPILLWAY_STORE_OBJECT_ID_H_
#define SPILLWAY_STORE_OBJECT_ID_H_

#include <cstdint>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace spillway {

// 64 bits, never reused within a spill directory; 0 is none. The top 16 bits are kept for a node
// number, 0 here. Printed and parsed as 16 hexadecimal digits.
struct ObjectId {
  uint64_t value = 0;

  explicit operator bool() const { return value != 0; }
  friend bool operator==(ObjectId, ObjectId) = default;
  friend auto operator<=>(ObjectId, ObjectId) = default;

  template <typename H>
  friend H AbslHashValue(H h, ObjectId id) {
    return H::combine(std::move(h), id.value);
  }
};

std::string ToString(ObjectId id);
std::ostream& operator<<(std::ostream& out, ObjectId id);

// Parses 1 to 16 hexadecimal digits. InvalidArgument if `text` is anything else, or 0.
absl::StatusOr<ObjectId> ParseObjectId(absl::string_view text);

}  // namespace spillway

#endif  // SPILLWAY_STORE_OBJECT_ID_H_
