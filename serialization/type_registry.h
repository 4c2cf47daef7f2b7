// What types this program knows: their names, their schemas, and whether stored bytes are of one.
//
// A type is known from the first use of its codec on; structs named by SPILLWAY_OBJECT and tables
// whose schemas were registered, from the start of the program. All functions are thread-safe.
#ifndef SPILLWAY_SERIALIZATION_TYPE_REGISTRY_H_
#define SPILLWAY_SERIALIZATION_TYPE_REGISTRY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "serialization/binary_schema.h"  // IWYU pragma: export
#include "serialization/codec.h"
#include "serialization/object_type.h"

namespace spillway {

// The names of all known types, sorted.
std::vector<std::string> RegisteredTypes();

// The type's schema in FlatBuffers' schema language, which flatc compiles for any language; for a
// type in an encoding of its own, a comment that says so. The type may be composed of known types,
// as "map<string,geo.Point>", without being known itself. NotFound for an unknown type.
absl::StatusOr<std::string> SchemaText(std::string_view type_name);

// The type's name, or its id in hexadecimal for a type that this program does not know.
std::string TypeNameOf(const ObjectType& type);

// Whether a payload stored as `stored` can be read as `wanted`: it is the same type, with the same
// schema or one that `wanted` extends (FORMAT.md has the rules). Takes nanoseconds when the two are
// equal.
bool IsReadableAs(const ObjectType& stored, const ObjectType& wanted);

// The same as a status: FailedPrecondition that names both types, the object and its size.
absl::Status CheckReadable(const ObjectType& stored, const ObjectType& wanted, uint64_t object_id,
                           size_t size_bytes);

// Makes T known before its first use.
template <typename T>
void RegisterType() {
  RequireCodec<T>();
  if constexpr (internal::kIsComposed<T>) {
    internal::InternType(Codec<T>::TypeName(), &internal::DescribeRoot<T>);
  } else {
    static_cast<void>(Codec<T>::Type());
  }
}

// The identity of a type with an encoding of its own, for use in its codec's Type(); registers it.
// `format` says in a line how the bytes are to be read. Payloads are readable only by codecs that
// give the same `version`, which starts at 1.
ObjectType CustomType(std::string_view type_name, uint64_t version, std::string_view format);

}  // namespace spillway

#endif  // SPILLWAY_SERIALIZATION_TYPE_REGISTRY_H_
