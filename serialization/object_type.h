// The runtime identity of an object's type: what is stored beside the bytes, on disk and in memory.
#ifndef SPILLWAY_SERIALIZATION_OBJECT_TYPE_H_
#define SPILLWAY_SERIALIZATION_OBJECT_TYPE_H_

#include <cstdint>

namespace spillway {

// How the payload's bytes are to be read.
enum class Encoding : uint8_t {
  kRaw = 0,         // bytes without structure
  kFlatBuffer = 1,  // a FlatBuffer root table
  kCustom = 2,      // a codec's own format
};

// Stable across processes, builds and compilers.
struct ObjectType {
  uint64_t type_id = 0;      // hash of the type's stable name; 0 is raw bytes
  uint64_t fingerprint = 0;  // hash of the schema; 0 is unknown. FORMAT.md says what it covers
  Encoding encoding = Encoding::kRaw;

  friend bool operator==(const ObjectType&, const ObjectType&) = default;
};

}  // namespace spillway

#endif  // SPILLWAY_SERIALIZATION_OBJECT_TYPE_H_
