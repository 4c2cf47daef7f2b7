// How large a FlatBuffer can be, and what is said of a value that does not fit.
#ifndef SPILLWAY_SERIALIZATION_FLAT_BUFFER_LIMIT_H_
#define SPILLWAY_SERIALIZATION_FLAT_BUFFER_LIMIT_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

namespace spillway {

// Offsets within it have a sign and 32 bits.
inline constexpr size_t kMaxFlatBufferBytes = 0x7ffffffe;

// InvalidArgument for a value of the type whose payload of `bytes` does not fit; SIZE_MAX stands
// for a size that was not counted to its end. Thread-safe.
absl::Status TooLargeForFlatBuffer(std::string_view type_name, size_t bytes);

}  // namespace spillway

#endif  // SPILLWAY_SERIALIZATION_FLAT_BUFFER_LIMIT_H_
