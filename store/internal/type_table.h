// The types that this process has met, numbered: 2 bytes per entry instead of 17.
#ifndef SPILLWAY_STORE_INTERNAL_TYPE_TABLE_H_
#define SPILLWAY_STORE_INTERNAL_TYPE_TABLE_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "serialization/codec.h"
#include "serialization/object_type.h"

namespace spillway::internal {

// Number of raw bytes.
inline constexpr uint16_t kRawType = 0;

// The number of `type`, which is given one if it is new; more than 65535 types are a CHECK. A name
// that is not empty replaces an empty one. Types only ever come; the table is shared by all stores
// of the process and thread-safe.
uint16_t TypeNumber(const ObjectType& type, absl::string_view name);

ObjectType TypeOf(uint16_t number);
// Empty if this process knows the type only from its bytes.
std::string TypeNameOf(uint16_t number);
// The name, or for a type that nobody knows its id in hexadecimal digits.
std::string DescribeType(uint16_t number);

// What is to be said of an object of type `stored` that cannot be read as `wanted`: "was asked for
// as string", or of two schemas of one type, which they are.
std::string DescribeMismatch(uint16_t stored, uint16_t wanted);

// Whether payloads of type `stored` may be read as `wanted`: IsReadableAs.
bool TypesAgree(uint16_t stored, uint16_t wanted);

// The number of T's codec's type; a load after the first call.
template <typename T>
uint16_t TypeNumberFor() {
  static const uint16_t number = TypeNumber(Codec<T>::Type(), Codec<T>::TypeName());
  return number;
}

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_TYPE_TABLE_H_
